"""A candidate's run, from training to its record, uses no test images."""

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from kerascifar.common.errors import UserError
from kerascifar.findings import compare, verify
from kerascifar.images import cifar10
from kerascifar.runs import experiment, publish, records
from kerascifar.training.rows import Row, Run

SMALL = Row("Small", "residual", {"filters": [4], "blocks": [1]}, epochs=1, batch_size=100)


@pytest.fixture(scope="module")
def without_test_images(shapes):
    return dataclasses.replace(cifar10.load(shapes), _test=None)


def trained(name, dataset, folder):
    (record,) = experiment.train_runs([Run(name, SMALL, 0)], dataset, folder, Console(quiet=True))
    return record


@pytest.mark.parametrize("name", records.CANDIDATES)
def test_a_candidate_is_trained_without_test_images(name, without_test_images, tmp_path):
    record = records.read(trained(name, without_test_images, tmp_path).folder)
    assert set(record.results) == {"train", "validation"} and set(record.per_class) == {"validation"}
    assert sorted(record.predictions) == ["validation_index", "validation_label", "validation_predicted"]
    assert record.right("validation").mean() == pytest.approx(record.results["validation"]["accuracy"])
    with pytest.raises(UserError, match="is a candidate: no test images are used"):
        compare.find([str(record.folder)], tmp_path)
    assert verify.compare(record, record, [record]) == (
        True,
        ["Small seed 0: bit-identical (1 epochs, all losses and accuracies)."],
    )


def test_any_other_run_needs_them(without_test_images, tmp_path):
    with pytest.raises(ValueError, match="this data set has no test images"):
        trained("experiment3", without_test_images, tmp_path)


def test_a_candidate_is_published_with_its_history_alone(without_test_images, tmp_path):
    record = trained("search", without_test_images, tmp_path)
    assert publish._files(record) == [records.HISTORY, records.RECORD]
    assert np.isfinite(record.history["val_loss"]).all()
