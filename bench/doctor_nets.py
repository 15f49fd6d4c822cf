"""Three small networks for the doctor's cases, their data, and a brief training of them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

CLASSES, SIDE, BATCH, BATCHES = 4, 8, 32, 4
SIZES = ("mlp", "cnn", "residual")
Loader = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """Two convolutions around which the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(y)))


def mlp() -> nn.Sequential:
    sizes, layers = [3 * SIDE * SIDE, 32, 32, 32], [nn.Flatten()]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, bias=False), nn.BatchNorm1d(fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, CLASSES))


def cnn() -> nn.Sequential:
    widths, layers = [3, 16, 16, 16], []
    for fan_in, fan_out in pairwise(widths):
        conv = nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES))


def residual() -> nn.Sequential:
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES)]
    return nn.Sequential(*stem, Block(16), nn.MaxPool2d(2), Block(16), *head)


NETS = {"mlp": mlp, "cnn": cnn, "residual": residual}


def make(size: str) -> nn.Module:
    torch.manual_seed(0)
    return NETS[size]()


def data(batch: int = BATCH, batches: int = BATCHES, side: int = SIDE, classes: int = CLASSES):
    """Noise on a pattern of each class, in shuffled batches."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.randn(classes, 3, side, side, generator=generator)
    labels = torch.randint(classes, (batch * batches,), generator=generator)
    images = patterns[labels] + torch.randn(len(labels), 3, side, side, generator=generator)
    return list(zip(images.split(batch), labels.split(batch), strict=True))


def first(output: object) -> Tensor:
    """Logits, also of the models that return more in training."""
    return output if isinstance(output, Tensor) else output[0]


def train(model: nn.Module, loader: Loader, steps: int = 24, lr: float = 0.05) -> nn.Module:
    """A brief training by SGD, after which the statistics are those of the weights."""
    optimizer = torch.optim.SGD(model.parameters(), lr)
    model.train()
    for step in range(steps):
        x, y = loader[step % len(loader)]
        optimizer.zero_grad()
        F.cross_entropy(first(model(x)), y).backward()
        optimizer.step()
    optimizer.zero_grad()
    update_bn([x for x, _ in loader], model)
    return model


def norms(model: nn.Module) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """The batch normalizations by name."""
    kind = nn.modules.batchnorm._BatchNorm
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}


def place(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that holds a layer, and under which name."""
    parent, _, child = name.rpartition(".")
    return model.get_submodule(parent), child


class Sequences(nn.Module):
    """Words, embedded and mixed, with the features normalized over batch and positions."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.words = nn.Embedding(50, width, padding_idx=0)
        self.mix = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.norm = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x)  # (N, L, C)
        for mix, norm in zip(self.mix, self.norm, strict=True):
            x = F.relu(norm(mix(x).transpose(1, 2)).transpose(1, 2))
        return self.head(x.mean(1))


def sentences(padded: bool) -> Loader:
    """Sentences of 5 to 12 words, or all of 12."""
    generator = torch.Generator().manual_seed(2)
    words = torch.randint(1, 50, (BATCH * BATCHES, 12), generator=generator)
    lengths = torch.randint(5, 13, (len(words), 1), generator=generator)
    if padded:
        words = torch.where(torch.arange(12) < lengths, words, 0)
    labels = words[:, 0] % CLASSES
    return list(zip(words.split(BATCH), labels.split(BATCH), strict=True))
