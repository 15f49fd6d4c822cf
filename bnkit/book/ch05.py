"""Chapter 5, The layer by hand: its questions, exercises, mistakes and figures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from bnkit import layers
from bnkit.book.ch02 import (
    AXES,
    EPSILON,
    EQUATIONS,
    IMAGES,
    TWO_FORMULAS,
    UNDO,
    WHICH_VARIANCE,
    WRONG_GRADIENTS,
)
from bnkit.book.ch03 import EVAL, RUNNING, UNBIASED
from bnkit.book.exercise import Exercise, Mistake, Patch
from bnkit.book.observe import Facets, Probe, as_seen
from bnkit.book.observe_layer import (
    EXAMPLES,
    averaging_probes,
    first_wrong_step_of_layer,
    layer_probes,
    small_net,
)
from bnkit.book.quiz import Question, choice
from bnkit.plots import COLORS, appearance, new_axes

__all__ = ["CHAPTER", "EXERCISES", "IN_TEXT", "QUESTIONS"]
__all__ += ["Race", "loss_drift", "loss_gap", "note_signs", "reloaded_outputs", "switches"]

CHAPTER = "05_manual_implementation"

THREE_STEPS = "05_manual_implementation.ipynb#The layer in three steps"
WHO_MOVES = "05_manual_implementation.ipynb#One step by hand: who moves what?"
ATTRIBUTES = "05_manual_implementation.ipynb#Plain attributes: the file forgets them"
PARAMETERS = "05_manual_implementation.ipynb#Parameters: the optimizer finds them"
NO_END = "05_manual_implementation.ipynb#Undetached averages: the graph never ends"
LOADS = "05_manual_implementation.ipynb#Weights load in both directions"
TWO_MODES = "03_two_modes.ipynb#A model that changes while you watch"
PLAIN_AVERAGE = "03_two_modes.ipynb#`momentum=None`: a plain average"
LAG = "12_train_test_mismatch.ipynb#Statistics that lag behind"


class Layer(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            self.update(x)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    @torch.no_grad()
    def update(self, x):
        self.running_mean.lerp_(x.mean(dim=0), self.momentum)
        self.running_var.lerp_(x.var(dim=0), self.momentum)
        self.num_batches_tracked += 1


def _start(cls: Callable) -> Facets:
    layer = cls(2)
    found = {name: as_seen(getattr(layer, name, None)) for name in ("weight", "bias")}
    layer(EXAMPLES)  # what raises has no result
    return {f"{name} at first": value for name, value in found.items()}


_FRESH = Probe({"num_features": 2}, _start, essential=False)
_BATCH = "mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)"
_BUFFER = 'self.register_buffer("{0}", torch.{1}(num_features)) -> self.{0} = {2}'
_COUNTER = 'self.register_buffer("num_batches_tracked", torch.tensor(0))'
_RETURN = "self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias"
_GAMMA, _BETA = "nn.Parameter(torch.ones(num_features))", "nn.Parameter(torch.zeros(num_features))"
_MEAN, _VAR = "running_mean.lerp_(x.mean(dim=0)", "running_var.lerp_(x.var(dim=0)"


def _kept_as(mean: str, var: str) -> tuple[str, str]:
    """Both running statistics assigned in another way."""
    return _BUFFER.format("running_mean", "zeros", mean), _BUFFER.format("running_var", "ones", var)


_IN_BOTH = [  # for the layer with momentum and for the one that averages
    Mistake("detached statistics", WRONG_GRADIENTS,
        f"{_BATCH} -> {_BATCH.replace('x.', 'x.detach().')}",
        "The outputs are right and the gradients are not. Which lines stand under no_grad, and "
        "which of them should?"),
    Mistake("unbiased variance in the forward pass", WHICH_VARIANCE, ", unbiased=False -> ",
        "Take the batch (3, 11). Your output should be (−1, +1). By which number does your "
        "variance divide?", (", unbiased=False -> , unbiased=True",)),
    Mistake("running statistics as plain attributes", ATTRIBUTES,
        _kept_as("torch.zeros(num_features)", "torch.ones(num_features)"),
        "Print the keys of your layer's state_dict. What will a saved model have forgotten?"),
    Mistake("running statistics as parameters", PARAMETERS,
        _kept_as(_BETA[:-1] + ", requires_grad=False)", _GAMMA[:-1] + ", requires_grad=False)"),
        "Count your layer's parameters. Which of them should an optimizer move?",
        (_kept_as(_BETA, _GAMMA),)),
    Mistake("undetached running statistics", NO_END, "@torch.no_grad() -> ",
        "After a training step, what is running_mean.grad_fn? What does it hold on to?"),
    Mistake("mode follows the gradient switch", TWO_MODES,
        "self.training -> torch.is_grad_enabled()",
        "Call your layer in evaluation mode with and without torch.no_grad(). Which attribute "
        "tells the mode?"),
    Mistake("statistics updated in evaluation", EVAL, "    self.update(x) -> self.update(x)",
        "Evaluate the same batch twice. Should the second answer differ from the first?",
        ("    self.update(x) -> mean, var = mean.clone(), var.clone()\n        self.update(x)",)),
    Mistake("batch statistics used in evaluation", EVAL,
        f"mean, var = self.running_mean, self.running_var -> {_BATCH}",
        "In evaluation mode, change one row of the batch. Do the other outputs move?"),
    Mistake("mode ignored", TWO_MODES, "self.training -> True",
        "Does calling eval() change anything that your layer does?"),
    Mistake("running statistics used in training", TWO_MODES, f"{_BATCH} -> pass",
        "In training, which mean and variance should the outputs of this batch have?"),
    Mistake("momentum on the wrong side", RUNNING,
        Patch("self.momentum)", "1 - self.momentum)", True),
        "A fresh layer sees one batch with mean 5. With momentum 0.1, where is running_mean?"),
    Mistake("biased running variance", UNBIASED, f"{_VAR} -> {_VAR[:-1]}, unbiased=False)",
        "Normalize with one variance, store another. Which of the two estimates the spread of "
        "all data?"),
    Mistake("standard deviation in running_var", UNBIASED,
        f"{_VAR} -> {_VAR.replace('x.var', 'x.std')}",
        "Scale x by 10. By how much should running_var grow?"),
    Mistake("running_var starts at 0", WHO_MOVES,
        '"running_var", torch.ones -> "running_var", torch.zeros',
        "What would a layer that has seen no batch do to x in evaluation mode?"),
    Mistake("epsilon outside the root", EPSILON,
        "torch.sqrt(var + self.eps) -> (torch.sqrt(var) + self.eps)",
        "Is epsilon added to a variance or to a standard deviation?"),
    Mistake("epsilon missing", EPSILON, "var + self.eps -> var",
        "What comes out for a feature that hardly varies?"),
    Mistake("variance as E[x²] − E[x]²", TWO_FORMULAS,
        "x.var(dim=0, unbiased=False) -> (x * x).mean(dim=0) - x.mean(dim=0) ** 2",
        "Add 10,000 to every input, in float32. The output should not change at all."),
    Mistake("wrong axis", AXES,
        f"{_BATCH} -> mean, var = x.mean(dim=1, keepdim=True), "
        "x.var(dim=1, unbiased=False, keepdim=True)",
        "Which numbers should share a mean: those of one example, or those of one feature?"),
    Mistake("gamma and beta missing", UNDO,
        (f"self.weight = {_GAMMA} -> pass", f"self.bias = {_BETA} -> pass",
         f"{_RETURN} -> (x - mean) / torch.sqrt(var + self.eps)"),
        "Which two tensors does the optimizer move in this layer?"),
    Mistake("gamma and beta swapped", UNDO,
        f"{_RETURN} -> self.bias * (x - mean) / torch.sqrt(var + self.eps) + self.weight",
        "Set weight to 2 and bias to 0. What should happen to the outputs?"),
    Mistake("gamma and beta start elsewhere", UNDO,
        "self.weight = nn.Parameter(torch.ones( -> self.weight = nn.Parameter(torch.zeros(",
        "What should a fresh layer do to a batch that is normalized already? Print its weight.",
        ("self.weight = nn.Parameter(torch.ones( -> self.weight = nn.Parameter(torch.rand(",
         "self.weight = nn.Parameter(torch.ones( -> self.weight = nn.Parameter(torch.randn(",
         "self.bias = nn.Parameter(torch.zeros( -> self.bias = nn.Parameter(torch.ones(")),
    Mistake("gamma and beta not parameters", WHO_MOVES,
        (f"{_GAMMA} -> torch.ones(num_features)", f"{_BETA} -> torch.zeros(num_features)"),
        "Print list(layer.parameters()). What will the optimizer move?"),
    Mistake("arguments ignored", THREE_STEPS, "= eps, momentum -> = 1e-5, 0.1",
        "Make a layer with eps=0.5 and momentum=0.3. Does it differ from one without?",
        ("= eps, momentum -> = 1e-5, momentum", "= eps, momentum -> = eps, 0.1",
         "+ self.eps -> + (1e-5 if self.training else self.eps)",
         *(f"{each}, self.momentum) -> {each}, 0.1)" for each in (_MEAN, _VAR)))),
    Mistake("num_batches_tracked absent", LOADS,
        (f"{_COUNTER} -> pass", "self.num_batches_tracked += 1 -> pass"),
        "All numbers are right. Compare the keys of your state_dict with PyTorch's: one is left."),
    Mistake("gamma and beta under other names", LOADS,
        (Patch("self.weight", "self.gamma", True), Patch("self.bias", "self.beta", True)),
        "Load the state_dict of PyTorch's layer into yours. Which keys does it ask for?"),
    Mistake("num_batches_tracked stands still", LOADS, "self.num_batches_tracked += 1 -> pass",
        "All else is right. What should num_batches_tracked be after two batches?"),
    Mistake("num_batches_tracked counts examples", LOADS, "tracked += 1 -> tracked += len(x)",
        "Print num_batches_tracked after one batch of 64 examples. How many batches were there?"),
    Mistake("running statistics stand still", WHO_MOVES, Patch("lerp_", "lerp", all=True),
        "Print running_mean and running_var before and after a batch in training mode. Which line "
        "of yours changes the buffer itself?",
        ("self.update(x) -> pass", "mean.lerp_ -> mean.lerp", "var.lerp_ -> var.lerp")),
    Mistake("nothing to normalize with in evaluation", EVAL,
        "mean, var = self.running_mean, self.running_var -> pass",
        "Call eval(), then the layer. Which line gives the mean and the variance a value there?"),
    Mistake("statistics shared by all features", AXES,
        f"{_BATCH} -> mean, var = x.mean(), x.var(unbiased=False)",
        "Two features may be measured in meters and in millimeters. How many means and variances "
        "does a batch with two features need?"),
    Mistake("mean not subtracted", EQUATIONS, "(x - mean) -> x",
        "Compute the mean of every feature of your output in training, with bias 0."),
    Mistake("multiplied by the standard deviation", EQUATIONS, "/ torch.sqrt -> * torch.sqrt",
        "A feature with a large spread should be made smaller. Try one with spread 100."),
    Mistake("divided by the variance", EQUATIONS, "torch.sqrt(var + self.eps) -> (var + self.eps)",
        "If x is in meters, the variance is in square meters. In which unit is your output?"),
    Mistake("beta forgotten", UNDO, " + self.bias -> ",
        "Make two layers with two different biases. Do their outputs differ?"),
    Mistake("gamma forgotten", UNDO, "return self.weight *  -> return ",
        "Make two layers with two different weights. Do their outputs differ?"),
]  # fmt: skip
_LAYER = Exercise(
    name="layer",
    chapter=CHAPTER,
    title="The layer",
    statement="Write a module `Layer(num_features, eps=1e-5, momentum=0.1)` for inputs of shape "
    "(N, C) that does in both modes what `nn.BatchNorm1d` does, with the same names in its "
    "`state_dict`.",
    hints=(
        "Two tensors are learned, three are only kept. Which of `nn.Parameter` and "
        "`register_buffer` is for which?",
        "Training normalizes with the biased variance and keeps the unbiased one.",
        "The update belongs under `torch.no_grad()`, the batch's own mean and variance do not.",
    ),
    solution=Layer,
    oracle=layers.BatchNorm1d,
    probes=[*layer_probes(()), _FRESH],
    mistakes=[
        *_IN_BOTH,
        Mistake("another default", THREE_STEPS, "eps=1e-5 -> eps=1e-3",
            "Print nn.BatchNorm1d(3). Which eps and momentum does it have when none is given?",
            ("eps=1e-5 -> eps=1e-4", "momentum=0.1 -> momentum=0.01", "tum=0.1 -> tum=1.0")),
        Mistake("no epsilon in evaluation", EPSILON, "+ self.eps -> + self.eps * self.training",
            "Make a layer with eps=0.5. By which number does it divide in evaluation mode?",
            ("+ self.eps -> + (self.eps if self.training else 1e-5)",)),
    ],
    section=THREE_STEPS,
    locate=first_wrong_step_of_layer,
    in_book=False,
)  # fmt: skip


class Averaging(nn.Module):
    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            self.update(x)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    @torch.no_grad()
    def update(self, x):
        self.num_batches_tracked += 1  # a buffer, so that a file keeps the count
        share = 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(x.mean(dim=0), share)
        self.running_var.lerp_(x.var(dim=0), share)


_SHARE = "share = 1 / self.num_batches_tracked.item()"
# Here a count that stands still divides by 0, and an absent one raises as any misspelled name does.
_NOT_HERE = {"momentum on the wrong side", "arguments ignored", "num_batches_tracked stands still"}
_NOT_HERE |= {"num_batches_tracked absent"}
_AVERAGING_LAYER = Exercise(
    name="averaging_layer",
    chapter=CHAPTER,
    title="`momentum=None`",
    statement="Write a module `Averaging(num_features)` that does what "
    "`nn.BatchNorm1d(num_features, momentum=None)` does for inputs of shape (N, C): every "
    "batch counts alike, also after saving and loading.",
    hints=(
        "After t batches each of them should weigh 1/t. How much must the newest one weigh?",
        "Where is the number of batches kept so that `state_dict` holds it?",
        "The count grows before the share is taken, or the first batch weighs 1/0.",
    ),
    solution=Averaging,
    oracle=partial(layers.BatchNorm1d, momentum=None),
    probes=[*averaging_probes(), *(p for p in layer_probes(()) if "eps" not in p.inputs), _FRESH],
    mistakes=[
        Mistake("momentum fixed", PLAIN_AVERAGE,
            (f"{_SHARE} -> share = 0.1", f"self.{_MEAN}, share) -> self.running_mean += "
             "share * (x.mean(dim=0) - self.running_mean)"),
            "After two batches, how much should each of them weigh? How much does the first weigh "
            "in your layer?"),
        Mistake("count not saved", LOADS,
            f"{_COUNTER} -> self.num_batches_tracked = torch.tensor(0)",
            "Load your layer's state_dict into a new layer and train on. Which weight gets the "
            "next batch?",
            (f"{_SHARE} -> self.t = getattr(self, 't', 0) + 1\n        share = 1 / self.t",)),
        Mistake("batches counted from two", PLAIN_AVERAGE,
            f"{_SHARE} -> share = 1 / (self.num_batches_tracked.item() + 1)",
            "What should be left of the starting values 0 and 1 after the first batch?"),
        Mistake("new value weighted by t − 1 of t", PLAIN_AVERAGE, "share = 1 -> share = 1 - 1",
            "As batches go by, should a single new one count more and more, or less and less?"),
        Mistake("newest batch not weighted by 1/t", PLAIN_AVERAGE, "share = 1 / -> share = 2 /",
            "Write down the weights of three batches after the third. Are they alike, and do they "
            "add up to 1?",
            ("share = 1 / -> share = 1 *",)),
        Mistake("share taken before the count grows", PLAIN_AVERAGE,
            (f"        {_SHARE}\n -> ", f"self.num_batches_tracked += 1 -> {_SHARE}\n"
             "        self.num_batches_tracked += 1"),
            "In the first call, how many batches does your share count?"),
        Mistake("another default", THREE_STEPS, "eps=1e-5 -> eps=1e-3",
            "Print nn.BatchNorm1d(3). Which eps does it have when none is given?",
            ("eps=1e-5 -> eps=1e-4",)),
        *(mistake for mistake in _IN_BOTH if mistake.name not in _NOT_HERE),
        Mistake("num_batches_tracked absent", LOADS, Patch("num_batches_tracked", "t", all=True),
            "All numbers are right. Compare the keys of your state_dict with PyTorch's."),
    ],
    section=PLAIN_AVERAGE,
)  # fmt: skip


class BatchNorm2dAsRows(nn.BatchNorm1d):
    def forward(self, x):  # (N, C, H, W)
        last = x.movedim(1, -1)  # (N, H, W, C)
        rows = last.reshape(-1, last.shape[-1])  # (N * H * W, C)
        return super().forward(rows).view(last.shape).movedim(-1, 1)


_AS_ROWS = "return super().forward(rows).view(last.shape).movedim(-1, 1)"


def _then(before: str, *in_training: str) -> Patch:
    """More lines before the call and, in training, after it."""
    call = [before, _AS_ROWS.replace("return", "y ="), "if self.training:"]
    lines = [*call, *(f"    {line}" for line in in_training), "return y"]
    return Patch(_AS_ROWS, "\n        ".join(lines))


def _over(axes: str, of: str = "x", unbiased: bool = False) -> Patch:
    """Normalizes with other statistics; the running ones stay right."""
    return _then(
        f"mean, var = {of}.mean({axes}, keepdim=True), {of}.var({axes}, {unbiased}, keepdim=True)",
        "x_hat = (x - mean) / torch.sqrt(var + self.eps)",
        "y = self.weight.view(-1, 1, 1) * x_hat + self.bias.view(-1, 1, 1)",
    )


_BEFORE = "before = self.running_var.clone()"
_MOVE = "self.running_var = before.lerp({0}rows.detach().var(dim=0, unbiased=False), self.momentum)"
_FUNCTION = """super().forward(rows) -> F.batch_norm(
            rows, self.running_mean, self.running_var, self.weight, self.bias, self.training,
            self.momentum, self.eps)"""
_LAYER_2D = Exercise(
    name="layer_2d",
    chapter=CHAPTER,
    title="Every position is an example",
    statement="Write a module `BatchNorm2dAsRows(num_features, eps=1e-5, momentum=0.1)` for inputs "
    "of shape (N, C, H, W), on top of the unchanged `forward` of a BatchNorm1d.",
    hints=(
        "BatchNorm1d takes rows of C features. How many such rows does a batch of images have?",
        "`movedim` brings the channels to the end, then `reshape` makes rows.",
        "Undo both steps in reverse order.",
    ),
    solution=BatchNorm2dAsRows,
    oracle=layers.BatchNorm2d,
    probes=layer_probes((2, 2)),
    mistakes=[
        Mistake("statistics for every example", AXES, _over("(2, 3)"),
            "Change one image of the batch. Should the outputs of the others move?"),
        Mistake("statistics for every pixel", AXES, _over("0"),
            "A filter does the same thing everywhere in the image. Over which axes does a channel "
            "share its statistics?"),
        Mistake("statistics over the channels", AXES, _over("(1, 2, 3)"),
            "Which of the four axes of (N, C, H, W) keeps its own statistics?"),
        Mistake("corrected with N instead of N·H·W", UNBIASED,
            _then(_BEFORE, _MOVE.format("len(x) / (len(x) - 1) * ")),
            "How many numbers stand behind each variance, for N images of H × W pixels?"),
        Mistake("biased running variance", UNBIASED, _then(_BEFORE, _MOVE.format("")),
            "Which variance estimates the spread of all data from a few?"),
        Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
            _over("(0, 2, 3)", unbiased=True),
            "By which number does your variance divide, and by which does PyTorch's layer?"),
        Mistake("detached statistics", WRONG_GRADIENTS, _over("(0, 2, 3)", of="x.detach()"),
            "The outputs are right and the gradients are not. Which lines stand under no_grad?"),
        Mistake("channels not moved to the end", IMAGES,
            "last.reshape(-1, last.shape[-1]) -> x.reshape(-1, x.shape[1])",
            "Print the first of your rows. Are its numbers the channels of one position?",
            (("last.reshape(-1, last.shape[-1]) -> x.reshape(-1, x.shape[1])",
              ".view(last.shape).movedim(-1, 1) -> .view(x.shape)"),)),
        Mistake("channels not moved back", IMAGES, ".movedim(-1, 1) -> ",
            "Print the shape of your output, and its first row. Where are the channels?",
            (".view(last.shape).movedim(-1, 1) -> .view(x.shape)",)),
        Mistake("num_batches_tracked stands still", LOADS, _FUNCTION,
            "All else is right. What should num_batches_tracked be after two batches?"),
    ],
    section=IMAGES,
)  # fmt: skip


# Statistics from weights and data


def reestimate(model, batches):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.reset_running_stats()
            module.momentum = None  # a plain average
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    return model.eval()


def _reestimate(model: nn.Module, batches: list[Tensor]) -> nn.Module:
    model = copy.deepcopy(model)
    update_bn(batches, model)
    return model.eval()


def _reestimates(count: int, used: bool = False) -> Probe:
    batches = [EXAMPLES[:3], 2 * EXAMPLES[1:4], EXAMPLES[2:] - 3][:count]

    def run(reestimate: Callable) -> Facets:
        net = small_net()
        if used:
            net[0].num_batches_tracked.fill_(3)
            net.eval()
        found = reestimate(net, [x.clone() for x in batches])
        net = found if isinstance(found, nn.Module) else net
        return {
            "running_mean": as_seen(net[0].running_mean),
            "running_var": as_seen(net[0].running_var),
            "weight of the linear layer": as_seen(net[1].weight),
        }

    shown = {f"batch {i}": x for i, x in enumerate(batches, start=1)}
    return Probe(shown | ({"model": "trained for 3 steps, in eval mode"} if used else {}), run)


_NONE = "module.momentum = None  # a plain average"
_LOOP = """for x in batches:
            model(x)"""
_BY_HAND = """model[0].running_mean.copy_(torch.stack([x.mean(0) for x in batches]).mean(0))
        variances = [x.var(0, unbiased=False) for x in batches]
        model[0].running_var.copy_(torch.stack(variances).mean(0))"""
_KEEP = "module.reset_running_stats() -> pass"
_REESTIMATE = Exercise(
    name="reestimate",
    chapter=CHAPTER,
    title="Rescue the file",
    statement="Write `reestimate(model, batches)`: give the model running statistics that are the "
    "plain average over the batches of inputs, without labels and without changing a weight.",
    hints=(
        "In which mode do running statistics move? What must be forgotten first?",
        "Which momentum makes all batches count alike?",
        "No gradient is needed, and nothing may be trained.",
    ),
    solution=reestimate,
    oracle=_reestimate,
    probes=[_reestimates(1), _reestimates(3), _reestimates(3, used=True)],
    mistakes=[
        Mistake("old statistics not forgotten", LAG, (_KEEP, f"{_NONE} -> pass"),
            "With momentum 0.1, what share of the old statistics is left after three batches?",
            (_KEEP,)),
        Mistake("averaged with momentum", PLAIN_AVERAGE, f"{_NONE} -> pass",
            "A reset layer starts at 0 and 1. What is left of these after three batches?"),
        Mistake("evaluation mode", EVAL, "model.train() -> model.eval()",
            "In which mode do running statistics move?",
            ((_KEEP, "model.train() -> model.eval()"), "model.train() -> pass")),
        Mistake("last batch alone", PLAIN_AVERAGE, f"{_NONE} -> module.momentum = 1.0",
            "How much does the first of your batches weigh in the end?"),
        Mistake("biased running variance", UNBIASED, Patch(_LOOP, _BY_HAND),
            "Which variance estimates the spread of all data from a few?"),
    ],
    section=LAG,
)  # fmt: skip

EXERCISES = [_LAYER, _AVERAGING_LAYER, _LAYER_2D, _REESTIMATE]

IN_TEXT = {
    "05-place": Question(
        "The layer counts its batches in num_batches_tracked. Where does the count belong?",
        [
            choice("In a plain attribute: it is only a number.", "A resumed average needs it."),
            choice("In a buffer.", "Right: your code moves it, the file keeps it.", correct=True),
            choice("In a parameter, so that it is saved.", "No optimizer should ever find it."),
        ],
    ),
}


QUESTIONS = [
    Question(
        "A network has three `nn.BatchNorm1d(64)`. How many numbers do they put into the "
        "`state_dict` that no optimizer moves?",
        answer=387,
        tolerance=0.5,
        feedback={
            "right": r"\( 3 \cdot (64 + 64 + 1) \): running mean, running variance, and one "
            "counter per layer.",
            "wrong": "Per layer: two buffers with one number per feature, and one more buffer.",
            384: "`num_batches_tracked` is a buffer too, one number per layer.",
            771: "That is all that they save. `weight` and `bias` belong to the optimizer.",
            0: "Buffers are in the file. A file without them would evaluate with 0 and 1.",
            192: "One vector per layer. A mean and a variance are remembered.",
        },
    ),
    Question(
        "A hand-written layer keeps `running_mean` as "
        "`nn.Parameter(..., requires_grad=False)`. Training, saving and loading work. What is "
        "the first thing to go wrong?",
        [
            choice("The first `optimizer.step()` moves it.",
                "It never gets a gradient, and PyTorch's optimizers skip a parameter whose "
                "gradient is `None`, weight decay included."),
            choice("Loading weights from PyTorch's layer, because the keys differ.",
                "A `state_dict` lists parameters and buffers by name alone. The keys agree."),
            choice("Nothing: without a gradient it is a buffer by another name.",
                "It is in `parameters()`, and whoever loops over those counts, clips, averages or "
                "unfreezes it."),
            choice("Someone unfreezes the network with `requires_grad_(True)` and trains on in "
                "eval mode.",
                "In eval mode the output depends on it, so now it has a gradient, and the "
                "optimizer trains a statistic.", correct=True),
        ],
    ),
]  # fmt: skip


# Harness and figures of the chapter


class Race(NamedTuple):
    """What a training run leaves behind at each step."""

    losses: Sequence[float]
    positive: Sequence[Tensor]  # which inputs of the activation are positive: (N, C)


def loss_gap(run: Race, other: Race) -> Tensor:
    """How far the losses of two runs lie apart at each step."""
    losses, others = torch.tensor([run.losses, other.losses], dtype=torch.float64)  # (steps,)
    return (losses - others).abs()


def switches(run: Race, other: Race) -> list[int]:
    """The steps at which an activation is positive in one run and not in the other."""
    pairs = enumerate(zip(run.positive, other.positive, strict=True))
    return [step for step, (mine, theirs) in pairs if not torch.equal(mine, theirs)]


def note_signs(activation: nn.Module) -> list[Tensor]:
    """A list that grows with each call of an activation: which of its inputs are positive."""
    masks: list[Tensor] = []
    activation.register_forward_hook(lambda _, inputs, __: masks.append(inputs[0] > 0))
    return masks


def reloaded_outputs(before: Tensor, after: Tensor, labels: Tensor) -> Axes:
    """Outputs (N, classes) of a classifier before saving against those after loading."""
    hits = [100 * (outputs.argmax(1) == labels).float().mean() for outputs in (before, after)]
    x, y = before[:100].flatten().detach(), after[:100].flatten().detach()
    ax, ends = new_axes(None, figsize=(4.6, 3.6)), x.aminmax()
    ax.plot(ends, ends, "--", color=COLORS["reference"], linewidth=1)
    ax.plot(x, y, ".", color=COLORS["bn"], markersize=3)
    ax.set_title(f"accuracy {hits[0]:.1f} % → {hits[1]:.1f} %")
    ax.set(xlabel="output before saving", ylabel="output after loading")
    return ax


_FLOOR = 1e-8  # in place of 0, on a logarithmic axis


def loss_drift(
    panels: Mapping[str, Mapping[str, Tensor]],
    marks: Mapping[str, Mapping[str, Sequence[int]]],
    window: int = 10,
) -> Sequence[Axes]:
    """The largest gap of losses in each window, a panel for each seed; triangles at the marks."""
    rows, columns = -(-len(panels) // 2), min(len(panels), 2)
    size = {"figsize": (7.2, 2.3 * rows), "squeeze": False}
    figure, grid = plt.subplots(rows, columns, sharex=True, sharey=True, **size)
    figure.supylabel("difference of the losses", color=COLORS["text"], fontsize=11)
    for ax, (title, runs) in zip(grid.ravel(), panels.items(), strict=False):
        for i, (name, gaps) in enumerate(runs.items()):
            look, steps = appearance(name, i), marks[title].get(name, ())
            ends = [min(end, len(gaps)) - 1 for end in range(window, len(gaps) + window, window)]
            largest = torch.stack([part.max() for part in gaps.split(window)]).clamp(min=_FLOOR)
            ax.plot(ends, largest, label=name, **look | {"linewidth": 1.4, "marker": ""})
            mark = {"color": look["color"], "markersize": max(10 - 4 * i, 4)}
            ax.plot(steps, [_FLOOR] * len(steps), "^", **mark)
        ax.set(title=title, yscale="log")
        ax.label_outer()
    for ax in grid.ravel()[-2:]:
        ax.set_xlabel("step")
    grid[0, 0].legend(loc="center left", bbox_to_anchor=(0, 0.58), fontsize=9)
    return grid.ravel()
