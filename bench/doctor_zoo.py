"""torchvision's architectures with random weights: healthy models, with nothing to be found."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from bench.doctor_nets import Loader, data, first, train
from bnkit.doctor import Report, examine

ZOO = (
    "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "resnet18", "mobilenet_v2",
    "regnet_y_400mf", "regnet_x_400mf", "mobilenet_v3_large", "mnasnet1_0", "shufflenet_v2_x1_0",
    "efficientnet_b0", "efficientnet_b1", "mnasnet0_75", "resnet34", "resnet50", "googlenet",
    "shufflenet_v2_x1_5", "densenet121", "regnet_y_800mf", "inception_v3", "vgg11_bn",
    "regnet_x_800mf", "convnext_tiny", "swin_t",
)  # fmt: skip
LARGER = {"inception_v3": 96}  # pixels; the others take 64
OPTIONS = {  # initialization takes half a minute; inception's second head needs 128 pixels
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False, "aux_logits": False},
}
CLASSES, BATCH, STEPS = 10, 16, 4
LONGER = ("mobilenet_v3_small", "shufflenet_v2_x0_5", "resnet18")  # trained until they have learned
LONG, LONG_LR = 60, 0.05


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return getattr(models, name)(num_classes=CLASSES, **OPTIONS.get(name, {}))


def images(name: str, batch: int = BATCH, batches: int = 4) -> Loader:
    return data(batch, batches, side=LARGER.get(name, 64), classes=CLASSES)


def situations(name: str, steps: int = STEPS) -> Iterator[tuple[str, Report, float]]:
    """As built; after a brief training, evaluating and training; each with its CPU seconds."""
    model, loader = build(name), images(name)
    yield ("as built", *timed(model))
    train(model, loader, steps, lr=0.01)
    yield from used(model, loader)


def used(model: nn.Module, loader: Loader) -> Iterator[tuple[str, Report, float]]:
    """A trained model in evaluation mode, and in training mode with its optimizer."""
    yield ("evaluating", *timed(model.eval(), loader))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    yield ("training", *timed(model.train(), loader, optimizer))


@torch.no_grad()
def right(model: nn.Module, loader: Loader) -> float:
    """Percent of the images that it classifies rightly in evaluation mode."""
    model.eval()
    hits = [(first(model(x)).argmax(1) == y).float().mean().item() for x, y in loader]
    return 100 * sum(hits) / len(hits)


def timed(model: nn.Module, *brought: object) -> tuple[Report, float]:
    start = time.process_time()
    report = examine(model, *brought)
    return report, time.process_time() - start


def passes(model: nn.Module, loader: Loader) -> float:
    """CPU seconds of as many forward and backward passes."""
    start = time.process_time()
    for x, y in loader:
        loss = F.cross_entropy(first(model(x)), y)
        loss.backward()
    elapsed = time.process_time() - start
    model.zero_grad()
    return elapsed


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
