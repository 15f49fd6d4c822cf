"""Chapter 17, Many machines: its questions, exercise, mistakes, figures and harness."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from IPython.display import Markdown
from matplotlib.axes import Axes
from torch import Tensor

from bnkit import plots
from bnkit.book.ch15 import middle_half, ratio_by_round
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.ingredients import (
    AXES,
    EPSILONS,
    EQUATIONS,
    TWO_FORMULAS,
    WHICH_VARIANCE,
    WRONG_GRADIENTS,
    shared,
)
from bnkit.book.observe import Facets, Probe, as_seen, calls, scattered
from bnkit.book.page import Html, markdown_table
from bnkit.book.quiz import Question, choice, predict
from bnkit.plots import COLORS, appearance, new_axes, to_numpy

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "draw_message_times",
    "merged_shards",
    "ratio_table",
    "shares_over_processes",
    "show_code",
    "sizes_prediction",
]

CHAPTER = "17_many_machines"

TWO_VARIANCES = "12_train_test_mismatch.ipynb#Two variances"
BY_HAND = "12_train_test_mismatch.ipynb#Six numbers by hand"
ALL_ROWS_MOVE = "04_backward.ipynb#One row matters, all rows move"


# A batch that is spread over processes


def synchronized(shards, eps):
    # what each process tells the others, in one message
    told = [(len(x), x.mean(dim=0), x.var(dim=0, unbiased=False)) for x in shards if len(x)]
    count = sum(n for n, _, _ in told)
    mean = sum(n * m for n, m, _ in told) / count
    var = sum(n * (v + (m - mean) ** 2) for n, m, v in told) / count
    return [(x - mean) / torch.sqrt(var + eps) for x in shards]


def _together(shards: list[Tensor], eps: float) -> list[Tensor]:
    x = torch.cat(shards)
    y = (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps)
    return list(y.split([len(shard) for shard in shards]))


def _shards(rows: list | Tensor, sizes: list[int], eps: float) -> Probe:
    x = torch.as_tensor(rows)
    parts = x.split(sizes)

    def run(answer: Callable) -> Facets:
        outputs = answer([part.clone() for part in parts], eps)
        facets = {f"output {i}": as_seen(y) for i, y in enumerate(outputs)}
        return facets | _gradient(answer, x, sizes, eps)

    return Probe({f"shard {i}": part for i, part in enumerate(parts)} | {"eps": eps}, run)


def _gradient(answer: Callable, x: Tensor, sizes: list[int], eps: float) -> Facets:
    """Of the first shard's outputs alone, with respect to the inputs of all shards."""
    probe = calls({"x": x}, gradients=("x",))
    seen = probe.run(lambda x: answer(list(x.split(sizes)), eps)[0])
    found = next(value for name, value in seen.items() if name.startswith("gradient"))
    return {"gradient of all shards": found}


def _only_own_gradient(shards, eps):
    outputs = []
    for i, shard in enumerate(shards):
        x = torch.cat([s if i == j else s.detach() for j, s in enumerate(shards)])
        outputs.append((shard - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps))
    return outputs


_ALONE = "[(x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps) for x in shards]"
_MEAN, _VAR = "sum(n * m for n, m, _ in told) / count", "n * (v + (m - mean) ** 2)"
_SUM = f"sum({_VAR} for n, m, v in told) / count"
_SYNC = Exercise(
    name="sync",
    chapter=CHAPTER,
    title="Synchronize",
    statement="Write `synchronized(shards, eps)` for a list of tensors of shape (N_p, C), one for "
    "each process: return the list of their outputs, normalized with mean and biased variance of "
    "all examples. Gradients flow through the common mean and variance to all shards; an answer in "
    "Python's or NumPy's numbers, through which none can flow, is judged by its values.",
    hints=(
            "Shards may have different sizes. What must every process tell besides its mean and "
            "its variance?",
            "Merge the means with the counts as weights. Then the variances: each needs the "
            "squared distance of its mean from the common one.",
        ),
    solution=synchronized,
    oracle=_together,
    probes=[
        _shards([[1.0], [3.0], [8.0]], [2, 1], 1e-5),
        _shards([[1.0, 0.5], [2.0, 3.0], [6.0, 1.0], [3.0, -2.0]], [2, 2], 0.5),
        _shards([[10001.0], [10003.0]], [1, 1], 1e-5),
        _shards([[1.0, 4.0], [2.0, 0.0], [7.0, 1.0], [5.0, 5.0], [0.0, 2.0]], [1, 3, 1], 0.1),
        _shards(scattered(11, 3), [4, 2, 1, 4], 1e-3),
        _shards(scattered(6, 2) / 100, [4, 2], 0.5),
    ],
    mistakes=[
        Mistake("every process on its own", BY_HAND,
            Patch("[(x - mean) / torch.sqrt(var + eps) for x in shards]", _ALONE),
            "Move one number of the first shard. Do the outputs of the second change?"),
        Mistake("every process with its own mean", BY_HAND, "[(x - mean) -> [(x - x.mean(0))",
            "Move one number of the first shard. Which of the two statistics of the second moves?"),
        Mistake("every process with its own variance", BY_HAND,
            "torch.sqrt(var + eps) -> torch.sqrt(x.var(0, unbiased=False) + eps)",
            "Move one number of the first shard. Which of the two statistics of the second moves?"),
        Mistake("statistics of the first shard for all", BY_HAND, "for x in shards if -> for x in "
            "shards[:1] if",
            "Move one number of the second shard. Do the outputs of the first change?",
            ("for x in shards if -> for x in shards[-1:] if",)),
        Mistake("two processes alone", BY_HAND, "for x in shards if -> for x in shards[:2] if",
            "How many processes are there, and how many of them are heard?",
            (Patch(_MEAN, _MEAN.replace("in told", "in told[:2]")),
             Patch(_SUM, _SUM.replace("in told", "in told[:2]")))),
        Mistake("means averaged without counts", TWO_VARIANCES,
            Patch(_MEAN, "sum(m for _, m, _ in told) / len(told)"),
            "Shards of 2 and of 1: does the single example count as much as the pair?"),
        Mistake("spread around the unweighted mean", TWO_VARIANCES,
            "(m - mean) ** 2 -> (m - sum(a for _, a, _ in told) / len(told)) ** 2",
            "Your mean is right. Around which mean do you take the distances of the shards' "
            "means?"),
        Mistake("spread around the mean of one shard", TWO_VARIANCES,
            "(m - mean) ** 2 -> (m - told[0][1]) ** 2",
            "Your mean is right. Around which mean do you take the distances?",
            ("(m - mean) ** 2 -> (m - told[-1][1]) ** 2",)),
        Mistake("variance within the shards missing", TWO_VARIANCES, "v + (m - mean) -> (m - mean)",
            "If all shards have the same mean, is there no variance at all?"),
        Mistake("squares of the means not centered", TWO_VARIANCES, "(m - mean) ** 2 -> m**2",
            "Add 10 to all inputs. Should the variance change?"),
        Mistake("standard deviations averaged", TWO_VARIANCES,
            Patch(_SUM, "(sum(n * v.sqrt() for n, m, v in told) / count) ** 2"),
            "Which of the two adds up over examples: squared distances, or their root?",
            (Patch(_SUM, "(sum(v.sqrt() for n, m, v in told) / len(told)) ** 2"),
             Patch(_SUM, "sum(n * (v.sqrt() + (m - mean) ** 2) for n, m, v in told) / count"))),
        Mistake("one tensor in place of a list", BY_HAND,
            Patch("[(x - mean) / torch.sqrt(var + eps) for x in shards]",
                  "torch.cat([(x - mean) / torch.sqrt(var + eps) for x in shards])"),
            "Each process needs its own outputs. How many tensors do you return?",
            (Patch("[(x - mean) / torch.sqrt(var + eps) for x in shards]",
                   "(shards[0] - mean) / torch.sqrt(var + eps)"),
             Patch("[(x - mean) / torch.sqrt(var + eps) for x in shards]",
                   "[torch.cat([(x - mean) / torch.sqrt(var + eps) for x in shards])]"))),
        Mistake("divided by the variance", EQUATIONS, "torch.sqrt(var + eps) -> (var + eps)",
            "If x is in meters, in which unit is your output?"),
        Mistake("not divided by the standard deviation", EQUATIONS,
            "(x - mean) / torch.sqrt(var + eps) -> (x - mean)",
            "Multiply all inputs by 10. Should the outputs change?"),
        Mistake("mean not subtracted", EQUATIONS, "[(x - mean) / -> [x /",
            "Compute the mean of all outputs. What should it be?"),
        Mistake("numbers counted in place of examples", TWO_VARIANCES,
            Patch("count = sum(n for n, _, _ in told)", "count = sum(x.numel() for x in shards)"),
            "A shard of shape (N_p, C): how many numbers enter the mean of one feature?",
            (Patch("count = sum(n for n, _, _ in told)", "count = len(told)"),)),
        Mistake("plain averages of the statistics", TWO_VARIANCES,
            (
                Patch(_MEAN, "sum(m for _, m, _ in told) / len(told)"),
                Patch(_SUM, "sum(v for _, _, v in told) / len(told)"),
            ),
            "Two shards: one all 0, one all 10. Which variance do all numbers have together?"),
        Mistake("averages of the means and of the mean squares", TWO_VARIANCES,
            (
                Patch(_MEAN, "sum(m for _, m, _ in told) / len(told)"),
                Patch(_SUM, "sum((x * x).mean(0) for x in shards) / len(shards) - mean**2"),
            ),
            "Shards of 2 and of 1, and numbers far from zero: which of the two does your rule "
            "get wrong?"),
        Mistake("variances averaged", TWO_VARIANCES, " + (m - mean) ** 2 -> ",
            "Two shards: one all 0, one all 10. Which variance do all numbers have together?",
            (Patch(_SUM, "sum(v for _, _, v in told) / len(told)"),)),
        Mistake("uneven shards weighted alike", TWO_VARIANCES, "(len(x), -> (1,",
            "Shards of 2 and of 1: does the single example count as much as the pair?",
            (Patch(_SUM, "sum(v + (m - mean) ** 2 for n, m, v in told) / len(told)"),)),
        Mistake("variance as E[x²] − E[x]²", TWO_FORMULAS,
            Patch(_SUM, "sum((x * x).sum(0) for x in shards) / count - mean * mean"),
            "Add 10,000 to every input, in float32. Sum and count first: what can you subtract "
            "before you square?"),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            Patch(_SUM, _SUM.replace("/ count", "/ (count - 1)")),
            "By which number does your variance divide: all examples, or one fewer?"),
        Mistake("detached statistics", WRONG_GRADIENTS,
            "x.mean(dim=0), x.var -> x.detach().mean(dim=0), x.detach().var",
            "The outputs are right. Does each x also act through the mean and the variance?",
            ("x.mean(dim=0), x.var -> x.detach().mean(dim=0), x.var",
             "x.mean(dim=0), x.var -> x.mean(dim=0), x.detach().var")),
        Mistake("no gradient flows", WRONG_GRADIENTS,
            "[(x - mean) / torch.sqrt(var + eps) for -> "
            "[((x - mean) / torch.sqrt(var + eps)).detach() for",
            "The outputs are right, and nothing can be learned below. Which detach or no_grad "
            "stands around all of it?"),
        Mistake("gradient of the other shards lost", ALL_ROWS_MOVE, _only_own_gradient,
            "The outputs are right. Should the loss of one process send a gradient to the inputs "
            "of another?"),
        *shared(EPSILONS, root="torch.sqrt(var + eps)", var="var", eps="eps",
            without={"epsilon fixed"}),
        Mistake("epsilon fixed", EPSILONS[0][1],
            "var + eps -> var + 1e-5",
            "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
            ("var + eps -> var + 1e-3", "var + eps -> var + 0.1", "var + eps -> var + 1.0")),
        Mistake("unbiased variances of the shards", WHICH_VARIANCE, ", unbiased=False -> ",
            "A shard of one example: what does your variance divide by?",
            ("unbiased=False -> unbiased=len(x) > 1",)),
        Mistake("wrong axis", AXES, Patch("dim=0", "dim=1", all=True),
            "A shard has shape (N_p, C). How many means should a process tell?",
            ("x.mean(dim=0) -> x.mean(dim=1)", "x.var(dim=0, -> x.var(dim=1,")),
        Mistake("one number for all features", AXES, "x.mean(dim=0) -> x.mean()",
            "How many features do the shards have, and how many means does a process tell?",
            ("x.var(dim=0, -> x.var(",)),
        Mistake("sums not divided by the count", TWO_VARIANCES,
            Patch(_MEAN, _MEAN.replace("/", "*")),
            "Give every process its shard twice. Should the common mean move?",
            (Patch(_SUM, _SUM.replace("/ count", "* count")), Patch(" / count", "", all=True),
             Patch(_SUM, _SUM.replace(" / count", "")),
             Patch(_MEAN, _MEAN.replace(" / count", "")))),
        Mistake("not multiplied by the counts", TWO_VARIANCES, "n * m for -> n / m for",
            "How does a process that knows count and mean find the sum of its numbers?",
            ("n * (v -> n / (v",)),
        Mistake("spread of the means with a wrong sign", TWO_VARIANCES,
            "v + (m - mean) -> v - (m - mean)",
            "Pull two shards apart. Does the variance of all numbers grow or shrink?",
            ("(m - mean) ** 2 -> (m + mean) ** 2",)),
        Mistake("distance of the means not squared", TWO_VARIANCES,
            "(m - mean) ** 2 -> (m - mean).abs()",
            "In which unit is a variance, and in which is the distance of two means?",
            ("(m - mean) ** 2 -> (m - mean) ** 3", "(m - mean) ** 2 -> (m - mean) ** 0")),
        Mistake("multiplied by the standard deviation", EQUATIONS, "/ torch.sqrt -> * torch.sqrt",
            "A feature with a large spread should be made smaller."),
        Mistake("mean added, not subtracted", EQUATIONS, "[(x - mean) -> [(x + mean)",
            "Compute the mean of all outputs. What should it be?"),
    ],
    section=TWO_VARIANCES,
)  # fmt: skip

EXERCISES = [_SYNC]

IN_TEXT = {
    "17-accumulate": Question(
        "Gradients are accumulated over 8 batches of 2 on one GPU. Does SyncBatchNorm give them "
        "statistics over 16?",
        [
            choice("Yes, that is what it is for.", "It shares between processes. Here is one."),
            choice(
                "No: it merges over processes, not over time.",
                "With one process it is plain BN over 2.",
                correct=True,
            ),
            choice("Yes, in the running statistics.", "They average over time, batches of 2 each."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "Process 0 holds the values 2, 2, 2 of a channel, process 1 the single value 10. What "
        "is the biased variance of all four?",
        answer=12.0,
        feedback={
            "right": r"The mean is 4, and \( (3 \cdot 2^2 + 1 \cdot 6^2) / 4 = 12 \). Within "
            "the processes nothing varies: all of it lies between them.",
            "wrong": "First the mean of the four values. Then the squared distances from it, "
            "each value counted once.",
            0: "That averages the two variances. The distance between the means is lost.",
            16: "That weights both processes alike, with a mean of 6. Process 0 has three of "
            "the four values.",
        },
    ),
    Question(
        "Eight processes with 4 images each train under plain DDP, without synchronized "
        "statistics. What is the same as in one process with a batch of 32?",
        [
            choice(
                "The gradient, because DDP averages it over the processes.",
                "It averages gradients of eight functions, each normalized by its own 4 "
                "images. The average is not the gradient of the batch of 32.",
            ),
            choice(
                "The running statistics, because DDP averages buffers.",
                "It does not average them: it broadcasts those of rank 0, which has seen an "
                "eighth of the images.",
            ),
            choice(
                "Everything: DDP makes eight processes equal to one.",
                "That holds for layers that treat each example alone.",
            ),
            choice(
                "For the batch normalization, none of these.",
                "Statistics are over 4 images, the gradients follow from them, and the "
                "running statistics are those of rank 0.",
                correct=True,
            ),
        ],
    ),
]


# What the chapter shows


def show_code(function: Callable) -> Markdown:
    """The source of a function, without its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    lines, first = source.splitlines(), ast.parse(source).body[0].body[0]
    code = lines[: first.lineno - 1] + lines[first.end_lineno :]
    return Markdown("```python\n" + "\n".join(code) + "\n```")


def merged_shards(shards: Sequence[object], *, span: tuple[float, float] | None = None) -> Axes:
    """Each shard with its mean and standard deviation, and two ways to put them together.

    The shards stand on top, then the whole batch by merged statistics, then the averages of means
    and variances.
    """
    parts = [to_numpy(shard).astype(float).ravel() for shard in shards]
    rows = _merged_rows(parts)
    ax = new_axes(figsize=(7, 1.2 + 0.5 * len(parts)))
    place = {"xycoords": ("axes fraction", "data"), "va": "center"}
    for y, (_, values, center, spread, color) in enumerate(rows):
        deviation = spread**0.5
        ax.barh(y, 2 * deviation, left=center - deviation, color=COLORS[color], alpha=0.3)
        ax.plot([center] * 2, [y - 0.4, y + 0.4], color=COLORS[color])
        ax.plot(values, [y] * len(values), "o", color=COLORS["text"], alpha=0.8)
        ax.annotate(f"σ² = {spread:.2f}", (1.01, y), **place)
    ax.set(yticks=range(len(rows)), yticklabels=[row[0] for row in rows], xlabel="value")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(span)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def _merged_rows(parts: list) -> list[tuple]:
    """Label, values, mean, variance and color of each row."""
    rows = [(f"process {i}", p, p.mean(), p.var(), "reference") for i, p in enumerate(parts)]
    whole = np.concatenate(parts)
    rows.append(("merged", whole, whole.mean(), whole.var(), "bn"))
    mean = np.mean([p.mean() for p in parts])
    variance = np.mean([p.var() for p in parts])
    rows.append(("averaged", whole, mean, variance, "plain"))
    return rows


def sizes_prediction(accuracies: Mapping[str, Sequence[float]]) -> Html:
    """Have the reader guess how much sharing statistics helps, then show it."""
    return predict(
        "How much does sharing statistics help, with 2 and with 16 digits per process?",
        [
            choice("Much at both.", "Statistics of 16 digits already do, on this network."),
            choice(
                "Much at 2, next to nothing at 16.",
                "A batch of 2 leaves only signs.",
                correct=True,
            ),
            choice(
                "Nothing: 4 shared values are as bad as 2.",
                "Of two values the layer keeps which is larger, of four also by how much.",
            ),
        ],
        plots.dots_with_spread(accuracies, xlabel="test accuracy (%)").figure,
        alt="Test accuracy with local and synchronized batch normalization, a dot for each seed. "
        "With 2 digits per process the synchronized runs lie far above the local ones, with 16 "
        "beside them.",
    )


def draw_message_times(messages: Mapping[int, Mapping[int, list[float]]]) -> Axes:
    """Milliseconds of an all-reduce over its bytes, the five fastest rounds of each length."""
    in_ms = {}
    for processes in (2, 4):
        rounds = messages[processes].values()
        in_ms[f"{processes} processes"] = [[1e3 * s for s in sorted(r)[:5]] for r in rounds]
    sizes = [4 * numbers for numbers in messages[2]]
    ax = plots.over_rates(in_ms, sizes, xlabel="bytes", ylabel="time (ms)")
    ax.axvspan(4 * 128, 8 * 128, color=COLORS["bn"], alpha=0.2, label="one layer's sums")
    ax.set_ylim(0, None)
    ax.legend()
    return ax


def ratio_table(layers: Mapping[int, Mapping[tuple, list[float]]], shapes: Sequence) -> Markdown:
    """Time synchronized over time local: the middle of the rounds, and their middle half."""
    rows = []
    for processes, times in layers.items():
        cells = [processes]
        for shape in shapes:
            ratios = ratio_by_round(times[shape, "synchronized"], times[shape, "local"])
            cells.append(middle_half(ratios, digits=1))
        rows.append(cells)
    heads = [f"{examples:,} × {channels:,}" for examples, channels in shapes]
    return markdown_table(["processes", *heads], rows)


def shares_over_processes(shares: Mapping[str, Sequence[float]], processes: Sequence[int]) -> Axes:
    """Communication in percent of the computation, over the number of processes."""
    ax = new_axes()
    for i, (name, values) in enumerate(shares.items()):
        if len(values) != len(processes):
            raise ValueError(f"{name!r} got {len(values)} values, expected {len(processes)}")
        ax.plot(processes, values, label=name, **appearance(name, i))
    ax.axhline(100, color=COLORS["reference"], linestyle=":")
    place = {"xytext": (0, 3), "textcoords": "offset points", "fontsize": 9}
    ax.annotate("as long as the compute", (processes[0], 100), **place)
    ax.set(xscale="log", yscale="log", ylim=(0.1, 1e5))
    ax.set(xlabel="GPUs", ylabel="added time (% of the compute)")
    ax.set_xticks(processes, [f"{n:,}" for n in processes])
    ax.minorticks_off()
    ax.legend(loc="upper left")
    return ax
