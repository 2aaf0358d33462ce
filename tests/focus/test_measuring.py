"""Measurements are stored beside their run, found again, and not confused with another run's."""

import shutil
from pathlib import Path

import factories
import keras
import numpy as np
import pytest
from scipy import ndimage, stats

from kerascifar.common.errors import UserError
from kerascifar.focus import measures, measuring, methods
from kerascifar.runs import measurements, records

LABELS = np.arange(30) % 10
KINDS = ("gradcam", "saliency", "random", "centred")


def known():
    """The planted model, with a say of its evidence over its constant."""
    network = factories.planted()
    kernel, bias, dense, constants = network.get_weights()
    network.set_weights([kernel, bias, 150 * dense, constants])
    return network


def on_cells(found):
    """The planted model's cells are pixels: means of 4×4, then linear between their centres."""
    at = np.meshgrid(*[(np.arange(32) - 1.5) / 4] * 2, indexing="ij")
    blocks = found.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))
    return np.array([ndimage.map_coordinates(b, at, order=1, mode="nearest") for b in blocks])


def pictures():
    """Dark, with a green patch where the label is 1: what the planted model knows."""
    drawn = 0.2 * np.random.default_rng(0).random((30, 32, 32, 3), dtype="float32")
    drawn[LABELS == 1, 10:24, 10:24, 1] = 1
    return drawn


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of the planted model, measured in parts of 16 + 14 images."""
    made = factories.run(tmp_path_factory.mktemp("run"), known())
    ticks = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "AT_ONCE", 16)
        measuring.measure(made, pictures(), LABELS, KINDS, count=30, tick=ticks.append)
    assert ticks == [f"{made.label}, {kind}" for kind in KINDS for _ in range(2)]
    return made


def test_every_measure_is_that_of_focus_on_maps_of_one_grid(measured):
    """Fails if parts slip, if a measure takes another's place, or if maps are normalised or of another grid."""
    found = measurements.read(measured)
    assert {name for name in found if "/" not in name} == {"mosaic_right"}
    network, images = known(), pictures()
    shown = on_cells(methods.evidence(network, images, LABELS))

    def predict(x):
        return np.asarray(network(x))

    mosaics, quarter, _ = measures.mosaics(images, LABELS)
    there = on_cells(methods.evidence(network, mosaics, LABELS))
    deletion, insertion = measures.deletion_and_insertion(predict, images, LABELS, shown)
    expected = {
        "border": measures.border_share(shown),
        "pointing": measures.pointing(there, quarter),
        "deletion": deletion,
        "insertion": insertion,
    }
    for name, values in expected.items():
        some = LABELS == 1  # an empty map is taken away by lot, part by part
        np.testing.assert_allclose(found[f"gradcam/{name}"][some], values[some], atol=2e-3, err_msg=name)
    assert np.isnan(found["gradcam/border"][LABELS == 2]).all()  # green speaks against class 2: the map is empty
    one = {name: values[LABELS == 1].mean() for name, values in found.items() if "/" in name}
    assert one["gradcam/road"] > 0.05 > one["random/road"]
    assert one["gradcam/background"] == 1.0  # the patch stays
    assert "random/likeness" not in found and np.isfinite(found["saliency/likeness"][LABELS == 1]).all()
    assert found["mosaic_right"].shape == (30,)


def test_every_measure_has_its_own_name(model, tmp_path):
    """Fails if two measures are exchanged, or one is given the maps or images of another."""
    made, images = factories.run(tmp_path, model), np.random.default_rng(0).random((30, 32, 32, 3), dtype="float32")
    measuring.measure(made, images, LABELS, ["saliency"], count=30)
    found = measurements.read(made)

    def predict(x):
        return np.asarray(model(x))

    maps = measuring._maps(model, images, LABELS, "saliency")
    again = measuring._maps(model, measures.masked(images, maps), LABELS, "saliency")
    coherency, complexity = measures.coherency(maps, again), measures.complexity(maps)
    drop, increase, gain = measures.drop_increase_gain(predict, images, LABELS, maps)
    expected = {
        "complexity": complexity,
        "sparseness": measures.sparseness(maps),
        "coherency": coherency,
        "drop": drop,
        "increase": increase,
        "gain": gain,
        "adcc": measures.adcc(coherency, complexity, drop),
        "arcc": measures.arcc(coherency, complexity, found["saliency/road"].astype("float64")),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[f"saliency/{name}"], values, atol=2e-3, err_msg=name)
    means = [np.nanmean(values) for values in expected.values()]
    assert np.diff(sorted(means)).min() > 4e-3  # no two are alike
    mosaics, *_ = measures.mosaics(images, LABELS)
    np.testing.assert_array_equal(found["mosaic_right"], predict(mosaics).argmax(axis=1) == LABELS)


@pytest.mark.filterwarnings("ignore:An input array is constant")  # an empty map: NaN
def test_sanity_checks_are_of_other_weights_and_of_noise(measured):
    """Fails if a map, the noise's radius or the average over noisy copies is another. Only the first part has noise."""
    images, labels = pictures()[:16], LABELS[:16]
    trained = known()
    keras.utils.set_random_seed(0)
    fresh = keras.models.clone_model(trained)  # which initialises its weights

    def shown(network, pictures=images, labels=labels):
        return on_cells(methods.evidence(network, pictures, labels, method="saliency"))

    def copies(network, radius):
        return np.array([shown(network, measures.noisy(images, radius, seed)) for seed in range(4)])

    def ranked(a, b):
        return [stats.spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]

    maps = shown(trained)
    length = np.sqrt((maps**2).sum(axis=(1, 2)))
    length[length == 0] = np.nan  # an empty map
    change = np.sqrt(((copies(trained, 0.02) - maps) ** 2).sum(axis=(2, 3)))
    expected = {
        "likeness": ranked(maps, shown(fresh)),
        "smooth_likeness": ranked(copies(trained, 0.2).mean(axis=0), copies(fresh, 0.2).mean(axis=0)),
        "sensitivity": change.max(axis=0) / length,
    }
    found = measurements.read(measured)
    for name, values in expected.items():
        assert np.ptp(np.nan_to_num(values)) > 0.01, name
        np.testing.assert_allclose(found[f"saliency/{name}"][:16], values, atol=2e-3, err_msg=name)
    assert np.nanmin(expected["likeness"]) < 0.9  # the other weights give other maps
    assert np.isnan(found["saliency/sensitivity"][16:]).all()


def test_the_other_class_is_another_one_for_each_image(model):
    """Fails if it can be the image's own, for which each map is as its own, or if all images get the same step."""
    images = np.random.default_rng(2).random((20, 32, 32, 3), dtype="float32")
    labels = np.arange(20) % 10
    of_class = np.array([measuring._maps(model, images, (labels + step) % 10, "saliency") for step in range(10)])
    found = measuring._sanity(model, model, images, labels, kind="saliency", maps=of_class[0], noise=False)
    likeness = np.array([measures.likeness(of_class[0], maps) for maps in of_class])
    steps = np.abs(likeness - found["other_class"]).argmin(axis=0)
    assert likeness[steps, np.arange(20)] == pytest.approx(found["other_class"], abs=1e-6)
    assert (found["other_class"] < 0.99).all() and len(set(steps)) > 3
    assert found["likeness"] == pytest.approx(1)  # the same weights


def test_nothing_is_measured_twice_and_more_is_added(measured, monkeypatch, tmp_path):
    measured = records.read(Path(shutil.copytree(measured.folder, tmp_path / "copy")))
    before = measurements.read(measured)
    assert measuring.missing(measured, KINDS, 30) == [] and measuring.missing(measured, KINDS, 31) == list(KINDS)
    assert measuring.missing(measured, ["layercam", "random"], 30) == ["layercam"]
    monkeypatch.setattr(measuring, "_measured", lambda *_, **__: pytest.fail("measured again"))
    measuring.measure(measured, pictures(), LABELS, KINDS, count=30)
    monkeypatch.undo()
    measuring.measure(measured, pictures(), LABELS, ["layercam"], count=20)
    after = measurements.read(measured)
    assert set(after) - set(before) == {f"layercam/{measure}" for measure in measuring.MEASURES}
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    assert len(after["layercam/road"]) == 20


def test_two_commands_at_once_lose_nothing(tmp_path, monkeypatch):
    """Fails if a command that began earlier writes back the kinds of map that it had read then."""
    monkeypatch.setattr(measuring, "AT_ONCE", 16)
    made, others = factories.run(tmp_path, known()), []

    def other_command(tick):
        if not others:
            others.append(tick)
            measuring.measure(made, pictures(), LABELS, ["random"], count=30)

    measuring.measure(made, pictures(), LABELS, ["gradcam"], count=15)
    measuring.measure(made, pictures(), LABELS, ["gradcam", "centred"], count=30, tick=other_command)
    assert measuring.missing(made, ["gradcam", "centred", "random"], 30) == []


def test_an_interruption_loses_only_the_images_at_hand(measured, monkeypatch, tmp_path):
    """Fails if a kind of map starts again from its first image, or if the parts do not fit together."""
    again = factories.run(tmp_path, known())
    monkeypatch.setattr(measuring, "AT_ONCE", 16)
    monkeypatch.setattr(measuring, "SAVED_EVERY", 0)
    calls, of_part = [], measuring._measured

    def interrupted(*words, kind, part):
        calls.append((kind, part.start))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return of_part(*words, kind=kind, part=part)

    monkeypatch.setattr(measuring, "_measured", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measuring.measure(again, pictures(), LABELS, KINDS, count=30)
    ticks = []
    measuring.measure(again, pictures(), LABELS, KINDS, count=30, tick=ticks.append)
    assert calls[:4] == [(KINDS[0], 0), (KINDS[0], 16), (KINDS[0], 16), (KINDS[1], 0)]
    assert len(ticks) == 2 * len(KINDS)  # those of parts that are known count, or the time left would be wrong
    whole, found = measurements.read(measured), measurements.read(again)
    assert found.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(found[name], values)


def test_another_runs_file_and_a_damaged_one_are_refused(measured, tmp_path):
    other = factories.run(tmp_path / "other", known(), seed=1)
    assert measurements.read(other) == {}
    (other.folder / measurements.FOCUS).write_bytes((measured.folder / measurements.FOCUS).read_bytes())
    with pytest.raises(UserError, match=r"focus\.npz belongs to another run"):
        measurements.read(other)
    (other.folder / measurements.FOCUS).write_bytes((measured.folder / measurements.FOCUS).read_bytes()[:500])
    with pytest.raises(UserError, match=r"focus\.npz is damaged"):
        measurements.read(other)


def test_published_measurements_belong_to_their_runs_and_cover_all_images():
    """Each published measurement belongs to its run, and covers every test image."""
    found = [measurements.read(record) for record in records.list_records(records.PUBLISHED)]
    assert any(found)
    for values in filter(None, found):
        assert {(each.dtype, len(each)) for each in values.values()} == {(np.dtype("float16"), 10_000)}
