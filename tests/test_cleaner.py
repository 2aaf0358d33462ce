"""Accuracy without doubtful test images."""

import numpy as np
import pytest
from making import record

from kerascifar import cleaner


def run(name, wrong, seed=0):
    made = record(seed=seed, row={"name": name})
    predicted = np.zeros(cleaner.TEST_IMAGES, "uint8")
    predicted[wrong] = 1
    made.__dict__["predictions"] = {"test_label": np.zeros_like(predicted), "test_predicted": predicted}
    return made


def test_the_lists_are_the_sources():
    """286 test images have a near-duplicate in the training set; 22 labels are disputed (see the module)."""
    assert [(~cleaner.kept(reason)).sum() for reason in cleaner.REASONS] == [286, 22]
    assert not cleaner.kept("near-duplicate")[31] and not cleaner.kept("disputed")[165]


def test_a_row_that_only_knows_the_duplicates_falls_back_without_them():
    duplicates = np.flatnonzero(~cleaner.kept("near-duplicate"))
    others = np.flatnonzero(cleaner.kept("near-duplicate"))
    found = [run("A", others[:100]), run("B", duplicates[:120]), run("B", duplicates[:80], seed=1)]
    table = cleaner.table(found).set_index("row")
    assert table["n"].tolist() == [1, 2]
    assert table["Test_acc"].tolist() == pytest.approx([99.0, 99.0])
    assert table["without near-duplicate"].tolist() == pytest.approx([100 * (1 - 100 / 9714), 100.0])
    assert table["rank, without near-duplicate"].tolist() == [2, 1]
    remark = cleaner.remark(table.reset_index())
    assert remark == "Without near-duplicate images A changes rank. Without disputed images no row changes rank."


def test_nothing_to_show_without_runs():
    assert len(cleaner.table([])) == 0
