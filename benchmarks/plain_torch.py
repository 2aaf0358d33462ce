"""One row as a user of PyTorch would write it: images in memory, rotation and mirroring by the batch, channels last.

Prints the seconds of each epoch and the peak of memory, as JSON.
"""

import copy
import math
import os
import tempfile
import time

import measured

arguments = measured.arguments()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def conv(inputs: int, outputs: int, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU(inplace=True)]


def model1() -> nn.Sequential:
    f, d = row.model_options["filters"], row.model_options["dense"]
    padding = {"same": 1, "valid": 0}[row.model_options["padding"]]
    layers, side = [], 32
    for inputs, outputs in ((3, f[0]), (f[0], f[1]), (f[1], f[2])):
        layers += [*conv(inputs, outputs, padding), nn.MaxPool2d(2)]
        side = (side - 2 + 2 * padding) // 2
    hidden = [nn.Linear(side**2 * f[2], d[0]), nn.ReLU(), nn.Linear(d[0], d[1]), nn.ReLU(), nn.Linear(d[1], 10)]
    return nn.Sequential(*layers, nn.Flatten(), *hidden)


def model4() -> nn.Sequential:
    rate = row.model_options["dropout"]
    return nn.Sequential(
        *(*conv(3, 64), nn.Dropout(rate)),
        *(*conv(64, 32), nn.BatchNorm2d(32), nn.Dropout(rate)),
        *(*conv(32, 32), nn.MaxPool2d(2)),
        *(*conv(32, 16), nn.MaxPool2d(2), nn.BatchNorm2d(16)),
        *(*conv(16, 16, padding=0), nn.Flatten(), nn.Linear(576, 10)),
    )


def augmented(x: torch.Tensor) -> torch.Tensor:
    """Rotation by up to ±15° and mirroring with probability ½, by the nearest pixel, corners filled with 0."""
    angle = (torch.rand(len(x)) * 2 - 1) * math.radians(row.augmentation["rotation_range"])
    mirror = 1.0 - 2.0 * (torch.rand(len(x)) < 0.5)
    zero = torch.zeros(len(x))
    matrix = (
        torch.stack([torch.cos(angle) * mirror, -torch.sin(angle), zero], 1),
        torch.stack([torch.sin(angle) * mirror, torch.cos(angle), zero], 1),
    )
    grid = F.affine_grid(torch.stack(matrix, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def signed(x: torch.Tensor) -> torch.Tensor:
    """Pixels in −1..1."""
    return x * 2 - 1


row, images, labels, split = measured.row_and_data(arguments)
images = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)  # NHWC in memory: channels last
labels, train, validation = torch.from_numpy(labels.copy()), torch.from_numpy(split[0]), torch.from_numpy(split[1])
torch.manual_seed(0)
model = {"model1": model1, "model4": model4}[row.model]().to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), lr=row.learning_rate)
lowest, waited, ends = math.inf, 0, []
checkpoint = os.path.join(tempfile.mkdtemp(), "best.pt")
began = time.perf_counter()
for _ in range(arguments.epochs):
    model.train()
    for chosen in train[torch.randperm(len(train))].split(row.batch_size):
        x = images[chosen].float().div_(255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=row.precision == "mixed_bfloat16"):
            loss = F.cross_entropy(model(signed(augmented(x) if row.augment else x)), labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for chosen in validation.split(1000):
            x = images[chosen].float().div_(255).contiguous(memory_format=torch.channels_last)
            total += F.cross_entropy(model(signed(x)), labels[chosen], reduction="sum").item()
    if total < lowest:
        lowest, waited, best = total, 0, copy.deepcopy(model.state_dict())
        torch.save(best, checkpoint)
    elif (waited := waited + 1) >= row.patience:
        break
    ends.append(time.perf_counter())
measured.report(began, ends)
