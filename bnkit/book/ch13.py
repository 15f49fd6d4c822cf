"""Chapter 13: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bnkit import relatives
from bnkit.book.ch02 import EPSILON, UNDO, WHICH_VARIANCE, WRONG_GRADIENTS
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Probe, calls, first_wrong_step
from bnkit.book.quiz import Question, choice

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "mean_and_spread",
]

CHAPTER = "13_alternatives"

IMAGES = "05_manual_implementation.ipynb#Images: choose the axes"
TRAP = "13_alternatives.ipynb#A trap: two layers called layer norm"
FOUR_SETS = "13_alternatives.ipynb#By hand, over four sets of axes"
FUNCTION = "13_alternatives.ipynb#The equation, and the function"


def _numbers(shape: Sequence[int]) -> Tensor:
    return (torch.arange(float(torch.Size(shape).numel())) ** 2 % 11).view(*shape)


def _affine(channels: int) -> dict[str, Tensor]:
    return {"weight": torch.arange(channels) + 1.0, "bias": 2.0 - torch.arange(channels)}


def layer_norm(x, weight, bias, eps):
    mean = x.mean(dim=1, keepdim=True)  # (N, 1)
    var = ((x - mean) ** 2).mean(dim=1, keepdim=True)
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def _rows(shape: tuple[int, int], eps: float) -> Probe:
    return calls({"x": _numbers(shape), **_affine(shape[1]), "eps": eps}, gradients=("x",))


def _normalized_rows(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return relatives.layer_norm(x, x.shape[1:], weight, bias, eps)


def _locate(answer: Callable) -> str:
    x = _numbers((3, 4))

    def normalize(eps: float) -> Tensor:
        return torch.as_tensor(answer(x.clone(), torch.ones(4), torch.zeros(4), eps)).T

    return first_wrong_step(normalize, x.T)


_LAYER_NORM = Exercise(
    name="layer_norm",
    chapter=CHAPTER,
    title="Layer normalization",
    statement="Write `layer_norm(x, weight, bias, eps)` for `x` of shape (N, C): normalize each "
    "example over its features, then scale and shift each feature.",
    hints=(
        "Which numbers share a mean: those of one row, or those of one column?",
        "Keep the axis, so that a mean of each row meets the rows again.",
    ),
    solution=layer_norm,
    oracle=_normalized_rows,
    probes=[_rows((1, 2), 1e-5), _rows((2, 2), 0.5), _rows((3, 4), 1e-3)],
    mistakes=[
        Mistake("normalized over the batch", FOUR_SETS, Patch("dim=1", "dim=0", all=True),
            "Layer normalization works with a batch of one. Does yours? Over which axis is its "
            "mean?"),
        Mistake(
            "one mean for the whole batch", FOUR_SETS, Patch("dim=1, keepdim=True", "", all=True),
            "Change one example. Do the outputs of the others move?",
        ),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((x - mean) ** 2).mean(dim=1, -> x.var(dim=1,",
            "By which number does your variance divide, for two features: 1 or 2?"),
        Mistake(
            "epsilon outside the root", EPSILON, "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)",
            "Is epsilon added to a variance or to a standard deviation?",
        ),
        Mistake("mean not subtracted", FUNCTION,
            ("((x - mean) ** 2) -> (x**2)", "weight * (x - mean) -> weight * x"),
            "What you wrote has a name of its own. Compute the mean of a row of its output."),
        Mistake(
            "weight and bias forgotten", UNDO, ("weight * (x - mean) -> (x - mean)", " + bias -> "),
            "Call your function with two different weights. Does the output change?",
        ),
        Mistake("detached statistics", WRONG_GRADIENTS,
            (
                "torch.sqrt(var + eps) -> torch.sqrt(var + eps).detach()",
                "weight * (x - mean) -> weight * (x - mean.detach())",
            ),
            "The values are right and the gradient is not. Does each x also act through the mean "
            "and the variance?"),
        Mistake("averaged axis not kept", FOUR_SETS,
            "x.mean(dim=1, keepdim=True) -> x.mean(dim=1)",
            "Print the shapes of x and of your mean and variance. Which axes line up?",
            ("** 2).mean(dim=1, keepdim=True) -> ** 2).mean(dim=1)",
             Patch("dim=1, keepdim=True", "dim=1", all=True),
             ("((x - mean) ** 2).mean(dim=1, -> x.var(dim=1, unbiased=False, ",
              "x.mean(dim=1, keepdim=True) -> x.mean(dim=1)"))),
    ],
    section=FUNCTION,
    locate=_locate,
    in_book=False,
)  # fmt: skip


def group_norm(x, num_groups, weight, bias, eps):
    split = x.unflatten(1, (num_groups, -1))  # (N, G, C / G, H, W)
    mean = split.mean((2, 3, 4), keepdim=True)
    var = ((split - mean) ** 2).mean((2, 3, 4), keepdim=True)
    x_hat = ((split - mean) / torch.sqrt(var + eps)).flatten(1, 2)
    return weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1)


def _images(shape: tuple[int, ...], groups: int, eps: float) -> Probe:
    inputs = {"x": _numbers(shape), "num_groups": groups, **_affine(shape[1]), "eps": eps}
    return calls(inputs, gradients=("x",))


_GROUP_NORM = Exercise(
    name="group_norm",
    chapter=CHAPTER,
    title="Group normalization",
    statement="Write `group_norm(x, num_groups, weight, bias, eps)` for `x` of shape (N, C, H, "
    "W): normalize each example over each group of neighboring channels and all pixels, "
    "then scale and shift each channel.",
    hints=(
        "`unflatten` splits the channels into groups and the channels of a group.",
        "Over which axes of (N, G, C / G, H, W) does a set extend?",
        "Scale and shift after the groups are joined again: there is one weight a channel.",
    ),
    solution=group_norm,
    oracle=relatives.group_norm,
    probes=[
        _images((1, 4, 1, 2), 2, 1e-5),
        _images((2, 4, 1, 4), 2, 0.5),
        _images((2, 6, 2, 2), 2, 1e-3),
        _images((2, 6, 2, 2), 3, 1e-3),
    ],
    mistakes=[
        Mistake("every channel on its own", FOUR_SETS, Patch("(2, 3, 4)", "(3, 4)", all=True),
            "With 4 channels in 2 groups, how many channels share a mean?"),
        Mistake("all channels together", FOUR_SETS, "(num_groups, -1) -> (1, -1)",
            "Set num_groups to 1 and to C. Does your function change?"),
        Mistake("normalized over the batch too", FOUR_SETS,
            Patch("(2, 3, 4)", "(0, 2, 3, 4)", all=True),
            "Change one image. Do the outputs of the others move?"),
        Mistake("statistics for every pixel", FOUR_SETS, Patch("(2, 3, 4)", "(2,)", all=True),
            "Which of the axes of (N, G, C / G, H, W) share a mean?"),
        Mistake("groups interleaved", FUNCTION,
            (
                "x.unflatten(1, (num_groups, -1)) -> x.unflatten(1, (-1, "
                "num_groups)).transpose(1, 2)",
                ".flatten(1, 2) -> .transpose(1, 2).flatten(1, 2)",
            ),
            "Channels 0 and 1 of four, in two groups: one group, or two? Print the indices that "
            "your reshape puts together."),
        Mistake("size of a group taken for their number", FUNCTION,
            "(num_groups, -1) -> (-1, num_groups)",
            "With 6 channels and num_groups=2, how many channels does a group have?"),
        Mistake("weight not reshaped", IMAGES,
            ("weight.view(1, -1, 1, 1) -> weight", "bias.view(1, -1, 1, 1) -> bias"),
            "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is "
            "that?"),
        Mistake("weight and bias forgotten", UNDO,
            "weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1) -> x_hat",
            "Call your function with two different weights. Does the output change?"),
        Mistake("epsilon outside the root", EPSILON,
            "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)",
            "Is epsilon added to a variance or to a standard deviation?"),
        Mistake("epsilon missing or fixed", EPSILON, "var + eps -> var",
            "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
            ("var + eps -> var + 1e-5",)),
        Mistake("gamma and beta swapped", UNDO,
            ("weight.view(1 -> gamma.view(1", "bias.view(1 -> weight.view(1",
             "gamma.view(1 -> bias.view(1"),
            "With weight 1 and bias 0, what comes out of your last line?"),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((split - mean) ** 2).mean( -> split.var(",
            "By which number does your variance divide, for a group of 4 numbers: 3 or 4?"),
        Mistake("averaged axes not kept", FOUR_SETS,
            "split.mean((2, 3, 4), keepdim=True) -> split.mean((2, 3, 4))",
            "Print the shapes of the split tensor and of your mean and variance. Which axes line "
            "up?",
            ("** 2).mean((2, 3, 4), keepdim=True) -> ** 2).mean((2, 3, 4))",
             Patch("(2, 3, 4), keepdim=True", "(2, 3, 4)", all=True),
             ("((split - mean) ** 2).mean((2, 3, 4), -> split.var((2, 3, 4), unbiased=False, ",
              "split.mean((2, 3, 4), keepdim=True) -> split.mean((2, 3, 4))"))),
    ],
    section=FUNCTION,
    in_book=False,
)  # fmt: skip


def family(x, groups, over_batch):
    split = x.unflatten(1, (groups, -1))  # (N, G, C / G, L)
    dims = (0, 2, 3) if over_batch else (2, 3)
    centered = split - split.mean(dims, keepdim=True)
    var = (centered**2).mean(dims, keepdim=True)
    return (centered / torch.sqrt(var + 1e-5)).flatten(1, 2)


def _by_pytorch(x: Tensor, groups: int, over_batch: bool) -> Tensor:
    if not over_batch:
        return F.group_norm(x, groups)
    joined = x.reshape(len(x), groups, -1)  # each group as one channel, with more positions
    return F.batch_norm(joined, None, None, training=True).view_as(x)


_FAMILY = Exercise(
    name="family",
    chapter=CHAPTER,
    title="Write it with two numbers",
    statement="Write `family(x, groups, over_batch)` for `x` of shape (N, C, L): normalize over "
    "the channels of each group and all positions, and over the batch too if "
    "`over_batch`. Epsilon is 1e-5, and there is no weight and no bias.",
    hints=(
        "Split the channels first: (N, C, L) becomes (N, groups, C / groups, L).",
        "Which two axes always belong to a set? Which third one does `over_batch` add?",
        "Join the groups again at the end.",
    ),
    solution=family,
    oracle=_by_pytorch,
    probes=[
        calls({"x": _numbers((2, 4, 3)), "groups": groups, "over_batch": over_batch})
        for groups in (2, 1, 4)
        for over_batch in (False, True)
    ]
    + [
        calls({"x": _numbers((2, 4, 3)) / 1000, "groups": 2, "over_batch": both}, essential=False)
        for both in (False, True)
    ],
    mistakes=[
        Mistake("epsilon of another size", FUNCTION, "var + 1e-5 -> var + 1e-8",
            "Give your function numbers of the size of 0.001. Against which number does the "
            "variance stand under the root?",
            ("var + 1e-5 -> var", "var + 1e-5 -> var + 1e-3", "var + 1e-5 -> var + 1e-6")),
        Mistake("batch never averaged", FOUR_SETS, "(0, 2, 3) if over_batch else (2, 3) -> (2, 3)",
            "Does the third argument change your result?"),
        Mistake(
            "batch always averaged", FOUR_SETS, "(0, 2, 3) if over_batch else (2, 3) -> (0, 2, 3)",
            "Does the third argument change your result?",
        ),
        Mistake("over_batch the wrong way round", FOUR_SETS, "if over_batch -> if not over_batch",
            "For which value of over_batch is one example enough?"),
        Mistake("groups ignored", FOUR_SETS, "(groups, -1) -> (1, -1)",
            "With as many groups as channels, how many channels share a mean?"),
        Mistake("groups interleaved", FUNCTION,
            (
                "x.unflatten(1, (groups, -1)) -> x.unflatten(1, (-1, groups)).transpose(1, 2)",
                ".flatten(1, 2) -> .transpose(1, 2).flatten(1, 2)",
            ),
            "Channels 0 and 1 of four, in two groups: one group, or two?"),
        Mistake("positions not averaged", TRAP,
            "(0, 2, 3) if over_batch else (2, 3) -> (0, 2) if over_batch else (2,)",
            "Layer normalization has two readings. Which of them shares a mean among positions?"),
        Mistake("averaged axes not kept", FOUR_SETS,
            "split.mean(dims, keepdim=True) -> split.mean(dims)",
            "Print the shapes of the split tensor and of your mean and variance. Which axes line "
            "up?",
            ("(centered**2).mean(dims, keepdim=True) -> (centered**2).mean(dims)",
             Patch("dims, keepdim=True", "dims", all=True),
             ("(centered**2).mean(dims, -> split.var(dims, unbiased=False, ",
              "split.mean(dims, keepdim=True) -> split.mean(dims)"))),
    ],
    section=FUNCTION,
)  # fmt: skip

EXERCISES = [_LAYER_NORM, _GROUP_NORM, _FAMILY]

IN_TEXT = {
    "13-count": Question(
        "An activation has shape (64, 32, 28, 28). How many means does GroupNorm(8, 32) compute?",
        answer=64 * 8,
        tolerance=0,
        feedback={
            "right": "Eight for each of the 64 examples, each over 4 channels of 28 by 28 numbers.",
            "wrong": "Count the sets: one for each group of each example.",
            8: "That is per example. No mean is shared between examples, and there are 64 of them.",
            32: "One mean per channel over the whole batch is batch normalization.",
            64: "One mean per example is layer normalization.",
            64 * 32: "One mean per channel of each example is instance normalization.",
        },
    ),
    "13-invariance": Question(
        "In a photo the exposure varies: each image may be darker by a factor of its own. Which "
        "first normalization makes a network without biases blind to that?",
        [
            choice(
                "Batch normalization, since it makes every channel's variance 1.",
                "On average over the batch. A dark image among bright ones stays dark, and in eval "
                "mode every image is divided by the same number.",
            ),
            choice(
                "Any that takes its statistics from one example.",
                "A factor on one whole example scales all of its sets alike, and each is divided "
                "by its own spread.",
                correct=True,
            ),
            choice(
                "Only instance normalization.",
                "It is blind to more, to a factor for each channel. Layer, group and RMS "
                "normalization suffice for one factor per image.",
            ),
        ],
    ),
}


QUESTIONS = [
    Question(
        r"One example with two features, \( x = (3, 4) \). RMS normalization with "
        r"\( \epsilon = 0 \) and \( \gamma = 1 \): what is the first output?",
        answer=0.8485,
        tolerance=0.002,
        feedback={
            "right": r"\( 3 / \sqrt{(9 + 16) / 2} \). Nothing is subtracted, so the sign and "
            "the ratio 3 : 4 stay.",
            "wrong": "Divide by the root of the mean of the squares. Subtract nothing.",
            -1: "That is layer normalization: it subtracts the mean of 3.5 first.",
            0.6: "That divides by the length of the vector, 5. The mean square has a 2 under it.",
        },
    ),
    Question(
        "A convolutional classifier ends with conv, `BatchNorm2d`, average over all "
        "positions, linear layer. Someone puts `InstanceNorm2d(affine=True)` in the place of "
        "that batch normalization. What happens?",
        [
            choice(
                "Little: it normalizes the same channels, one image at a time.",
                "It also makes the mean of each channel the same for every image. Ask what "
                "the next layer computes.",
            ),
            choice(
                "The network becomes blind to contrast, and works otherwise.",
                "It becomes blind to more than that: the average over positions is all that "
                "the classifier gets.",
            ),
            choice(
                "PyTorch refuses, as for a batch of one.",
                "It refuses when a channel has a single value. Here each has many positions.",
            ),
            choice(
                r"The linear layer receives \( \beta \), whatever the image.",
                "Each channel of each image has mean 0 before the affine part. The average "
                "over positions returns exactly that mean.",
                correct=True,
            ),
        ],
    ),
]


# Harness of the chapter


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, which stay on one line in a narrow column."""
    numbers = torch.tensor(values)
    return f"{numbers.mean():.1f}\u00a0±\u00a0{numbers.std():.1f}"
