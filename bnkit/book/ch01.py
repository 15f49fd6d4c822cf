"""Chapter 1: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from bnkit import functional, plots
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen, calls
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, new_axes, to_numpy

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]
__all__ += ["descent_path", "layer_histograms", "sizes_and_last_layer"]

CHAPTER = "01_why_normalize"

PIXELS = "01_why_normalize.ipynb#At scale: 784 pixels, some of them dead"
STACK = "01_why_normalize.ipynb#One factor per layer"


def dead_pixels(batch, test):
    dead = (batch == batch[0]).all(dim=0)  # (C,)
    touched = (test[:, dead] != batch[0, dead]).any(dim=1)  # (N,)
    return dead.sum().item(), touched.float().mean().item()


def _by_sets(batch: Tensor, test: Tensor) -> tuple[int, float]:
    """A pixel is dead if the set of its values has one member; an image wakes if it adds one."""
    values = [set(column) for column in batch.T.tolist()]
    dead = [i for i, seen in enumerate(values) if len(seen) == 1]
    woken = [any(row[i] not in values[i] for i in dead) for row in test.tolist()]
    return len(dead), sum(woken) / len(woken)


_BATCH = torch.tensor([[0.0, 1.0, 0.5, 0.2, 0.0], [0.0, 1.0, 0.25, 0.2, 0.0]])
_TEST = torch.tensor(
    [[0.0, 1.0, 0.9, 0.2, 0.0], [0.5, 1.0, 0.1, 0.4, 0.0], [0.0, 0.0, 0.0, 0.2, 0]]
)
_LEVEL = torch.tensor([[1.0, 0.5, 0.0, 0.0], [2.0, 0.5, 0.0, 1.0], [0.0, 0.5, 0.0, 0.0]])
_OTHER = torch.tensor([[0.0, 0.5, 0.0, 3.0], [0.0, 0.5, 0.7, 0.0]])


def _many(images: int) -> dict[str, Tensor]:
    """Three of seven pixels dead, two that hardly vary; about half of all change in each image."""
    draw = torch.Generator().manual_seed(images)
    batch = torch.randint(5, (6, 7), generator=draw) / 4
    batch[:, [0, 2, 5]] = torch.tensor([0.0, 0.5, 1.0])
    batch[:, 3] = torch.tensor([0.25, 0.25, 0.25, 0.5, 0.25, 0.25])
    batch[:, 6] = torch.tensor([0.75, 0.5, 0.75, 0.0, 0.75, 0.75])
    test = torch.randint(5, (images, 7), generator=draw) / 4
    test = torch.where(test.roll(1, 0) > 0.25, test, batch[0])
    test[::4], test[2::7] = batch[0], 0.0  # nothing changed; all black
    dead = torch.tensor([0, 2, 5])
    test[1::6, dead] = batch[0, dead]  # living pixels alone changed
    test[3::6] = batch[0] + torch.tensor([0.25, 0, 0, 0, 0, 0, 0])  # a dead pixel alone changed
    return {"batch": batch, "test": test}


_COUNTS = ("number of dead pixels", "share of images")


_DEAD_PIXELS = Exercise(
    name="dead_pixels",
    chapter=CHAPTER,
    title="Batches wake dead pixels",
    statement="Write `dead_pixels(batch, test)` for tensors of shapes (N, C) and (M, C). A pixel "
    "is dead if it has exactly the same value in every row of `batch`. Return two numbers: how "
    "many are dead, and the share (from 0 to 1) of the rows of `test` in which at least one of "
    "them has another value than in `batch`.",
    hints=(
        "Compare every row of the batch with its first row.",
        "A column is dead if `all` of its comparisons hold. Over which axis is that?",
        "Look at the dead columns of `test` alone. A row counts once, however many of its pixels "
        "have woken: which of `any` and `mean` comes first?",
    ),
    solution=dead_pixels,
    oracle=_by_sets,
    probes=[
        calls({"batch": _BATCH, "test": _TEST}, _COUNTS),
        calls({"batch": _LEVEL, "test": _OTHER}, _COUNTS),
        calls({"batch": _LEVEL, "test": _OTHER[[1, 0, 0]]}, _COUNTS),
        calls({"batch": _LEVEL, "test": _OTHER[[1]]}, _COUNTS),
        calls(_many(9), _COUNTS),
        calls(_many(31), _COUNTS),
    ],
    mistakes=[
        Mistake("living pixels counted", PIXELS,
            "(batch == batch[0]).all(dim=0) -> ~(batch == batch[0]).all(dim=0)",
            "Count by hand, in the sample. Do you count the pixels that vary, or the others?",
            ("return dead.sum() -> return (~dead).sum()",)),
        Mistake("only black taken for dead", PIXELS, "(batch == batch[0]) -> (batch == 0)",
            "A pixel that is white in every image of the batch: what is its variance?"),
        Mistake("only the first two rows compared", PIXELS,
            "(batch == batch[0]).all(dim=0) -> (batch[0] == batch[1])",
            "The third row of the batch may differ where the first two agree. Do you look at it?"),
        Mistake("one equal row taken for all", PIXELS,
            "(batch == batch[0]).all(dim=0) -> (batch[1:] == batch[0]).any(dim=0)",
            "Must all rows of the batch agree with the first, or is one enough?",
            ("(batch == batch[0]).all(dim=0) -> (batch == batch[0]).any(dim=0)",
             "(batch == batch[0]).all(dim=0) -> torch.tensor([len(c.unique()) < len(c) for c in "
             "batch.T])", "(batch == batch[0]).all(dim=0) -> (batch[-1] == batch[0])")),
        Mistake("nearly equal values taken for equal", PIXELS,
            "(batch == batch[0]).all(dim=0) -> batch.std(dim=0) < 0.25",
            "Which of your pixels vary a little? The statement asks for exactly one value.",
            ("(batch == batch[0]).all(dim=0) -> batch.std(dim=0) < 0.15",
             "(batch == batch[0]).all(dim=0) -> batch.std(dim=0) < 0.5",
             "(batch == batch[0]).all(dim=0) -> batch.std(dim=0, unbiased=False) < 0.15",
             "(batch == batch[0]).all(dim=0) -> torch.tensor([len(c.unique()) < 3 for c in "
             "batch.T])")),
        Mistake("constant rows in place of columns", PIXELS,
            "dead.sum() -> (batch == batch[:, :1]).all(dim=1).sum()",
            "A pixel is a column of the batch. Along which axis must it not change?"),
        Mistake("dead pixels of test in place of batch", PIXELS,
            "(batch == batch[0]).all(dim=0) -> (test == test[0]).all(dim=0)",
            "Which of the two tensors decides whether a pixel is dead?",
            ("(batch == batch[0]).all(dim=0) -> "
             "(torch.cat([batch, test]) == batch[0]).all(dim=0)",)),
        Mistake("share of pixels in place of their number", PIXELS,
            "dead.sum() -> dead.float().mean()",
            "Twice as many pixels, all dead: should the first number double?"),
        Mistake("all pixels looked at, living ones too", PIXELS,
            "(test[:, dead] != batch[0, dead]) -> (test != batch[0])",
            "A living pixel has many values in the batch. Does a new one wake it?"),
        Mistake("living pixels looked at in test", PIXELS,
            "(test[:, dead] != batch[0, dead]) -> (test[:, ~dead] != batch[0, ~dead])",
            "Which pixels can wake up: those that vary in the batch, or the others?"),
        Mistake("woken taken for not black", PIXELS, "!= batch[0, dead] -> != 0",
            "A pixel is white in the whole batch, and white in a test image. Has it woken?"),
        Mistake("only brighter or only darker values counted", PIXELS, "!= batch -> > batch",
            "The statement asks for another value. Can it be smaller, and can it be larger?",
            ("!= batch -> < batch",)),
        Mistake("compared with another image than the batch's", PIXELS,
            "!= batch[0, dead] -> != test[0, dead]",
            "With which value do you compare a test image? It should come from the batch.",
            ("!= batch[0, dead] -> != test[:, dead].mean(dim=0)", "!= batch[0, dead] -> != "
             "test[-1, dead]")),
        Mistake("the batch compared with itself", PIXELS, "(test[:, dead] != -> (batch[:, dead] !=",
            "Which of the two tensors can hold a value that the batch does not?"),
        Mistake("share of pixels in place of images", PIXELS, ".any(dim=1) -> ",
            "An image with two woken pixels is one image. What does your average run over?",
            ("touched.float() -> (test[:, dead] != batch[0, dead]).float().sum(dim=1)",
             "touched.float() -> ((test != batch[0]) & dead).float().mean(dim=1)")),
        Mistake("share of the dead pixels that wake", PIXELS, ".any(dim=1) -> .any(dim=0)",
            "Your second number is a share of pixels. Of what does the statement ask the share?",
            (".any(dim=1) -> .all(dim=0)",)),
        Mistake("images with all dead pixels woken", PIXELS, ".any(dim=1) -> .all(dim=1)",
            "Is one woken pixel enough, or must every dead pixel wake?"),
        Mistake("at least two woken pixels asked for", PIXELS, ".any(dim=1) -> .sum(dim=1) > 1",
            "Is one woken pixel enough?", (".any(dim=1) -> .sum(dim=1) == 1",)),
        Mistake("images in which nothing wakes", PIXELS, "touched.float() -> 1 - touched.float()",
            "Your share and the right one add up to 1. Which images do you count?"),
        Mistake("whether any image wakes, not how many", PIXELS, ".any(dim=1) -> .any()",
            "Half of the test images wake a pixel. Which share do you return?"),
        Mistake("share rounded", PIXELS, "touched.float().mean().item() -> touched.float().mean()"
            ".item() // 1", "Half of the test images wake a pixel. Which share do you return?",
            ("touched.float().mean().item() -> round(touched.float().mean().item())",
             "touched.float().mean().item() -> round(touched.float().mean().item(), 1)")),
        Mistake("number of images in place of their share", PIXELS,
            "touched.float().mean() -> touched.sum()",
            "Twice as many test images: should the second number double?"),
        Mistake("share in percent", PIXELS, "touched.float() -> 100 * touched.float()",
            "A share lies between 0 and 1. What is yours if every image wakes a pixel?"),
        Mistake("divided by the size of the batch", PIXELS,
            "touched.float().mean() -> (touched.sum() / len(batch))",
            "Of which images is it a share: those of test, or those of batch?",
            ("touched.float().mean() -> (touched.sum() / test.shape[1])",
             "touched.float().mean() -> (touched.sum() / dead.sum())")),
        Mistake("number and share swapped", PIXELS, "return dead.sum().item(), touched.float()"
            ".mean().item() -> return touched.float().mean().item(), dead.sum().item()",
            "Compare the order of your two numbers with the one asked for."),
        Mistake("which pixels, not how many", PIXELS, "return dead.sum().item() -> return dead",
            "The first number is a count. What do you return in its place?",
            ("return dead.sum().item() -> return dead.nonzero()[:, 0]",)),
        Mistake("which images, not their share", PIXELS, "touched.float().mean().item() -> touched",
            "The second number is a share. What do you return in its place?"),
    ],
    section=PIXELS,
)  # fmt: skip


def propagate_centered(x, weights):
    layers = []
    for weight in weights:
        z = x @ weight
        z = z - z.mean(dim=0)
        layers.append(z)
        x = z.relu()
    return layers


def _with_bnkit(x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    layers = []
    for weight in weights:
        z = x @ weight
        layers.append(z - functional.batch_statistics(z)[0])
        x = torch.relu(layers[-1])
    return layers


def _propagates(x: list, weights: list) -> Probe:
    matrices = [torch.tensor(weight) for weight in weights]
    batch = torch.tensor(x)

    def run(propagate: Callable) -> Facets:
        layers = propagate(batch.clone(), [weight.clone() for weight in matrices])
        facets = {f"z of layer {i}": as_seen(z) for i, z in enumerate(layers, start=1)}
        return {"number of layers": str(len(layers))} | facets

    shown = {f"weight {i}": weight for i, weight in enumerate(matrices, start=1)}
    return Probe({"x": batch} | shown, run)


_PROPAGATE_CENTERED = Exercise(
    name="propagate_centered",
    chapter=CHAPTER,
    title="A tug of war",
    statement="Write `propagate_centered(x, weights)`: for each matrix multiply, subtract from "
    "each unit its mean over the examples, keep that z, and go on with its ReLU. Return "
    "the list of all z, one for each matrix.",
    hints=(
        "Start from `propagate`: which line stands between the product and the ReLU?",
        "x has shape (N, C). A unit is a column, an example a row.",
    ),
    solution=propagate_centered,
    oracle=_with_bnkit,
    probes=[
        _propagates([[1.0, 2.0], [3.0, 0.0], [5.0, 1.0]], [[[1.0, 0.5], [0.0, 1.0]]] * 2),
        _propagates(
            [[1.0, -2.0], [2.0, 0.5], [6.0, 1.0], [0.0, 3.0]],
            [[[0.5, -1.0, 2.0], [1.0, 1.0, 0.25]], [[1.0], [2.0], [-0.5]]],
        ),
        _propagates(
            [[1.0, -2.0], [2.0, 0.5], [6.0, 1.0], [0.0, 3.0], [5.0, 0.0]],
            [[[0.5, -1.0], [1.0, 1.5]], [[1.0, 0.5], [2.0, -0.5]], [[1.0, -2.0], [0.5, 3.0]]],
        ),
    ],
    mistakes=[
        Mistake("not centered", STACK, Patch("        z = z - z.mean(dim=0)\n", ""),
            "Compute the mean of each column of your first z."),
        Mistake("centered in some layers alone", STACK,
            "z = z - z.mean(dim=0) -> z = z if layers else z - z.mean(dim=0)",
            "Compute the mean of each column of every z. Which are not zero?",
            ("z = z - z.mean(dim=0) -> z = z if len(layers) < len(weights) - 1 else z - z.mean(0)",
             "z = z - z.mean(dim=0) -> z = z - z.mean(dim=0) if len(layers) < len(weights) - 1 else"
             " z", "z = z - z.mean(dim=0) -> z = z - z.mean(dim=0) if layers else z")),
        Mistake("wrong axis", STACK, "z.mean(dim=0) -> z.mean(dim=1, keepdim=True)",
            "A unit is a column. Which numbers share a mean?"),
        Mistake("one mean for all units", STACK, "z.mean(dim=0) -> z.mean()",
            "Has each of your columns the mean 0, or only all of them together?",
            ("z.mean(dim=0) -> x.mean()",)),
        Mistake("another center than the mean", STACK, "z.mean(dim=0) -> z.median(dim=0).values",
            "Compute the mean of each column of your first z. Is it zero?",
            ("z.mean(dim=0) -> z.amin(dim=0)", "z.mean(dim=0) -> z.amax(dim=0)", "z.mean(dim=0) "
             "-> z.sum(dim=0)", "z.mean(dim=0) -> z[0]",
             "z.mean(dim=0) -> z.sum(dim=0) / (len(z) - 1)",
             "z.mean(dim=0) -> z.sum(dim=0) / z.shape[1]")),
        Mistake("mean added, not subtracted", STACK, "z - z.mean -> z + z.mean",
            "Compute the mean of each column of your first z. Is it zero, or has it doubled?",
            ("z = z - z.mean(dim=0) -> z = z.mean(dim=0) - z",)),
        Mistake("mean of what comes in subtracted", STACK,
            "z.mean(dim=0) -> x.mean(dim=1, keepdim=True)",
            "Whose mean do you subtract: that of z, or that of the layer's input?"),
        Mistake("divided by the standard deviation too", STACK,
            "z = z - z.mean(dim=0) -> z = (z - z.mean(dim=0)) / z.std(dim=0, unbiased=False)",
            "The exercise takes one half of the normalizer away. Which operation is left?",
            ("z = z - z.mean(dim=0) -> z = (z - z.mean(dim=0)) / z.std(dim=0)",
             "z = z - z.mean(dim=0) -> z = (z - z.mean(dim=0)) / torch.sqrt("
             "z.var(dim=0, unbiased=False) + 1e-5)")),
        Mistake("divided in place of centered", STACK,
            "z - z.mean(dim=0) -> z / z.std(dim=0, unbiased=False)",
            "The exercise takes one half of the normalizer away. Which operation is left?",
            ("z - z.mean(dim=0) -> z / z.std(dim=0)",)),
        Mistake("uncentered values passed on", STACK, "x = z.relu() -> x = (x @ weight).relu()",
            "Your first z is right, the second is not. What did the second layer receive?"),
        Mistake("uncentered values kept", STACK, "layers.append(z) -> layers.append(x @ weight)",
            "Compute the mean of each column of your first z. Which of the two do you keep?"),
        Mistake("ReLU forgotten", STACK, "x = z.relu() -> x = z",
            "Your first z is right, the second is not. What did the second layer receive?"),
        Mistake("another function than ReLU", STACK, "z.relu() -> z.tanh()",
            "Your first z is right, the second is not. What does ReLU make of −1, and of 2?",
            tuple(f"z.relu() -> {other}" for other in (
                "z.sigmoid()", "z.abs()", "F.leaky_relu(z)", "F.leaky_relu(z, 0.1)", "F.gelu(z)",
                "F.elu(z)", "F.silu(z)", "F.softplus(z)", "-z.relu()", "(-z).relu()", "z.square()",
                "F.leaky_relu(z, 0.2)"))),
        Mistake("values after the ReLU kept", STACK, "layers.append(z) -> layers.append(z.relu())",
            "Can a z be negative? Can yours?"),
        Mistake("ReLU before the mean is subtracted", STACK,
            ("z = x @ weight -> z = (x @ weight).relu()", "x = z.relu() -> x = z"),
            "Which comes first, centering or ReLU? Are your z centered values, or centered ReLUs?",
            ("z = x @ weight -> z = (x @ weight).relu()",)),
        Mistake("every layer fed with the first input", STACK, "x = z.relu() -> pass",
            "What does the second layer receive?"),
        Mistake("the last layer alone", STACK, "return layers -> return layers[-1:]",
            "The statement asks for the list of all z. How long is yours?",
            ("return layers -> return layers[-1]",)),
        Mistake("stopped after the first layer", STACK,
            Patch("    return layers", "        return layers"),
            "How many matrices are there, and how many z? Where does your return stand?"),
        Mistake("a layer too few", STACK, "return layers -> return layers[:-1]",
            "How many matrices are there, and how many z?", ("in weights -> in weights[1:]",)),
        Mistake("the input among the layers", STACK, "layers = [] -> layers = [x]",
            "How many matrices are there, and how many z? Is x one of them?"),
        Mistake("what goes on returned besides z", STACK,
            Patch("    return layers", "    layers.append(x)\n    return layers"),
            "How many matrices are there, and how many z?"),
        Mistake("layers in the wrong order", STACK, "return layers -> return layers[::-1]",
            "Which z comes first in your list?",
            ("in weights -> in weights[::-1]", "in weights -> in reversed(weights)")),
        Mistake("matrix transposed", STACK, "x @ weight -> x @ weight.T",
            "Print the shapes of x and of the matrix. Which axis of the matrix meets the units "
            "of x?", ("x @ weight -> F.linear(x, weight)",)),
        Mistake("entries multiplied, no matrix product", STACK, "x @ weight -> x * weight",
            "What is the difference between * and @?"),
    ],
    section=STACK,
)  # fmt: skip

EXERCISES = [_DEAD_PIXELS, _PROPAGATE_CENTERED]

IN_TEXT = {
    "01-init": Question(
        r"Biases are zero and \( s = 1 \). After how many ReLU layers has the size fallen to "
        "about one thousandth?",
        answer=20,
        tolerance=0.5,
        feedback={
            "right": r"The factor is \( 1/\sqrt{2} \) per layer, and \( 2^{-20/2} = 2^{-10} "
            r"\approx 1/1000 \).",
            "wrong": r"The factor is \( s/\sqrt{2} \approx 0.71 \) per layer. Which power of it "
            "is about 1/1000?",
            10: "That is how fast the mean square falls. The size is its square root, so it "
            "takes twice as long.",
            1000: "The factors multiply. They do not add.",
        },
    ),
    "01-conditioning": Question(
        r"You multiply both features by 10. What happens to \( \kappa \) and to the limit \( "
        r"2/\lambda_{\max} \)?",
        [
            choice(r"\( \kappa \) grows by 100.", "Both eigenvalues grow alike. And their ratio?"),
            choice(
                r"\( \kappa \) stays, the limit falls by 10.",
                r"\( H \) holds products of features.",
            ),
            choice(
                r"\( \kappa \) stays, the limit falls by 100.",
                r"Right: \( H \) grows by 100.",
                True,
            ),
            choice("Neither changes.", r"The ratio stays, but \( H \) is made of the features."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "An untrained network gives 256 different digits the same logits to four decimals. "
        "There is no `nan`, and at every layer the root mean square is between 0.3 and 1. "
        "What do you look at next?",
        [
            choice(
                "Each unit's standard deviation over the examples, layer by layer.",
                "That is the signal. The numbers are of a healthy size; the question is where "
                "they stop differing from digit to digit.",
                correct=True,
            ),
            choice(
                "The data loader: sizes are healthy, so it must repeat one image.",
                "The size is made of what all digits share as well. It can stay near 1 while "
                "the differences die.",
            ),
            choice(
                "The learning rate, which is too high.",
                "No step has been taken yet. This network was born this way.",
            ),
            choice(
                "The scale of all weights: double it until the logits differ.",
                "A factor on every layer stretches the common part just as much as the "
                "difference. Their ratio stays.",
            ),
        ],
    ),
    Question(
        r"You standardize pixels with the training statistics and \( \epsilon = 0.01 \). One "
        "pixel is 0 in all training images and 1 in a test image. What does it become there?",
        answer=10.0,
        feedback={
            "right": r"\( (1 - 0) / \sqrt{0 + 0.01} \). A faint feature that wakes up at test "
            "time becomes large, and epsilon alone says how large.",
            "wrong": "Mean and variance of that pixel are 0. Put both, and the 1, into "
            r"\( (x - \mu) / \sqrt{\sigma^2 + \epsilon} \).",
            100: r"You divided by \( \epsilon \). It stands under the root.",
            0: "A feature that never varied gives 0 as long as it stays at its mean. Here it "
            "does not.",
            1: "Dividing by 1 would leave it alone. The variance is 0, not 1.",
        },
    ),
]


# Figures of the chapter


_WIDE, _HIGH = 2.2, 1.5  # how far a descent is drawn to each side of the minimum


def descent_path(hessian: object, path: object) -> Axes:
    """The steps of an optimizer over the contour lines of ``e.T @ hessian @ e / 2``."""
    hessian, path = to_numpy(hessian).astype(float), to_numpy(path).astype(float)
    ax = new_axes(None, figsize=(4.8, 3.5))
    x, y = np.linspace(-_WIDE, _WIDE, 61), np.linspace(-_HIGH, _HIGH, 61)
    points = np.stack(np.meshgrid(x, y), axis=-1)  # (y, x, 2)
    loss = 0.5 * np.einsum("yxi,ij,yxj->yx", points, hessian, points)
    levels = loss.max() * np.linspace(0, 1, 6)[1:] ** 2
    ax.contour(x, y, loss, levels=levels, colors=COLORS["reference"], linewidths=0.8)
    far = np.abs(path).max(axis=1) > 20 * _WIDE
    seen = path[: far.argmax() + 1] if far.any() else path  # ends where it has left the picture
    ax.plot(*seen.T, color=COLORS["plain"], marker=".", linewidth=1.2)
    ax.plot(*seen[0], "s", color=COLORS["plain"])
    ax.plot(*seen[-1], "o", color=COLORS["plain"])
    ax.plot(0, 0, "+", color=COLORS["text"], markersize=10)
    ax.set(xlim=(-_WIDE, _WIDE), ylim=(-_HIGH, _HIGH), aspect="equal")
    ax.set(xlabel="error of weight 1", ylabel="error of weight 2")
    return ax


def layer_histograms(
    activations: Sequence[object],
    ax: Sequence[Axes] | None = None,
    *,
    names: Sequence[str] | None = None,
    span: tuple[float, float] = (-3, 3),
    color: str = COLORS["bn"],
) -> Sequence[Axes]:
    """One small histogram per layer, side by side on the same scale."""
    count = len(activations)
    if ax is None:
        size = (max(1.5 * count, 3.0), 2.0)
        ax = np.atleast_1d(plt.subplots(1, count, figsize=size, sharex=True)[1])
    for i, (values, axes) in enumerate(zip(activations, ax, strict=True)):
        plots.histogram(values, axes, span=span, color=color, xlabel="", show_mean=False)
        std = to_numpy(values).astype(float).std()
        axes.set_title(names[i] if names else f"layer {i + 1}", fontsize=9, loc="center")
        axes.set_xlabel(f"std {std:.2g}", fontsize=9)
        axes.set_xticks([span[0], 0, span[1]] if span[0] < 0 < span[1] else span)
    return ax


def sizes_and_last_layer(layers: Sequence[Tensor], size: Callable[[Tensor], float]) -> Figure:
    """The size of every layer on a logarithmic scale, and the values that reach the last one."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
    sizes = torch.tensor([size(z) for z in layers])
    left.plot(range(1, len(layers) + 1), sizes.log10(), ".-", color=COLORS["plain"])
    left.axhline(0, color=COLORS["reference"], linestyle="--", linewidth=1)
    left.set(xlabel="layer", xlim=(0, 31), ylim=(-12, 7), title="log₁₀ of the size")
    plots.histogram(layers[-1], right, span=(-3, 3), color=COLORS["plain"], show_mean=False)
    right.set(title=f"size {sizes[-1]:.2g}", xlabel=f"values at layer {len(layers)}")
    return fig
