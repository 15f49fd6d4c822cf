"""Chapter 18, Does it hold elsewhere?: its questions, exercises, mistakes, training and figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from bnkit import plots
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.ledger import read_ledger
from bnkit.book.observe import Probe, calls, scattered
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, appearance, to_numpy

__all__ = [
    "CHAPTER",
    "EXERCISES",
    "IN_TEXT",
    "QUESTIONS",
    "GhostNorm",
    "accuracies",
    "batch_means",
    "generators",
    "highest_rates",
    "own_accuracies",
    "settle",
    "show_curves",
    "show_means",
    "show_signals",
    "side_by_side",
    "subset",
    "train",
    "verdicts_here_and_there",
]

CHAPTER = "18_elsewhere"

WORTH = "18_elsewhere.ipynb#By hand: what is one signal worth?"
COUNTS = "07_speed_and_learning_rate.ipynb#Who chose that initialization, and that network?"

Data = tuple[Tensor, Tensor]  # inputs and labels


# The noise of a batch's mean


def mean_noise(z, batch):
    means = z.mean((2, 3))  # (N, C)
    between = means.var(0, unbiased=False)
    total = z.var((0, 2, 3), unbiased=False)
    return torch.sqrt(between / (batch * total))


def _by_sums(z: Tensor, batch: int) -> Tensor:
    """The same from the moments of centered channels, without a variance."""
    centered = (z - z.mean((0, 2, 3), keepdim=True)).flatten(2)  # (N, C, HW)
    sums = centered.sum(2)  # (N, C)
    per_image = centered.shape[2]
    return (sums.square().mean(0) / (per_image**2 * batch * centered.square().mean((0, 2)))).sqrt()


def _images(*shape: int, batch: int) -> Probe:
    return calls({"z": scattered(*shape), "batch": batch})


_NOISE = Exercise(
    name="mean_noise",
    chapter=CHAPTER,
    title="The noise of a mean",
    statement="Write `mean_noise(z, batch)` for images `z` of shape (N, C, H, W): for each "
    "channel, the standard deviation of a batch's mean over batches of `batch` images that are "
    "drawn from `z` at random, with repetition, divided by the standard deviation of all values "
    "of the channel.",
    hints=(
        "What is drawn: an image, or a pixel? The pixels of an image come together.",
        "The mean of a batch is the mean of its images' means.",
        "The variance of a mean of n independent draws is the variance of one draw, divided by n.",
    ),
    solution=mean_noise,
    oracle=_by_sums,
    probes=[
        calls({"z": torch.tensor([[[[1.0, 3.0]]], [[[5.0, 7.0]]]]), "batch": 2}),
        _images(3, 2, 1, 2, batch=4),
        _images(4, 3, 2, 2, batch=9),
        _images(5, 2, 3, 2, batch=1),
        _images(9, 5, 4, 3, batch=6),
    ],
    mistakes=[
        Mistake("pixels taken for independent draws", WORTH,
            "means.var(0, unbiased=False) -> z.var((0, 2, 3), unbiased=False) / z[0, 0].numel()",
            "Two images, one all black and one all white, with 1,000 pixels each. Is the mean of a "
            "batch of two almost certain?",
            ("(batch * total) -> (batch * total * z[0, 0].numel())",
             "(batch * total) -> (batch * z[0, 0].numel())",
             "between / (batch * total) -> total / (batch * z[0, 0].numel())",
             "(batch * total) -> (batch * total * z[0].numel())")),
        Mistake("spread of single values, not of the images' means", WORTH,
            "means.var(0, unbiased=False) -> z.var((0, 2, 3), unbiased=False)",
            "What is drawn is an image. Which number of it enters the mean of a batch?",
            ("between / (batch * total) -> total / batch",
             "total = z.var((0, 2, 3), unbiased=False) -> total = between")),
        Mistake("relative to the spread within the images", WORTH,
            "total = z.var((0, 2, 3), unbiased=False) -> "
            "total = z.var((2, 3), unbiased=False).mean(0)",
            "Divide by the standard deviation of all values of the channel: those of one image, or "
            "of all?",
            ("total = z.var((0, 2, 3), unbiased=False) -> "
             "total = z.std((2, 3), unbiased=False).mean(0) ** 2",)),
        Mistake("relative to the mean", WORTH,
            "total = z.var((0, 2, 3), unbiased=False) -> total = z.mean((0, 2, 3)) ** 2",
            "Add 10 to all values. Should your answer change?"),
        Mistake("sum of an image in place of its mean", WORTH, "z.mean((2, 3)) -> z.sum((2, 3))",
            "Images twice as large: does the noise of a mean double?"),
        Mistake("median of an image in place of its mean", WORTH,
            "z.mean((2, 3)) -> z.flatten(2).median(2).values",
            "The mean of a batch is the mean of which numbers of its images?"),
        Mistake("mean of the images in place of their spread", WORTH,
            "means.var(0, unbiased=False) -> means.mean(0) ** 2",
            "Add 10 to all values. Should your answer change?",
            ("means.var(0, unbiased=False) -> (means**2).mean(0)",)),
        Mistake("another count than the batch size", WORTH, "(batch * total) -> (len(z) * total)",
            "Which of the two counts is the size of a batch: batch, or the number of images?",
            ("(batch * total) -> ((batch - 1) * total)", "(batch * total) -> ((batch + 1) * total)",
             "(batch * total) -> (batch * len(z) * total)")),
        Mistake("batch size outside the root", WORTH,
            "torch.sqrt(between / (batch * total)) -> torch.sqrt(between / total) / batch",
            "A batch four times as large: is the noise halved or quartered?",
            ("torch.sqrt(between / (batch * total)) -> torch.sqrt(between / total) * batch",)),
        Mistake("drawn without repetition", WORTH,
            "torch.sqrt(between / (batch * total)) -> torch.sqrt("
            "between / (batch * total) * (len(z) - batch) / (len(z) - 1))",
            "With repetition an image may come twice. What is the noise of a batch as large as z?",
            ("torch.sqrt(between / (batch * total)) -> torch.sqrt("
             "between / (batch * total) * (1 - batch / len(z)))",
             "torch.sqrt(between / (batch * total)) -> torch.sqrt(between / (batch * total) * "
             "(len(z) - batch) / (len(z) - 1)).nan_to_num()")),
        Mistake("spread within the images", WORTH,
            "means.var(0, unbiased=False) -> z.var((2, 3), unbiased=False).mean(0)",
            "Which part of the variance stays when each image is replaced by its mean?",
            ("z.mean((2, 3)) -> z.std((2, 3), unbiased=False)",)),
        Mistake("batch size forgotten", WORTH, "(batch * total) -> total",
            "Does a batch of 100 have the same noise as a batch of 1?"),
        Mistake("variance in place of the standard deviation", WORTH,
            "torch.sqrt(between / (batch * total)) -> between / (batch * total)",
            "A batch four times as large: is the noise halved or quartered?",
            ("torch.sqrt(between / (batch * total)) -> torch.sqrt(between**2 / (batch * total))",
             "torch.sqrt(between / (batch * total)) -> torch.sqrt(between) / (batch * total)",
             "torch.sqrt(between / (batch * total)) -> between / torch.sqrt(batch * total)")),
        Mistake("not relative to the channel", WORTH, "(batch * total) -> batch",
            "Multiply z by 10. Should your answer change?",
            ("(batch * total) -> (batch * total**2)",
             "between / (batch * total) -> between * total / batch")),
        Mistake("unbiased variance", WORTH, "means.var(0, unbiased=False) -> means.var(0)",
            "The images that you have are all there is to draw from. By which number does such a "
            "variance divide?",
            (("means.var(0, unbiased=False) -> means.var(0)",
              "z.var((0, 2, 3), unbiased=False) -> z.var((0, 2, 3))"),
             "z.var((0, 2, 3), unbiased=False) -> z.var((0, 2, 3))")),
        Mistake("upside down", WORTH, "between / (batch * total) -> batch * total / between",
            "What should happen to the noise when the batch grows?",
            ("between / (batch * total) -> batch * between / total",
             "between / (batch * total) -> total / (between * batch)")),
        Mistake("channels mixed", WORTH, "z.mean((2, 3)) -> z.mean((1, 2, 3))",
            "Each channel has a mean of its own. How many numbers should you return?",
            ("means.var(0, unbiased=False) -> means.var(unbiased=False)",
             ("means.var(0, unbiased=False) -> means.var(unbiased=False)",
              "z.var((0, 2, 3), unbiased=False) -> z.var(unbiased=False)"),
             "means.var(0, unbiased=False) -> means.var(1, unbiased=False)",
             "z.var((0, 2, 3), unbiased=False) -> z.var(unbiased=False)",)),
        Mistake("only one axis of an image averaged", WORTH, "z.mean((2, 3)) -> z.mean(2)[..., 0]",
            "An image has rows and columns. Over what is its mean taken?",
            ("z.mean((2, 3)) -> z.mean(3)[..., 0]",
             "z.var((0, 2, 3), unbiased=False) -> z.var((0, 2), unbiased=False)[:, 0]",
             "z.var((0, 2, 3), unbiased=False) -> z.var((0, 3), unbiased=False)[:, 0]")),
    ],
    section=WORTH,
)  # fmt: skip


# A median of counts, some of which are not known


def median_steps(steps):
    arrived = sorted(count for count in steps if count is not None)
    middle = len(steps) // 2
    return arrived[middle] if middle < len(arrived) else None


def _by_infinity(steps: Sequence[int | None]) -> int | None:
    found = statistics.median([math.inf if count is None else count for count in steps])
    return None if found == math.inf else found


_MEDIAN = Exercise(
    name="median_steps",
    chapter=CHAPTER,
    title="A median of runs that did not all arrive",
    statement="Write `median_steps(steps)`: the median of an odd number of step counts. A run that "
    "did not arrive has `None` in place of a count: it would have needed more steps than any "
    "that did. Return `None` where the median run did not arrive.",
    hints=(
        "In which place of the sorted list do the runs belong that did not arrive?",
        "The middle of the list is the middle of all runs, not of those that arrived.",
    ),
    solution=median_steps,
    oracle=_by_infinity,
    probes=[
        calls({"steps": [30, 10, 20]}),
        calls({"steps": [None, 50, 10]}),
        calls({"steps": [None, None, 40]}),
        calls({"steps": [70, None, 10, 90, 20]}),
        calls({"steps": [None, 10, None, 30, None]}),
        calls({"steps": [80]}),
        calls({"steps": [5, 100, 20]}),
        calls({"steps": [None, 40, None, 10, 20, 30, 50]}),
        calls({"steps": [15, None, 20, None, 3000, None, 400]}),
        calls({"steps": [3, 3, 700, 8, None, 90, 8, None, 8]}),
    ],
    mistakes=[
        Mistake("runs that did not arrive left out", COUNTS,
            ("len(steps) // 2 -> len(arrived) // 2"),
            "Ten runs, and only the fastest arrived. Is its count the median of the ten?",
            ("len(steps) // 2 -> (len(arrived) - 1) // 2",
             "arrived[middle] if -> (arrived[len(arrived) // 2] + arrived[~(len(arrived) // 2)]) "
             "/ 2 if",
             "arrived[middle] if middle < len(arrived) else None -> "
             "(arrived[len(arrived) // 2] + arrived[~(len(arrived) // 2)]) / 2",
             "arrived[middle] if -> arrived[len(arrived) // 2] if",
             "arrived[middle] if -> arrived[(len(arrived) - 1) // 2] if")),
        Mistake("something else than None where the median run did not arrive", COUNTS,
            "else None -> else math.inf",
            "More than half of the runs did not arrive. What does the statement ask for?",
            ("else None -> else math.nan", "else None -> else 0", "else None -> else -1",
             "else None -> else middle", "else None -> else False")),
        Mistake("a place in place of the count", COUNTS, "arrived[middle] if -> middle if",
            "You know which run is in the middle. How many steps did it need?"),
        Mistake("sorted as text", COUNTS,
            (Patch("sorted(count for", "sorted([count for"),
             Patch("if count is not None)", "if count is not None], key=str)")),
            "Sort 100, 20 and 5 by hand. Which of them comes first?"),
        Mistake("runs that did not arrive taken for the fastest", COUNTS,
            (Patch("sorted(count for", "sorted([count for"),
             Patch("if count is not None)", "if count is not None], reverse=True)")),
            "In which place of your list do the runs belong that did not arrive?",
            (Patch("sorted(count for count in steps if count is not None)\n",
                   "[c or None for c in sorted(count or 0 for count in steps)]\n"),)),
        Mistake("None as soon as one run did not arrive", COUNTS,
            "if middle < len(arrived) -> if None not in steps",
            "One of seven did not arrive. Is the fourth one known?",
            ("if middle < len(arrived) -> if steps.count(None) < 2",
             "if middle < len(arrived) -> if steps.count(None) < 3",
             "if middle < len(arrived) -> if 3 * steps.count(None) < len(steps)",
             "if middle < len(arrived) -> if 4 * steps.count(None) < len(steps)")),
        Mistake("a number in place of those that did not arrive", COUNTS,
            Patch("sorted(count for count in steps if count is not None)",
                  "sorted(max(c for c in steps if c) if count is None else count "
                  "for count in steps)"),
            "Two of three did not arrive. What do you return?",
            tuple(Patch("sorted(count for count in steps if count is not None)",
                        f"sorted({number} if count is None else count for count in steps)")
                  for number in ("max(c for c in steps if c) + 1", "1000", "10**6", "10**9",
                                 "10000", "9999", "999", "max(c for c in steps if c) * 2",
                                 "len(steps)"))),
        Mistake("not sorted", COUNTS,
            "sorted(count for count in steps if count is not None) -> "
            "[count for count in steps if count is not None]",
            "Exchange two of the runs. May the median change?",
            (("sorted(count for count in steps if count is not None) -> list(steps)"),)),
        Mistake("always None", COUNTS,
            "return arrived[middle] if middle < len(arrived) else None -> return None",
            "Three runs that all arrived: which of them is the median? Is it returned?"),
        Mistake("half way between the fastest and the slowest", COUNTS,
            "arrived[middle] if -> (arrived[0] + arrived[-1]) / 2 if",
            "How many of the runs are faster than a median?",
            ("arrived[middle] if middle < len(arrived) else None -> "
             "(arrived[0] + arrived[-1]) / 2",
             "arrived[middle] if middle < len(arrived) else None -> "
             "None if None in steps else (arrived[0] + arrived[-1]) / 2")),
        Mistake("the fastest run", COUNTS, "arrived[middle] -> arrived[0]",
            "How many of the runs are faster than a median?"),
        Mistake("the slowest run that arrived", COUNTS, "arrived[middle] -> arrived[-1]",
            "How many of the runs are slower than a median?"),
        Mistake("counted as 0 steps", COUNTS,
            "sorted(count for count in steps if count is not None) -> "
            "sorted(count or 0 for count in steps)",
            "A run that never arrived: is it the fastest of all?",
            (Patch("sorted(count for count in steps if count is not None)",
                   "sorted(-1 if count is None else count for count in steps)"),)),
        Mistake("the mean of those that arrived", COUNTS,
            "arrived[middle] if middle < len(arrived) else None -> sum(arrived) / len(arrived)",
            "What is the mean of 10 and of a number that nobody knows?",
            ("arrived[middle] if -> sum(arrived) / len(arrived) if",
             "arrived[middle] if middle < len(arrived) else None -> sum(arrived) / len(steps)",
             "arrived[middle] if -> sum(arrived) / len(steps) if",
             "arrived[middle] if middle < len(arrived) else None -> "
             "None if None in steps else sum(arrived) / len(arrived)")),
        Mistake("one place off", COUNTS, "len(steps) // 2 -> len(steps) // 2 - 1",
            "Of five runs, which place in order is the middle, counted from 0?",
            ("len(steps) // 2 -> len(steps) // 2 + 1", "len(steps) // 2 -> len(steps) // 3")),
    ],
    section=COUNTS,
)  # fmt: skip

EXERCISES = [_NOISE, _MEDIAN]

IN_TEXT = {
    "18-values": Question(
        "Two signals pass a convolution that leaves 16 channels and 20 positions. From how many "
        "numbers is the mean of one channel computed?",
        answer=40,
        tolerance=0,
        feedback={
            "right": "Two signals with 20 positions each. Whether they are worth 40 draws is "
            "another question, and the next one.",
            "wrong": "Batch normalization averages over examples and positions, and keeps the "
            "channels.",
            2: "That is the count of a fully connected layer, where a unit has no positions.",
            20: "That is one signal alone, as in instance normalization.",
            640: "Those are all numbers of the batch. Each of the 16 channels has its own mean.",
            320: "Those are all numbers of one signal, as in layer normalization.",
        },
    ),
}

QUESTIONS = [
    Question(
        "In a convolutional layer the values of one channel have variance 4. Their means, one for "
        "each example, have variance 0.5. How many independent values is one example worth?",
        answer=8.0,
        tolerance=0.05,
        feedback={
            "right": "The mean of a batch of 2 is as certain as the mean of 16 independent values.",
            "wrong": "Compare the variance of one value with the variance of an example's mean.",
            0.125: "That is upside down. The mean of an example varies less than a single value.",
            2.83: "That compares standard deviations. The variance of a mean falls with the count.",
            3.5: "That is the variance within the examples. Ask for a ratio, not a difference.",
            2: "That multiplies the two. The more the means spread, the less an example is worth.",
        },
    ),
    Question(
        "With small batches, batch normalization loses to layer normalization in a fully connected "
        "network on digits. In a convolutional network on signals it does not. What follows?",
        [
            choice(
                "One of the two measurements has a mistake in it.",
                "Both may be right: two networks and two data sets differ in more than a name.",
            ),
            choice(
                "Convolutional networks can be trained with batches of 2.",
                "That goes from one small network to all. Large ones with few images per device "
                "are where the trouble was first reported.",
            ),
            choice(
                "The data decide: signals are harder than digits.",
                "Network and data changed together, so the result cannot say which of them did it.",
            ),
            choice(
                "The rule needs a condition, and positions are a candidate.",
                "A channel of a convolution averages over positions too. To show that this is "
                "the reason, change it alone.",
                correct=True,
            ),
        ],
    ),
]


# Training: the networks of all seeds side by side in one, kept apart by grouped convolutions


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """For each seed the source of its initial weights."""
    return [torch.Generator().manual_seed(1000 + seed) for seed in seeds]


def side_by_side(
    kind: type[nn.Module],
    inputs: int,
    outputs: int,
    size: int,
    starts: Sequence[torch.Generator],
    **options,
) -> nn.Module:
    """The convolutions of several networks in one; each draws weights after He by itself."""
    many = len(starts)
    conv = kind(inputs * many, outputs * many, size, groups=many, **options)
    nn.init.zeros_(conv.bias)
    for weight, start in zip(conv.weight.data.chunk(many), starts, strict=True):
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=start)
    return conv


def subset(examples: int, seed: int, limit: int | None) -> Tensor:
    """The examples that a seed trains on: all of them, or as many as the limit."""
    order = torch.randperm(examples, generator=torch.Generator().manual_seed(5000 + seed))
    return order[:limit]


def _orders(examples: int, batch: int, seed: int, limit: int | None) -> Iterator[Tensor]:
    """Batches of one seed without end: each pass has a new order."""
    generator = torch.Generator().manual_seed(seed)
    chosen = subset(examples, seed, limit)
    while True:
        order = chosen[torch.randperm(len(chosen), generator=generator)]
        yield from order[: len(order) - len(order) % batch].split(batch)


def _rows_for_each(inputs: Tensor, rows: Tensor) -> Tensor:
    """Rows (N, seeds) of inputs (M, 1, ...) as (N, seeds, ...)."""
    return inputs[rows].squeeze(2)


@torch.no_grad()
def accuracies(net: nn.Module, data: Data, seeds: Sequence[int]) -> list[float]:
    """Percentage of the examples that each seed's network gets right in evaluation mode."""
    inputs, labels = data
    for_each = inputs.expand(-1, len(seeds), *inputs.shape[2:])
    scores = net.eval()(for_each).view(len(labels), len(seeds), -1)
    net.train()
    right = scores.argmax(2) == labels[:, None]
    return (100 * right.float().mean(0)).tolist()


def own_accuracies(net: nn.Module, data: Data, seeds: Sequence[int], limit: int) -> list[float]:
    """Percentage that each seed's network gets right of the few examples that it trained on."""
    inputs, labels = data
    own = []
    for i, seed in enumerate(seeds):
        rows = subset(len(labels), seed, limit)
        own.append(accuracies(net, (inputs[rows], labels[rows]), seeds)[i])
    return own


def train(
    net: nn.Module,
    data: Data,
    lr: float,
    seeds: Sequence[int],
    *,
    steps: int,
    batch: int,
    watch: Data,
    every: int,
    limit: int | None = None,
) -> list[list[float]]:
    """Gradient descent with momentum 0.9; every so often each seed's accuracy on ``watch``."""
    inputs, labels = data
    optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9, fused=True)
    orders = [_orders(len(labels), batch, seed, limit) for seed in seeds]
    curve = []
    for step in range(1, steps + 1):
        rows = torch.stack([next(order) for order in orders], dim=1)  # (N, seeds)
        scores = net(_rows_for_each(inputs, rows)).view(rows.numel(), -1)
        loss = len(seeds) * F.cross_entropy(scores, labels[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % every == 0:
            curve.append(accuracies(net, watch, seeds))
    return curve


def highest_rates(results: Mapping[float, Sequence[float]], target: float) -> list[float]:
    """For each seed the last of the rising rates that reached the target, before one that failed.

    Where the first fails already, it is counted as that one.
    """
    rates = list(results)
    highest = []
    for scores in zip(*results.values(), strict=True):
        failed = [i for i, score in enumerate(scores) if not score >= target]
        highest.append(rates[max((failed or [len(rates)])[0] - 1, 0)])
    return highest


class GhostNorm(nn.BatchNorm1d):
    """Batch normalization that gives every ``group`` examples statistics of their own."""

    def __init__(self, channels: int, group: int | None = None) -> None:
        super().__init__(channels)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the groups of (N, C, L) each by itself while training."""
        if not self.training or self.group is None:
            return super().forward(x)
        n, c, positions = x.shape
        groups = n // self.group
        side_by_side = x.view(groups, self.group, c, positions).transpose(0, 1)
        wide = side_by_side.reshape(self.group, groups * c, positions)
        weight, bias = self.weight.repeat(groups), self.bias.repeat(groups)
        wide = F.batch_norm(wide, None, None, weight, bias, training=True)
        return wide.view(self.group, groups, c, positions).transpose(0, 1).reshape(n, c, positions)


@torch.no_grad()
def settle(net: nn.Module, data: Data, seeds: Sequence[int], limit: int) -> None:
    """Give ghost norms the statistics of all examples that their seed trained on."""
    for layer in net.modules():
        if isinstance(layer, GhostNorm):
            layer.group, layer.momentum = None, 1.0
    inputs, labels = data
    rows = torch.stack([subset(len(labels), seed, limit) for seed in seeds], dim=1)
    net.train()(_rows_for_each(inputs, rows))


def batch_means(z: Tensor, batch: int, draws: int, seed: int) -> Tensor:
    """Means of the channels of (N, C, L) over random batches: (draws, C)."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(z), (draws, batch), generator=generator)
    return z.mean(2)[rows].mean(1)


# Figures and the table


def show_signals(signals: Tensor, labels: Tensor) -> Figure:
    """One signal of each class, on a common scale."""
    figure, axes = plt.subplots(2, 5, figsize=(7.4, 2.9), sharex=True, sharey=True)
    for digit, ax in enumerate(axes.flat):
        signal = signals[labels == digit][0].flatten()
        ax.plot(to_numpy(signal), color=COLORS["bn"], linewidth=1.4)
        ax.set_title(str(digit), fontsize=11)
        ax.set(xticks=[0, 39], yticks=[-2, 0, 2])
    figure.supxlabel("position", fontsize=11)
    return figure


def show_curves(
    curves: Mapping[tuple[str, str], list[list[float]]], every: Mapping[str, int]
) -> Figure:
    """Accuracy over training, one panel for each task."""
    tasks = dict.fromkeys(task for task, _ in curves)
    figure, axes = plt.subplots(1, len(tasks), figsize=(7.4, 2.9), sharey=True)
    for ax, task in zip(axes, tasks, strict=True):
        named = {norm: found for (other, norm), found in curves.items() if other == task}
        runs = {
            norm: [list(run) for run in zip(*found, strict=True)] for norm, found in named.items()
        }
        x = [every[task] * (i + 1) for i in range(len(named["BN"]))]
        plots.learning_curves(runs, ax, x=x, xlabel="step", ylabel="")
        ax.set(title=task, ylim=(0, 100))
        low, high = sorted(ax.texts, key=lambda text: text.xy[1])
        if high.xy[1] - low.xy[1] < 10:  # names would cover each other
            low.xyann, high.xyann = (5, -6), (5, 6)
    axes[0].set_ylabel("test accuracy (%)")
    return figure


def show_means(groups: Mapping[str, Tensor], title: str) -> Figure:
    """Histograms of batch means in units of the standard deviation of one value, side by side."""
    figure, axes = plt.subplots(1, len(groups), figsize=(7.4, 2.7), sharex=True, sharey=True)
    for ax, (name, means) in zip(axes, groups.items(), strict=True):
        color = appearance(name)["color"]
        values = to_numpy(means).ravel().clip(-2.4, 2.4)
        ax.hist(values, bins=41, range=(-2.4, 2.4), density=True, color=color, alpha=0.8)
        ax.set(title=name, yticks=[], ylim=(0, 3.4), xlabel="batch mean / σ of a value")
        _note(ax, f"std {values.std():.2f}")
    figure.suptitle(title, fontsize=11, x=0.02, ha="left")
    return figure


def _note(ax: Axes, text: str) -> None:
    ax.text(0.97, 0.9, text, transform=ax.transAxes, ha="right", fontsize=10)


def verdicts_here_and_there(repeats: Mapping[str, str]) -> list[list[str]]:
    """Rows of the ledger: what is claimed, the verdict there, and the verdict of the repetition."""
    known = read_ledger()["claims"]
    rows = []
    for words, original in repeats.items():
        there = known.get(original, {}).get("verdict", "not measured yet")
        here = known.get(f"elsewhere-{original}", {}).get("verdict", "not measured yet")
        rows.append([words, there, here])
    return rows
