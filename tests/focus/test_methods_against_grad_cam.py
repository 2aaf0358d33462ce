"""Grad-CAM and ROAD agree with the grad-cam package (PyTorch) on the same weights; `make test-all` runs it."""

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


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")  # within that package
def test_road_is_theirs(network, twin):
    """But for the noise that both add; fails if an order, a share or the weights are others."""
    from pytorch_grad_cam.metrics.road import ROADCombined
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    shown = np.random.default_rng(2).random((12, 32, 32)).astype("float32")
    targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in LABELS]
    x = torch.tensor(images().transpose(0, 3, 1, 2))
    torch.manual_seed(0)  # of their noise, which makes up to 0.01 in all
    theirs = ROADCombined(percentiles=[20, 40, 60, 80])(x, shown, targets, twin)

    def predict(pictures):
        return network.predict(pictures, verbose=0)

    ours = measures.road(predict, images(), LABELS, shown)
    assert np.ptp(ours) > 0.1 and np.corrcoef(ours, theirs)[0, 1] > 0.99
    np.testing.assert_allclose(ours, theirs, atol=0.01)
