"""A picture says what the model predicts, and refuses a model that diverged."""

import factories
import numpy as np
import pytest

from kerascifar.common.errors import UserError
from kerascifar.focus import pictures
from kerascifar.images import cifar10


def test_the_prediction_is_the_softmax_of_the_logits():
    """Class 3 has the logit 9, the others 0 (nothing is green): e⁹ / (e⁹ + 9) = 0.99889…"""
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    words = (pixels, [1, None], ["one", "two"])
    focuses = pictures.explain(factories.planted(), *words, class_names=cifar10.CLASS_NAMES, truths=[3, 5])
    assert [f.explained for f in focuses] == ["automobile", "cat"]
    assert [f.predicted for f in focuses] == ["cat", "cat"]
    assert [f.source for f in focuses] == ["one", "two"]
    assert [f.is_wrong for f in focuses] == [False, True]
    assert focuses[0].probability == pytest.approx(np.exp(9) / (np.exp(9) + 9), rel=1e-6)


def test_a_diverged_model_is_not_explained():
    network = factories.planted()
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
    with pytest.raises(UserError, match="numbers that are not finite: its training diverged"):
        pictures.explain(network, np.zeros((1, 32, 32, 3), np.uint8), [None], ["x"], class_names=cifar10.CLASS_NAMES)
