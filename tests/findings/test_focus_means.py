"""Each measure's mean for a row and a kind of map, beside what chance gives."""

import dataclasses

import factories
import numpy as np
import pytest

from kerascifar.findings import focus_means


def test_the_table_has_means_over_images_and_seeds_and_counts_empty_maps(tmp_path):
    """By hand. Shares are in percent, ROAD is not; a map without evidence has no share at the border."""
    gradcam = {"road": [0.5, 0.1], "border": [np.nan, 0.2], "pointing": [0.4, 0.2]}
    centred = {"road": [0.2, 0.2], "border": [0.0, 0.0], "pointing": [0.25, 0.25]}
    runs = []
    for seed, more in ((0, 0.0), (1, 0.2)):
        values = {f"gradcam/{name}": np.array(each) + more for name, each in gradcam.items()}
        values |= {f"centred/{name}": np.array(each) for name, each in centred.items()}
        runs.append(factories.measured(tmp_path, factories.answering("M1", seed), values))
    table = focus_means.table(runs).set_index("map")
    assert list(table.index) == ["Grad-CAM", "centred"]
    line = table.loc["Grad-CAM"]
    assert (line["row"], line["n"], line["images"]) == ("M1", 2, 2)
    assert line[["road", "border", "pointing"]].tolist() == pytest.approx([0.4, 30, 40])
    assert (line["empty"], line["empty on mosaics"]) == (50, 0)
    assert abs(line["by chance"]) < 0.05  # Model1's cells cover the image
    assert np.isnan(table.loc["centred", "by chance"]) and "deletion" not in table
    assert focus_means.table([factories.record()]).empty


def test_maps_that_leave_the_edges_empty_are_alike_by_chance():
    """Model4's last convolution has no cells there; its pixels are everywhere."""
    row = factories.record(row={"model": "model4"}).row
    assert focus_means.by_chance(row, "gradcam") == pytest.approx(0.70, abs=0.02)
    assert abs(focus_means.by_chance(row, "saliency")) < 0.05
    assert np.isnan(focus_means.by_chance(dataclasses.replace(row, model="gone"), "gradcam"))
