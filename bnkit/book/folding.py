"""The exercises on folding of chapter 15: what an answer is tried on, and its mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from bnkit import functional
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.ingredients import EPSILON
from bnkit.book.observe import Facets, Probe, as_seen, scattered

__all__ = ["FOLD", "FOLD_FORWARD"]

CHAPTER = "15_inference"
AT_THE_END = "15_inference.ipynb#Exercises"
FUNCTION = "15_inference.ipynb#The equation, and the function"
TWO_UNITS = "15_inference.ipynb#Two units by hand"
WRONG = "15_inference.ipynb#When folding is wrong"


def _numbered(module: nn.Module) -> nn.Module:
    """A module whose parameters and buffers are small, different numbers."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.dtype == torch.float32:
                count = torch.arange(float(tensor.numel())).view_as(tensor)
                tensor.copy_(count**2 % 7 / 2 + 0.5)
    return module.eval()


def _pair(kind: str, inputs: int, outputs: int, bias: bool = True) -> tuple[nn.Module, Tensor]:
    """A layer and an input for it."""
    if kind == "Linear":
        layer, size = nn.Linear(inputs, outputs, bias=bias), ()
    else:
        layer, size = nn.Conv2d(inputs, outputs, 2, bias=bias), (2, 3)
    shape = (2, inputs, *size)
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    return _numbered(layer), x**2 % 5


def _bn(kind: str, channels: int, apart: bool = False) -> nn.Module:
    """A normalization whose four tensors are equal, or no two of them alike."""
    bn = nn.BatchNorm1d(channels) if kind == "Linear" else nn.BatchNorm2d(channels)
    bn.eps = 0.25
    _numbered(bn)
    if apart:
        tensors = (bn.weight, bn.bias, bn.running_mean, bn.running_var)
        with torch.no_grad():
            for i, tensor in enumerate(tensors):
                tensor.add_(i)
    return bn


def fold_any(layer, bn):
    a = bn.weight / torch.sqrt(bn.running_var + bn.eps)  # (C,)
    b = torch.zeros_like(bn.bias) if layer.bias is None else layer.bias
    folded = copy.deepcopy(layer)
    per_row = a.view(-1, *[1] * (layer.weight.dim() - 1))  # (C, 1, ...)
    folded.weight = nn.Parameter(per_row * layer.weight)
    folded.bias = nn.Parameter(a * (b - bn.running_mean) + bn.bias)
    return folded


def _folds(kind: str, inputs: int, outputs: int, bias: bool = True, apart: bool = False) -> Probe:
    layer, x = _pair(kind, inputs, outputs, bias)
    bn = _bn(kind, outputs, apart)

    def run(fold: Callable) -> Facets:
        folded = fold(copy.deepcopy(layer), copy.deepcopy(bn))
        return {"output of the folded layer": as_seen(folded(x))}

    return Probe({"layer": str(layer), "bn": str(bn), "x": x}, run, essential=bias)


def _returns(fold: Callable) -> Facets:
    """Tells an answer that raises by itself from one whose layer does."""
    folded = fold(_pair("Linear", 2, 2)[0], _bn("Linear", 2))
    return {"can be called": "yes" if callable(folded) else "no"}


def _is_one_layer(kind: str) -> Callable[[Callable], Facets]:
    def run(fold: Callable) -> Facets:
        folded = fold(_pair(kind, 2, 2)[0], _bn(kind, 2))
        right = nn.Linear if kind == "Linear" else nn.Conv2d
        what = "is one layer" if isinstance(folded, right) else f"is a {type(folded).__name__}"
        return {f"what is returned for a {right.__name__}": what}

    return run


_STEPS = {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}


def _keeps(name: str) -> Callable[[Callable], Facets]:
    """Whether one thing that a convolution may do otherwise is kept."""

    def run(fold: Callable) -> Facets:
        conv = _numbered(nn.Conv2d(4, 4, 2, **{name: _STEPS[name]}))
        folded = fold(conv, _bn("Conv", 4))
        return {f"output with {name}={_STEPS[name]}": as_seen(folded(scattered(2, 4, 6, 7)))}

    return run


def _losing(lost: Sequence[str]) -> Callable:
    """A wrong answer that makes its convolution without some of these arguments."""

    def answer(layer: nn.Module, bn: nn.Module) -> nn.Module:
        folded = fold_any(layer, bn)
        if isinstance(layer, nn.Conv2d):
            kept = {name: getattr(layer, name) for name in _STEPS if name not in lost}
            sizes = layer.in_channels, layer.out_channels, layer.kernel_size
            weight, bias, folded = folded.weight, folded.bias, nn.Conv2d(*sizes, **kept)
            folded.weight, folded.bias = weight, bias
        return folded

    return answer


def _keeps_the_layer(fold: Callable) -> Facets:
    layer, x = _pair("Linear", 2, 2)
    fold(layer, _bn("Linear", 2))
    return {"output of the given layer afterwards": as_seen(layer(x))}


_ROOT = "torch.sqrt(bn.running_var + bn.eps)"
_EPSILON = [
    Mistake("epsilon missing or fixed", EPSILON, "bn.running_var + bn.eps -> bn.running_var",
        "Every layer has an epsilon of its own, and under the root stand two terms. Where does "
        "yours come from?",
        ("bn.eps -> 1e-3", "bn.eps -> 1e-5", "bn.eps -> 1e-2", "bn.eps -> 0.1", "bn.eps -> 1.0")),
    Mistake("epsilon outside the root", EPSILON,
        f"{_ROOT} -> (torch.sqrt(bn.running_var) + bn.eps)",
        "Is epsilon added to a variance or to a standard deviation?"),
    Mistake("epsilon subtracted", EPSILON, "bn.running_var + bn.eps -> bn.running_var - bn.eps",
        "Epsilon keeps the number under the root above 0. What does yours do where var is 0?"),
    Mistake("epsilon added twice", EPSILON, f"{_ROOT} -> ({_ROOT} + bn.eps)",
        "Count the places at which epsilon enters your code, and those in the equation."),
    Mistake("epsilon squared, or its root", EPSILON, "bn.eps -> bn.eps**2",
        "With eps=0.25 and a variance of 0, which number stands under your root?",
        ("bn.eps -> bn.eps**0.5",)),
    Mistake("epsilon multiplied", EPSILON, f"{_ROOT} -> torch.sqrt(bn.running_var * bn.eps)",
        "Where the variance is 0, what does your code divide by?"),
]  # fmt: skip
FOLD = Exercise(
    name="fold",
    chapter=CHAPTER,
    title="No bias",
    statement="Write `fold_any(layer, bn)`: return a new Linear or Conv2d that does the work of "
    "`layer` and of the batch normalization after it, in evaluation mode. The given "
    "layer may have been made with `bias=False`, and is not changed; a convolution may have a "
    "stride, padding, dilation and groups.",
    hints=(
        "A layer without a bias adds something to its product all the same. Which number?",
        "Set b to it in the equation for the folded bias. Does the folded layer need a bias?",
        "A layer made with `bias=False` has `bias` None. A copy can be given a new `nn.Parameter`.",
    ),
    solution=fold_any,
    oracle=functional.fold_batch_norm,
    probes=[
        _folds("Linear", 2, 2),
        _folds("Linear", 3, 2),
        _folds("Conv", 2, 3),
        _folds("Conv", 2, 2),
        _folds("Linear", 2, 2, apart=True),
        _folds("Linear", 2, 2, bias=False),
        Probe({"layer": "Linear(2, 2)"}, _keeps_the_layer, essential=False),
        Probe({"layer": "Linear(2, 2)"}, _returns),
        Probe({"layer": "Linear(2, 2)"}, _is_one_layer("Linear"), essential=False),
        Probe({"layer": "Conv2d(2, 2)"}, _is_one_layer("Conv"), essential=False),
        *(
            Probe({"layer": f"Conv2d(4, 4, 2, {name}={value})"}, _keeps(name), essential=False)
            for name, value in _STEPS.items()
        ),
    ],
    mistakes=[
        Mistake("bias of the layer forgotten", FUNCTION,
            "a * (b - bn.running_mean) + bn.bias -> bn.bias - a * bn.running_mean",
            "Fold by hand with x = 0. What does the layer hand to the normalization then?"),
        *_EPSILON,
        Mistake("divided by the variance", FUNCTION,
            "torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps)",
            "If the layer's outputs are in meters, in which unit is your factor?"),
        Mistake("multiplied by the standard deviation", FUNCTION,
            "bn.weight / torch -> bn.weight * torch",
            "A channel with a large spread is made smaller by its normalization. And by yours?"),
        Mistake("a wrong power of the variance", FUNCTION,
            "bn.running_var + -> bn.running_var**2 +",
            "If the layer's outputs are in meters, in which unit is your factor?",
            ("torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps) ** 2",
             "torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps) ** 0.25")),
        Mistake("not divided by the standard deviation", FUNCTION,
            " / torch.sqrt(bn.running_var + bn.eps) -> ",
            "Which of the tensors of bn does your factor not use?"),
        Mistake("beta scaled, too", TWO_UNITS,
            "a * (b - bn.running_mean) + bn.bias -> a * (b - bn.running_mean + bn.bias)",
            "What does the normalization answer where its input is the running mean?"),
        Mistake("running mean with a wrong sign", TWO_UNITS,
            "(b - bn.running_mean) -> (b + bn.running_mean)",
            "Fold by hand with x = 0. What does the normalization make of the layer's bias?",
            ("(b - bn.running_mean) -> (bn.running_mean - b)",)),
        Mistake("beta with a wrong sign", TWO_UNITS, "+ bn.bias -> - bn.bias",
            "What does the normalization answer where its input is the running mean?"),
        Mistake("the old bias kept", TWO_UNITS, "a * (b - bn.running_mean) + bn.bias -> b",
            "Fold by hand with x = 0. What comes out of the pair?",
            ("a * (b - bn.running_mean) + bn.bias -> a * b",
             "a * (b - bn.running_mean) + bn.bias -> b + bn.bias",
             "a * (b - bn.running_mean) + bn.bias -> b - bn.running_mean + bn.bias",
             "a * (b - bn.running_mean) + bn.bias -> bn.bias")),
        Mistake("bias divided by the factor", TWO_UNITS, "a * (b - -> 1 / a * (b -",
            "Double gamma. Should the folded bias move further from beta, or closer?"),
        Mistake("weight divided by the factor", FUNCTION,
            "per_row * layer.weight -> layer.weight / per_row",
            "Double gamma. Should the folded weights double, or be halved?"),
        Mistake("weight scaled twice", FUNCTION, "per_row * layer -> per_row**2 * layer",
            "Double gamma. By which factor should the folded weights grow?"),
        Mistake("one factor for all channels", FUNCTION, "per_row * layer -> a.mean() * layer",
            "How many channels does bn have, and how many factors?",
            ("per_row * layer -> a[0] * layer",
             "a = bn.weight / torch.sqrt(bn.running_var + bn.eps) -> "
             "a = (bn.weight / torch.sqrt(bn.running_var + bn.eps)).mean().expand(len(bn.bias))")),
        Mistake("both layers, not one", FUNCTION, lambda layer, bn: nn.Sequential(layer, bn),
            "One layer should do the work of two. How many does yours still hold?",
            (lambda layer, bn: lambda x: bn(layer(x)),
             lambda layer, bn: nn.Sequential(fold_any(layer, bn)),
             lambda layer, bn: nn.Sequential(fold_any(layer, bn), nn.Identity()),
             lambda layer, bn: nn.Sequential(copy.deepcopy(layer), copy.deepcopy(bn)).eval())),
        Mistake("the layer as it came", FUNCTION, lambda layer, bn: layer,
            "Compare the weights that you return with those of the given layer.",
            (lambda layer, bn: copy.deepcopy(layer), lambda layer, bn: bn)),
        Mistake("weight and bias, not a layer", FUNCTION,
            Patch("    return folded", "    return folded.weight, folded.bias"),
            "What is asked for can be called with x. Can yours?"),
        *(Mistake(" and ".join(lost) + " of the convolution lost", FUNCTION, _losing(lost),
            "Print the given convolution and yours, one below the other.")
          for count in (1, 2, 3, 4) for lost in combinations(_STEPS, count)),
        Mistake("gamma forgotten", FUNCTION, "a = bn.weight / -> a = 1 /",
            "Set gamma to 0. What should be left of the folded weights?"),
        Mistake("gamma and beta swapped", FUNCTION,
            ("a = bn.weight / -> a = bn.bias / ", " + bn.bias) -> + bn.weight)"),
            "With gamma 1 and beta 0 the pair only standardizes. What does yours do?"),
        Mistake("beta and the running mean swapped", TWO_UNITS,
            "a * (b - bn.running_mean) + bn.bias -> a * (b - bn.bias) + bn.running_mean",
            "Which of the two is subtracted before the factor, and which is added after it?"),
        Mistake("running mean and variance swapped", FUNCTION,
            ("bn.running_var -> bn.VAR", "bn.running_mean -> bn.running_var",
             "bn.VAR -> bn.running_mean"),
            "Which of the two statistics stands under the root?"),
        Mistake("beta dropped", TWO_UNITS, " + bn.bias -> ",
            "Which of the tensors of bn does your folded bias not use?"),
        Mistake("running mean dropped", TWO_UNITS, "(b - bn.running_mean) -> b",
            "Which of the tensors of bn does your folded bias not use?"),
        Mistake(
            "bias not scaled", TWO_UNITS, "a * (b - bn.running_mean) -> b - a * bn.running_mean",
            "The layer's bias passes through the normalization too. What happens to it there?",
        ),
        Mistake(
            "mean not scaled", TWO_UNITS, "a * (b - bn.running_mean) -> a * b - bn.running_mean",
            "In which order are the mean subtracted and the factor applied?",
        ),
        Mistake("weight not scaled", FUNCTION, "per_row * layer.weight -> layer.weight",
            "Double x. By how much does the output of the pair grow, and that of your layer?"),
        Mistake("scaled along the inputs", FUNCTION,
            (
                "a.view(-1, *[1] * (layer.weight.dim() - 1)) -> a.view(1, -1, *[1] * "
                "(layer.weight.dim() - 2))",
                "per_row * layer.weight -> layer.weight * per_row",
            ),
            "The weight has shape (outputs, inputs, ...). Which axis are the channels of bn?",
            ("per_row * layer.weight -> layer.weight * a",)),
        Mistake("layers without bias not handled", AT_THE_END,
            "torch.zeros_like(bn.bias) if layer.bias is None else layer.bias -> layer.bias",
            "Layers before batch normalization are often made with bias=False. What is b then?"),
        Mistake("given layer changed", FUNCTION, "copy.deepcopy(layer) -> layer",
            "Fold twice in a row from the same layer and bn. Do you get the same answer?"),
        Mistake("factor and weight do not line up", FUNCTION,
            "*[1] * (layer.weight.dim() - 1) -> 1",
            "Print the shapes of a and of the weight, for a linear layer and for a convolution. "
            "Which axis of the weight are the channels?",
            ("*[1] * (layer.weight.dim() - 1) -> 1, 1, 1",
             "(layer.weight.dim() - 1) -> layer.weight.dim()",
             "a.view(-1, *[1] * (layer.weight.dim() - 1)) -> a.view(1, -1, 1, 1)")),
    ],
    section=FUNCTION,
)  # fmt: skip


def fold_before(bn, conv):
    a = bn.weight / torch.sqrt(bn.running_var + bn.eps)  # (C_in,)
    c = bn.bias - a * bn.running_mean  # (C_in,)
    b = torch.zeros(len(conv.weight)) if conv.bias is None else conv.bias
    folded = copy.deepcopy(conv)
    folded.weight = nn.Parameter(conv.weight * a.view(1, -1, 1, 1))
    folded.bias = nn.Parameter(b + (conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3)))
    return folded


def _folds_forward(channels: int, outputs: int, bias: bool = True, apart: bool = False) -> Probe:
    conv, x = _pair("Conv", channels, outputs, bias)
    bn = _bn("Conv", channels, apart)

    def run(fold: Callable) -> Facets:
        folded = fold(copy.deepcopy(bn), copy.deepcopy(conv))
        return {"output of the folded layer": as_seen(folded(x))}

    return Probe({"bn": str(bn), "conv": str(conv), "x": x}, run, essential=bias)


def _strided(**steps: int) -> Probe:
    conv, bn = _numbered(nn.Conv2d(3, 2, 2, **steps)), _bn("Conv", 3, apart=True)

    def run(fold: Callable) -> Facets:
        folded = fold(copy.deepcopy(bn), copy.deepcopy(conv))
        return {"output of the folded layer": as_seen(folded(scattered(2, 3, 5, 6)))}

    return Probe({"bn": str(bn), "conv": str(conv)}, run, essential=False)


def _keeps_the_convolution(fold: Callable) -> Facets:
    conv, x = _pair("Conv", 2, 2)
    folded = fold(_bn("Conv", 2), conv)
    kind = "is one layer" if isinstance(folded, nn.Conv2d) else f"is a {type(folded).__name__}"
    return {"what is returned": kind, "output of the given layer afterwards": as_seen(conv(x))}


_STEPS_LOST = Patch(
    "    folded = ",
    "    c_in, c_out, size = conv.in_channels, conv.out_channels, conv.kernel_size\n    folded = ",
)


@torch.no_grad()
def _by_response(bn: nn.Module, conv: nn.Module) -> nn.Module:
    """The factor and the shift as answers of the normalization to 0 and 1."""
    size = (d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    zeros = torch.zeros(1, conv.in_channels, *size)
    shift = bn(zeros)
    factor = (bn(zeros + 1) - shift)[:, :, :1, :1]
    folded = copy.deepcopy(conv)
    folded.weight = nn.Parameter(conv.weight * factor)
    folded.bias = nn.Parameter(conv(shift).flatten())
    return folded


FOLD_FORWARD = Exercise(
    name="fold_forward",
    chapter=CHAPTER,
    title="Fold forward",
    statement="Write `fold_before(bn, conv)`: return a new Conv2d that does the work of a batch "
    "normalization in evaluation mode and of the convolution after it, which has no "
    "padding and no groups, may have a stride and a dilation, and may lack a bias. The given "
    "convolution is not changed.",
    hints=(
        "Write the normalization as a x + c, with one a and one c for each input channel.",
        "The filter has shape (outputs, inputs, height, width). Which axis does a belong to?",
        "c enters as an image of one color. What does the filter make of it?",
    ),
    solution=fold_before,
    oracle=_by_response,
    probes=[
        _folds_forward(2, 2),
        _folds_forward(2, 3),
        _folds_forward(2, 2, apart=True),
        _folds_forward(2, 2, bias=False),
        _strided(stride=2),
        _strided(dilation=2),
        Probe({"conv": "Conv2d(2, 2)"}, _keeps_the_convolution, essential=False),
    ],
    mistakes=[
        Mistake("scaled along the outputs", WRONG, "a.view(1, -1, 1, 1) -> a.view(-1, 1, 1, 1)",
            "The normalization comes first. Are its channels the inputs or the outputs of the "
            "convolution?"),
        Mistake(
            "shift forgotten", WRONG, " + (conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> ",
            "What does the pair answer to x = 0, and what does your layer?",
        ),
        Mistake("beta scaled too", WRONG,
            "bn.bias - a * bn.running_mean -> a * (bn.bias - bn.running_mean)",
            "What does the normalization answer where x is the running mean?"),
        Mistake("beta and the running mean swapped", WRONG,
            "bn.bias - a * bn.running_mean -> bn.running_mean - a * bn.bias",
            "What does the normalization answer to x = 0?"),
        Mistake("gamma and beta swapped", WRONG,
            ("a = bn.weight / -> a = bn.bias / ", "c = bn.bias - -> c = bn.weight - "),
            "With gamma 1 and beta 0 the normalization only standardizes. What does yours do?"),
        Mistake("shift not passed through the filter", WRONG,
            "(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> c",
            "The shift c enters the convolution as if it were an image of one color. What comes "
            "out?"),
        Mistake("shift averaged, not summed", WRONG,
            "(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> (conv.weight.mean((2, 3)) * "
            "c).sum(1)",
            "The filter covers several pixels, and each of them holds the shift. Sum or mean?",
            tuple(Patch("(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3))", way) for way in (
                "(conv.weight * c.view(1, -1, 1, 1)).mean((1, 2, 3))",
                "(conv.weight * c.view(1, -1, 1, 1)).sum((2, 3)).mean(1)"))),
        Mistake("shift not summed over inputs and pixels", WRONG,
            ".sum((1, 2, 3)) -> .sum((2, 3))",
            "Print the shape of your bias. How many numbers does a bias have for each output?",
            (".sum((1, 2, 3)) -> .sum((1, 3))", ".sum((1, 2, 3)) -> .sum((1, 2))",
             ".sum((1, 2, 3)) -> .sum(1)")),
        Mistake("shift of one pixel only", WRONG,
            "(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> (conv.weight[:, :, 0, 0] * "
            "c).sum(1)",
            "The filter covers several pixels, and each of them holds the shift. How many of them "
            "are in your sum?",
            tuple(Patch("(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3))", f"({way}).sum(1)")
                  for way in ("conv.weight[:, :, -1, -1] * c", "conv.weight[:, :, 1, 1] * c"))),
        *_EPSILON,
        Mistake("multiplied by the standard deviation", FUNCTION,
            "bn.weight / torch -> bn.weight * torch",
            "A channel with a large spread is made smaller by its normalization. And by yours?"),
        Mistake("a wrong power of the variance", FUNCTION,
            "bn.running_var + -> bn.running_var**2 +",
            "If x is in meters, in which unit is your factor?",
            ("torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps) ** 2",
             "torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps) ** 0.25")),
        Mistake("not divided by the standard deviation", FUNCTION,
            " / torch.sqrt(bn.running_var + bn.eps) -> ",
            "Which of the tensors of bn does your factor not use?"),
        Mistake("divided by the variance", FUNCTION,
            "torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps)",
            "If x is in meters, in which unit is your factor?"),
        Mistake("gamma forgotten", FUNCTION, "a = bn.weight / -> a = 1 /",
            "Set gamma to 0. What should be left of the folded weights?"),
        Mistake("beta dropped", WRONG, "bn.bias - a * bn.running_mean -> -a * bn.running_mean",
            "Which of the tensors of bn does your shift not use?"),
        Mistake("running mean dropped", WRONG, "bn.bias - a * bn.running_mean -> bn.bias",
            "Which of the tensors of bn does your shift not use?",
            ),
        Mistake("running variance in place of the running mean", WRONG,
            "- a * bn.running_mean -> - a * bn.running_var",
            "What does the normalization subtract: the mean, or the variance?"),
        Mistake("mean not scaled", WRONG, "- a * bn.running_mean -> - bn.running_mean",
            "In which order are the mean subtracted and the factor applied?"),
        Mistake("running mean with a wrong sign", WRONG, "bn.bias - a -> bn.bias + a",
            "What does the normalization answer where x is the running mean?",
            ("bn.bias - a * bn.running_mean -> a * bn.running_mean - bn.bias",)),
        Mistake("bias of the convolution forgotten", WRONG, "nn.Parameter(b + -> nn.Parameter(",
            "What does the convolution add to an image of zeros?",
            ("else conv.bias -> else 0 * conv.bias",)),
        Mistake("bias of the convolution scaled", WRONG,
            "nn.Parameter(b + -> nn.Parameter(a[0] * b +",
            "The convolution comes last. What happens to its bias after it?",
            (Patch("nn.Parameter(b +", "nn.Parameter(a * b +"),)),
        Mistake("shift through the filter that is scaled already", WRONG,
            "+ (conv.weight * c -> + (folded.weight * c",
            "The shift is what the normalization answers to 0: it is scaled already. Which filter "
            "does it meet?"),
        Mistake("shift along the outputs", WRONG,
            "c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> c.view(-1, 1, 1, 1)).sum((1, 2, 3))",
            "The normalization comes first. Are its channels the inputs or the outputs of the "
            "convolution?"),
        Mistake("one shift for all outputs", WRONG,
            "c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> c.view(1, -1, 1, 1)).sum()",
            "Each output has a filter of its own. How many biases do the outputs need?",
            (Patch("(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3))", "c.sum()"),
             Patch("(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3))", "c.mean()"))),
        Mistake("weight not scaled", WRONG, "conv.weight * a.view(1, -1, 1, 1) -> conv.weight",
            "Double gamma. By how much should the folded weights grow?"),
        Mistake("weight divided by the factor", WRONG,
            "conv.weight * a.view(1, -1, 1, 1) -> conv.weight / a.view(1, -1, 1, 1)",
            "Double gamma. Should the folded weights double, or be halved?"),
        Mistake("weight scaled twice", WRONG,
            "conv.weight * a.view(1, -1, 1, 1) -> conv.weight * a.view(1, -1, 1, 1) ** 2",
            "Double gamma. By which factor should the folded weights grow?"),
        Mistake("one factor for all channels", WRONG,
            "conv.weight * a.view(1, -1, 1, 1) -> conv.weight * a.mean()",
            "How many channels does bn have, and how many factors?"),
        Mistake("given convolution changed", WRONG, "copy.deepcopy(conv) -> conv",
            "Fold twice in a row from the same bn and convolution. Do you get the same answer?",
            (Patch("    return folded", "    conv.weight, conv.bias = folded.weight, folded.bias\n"
                   "    return folded"),)),
        Mistake("stride or dilation of the convolution lost", WRONG,
            (_STEPS_LOST, "= copy.deepcopy(conv) -> = nn.Conv2d(c_in, c_out, size)"),
            "Print the given convolution and yours, one below the other.",
            ((_STEPS_LOST, "= copy.deepcopy(conv) -> "
              "= nn.Conv2d(c_in, c_out, size, stride=conv.stride)"),
             (_STEPS_LOST, "= copy.deepcopy(conv) -> "
              "= nn.Conv2d(c_in, c_out, size, dilation=conv.dilation)"))),
        Mistake("both layers, not one", WRONG, lambda bn, conv: nn.Sequential(bn, conv),
            "One layer should do the work of two. How many does yours still hold?",
            (lambda bn, conv: lambda x: conv(bn(x)),
             lambda bn, conv: nn.Sequential(fold_before(bn, conv)),
             lambda bn, conv: nn.Sequential(copy.deepcopy(bn), copy.deepcopy(conv)).eval())),
        Mistake("the convolution as it came", WRONG, lambda bn, conv: conv,
            "Compare the weights that you return with those of the given convolution.",
            (lambda bn, conv: copy.deepcopy(conv), lambda bn, conv: bn)),
        Mistake("weight and bias, not a layer", WRONG,
            Patch("    return folded", "    return folded.weight, folded.bias"),
            "What is asked for can be called with x. Can yours?"),
        Mistake("convolutions without bias not handled", AT_THE_END,
            "torch.zeros(len(conv.weight)) if conv.bias is None else conv.bias -> conv.bias",
            "Convolutions next to batch normalization are often made with bias=False. What is b "
            "then?"),
    ],
    section=WRONG,
)  # fmt: skip
