"""Known mistakes in training and evaluation loops, as data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from bnkit.checks.exercise import Mistake

__all__ = ["EVALUATE", "REESTIMATE", "TRAINING_STEP"]

FUNCTIONS = "06_mnist_early_stopping.ipynb#Training and validation functions"
LOSS = "06_mnist_early_stopping.ipynb#The loss, by hand"
CANNOT = "06_mnist_early_stopping.ipynb#A log that cannot be true"
FORGOTTEN = "03_two_modes.ipynb#A forgotten `eval()`, measured"
PLAIN_AVERAGE = "03_two_modes.ipynb#`momentum=None`: a plain average"
LAG = "12_train_test_mismatch.ipynb#Statistics that lag behind"


def _measure(
    prepare: Callable = lambda model: model.eval(),
    loss_of: Callable = F.cross_entropy,
    axis: int = 1,
    finish: Callable = lambda losses, hits, sizes: (
        sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes),
        sum(hits) / sum(sizes),
    ),
) -> Callable:
    """An evaluation with one of its parts replaced."""

    @torch.no_grad()
    def evaluate(model, loader):
        prepare(model)
        losses, hits, sizes = [], [], []
        for x, y in loader:
            output = model(x)
            losses.append(loss_of(output, y))
            hits.append((output.argmax(axis) == y).float().sum())
            sizes.append(len(x))
        return finish(losses, hits, sizes)

    return evaluate


def _loss(losses, sizes):
    return sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)


def _batch_means(losses, hits, sizes):
    shares = [hit / n for hit, n in zip(hits, sizes, strict=True)]
    return sum(losses) / len(losses), sum(shares) / len(shares)


def _loss_by_batch(losses, hits, sizes):
    return sum(losses) / len(losses), sum(hits) / sum(sizes)


def _accuracy_by_batch(losses, hits, sizes):
    return _loss(losses, sizes), _batch_means(losses, hits, sizes)[1]


def _softmax_first(output, y):
    return F.cross_entropy(output.softmax(1), y)


EVALUATE = [
    Mistake(
        "mean of batch means", "evaluate", _measure(finish=_batch_means),
        "The last batch is shorter. Does each of its samples count as much as the others?",
        LOSS,
        (_measure(finish=_loss_by_batch), _measure(finish=_accuracy_by_batch)),
    ),
    Mistake(
        "eval() forgotten", "evaluate", _measure(lambda model: None),
        "Evaluate twice. Have the running statistics moved in between?", FORGOTTEN,
        (_measure(lambda model: model.train()),),
    ),
    Mistake(
        "sums not divided", "evaluate",
        _measure(finish=lambda losses, hits, sizes: (
            _loss(losses, sizes) * sum(sizes), sum(hits) / sum(sizes))),
        "Give the loader every sample twice. Should the loss double?", LOSS,
        (
            _measure(finish=lambda losses, hits, sizes: (sum(losses), sum(hits) / sum(sizes))),
            _measure(finish=lambda losses, hits, sizes: (_loss(losses, sizes), sum(hits))),
        ),
    ),
    Mistake(
        "last batch alone", "evaluate",
        _measure(finish=lambda losses, hits, sizes: (losses[-1], hits[-1] / sizes[-1])),
        "Which batches are in your result? Look at what happens to the sums inside the loop.",
        FUNCTIONS,
    ),
    Mistake(
        "divided by the number of batches", "evaluate",
        _measure(finish=lambda losses, hits, sizes: (
            _loss(losses, sizes) * sum(sizes) / len(sizes), sum(hits) / len(sizes))),
        "You add up over samples. What do you divide by: samples or batches?", CANNOT,
        (
            _measure(finish=lambda losses, hits, sizes: (
                _loss(losses, sizes), sum(hits) / len(sizes))),
        ),
    ),
    Mistake(
        "divided by full batches", "evaluate",
        _measure(finish=lambda losses, hits, sizes: (
            _loss(losses, sizes) * sum(sizes) / (len(sizes) * sizes[0]),
            sum(hits) / (len(sizes) * sizes[0]))),
        "How many samples are there, if the last batch is short?", CANNOT,
    ),
    Mistake(
        "softmax before the cross entropy", "evaluate", _measure(loss_of=_softmax_first),
        "What does F.cross_entropy expect: probabilities, or the numbers before softmax?", LOSS,
    ),
    Mistake(
        "accuracy in percent", "evaluate",
        _measure(finish=lambda losses, hits, sizes: (
            _loss(losses, sizes), 100 * sum(hits) / sum(sizes))),
        "The accuracy is asked for as a share. Between which two numbers does it lie?", FUNCTIONS,
    ),
    Mistake(
        "error in place of accuracy", "evaluate",
        _measure(finish=lambda losses, hits, sizes: (
            _loss(losses, sizes), 1 - sum(hits) / sum(sizes))),
        "A perfect model: which accuracy do you report?", FUNCTIONS,
    ),
]  # fmt: skip


def _stepping(order: str, prepare: Callable = lambda model: model.train(), loss=F.cross_entropy):
    """A step whose parts come in the order of their letters: zero, backward, step."""

    def training_step(model, optimizer, x, y):
        prepare(model)
        value = loss(model(x), y)
        parts = {"z": optimizer.zero_grad, "b": value.backward, "s": optimizer.step}
        for letter in order:
            parts[letter]()
        return value

    return training_step


TRAINING_STEP = [
    Mistake(
        "zero_grad forgotten", "training_step", _stepping("bs"),
        "Where are the gradients of the last step when you call backward?", FUNCTIONS,
    ),
    Mistake(
        "gradients cleared before the step", "training_step", _stepping("bzs"),
        "What is weight.grad at the moment of optimizer.step()?", FUNCTIONS,
        (_stepping("zb"), _stepping("")),
    ),
    Mistake(
        "step before backward", "training_step", _stepping("sb"),
        "Which gradients does optimizer.step() use, if backward comes after it?", FUNCTIONS,
    ),
    Mistake(
        "train() forgotten", "training_step", _stepping("zbs", lambda model: None),
        "After an evaluation, in which mode does the next step find the model?",
        "03_two_modes.ipynb#A model that changes while you watch",
        (_stepping("zbs", lambda model: model.eval()),),
    ),
    Mistake(
        "softmax before the cross entropy", "training_step",
        _stepping("zbs", loss=_softmax_first),
        "What does F.cross_entropy expect: probabilities, or the numbers before softmax?", LOSS,
    ),
    Mistake(
        "sum of the losses of the batch", "training_step",
        _stepping("zbs", loss=lambda output, y: F.cross_entropy(output, y, reduction="sum")),
        "Take a batch that is twice as large. Should the step be twice as long?", LOSS,
    ),
    Mistake(
        "uphill", "training_step",
        _stepping("zbs", loss=lambda output, y: -F.cross_entropy(output, y)),
        "Does the loss fall or rise from step to step? Look at its sign.", LOSS,
    ),
]  # fmt: skip


def _again(reset: bool = True, momentum: float | None = None, train: bool = True) -> Callable:
    def reestimate(model, batches):
        if reset:
            model[0].reset_running_stats()
        model[0].momentum = momentum
        model.train(train)
        for x in batches:
            model(x)

    return reestimate


def _biased(model, batches):
    model[0].running_mean.copy_(torch.stack([x.mean(0) for x in batches]).mean(0))
    variances = [x.var(0, unbiased=False) for x in batches]
    model[0].running_var.copy_(torch.stack(variances).mean(0))


REESTIMATE = [
    Mistake(
        "old statistics not forgotten", "reestimate", _again(False, 0.1),
        "With momentum 0.1, what share of the old statistics is left after three batches?", LAG,
    ),
    Mistake(
        "averaged with momentum", "reestimate", _again(True, 0.1),
        "A reset layer starts at 0 and 1. What is left of these after three batches?",
        PLAIN_AVERAGE,
    ),
    Mistake(
        "evaluation mode", "reestimate", _again(train=False),
        "In which mode do running statistics move?",
        "03_two_modes.ipynb#What the layer computes in eval mode",
        (_again(False, None, False),),
    ),
    Mistake(
        "last batch alone", "reestimate", _again(True, 1.0),
        "How much does the first of your batches weigh in the end?", PLAIN_AVERAGE,
    ),
    Mistake(
        "biased running variance", "reestimate", _biased,
        "Which variance estimates the spread of all data from a few?",
        "03_two_modes.ipynb#Why store the unbiased variance?",
    ),
]  # fmt: skip
