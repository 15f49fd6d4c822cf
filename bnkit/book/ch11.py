"""Chapter 11, Batch size: its questions, exercise and mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from bnkit.book.ch10 import BATCH, fill_block
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen, scattered
from bnkit.book.quiz import Question, choice

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]

CHAPTER = "11_batch_size"

EVAL = "03_two_modes.ipynb#What the layer computes in eval mode"
AVERAGE = "03_two_modes.ipynb#`momentum=None`: a plain average"
FREEZING = "11_batch_size.ipynb#Freezing batch normalization when fine-tuning"


def reestimated(net, batches):
    net = copy.deepcopy(net)
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_running_stats()
            layer.momentum = None  # a plain average
    net.train()
    with torch.no_grad():
        for x in batches:
            net(x)
    return net.eval()


class _Door(nn.Identity):
    """Notes in which mode batches come through."""

    modes: ClassVar[list[bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        return x


def _of_vectors() -> nn.Sequential:
    inner = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    return fill_block(nn.Sequential(_Door(), nn.BatchNorm1d(2), inner))


def _of_images() -> nn.Sequential:
    inner = nn.Sequential(nn.Conv2d(2, 2, 2), nn.BatchNorm2d(2))
    net = nn.Sequential(_Door(), nn.BatchNorm2d(2), inner)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.arange(parameter.numel()).view_as(parameter) % 5 - 1.5)
    return net


def _copies(make: Callable, batches: Sequence[Tensor]) -> Probe:
    def run(reestimated: Callable) -> Facets:
        given = make().eval()
        for norm in (given[1], given[2][1]):
            norm.running_mean.fill_(7.0)
            norm.num_batches_tracked.fill_(2)  # as after training: the old average has a weight
        before = copy.deepcopy(given.state_dict())
        _Door.modes.clear()
        net = reestimated(given, [x.clone() for x in batches])
        same = all(torch.equal(before[name], value) for name, value in given.state_dict().items())
        return {
            "running_mean": as_seen(net[1].running_mean),
            "running_var": as_seen(net[1].running_var),
            "running_mean of the inner layer": as_seen(net[2][1].running_mean),
            "running_var of the inner layer": as_seen(net[2][1].running_var),
            "weight of the inner layers": as_seen(
                torch.cat([parameter.flatten() for parameter in net[2].parameters()])
            ),
            "the given network": "as it was" if same else "changed",
        } | _how_it_ran(net[1].running_mean)

    return Probe({f"batch {i}": x for i, x in enumerate(batches, start=1)}, run)


def _how_it_ran(mean: Tensor) -> Facets:
    """Only where the statistics are as at the start: then the mode says why."""
    if not bool((mean == 7).all() or (mean == 0).all()):
        return {}
    words = "in evaluation mode" if _Door.modes else "never"
    return {"the network ran": "in training mode" if any(_Door.modes) else words}


def _by_swa_utils(net: nn.Module, batches: list[Tensor]) -> nn.Module:
    net = copy.deepcopy(net)
    torch.optim.swa_utils.update_bn(batches, net)
    return net


def _at_rates(rate: Callable[[int], float]) -> Callable:
    """A wrong answer: batch i enters the statistics with a momentum of its own."""

    def reestimated(net: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
        net = copy.deepcopy(net).train()
        for i, x in enumerate(batches):
            for layer in net.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.reset_running_stats() if i == 0 else None
                    layer.momentum = rate(i)
            net(x)
        return net.eval()

    return reestimated


def _changed_after(change: Callable[[nn.Module, nn.Module], None]) -> Callable:
    """A wrong answer: the layers are changed once more after the right work."""

    def answer(net: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
        new = reestimated(net, batches)
        for old, layer in zip(net.modules(), new.modules(), strict=True):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                change(old, layer)
        return new

    return answer


def _with_biased_variances(net: nn.Module, batches: Sequence[Tensor]) -> nn.Module:
    inputs: dict[nn.Module, list[Tensor]] = {}
    new = reestimated(net, batches).train()
    layers = [m for m in new.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in layers:
        layer.register_forward_pre_hook(lambda m, x: inputs.setdefault(m, []).append(x[0]))
    for x in batches:
        new(x)
    for layer, seen in inputs.items():
        variances = [x.transpose(0, 1).flatten(1).var(1, unbiased=False) for x in seen]
        layer.running_var.copy_(torch.stack(variances).mean(0).detach())
    return new.eval()


_VECTORS = [BATCH[:3], 2 * BATCH[1:], BATCH - 3]
_RUNS = Patch("for x in batches:\n            net(x)", "pass")
_NEVER = Patch("    with torch.no_grad():\n        for x in batches:\n            net(x)\n", "")
_REESTIMATED = Exercise(
    name="reestimated",
    chapter=CHAPTER,
    title="Re-estimate, then freeze",
    statement="Write `reestimated(net, batches)`: return a copy of the network whose running "
    "statistics are the plain average over the batches of inputs. The given network "
    "keeps its own, and may come in evaluation mode. As in training, the variances are "
    "the unbiased ones that the layers store.",
    hints=(
        "What must be copied, and before what?",
        "Layers of batch normalization may lie deep inside. Which method finds all of them?",
        "Forget the old statistics, and make all batches count alike.",
    ),
    solution=reestimated,
    oracle=_by_swa_utils,
    probes=[
        _copies(_of_vectors, _VECTORS[:1]),
        _copies(_of_vectors, _VECTORS),
        _copies(_of_images, [scattered(2, 2, 2, 3), scattered(3, 2, 3, 3) * 2 + 1]),
    ],
    mistakes=[
        Mistake("given network changed", FREEZING, Patch("    net = copy.deepcopy(net)\n", ""),
            "Compare the running_mean of the given network before and after."),
        Mistake("inner layers missed", FREEZING, "net.modules() -> net.children()",
            "A layer may lie inside a Sequential inside the network. Does your loop get there?"),
        Mistake("one kind of layer missed", FREEZING,
            "(nn.BatchNorm1d, nn.BatchNorm2d) -> nn.BatchNorm2d",
            "Networks on vectors and networks on images have different layers. Which of them does "
            "your loop find?", ("(nn.BatchNorm1d, nn.BatchNorm2d) -> nn.BatchNorm1d",)),
        Mistake("old statistics not forgotten", FREEZING,
            (
                Patch("            layer.reset_running_stats()\n", ""),
                "momentum = None -> momentum = 0.1",
            ),
            "With momentum 0.1, what share of the old statistics is left after three batches?",
            (Patch("            layer.reset_running_stats()\n", ""),)),
        Mistake("averaged with momentum", AVERAGE, "momentum = None -> momentum = 0.1",
            "A reset layer starts at 0 and 1. What is left of these after three batches?",
            (*(f"momentum = None -> momentum = {m}" for m in (
                0.5, 0.01, 0.2, 0.3, 0.9, 0.99, 0.0, "1 / len(batches)", "1 - 1 / len(batches)")),
             _at_rates(lambda i: 1.0 if i == 0 else 0.1), _at_rates(lambda i: i / (i + 1)),
             _at_rates(lambda i: 1.0 if i == 0 else 0.5))),
        Mistake("the start counts as a batch", AVERAGE, _at_rates(lambda i: 1 / (i + 2)),
            "A reset layer starts at 0 and 1. With one batch, what should its mean be?",
            ("layer.reset_running_stats() -> layer.num_batches_tracked.fill_(1)",
             "layer.reset_running_stats() -> layer.num_batches_tracked.fill_(0); "
             "layer.num_batches_tracked += 3")),
        Mistake("last batch alone", AVERAGE, "momentum = None -> momentum = 1.0",
            "How much does the first of your batches weigh in the end?",
            (Patch(_RUNS.old, "net(batches[-1])"),)),
        Mistake("first batch alone", AVERAGE, Patch(_RUNS.old, "net(batches[0])"),
            "Which of the batches does your network see?",
            (Patch(_RUNS.old, _RUNS.old + "\n            break"),)),
        Mistake("a batch left out", AVERAGE, Patch("in batches:", "in batches[:-1]:"),
            "Which of the batches does your network see?",
            (Patch("in batches:", "in batches[1:]:"),)),
        Mistake("the network never runs", FREEZING,
            _NEVER,
            "Which line shows the batches to the copy?",
            ((_NEVER, Patch("            layer.reset_running_stats()\n", "")),)),
        Mistake("weights reset, too", FREEZING, "reset_running_stats -> reset_parameters",
            "Compare weight and bias of a layer before and after. Which of its tensors should be "
            "forgotten?", (_changed_after(lambda old, new: new.reset_parameters()),)),
        Mistake("biased variances averaged", AVERAGE, _with_biased_variances,
            "By which number does a layer divide the variance that it stores: N or N − 1?"),
        Mistake("only one of mean and variance re-estimated", FREEZING,
            _changed_after(lambda old, new: new.running_var.copy_(old.running_var)),
            "Compare running_mean and running_var with those of the given network.",
            (_changed_after(lambda old, new: new.running_mean.copy_(old.running_mean)),
             _changed_after(lambda old, new: new.running_var.fill_(1)),
             _changed_after(lambda old, new: new.running_mean.zero_()))),
        Mistake("standard deviations stored", FREEZING,
            _changed_after(lambda old, new: new.running_var.sqrt_()),
            "running_var is a variance. In which unit is what you store?"),
        Mistake("evaluation mode", EVAL, "net.train() -> net.eval()",
            "In which mode do running statistics move?",
            (
                (
                    Patch("            layer.reset_running_stats()\n", ""),
                    "net.train() -> net.eval()",
                ),
            )),
        Mistake("all batches as one", AVERAGE,
            Patch("for x in batches:\n            net(x)", "net(torch.cat(batches))"),
            "The variance of all examples has a part that no batch sees. How many variances does "
            "a plain average over three batches average?"),
    ],
    section=FREEZING,
)  # fmt: skip

EXERCISES = [_REESTIMATED]

IN_TEXT = {
    "11-remainder": Question(
        'Training on 4,097 images in batches of 64 ends with "Expected more than 1 value per '
        'channel". Why?',
        [
            choice("The last batch has a single row.", "64 · 64 = 4,096 leaves one.", correct=True),
            choice(
                "64 is too small for batch normalization.", "With 64 rows the layer works well."
            ),
            choice(
                "A batch holds two equal rows.",
                "Variance 0 is fine: epsilon keeps the quotient finite.",
            ),
        ],
    ),
    "11-memory": Question(
        "Your memory holds two images at a time and you train from scratch. What helps?",
        [
            choice(
                "Accumulate gradients over 16 batches.",
                "Each is still normalized over its own two.",
            ),
            choice(
                "Group normalization, trained from the start.",
                "It never looks at other images.",
                correct=True,
            ),
            choice("Ghost batches of two.", "That is what you have already."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "Batches of 4 have on average three quarters of the true variance. Suppose each batch "
        "had exactly that. By which factor are normalized values larger in training than in "
        "evaluation?",
        answer=1.1547,
        tolerance=0.01,
        feedback={
            "right": r"\( \sqrt{4/3} \). Training divides by too small a standard deviation, "
            "evaluation, with the unbiased running variance, by the right one.",
            "wrong": "Training divides by the root of three quarters of the variance, "
            "evaluation by the root of all of it.",
            1.3333: "That is the ratio of the variances. The layer divides by their roots.",
            0.866: "The wrong way round: a smaller divisor makes values larger.",
            1: "The running variance is unbiased, the batch that normalizes is not. The modes "
            "differ.",
        },
    ),
    Question(
        "You fine-tune a pretrained network with two images a batch. The new images have another "
        "contrast, and there is much to learn. What do you do with its batch normalization?",
        [
            choice(
                "Freeze it. At 16 a batch and few steps, let it train.",
                "At two the noise of the batch cost more than frozen statistics. At 16, after 75 "
                "steps, it was the other way round.",
                correct=True,
            ),
            choice(
                "Collect its statistics anew, then leave it in training mode.",
                "In training mode the two images normalize, whatever statistics are stored.",
            ),
            choice(
                "Leave it in training mode, so that it adapts.",
                "It adapts to two images at a time. Their noise is in every step.",
            ),
            choice(
                "Accumulate gradients over 16 batches.",
                "Each of the 16 is still normalized by its own two images.",
            ),
        ],
    ),
]
