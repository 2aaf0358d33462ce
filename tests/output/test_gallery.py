"""The gallery has images that the models get right and wrong, and leaves out a model that cannot be explained."""

import factories
import keras
import numpy as np
import pytest

from kerascifar.focus import methods
from kerascifar.images import cifar10
from kerascifar.output import gallery
from kerascifar.runs import records
from kerascifar.training import models


@pytest.fixture(scope="module")
def dataset(shapes):
    return cifar10.load(shapes)


def test_the_gallery_also_has_the_first_image_of_a_class_that_each_row_predicts_wrong(dataset):
    """Fails if "predicted wrong" has nothing to show where the first images of a class are all right."""

    class Guesses:
        """Right, but for class 3 from image `first` on."""

        def __init__(self, first):
            self.first = first

        def __call__(self, images, training):
            guesses = [label for label in range(10) for _ in range(min(counts[label], gallery.SEARCHED))]
            assert len(guesses) == len(images)
            from_here = guesses.index(3) + self.first
            guesses[from_here : guesses.index(4)] = [9] * (guesses.index(4) - from_here)
            return np.eye(10)[guesses]

    validation = np.sort(cifar10.split(dataset.labels)[1])
    counts = np.bincount(dataset.labels[validation], minlength=10)
    of_three = validation[dataset.labels[validation] == 3]
    indices = gallery.chosen([Guesses(5), Guesses(7)], dataset)
    assert indices[dataset.labels[indices] == 3].tolist() == [*of_three[: gallery.EACH], of_three[5], of_three[7]]
    assert len(indices) == 10 * gallery.EACH + 2


def test_a_model_that_is_damaged_or_diverged_is_left_out_of_the_gallery(dataset, tmp_path, capsys):
    of_shapes = {"name": "synthetic shapes", "class_names": list(dataset.class_names), **dataset.fingerprint}
    factories.run(tmp_path / "M6", row={"name": "M6"}, dataset=of_shapes)
    (tmp_path / "M6" / records.MODEL).write_bytes(b"no zip")
    diverged = models.build("model4")
    diverged.set_weights([np.full_like(w, np.nan) for w in diverged.get_weights()])
    row = {"name": "Model4", "model": "model4"}
    factories.run(tmp_path / "Model4", row=row, experiment="experiment2", dataset=of_shapes)
    diverged.save(tmp_path / "Model4" / records.MODEL)
    assert gallery.gallery([records.read(tmp_path / "M6"), records.read(tmp_path / "Model4")], dataset) is None
    assert capsys.readouterr().err.count("Left out of the gallery") == 2


@pytest.mark.slow
def test_a_run_in_half_precision_is_in_the_gallery(dataset, tmp_path, capsys):
    """Fails if its weights are read as another type, or given to a method that multiplies them with float32."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = models.build("model4")
    finally:
        keras.config.set_dtype_policy("float32")
    where = {"name": "CIFAR-10", "class_names": list(dataset.class_names), **dataset.fingerprint}
    row = {"name": "Model4", "model": "model4", "precision": "mixed_bfloat16"}
    run = factories.run(tmp_path / "Model4", network, row=row, experiment="experiment2", dataset=where)
    made = gallery.gallery([run], dataset)
    assert [row["name"] for row in made["rows"]] == ["Model4 seed 0"] and capsys.readouterr().err == ""
    assert [any(maps) for maps in made["rows"][0]["maps"]] == [True] * len(methods.METHODS)
