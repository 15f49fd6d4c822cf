"""What stands in place of an ingredient: the mistakes that solutions with the same part share.

A row of a table holds a name, what to reread, a hint, and the ways to make the mistake, as patches
in which braces name a solution's own text, such as ``{var}`` for ``var`` or ``running_var``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bnkit.book.exercise import Change, Mistake

__all__ = ["AFFINE", "AXES", "BACKWARD", "EPSILON", "EPSILONS", "EQUATIONS"]
__all__ += ["GAMMA_FIRST", "GRAPH", "IMAGES"]
__all__ += ["REMOVED", "STATISTICS", "THREE_TERMS", "TWO_FORMULAS", "UNDO", "WHICH_VARIANCE", "Row"]
__all__ += ["WRONG_GRADIENTS", "shared"]

EQUATIONS = "02_equations.ipynb#The equations"
AXES = "02_equations.ipynb#Which axes?"
EPSILON = "02_equations.ipynb#Epsilon: what happens when nothing varies"
UNDO = "02_equations.ipynb#Gamma and beta: what they can undo"
WHICH_VARIANCE = "02_equations.ipynb#Which variance? A batch of two decides"
TWO_FORMULAS = "02_equations.ipynb#Two formulas for the variance, one of them dangerous"
WRONG_GRADIENTS = "04_backward.ipynb#Four wrong versions"
THREE_TERMS = "04_backward.ipynb#The equation: three terms"
GRAPH = "04_backward.ipynb#The graph"
REMOVED = "04_backward.ipynb#What is removed, and why these two"
IMAGES = "05_manual_implementation.ipynb#Images: choose the axes"

Row = tuple[str, str, str, tuple[Change, ...]]


def shared(table: Sequence[Row], without: Collection[str] = (), **own: str) -> list[Mistake]:
    """The mistakes of a table, but those named in `without`, in a solution's own text."""
    return [
        Mistake(name, section, _fit(ways[0], own), hint, tuple(_fit(way, own) for way in ways[1:]))
        for name, section, hint, ways in table
        if name not in without
    ]


def _fit(change: Change, own: dict[str, str]) -> Change:
    if isinstance(change, tuple):
        return tuple(_fit(each, own) for each in change)
    return change.format(**own)


_FIXED = ("1e-5", "1e-8", "1e-3", "1e-6", "1e-7", "1e-10", "1e-12", "1e-4", "1e-2", "0.1", "1.0")
EPSILONS: list[Row] = [  # {root}: torch.sqrt(var + eps), of {var} and {eps}
    ("epsilon outside the root", EPSILON,
        "Follow epsilon from left to right in the equation: is it added to a variance or to a "
        "standard deviation?",
        ("{root} -> (torch.sqrt({var}) + {eps})", "{root} -> (torch.sqrt({var}) + 1e-5)",
         "{root} -> torch.sqrt({var}) + {eps}")),
    ("epsilon missing", EPSILON,
        "What does your code return for a feature that has the same value in every example?",
        ("{var} + {eps} -> {var}",)),
    ("epsilon fixed", EPSILON,
        "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
        tuple(f"{{var}} + {{eps}} -> {{var}} + {value}" for value in _FIXED)),
    ("epsilon subtracted", EPSILON,
        "Epsilon keeps the number under the root above 0. What does yours do where var is 0?",
        ("{var} + {eps} -> {var} - {eps}",)),
    ("epsilon as the smallest value, not added", EPSILON,
        "Take a variance of 1 and eps=0.5. Which number stands under your root?",
        ("{root} -> torch.sqrt(({var}).clamp(min={eps}))",
         "{root} -> torch.sqrt({var}).clamp(min={eps})",
         "{root} -> torch.sqrt(({var}).clamp(min=1.0) + {eps})")),
    ("epsilon squared, or its root", EPSILON,
        "Call your function with eps=0.5 where the variance is 0. Which number stands under the "
        "root?",
        ("{var} + {eps} -> {var} + {eps} ** 2", "{var} + {eps} -> {var} + {eps} ** 0.5")),
    ("epsilon added twice", EPSILON,
        "Count the places at which epsilon enters your code, and those in the equation.",
        ("{root} -> ({root} + {eps})", "{var} + {eps} -> {var} + 2 * {eps}")),
    ("epsilon multiplied", EPSILON,
        "Where the variance is 0, what does your code divide by?",
        ("{var} + {eps} -> ({var}) * {eps}", "{var} + {eps} -> ({var}) * (1 + {eps})")),
]  # fmt: skip

AFFINE: list[Row] = [  # {line}: {w} * {x} + {b}
    ("gamma and beta swapped", UNDO,
        "With weight 1 and bias 0, what comes out of your last line?",
        ("{line} -> {b} * {x} + {w}",)),
    ("beta forgotten", UNDO,
        "Call your function with two different biases. Does the output move?",
        (" + {b} -> ",)),
    ("gamma forgotten", UNDO,
        "Call your function with two different weights. Does the output change?",
        ("{line} -> {x} + {b}",)),
    ("gamma and beta forgotten", UNDO,
        "Which two arguments does your function never use?",
        ("{line} -> {x}",)),
    ("beta scaled by gamma", UNDO,
        "Set weight to 0. What should be left of the output?",
        ("{line} -> {w} * ({x} + {b})",)),
    ("beta subtracted", UNDO,
        "With bias 3 the mean of your output should be 3.",
        ("+ {b} -> - {b}",)),
    ("divided by gamma", UNDO,
        "Double weight, with bias 0. Does your output double, or is it halved?",
        ("{line} -> {x} / {w} + {b}", "{line} -> ({x} - {b}) / {w}")),
    ("gamma used twice", UNDO,
        "With bias 0, what happens to your output when weight goes from 2 to 4?",
        ("{line} -> {w} * {w} * {x} + {b}", "{line} -> {w} * {w} * ({x} + {b})")),
    ("gamma plus one", UNDO,
        "With weight 0 the output is bias alone. Is yours?",
        ("{line} -> (1 + {w}) * {x} + {b}",)),
    ("gamma added, not multiplied", UNDO,
        "With bias 0, what happens to your output when weight goes from 2 to 4?",
        ("{line} -> {w} + {x} + {b}",)),
    ("beta multiplied, not added", UNDO,
        "With bias 0 the output is weight times x_hat. Is yours?",
        ("{line} -> {w} * {x} * {b}",)),
    ("an activation at the end", UNDO,
        "The layer's output has values on both sides of its bias. What does your last line do to "
        "them?",
        ("{line} -> ({line}).relu()", "{line} -> ({line}).tanh()", "{line} -> ({line}).sigmoid()")),
    ("gamma and beta of the first feature for all", UNDO,
        "Give the features different weights and biases. How many of them does your output use?",
        ("{line} -> {w0} * {x} + {b0}",)),
]  # fmt: skip

GAMMA_FIRST: list[Row] = [  # x_hat = (x - mean) / ..., then {w} * x_hat
    ("only x multiplied by gamma, not its mean", UNDO,
        "Set weight to 0. Your output should be bias alone: what else is left of it?",
        (("x_hat = (x - mean) -> x_hat = ({w} * x - mean)", "{w} * x_hat -> x_hat"),)),
]  # fmt: skip

_X_VAR = "((x - mean) ** 2).mean({axes})"
_MEAN = "mean = x.mean({axes})"
_RIGHT_VAR = f"{_X_VAR} -> x.var({{axes}}, unbiased=False)"  # around the right mean, all the same
STATISTICS: list[Row] = [  # mean = x.mean({axes}), then the mean of ((x - mean) ** 2) over {axes}
    ("median in place of the mean", EQUATIONS,
        "Compute the mean of every feature of your output, with bias 0. Should it be 0?",
        (f"{_MEAN} -> mean = {{median}}", (f"{_MEAN} -> mean = {{median}}", _RIGHT_VAR))),
    ("scaled to the smallest and largest value", EQUATIONS,
        "That is min-max scaling. What are the mean and the variance of your output?",
        ((f"{_MEAN} -> mean = x.amin({{axes}})",
          f"{_X_VAR} -> (x.amax({{axes}}) - mean) ** 2"),
         f"{_X_VAR} -> (x.amax({{axes}}) - x.amin({{axes}})) ** 2",
         "torch.sqrt(var + eps) -> (x.amax({axes}) - x.amin({axes}) + eps)",
         (f"{_MEAN} -> mean = x.amin({{axes}})",
          "torch.sqrt(var + eps) -> (x.amax({axes}) - x.amin({axes}) + eps)"))),
    ("smallest value subtracted", EQUATIONS,
        "Compute the mean of every feature of your output, with bias 0. What should it be?",
        (f"{_MEAN} -> mean = x.amin({{axes}})", f"{_MEAN} -> mean = x.amax({{axes}})",
         (f"{_MEAN} -> mean = x.amax({{axes}})", _RIGHT_VAR),
         "x_hat = (x - mean) -> x_hat = (x - x.amin({axes}))")),
    ("mean absolute deviation", EQUATIONS,
        "Take 0, 0, 0 and 4. Is the mean distance from the mean the standard deviation?",
        (f"{_X_VAR} -> (x - mean).abs().mean({{axes}}) ** 2",
         f"{_X_VAR} -> (x - mean).abs().mean({{axes}})")),
    ("largest deviation in place of the standard deviation", EQUATIONS,
        "One outlier alone should not set the scale. Which deviations enter the equation?",
        (f"{_X_VAR} -> (x - mean).abs().amax({{axes}}) ** 2",)),
    ("squares summed, not averaged", EQUATIONS,
        "Take every example of the batch twice. Should the output change?",
        (f"{_X_VAR} -> ((x - mean) ** 2).sum({{axes}})",)),
    ("values summed, not averaged", EQUATIONS,
        "Take every example of the batch twice. Should the mean change?",
        (f"{_MEAN} -> mean = x.sum({{axes}})",
         (f"{_MEAN} -> mean = x.sum({{axes}})", _RIGHT_VAR))),
    ("divided by the number of features", AXES,
        "How many numbers are added up for one mean, and by which number do you divide?",
        ((f"{_MEAN} -> mean = x.sum({{axes}}) / x.shape[1]",
          f"{_X_VAR} -> ((x - mean) ** 2).sum({{axes}}) / x.shape[1]"),
         f"{_X_VAR} -> ((x - mean) ** 2).sum({{axes}}) / x.shape[1]",
         f"{_MEAN} -> mean = x.sum({{axes}}) / x.shape[1]",
         (f"{_MEAN} -> mean = x.sum({{axes}}) / x.shape[1]", _RIGHT_VAR))),
    ("divided by another count", WHICH_VARIANCE,
        "How many numbers are added up, and by which number do you divide?",
        (f"{_X_VAR} -> ((x - mean) ** 2).sum({{axes}}) / ({{count}} + 1)",
         f"{_X_VAR} -> x.var({{axes}}, unbiased=True) * {{count}} / ({{count}} - 1)",
         f"{_MEAN} -> mean = x.sum({{axes}}) / ({{count}} - 1)",
         (f"{_MEAN} -> mean = x.sum({{axes}}) / ({{count}} - 1)", _RIGHT_VAR),
         (f"{_MEAN} -> mean = x.sum({{axes}}) / ({{count}} - 1)",
          f"{_X_VAR} -> ((x - mean) ** 2).sum({{axes}}) / ({{count}} - 1)"))),
    ("variance around zero and mean not subtracted", EQUATIONS,
        "That is RMS normalization. What is the mean of each feature of your output, with bias 0?",
        (f"{_MEAN} -> mean = 0 * x.mean({{axes}})",)),
    ("root of the root", EQUATIONS,
        "If x is in meters, in which unit is the number that you divide by?",
        ("torch.sqrt(var + eps) -> torch.sqrt(torch.sqrt(var + eps))",
         "torch.sqrt(var + eps) -> torch.sqrt(torch.sqrt(var) + eps)")),
    ("divided by the variance", EQUATIONS,
        "If x is in meters, the variance is in square meters. In which unit is your x_hat?",
        ("torch.sqrt(var + eps) -> (var + eps)",)),
    ("a square in place of the root", EQUATIONS,
        "Which operation turns a variance into a standard deviation?",
        ("torch.sqrt(var + eps) -> (var + eps) ** 2",)),
    ("multiplied by the standard deviation", EQUATIONS,
        "A feature with a large spread should be made smaller. Try one with spread 100.",
        ("/ torch.sqrt -> * torch.sqrt",)),
    ("not divided by the standard deviation", EQUATIONS,
        "Multiply x by 10. Should the output change?",
        ("(x - mean) / torch.sqrt(var + eps) -> (x - mean)",)),
    ("only x divided, not its mean", EQUATIONS,
        "Which of the two, x and its mean, does your division reach? Look at the parentheses.",
        ("(x - mean) / torch.sqrt(var + eps) -> x / torch.sqrt(var + eps) - mean",
         "(x - mean) / torch.sqrt(var + eps) -> x - mean / torch.sqrt(var + eps)",
         ("x_hat = (x - mean) / -> x_hat = x /", "+ {b} -> + {b} - mean"))),
    ("mean and variance swapped", EQUATIONS,
        "Print both. In which order does torch.var_mean return them, and which one is subtracted?",
        ("(x - mean) / torch.sqrt(var + eps) -> (x - var) / torch.sqrt(mean + eps)",)),
    ("the mean in place of beta", UNDO,
        "Call your function with two different biases. Does the output move?",
        ("+ {b} -> + mean",)),
    ("mean not subtracted", EQUATIONS,
        "Compute the mean of every feature of your output, with bias 0. What should it be?",
        ("x_hat = (x - mean) -> x_hat = x",)),
    ("subtracted the wrong way round", EQUATIONS,
        "The largest x of a feature should give the largest x_hat. Does it?",
        ("x_hat = (x - mean) -> x_hat = (mean - x)",)),
    ("mean square instead of variance", EQUATIONS,
        "Which mean is squared away in the variance: that of x, or that of x minus its mean?",
        ("((x - mean) ** 2) -> (x**2)",)),
    ("mean added, not subtracted", EQUATIONS,
        "Compute the mean of every feature of your output, with bias 0. What should it be?",
        ("x_hat = (x - mean) -> x_hat = (x + mean)", "((x - mean) ** 2) -> ((x + mean) ** 2)")),
    ("deviations not squared", EQUATIONS,
        "What is the mean of x minus its mean, before anything is squared?",
        ("((x - mean) ** 2) -> (x - mean)", " ** 2 ->  * 2", " ** 2 ->  ** 3", " ** 2 ->  ** 0",
         " ** 2 ->  ** 4")),
    ("divided by x_hat", UNDO,
        "Double weight, with bias 0: the output doubles. Now double x_hat. What happens?",
        ("{w} * x_hat -> {w} / x_hat",)),
    ("the mean in place of the variance", TWO_FORMULAS,
        "Print your variance, and compute it by hand for the sample.",
        (f"{_X_VAR} -> (mean**2)", f"{_X_VAR} -> mean.abs()",
         f"{_X_VAR} -> mean")),
    ("variance as E[x²] − E[x]²", TWO_FORMULAS,
        "Add 10,000 to every input, in float32. The output should not change at all.",
        (f"{_X_VAR} -> (x * x).mean({{axes}}) - mean * mean",)),
    ("variance as E[x²] + E[x]² or E[x]² − E[x²]", TWO_FORMULAS,
        "Compute both terms by hand for the sample. Which is larger, and what is their difference?",
        (f"{_X_VAR} -> (x * x).mean({{axes}}) + mean * mean",
         f"{_X_VAR} -> mean * mean - (x * x).mean({{axes}})",
         f"{_X_VAR} -> (x * x).mean({{axes}}) - mean")),
    ("normalized twice", EQUATIONS,
        "Count the divisions between x and your output, for eps=0.5.",
        ("    return  ->     x_hat = (x_hat - x_hat.mean({axes})) / torch.sqrt(\n"
         "        x_hat.var({axes}, unbiased=False) + eps)\n    return ",)),
    ("large values cut off", EQUATIONS,
        "Is there a smallest and a largest value in the equation? Which of your lines makes one?",
        tuple(f"    return  ->     x_hat = x_hat.clamp(-{end}, {end})\n    return "
              for end in ("1", "2"))),
    ("detached statistics", WRONG_GRADIENTS,
        "The values are right and the gradient is not. Does each x also act through the mean and "
        "the variance that it is part of?",
        (("mean = x -> mean = x.detach()", "(x - mean) ** 2 -> (x.detach() - mean) ** 2"),)),
    ("detached variance", WRONG_GRADIENTS,
        "The values are right. One of the two statistics lets no gradient through: which one?",
        ("(x - mean) ** 2 -> (x - mean).detach() ** 2",)),
    ("detached mean", WRONG_GRADIENTS,
        "The values are right. The gradient of x should sum to zero in every feature, and yours "
        "does not.",
        ("mean = x -> mean = x.detach()",)),
    ("no gradient reaches x", WRONG_GRADIENTS,
        "The values are right, and nothing can be learned below. Which `detach` or `no_grad` "
        "stands around all of it?",
        ("    return  ->     x_hat, weight, bias = x_hat.detach(), weight.detach(), bias.detach()\n"
         "    return ",
         "    mean = x ->     x = x.detach()\n    mean = x")),
]  # fmt: skip

BACKWARD: list[Row] = [  # {g}: grad_output; {mean} and {sum}: the reductions over the batch
    ("statistics taken for constants", WRONG_GRADIENTS,
        "Set grad_output to 1 everywhere. Shifting all outputs alike is what beta does: which "
        "gradient should arrive at x?",
        (" - {g}.{mean} - along_x_hat -> ",)),
    ("path through the mean missing", WRONG_GRADIENTS,
        "Sum your grad_input over the numbers that share a mean. A shift of x changes nothing, so "
        "what must the sum be?",
        (" - {g}.{mean} -> ",)),
    ("path through the variance missing", WRONG_GRADIENTS,
        "Multiply your grad_input by x_hat and sum. Stretching x changes nothing, so what must the "
        "sum be?",
        (" - along_x_hat -> ",)),
    ("third term without x_hat", REMOVED,
        "Your third term is the same for every example. Along which direction should it be "
        "removed?",
        ("along_x_hat = x_hat * -> along_x_hat =",)),
    ("third term with x in place of x_hat", REMOVED,
        "Two factors x_hat stand in the third term. Which of yours is not normalized?",
        ("along_x_hat = x_hat -> along_x_hat = x", "({g} * x_hat).{mean} -> ({g} * x).{mean}")),
    ("third term halved or doubled", THREE_TERMS,
        "Differentiate (x − mean)² and the root: a 2 and a 1/2 appear. What is left of them?",
        ("- along_x_hat -> - along_x_hat / 2", "- along_x_hat -> - 2 * along_x_hat")),
    ("a wrong power of the standard deviation in the third term", THREE_TERMS,
        "Differentiate var to the power −1/2. Which power of the standard deviation comes out?",
        ("- along_x_hat -> - along_x_hat / rstd", "- along_x_hat -> - along_x_hat * rstd",
         "- along_x_hat -> - along_x_hat / rstd**2")),
    ("third term added", REMOVED,
        "Is the part along x_hat removed from the gradient, or doubled?",
        ("- along_x_hat -> + along_x_hat",)),
    ("mean of the gradient added", REMOVED,
        "Sum your grad_input over the numbers that share a mean. What must the sum be?",
        ("- {g}.{mean} -> + {g}.{mean}",)),
    ("sums in place of means", THREE_TERMS,
        "Repeat every example of the batch twice. Which terms of your grad_input double?",
        (("x_hat).{mean} -> x_hat).{keeping}", "{g}.{mean} -> {g}.{keeping}"),
         "x_hat).{mean} -> x_hat).{keeping}", "{g}.{mean} -> {g}.{keeping}")),
    ("grad_input divided or multiplied by N", THREE_TERMS,
        "Repeat every example of the batch twice. Should each one's grad_input change?",
        ("rstd * projected -> rstd * projected / {count}",
         "rstd * projected -> rstd * projected * {count}",
         "projected = {g} -> projected = {g} / {count}",
         "projected = {g} -> projected = {g} * {count}")),
    ("means over another count", THREE_TERMS,
        "How many numbers share a mean? By which number do you divide their sum?",
        (("x_hat).{mean} -> x_hat).{keeping} / {other}",
          "{g}.{mean} -> {g}.{keeping} / {other}"),
         ("x_hat).{mean} -> x_hat).{keeping} / ({count} - 1)",
          "{g}.{mean} -> {g}.{keeping} / ({count} - 1)"))),
    ("N − 1 in one of the three terms", WHICH_VARIANCE,
        "The forward pass divides by N everywhere. Where does your backward pass not?",
        ("x_hat).{mean} -> x_hat).{keeping} / ({count} - 1)",
         "{g}.{mean} -> {g}.{keeping} / ({count} - 1)")),
    ("divided by the variance", THREE_TERMS,
        "If x is in meters, grad_input is per meter. In which unit is yours?",
        ("rstd * projected -> rstd**2 * projected",)),
    ("multiplied by the standard deviation", THREE_TERMS,
        "Stretch x by 10. Should grad_input grow, or shrink?",
        ("rstd * projected -> projected / rstd",)),
    ("not divided by the standard deviation", THREE_TERMS,
        "Stretch x by 10. Should grad_input stay as it is?",
        ("rstd * projected -> projected",)),
    ("x_hat not centered", THREE_TERMS,
        "What is the mean of your x_hat over the batch?",
        ("x_hat = centered -> x_hat = x",)),
    ("nothing centered", THREE_TERMS,
        "What is the mean of your x_hat over the batch?",
        ("centered = x - x.{mean} -> centered = x",)),
    ("x_hat not divided by the standard deviation", THREE_TERMS,
        "What is the variance of your x_hat over the batch?",
        ("x_hat = centered * rstd -> x_hat = centered",)),
    ("the forward pass in place of its gradient", GRAPH,
        "Double grad_output. What should happen to your result?",
        ("projected = {g} - {g}.{mean} - along_x_hat -> projected = centered",
         "projected = {g} - {g}.{mean} - along_x_hat -> projected = x_hat")),
    ("unbiased variance in the backward pass", WHICH_VARIANCE,
        "Which variance did the forward pass divide by? The backward pass must use the same.",
        ("(centered**2).{mean} -> (centered**2).{keeping} / ({count} - 1)",)),
    ("statistics over the wrong axis", AXES,
        "Which numbers share a mean in the forward pass? The backward pass shares the same.",
        ("x.{mean} -> x.{across}", ("x.{mean} -> x.{across}", "2).{mean} -> 2).{across}"))),
    ("a mean of the gradient over the wrong axis", AXES,
        "Which numbers share a mean in the forward pass? The gradient's means run over the same.",
        ("{g}.{mean} -> {g}.{across}", "x_hat).{mean} -> x_hat).{across}",
         ("{g}.{mean} -> {g}.{across}", "x_hat).{mean} -> x_hat).{across}"))),
]  # fmt: skip
