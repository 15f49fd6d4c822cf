"""Chapter 16: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit import functional
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.ingredients import TWO_FORMULAS
from bnkit.book.observe import Facets, Probe
from bnkit.book.quiz import Question, choice

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]

CHAPTER = "16_capstone"


def shift_check(make):
    torch.manual_seed(0)
    x = 1e4 + torch.randn(64, 2)  # a mean that is large against the spread
    expected = nn.BatchNorm1d(2)(x)
    return (make(2)(x) - expected).abs().nan_to_num(torch.inf).max().item()


class _PatientF(nn.Module):
    """Takes the variance as E[x²] − E[x]²."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(0)
        var = (x * x).mean(0) - mean * mean
        return self.weight * (x - mean) / torch.sqrt(var + 1e-5) + self.bias


class _Healthy(_PatientF):
    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, self.weight, self.bias, training=True)


class _OneWrong(_Healthy):
    """A single number of its output is too large by 2."""

    by = 2.0

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        first = torch.arange(y.numel()).view_as(y) == 0
        return y + self.by * first


class _HalfWrong(_Healthy):
    """Every other number of its output is too large by 2."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y + 2 * (torch.arange(y.numel()).view_as(y) % 2)


class _AllWrong(_Healthy):
    """Every number of its output is too large by 2."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 2


class _OneTooSmall(_OneWrong):
    by = -2.0


def _judges(answer: Callable) -> Facets:
    """What the learner's check says of a healthy layer, of Patient F, and of one wrong number."""
    healthy, patient = float(answer(_Healthy)), float(answer(_PatientF))
    one, minus_one = float(answer(_OneWrong)), float(answer(_OneTooSmall))
    half, whole = float(answer(_HalfWrong)), float(answer(_AllWrong))
    seen = "above 0.1" if patient > 0.1 else "not above 0.1"
    return {
        "error of a healthy layer": "below 0.01" if healthy < 0.01 else "not below 0.01",
        "error of Patient F": "nan" if math.isnan(patient) else seen,
        "error of a layer with one number too large by 2": _size(one),
        "error of a layer with one number too small by 2": _size(minus_one),
        "error of a layer with every other number too large by 2": _size(half),
        "error of a layer with all numbers too large by 2": _size(whole),
    }


def _size(error: float) -> str:
    """The size of an error that should be 2, in words that do not depend on the batch."""
    sizes = {0.5: "below 0.5", 0.9: "below 1", 1.1: "about 1", 1.9: "below 2", 2.1: "about 2"}
    larger = "above 10" if error > 10 else "above 2"
    return next((words for end, words in sizes.items() if error < end), larger)


def _in_float64(make: Callable) -> float:
    """Against the equations in float64, on numbers around 10,000."""
    x = 1e4 + torch.linspace(-1, 1, 64)[:, None].repeat(1, 2)
    exact = x.double() - x.double().mean(0)
    exact = exact / (exact.square().mean(0) + 1e-5).sqrt()
    return (make(2)(x).double() - exact).abs().nan_to_num(torch.inf).max().item()


_SHIFT_CHECK = Exercise(
    name="shift_check",
    chapter=CHAPTER,
    title="Patient F",
    statement="Write `shift_check(make)`, where `make(num_features)` makes a batch normalization "
    "layer in training mode: return the largest difference from PyTorch's layer on a "
    "batch that you choose. For Patient F it must be above 0.1 or infinite, for a "
    "healthy layer below 0.01.",
    hints=(
        "Patient F subtracts two numbers. When are they large and almost equal?",
        "In float32 about seven digits are kept. What mean makes a variance of 1 invisible in a "
        "square?",
        "A negative variance has no root: `nan_to_num` turns its nan into infinity.",
    ),
    solution=shift_check,
    oracle=_in_float64,
    probes=[Probe({"make": "a healthy layer, then Patient F"}, _judges)],
    mistakes=[
        Mistake(
            "a batch on which nothing cancels", TWO_FORMULAS, "1e4 + torch.randn -> torch.randn",
            "On your batch the patient is right. What must be large, against what, so that E[x²] "
            "and E[x]² are almost equal?",
        ),
        Mistake("the layer compared with itself", TWO_FORMULAS,
            ("nn.BatchNorm1d(2)(x) -> make(2)(x)", "nan_to_num(torch.inf) -> nan_to_num(0)"),
            "What is the difference of two equal things? Which layer do you compare with?"),
        Mistake("the healthy layer fails, too", TWO_FORMULAS,
            ".max().item() -> .max().item() + 1",
            "What does your check say of nn.BatchNorm1d itself? If its error is not below 0.01, "
            "the check cannot tell the two apart: see what you compare with, or take a smaller "
            "mean.",
            ("1e4 + -> 1e9 +", "expected = nn.BatchNorm1d(2)(x) -> expected = x",
             "expected = nn.BatchNorm1d(2)(x) -> expected = nn.BatchNorm1d(2).eval()(x)",
             "expected = nn.BatchNorm1d(2)(x) -> expected = nn.BatchNorm1d(2)(x) + 1",
             "return (make(2)(x) - expected).abs().nan_to_num(torch.inf).max().item() -> "
             "return math.inf",
             "return (make(2)(x) - expected).abs().nan_to_num(torch.inf).max().item() -> "
             "return 1.0")),
        Mistake("the mean of the differences, not the largest", TWO_FORMULAS,
            ".max().item() -> .mean().item()",
            "A layer that is wrong in one number of 128: what does your check say of it?",
            (".max().item() -> .square().mean().item()",
             ".max().item() -> .square().mean().sqrt().item()", ".max().item() -> .std().item()",
             "(make(2)(x) - expected).abs().nan_to_num(torch.inf).max() -> "
             "(make(2)(x) - expected).mean().abs().nan_to_num(torch.inf)",
             "(make(2)(x) - expected).abs().nan_to_num(torch.inf).max() -> "
             "(make(2)(x).var() - expected.var()).abs().nan_to_num(torch.inf)")),
        Mistake("yes or no in place of the difference", TWO_FORMULAS,
            Patch(".max().item()", ".max().item() > 0.1"),
            "The largest difference is asked for, not whether it is too large."),
        Mistake("the smallest difference, not the largest", TWO_FORMULAS,
            ".max().item() -> .min().item()",
            "A layer that is wrong in one number of 128: what does your check say of it?",
            (("1e4 + -> 3e3 + ", ".max().item() -> .min().item()"),)),
        Mistake("the differences added up", TWO_FORMULAS, ".max().item() -> .sum().item()",
            "The largest difference is asked for. What does a hundred small ones make together?",
            (".max().item() -> .norm().item()", ".max().item() -> .square().sum().item()")),
        Mistake("the sign of the differences not dropped", TWO_FORMULAS, ".abs() -> ",
            "A layer that is wrong by −1: what does your check say of it?",
            ("make(2)(x) - expected).abs() -> expected - make(2)(x))",)),
        Mistake("nan not caught", TWO_FORMULAS, ".nan_to_num(torch.inf) -> ",
            "The patient's variance is negative. Is nan > 0.1 true?"),
    ],
    section=TWO_FORMULAS,
)  # fmt: skip

EXERCISES = [_SHIFT_CHECK]

IN_TEXT = {
    "16-served": Question(
        "97 % after training, 12 % when the saved file is served elsewhere. Which patient is it?",
        [
            choice(
                "A", "Its gradients are wrong, but what it learned is saved and loaded faithfully."
            ),
            choice("B", "At batch 64 its two modes differ by under one percent in scale."),
            choice("C", "The statistics were never saved. The first process had them.", True),
            choice("D", "It leaks memory. Its buffers are saved with the right values."),
        ],
    ),
    "16-alias": Question(
        "Which of these keep the best weights safe from later training steps?",
        [
            choice("best = net.state_dict()", "References to tensors that the optimizer rewrites."),
            choice("best = dict(net.state_dict())", "A new dictionary, the same tensors."),
            choice("best = copy.deepcopy(net.state_dict())", "Running statistics too.", True),
            choice("torch.save(net.state_dict(), path)", "Slower, and safe.", True),
        ],
    ),
}


QUESTIONS = [
    Question(
        "A served network (made up) has 12 % in eval mode, 90 % with batch statistics, and 91 "
        "% after its statistics are recomputed. Which of these cannot be the cause?",
        [
            choice(
                "The running statistics were plain attributes and never saved.",
                "That fits: the server evaluates with mean 0 and variance 1, and the weights "
                "are fine.",
            ),
            choice(
                "All training batches held one class each.",
                "Then the weights read the class from the batch: on mixed batches, and with "
                "fresh statistics, they stay far below 90 %.",
                correct=True,
            ),
            choice(
                "`momentum=0.99`, and a short last batch.",
                "That fits: the statistics are those of a few examples, and the weights are fine.",
            ),
            choice(
                "Buffers of a model for other data were loaded.",
                "That fits: wrong numbers are stored, and fresh ones cure it.",
            ),
        ],
    ),
    Question(
        "A home-made layer updates its running statistics in eval mode as well. Which two "
        "things that should be equal are not?",
        [
            choice(
                "Its outputs and PyTorch's in training mode, on a batch of two.",
                "In training mode it does the right thing.",
            ),
            choice(
                "Its gradient and finite differences, in training mode.",
                "The mistake is in what it remembers, not in what it differentiates.",
            ),
            choice(
                "The buffers before and after a batch in eval mode.",
                "The file of a served model would change with every request, and so would its "
                "answers.",
                correct=True,
            ),
            choice(
                "The keys of its `state_dict` and those of PyTorch's layer.",
                "It may have all the right buffers. It only writes into them at the wrong time.",
            ),
        ],
    ),
]
