"""Chapter 14: its questions, exercises, mistakes and figures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnkit.book.ch10 import BATCH, fill_block
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.quiz import Question, choice

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]

CHAPTER = "14_architectures"

RESNET = "14_architectures.ipynb#A small ResNet with `BatchNorm2d`"


def close_doors(net):
    for module in net.modules():
        if hasattr(module, "branch"):
            nn.init.zeros_(module.branch[-1].weight)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2), nn.BatchNorm1d(2)
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


def _doors(close: Callable) -> Facets:
    """Numbers of every normalization afterwards, and whether the last of a branch still learns."""
    inner = nn.Sequential(_Block())
    net = fill_block(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), _Block(), inner, _Block()))
    for block in (net[2], net[3][0], net[4]):
        block.branch[-1].running_mean.fill_(3.0)
        block.branch[-1].running_var.fill_(4.0)
    found = close(net.train())
    net = found if isinstance(found, nn.Module) else net
    first, second = net[2].branch, net[3][0].branch
    before = [getattr(first[-1], f"running_{name}").clone() for name in ("mean", "var")]
    net(BATCH.clone()).square().sum().backward()
    last = first[-1].weight
    return {
        "weight of branch[-1]": as_seen(last),
        "weight of branch[-1] in the inner block": as_seen(second[-1].weight),
        "weight of branch[-1] in the last block": as_seen(net[4].branch[-1].weight),
        "bias of branch[-1]": as_seen(first[-1].bias),
        "weight of branch[1]": as_seen(first[1].weight),
        "weight of the stem's normalization": as_seen(net[1].weight),
        "weight of branch[3]": as_seen(first[3].weight),
        "weight of branch[0]": as_seen(first[0].weight),
        "running_var of branch[-1]": as_seen(before[1]),
        "running_mean of branch[-1]": as_seen(before[0]),
        "gradient reaches it": "no" if last.grad is None or not last.grad.any() else "yes",
        "a parameter": "yes" if isinstance(last, nn.Parameter) else "no",
    }


def _by_name(net: nn.Module) -> None:
    """Find the last layer of each branch by the name of its weight."""
    last = {}
    for name, parameter in net.named_parameters():
        block, found, layer = name.rpartition("branch.")
        if found and layer.endswith(".weight"):
            last[block] = parameter  # they come in order
    for parameter in last.values():
        parameter.data.zero_()


def _in_branch(places: str, names: str = "weight") -> Patch:
    """The parameters of these names set to 0 in layers at these places of a branch."""
    return Patch(
        "            nn.init.zeros_(module.branch[-1].weight)",
        f"            for i in map(int, {places!r}.split()):\n"
        f"                for name in {names!r}.split():\n"
        "                    nn.init.zeros_(getattr(module.branch[i], name))",
    )


_CLOSE_DOORS = Exercise(
    name="close_doors",
    chapter=CHAPTER,
    title="A closed door",
    statement="Write `close_doors(net)`: in every residual block of the network, that is in every "
    "module with an attribute `branch`, set the weight of the branch's last layer, its "
    "batch normalization, to 0. All else stays as it is, and the weight goes on to "
    "learn.",
    hints=(
        "Blocks may lie inside other modules. Which method finds all of them?",
        "Change the numbers of the parameter that is there. `nn.init` has functions for it.",
    ),
    solution=close_doors,
    oracle=_by_name,
    probes=[
        Probe(
            {
                "net": "Linear → BN → block → (block) → block",
                "a branch": "Linear → BN → ReLU → Linear → BN",
            },
            _doors,
        )
    ],
    mistakes=[
        Mistake("every normalization closed", RESNET,
            (
                'hasattr(module, "branch") -> isinstance(module, nn.BatchNorm1d)',
                "module.branch[-1].weight -> module.weight",
            ),
            "With γ = 0 in the stem, what reaches the first block? Which layers did you mean?",
            (
                Patch(
                    "            nn.init.zeros_(module.branch[-1].weight)",
                    "            for layer in module.branch:\n                if "
                    "isinstance(layer, nn.BatchNorm1d):\n                    "
                    "nn.init.zeros_(layer.weight)",
                ),
            )),
        Mistake("the first normalization of the branch", RESNET, "branch[-1] -> branch[1]",
            "A branch holds two normalizations. Behind which one does nothing of the branch "
            "follow?"),
        Mistake("bias in place of weight", RESNET, "branch[-1].weight -> branch[-1].bias",
            "Which of the two parameters multiplies x_hat?"),
        Mistake("bias changed, too", RESNET,
            Patch(
                "            nn.init.zeros_(module.branch[-1].weight)",
                "            nn.init.zeros_(module.branch[-1].weight)\n            "
                "nn.init.zeros_(module.branch[-1].bias)",
            ),
            "β may start anywhere. Which one number makes the branch forget its input?",
            tuple(Patch("            nn.init.zeros_(module.branch[-1].weight)",
                        "            nn.init.zeros_(module.branch[-1].weight)\n            "
                        f"nn.init.{way}")
                  for way in ("ones_(module.branch[-1].bias)",
                              "constant_(module.branch[-1].bias, 1e-4)",
                              "normal_(module.branch[-1].bias)"))),
        Mistake("weight frozen", RESNET,
            "module.branch[-1].weight) -> module.branch[-1].weight).requires_grad_(False)",
            "A closed door should be able to open. Does the weight still get a gradient?"),
        Mistake("inner blocks missed", RESNET, "net.modules() -> net.children()",
            "A block may lie inside a Sequential inside the network. Does your loop get there?"),
        Mistake("convolution in place of normalization", RESNET, "branch[-1] -> branch[-2]",
            "Print the last two layers of the branch. Which of them did you set to 0?",
            ("branch[-1] -> branch[0]", _in_branch("0 3"), _in_branch("3", "weight bias"),
             _in_branch("0", "weight bias"), _in_branch("0 3", "weight bias"))),
        Mistake("all weights of the branch", RESNET, _in_branch("0 1 3 4"),
            "How many layers does a branch hold, and which one of them is its last?",
            (_in_branch("0 1 3 4", "weight bias"), _in_branch("1 4", "weight bias"),
             _in_branch("3 4"), _in_branch("3 4", "weight bias"))),
        Mistake("another number than 0", RESNET,
            "nn.init.zeros_(module.branch[-1].weight) -> "
            "nn.init.constant_(module.branch[-1].weight, 0.01)",
            "Which one number makes the branch forget its input?",
            tuple(f"nn.init.zeros_(module.branch[-1].weight) -> {way}" for way in (
                "nn.init.ones_(module.branch[-1].weight)",
                "nn.init.constant_(module.branch[-1].weight, -1)",
                "nn.init.constant_(module.branch[-1].weight, 0.1)",
                "nn.init.constant_(module.branch[-1].weight, 1e-3)",
                "nn.init.constant_(module.branch[-1].weight, 0.5)",
                "nn.init.constant_(module.branch[-1].weight, 1e-2)",
                "module.branch[-1].weight.data.mul_(0.5)",
                "module.branch[-1].weight.data.mul_(0.1)",
                "module.branch[-1].weight.data.mul_(0.01)",
                "module.branch[-1].weight.data.neg_()",
                "module.branch[-1].reset_parameters()"))),
        Mistake("one channel alone", RESNET,
            "nn.init.zeros_(module.branch[-1].weight) -> module.branch[-1].weight.data[0] = 0",
            "How many numbers does the weight hold, and how many of them are 0 now?",
            ("nn.init.zeros_(module.branch[-1].weight) -> module.branch[-1].weight.data[-1] = 0",
             "nn.init.zeros_(module.branch[-1].weight) -> module.branch[-1].weight.data[1:] = 0")),
        Mistake("running statistics in place of the weight", RESNET,
            "branch[-1].weight -> branch[-1].running_var",
            "Which tensor of the layer is learned, and multiplies x_hat?",
            ("branch[-1].weight -> branch[-1].running_mean",
             "nn.init.zeros_(module.branch[-1].weight) -> "
             "module.branch[-1].reset_running_stats()",
             "nn.init.zeros_(module.branch[-1].weight) -> "
             "(module.branch[-1].running_mean.zero_(), module.branch[-1].running_var.zero_())")),
        Mistake("one block alone", RESNET,
            "in net.modules() -> in [m for m in net.modules() if hasattr(m, 'branch')][:1]",
            "How many blocks does the network hold, and how many does your loop reach?"),
        Mistake("the last layer taken away", RESNET,
            "nn.init.zeros_(module.branch[-1].weight) -> del module.branch[-1]",
            "The normalization should stay, and learn. How many layers does a branch hold now?"),
        Mistake("a new layer in place of the old one", RESNET,
            Patch("nn.init.zeros_(module.branch[-1].weight)",
                  "module.branch[-1] = nn.BatchNorm1d(len(module.branch[-1].weight))\n"
                  "            nn.init.zeros_(module.branch[-1].weight)"),
            "All else should stay as it is. Compare bias and running statistics before and after."),
        Mistake("no door closed", RESNET, "nn.init.zeros_(module.branch[-1].weight) -> pass",
            "Print the weight of a branch's last layer before and after. Does your loop get there, "
            "and does it write into the parameter?",
            ('hasattr(module, "branch") -> hasattr(module, "branches")',)),
    ],
    section=RESNET,
)  # fmt: skip

EXERCISES = [_CLOSE_DOORS]

IN_TEXT = {
    "14-bias": Question(
        "In which of these chains is the convolution's bias redundant?",
        [
            choice("Conv → BatchNorm → ReLU", "The mean subtracts it at once.", True),
            choice("Conv → ReLU → BatchNorm", "The bias decides what the ReLU cuts off."),
            choice("Conv → average pooling → BatchNorm", "A constant passes the averaging.", True),
            choice("Conv → LayerNorm over channels", "The biases of channels differ."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "Four residual blocks normalize the stream after each addition. By the arithmetic of "
        "this chapter, which percentage of the stream does the input hold at the end?",
        answer=6.25,
        feedback={
            "right": r"\( (1/2)^4 \). Each block adds a part of variance 1, and each "
            "normalization halves all that was there.",
            "wrong": "After one block the input holds one half. What does the next "
            "normalization do with that half?",
            20: r"\( 1 / (4 + 1) \) is for normalization inside the branch, before the "
            "addition.",
            12.5: "That is after three blocks.",
            0.0625: "That is the share. The question asks for a percentage.",
            50: "That is after one block. Every further one halves again.",
        },
    ),
    Question(
        "The order is linear, batch normalization, ReLU. Can a unit still be dead in "
        "training, that is, give 0 for every example of every batch?",
        [
            choice(
                "No: normalized values always lie on both sides of 0.",
                r"They do, before \( \gamma \) and \( \beta \). The ReLU sees what comes after "
                "them.",
            ),
            choice(
                r"Yes, if \( \beta \) is negative enough against \( \gamma \).",
                r"Normalized values of a batch of N never exceed \( \sqrt{N-1} \). A shift far "
                "enough below zero silences them all.",
                correct=True,
            ),
            choice(
                "Yes, if the bias of the linear layer is very negative.",
                "The mean takes a constant out again, however large it is.",
            ),
            choice(
                "Only in eval mode, when the statistics are old.",
                "Old statistics can silence a unit in eval mode. The affine part can do it in "
                "both modes.",
            ),
        ],
    ),
]


# Harness of the chapter
