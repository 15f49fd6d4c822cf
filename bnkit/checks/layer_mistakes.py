"""Known mistakes in the layer as a module, as data."""

from __future__ import annotations

import torch
from torch import nn

from bnkit.checks.exercise import Mistake
from bnkit.checks.forward_mistakes import AXES, EPSILON, UNDO, WHICH_VARIANCE, WRONG_GRADIENTS
from bnkit.checks.wrong_layers import Base, but, undetached, without_buffers

__all__ = ["LAYER", "UNBIASED", "biased", "detached", "unbiased"]

THREE_STEPS = "05_manual_implementation.ipynb#The layer in three steps"
WHO_MOVES = "05_manual_implementation.ipynb#One step by hand: who moves what?"
ATTRIBUTES = "05_manual_implementation.ipynb#Plain attributes: the file forgets them"
PARAMETERS = "05_manual_implementation.ipynb#Parameters: the optimizer finds them"
NO_END = "05_manual_implementation.ipynb#Undetached averages: the graph never ends"
LOADS = "05_manual_implementation.ipynb#Weights load in both directions"
TWO_MODES = "03_two_modes.ipynb#A model that changes while you watch"
EVAL = "03_two_modes.ipynb#What the layer computes in eval mode"
UNBIASED = "03_two_modes.ipynb#Why store the unbiased variance?"


def detached(self, x):
    """Statistics that gradients cannot pass."""
    return Base.statistics(self, x.detach())


def unbiased(self, x):
    """With the unbiased variance."""
    return x.mean(self.axes(x)), x.var(self.axes(x))


def biased(self, x):
    """With the biased variance."""
    return x.mean(self.axes(x)), x.var(self.axes(x), unbiased=False)


def _one_pass(self, x):
    mean = x.mean(0)
    return mean, (x * x).mean(0) - mean * mean


def _over_features(self, x):
    return x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)


def _batch_in_eval(self, x):
    return self.normalize(x, *self.statistics(x))


def _moves_in_eval(self, x):
    self.update(x)
    return Base.evaluate(self, x)


def _evaluates_then_moves(self, x):
    y = Base.evaluate(self, x)
    self.update(x)
    return y


def _by_gradients(self, x):
    return self.train_on(x) if torch.is_grad_enabled() else self.evaluate(x)


def _running_in_training(self, x):
    self.update(x)
    return self.evaluate(x)


def _fixed(**values):
    """A layer that takes its arguments and uses its own."""

    def prepare(self):
        for name, value in values.items():
            setattr(self, name, value)

    return but(prepare=prepare)


LAYER = [
    Mistake(
        "detached statistics", "layer", but(statistics=detached),
        "The outputs are right and the gradients are not. Which lines stand under no_grad, and "
        "which of them should?", WRONG_GRADIENTS,
    ),
    Mistake(
        "unbiased variance in the forward pass", "layer", but(statistics=unbiased),
        "Take the batch (3, 11). Your output should be (−1, +1). By which number does your "
        "variance divide?", WHICH_VARIANCE,
    ),
    Mistake(
        "running statistics as plain attributes", "layer",
        without_buffers("running_mean", "running_var"),
        "Print the keys of your layer's state_dict. What will a saved model have forgotten?",
        ATTRIBUTES,
    ),
    Mistake(
        "running statistics as parameters", "layer",
        without_buffers(
            "running_mean", "running_var",
            wrap=lambda tensor: nn.Parameter(tensor, requires_grad=False),
        ),
        "Count your layer's parameters. Which of them should an optimizer move?", PARAMETERS,
        (without_buffers("running_mean", "running_var", wrap=nn.Parameter),),
    ),
    Mistake(
        "undetached running statistics", "layer", but(update=undetached),
        "After a training step, what is running_mean.grad_fn? What does it hold on to?", NO_END,
    ),
    Mistake(
        "mode follows the gradient switch", "layer", but(forward=_by_gradients),
        "Call your layer in evaluation mode with and without torch.no_grad(). Which attribute "
        "tells the mode?", TWO_MODES,
    ),
    Mistake(
        "statistics updated in evaluation", "layer", but(evaluate=_moves_in_eval),
        "Evaluate the same batch twice. Should the second answer differ from the first?", EVAL,
        (but(evaluate=_evaluates_then_moves),),
    ),
    Mistake(
        "batch statistics used in evaluation", "layer", but(evaluate=_batch_in_eval),
        "In evaluation mode, change one row of the batch. Do the other outputs move?", EVAL,
    ),
    Mistake(
        "mode ignored", "layer", but(forward=Base.train_on),
        "Does calling eval() change anything that your layer does?", TWO_MODES,
    ),
    Mistake(
        "running statistics used in training", "layer", but(train_on=_running_in_training),
        "In training, which mean and variance should the outputs of this batch have?", TWO_MODES,
    ),
    Mistake(
        "momentum on the wrong side", "layer", but(share=lambda self: 1 - self.momentum),
        "A fresh layer sees one batch with mean 5. With momentum 0.1, where is running_mean?",
        "03_two_modes.ipynb#The equation",
    ),
    Mistake(
        "biased running variance", "layer", but(new_values=biased),
        "Normalize with one variance, store another. Which of the two estimates the spread of "
        "all data?", UNBIASED,
    ),
    Mistake(
        "standard deviation in running_var", "layer",
        but(new_values=lambda self, x: (x.mean(0), x.std(0))),
        "Scale x by 10. By how much should running_var grow?", UNBIASED,
    ),
    Mistake(
        "running_var starts at 0", "layer",
        but(prepare=lambda self: self.running_var.zero_()),
        "What would a layer that has seen no batch do to x in evaluation mode?", WHO_MOVES,
    ),
    Mistake(
        "epsilon outside the root", "layer",
        but(divisor=lambda self, var: torch.sqrt(var) + self.eps),
        "Is epsilon added to a variance or to a standard deviation?", EPSILON,
    ),
    Mistake(
        "epsilon missing", "layer", but(divisor=lambda self, var: torch.sqrt(var)),
        "What comes out for a feature that hardly varies?", EPSILON,
    ),
    Mistake(
        "variance as E[x²] − E[x]²", "layer", but(statistics=_one_pass),
        "Add 10,000 to every input, in float32. The output should not change at all.",
        "02_equations.ipynb#Two formulas for the variance, one of them dangerous",
    ),
    Mistake(
        "wrong axis", "layer", but(statistics=_over_features),
        "Which numbers should share a mean: those of one example, or those of one feature?", AXES,
    ),
    Mistake(
        "gamma and beta missing", "layer",
        but(
            prepare=lambda self: [delattr(self, name) for name in ("weight", "bias")],
            affine=lambda self, x_hat, view: x_hat,
        ),
        "Which two tensors does the optimizer move in this layer?", UNDO,
    ),
    Mistake(
        "gamma and beta swapped", "layer",
        but(affine=lambda self, x_hat, view: self.bias.view(view) * x_hat + self.weight.view(view)),
        "Set weight to 2 and bias to 0. What should happen to the outputs?", UNDO,
    ),
    Mistake(
        "gamma and beta not parameters", "layer", without_buffers("weight", "bias"),
        "Print list(layer.parameters()). What will the optimizer move?", WHO_MOVES,
    ),
    Mistake(
        "arguments ignored", "layer", _fixed(eps=1e-5, momentum=0.1),
        "Make a layer with eps=0.5 and momentum=0.3. Does it differ from one without?",
        THREE_STEPS, (_fixed(eps=1e-5), _fixed(momentum=0.1)),
    ),
    Mistake(
        "num_batches_tracked absent", "layer",
        but(prepare=lambda self: delattr(self, "num_batches_tracked"), count=lambda self: None),
        "All numbers are right. Compare the keys of your state_dict with PyTorch's: one is left.",
        LOADS,
    ),
    Mistake(
        "num_batches_tracked stands still", "layer", but(count=lambda self: None),
        "All else is right. What should num_batches_tracked be after two batches?", LOADS,
    ),
]  # fmt: skip
