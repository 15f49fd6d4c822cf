"""What goes wrong in chapter 3's exercises: running statistics, conversions, frozen layers."""

from __future__ import annotations

from dataclasses import dataclass

from bnkit.book.exercise import Mistake, Patch
from bnkit.book.ingredients import AXES

__all__ = ["CORRECTED_MEAN", "FREEZE", "RUNNING_STATISTICS", "TO_PYTORCH"]
__all__ += ["BY_HAND", "EVAL", "FORGOTTEN", "MEMORY", "RUNNING", "UNBIASED"]

FORGOTTEN = "03_two_modes.ipynb#A forgotten `eval()`, measured"
BY_HAND = "03_two_modes.ipynb#A running mean by hand"
MEMORY = "03_two_modes.ipynb#How long is its memory?"
RUNNING = "03_two_modes.ipynb#The equation"
EVAL = "03_two_modes.ipynb#What the layer computes in eval mode"
UNBIASED = "03_two_modes.ipynb#Why store the unbiased variance?"


@dataclass(frozen=True)
class _Moving:
    """The line of the solution that moves one of the two, and others in its place."""

    old: str
    new: str

    def line(self, by: str) -> Patch:
        """Another right side."""
        return Patch(f"(1 - momentum) * {self.old} + momentum * {self.new}", by)

    @property
    def wrong_side(self) -> Patch:
        """Momentum weights the old value."""
        return self.line(f"momentum * {self.old} + (1 - momentum) * {self.new}")

    @property
    def twice(self) -> Patch:
        """The same step made two times."""
        kept, added = "(1 - momentum) ** 2", "(2 - momentum) * momentum"
        return self.line(f"{kept} * {self.old} + {added} * {self.new}")

    def with_momentum(self, momentum: str, *others: _Moving) -> tuple[Patch, ...]:
        """Another number in place of momentum."""
        return tuple(
            each.line(f"(1 - {momentum}) * {each.old} + {momentum} * {each.new}")
            for each in (self, *others)
        )


_OF_MEAN, _OF_VAR = _Moving("running_mean", "mean"), _Moving("running_var", "var")


_SPREAD = ("mean, var = x.mean(dim=0), x.var(dim=0) -> mean = x.mean(dim=0)\n"
    "    var = x.var(dim=0) + {0}(mean - running_mean) ** 2")  # fmt: skip

RUNNING_STATISTICS = [
    Mistake("momentum on the wrong side", RUNNING, (_OF_MEAN.wrong_side, _OF_VAR.wrong_side),
        "With momentum 0.1, how much of the old value should be left after one batch? "
        "PyTorch's momentum weights the new one."),
    Mistake("momentum on the wrong side in running_mean", RUNNING, _OF_MEAN.wrong_side,
        "With momentum 0.1, how much of the old mean should be left after one batch?"),
    Mistake("momentum on the wrong side in running_var", RUNNING, _OF_VAR.wrong_side,
        "With momentum 0.1, how much of the old variance should be left after one batch?"),
    Mistake("momentum fixed", RUNNING, _OF_MEAN.with_momentum("0.1", _OF_VAR),
        "Call your function with momentum 0.1 and with 0.3. Does anything change?",
        (
            *(_OF_MEAN.with_momentum(m, _OF_VAR) for m in ("0.9", "0.01", "0.99")),
            *(one.with_momentum(m) for one in (_OF_MEAN, _OF_VAR) for m in ("0.1", "0.9")),
        )),
    Mistake("momentum used twice", RUNNING,
        _OF_MEAN.with_momentum("(momentum * momentum)", _OF_VAR),
        "With momentum 0.5, how much of the new value comes in? Follow it through your lines.",
        (("momentum * mean -> momentum * (1 - momentum) * mean",
          "momentum * var -> momentum * (1 - momentum) * var"),)),
    Mistake("the move of the mean added to the variance", RUNNING,
        _SPREAD.format("(1 - momentum) * "),
        "Two equal batches with different means: PyTorch averages their variances. Is the distance "
        "of the means in it?",
        (_SPREAD.format(""),)),
    Mistake("biased running variance", UNBIASED, "x.var(dim=0) -> x.var(dim=0, unbiased=False)",
        "The running variance estimates that of all data from a few. By which number must the "
        "sum of squares be divided for that?"),
    Mistake("correction upside down", UNBIASED,
        "x.var(dim=0) -> x.var(dim=0, unbiased=False) * (len(x) - 1) / len(x)",
        "Is the unbiased variance larger or smaller than the biased one? And yours?",
        ("x.var(dim=0) -> x.var(dim=0) * (len(x) - 1) / len(x) * (len(x) - 1) / len(x)",)),
    Mistake("corrected twice", UNBIASED, "x.var(dim=0) -> x.var(dim=0) * len(x) / (len(x) - 1)",
        "What is the default of torch.var? Does it need another correction?"),
    Mistake("sum of squares divided by another count", UNBIASED,
        "x.var(dim=0) -> ((x - x.mean(dim=0)) ** 2).sum(dim=0) / x.shape[1]",
        "How many examples are there, and by which number do you divide?",
        (
            "x.var(dim=0) -> ((x - x.mean(0)) ** 2).sum(dim=0) / (len(x) + 1)",
            "x.var(dim=0) -> ((x - x.mean(0)) ** 2).sum(dim=0) / (x.shape[1] - 1 + 1e-9)",
        )),
    Mistake("squares summed, not averaged", UNBIASED,
        "x.var(dim=0) -> ((x - x.mean(dim=0)) ** 2).sum(dim=0)",
        "Take every example of the batch twice. Should the variance double?"),
    Mistake("values summed, not averaged", RUNNING, "x.mean(dim=0) -> x.sum(dim=0)",
        "Take every example of the batch twice. Should the mean double?",
        (("x.mean(dim=0) -> x.sum(dim=0)",
          "x.var(dim=0) -> ((x - x.sum(dim=0)) ** 2).sum(dim=0) / (len(x) - 1)"),)),
    Mistake("another center than the mean", RUNNING, "x.mean(dim=0) -> x.median(dim=0).values",
        "Of what is the running mean an average?",
        ("x.mean(dim=0) -> x[0]", "x.mean(dim=0) -> x[-1]", "x.mean(dim=0) -> x.amax(dim=0)")),
    Mistake("another spread than the variance", RUNNING,
        "x.var(dim=0) -> (x - x.mean(dim=0)).abs().mean(dim=0)",
        "Scale x by 10: by how much should the variance grow?",
        ("x.var(dim=0) -> x.amax(dim=0) - x.amin(dim=0)",)),
    Mistake("standard deviation in running_var", RUNNING, "x.var(dim=0) -> x.std(dim=0)",
        "The name of the buffer says what it holds. Scale x by 10: by how much should it "
        "grow?",
        (
            "x.var(dim=0) -> x.std(dim=0, unbiased=False)",
            "x.var(dim=0) -> x.std(dim=0, unbiased=False) * len(x) / (len(x) - 1)",
            "momentum * var -> momentum * torch.sqrt(var + 1e-5)",
        )),
    Mistake("square of the variance in running_var", RUNNING,
        "x.var(dim=0) -> x.var(dim=0) ** 2",
        "Scale x by 10: by how much should the variance grow?"),
    Mistake("epsilon in running_var", RUNNING, "x.var(dim=0) -> x.var(dim=0) + 1e-5",
        "Epsilon belongs where x is divided. Is it kept, too?",
        (
            "x.var(dim=0) -> x.var(dim=0) + 1e-3",
            "momentum * var -> momentum * var + 1e-3",
            "momentum * var -> momentum * var + 1e-5",
        )),
    Mistake("one value for all features", AXES,
        ("x.mean(dim=0) -> x.mean()", "x.var(dim=0) -> x.var()"),
        "How many features are there, and how many means do you compute?",
        (
            ("x.mean(dim=0) -> x.mean()", "x.var(dim=0) -> x.var(unbiased=False)"),
            "x.mean(dim=0) -> x.mean()",
            "x.var(dim=0) -> x.var()",
        )),
    Mistake("overwritten by the last batch", MEMORY, (_OF_MEAN.line("mean"), _OF_VAR.line("var")),
        "What do your running statistics remember of the batches before the last one?",
        (
            (_OF_MEAN.line("mean"), _OF_VAR.line("x.var(dim=0, unbiased=False)")),
            _OF_MEAN.line("mean"),
            _OF_VAR.line("var"),
        )),
    Mistake("old value not reduced", MEMORY, Patch("(1 - momentum) * ", "", all=True),
        "Feed the same batch again and again. Where does your running mean go?",
        ("(1 - momentum) * running_mean -> running_mean",
         "(1 - momentum) * running_var -> running_var")),
    Mistake(
        "new value not weighted", BY_HAND, ("momentum * mean -> mean", "momentum * var -> var"),
        "The weights of the old and the new value should add up to 1. Do yours?",
        ("momentum * mean -> mean", "momentum * var -> var"),
    ),
    Mistake("a step away from the new value", RUNNING,
        ("(1 - momentum) * running_mean + momentum * mean -> "
         "(1 + momentum) * running_mean - momentum * mean",
         "(1 - momentum) * running_var + momentum * var -> "
         "(1 + momentum) * running_var - momentum * var"),
        "If the batch's mean is larger than the running mean, where should that go?",
        ("(1 - momentum) * running_mean + momentum * mean -> "
         "(1 + momentum) * running_mean - momentum * mean",
         "(1 - momentum) * running_var + momentum * var -> "
         "(1 + momentum) * running_var - momentum * var",
         ("+ momentum * mean -> - momentum * mean", "+ momentum * var -> - momentum * var"),
         Patch("1 - m", "1 + m", all=True))),
    Mistake("plain average of the old and the new value", MEMORY,
        (_OF_MEAN.line("(running_mean + mean) / 2"), _OF_VAR.line("(running_var + var) / 2")),
        "Which argument says how much the new value weighs? Do you use it?",
        ((_OF_MEAN.line("running_mean + mean"), _OF_VAR.line("running_var + var")),)),
    Mistake("variance around the running mean", RUNNING,
        "x.var(dim=0) -> ((x - running_mean) ** 2).sum(dim=0) / (len(x) - 1)",
        "Around which mean are the squared distances of this batch taken?",
        (
            "x.var(dim=0) -> ((x - running_mean) ** 2).mean(dim=0)",
            "momentum * var -> momentum * ((x - running_mean) ** 2).sum(dim=0) / (len(x) - 1)",
            "momentum * var -> momentum * ((x - running_mean) ** 2).mean(dim=0)",
        )),
    Mistake("variance around zero", RUNNING,
        "x.var(dim=0) -> (x**2).sum(dim=0) / (len(x) - 1)",
        "Add 10 to every value of the batch. Should its variance grow?",
        ("x.var(dim=0) -> (x**2).mean(dim=0)",)),
    Mistake("mean and variance swapped", RUNNING,
        "return running_mean, running_var -> return running_var, running_mean",
        "Compare the order in which you return the two with the one asked for."),
    Mistake("mean and variance of the batch swapped", RUNNING,
        "mean, var = x.mean(dim=0), x.var(dim=0) -> mean, var = x.var(dim=0), x.mean(dim=0)",
        "In which order does torch.var_mean return the two?",
        ("mean, var = x.mean(dim=0), x.var(dim=0) -> "
         "mean, var = x.var(dim=0, unbiased=False), x.mean(dim=0)",)),
    Mistake("wrong axis", AXES, Patch("dim=0", "dim=1", all=True),
        "There is one running mean for each feature. Over what is it a mean?",
        ("x.mean(dim=0) -> x.mean(dim=1)", "x.var(dim=0) -> x.var(dim=1)")),
    Mistake("running_var left alone", BY_HAND,
        Patch("    running_var = (1 - momentum) * running_var + momentum * var\n", ""),
        "Evaluation needs two statistics. Which of yours moves?",
        (_OF_VAR.line("(1 - momentum) * running_var"),)),
    Mistake("running_mean left alone", BY_HAND,
        Patch("    running_mean = (1 - momentum) * running_mean + momentum * mean\n", ""),
        "Evaluation needs two statistics. Which of yours moves?",
        (_OF_MEAN.line("(1 - momentum) * running_mean"),)),
    Mistake("both statistics left alone", BY_HAND,
        (_OF_MEAN.line("running_mean"), _OF_VAR.line("running_var")),
        "Compare what you return with what came in."),
    Mistake("the running mean moved twice", MEMORY,
        _OF_MEAN.twice, "How often does one batch enter your running mean?",
        ((_OF_MEAN.twice, _OF_VAR.twice),)),
]  # fmt: skip

TO_PYTORCH = [
    Mistake("momentum left as it is", RUNNING, "1 - keras_momentum -> keras_momentum",
        "Keras's 0.99 keeps 99 % of the old value. What does PyTorch's 0.99 keep?"),
    Mistake("momentum inverted", RUNNING, "1 - keras_momentum -> 1 / keras_momentum",
        "A weight lies between 0 and 1. Which two weights add up to 1?",
        ("1 - keras_momentum -> 1 / (1 - keras_momentum)",)),
    Mistake("momentum negative", RUNNING, "1 - keras_momentum -> keras_momentum - 1",
        "A weight lies between 0 and 1. What is the sign of yours?",
        ("1 - keras_momentum -> -keras_momentum",)),
    Mistake("momentum added to 1", RUNNING, "1 - keras_momentum -> 1 + keras_momentum",
        "A weight lies between 0 and 1. Which two weights add up to 1?"),
    Mistake("one and the same number for every momentum", RUNNING,
        "1 - keras_momentum -> 0.1", "Call your function with 0.9 and with 0.99.",
        tuple(f"1 - keras_momentum -> {m}" for m in ("0.01", "0.99", "0.9", "1", "0", "0.001"))),
    Mistake("in percent", RUNNING, "1 - keras_momentum -> 100 * (1 - keras_momentum)",
        "A weight lies between 0 and 1. Does yours?",
        ("1 - keras_momentum -> 100 - keras_momentum",)),
    Mistake("squared, or its root", RUNNING, "1 - keras_momentum -> (1 - keras_momentum) ** 2",
        "Write down one update in both conventions. Is anything squared in either?",
        (
            "1 - keras_momentum -> 1 - keras_momentum**2",
            "1 - keras_momentum -> (1 - keras_momentum) ** 0.5",
            "1 - keras_momentum -> 1 - keras_momentum**0.5",
            "1 - keras_momentum -> (1 - keras_momentum**2) ** 0.5",
        )),
    Mistake("ratio of the two weights", RUNNING,
        "1 - keras_momentum -> (1 - keras_momentum) / keras_momentum",
        "The two weights add up to 1. Which of them does PyTorch ask for?",
        ("1 - keras_momentum -> keras_momentum / (1 - keras_momentum)",)),
    Mistake("memory in place of momentum", MEMORY,
        "1 - keras_momentum -> -math.log(keras_momentum)",
        "A half-life or a decay rate says the same in other units. Which unit has momentum?",
        ("1 - keras_momentum -> math.log(0.5) / math.log(keras_momentum)",
         "1 - keras_momentum -> math.exp(-keras_momentum)")),
    Mistake("half of it, or twice", RUNNING, "1 - keras_momentum -> (1 - keras_momentum) / 2",
        "The two weights add up to 1. Do yours?",
        ("1 - keras_momentum -> 2 * (1 - keras_momentum)",
         "1 - keras_momentum -> 1 - keras_momentum / 2",
         "1 - keras_momentum -> abs(0.5 - keras_momentum)")),
    Mistake("rounded", RUNNING, "1 - keras_momentum -> round(1 - keras_momentum, 1)",
        "Call your function with 0.99. Does PyTorch's layer move at all, then?",
        ("1 - keras_momentum -> round(1 - keras_momentum)",)),
]  # fmt: skip

_SHARE = "(1 - (1 - momentum) ** t)"


_CORRECTED = f"running / {_SHARE}"


_WRONG_SIDE = _Moving("running", "mean").wrong_side


CORRECTED_MEAN = [
    Mistake("start not corrected", BY_HAND, f"{_CORRECTED} -> running",
        "After one batch there is one thing to average. Does your value equal it?"),
    Mistake("multiplied in place of divided", BY_HAND, "running / (1 -> running * (1",
        "After one batch there is one thing to average. Does your value equal it?"),
    Mistake("divided by the weight of the start", BY_HAND,
        f"{_SHARE} -> (1 - momentum) ** t",
        "The share of the start and the share of the batches add up to 1. Which one do you "
        "divide by?"),
    Mistake("weight of the start subtracted or added", BY_HAND,
        f"{_CORRECTED} -> running - (1 - momentum) ** t",
        "The start is 0, so it adds nothing. What is too small is the sum of the other weights.",
        (f"{_CORRECTED} -> running + (1 - momentum) ** t",
         "(1 - (1 - momentum) ** t) -> (1 + (1 - momentum) ** t)")),
    Mistake("power of momentum", MEMORY, f"{_SHARE} -> (1 - momentum**t)",
        "Which weight has the starting value after t batches: m to the power t, or another "
        "number?", (f"{_SHARE} -> momentum**t",)),
    Mistake("times t in place of to the power t", MEMORY,
        f"{_SHARE} -> (1 - (1 - momentum) * t)",
        "Each batch multiplies the start's weight by 1 − m. What is it after three batches?",
        (f"{_SHARE} -> (momentum * t)", f"{_SHARE} -> min(1, momentum * t)",
         f"{_SHARE} -> (1 - (1 - momentum) / t)", f"{_SHARE} -> t")),
    Mistake("batches counted from zero", MEMORY, "start=1 -> start=0",
        "By what do you divide after the first batch?"),
    Mistake("batches counted from two", MEMORY, "start=1 -> start=2",
        "By what do you divide after the first batch?", ("start=1 -> start=3",)),
    Mistake("same correction for every batch", MEMORY, f"{_SHARE} -> momentum",
        "The starting value fades. Should the correction grow, shrink or stay?",
        (f"{_SHARE} -> (1 - (1 - momentum) ** len(batch_means))", f"{_SHARE} -> (1 - momentum)")),
    Mistake("correction of another power", MEMORY, f"{_SHARE} -> {_SHARE} ** 0.5",
        "Adam takes a root of its second moment. Is there one in a mean?",
        (f"{_SHARE} -> {_SHARE} ** 2", f"{_SHARE} -> (1 - (1 - momentum) ** (t / 2))",
         f"{_SHARE} -> (1 - (1 - momentum) ** (2 * t))")),
    Mistake("corrected value carried on", BY_HAND,
        (f"{_CORRECTED} -> running", f"corrected.append -> running = {_CORRECTED}\n        "
         "corrected.append"),
        "Correct what you return, not what the next batch is added to."),
    Mistake("momentum on the wrong side", RUNNING, _WRONG_SIDE,
        "With momentum 0.1, how much of the old value should be left after one batch?",
        (
            (_WRONG_SIDE, f"{_SHARE} -> (1 - momentum**t)"),
            (_WRONG_SIDE, f"{_CORRECTED} -> running"),
        )),
    Mistake("momentum fixed", RUNNING,
        "running, corrected = -> momentum = 0.1\n    running, corrected =",
        "Call your function with momentum 0.1 and with 0.3. Does anything change?",
        ("running, corrected = -> momentum = 0.9\n    running, corrected =",
         "running, corrected = -> momentum = 0.01\n    running, corrected =")),
    Mistake("new value not weighted", RUNNING, "momentum * mean -> mean",
        "The weights of the old and the new value should add up to 1. Do yours?"),
    Mistake("old value not reduced", MEMORY, "(1 - momentum) * running + -> running +",
        "Feed the same batch again and again. Where does your running mean go?",
        (("(1 - momentum) * running + -> running +", f"{_CORRECTED} -> running"),)),
    Mistake("plain average", MEMORY,
        f"{_CORRECTED} -> batch_means[:t].mean(dim=0)",
        "Does a batch count less and less as others come? Which argument do you not use?"),
    Mistake("the batches' means themselves", BY_HAND, f"{_CORRECTED} -> mean",
        "Which of your lines remembers the batches before?"),
    Mistake("started at the first batch", BY_HAND,
        "torch.zeros_like(batch_means[0]) -> batch_means[0]",
        "The statement starts at 0. What is the first batch's weight in your running mean?",
        (("torch.zeros_like(batch_means[0]) -> batch_means[0]", f"{_CORRECTED} -> running"),)),
    Mistake("started at 1", BY_HAND, "torch.zeros_like -> torch.ones_like",
        "The statement starts at 0. Where do you start?"),
    Mistake("the last batch alone", BY_HAND, "torch.stack(corrected) -> corrected[-1]",
        "The statement asks for one row for each of the T batches. How many do you return?",
        ("torch.stack(corrected) -> corrected[-1:]",
         "torch.stack(corrected) -> corrected[-1][None]")),
    Mistake("the start among the rows", BY_HAND,
        "torch.stack(corrected) -> torch.stack([0 * mean, *corrected])",
        "The statement asks for one row for each of the T batches. How many do you return?"),
    Mistake("batches in rows, features in columns, or the other way round", BY_HAND,
        "torch.stack(corrected) -> torch.stack(corrected, dim=1)",
        "Print the shape of your result. Which axis are the batches?",
        ("torch.stack(corrected) -> torch.cat(corrected)",)),
    Mistake("one value for all features", AXES, "mean in enumerate(batch_means -> mean in "
        "enumerate(batch_means.mean(dim=1)", "How many features does a batch's mean have?",
        ("torch.stack(corrected) -> torch.stack(corrected).mean(dim=1)",
         "torch.stack(corrected) -> torch.stack(corrected).mean(dim=0)")),
]  # fmt: skip

FREEZE = [
    Mistake(
        "requires_grad taken for frozen", EVAL, "module.eval() -> module.requires_grad_(False)",
        "Are running statistics parameters? What moves them?",
    ),
    Mistake("whole model in eval mode", FORGOTTEN, "module.eval() -> model.eval()",
        "Which other layers behave differently in training, and should go on doing so?"),
    Mistake("dropout switched off too", FORGOTTEN, "nn.BatchNorm3d) -> nn.BatchNorm3d, "
        "nn.Dropout)", "Which layers should stay in training mode?"),
    Mistake("every layer but batch normalization", EVAL,
        "(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) -> nn.Dropout",
        "Print every module with its `training`. Which of them did you switch?",
        ("(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) -> (nn.Dropout, nn.Linear)",)),
    Mistake("nested layers missed", EVAL, "model.modules() -> model.children()",
        "Does your loop reach a layer inside a block inside the model? Compare children() "
        "with modules().",
        ("model.modules() -> [m for child in model.children() for m in (child, "
         "*child.children())]",)),
    Mistake("only the first layer frozen", EVAL, "module.eval() -> return module.eval()",
        "How often does your loop run? What ends it?",
        ("for module in model.modules(): -> for module in list(model.modules())[:3]:",)),
    Mistake("only one of the three classes", EVAL,
        "(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) -> nn.BatchNorm1d",
        "Which class has the layer after a convolution?",
        tuple(f"(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) -> nn.BatchNorm{n}d"
              for n in (2, 3))),
    Mistake("one of the three classes missing", EVAL, ", nn.BatchNorm3d) -> )",
        "There are three classes of the layer. Which of them does your code not know?",
        ("(nn.BatchNorm1d,  -> (", "nn.BatchNorm2d,  -> ")),
    Mistake("running statistics thrown away", EVAL,
        "module.eval() -> module.running_mean, module.running_var = None, None",
        "With what does the layer normalize in evaluation mode, now?"),
    Mistake("nothing frozen", EVAL, "module.eval() -> pass",
        "Call your function, then print `training` of every module. Which of them changed?",
        ("module.eval() -> module.eval()\n    model.train()",)),
]  # fmt: skip
