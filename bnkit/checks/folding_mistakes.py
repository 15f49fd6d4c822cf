"""Known mistakes in folding, as data."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit.checks.exercise import Mistake

__all__ = ["FOLD", "FOLD_FORWARD"]

FUNCTION = "15_inference.ipynb#The equation, and the function"
BY_HAND = "15_inference.ipynb#Two units by hand"
WRONG = "15_inference.ipynb#When folding is wrong"
EXERCISES = "15_inference.ipynb#Exercises"


def _factor(bn: nn.Module) -> Tensor:
    return bn.weight / torch.sqrt(bn.running_var + bn.eps)


def _bias(layer: nn.Module) -> Tensor:
    return torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias


def _scaled(weight: Tensor, a: Tensor) -> Tensor:
    return a.view(-1, *[1] * (weight.dim() - 1)) * weight


def _shift(layer: nn.Module, bn: nn.Module, a: Tensor) -> Tensor:
    return a * (_bias(layer) - bn.running_mean) + bn.bias


def _fold(
    factor: Callable = _factor, scaled: Callable = _scaled, shift: Callable = _shift
) -> Callable:
    """A fold with another factor, weight or bias."""

    def fold(layer: nn.Module, bn: nn.Module) -> nn.Module:
        a, folded = factor(bn), copy.deepcopy(layer)
        folded.weight = nn.Parameter(scaled(layer.weight, a))
        folded.bias = nn.Parameter(shift(layer, bn, a))
        return folded

    return fold


def _needs_bias(layer, bn):
    return _fold(shift=lambda layer, bn, a: a * (layer.bias - bn.running_mean) + bn.bias)(layer, bn)


def _in_place(layer, bn):
    folded = _fold()(layer, bn)
    layer.weight, layer.bias = folded.weight, folded.bias
    return layer


def _along_inputs(weight, a):
    return weight * a.view(1, -1, *[1] * (weight.dim() - 2))


FOLD = [
    Mistake(
        "bias of the layer forgotten", "fold",
        _fold(shift=lambda layer, bn, a: bn.bias - a * bn.running_mean),
        "Fold by hand with x = 0. What does the layer hand to the normalization then?", FUNCTION,
    ),
    Mistake(
        "epsilon missing", "fold", _fold(lambda bn: bn.weight / torch.sqrt(bn.running_var)),
        "Compare your factor a with the one by which the layer multiplies in evaluation mode: "
        "under its root stand two terms.", FUNCTION,
    ),
    Mistake(
        "epsilon outside the root", "fold",
        _fold(lambda bn: bn.weight / (torch.sqrt(bn.running_var) + bn.eps)),
        "Is epsilon added to a variance or to a standard deviation?", FUNCTION,
    ),
    Mistake(
        "divided by the variance", "fold",
        _fold(lambda bn: bn.weight / (bn.running_var + bn.eps)),
        "If the layer's outputs are in meters, in which unit is your factor?", FUNCTION,
    ),
    Mistake(
        "gamma forgotten", "fold", _fold(lambda bn: torch.rsqrt(bn.running_var + bn.eps)),
        "Set gamma to 0. What should be left of the folded weights?", FUNCTION,
    ),
    Mistake(
        "beta dropped", "fold",
        _fold(shift=lambda layer, bn, a: a * (_bias(layer) - bn.running_mean)),
        "Which of the tensors of bn does your folded bias not use?", BY_HAND,
    ),
    Mistake(
        "running mean dropped", "fold",
        _fold(shift=lambda layer, bn, a: a * _bias(layer) + bn.bias),
        "Which of the tensors of bn does your folded bias not use?", BY_HAND,
    ),
    Mistake(
        "bias not scaled", "fold",
        _fold(shift=lambda layer, bn, a: _bias(layer) - a * bn.running_mean + bn.bias),
        "The layer's bias passes through the normalization too. What happens to it there?",
        BY_HAND,
    ),
    Mistake(
        "mean not scaled", "fold",
        _fold(shift=lambda layer, bn, a: a * _bias(layer) - bn.running_mean + bn.bias),
        "In which order are the mean subtracted and the factor applied?", BY_HAND,
    ),
    Mistake(
        "weight not scaled", "fold", _fold(scaled=lambda weight, a: weight),
        "Double x. By how much does the output of the pair grow, and that of your layer?",
        FUNCTION,
    ),
    Mistake(
        "scaled along the inputs", "fold", _fold(scaled=_along_inputs),
        "The weight has shape (outputs, inputs, ...). Which axis are the channels of bn?",
        FUNCTION, (_fold(scaled=lambda weight, a: weight * a),),
    ),
    Mistake(
        "layers without bias not handled", "fold", _needs_bias,
        "Layers before batch normalization are often made with bias=False. What is b then?",
        EXERCISES,
    ),
    Mistake(
        "given layer changed", "fold", _in_place,
        "Fold twice in a row from the same layer and bn. Do you get the same answer?", FUNCTION,
    ),
]  # fmt: skip


def _no_shift(conv: nn.Module, c: Tensor) -> Tensor:
    return _bias(conv)


def _through(conv: nn.Module, c: Tensor) -> Tensor:
    return _bias(conv) + (conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3))


def _onto(
    axis: tuple[int, ...], shift: Callable = _through, factor: Callable = _factor
) -> Callable:
    @torch.no_grad()
    def fold_forward(bn: nn.Module, conv: nn.Module) -> nn.Module:
        a, folded = factor(bn), copy.deepcopy(conv)
        folded.weight.copy_(conv.weight * a.view(axis))
        folded.bias = nn.Parameter(shift(conv, bn.bias - a * bn.running_mean))
        return folded

    return fold_forward


def _needs_bias_forward(bn, conv):
    return _onto((1, -1, 1, 1), lambda conv, c: _through(conv, c) + 0 * conv.bias)(bn, conv)


FOLD_FORWARD = [
    Mistake(
        "scaled along the outputs", "fold_forward", _onto((-1, 1, 1, 1)),
        "The normalization comes first. Are its channels the inputs or the outputs of the "
        "convolution?", WRONG,
    ),
    Mistake(
        "shift forgotten", "fold_forward", _onto((1, -1, 1, 1), _no_shift),
        "What does the pair answer to x = 0, and what does your layer?", WRONG,
    ),
    Mistake(
        "shift not passed through the filter", "fold_forward",
        _onto((1, -1, 1, 1), lambda conv, c: _bias(conv) + c),
        "The shift c enters the convolution as if it were an image of one color. What comes out?",
        WRONG,
    ),
    Mistake(
        "shift of one pixel only", "fold_forward",
        _onto((1, -1, 1, 1), lambda c, s: _bias(c) + (c.weight.mean((2, 3)) * s).sum(1)),
        "The filter covers several pixels, and each of them holds the shift. Sum or mean?", WRONG,
    ),
    Mistake(
        "epsilon missing", "fold_forward",
        _onto((1, -1, 1, 1), factor=lambda bn: bn.weight / torch.sqrt(bn.running_var)),
        "Which two terms stand under the root?", FUNCTION,
    ),
    Mistake(
        "convolutions without bias not handled", "fold_forward", _needs_bias_forward,
        "Convolutions next to batch normalization are often made with bias=False. What is b then?",
        EXERCISES,
    ),
]  # fmt: skip
