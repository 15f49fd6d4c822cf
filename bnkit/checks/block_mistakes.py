"""Known mistakes in residual blocks and in copies with new statistics, as data."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from bnkit.checks.exercise import Mistake

__all__ = ["CLOSE_DOORS", "REESTIMATED", "SKIP_BLOCK"]

DEPTH = "10_why_it_works.ipynb#Depth: where the layer makes trouble"
RESNET = "14_architectures.ipynb#A small ResNet with `BatchNorm2d`"
PLACE = "14_architectures.ipynb#Before or after the addition"
FREEZING = "11_batch_size.ipynb#Freezing batch normalization when fine-tuning"
AVERAGE = "03_two_modes.ipynb#`momentum=None`: a plain average"
EVAL = "03_two_modes.ipynb#What the layer computes in eval mode"


def _block(compute: Callable) -> type[nn.Module]:
    """A block with the right layers that computes something else of them."""

    class Skip(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)

        def forward(self, h):
            return compute(h, self.linear, self.norm)

    return Skip


class _NoNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, h):
        return h + self.linear(h.relu())


SKIP_BLOCK = [
    Mistake(
        "skip connection missing", "skip_block",
        _block(lambda h, linear, norm: norm(linear(h.relu()))),
        "Set the weight and the bias of your normalization to 0. What should be left?", DEPTH,
    ),
    Mistake(
        "ReLU missing", "skip_block", _block(lambda h, linear, norm: h + norm(linear(h))),
        "Feed an h that is negative everywhere. What does the branch see of it?", DEPTH,
    ),
    Mistake(
        "ReLU on the skip path too", "skip_block",
        _block(lambda h, linear, norm: h.relu() + norm(linear(h.relu()))),
        "Can the value that your block adds to be negative?", DEPTH,
    ),
    Mistake(
        "ReLU after the addition", "skip_block",
        _block(lambda h, linear, norm: (h + norm(linear(h))).relu()),
        "In which order do h, the matrix and the ReLU meet in the formula?", PLACE,
        (_block(lambda h, linear, norm: (h + norm(linear(h.relu()))).relu()),),
    ),
    Mistake(
        "ReLU at the end of the branch", "skip_block",
        _block(lambda h, linear, norm: h + norm(linear(h)).relu()),
        "Can your branch ever subtract something from h?", DEPTH,
    ),
    Mistake(
        "normalized before the matrix", "skip_block",
        _block(lambda h, linear, norm: h + linear(norm(h.relu()))),
        "What is the innermost operation of the formula, and what the outermost before the sum?",
        PLACE, (_block(lambda h, linear, norm: h + linear(norm(h).relu())),),
    ),
    Mistake(
        "normalized after the addition", "skip_block",
        _block(lambda h, linear, norm: norm(h + linear(h.relu()))),
        "Is the h that is added normalized, or as it came?", PLACE,
    ),
    Mistake(
        "normalization missing", "skip_block", _NoNorm,
        "Print your block. Which two layers should it hold?", DEPTH,
    ),
]  # fmt: skip


def _each(change: Callable, blocks: Callable = lambda net: net.modules()) -> Callable:
    """Change every module that has a branch."""

    def close(net):
        for module in blocks(net):
            if hasattr(module, "branch"):
                change(module.branch)

    return close


def _all_norms(net):
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.zeros_(module.weight)


def _frozen(branch):
    nn.init.zeros_(branch[-1].weight).requires_grad_(False)


def _both(branch):
    nn.init.zeros_(branch[-1].weight)
    nn.init.zeros_(branch[-1].bias)


CLOSE_DOORS = [
    Mistake(
        "every normalization closed", "close_doors", _all_norms,
        "With γ = 0 in the stem, what reaches the first block? Which layers did you mean?", RESNET,
        (_each(lambda branch: _all_norms(branch)),),
    ),
    Mistake(
        "the first normalization of the branch", "close_doors",
        _each(lambda branch: nn.init.zeros_(branch[1].weight)),
        "A branch holds two normalizations. Behind which one does nothing of the branch follow?",
        RESNET,
    ),
    Mistake(
        "bias in place of weight", "close_doors",
        _each(lambda branch: nn.init.zeros_(branch[-1].bias)),
        "Which of the two parameters multiplies x_hat?", RESNET,
    ),
    Mistake(
        "bias closed too", "close_doors", _each(_both),
        "β may start anywhere. Which one number makes the branch forget its input?", RESNET,
    ),
    Mistake(
        "weight frozen", "close_doors", _each(_frozen),
        "A closed door should be able to open. Does the weight still get a gradient?", RESNET,
    ),
    Mistake(
        "inner blocks missed", "close_doors",
        _each(lambda branch: nn.init.zeros_(branch[-1].weight), lambda net: net.children()),
        "A block may lie inside a Sequential inside the network. Does your loop get there?", RESNET,
    ),
    Mistake(
        "convolution in place of normalization", "close_doors",
        _each(lambda branch: nn.init.zeros_(branch[-2].weight)),
        "Print the last two layers of the branch. Which of them did you set to 0?", RESNET,
    ),
]  # fmt: skip


def _copied(
    copies: bool = True,
    layers: Callable = lambda net: net.modules(),
    reset: bool = True,
    momentum: float | None = None,
    train: bool = True,
) -> Callable:
    """A re-estimation with one of its steps left out."""

    def reestimated(net, batches):
        net = copy.deepcopy(net) if copies else net
        for layer in layers(net):
            if isinstance(layer, nn.BatchNorm1d):
                if reset:
                    layer.reset_running_stats()
                layer.momentum = momentum
        net.train(train)
        with torch.no_grad():
            for x in batches:
                net(x)
        return net

    return reestimated


REESTIMATED = [
    Mistake(
        "given network changed", "reestimated", _copied(copies=False),
        "Compare the running_mean of the given network before and after.", FREEZING,
    ),
    Mistake(
        "inner layers missed", "reestimated", _copied(layers=lambda net: net.children()),
        "A layer may lie inside a Sequential inside the network. Does your loop get there?",
        FREEZING,
    ),
    Mistake(
        "old statistics not forgotten", "reestimated", _copied(reset=False, momentum=0.1),
        "With momentum 0.1, what share of the old statistics is left after three batches?",
        FREEZING,
    ),
    Mistake(
        "averaged with momentum", "reestimated", _copied(momentum=0.1),
        "A reset layer starts at 0 and 1. What is left of these after three batches?", AVERAGE,
    ),
    Mistake(
        "last batch alone", "reestimated", _copied(momentum=1.0),
        "How much does the first of your batches weigh in the end?", AVERAGE,
    ),
    Mistake(
        "evaluation mode", "reestimated", _copied(train=False),
        "In which mode do running statistics move?", EVAL, (_copied(reset=False, train=False),),
    ),
]  # fmt: skip
