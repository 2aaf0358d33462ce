"""Measures of focus: right on what is known, and planted evidence is found."""

import numpy as np
import pytest
from scipy import sparse, stats
from scipy.sparse import linalg

from kerascifar.focus import measures

LABELS = np.arange(12) % 10
SPOT = np.zeros((32, 32), "float32")
SPOT[6:14, 18:26] = 1  # what alone decides the planted class


def images(count=12, seed=0):
    """Smooth pictures, as photographs are; a bright spot in each."""
    pictures = np.random.default_rng(seed).random((count, 4, 4, 3), dtype="float32").repeat(8, 1).repeat(8, 2)
    return np.clip(0.5 * pictures + 0.5 * SPOT[..., None], 0, 1).astype("float32")


def by_spot(pictures):
    """A classifier that looks at the spot alone: the brighter it is, the surer of every label it is asked for."""
    brightness = (pictures * SPOT[..., None]).sum(axis=(1, 2, 3)) / (3 * SPOT.sum())
    logits = np.zeros((len(pictures), 10))
    logits[np.arange(len(pictures)), LABELS[: len(pictures)]] = 12 * brightness - 4
    return logits


def directly(image, missing):
    """The same equations as one sparse system, solved directly."""
    weights = {(0, 1): 1 / 6, (1, 0): 1 / 6, (0, -1): 1 / 6, (-1, 0): 1 / 6}
    weights |= dict.fromkeys([(1, 1), (1, -1), (-1, 1), (-1, -1)], 1 / 12)
    number = {tuple(p): k for k, p in enumerate(np.argwhere(missing))}
    matrix, right = sparse.lil_matrix((len(number), len(number))), np.zeros((len(number), 3))
    for (y, x), k in number.items():
        for (dy, dx), weight in weights.items():
            there = (y + dy, x + dx)
            if 0 <= there[0] < 32 and 0 <= there[1] < 32:
                matrix[k, k] += weight
                if there in number:
                    matrix[k, number[there]] -= weight
                else:
                    right[k] += weight * image[there]
    result = image.copy()
    result[missing] = linalg.spsolve(matrix.tocsr(), right)
    return result


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_filling_in_solves_the_papers_equations(share, monkeypatch):
    monkeypatch.setattr(measures, "NOISE", 0)
    pictures = images(3)
    missing = np.random.default_rng(1).random((3, 32, 32)) < share
    missing[0, 4:28, 4:28] = True  # a wide hole too
    made = measures.filled(pictures, missing)
    for picture, gone, result in zip(pictures, missing, made, strict=True):
        assert np.abs(result - directly(picture, gone)).max() < 1e-5
        assert (result[~gone] == picture[~gone]).all()


def test_noise_lies_on_what_was_filled_in_alone(monkeypatch):
    level = np.full((100, 32, 32, 3), 0.5, "float32")
    missing = np.random.default_rng(0).random((100, 32, 32)) < 0.5
    made = measures.filled(level, missing)
    assert (made[~missing] == 0.5).all() and made[missing].std() == pytest.approx(measures.NOISE, rel=0.05)
    assert np.abs(made[missing] - 0.5).max() < 0.06


def test_an_image_with_nothing_left_is_filled_with_nothing():
    """Its equations have no solution; those of the others must not suffer."""
    missing = np.random.default_rng(0).random((3, 32, 32)) < 0.8
    alone = measures.filled(images(3), missing)
    missing[1] = True
    made = measures.filled(images(3), missing)
    assert made[1].max() < 0.06  # the noise
    assert np.allclose(made[[0, 2]], alone[[0, 2]], atol=1e-5)


def test_planted_evidence_is_found_by_every_measure():
    """Fails if most and least relevant are exchanged, or if a map's place is not the image's."""
    pictures, right = images(), np.broadcast_to(SPOT, (12, 32, 32))
    rivals = [measures.random_maps(12), measures.centred_maps(12), 1 - right]
    best = measures.road(by_spot, pictures, LABELS, right)
    deletion, insertion = measures.deletion_and_insertion(by_spot, pictures, LABELS, right)
    assert best.min() > 0.2
    for rival in rivals:
        assert (measures.road(by_spot, pictures, LABELS, rival) < best).all()
        others = measures.deletion_and_insertion(by_spot, pictures, LABELS, rival)
        assert (others[0] > deletion).all() and (others[1] < insertion).all()
    assert np.allclose(measures.road(by_spot, pictures, LABELS, 1 - right), -best, atol=0.1)


def test_an_empty_map_is_worth_a_random_one():
    """Fails if ties go by place: then an empty map would take away the upper half first."""
    pictures = images()
    upper = measures.road(by_spot, pictures, LABELS, np.zeros((12, 32, 32)))
    assert abs(upper.mean()) < 0.05


def test_the_border_share_of_a_level_map_is_its_area():
    maps = np.stack([np.ones((32, 32)), SPOT, np.zeros((32, 32))])
    share = measures.border_share(maps)
    assert share[:2].tolist() == pytest.approx([0.4375, 0.0]) and np.isnan(share[2])
    assert measures.border_share(maps[:1], 2)[0] == pytest.approx(1 - (28 / 32) ** 2)


def test_a_mosaic_holds_the_image_in_its_quarter_and_other_classes_around():
    pictures, labels = images(40), np.arange(40) % 10
    made, quarter, others = measures.mosaics(pictures, labels)
    assert made.shape == pictures.shape and made.dtype == np.float32 and set(quarter) == {0, 1, 2, 3}
    small = pictures.reshape(40, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    for i in range(40):
        tiles = [made[i, y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16)]
        assert np.allclose(tiles[quarter[i]], small[i], atol=1e-6)
        rest = [tiles[(quarter[i] + k) % 4] for k in (1, 2, 3)]
        assert all(np.allclose(tile, small[other], atol=1e-6) for tile, other in zip(rest, others[i], strict=True))
        assert labels[i] not in labels[others[i]]


def test_pointing_counts_positive_evidence_in_the_right_quarter():
    level, negative = np.ones((32, 32)), -np.ones((32, 32))
    corner = negative.copy()
    corner[:16, 16:] = 2
    shares = measures.pointing(np.stack([level, corner, corner, negative]), np.array([3, 1, 0, 1]))
    assert shares[:3].tolist() == [0.25, 1.0, 0.0] and np.isnan(shares[3])


def test_the_half_with_the_least_evidence_is_another_images():
    pictures, others = images(), 1 - images()
    made = measures.with_background(pictures, others, np.broadcast_to(SPOT, (12, 32, 32)))
    kept = (made == pictures).all(axis=-1)
    assert (kept.sum(axis=(1, 2)) == 512).all() and kept[:, SPOT == 1].all()
    assert (made[~kept] == others[~kept]).all()


def test_partners_are_random_images_of_other_classes():
    labels = np.arange(200) % 10
    chosen = measures.partners(labels)
    assert (labels[chosen] != labels).all() and len(set(chosen)) > 100
    assert (measures.partners(labels) == chosen).all() and (measures.partners(labels, seed=1) != chosen).any()


def test_likeness_is_spearmans():
    a, b = np.random.default_rng(0).random((2, 4, 32, 32))
    expected = [stats.spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    assert measures.likeness(a, b) == pytest.approx(expected)
    assert measures.likeness(a, a**3) == pytest.approx(1) and np.isnan(measures.likeness(a, np.ones_like(a))).all()


def test_the_random_map_is_even_and_the_spot_is_centred():
    random, centred = measures.random_maps(400), measures.centred_maps(2)
    assert random.shape == (400, 32, 32) and np.ptp(random.mean(axis=0)) < 0.15
    assert np.unravel_index(centred[0].argmax(), (32, 32)) in [(15, 15), (15, 16), (16, 15), (16, 16)]
    assert (centred[0] == centred[0].T).all() and (centred[0] == centred[0][::-1]).all()


def test_drop_increase_and_gain_of_planted_evidence():
    """Label 3 has the logit log 9 while the spot keeps its brightness, and 0 otherwise: 9/18 or 1/10."""

    def predict(pictures):
        logits = np.zeros((len(pictures), 10))
        logits[:, 3] = np.log(9) * (pictures[:, SPOT == 1].mean(axis=(1, 2)) == 0.5)
        return logits

    images, labels = np.full((2, 32, 32, 3), 0.5, "float32"), np.array([3, 4])
    drop, increase, gain = measures.drop_increase_gain(predict, images, labels, np.stack([1 - SPOT] * 2))
    assert drop == pytest.approx([(1 / 2 - 1 / 10) / (1 / 2), 0]) and increase.tolist() == [False, True]
    assert gain == pytest.approx([0, (1 / 10 - 1 / 18) / (17 / 18)])
    assert measures.drop_increase_gain(predict, images, labels, np.stack([7 * SPOT] * 2))[0] == pytest.approx(0)


def test_complexity_and_sparseness_of_level_maps_and_spots():
    maps = np.stack([np.full((32, 32), 3.0), 5 * SPOT, np.zeros((32, 32))]).astype("float32")
    assert measures.complexity(maps) == pytest.approx([1, 64 / 1024, 0])
    gini = measures.sparseness(maps)
    assert gini[:2] == pytest.approx([0, 1 - 64 / 1024]) and np.isnan(gini[2])
    random = np.random.default_rng(0).random((1, 32, 32))
    pairs = np.abs(random.reshape(-1, 1) - random.reshape(1, -1)).mean()
    assert measures.sparseness(random) == pytest.approx(pairs / (2 * random.mean()))  # the index's other definition


def test_coherency_and_adcc_match_the_formulas_of_poppi():
    a, b = np.random.default_rng(0).random((2, 4, 32, 32))
    expected = [(1 + np.corrcoef(x.ravel(), y.ravel())[0, 1]) / 2 for x, y in zip(a, b, strict=True)]
    assert measures.coherency(a, b) == pytest.approx(expected) and measures.coherency(a, 2 * a + 1) == pytest.approx(1)
    together = measures.adcc(np.array([0.5, 0.5, np.nan]), np.array([0.2, 0.2, 0.2]), np.array([0.25, 1.0, 0.25]))
    assert together[:2] == pytest.approx([3 / (1 / 0.5 + 1 / 0.8 + 1 / 0.75), 0]) and np.isnan(together[2])


def test_arcc_has_twice_road_in_place_of_drop():
    half, fifth = np.full(4, 0.5), np.full(4, 0.2)
    together = measures.arcc(half, fifth, np.array([0.3, 0.5, -0.1, np.nan]))
    assert together[:3] == pytest.approx([3 / (1 / 0.5 + 1 / 0.8 + 1 / 0.6), 3 / (1 / 0.5 + 1 / 0.8 + 1 / 1), 0])
    assert np.isnan(together[3])


def test_sensitivity_is_the_largest_relative_change():
    maps = np.stack([SPOT, 2 * SPOT, np.zeros((32, 32))])
    found = measures.sensitivity(maps, [maps + 0.5 * SPOT, maps - 0.25 * SPOT])
    assert found[:2] == pytest.approx([0.5, 0.25]) and np.isnan(found[2])


def test_noise_is_small_and_stays_in_range():
    pictures = images()
    changed = measures.noisy(pictures, 0.02, 0)
    assert changed.dtype == np.float32 and changed.min() >= 0 and changed.max() <= 1
    assert 0.019 < np.abs(changed - pictures).max() <= 0.0200001
    assert (changed == measures.noisy(pictures, 0.02, 0)).all() and (changed != measures.noisy(pictures, 0.02, 1)).any()
