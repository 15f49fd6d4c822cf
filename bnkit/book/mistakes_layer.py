"""What goes wrong in a layer written by hand: chapter 5's, with momentum and without."""

from __future__ import annotations

from bnkit.book.exercise import Mistake, Patch
from bnkit.book.ingredients import (
    AFFINE,
    AXES,
    EPSILON,
    EPSILONS,
    EQUATIONS,
    TWO_FORMULAS,
    UNDO,
    WHICH_VARIANCE,
    WRONG_GRADIENTS,
    shared,
)
from bnkit.book.mistakes_ch03 import EVAL, RUNNING, UNBIASED

__all__ = ["AVERAGING_LAYER", "LAYER"]
__all__ += ["LAG", "LOADS", "PLAIN_AVERAGE", "THREE_STEPS", "TWO_MODES"]

THREE_STEPS = "05_manual_implementation.ipynb#The layer in three steps"
WHO_MOVES = "05_manual_implementation.ipynb#One step by hand: who moves what?"
ATTRIBUTES = "05_manual_implementation.ipynb#Plain attributes: the file forgets them"
PARAMETERS = "05_manual_implementation.ipynb#Parameters: the optimizer finds them"
NO_END = "05_manual_implementation.ipynb#Undetached averages: the graph never ends"
LOADS = "05_manual_implementation.ipynb#Weights load in both directions"
TWO_MODES = "03_two_modes.ipynb#A model that changes while you watch"
PLAIN_AVERAGE = "03_two_modes.ipynb#`momentum=None`: a plain average"
LAG = "12_train_test_mismatch.ipynb#Statistics that lag behind"
_BATCH = "mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)"
_BUFFER = 'self.register_buffer("{0}", torch.{1}(num_features)) -> self.{0} = {2}'
_COUNTER = 'self.register_buffer("num_batches_tracked", torch.tensor(0))'
_RETURN = "self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias"
_GAMMA, _BETA = "nn.Parameter(torch.ones(num_features))", "nn.Parameter(torch.zeros(num_features))"
_MEAN, _VAR = "running_mean.lerp_(x.mean(dim=0)", "running_var.lerp_(x.var(dim=0)"


def _kept_as(mean: str, var: str) -> tuple[str, str]:
    """Both running statistics assigned in another way."""
    return _BUFFER.format("running_mean", "zeros", mean), _BUFFER.format("running_var", "ones", var)


_X_HAT = "(x - mean) / torch.sqrt(var + self.eps)"
_AFFINE = {"line": _RETURN, "w": "self.weight", "x": _X_HAT, "b": "self.bias",
    "w0": "self.weight[0]", "b0": "self.bias[0]"}  # fmt: skip


def _last(result: str) -> Patch:
    """Another last line of forward."""
    return Patch(f"return {_RETURN}", f"return {result}")


def _evaluating(result: str) -> Patch:
    """Another last line in evaluation alone."""
    return _last(f"{_RETURN} if self.training else {result}")


def _in_both_lines(var: str) -> tuple[tuple[str, str], ...]:
    """Another variance in forward and in running_var, corrected there or not."""
    here = f"x.var(dim=0, unbiased=False) -> {var}"
    kept = f"{_VAR} -> running_var.lerp_({var}"
    return (here, kept), (here, f"{kept} * len(x) / (len(x) - 1)")


def _training(result: str) -> Patch:
    """Another last line in training alone."""
    return _last(f"{result} if self.training else {_RETURN}")


def _before_update(*lines: str) -> Patch:
    """More lines at the start of update."""
    start = "    def update(self, x):\n"
    return Patch(start, start + "".join(f"        {line}\n" for line in lines))


def _after_update(line: str) -> Patch:
    """One more line in training, after the call of update."""
    call = "            self.update(x)\n"
    return Patch(call, f"{call}            {line}\n")


def _adds(name: str, new: str, old: str = "") -> Patch:
    """A statistic moved by other weights."""
    share = "self.momentum"
    line = f"self.running_{name}.lerp_(x.{name}(dim=0), {share})"
    kept = f"{old} self.running_{name}".strip()
    return Patch(line, f"self.running_{name}.copy_({kept} + {new} x.{name}(dim=0))")


_NO_GRAD = Patch("    def forward", "    @torch.no_grad()\n    def forward")
_OUTSIDE = "self.weight * (x - mean) / (torch.sqrt(var) + self.eps) + self.bias"
_IN_BOTH = [  # for the layer with momentum and for the one that averages
    Mistake("detached statistics", WRONG_GRADIENTS,
        f"{_BATCH} -> {_BATCH.replace('x.', 'x.detach().')}",
        "The outputs are right and the gradients are not. Which lines stand under no_grad, and "
        "which of them should?"),
    Mistake("detached variance", WRONG_GRADIENTS,
        "x.var(dim=0, unbiased=False) -> x.detach().var(dim=0, unbiased=False)",
        "The outputs are right. One of the two statistics lets no gradient through: which one?"),
    Mistake("detached mean", WRONG_GRADIENTS,
        f"{_BATCH} -> {_BATCH.replace('x.mean', 'x.detach().mean')}",
        "The outputs are right. Sum the gradient of x over the batch: it should be zero."),
    Mistake("no gradient reaches x", WRONG_GRADIENTS, _NO_GRAD,
        "The outputs are right, and nothing below can learn. Around what stands no_grad or detach?",
        (_last(f"({_RETURN}).detach()"), _training(f"({_RETURN}).detach()"),
         Patch(_X_HAT, f"({_X_HAT}).detach()"),
         Patch("        mean, var = s", "        x = x.detach()\n        mean, var = s"))),
    Mistake("output detached in evaluation", EVAL, _evaluating(f"({_RETURN}).detach()"),
        "Fine-tune through a layer in evaluation mode. Does x receive a gradient?",
        (_evaluating(_RETURN.replace("(x - mean)", "(x.detach() - mean)")),)),
    Mistake("unbiased variance in the forward pass", WHICH_VARIANCE, ", unbiased=False -> ",
        "Take the batch (3, 11). Your output should be (−1, +1). By which number does your "
        "variance divide?", (", unbiased=False -> , unbiased=True",)),
    Mistake("running statistics as plain attributes", ATTRIBUTES,
        _kept_as("torch.zeros(num_features)", "torch.ones(num_features)"),
        "Print the keys of your layer's state_dict. What will a saved model have forgotten?",
        (_kept_as("torch.zeros(num_features)", "torch.ones(num_features)")[:1],
         _kept_as("torch.zeros(num_features)", "torch.ones(num_features)")[1:])),
    Mistake("running statistics under other names", LOADS,
        (Patch("running_mean", "moving_mean", True), Patch("running_var", "moving_var", True)),
        "Load the state_dict of PyTorch's layer into yours. Which keys does it ask for?"),
    Mistake("running statistics as parameters", PARAMETERS,
        _kept_as(_BETA[:-1] + ", requires_grad=False)", _GAMMA[:-1] + ", requires_grad=False)"),
        "Count your layer's parameters. Which of them should an optimizer move?",
        (_kept_as(_BETA, _GAMMA), _kept_as(_BETA[:-1] + ", requires_grad=False)", "")[:1],
         (*_kept_as(_BETA[:-1] + ", requires_grad=False)", _GAMMA[:-1] + ", requires_grad=False)"),
          f"{_COUNTER} -> self.num_batches_tracked = nn.Parameter(torch.tensor(0), False)"),
         f"{_COUNTER} -> self.num_batches_tracked = nn.Parameter(torch.tensor(0), False)",
         _kept_as("", _GAMMA[:-1] + ", requires_grad=False)")[1:])),
    Mistake("undetached running statistics", NO_END, "@torch.no_grad() -> ",
        "After a training step, what is running_mean.grad_fn? What does it hold on to?"),
    Mistake("mode follows the gradient switch", TWO_MODES,
        "self.training -> torch.is_grad_enabled()",
        "Call your layer in evaluation mode with and without torch.no_grad(). Which attribute "
        "tells the mode?"),
    Mistake("statistics updated in evaluation", EVAL, "    self.update(x) -> self.update(x)",
        "Evaluate the same batch twice. Should the second answer differ from the first?",
        ("    self.update(x) -> mean, var = mean.clone(), var.clone()\n        self.update(x)",
         _evaluating(f"({_RETURN}, self.running_mean.lerp_(x.detach().mean(0), 0.1))[0]"),
         _evaluating(f"({_RETURN}, self.running_var.lerp_(x.detach().var(0), 0.1))[0]"))),
    Mistake("batch statistics used in evaluation", EVAL,
        f"mean, var = self.running_mean, self.running_var -> {_BATCH}",
        "In evaluation mode, change one row of the batch. Do the other outputs move?",
        tuple(f"self.running_mean, self.running_var -> {other}" for other in (
            "x.mean(0), x.var(0)", "x.mean(0), self.running_var", "self.running_mean, x.var(0)",
            "self.running_mean, x.var(0, unbiased=False)"))),
    Mistake("modes the wrong way round", TWO_MODES, "if self.training -> if not self.training",
        "Print self.training after train() and after eval(). Which branch runs?"),
    Mistake("mode ignored", TWO_MODES, "self.training -> True",
        "Does calling eval() change anything that your layer does?"),
    Mistake("running statistics used in training", TWO_MODES, f"{_BATCH} -> pass",
        "In training, which mean and variance should the outputs of this batch have?",
        (_after_update("mean, var = self.running_mean, self.running_var"),
         _after_update("mean = self.running_mean"), _after_update("var = self.running_var"),
         f"{_BATCH} -> var = x.var(dim=0, unbiased=False)",
         f"{_BATCH} -> mean = x.mean(dim=0)")),
    Mistake("momentum on the wrong side", RUNNING,
        Patch("self.momentum)", "1 - self.momentum)", True),
        "A fresh layer sees one batch with mean 5. With momentum 0.1, where is running_mean?"),
    Mistake("momentum on the wrong side in one of the two", RUNNING,
        f"{_VAR}, self.momentum) -> {_VAR}, 1 - self.momentum)",
        "Compare the two lines that move the running statistics. Which weighs the old value?",
        (f"{_MEAN}, self.momentum) -> {_MEAN}, 1 - self.momentum)",)),
    Mistake("biased running variance", UNBIASED, f"{_VAR} -> {_VAR[:-1]}, unbiased=False)",
        "Normalize with one variance, store another. Which of the two estimates the spread of "
        "all data?"),
    Mistake("correction of the variance upside down", UNBIASED,
        f"{_VAR} -> {_VAR[:-1]}, unbiased=False) * (len(x) - 1) / len(x)",
        "Is the unbiased variance larger or smaller than the biased one? And yours?"),
    Mistake("variance corrected twice", UNBIASED, f"{_VAR} -> {_VAR} * len(x) / (len(x) - 1)",
        "What is the default of torch.var? Does it need another correction?",
        ((", unbiased=False -> ", f"{_VAR} -> {_VAR} * len(x) / (len(x) - 1)"),)),
    Mistake("variance around the running mean", RUNNING,
        f"{_VAR} -> running_var.lerp_((x - self.running_mean).square().sum(0) / (len(x) - 1)",
        "Around which mean are the squared distances of this batch taken?",
        (f"{_VAR} -> running_var.lerp_((x - self.running_mean).square().mean(0)",
         "x.var(dim=0, unbiased=False) -> (x - self.running_mean).square().mean(0)")),
    Mistake("standard deviation in running_var", UNBIASED,
        f"{_VAR} -> {_VAR.replace('x.var', 'x.std')}",
        "Scale x by 10. By how much should running_var grow?",
        (f"{_VAR} -> {_VAR.replace('x.var', 'x.std')[:-1]}, unbiased=False)",)),
    Mistake("mean and variance of the batch swapped", RUNNING,
        (f"{_MEAN} -> running_mean.lerp_(x.var(dim=0)",
         f"{_VAR} -> running_var.lerp_(x.mean(dim=0)"),
        "Which of the two goes into which buffer?",
        (f"{_BATCH} -> mean, var = x.var(dim=0, unbiased=False), x.mean(dim=0)",)),
    Mistake("old value not reduced", RUNNING,
        (_adds("mean", "self.momentum *"), _adds("var", "self.momentum *")),
        "Feed the same batch again and again. Where does your running mean go?",
        (_adds("mean", "self.momentum *"), _adds("var", "self.momentum *"))),
    Mistake("new value not weighted", RUNNING, (_adds("mean", ""), _adds("var", "")),
        "The weights of the old and the new value should add up to 1. Do yours?",
        (_adds("mean", "", "(1 - self.momentum) *"), _adds("var", "", "(1 - self.momentum) *"),
         (_adds("mean", "", "(1 - self.momentum) *"), _adds("var", "", "(1 - self.momentum) *")))),
    Mistake("first batch taken whole", RUNNING, _before_update(
            "if self.num_batches_tracked == 0:",
            "    self.running_mean.copy_(x.mean(0))", "    self.running_var.copy_(x.var(0))"),
        "PyTorch's layer starts at 0 and 1. How much of that is left after the first batch?",
        (_before_update("if self.num_batches_tracked == 0:",
            "    self.running_mean.copy_(x.mean(0))"),
         _before_update("if self.num_batches_tracked == 0:",
            "    self.running_mean.copy_(x.mean(0))",
            "    self.running_var.copy_(x.var(0, unbiased=False))"))),
    Mistake("updated twice", RUNNING, _after_update("self.update(x)"),
        "How often does your forward pass move the statistics?"),
    Mistake("update in evaluation mode alone", TWO_MODES,
        ("            self.update(x)\n -> ",
         Patch("        return", "        if not self.training:\n            self.update(x)\n"
             "        return")),
        "In which mode do the running statistics move?"),
    Mistake("overwritten by the last batch", RUNNING,
        (_adds("mean", "", "0 *"), _adds("var", "", "0 *")),
        "What do your running statistics remember of the batches before the last one?",
        (_adds("mean", "", "0 *"), _adds("var", "", "0 *"))),
    Mistake("running_var starts at 0", WHO_MOVES,
        '"running_var", torch.ones -> "running_var", torch.zeros',
        "What would a layer that has seen no batch do to x in evaluation mode?"),
    Mistake("running_mean starts elsewhere", WHO_MOVES,
        '"running_mean", torch.zeros -> "running_mean", torch.ones',
        "What would a layer that has seen no batch do to x in evaluation mode?",
        ('"running_mean", torch.zeros -> "running_mean", torch.randn',)),
    Mistake("epsilon outside the root", EPSILON,
        "torch.sqrt(var + self.eps) -> (torch.sqrt(var) + self.eps)",
        "Is epsilon added to a variance or to a standard deviation?",
        (_evaluating(_OUTSIDE), _training(_OUTSIDE))),
    Mistake("epsilon missing", EPSILON, "var + self.eps -> var",
        "What comes out for a feature that hardly varies?"),
    *shared(EPSILONS, without=("epsilon outside the root", "epsilon missing", "epsilon fixed"),
        root="torch.sqrt(var + self.eps)", var="var", eps="self.eps"),
    *shared(AFFINE, without=("gamma and beta swapped", "beta forgotten", "gamma forgotten"),
        **_AFFINE),
    Mistake("gamma and beta forgotten in evaluation", UNDO, _evaluating(_X_HAT),
        "In evaluation mode, do weight and bias still act?",
        (_evaluating(f"self.weight * {_X_HAT}"), _evaluating(f"{_X_HAT} + self.bias"))),
    Mistake("running_var taken for a standard deviation", EVAL,
        _evaluating("self.weight * (x - mean) / (var + self.eps) + self.bias"),
        "The name of the buffer says what it holds. In which unit is your output in evaluation?"),
    Mistake("mean not subtracted in evaluation", EVAL,
        _evaluating("self.weight * x / torch.sqrt(var + self.eps) + self.bias"),
        "Which of the two running statistics does your evaluation not use?"),
    Mistake("nothing normalized in evaluation", EVAL, _evaluating("x"),
        "Evaluation does not switch the layer off. With what does PyTorch's normalize there?",
        (_evaluating("self.weight * x + self.bias"),)),
    Mistake("mean square instead of variance", EQUATIONS,
        "x.var(dim=0, unbiased=False) -> (x**2).mean(dim=0)",
        "Which mean is squared away in the variance: that of x, or that of x minus its mean?",
        _in_both_lines("(x**2).mean(dim=0)")),
    Mistake("squares summed, not averaged", EQUATIONS,
        "x.var(dim=0, unbiased=False) -> x.var(dim=0, unbiased=False) * len(x)",
        "Take every example of the batch twice. Should the output change?",
        _in_both_lines("(x.var(dim=0, unbiased=False) * len(x))")),
    Mistake("another center or spread", EQUATIONS,
        f"{_BATCH} -> mean, var = x.median(dim=0).values, x.var(dim=0, unbiased=False)",
        "Compute mean and variance of every feature of your output in training, with bias 0.",
        ("x.var(dim=0, unbiased=False) -> (x - x.mean(0)).abs().mean(0) ** 2",
         "x.var(dim=0, unbiased=False) -> (x.amax(0) - x.amin(0)) ** 2",
         f"{_BATCH} -> mean, var = x.amin(0), (x.amax(0) - x.amin(0)) ** 2",
         *_in_both_lines("((x - x.mean(0)).abs().mean(0) ** 2)"),
         *_in_both_lines("((x.amax(0) - x.amin(0)) ** 2)"),
         (f"{_BATCH} -> mean, var = x.median(dim=0).values, x.var(dim=0, unbiased=False)",
          f"{_MEAN} -> running_mean.lerp_(x.median(dim=0).values"))),
    Mistake("root of the root", EQUATIONS, "torch.sqrt(var -> torch.sqrt(torch.sqrt(var)",
        "If x is in meters, in which unit is the number that you divide by?",
        ("x.var(dim=0, unbiased=False) -> x.std(dim=0, unbiased=False)",)),
    Mistake("not divided by the standard deviation", EQUATIONS,
        " / torch.sqrt(var + self.eps) -> ", "Multiply x by 10. Should the output change?"),
    Mistake("variance as E[x²] − E[x]²", TWO_FORMULAS,
        "x.var(dim=0, unbiased=False) -> (x * x).mean(dim=0) - x.mean(dim=0) ** 2",
        "Add 10,000 to every input, in float32. The output should not change at all."),
    Mistake("wrong axis", AXES,
        f"{_BATCH} -> mean, var = x.mean(dim=1, keepdim=True), "
        "x.var(dim=1, unbiased=False, keepdim=True)",
        "Which numbers should share a mean: those of one example, or those of one feature?",
        (f"{_BATCH} -> mean, var = x.mean(dim=1, keepdim=True), x.var(dim=1, keepdim=True)",
         (*(Patch(f"        self.{name}.lerp_(x", f"        self.{name} = self.{name}.lerp(x")
            for name in ("running_mean", "running_var")),
          Patch("dim=0)", "dim=1, keepdim=True)", True),
          "dim=0, unbiased=False -> dim=1, keepdim=True, unbiased=False"))),
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
        "Print list(layer.parameters()). What will the optimizer move?",
        (f"{_GAMMA} -> torch.ones(num_features)", f"{_BETA} -> torch.zeros(num_features)",
         (f'self.weight = {_GAMMA} -> self.register_buffer("weight", torch.ones(num_features))',
          f'self.bias = {_BETA} -> self.register_buffer("bias", torch.zeros(num_features))'),
         f'self.weight = {_GAMMA} -> self.register_buffer("weight", torch.ones(num_features))',
         f'self.bias = {_BETA} -> self.register_buffer("bias", torch.zeros(num_features))',
         (f"{_GAMMA} -> {_GAMMA[:-1]}, requires_grad=False)",
          f"{_BETA} -> {_BETA[:-1]}, requires_grad=False)"))),
    Mistake("arguments ignored", THREE_STEPS, "= eps, momentum -> = 1e-5, 0.1",
        "Make a layer with eps=0.5 and momentum=0.3. Does it differ from one without?",
        ("= eps, momentum -> = 1e-5, momentum", "= eps, momentum -> = eps, 0.1",
         "+ self.eps -> + (1e-5 if self.training else self.eps)",
         "+ self.eps -> + 1e-8", "+ self.eps -> + 1e-3", "+ self.eps -> + 1e-6",
         (f"{_MEAN}, self.momentum) -> {_MEAN}, 0.9)", f"{_VAR}, self.momentum) -> {_VAR}, 0.9)"),
         (f"{_MEAN}, self.momentum) -> {_MEAN}, 0.01)", f"{_VAR}, self.momentum) -> {_VAR}, 0.01)"),
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
    Mistake("num_batches_tracked counts in evaluation too", LOADS,
        ("self.num_batches_tracked += 1 -> pass", Patch("        mean, var = self.r",
         "        self.num_batches_tracked += 1\n        mean, var = self.r")),
        "Train for two batches and evaluate three. What should num_batches_tracked be?"),
    Mistake("num_batches_tracked starts elsewhere", LOADS,
        '"num_batches_tracked", torch.tensor(0) -> "num_batches_tracked", torch.tensor(1)',
        "Print num_batches_tracked of a fresh layer. How many batches has it seen?",
        ('"num_batches_tracked", torch.tensor(0) -> "num_batches_tracked", torch.tensor(-1)',)),
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
        "does a batch with two features need?",
        (f"{_BATCH} -> mean, var = x.mean(), x.var()",
         "x.var(dim=0, unbiased=False) -> x.var(unbiased=False)",
         f"{_BATCH} -> mean, var = x.mean(), x.var(dim=0, unbiased=False)")),
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


LAYER = [
    *_IN_BOTH,
    Mistake("another default", THREE_STEPS, "eps=1e-5 -> eps=1e-3",
        "Print nn.BatchNorm1d(3). Which eps and momentum does it have when none is given?",
        ("eps=1e-5 -> eps=1e-4", "momentum=0.1 -> momentum=0.01", "tum=0.1 -> tum=1.0",
         "tum=0.1 -> tum=0.9", "tum=0.1 -> tum=0.99", "tum=0.1 -> tum=0.5", "eps=1e-5 -> eps=1e-8",
         "eps=1e-5 -> eps=1e-6", "eps=1e-5 -> eps=1e-2", "eps=1e-5 -> eps=0.1")),
    Mistake("plain average in place of momentum", RUNNING,
        Patch("self.momentum)", "1 / (1 + self.num_batches_tracked.item()))", True),
        "Which weight has the newest batch, after many? What does momentum say?"),
    Mistake("no epsilon in evaluation", EPSILON, "+ self.eps -> + self.eps * self.training",
        "Make a layer with eps=0.5. By which number does it divide in evaluation mode?",
        ("+ self.eps -> + (self.eps if self.training else 1e-5)",)),
]  # fmt: skip

_SHARE = "share = 1 / self.num_batches_tracked.item()"


# There a count that stands still divides by 0, and an absent one raises as a misspelled name does.
_NOT_HERE = {"momentum on the wrong side", "arguments ignored", "num_batches_tracked stands still",
    "num_batches_tracked counts examples", "epsilon multiplied", "num_batches_tracked absent",
    "epsilon squared, or its root",
    "momentum on the wrong side in one of the two",
    "old value not reduced", "new value not weighted", "overwritten by the last batch",
    "num_batches_tracked counts in evaluation too", "num_batches_tracked starts elsewhere",
    "updated twice", "first batch taken whole"}  # fmt: skip


AVERAGING_LAYER = [
    Mistake("momentum fixed", PLAIN_AVERAGE, f"{_SHARE} -> share = 0.1",
        "After two batches, how much should each of them weigh? How much does the first weigh "
        "in your layer?",
        (f"{_SHARE} -> share = 0.9", f"{_SHARE} -> share = 0.01", f"{_SHARE} -> share = 0.5")),
    Mistake("count not saved", LOADS,
        f"{_COUNTER} -> self.num_batches_tracked = torch.tensor(0)",
        "Load your layer's state_dict into a new layer and train on. Which weight gets the "
        "next batch?",
        (f"{_SHARE} -> self.t = getattr(self, 't', 0) + 1\n        share = 1 / self.t",)),
    Mistake("batches counted from two", PLAIN_AVERAGE,
        f"{_SHARE} -> share = 1 / (self.num_batches_tracked.item() + 1)",
        "What should be left of the starting values 0 and 1 after the first batch?",
        ((f"{_SHARE} -> t = self.num_batches_tracked.item()",
          *(f"self.running_{name}.lerp_(x.{name}(dim=0), share) -> self.running_{name}.mul_("
            f"(t - 1) / (t + 1)).add_(x.{name}(dim=0) / (t + 1))" for name in ("mean", "var"))),)),
    Mistake("new value weighted by t − 1 of t", PLAIN_AVERAGE, "share = 1 -> share = 1 - 1",
        "As batches go by, should a single new one count more and more, or less and less?"),
    Mistake("newest batch not weighted by 1/t", PLAIN_AVERAGE, "share = 1 / -> share = 2 /",
        "Write down the weights of three batches after the third. Are they alike, and do they "
        "add up to 1?",
        ("share = 1 / -> share = 1 *",)),
    Mistake("share taken before the count grows", PLAIN_AVERAGE,
        (f"        {_SHARE}\n -> ", f"self.num_batches_tracked += 1 -> {_SHARE}\n"
         "        self.num_batches_tracked += 1"),
        "In the first call, how many batches does your share count?",
        (f"{_SHARE} -> share = 1 / max(self.num_batches_tracked.item() - 1, 1)",)),
    Mistake("another default", THREE_STEPS, "eps=1e-5 -> eps=1e-3",
        "Print nn.BatchNorm1d(3). Which eps does it have when none is given?",
        tuple(f"eps=1e-5 -> eps={eps}" for eps in ("1e-4", "1e-8", "1e-6", "0.1", "1e-2"))),
    Mistake("last batch alone", PLAIN_AVERAGE, f"{_SHARE} -> share = 1.0",
        "How much does the first of your batches weigh in the end?",
        ("num_batches_tracked += 1 -> num_batches_tracked.fill_(1)",)),
    Mistake("weighted by another power of the count", PLAIN_AVERAGE,
        f"{_SHARE} -> {_SHARE} ** 0.5",
        "Write down the weights of three batches after the third. Do they add up to 1?",
        (f"{_SHARE} -> {_SHARE} ** 2",)),
    Mistake("one of the two statistics with a fixed momentum", PLAIN_AVERAGE,
        f"self.{_VAR}, share) -> self.{_VAR}, 0.1)",
        "Compare the two lines that move the running statistics. Do batches count alike in both?",
        (f"self.{_MEAN}, share) -> self.{_MEAN}, 0.1)",)),
    Mistake("summed, not averaged", PLAIN_AVERAGE,
        (f"self.{_MEAN}, share) -> self.running_mean.add_(x.mean(dim=0))",
         f"self.{_VAR}, share) -> self.running_var.add_(x.var(dim=0))"),
        "After three batches, is your running mean near the mean of the data, or three times it?",
        ((f"self.{_MEAN}, share) -> self.running_mean.add_(x.mean(dim=0) * share)",
          f"self.{_VAR}, share) -> self.running_var.add_(x.var(dim=0) * share)"),)),
    Mistake("weighted by the examples", PLAIN_AVERAGE,
        "num_batches_tracked += 1 -> num_batches_tracked += len(x)",
        "Print num_batches_tracked after one batch of 64 examples. How many batches were there?",
        (f"{_SHARE} -> share = 1 / (self.num_batches_tracked.item() * len(x))",
         f"{_SHARE} -> share = 1 / ((self.num_batches_tracked.item() - 1) * len(x) + 1)")),
    *(mistake for mistake in _IN_BOTH if mistake.name not in _NOT_HERE),
    Mistake("num_batches_tracked absent", LOADS, Patch("num_batches_tracked", "t", all=True),
        "All numbers are right. Compare the keys of your state_dict with PyTorch's."),
]  # fmt: skip
