"""Time inference before and after folding: `python -m bench.folding SECONDS`."""

from __future__ import annotations

import copy
import json
import sys

import torch
from torch import nn

from bench.timing import fresh_runs, interleaved
from bnkit import layers
from bnkit.functional import fold_batch_norm

BATCH_SIZES = (1, 64)


def measure(seconds: float = 1.5, runs: int = 3) -> list[dict]:
    """Rows with net, batch and times in microseconds: unfolded with either layer, folded."""
    return fresh_runs("bench.folding", runs, str(seconds))


def linear_net(norm: type[nn.Module]) -> nn.Sequential:
    """The reference network of the book, flat."""
    return nn.Sequential(nn.Linear(784, 128), norm(128), nn.ReLU(), nn.Linear(128, 10))


def cnn(norm: type[nn.Module]) -> nn.Sequential:
    """Two convolutions, each with its batch norm."""
    first = [nn.Conv2d(1, 16, 3, padding=1), norm(16), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1), norm(32), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


NETS = {
    "linear net": (linear_net, nn.BatchNorm1d, layers.BatchNorm1d, (784,)),
    "CNN": (cnn, nn.BatchNorm2d, layers.BatchNorm2d, (1, 28, 28)),
}


def folded(net: nn.Sequential) -> nn.Sequential:
    """A copy in which each batch norm has gone into the layer before it."""
    merged: list[nn.Module] = []
    for module in copy.deepcopy(net):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            merged[-1] = fold_batch_norm(merged[-1], module)
        else:
            merged.append(module)
    return nn.Sequential(*merged).eval()


def row_of(name: str, batch: int, seconds: float) -> dict:
    make, torch_norm, bnkit_norm, shape = NETS[name]
    torch.manual_seed(0)
    unfolded, x = make(torch_norm), torch.randn(batch, *shape)
    unfolded(torch.randn(64, *shape))  # one training step's statistics
    ours = make(bnkit_norm)
    ours.load_state_dict(unfolded.state_dict())
    nets = {"torch": unfolded.eval(), "bnkit": ours.eval(), "folded": folded(unfolded)}
    with torch.inference_mode():
        for net in nets.values():
            torch.testing.assert_close(net(x), unfolded(x), rtol=1e-4, atol=1e-5)
        times = interleaved({key: lambda net=net: net(x) for key, net in nets.items()}, seconds)
    return {"net": name, "batch": batch, "times": times}


if __name__ == "__main__":
    rows = [row_of(name, batch, float(sys.argv[1])) for name in NETS for batch in BATCH_SIZES]
    print(json.dumps(rows))
