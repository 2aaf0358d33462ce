"""Loss and accuracy, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from kerascifar.training import evaluate


def test_loss_and_accuracy_of_three_images():
    """Logits 0 everywhere give ln 10; a logit of ln 9 above nine zeros gives probability 1/2, that is ln 2."""
    logits = np.zeros((3, 10), "float32")
    logits[1, 4] = logits[2, 4] = math.log(9)
    judged = evaluate.score(logits, np.array([1, 4, 5]))
    # The third image's label has probability 1/18.
    assert judged.loss == pytest.approx((math.log(10) + math.log(2) + math.log(18)) / 3, rel=1e-6)
    assert judged.accuracy == pytest.approx(1 / 3)
    assert judged.per_class[4] == 1.0 and judged.per_class[5] == 0.0 and math.isnan(judged.per_class[9])


def test_large_logits_do_not_overflow():
    logits = np.zeros((1, 10), "float32")
    logits[0, 2] = 3e4
    assert evaluate.score(logits, np.array([3])).loss == pytest.approx(3e4)
