"""Chapter 11, Batch size: its questions, exercise and mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit.book.ch10 import BATCH, fill_block
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen
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


def _copies(count: int) -> Probe:
    batches = [BATCH[:3], 2 * BATCH[1:], BATCH - 3][:count]

    def run(reestimated: Callable) -> Facets:
        given = fill_block(
            nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
        )
        for norm in (given[0], given[1][1]):
            norm.running_mean.fill_(7.0)
            norm.num_batches_tracked.fill_(2)  # as after training: the old average has a weight
        before = copy.deepcopy(given.state_dict())
        net = reestimated(given, [x.clone() for x in batches])
        same = all(torch.equal(before[name], value) for name, value in given.state_dict().items())
        return {
            "running_mean": as_seen(net[0].running_mean),
            "running_var": as_seen(net[0].running_var),
            "running_mean of the inner layer": as_seen(net[1][1].running_mean),
            "weight of the linear layer": as_seen(net[1][0].weight),
            "the given network": "as it was" if same else "changed",
        }

    return Probe({f"batch {i}": x for i, x in enumerate(batches, start=1)}, run)


def _by_swa_utils(net: nn.Module, batches: list[Tensor]) -> nn.Module:
    net = copy.deepcopy(net)
    torch.optim.swa_utils.update_bn(batches, net)
    return net


_REESTIMATED = Exercise(
    name="reestimated",
    chapter=CHAPTER,
    title="Re-estimate, then freeze",
    statement="Write `reestimated(net, batches)`: return a copy of the network whose running "
    "statistics are the plain average over the batches of inputs. The given network "
    "keeps its own.",
    hints=(
        "What must be copied, and before what?",
        "Layers of batch normalization may lie deep inside. Which method finds all of them?",
        "Forget the old statistics, and make all batches count alike.",
    ),
    solution=reestimated,
    oracle=_by_swa_utils,
    probes=[_copies(1), _copies(3)],
    mistakes=[
        Mistake("given network changed", FREEZING, Patch("    net = copy.deepcopy(net)\n", ""),
            "Compare the running_mean of the given network before and after."),
        Mistake("inner layers missed", FREEZING, "net.modules() -> net.children()",
            "A layer may lie inside a Sequential inside the network. Does your loop get there?"),
        Mistake("old statistics not forgotten", FREEZING,
            (
                Patch("            layer.reset_running_stats()\n", ""),
                "momentum = None -> momentum = 0.1",
            ),
            "With momentum 0.1, what share of the old statistics is left after three batches?",
            (Patch("            layer.reset_running_stats()\n", ""),)),
        Mistake("averaged with momentum", AVERAGE, "momentum = None -> momentum = 0.1",
            "A reset layer starts at 0 and 1. What is left of these after three batches?"),
        Mistake("last batch alone", AVERAGE, "momentum = None -> momentum = 1.0",
            "How much does the first of your batches weigh in the end?"),
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
