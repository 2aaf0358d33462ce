"""Grad-CAM and measures agree with the grad-cam package (PyTorch) on the same weights; `make test-all` runs it."""

import pytest

# Before TensorFlow: a build of PyTorch for GPUs, loaded after it, crashes.
pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("pytorch_grad_cam", reason="needs grad-cam", exc_type=ImportError)

import keras
import numpy as np
import pytorch_grad_cam as grad_cam
import torch

from kerascifar.focus import measures, methods
from kerascifar.training import models

LABELS = np.arange(12) % 10
SHOWN = np.random.default_rng(2).random((12, 32, 32)).astype("float32")
SHOWN /= SHOWN.max(axis=(1, 2), keepdims=True)  # the package takes the maps as they are


def images():
    """Smooth pictures, as photographs are."""
    drawn = np.random.default_rng(0).random((12, 8, 8, 3), dtype="float32").repeat(4, 1).repeat(4, 2)
    return np.clip(drawn + np.random.default_rng(1).normal(0, 0.05, drawn.shape), 0, 1).astype("float32")


class Twin(torch.nn.Module):
    """Model1 in PyTorch, with the weights of a Keras model."""

    def __init__(self, network):
        super().__init__()
        self.convolutions = torch.nn.ModuleList()
        self.dense = torch.nn.ModuleList()
        for layer in network.layers:
            if isinstance(layer, keras.layers.Conv2D):
                kernel, bias = layer.get_weights()
                made = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
                made.weight.data, made.bias.data = torch.tensor(kernel.transpose(3, 2, 0, 1)), torch.tensor(bias)
                # Keras's layer ends with its ReLU: that is what a focus map is of.
                self.convolutions.append(torch.nn.Sequential(made, torch.nn.ReLU()))
            if isinstance(layer, keras.layers.Dense):
                kernel, bias = layer.get_weights()
                made = torch.nn.Linear(*kernel.shape)
                made.weight.data, made.bias.data = torch.tensor(kernel.T), torch.tensor(bias)
                self.dense.append(made)

    def forward(self, x):
        for layer in self.convolutions:
            x = torch.nn.functional.max_pool2d(layer(x), 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        for layer in self.dense[:-1]:
            x = torch.relu(layer(x))
        return self.dense[-1](x)


@pytest.fixture(scope="module")
def network():
    """Model1 with random weights, forty times as large in the last layer, so that it is sure of something."""
    keras.utils.set_random_seed(0)
    made = models.build("model1")
    made.layers[-1].set_weights([40 * w for w in made.layers[-1].get_weights()])
    return made


@pytest.fixture(scope="module")
def twin(network):
    made = Twin(network).eval()
    with torch.no_grad():
        logits = made(torch.tensor(images().transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(logits, network.predict(images(), verbose=0), atol=1e-4)
    return made


def test_grad_cam_is_theirs(network, twin):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class OnItsGrid(grad_cam.GradCAM):
        """Without the package's own way to enlarge a map."""

        def get_target_width_height(self, _):
            return 8, 8

    targets = [ClassifierOutputTarget(int(label)) for label in LABELS]
    theirs = OnItsGrid(twin, [twin.convolutions[-1]])(torch.tensor(images().transpose(0, 3, 1, 2)), targets)
    np.testing.assert_allclose(theirs, methods._stretched(methods.evidence(network, images(), LABELS)), atol=1e-4)


@pytest.fixture
def predict(network):
    return lambda pictures: network.predict(pictures, verbose=0)


@pytest.fixture
def explain(network):
    return lambda pictures: methods.on_image(network, methods.evidence(network, pictures, LABELS))


@pytest.fixture
def without_noise(monkeypatch):
    """ROAD without the noise that the package and we add to filled-in pixels."""
    monkeypatch.setattr(measures, "NOISE", 0)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)


def score(metric, twin, **given):
    """What a metric of the package finds for `SHOWN`, of the label's probability."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in LABELS]
    return metric(torch.tensor(images().transpose(0, 3, 1, 2)), SHOWN, targets, twin, **given)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")  # within that package
def test_road_is_theirs(predict, twin, without_noise):
    """Fails if an order, a share or the weights are others."""
    from pytorch_grad_cam.metrics.road import ROADCombined

    theirs = score(ROADCombined(percentiles=[20, 40, 60, 80]), twin)
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(measures.road(predict, images(), LABELS, SHOWN), theirs, atol=1e-4)


def test_drop_and_increase_are_theirs(predict, twin):
    """Their drop is a difference of probabilities, ours a share of the whole image's."""
    from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence

    drop, increase, _ = measures.drop_increase_gain(predict, images(), LABELS, SHOWN)
    whole = measures.probability(predict, images(), LABELS)
    assert 0 < increase.sum() < 12 and np.ptp(drop) > 0.1
    np.testing.assert_allclose(drop * whole, score(DropInConfidence(), twin), atol=1e-4)
    np.testing.assert_array_equal(increase, score(IncreaseInConfidence(), twin))


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
def test_arcc_and_its_parts_are_theirs(predict, explain, twin, without_noise):
    """But for an empty map, whose coherency is 0.5 there and NaN here."""
    from pytorch_grad_cam.metrics import arcc

    def explain_tensor(input_tensor, targets):
        return explain(input_tensor.numpy().transpose(0, 2, 3, 1))

    complexity = measures.complexity(SHOWN)
    np.testing.assert_allclose(complexity, arcc.Complexity()(SHOWN), atol=1e-6)
    coherency = np.nan_to_num(measures.coherency(SHOWN, explain(measures.masked(images(), SHOWN))), nan=0.5)
    theirs = score(arcc.Coherency(), twin, base_method=explain_tensor)
    assert np.ptp(theirs) > 0.01
    np.testing.assert_allclose(coherency, theirs, atol=1e-4)
    together = measures.arcc(coherency, complexity, measures.road(predict, images(), LABELS, SHOWN))
    theirs = score(arcc.ARCC(explain_tensor), twin)
    assert (theirs > 0.1).any() and (theirs < 1e-6).any()
    np.testing.assert_allclose(together, theirs, atol=1e-4)
