"""Maps are compared with a spot in the middle, and two models by class."""

import factories
import numpy as np
import pytest

from kerascifar.findings import faithfulness
from kerascifar.runs import measurements


def test_by_class_has_a_line_for_every_class_and_measure(tmp_path):
    made = [factories.looking(tmp_path, n, s, b) for s in range(3) for n, b in (("A", 0.4), ("B", 0.3))]
    table = faithfulness.by_class(made, "A", "B")
    assert len(table) == 10 and set(table["measure"]) == {"pointing"}  # borders depend on where a model has cells
    line = table.set_index("class").loc["airplane"]
    assert line["A"] == pytest.approx(50, abs=0.5) and line["difference"] == pytest.approx(10, abs=0.5)
    assert line["low"] < 10 < line["high"] and line["p (Holm)"] < 0.05
    assert np.isnan(line["by a spot"])
    for run in made:  # the spot finds six points of the ten
        values = measurements.read(run)
        spot = values["gradcam/pointing"] - np.float16(0.04 if run.name == "A" else 0)
        factories.measured(tmp_path, run, values | {"centred/pointing": spot})
    line = faithfulness.by_class(made, "A", "B").set_index("class").loc["airplane"]
    assert line["by a spot"] == pytest.approx(6, abs=0.5) and line["difference"] == pytest.approx(10, abs=0.5)


def test_a_map_is_compared_with_a_spot_in_the_middle_on_the_same_images(tmp_path):
    """Fails if lower deletion is worse, or if images, which differ by up to 100 %, are not paired, or other runs."""
    made = []
    for seed, shown in enumerate([("gradcam", "layercam"), ("gradcam",)]):
        random = np.random.default_rng(seed)
        spot = {measure: random.random(400) for measure in faithfulness.FAITHFUL}
        more = {"gradcam": (0.1, 0.2, 0.4 * seed, 0.0), "layercam": (0.2, -0.2, 0.1, -0.1)}
        values = {f"centred/{measure}": values for measure, values in spot.items()} | {
            f"{kind}/{measure}": spot[measure] + add + random.normal(0, 0.01, 400)
            for kind in shown
            for measure, add in zip(spot, more[kind], strict=True)
        }
        made.append(factories.measured(tmp_path, factories.answering("M6", seed), values))
    table = faithfulness.against_centred([*made, factories.answering("M7", 0)])
    assert table["map"].tolist() == ["Grad-CAM", "Layer-CAM"] and table["n"].tolist() == [2, 1]
    first = table.iloc[0]
    assert first["road"] == pytest.approx(0.1, abs=0.005) and first["deletion"] == pytest.approx(20, abs=0.5)
    assert 0 < first["road ±"] < 0.02 and abs(first["insertion"]) < first["insertion ±"]
    assert table.iloc[1]["road ±"] == pytest.approx(1.96 * 0.01 / 400**0.5, rel=0.15)  # one seed: images alone
    text = faithfulness.summary(made, faithfulness.against_centred(made))
    assert text == "M6: Grad-CAM is more faithful than a spot in the middle on ROAD, and less faithful on deletion."
    once = faithfulness.summary(made[:1], faithfulness.against_centred(made[:1]))
    assert once.startswith("M6 (one run): Grad-CAM is more faithful than a spot in the middle on ROAD")
