"""Chapter 13: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bnkit import relatives
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.ingredients import (
    AFFINE,
    EPSILON,
    EPSILONS,
    EQUATIONS,
    IMAGES,
    STATISTICS,
    UNDO,
    WHICH_VARIANCE,
    shared,
)
from bnkit.book.observe import Probe, calls, first_wrong_step, scattered
from bnkit.book.quiz import Question, choice

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "mean_and_spread",
]

CHAPTER = "13_alternatives"

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
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return weight * x_hat + bias


def _rows(x: Tensor, eps: float) -> Probe:
    return calls({"x": x, **_affine(x.shape[1]), "eps": eps}, gradients=("x",))


def _normalized_rows(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return relatives.layer_norm(x, x.shape[1:], weight, bias, eps)


def _locate(answer: Callable) -> str:
    x = _numbers((3, 4))

    def normalize(eps: float) -> Tensor:
        return torch.as_tensor(answer(x.clone(), torch.ones(4), torch.zeros(4), eps)).T

    return first_wrong_step(normalize, x.T)


_SIZES = ("1e-5", "1e-8", "1e-3", "1e-6", "1e-4", "1e-12", "0.1", "1.0")
_SAID = {"epsilon missing", "epsilon fixed"}  # under one name here
_OWN_VAR = "((x - mean) ** 2).mean( -> x.var(unbiased=False, "  # around the right mean
_LAYER_NORM = Exercise(
    name="layer_norm",
    chapter=CHAPTER,
    title="Layer normalization",
    statement="Write `layer_norm(x, weight, bias, eps)` for `x` of shape (N, C): normalize each "
    "example over its features, with the biased variance, then scale and shift each feature. "
    "Gradients flow to x, through mean and variance too; an answer in Python's or NumPy's numbers, "
    "through which none can flow, is judged by its values.",
    hints=(
        "Which numbers share a mean: those of one row, or those of one column?",
        "Keep the axis, so that a mean of each row meets the rows again.",
    ),
    solution=layer_norm,
    oracle=_normalized_rows,
    probes=[
        _rows(_numbers((1, 2)), 1e-5),
        _rows(_numbers((2, 2)), 0.5),
        _rows(_numbers((3, 4)), 1e-3),
        _rows(scattered(7, 5), 0.1),
        _rows(torch.tensor([[10001.0, 10003.0]]), 1e-5),
        _rows(scattered(2, 9) / 100, 0.5),
        _rows(torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 9.0]]), 1e-3),
    ],
    mistakes=[
        Mistake("normalized over the batch", FOUR_SETS, Patch("dim=1", "dim=0", all=True),
            "Layer normalization works with a batch of one. Does yours? Over which axis is its "
            "mean?"),
        Mistake("one mean for the whole batch", FOUR_SETS,
            Patch("dim=1, keepdim=True", "", all=True),
            "Change one example. Do the outputs of the others move?",
            ("mean = x.mean(dim=1, keepdim=True) -> mean = x.mean()",
             "** 2).mean(dim=1, keepdim=True) -> ** 2).mean()")),
        Mistake("mean over the batch", FOUR_SETS, "mean = x.mean(dim=1 -> mean = x.mean(dim=0",
            "Print the shape of your mean. How many rows, and how many means?",
            (("mean = x.mean(dim=1 -> mean = x.mean(dim=0", _OWN_VAR),)),
        Mistake("variance over the batch", FOUR_SETS, "** 2).mean(dim=1 -> ** 2).mean(dim=0",
            "Print the shape of your variance. How many rows, and how many variances?",
            ("((x - mean) ** 2).mean(dim=1, -> x.var(unbiased=False, dim=0, ",)),
        Mistake("divided by the length of the row", EQUATIONS,
            "(x - mean) / torch.sqrt(var + eps) -> F.normalize(x - mean, dim=1)",
            "Take every feature twice. Should the output change?",
            ("x_hat = (x - mean) / torch.sqrt(var + eps) -> x_hat = F.normalize(x, dim=1)",)),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((x - mean) ** 2).mean(dim=1, -> x.var(dim=1,",
            "By which number does your variance divide, for two features: 1 or 2?"),
        Mistake("unbiased variance, and epsilon outside the root", WHICH_VARIANCE,
            ("((x - mean) ** 2).mean(dim=1, -> x.var(dim=1,",
             "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)"),
            "x.std() + eps, as it stands in much code: by which number does it divide, and where "
            "does epsilon stand?"),
        Mistake("epsilon missing or fixed", EPSILON, "var + eps -> var",
            "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
            tuple(f"var + eps -> var + {eps}" for eps in _SIZES)),
        *shared(EPSILONS, root="torch.sqrt(var + eps)", var="var", eps="eps", without=_SAID),
        *shared(AFFINE, line="weight * x_hat + bias", w="weight", x="x_hat", b="bias",
            w0="weight[0]", b0="bias[0]"),
        *shared(STATISTICS, axes="dim=1, keepdim=True", count="x.shape[1]", w="weight", b="bias",
            median="x.median(dim=1, keepdim=True).values",
            without={"divided by the number of features"}),
        Mistake("divided by the number of examples", FOUR_SETS,
            "((x - mean) ** 2).mean(dim=1, keepdim=True) -> "
            "((x - mean) ** 2).sum(dim=1, keepdim=True) / len(x)",
            "How many numbers are added up for one row, and by which number do you divide?",
            ("mean = x.mean(dim=1, keepdim=True) -> mean = x.sum(dim=1, keepdim=True) / len(x)",)),
        Mistake("averaged axis not kept", FOUR_SETS,
            "x.mean(dim=1, keepdim=True) -> x.mean(dim=1)",
            "Print the shapes of x and of your mean and variance. Which axes line up?",
            ("** 2).mean(dim=1, keepdim=True) -> ** 2).mean(dim=1)",
             Patch("dim=1, keepdim=True", "dim=1", all=True),
             ("((x - mean) ** 2).mean(dim=1, keepdim=True) -> x.var(dim=1, unbiased=False)",
              "x.mean(dim=1, keepdim=True) -> x.mean(dim=1)"),
             ("((x - mean) ** 2).mean(dim=1 -> x.var(unbiased=False, dim=1",
              "x.mean(dim=1, keepdim=True) -> x.mean(dim=1)"))),
    ],
    section=FUNCTION,
    locate=_locate,
    in_book=False,
)  # fmt: skip


def group_norm(x, num_groups, weight, bias, eps):
    x = x.unflatten(1, (num_groups, -1))  # (N, G, C / G, H, W)
    mean = x.mean((2, 3, 4), keepdim=True)
    var = ((x - mean) ** 2).mean((2, 3, 4), keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    x_hat = x_hat.flatten(1, 2)
    return weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1)


def _images(shape: tuple[int, ...], groups: int, eps: float, x: Tensor | None = None) -> Probe:
    inputs = {
        "x": _numbers(shape) if x is None else x,
        "num_groups": groups,
        **_affine(shape[1]),
        "eps": eps,
    }
    return calls(inputs, gradients=("x",))


def _by_pixels(back: bool) -> Callable:
    """A wrong answer whose rows are pixels: all channels of a pixel come one after the other."""

    def answer(x: Tensor, num_groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        n, c, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(n, num_groups, -1)
        var, mean = torch.var_mean(rows, 2, correction=0, keepdim=True)
        rows = (rows - mean) / torch.sqrt(var + eps)
        y = rows.reshape(n, h, w, c).permute(0, 3, 1, 2) if back else rows.reshape(x.shape)
        return weight.view(1, -1, 1, 1) * y + bias.view(1, -1, 1, 1)

    return answer


def _groups_of_everything(
    x: Tensor, num_groups: int, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    """A wrong answer that cuts the whole batch into as many parts as there are groups."""
    rows = x.reshape(num_groups, -1)
    var, mean = torch.var_mean(rows, 1, correction=0, keepdim=True)
    y = ((rows - mean) / torch.sqrt(var + eps)).view_as(x)
    return weight.view(1, -1, 1, 1) * y + bias.view(1, -1, 1, 1)


def _every_other(x: Tensor, num_groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """A wrong answer whose groups take turns, number by number."""
    rows = x.reshape(len(x), -1, num_groups)
    var, mean = torch.var_mean(rows, 1, correction=0, keepdim=True)
    y = ((rows - mean) / torch.sqrt(var + eps)).view_as(x)
    return weight.view(1, -1, 1, 1) * y + bias.view(1, -1, 1, 1)


_NOT_FOR_GROUPS = {"normalized twice", "divided by the number of features"}
_GROUP_NORM = Exercise(
    name="group_norm",
    chapter=CHAPTER,
    title="Group normalization",
    statement="Write `group_norm(x, num_groups, weight, bias, eps)` for `x` of shape (N, C, H, "
    "W): normalize each example over each group of neighboring channels and all pixels, "
    "with the biased variance, then scale and shift each channel. Gradients flow to x, through "
    "mean and variance too; an answer in Python's or NumPy's numbers, through which none can flow, "
    "is judged by its values.",
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
        _images((3, 12, 2, 3), 4, 0.1, scattered(3, 12, 2, 3)),
        _images((1, 2, 1, 2), 1, 1e-5, 10000 + 2 * _numbers((1, 2, 1, 2))),
        _images((2, 4, 3, 1), 4, 0.5, scattered(2, 4, 3, 1) / 100),
    ],
    mistakes=[
        Mistake("every channel on its own", FOUR_SETS, Patch("(2, 3, 4)", "(3, 4)", all=True),
            "With 4 channels in 2 groups, how many channels share a mean?",
            ("mean = x.mean((2, 3, 4) -> mean = x.mean((3, 4)",
             "** 2).mean((2, 3, 4) -> ** 2).mean((3, 4)",
             ("((x - mean) ** 2).mean((2, 3, 4), -> x.var((2, 3, 4), unbiased=False, ",
              "mean = x.mean((2, 3, 4) -> mean = x.mean((3, 4)"),
             "((x - mean) ** 2).mean((2, 3, 4), -> x.var(unbiased=False, dim=(3, 4), ")),
        Mistake("all channels together", FOUR_SETS, "(num_groups, -1) -> (1, -1)",
            "Set num_groups to 1 and to C. Does your function change?",
            ("mean = x.mean((2, 3, 4) -> mean = x.mean((1, 2, 3, 4)",
             "** 2).mean((2, 3, 4) -> ** 2).mean((1, 2, 3, 4)")),
        Mistake("normalized over the batch too", FOUR_SETS,
            Patch("(2, 3, 4)", "(0, 2, 3, 4)", all=True),
            "Change one image. Do the outputs of the others move?",
            ("mean = x.mean((2, 3, 4) -> mean = x.mean((0, 2, 3, 4)",
             "** 2).mean((2, 3, 4) -> ** 2).mean((0, 2, 3, 4)",
             (Patch("(2, 3, 4)", "(0, 3, 4)", all=True)),
             "(num_groups, -1)) -> (num_groups, -1)).flatten(2)[None].transpose(1, 2)"
             ".flatten(2).unflatten(2, (-1, 1, 1)).expand(1, -1, -1, -1, -1)")),
        Mistake("statistics for every pixel", FOUR_SETS, Patch("(2, 3, 4)", "(2,)", all=True),
            "Which of the axes of (N, G, C / G, H, W) share a mean?",
            (Patch("(2, 3, 4)", "(1, 2)", all=True),)),
        Mistake("averaged over the batch alone", FOUR_SETS, Patch("(2, 3, 4)", "(0,)", all=True),
            "Your function should work with one image. Does it?"),
        Mistake("averaged over the groups", FOUR_SETS, Patch("(2, 3, 4)", "(1,)", all=True),
            "Which numbers share a mean: those of one group, or one number of every group?"),
        Mistake("only one axis of an image averaged", FOUR_SETS,
            Patch("(2, 3, 4)", "(2, 3)", all=True),
            "An image has rows and columns. Over which of them does a set extend?",
            (Patch("(2, 3, 4)", "(2, 4)", all=True), Patch("(2, 3, 4)", "(3,)", all=True),
             Patch("(2, 3, 4)", "(4,)", all=True))),
        Mistake("groups interleaved", FUNCTION,
            ("x.unflatten(1, (num_groups, -1)) -> "
             "x.unflatten(1, (-1, num_groups)).transpose(1, 2)",
             "x_hat.flatten(1, 2) -> x_hat.transpose(1, 2).flatten(1, 2)"),
            "Channels 0 and 1 of four, in two groups: one group, or two? Print the indices that "
            "your reshape puts together.",
            (Patch("(2, 3, 4)", "(1, 3, 4)", all=True),)),
        Mistake("size of a group taken for their number", FUNCTION,
            "(num_groups, -1) -> (-1, num_groups)",
            "With 6 channels and num_groups=2, how many channels does a group have?"),
        Mistake("axes taken apart without moving them", FUNCTION,
            _by_pixels(back=True),
            "reshape keeps the order of the numbers. Which numbers of your array are one group?",
            (_by_pixels(back=False), _groups_of_everything, _every_other)),
        Mistake("weight not reshaped", IMAGES,
            ("weight.view(1, -1, 1, 1) -> weight", "bias.view(1, -1, 1, 1) -> bias"),
            "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is "
            "that?"),
        Mistake("one weight and one bias for all channels", UNDO,
            ("weight.view(1, -1, 1, 1) -> weight.mean()", "bias.view(1, -1, 1, 1) -> bias.mean()"),
            "How many weights are there, and how many channels?"),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((x - mean) ** 2).mean( -> x.var(",
            "By which number does your variance divide, for a group of 4 numbers: 3 or 4?"),
        Mistake("unbiased variance, and epsilon outside the root", WHICH_VARIANCE,
            ("((x - mean) ** 2).mean( -> x.var(",
             "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)"),
            "std() + eps, as it stands in much code: by which number does it divide, and where "
            "does epsilon stand?"),
        Mistake("epsilon missing or fixed", EPSILON, "var + eps -> var",
            "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
            tuple(f"var + eps -> var + {eps}" for eps in _SIZES)),
        *shared(EPSILONS, root="torch.sqrt(var + eps)", var="var", eps="eps", without=_SAID),
        *shared(AFFINE, line="weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1)",
            w="weight.view(1, -1, 1, 1)", x="x_hat", b="bias.view(1, -1, 1, 1)",
            w0="weight[0]", b0="bias[0]"),
        *shared(STATISTICS, axes="(2, 3, 4), keepdim=True", count="x[0, 0].numel()",
            w="weight.view(1, -1, 1, 1)", b="bias.view(1, -1, 1, 1)",
            median="x.flatten(2).median(2).values[..., None, None, None]",
            without=_NOT_FOR_GROUPS),
        Mistake("averaged axes not kept", FOUR_SETS,
            "mean = x.mean((2, 3, 4), keepdim=True) -> mean = x.mean((2, 3, 4))",
            "Print the shapes of the split tensor and of your mean and variance. Which axes line "
            "up?",
            ("** 2).mean((2, 3, 4), keepdim=True) -> ** 2).mean((2, 3, 4))",
             Patch("(2, 3, 4), keepdim=True", "(2, 3, 4)", all=True),
             ("((x - mean) ** 2).mean((2, 3, 4), keepdim=True) -> "
              "x.var((2, 3, 4), unbiased=False)",
              "mean = x.mean((2, 3, 4), keepdim=True) -> mean = x.mean((2, 3, 4))"),
             ("((x - mean) ** 2).mean((2, 3, 4) -> x.var(unbiased=False, dim=(2, 3, 4)",
              "mean = x.mean((2, 3, 4), keepdim=True) -> mean = x.mean((2, 3, 4))"))),
    ],
    section=FUNCTION,
    in_book=False,
)  # fmt: skip


def family(x, groups, over_batch):
    eps, dims = 1e-5, (0, 2, 3) if over_batch else (2, 3)
    x = x.unflatten(1, (groups, -1))  # (N, G, C / G, L)
    mean = x.mean(dims, keepdim=True)
    var = ((x - mean) ** 2).mean(dims, keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return x_hat.flatten(1, 2)


def _by_pytorch(x: Tensor, groups: int, over_batch: bool) -> Tensor:
    if not over_batch:
        return F.group_norm(x, groups)
    joined = x.reshape(len(x), groups, -1)  # each group as one channel, with more positions
    return F.batch_norm(joined, None, None, training=True).view_as(x)


def _by_positions(back: bool) -> Callable:
    """A wrong answer whose rows are positions: the channels of each come one after the other."""

    def answer(x: Tensor, groups: int, over_batch: bool) -> Tensor:
        rows = x.transpose(1, 2).reshape(len(x), groups, -1)
        dims = [0, 2] if over_batch else [2]
        var, mean = torch.var_mean(rows, dims, correction=0, keepdim=True)
        rows = (rows - mean) / torch.sqrt(var + 1e-5)
        return rows.reshape(len(x), x.shape[2], -1).transpose(1, 2) if back else rows.view_as(x)

    return answer


_NOT_FOR_FAMILY = {
    "median in place of the mean", "divided by the number of features", "normalized twice",
    "only x divided, not its mean", "the mean in place of beta", "divided by x_hat",
    "no gradient reaches x", "detached statistics", "detached variance", "detached mean",
    "deviations not squared",
}  # fmt: skip
_FAMILY = Exercise(
    name="family",
    chapter=CHAPTER,
    title="Write it with two numbers",
    statement="Write `family(x, groups, over_batch)` for `x` of shape (N, C, L): normalize over "
    "the channels of each group and all positions, and over the batch too if "
    "`over_batch`. The variance is the biased one, epsilon is 1e-5, and there is no weight and no "
    "bias.",
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
        calls({"x": x, "groups": groups, "over_batch": both})
        for x, groups in (
            (scattered(3, 6, 5), 3), (_numbers((2, 4, 3)) / 1000, 2), (scattered(5, 8, 2), 2),
            (10000 + 2 * _numbers((2, 2, 3)), 1), (_numbers((2, 4, 3)) / 10000, 2),
        )
        for both in (False, True)
    ],
    mistakes=[
        Mistake("epsilon of another size", FUNCTION, "eps, dims = 1e-5 -> eps, dims = 1e-8",
            "Give your function numbers of the size of 0.001. Against which number does the "
            "variance stand under the root?",
            tuple(f"eps, dims = 1e-5 -> eps, dims = {eps}" for eps in (
                "1e-3", "1e-6", "1e-4", "1e-7", "1e-2", "0.1", "0"))),
        Mistake("batch never averaged", FOUR_SETS, "(0, 2, 3) if over_batch else (2, 3) -> (2, 3)",
            "Does the third argument change your result?",
            ("mean = x.mean(dims -> mean = x.mean((2, 3)", "2).mean(dims -> 2).mean((2, 3)",
             ("((x - mean) ** 2).mean(dims, -> x.var(dims, unbiased=False, ",
              "mean = x.mean(dims -> mean = x.mean((2, 3)"),
             "((x - mean) ** 2).mean(dims, -> x.var(unbiased=False, dim=(2, 3), ")),
        Mistake(
            "batch always averaged", FOUR_SETS, "(0, 2, 3) if over_batch else (2, 3) -> (0, 2, 3)",
            "Does the third argument change your result?",
        ),
        Mistake("over_batch the wrong way round", FOUR_SETS, "if over_batch -> if not over_batch",
            "For which value of over_batch is one example enough?"),
        Mistake("groups ignored", FOUR_SETS, "(groups, -1) -> (1, -1)",
            "With as many groups as channels, how many channels share a mean?",
            ("else (2, 3) -> else (1, 2, 3)", "(0, 2, 3) if -> (0, 1, 2, 3) if",
             "(0, 2, 3) if over_batch else (2, 3) -> (0, 1, 2, 3) if over_batch else (1, 2, 3)")),
        Mistake("every channel on its own", FOUR_SETS, "(groups, -1) -> (x.shape[1], 1)",
            "With one group, how many channels share a mean?",
            ("(0, 2, 3) if over_batch else (2, 3) -> (0, 3) if over_batch else (3,)",)),
        Mistake("the batch alone averaged", FOUR_SETS, "(0, 2, 3) if -> (0,) if",
            "over_batch adds an axis to those that always belong to a set. Which ones are these?"),
        Mistake("size of a group taken for their number", FUNCTION, "(groups, -1) -> (-1, groups)",
            "With 6 channels and groups=2, how many channels does a group have?"),
        Mistake("groups interleaved", FUNCTION,
            (
                "x.unflatten(1, (groups, -1)) -> x.unflatten(1, (-1, groups)).transpose(1, 2)",
                "x_hat.flatten(1, 2) -> x_hat.transpose(1, 2).flatten(1, 2)",
            ),
            "Channels 0 and 1 of four, in two groups: one group, or two?",
            ("(0, 2, 3) if over_batch else (2, 3) -> (0, 1, 3) if over_batch else (1, 3)",)),
        Mistake("positions not averaged", TRAP,
            "(0, 2, 3) if over_batch else (2, 3) -> (0, 2) if over_batch else (2,)",
            "Layer normalization has two readings. Which of them shares a mean among positions?"),
        Mistake("axes taken apart without moving them", FUNCTION, _by_positions(back=True),
            "reshape keeps the order of the numbers. Which numbers of your array are one group?",
            (_by_positions(back=False),)),
        Mistake("groups not joined again", FUNCTION, "x_hat.flatten(1, 2) -> x_hat",
            "Print the shape of your output. Which shape did x have?",
            ("x_hat.flatten(1, 2) -> x_hat.flatten(2)",)),
        Mistake("deviations not squared", EQUATIONS, "((x - mean) ** 2) -> (x - mean)",
            "What is the mean of x minus its mean, before anything is squared?",
            (" ** 2 ->  ** 3", " ** 2 ->  ** 4")),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            "((x - mean) ** 2).mean( -> x.var(",
            "By which number does your variance divide, for a set of 6 numbers: 5 or 6?",
            ("2).mean(dims, keepdim=True) -> 2).mean(dims, keepdim=True) * x[0, 0].numel() / "
             "(x[0, 0].numel() - 1)",)),
        *shared(EPSILONS, root="torch.sqrt(var + eps)", var="var", eps="eps",
            without=_SAID | {"epsilon outside the root", "epsilon squared, or its root",
                "epsilon multiplied", "epsilon as the smallest value, not added"}),
        # Added to the quotient, or as 1e-8, it cannot be told from a missing one.
        Mistake("epsilon outside the root", EPSILON,
            "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)",
            "Follow epsilon from left to right in the equation: is it added to a variance or to a "
            "standard deviation?"),
        *shared(STATISTICS, axes="dims, keepdim=True", count="(x[0, 0].numel() * (len(x) if "
            "over_batch else 1))", w="", b="", without=_NOT_FOR_FAMILY,
            median=""),
        Mistake("averaged axes not kept", FOUR_SETS,
            "mean = x.mean(dims, keepdim=True) -> mean = x.mean(dims)",
            "Print the shapes of the split tensor and of your mean and variance. Which axes line "
            "up?",
            ("2).mean(dims, keepdim=True) -> 2).mean(dims)",
             Patch("dims, keepdim=True", "dims", all=True),
             ("((x - mean) ** 2).mean(dims, keepdim=True) -> x.var(dims, unbiased=False)",
              "mean = x.mean(dims, keepdim=True) -> mean = x.mean(dims)"),
             ("((x - mean) ** 2).mean(dims -> x.var(unbiased=False, dim=dims",
              "mean = x.mean(dims, keepdim=True) -> mean = x.mean(dims)"))),
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
