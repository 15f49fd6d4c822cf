"""Chapter 15: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bnkit.book.folding import FOLD, FOLD_FORWARD
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

EXERCISES = [FOLD, FOLD_FORWARD]

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
