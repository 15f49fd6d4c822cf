"""Chapter 15: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from bnkit import functional
from bnkit.book.exercise import Exercise, Mistake
from bnkit.book.observe import Facets, Probe, as_seen, scattered
from bnkit.book.quiz import Question, choice

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "middle_half",
    "ratio_by_round",
    "seconds_by_round",
]

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


def _keeps_the_steps(fold: Callable) -> Facets:
    """Each with one thing that a convolution may do otherwise."""
    x, seen = scattered(2, 4, 6, 7), {}
    for name, value in _STEPS.items():
        conv = _numbered(nn.Conv2d(4, 4, 2, **{name: value}))
        seen[f"output with {name}={value}"] = as_seen(fold(conv, _bn("Conv", 4))(x))
    return seen


def _keeps_the_layer(fold: Callable) -> Facets:
    layer, x = _pair("Linear", 2, 2)
    fold(layer, _bn("Linear", 2))
    return {"output of the given layer afterwards": as_seen(layer(x))}


_FOLD = Exercise(
    name="fold",
    chapter=CHAPTER,
    title="No bias",
    statement="Write `fold_any(layer, bn)`: return a new Linear or Conv2d that does the work of "
    "`layer` and of the batch normalization after it, in evaluation mode. The given "
    "layer may have been made with `bias=False`, and is not changed.",
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
        Probe({"layer": "Conv2d(4, 4, 2, ...)"}, _keeps_the_steps, essential=False),
    ],
    mistakes=[
        Mistake("bias of the layer forgotten", FUNCTION,
            "a * (b - bn.running_mean) + bn.bias -> bn.bias - a * bn.running_mean",
            "Fold by hand with x = 0. What does the layer hand to the normalization then?"),
        Mistake("epsilon missing", FUNCTION, " + bn.eps -> ",
            "Compare your factor a with the one by which the layer multiplies in evaluation mode: "
            "under its root stand two terms."),
        Mistake("epsilon outside the root", FUNCTION,
            "torch.sqrt(bn.running_var + bn.eps) -> (torch.sqrt(bn.running_var) + bn.eps)",
            "Is epsilon added to a variance or to a standard deviation?"),
        Mistake("divided by the variance", FUNCTION,
            "torch.sqrt(bn.running_var + bn.eps) -> (bn.running_var + bn.eps)",
            "If the layer's outputs are in meters, in which unit is your factor?"),
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


@torch.no_grad()
def _by_response(bn: nn.Module, conv: nn.Module) -> nn.Module:
    """The factor and the shift as answers of the normalization to 0 and 1."""
    zeros = torch.zeros(1, conv.in_channels, *conv.kernel_size)
    shift = bn(zeros)
    factor = (bn(zeros + 1) - shift)[:, :, :1, :1]
    folded = copy.deepcopy(conv)
    folded.weight = nn.Parameter(conv.weight * factor)
    folded.bias = nn.Parameter(conv(shift).flatten())
    return folded


_FOLD_FORWARD = Exercise(
    name="fold_forward",
    chapter=CHAPTER,
    title="Fold forward",
    statement="Write `fold_before(bn, conv)`: return a new Conv2d that does the work of a batch "
    "normalization in evaluation mode and of the convolution after it, which has no "
    "padding and may lack a bias.",
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
        Mistake("shift of one pixel only", WRONG,
            "(conv.weight * c.view(1, -1, 1, 1)).sum((1, 2, 3)) -> (conv.weight.mean((2, 3)) * "
            "c).sum(1)",
            "The filter covers several pixels, and each of them holds the shift. Sum or mean?"),
        Mistake("epsilon missing", FUNCTION, " + bn.eps -> ",
            "Which two terms stand under the root?"),
        Mistake("convolutions without bias not handled", AT_THE_END,
            "torch.zeros(len(conv.weight)) if conv.bias is None else conv.bias -> conv.bias",
            "Convolutions next to batch normalization are often made with bias=False. What is b "
            "then?"),
    ],
    section=WRONG,
)  # fmt: skip

EXERCISES = [_FOLD, _FOLD_FORWARD]

IN_TEXT = {
    "15-fold": Question(
        r"One unit: \(w = 2, b = 1\), running mean 3, running variance 4, "
        r"\(\gamma = 6, \beta = 1\), \(\epsilon = 0\). What is the folded bias?",
        answer=-5,
        tolerance=0,
        feedback={
            "right": r"\(a = 6 / \sqrt{4} = 3\), and \(3 \cdot (1 - 3) + 1 = -5\).",
            "wrong": r"First \(a = \gamma / \sqrt{r_{\sigma^2}}\), then \(a (b - r_\mu) + \beta\).",
            -7: r"Here \(b\) was not scaled. It is inside the bracket: batch normalization sees "
            r"\(w x + b\).",
            -6: r"\(\beta\) is missing.",
            -2: "That divides by the variance. The root is missing.",
            -8: "Here the old bias was dropped. A trained one must be kept, unless the layer was "
            "made with bias=False.",
        },
    ),
    "15-where": Question(
        "A pre-activation residual block runs BN → ReLU → conv (padding 1), and adds its input at "
        "the end. Can its batch normalization be folded?",
        [
            choice(
                "Yes, into the convolution behind it.",
                "ReLU stands between the two, so the affine map does not reach the convolution.",
            ),
            choice(
                "Yes, into the convolution at the end of the block before it.",
                "That output also travels along the skip connection, where no batch normalization "
                "acts. Scaling it would change the skip path.",
            ),
            choice(
                "No, not as it stands.",
                "In front of it is a sum that is used twice, behind it a ReLU. It remains a "
                "multiplication and an addition per channel, which engines fuse into a neighboring "
                "operation.",
                correct=True,
            ),
        ],
    ),
}


QUESTIONS = [
    Question(
        "You fold a network. The outputs differ by one thousandth in float32, and by the same "
        "thousandth in float64. What follows?",
        [
            choice(
                "It is rounding: folding multiplies in another order.",
                "Rounding shrinks when the format has more digits. This difference did not.",
            ),
            choice(
                "The formula is wrong somewhere, perhaps an epsilon left out.",
                "An error that ignores the precision is not made by it.",
                correct=True,
            ),
            choice(
                "Nothing: folding is an approximation anyway.",
                "It is an identity. Only the last digits of the format may differ.",
            ),
            choice(
                "The network was trained in float32, so no better agreement exists.",
                "Both networks hold the same numbers, however they were found. In float64 "
                "they agree to about 15 digits.",
            ),
        ],
    ),
    Question(
        "A Transformer has LayerNorm followed by a linear layer. What of the LayerNorm can be "
        "folded into that layer for inference?",
        [
            choice(
                "Nothing: it must see each token.",
                "Its mean and variance must. Its learned scale and shift are constants.",
            ),
            choice(
                "All of it, as with batch normalization in eval mode.",
                "There the statistics are constants. Here they belong to the token at hand.",
            ),
            choice(
                r"Its \( \gamma \) and \( \beta \). The statistics stay.",
                r"\( W (\gamma \hat{x} + \beta) + b \) is a linear layer on \( \hat{x} \), "
                r"with scaled columns. Computing \( \hat{x} \) remains.",
                correct=True,
            ),
            choice(
                "All of it, once running averages of its statistics are kept.",
                "That would be another function: each token would be scaled by the average token.",
            ),
        ],
    ),
]


# Harness of the chapter


@torch.inference_mode()
def seconds_by_round(
    models: Mapping[str, nn.Module], x: Tensor, rounds: int = 12, calls: int = 12
) -> dict[str, list[float]]:
    """The fastest of several calls of each model in every round, on one thread."""
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds):
        for name in sorted(models, reverse=turn % 2 == 1):  # there and back: nobody is always first
            seconds[name].append(min(_one_call(models[name], x) for _ in range(calls)))
    return seconds


def _one_call(model: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    model(x)
    return time.perf_counter() - start


def ratio_by_round(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratio of two times within each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def middle_half(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the quartiles in brackets."""
    low, mid, high = torch.tensor(values).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return f"{mid:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
