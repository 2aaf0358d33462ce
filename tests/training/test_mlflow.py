"""The recipe in docs/tracking.md for MLflow, which `make test-all` installs."""

import re

import pytest
from factories import ROOT

from kerascifar.runs import records

mlflow = pytest.importorskip("mlflow")


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_the_recipe_logs_what_the_record_holds(shapes, tmp_path, monkeypatch):
    (recipe,) = re.findall(
        r"```python\n(import mlflow\n.*?)```", (ROOT / "docs" / "tracking.md").read_text("utf-8"), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERASCIFAR_DATA", str(shapes))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # so that MLflow's small package serves too
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    try:
        exec(recipe, {})
    finally:
        mlflow.keras.autolog(disable=True)
    (logged,) = mlflow.search_runs(output_format="list")
    (record,) = records.list_records(tmp_path / "runs")
    assert logged.data.metrics["val_accuracy"] == pytest.approx(record.history["val_accuracy"][-1])
    assert logged.data.params["optimizer_name"].lower() == "adam"
