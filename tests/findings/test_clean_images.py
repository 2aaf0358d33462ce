"""Accuracy without doubtful test images."""

import numpy as np
import pytest
from factories import record

from kerascifar.findings import clean_images


def run(name, wrong, seed=0):
    predicted = np.zeros(clean_images.TEST_IMAGES, "uint8")
    predicted[wrong] = 1
    predictions = {"test_label": np.zeros_like(predicted), "test_predicted": predicted}
    return record(seed=seed, row={"name": name}, predictions=predictions)


def test_the_lists_match_their_sources():
    """286 test images have a near-duplicate in the training set; 22 labels are disputed (see the module)."""
    assert [(~clean_images.kept(reason)).sum() for reason in clean_images.REASONS] == [286, 22]
    assert not clean_images.kept("near-duplicate")[31] and not clean_images.kept("disputed")[165]


def test_a_row_that_only_knows_the_duplicates_falls_back_without_them():
    duplicates = np.flatnonzero(~clean_images.kept("near-duplicate"))
    others = np.flatnonzero(clean_images.kept("near-duplicate"))
    found = [run("A", others[:100]), run("B", duplicates[:120]), run("B", duplicates[:80], seed=1)]
    table = clean_images.table(found).set_index("row")
    assert table["n"].tolist() == [1, 2]
    assert table["Test_acc"].tolist() == pytest.approx([99.0, 99.0])
    assert table["without near-duplicate"].tolist() == pytest.approx([100 * (1 - 100 / 9714), 100.0])
    assert table["rank, without near-duplicate"].tolist() == [2, 1]
    remark = clean_images.summary([], table.reset_index())
    assert remark == "Without near-duplicate images, A changes rank. Without disputed images, no row changes rank."


def test_nothing_to_show_without_runs():
    assert len(clean_images.table([])) == 0
