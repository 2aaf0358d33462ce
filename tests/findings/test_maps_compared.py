"""Kinds of map are ranked by each measure, compared with both baselines, and measures with each other."""

import dataclasses

import factories
import numpy as np
import pytest

from kerascifar.findings import focus_means, maps_compared

LEVELS = {  # by kind: road, deletion (lower is better), pointing; the spot has 0.5 for all, noise has 0.3
    "gradcam": (0.6, 0.6, 0.5),
    "layercam": (0.7, 0.4, 0.3),
    "saliency": (0.55, 0.45, 0.3),
    "random": (0.3, 0.7, 0.3),
    "centred": (0.5, 0.5, 0.5),
}


def runs(tmp_path, seeds=(0, 1), levels=LEVELS):
    """Images differ by up to 100 %, alike for all kinds; seeds by a little."""
    made = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        images = random.random(400)
        values = {
            f"{kind}/{measure}": images + level + random.normal(0, 0.01, 400)
            for kind, of_kind in levels.items()
            for measure, level in zip(("road", "deletion", "pointing"), of_kind, strict=True)
        }
        made.append(factories.measured(tmp_path, factories.answering("M6", seed), values))
    return made


def test_each_map_has_a_mean_an_interval_and_what_it_beats(tmp_path):
    """Fails if images are not paired, as they differ by more than the maps, or if lower deletion is worse."""
    made = runs(tmp_path)
    table = maps_compared.table([*made, factories.answering("M7", 0)]).set_index("measure")
    assert table.index.tolist() == ["road ↑", "deletion ↓", "pointing ↑"] and table["n"].tolist() == ["2", "2", "2"]
    road, deletion, pointing = (table.loc[name] for name in table.index)
    assert road["Layer-CAM"] == pytest.approx(1.2, abs=0.05) and 0.01 < road["Layer-CAM ±"] < 0.4
    assert deletion["Layer-CAM"] == pytest.approx(90, abs=5)  # in percent, as in the table of means
    assert road["best"] == deletion["best"] == "Layer-CAM"
    assert pointing["best"] == ""  # Grad-CAM and the spot are alike
    assert road["beat the spot"] == "Grad-CAM, Layer-CAM, Saliency"
    assert deletion["beat the spot"] == "Layer-CAM, Saliency"
    assert road["no better than noise"] == "" and pointing["no better than noise"] == "Layer-CAM, Saliency"
    compared = maps_compared.table(made)
    counts = "Layer-CAM on 2, Saliency on 2, Grad-CAM on 1"
    main = "the main measures of faithfulness (road and deletion)"
    text = f"Methods that beat the spot for M6 on at least one of {main}: {counts}."
    assert maps_compared.summary(made, compared) == f"{text} Clearly the best: Layer-CAM on 2."
    tied = compared.assign(best=["Layer-CAM", "centred", "Saliency"])
    assert maps_compared.summary(made, tied) == f"{text} Clearly the best: Layer-CAM on 1, the spot itself on 1."


def test_maps_that_hardly_need_the_model_are_named(tmp_path):
    """Fails if a likeness is compared with 0 instead of with what unrelated maps have on the same cells."""
    values = {f"{kind}/road": np.random.default_rng(0).random(400) for kind in ("gradcam", "saliency", "centred")}
    row = factories.record(row={"name": "M6", "model": "model4"}).row  # without cells at the edges: maps are alike
    run = dataclasses.replace(factories.answering("M6", 0), row=row)
    likeness = focus_means.by_chance(run.row, "gradcam") - 0.01
    shown = {f"{kind}/likeness": np.full(400, likeness) for kind in ("gradcam", "saliency")}
    made = [factories.measured(tmp_path, run, values | shown)]
    text = maps_compared.summary(made, maps_compared.table(made))
    assert text.endswith(
        " All methods were measured on one run only, which says nothing about other seeds. The maps of Saliency "
        "resemble those of random weights more than chance would explain: even where they score well, this does not "
        "show that they explain M6."
    )


def test_methods_with_a_single_run_are_named(tmp_path):
    """Two runs have Grad-CAM and the spot; one of them has Layer-CAM and Saliency, too."""
    both = {kind: LEVELS[kind] for kind in ("gradcam", "centred")}
    for more, named in ((("layercam",), "Layer-CAM was"), (("layercam", "saliency"), "Layer-CAM and Saliency were")):
        first = runs(tmp_path, [0], both)[0]
        second = runs(tmp_path, [1], both | {kind: LEVELS[kind] for kind in more})[0]
        text = maps_compared.summary([first, second], maps_compared.table([first, second]))
        assert f" {named} measured on one run only, which says nothing about other seeds." in text


def test_kinds_measured_on_other_models_are_not_paired(tmp_path):
    """Fails if a kind of one seed is compared with the spot of another."""
    first, second = runs(tmp_path, [0], {"gradcam": (0.9, 0.1, 0.9)})[0], runs(tmp_path, [1])[0]
    table = maps_compared.table([first, second])
    assert "Grad-CAM" in table.set_index("measure").loc["road ↑", "beat the spot"]  # by the second alone
    alone = maps_compared.table([first]).set_index("measure").loc["road ↑"]
    assert alone["best"] == alone["beat the spot"] == "" and "centred" not in alone


def test_measures_agree_as_far_as_they_rank_the_maps_alike(tmp_path):
    """By hand: road's and deletion's ranks of the five kinds, and what Spearman makes of them."""
    made = runs(tmp_path, seeds=[0])
    square = maps_compared.rank_correlations(made).set_index("measure")
    assert (np.diag(square) == 1).all() and (square.to_numpy() == square.to_numpy().T).all()
    road, deletion = [4, 5, 3, 1, 2], [2, 5, 4, 1, 3]  # 5 is best; in LEVELS' order
    expected = 1 - 6 * sum((a - b) ** 2 for a, b in zip(road, deletion, strict=True)) / (5 * 24)
    assert square.loc["road", "deletion"] == pytest.approx(expected)
    text = maps_compared.rank_summary(made, square.reset_index())
    assert text.startswith("Of 3 pairs of measures") and f"({expected:.2f}); the one that agrees least" in text
    assert maps_compared.rank_correlations(
        runs(tmp_path, seeds=[0], levels={"gradcam": (1, 1, 1), "random": (0, 0, 0)})
    ).empty
