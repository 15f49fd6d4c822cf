"""What goes wrong in chapter 5's other exercises: images as rows, statistics from data."""

from __future__ import annotations

from bnkit.book.exercise import Mistake, Patch
from bnkit.book.ingredients import AXES, EQUATIONS, IMAGES, WHICH_VARIANCE, WRONG_GRADIENTS
from bnkit.book.mistakes_ch03 import EVAL, UNBIASED
from bnkit.book.mistakes_layer import LAG, LOADS, PLAIN_AVERAGE, THREE_STEPS, TWO_MODES

__all__ = ["LAYER_2D", "REESTIMATE"]

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


_RIGHT = "last.reshape(-1, last.shape[-1])"


_BY_FUNCTION = ("F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, "
    "{mode}, self.momentum, self.eps)")  # fmt: skip


def _rows(
    rows: str, back: str = "y.view(last.shape).movedim(-1, 1)", call: str = "f(rows)"
) -> tuple[Patch, Patch]:
    """Other rows, another way back, another call; f is the forward pass of BatchNorm1d."""
    lines = ["f = super().forward", f"y = {call}", f"return {back}"]
    return Patch(_RIGHT, rows), Patch(_AS_ROWS, "\n        ".join(lines))


LAYER_2D = [
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
    Mistake("no gradient reaches x", WRONG_GRADIENTS, "(rows) -> (rows.detach())",
        "The outputs are right, and nothing below can learn. Around what stands no_grad or detach?",
        (Patch("    def forward", "    @torch.no_grad()\n    def forward"),
         Patch("super().forward(rows)", "super().forward(rows).detach()"))),
    Mistake("channels not moved to the end", IMAGES, _rows("x.reshape(-1, x.shape[1])"),
        "Print the first of your rows. Are its numbers the channels of one position?",
        (_rows("x.reshape(-1, x.shape[1])", "y.view(x.shape)"),
         _rows("x.reshape(x.shape[1], -1).T", "y.T.reshape(x.shape)"),
         _rows("x.reshape(x.shape[1], -1).T"))),
    Mistake("channels not moved back", IMAGES, ".movedim(-1, 1) -> ",
        "Print the shape of your output, and its first row. Where are the channels?",
        (".view(last.shape).movedim(-1, 1) -> .view(x.shape)",
         ".view(last.shape).movedim(-1, 1) -> ", _rows(_RIGHT, "y.T.reshape(x.shape)"),
         _rows(_RIGHT, "y.T.reshape(x.shape[1], len(x), *x.shape[2:])"))),
    Mistake("height and width swapped", IMAGES, ".movedim(-1, 1) -> .transpose(1, 3)",
        "Follow one pixel through both permutations. Does it come back to its place?",
        (_rows("x.transpose(1, 3).reshape(-1, x.shape[1])"),)),
    Mistake("each image normalized by itself", AXES,
        _rows(_RIGHT, call="torch.cat([f(part) for part in rows.split(rows.shape[0] // len(x))])"),
        "Change one image of the batch. Should the outputs of the others move?"),
    Mistake("each position normalized by itself", AXES,
        _rows("x.flatten(2).permute(2, 0, 1)", "y.permute(1, 2, 0).reshape(x.shape)",
            "torch.stack([f(part) for part in rows])"),
        "How many numbers stand behind each mean, for N images of H × W pixels?"),
    Mistake("means of the images normalized", AXES,
        _rows("x.mean((2, 3))", "y[:, :, None, None].expand_as(x)"),
        "Do two pixels of one image still differ in your output?"),
    Mistake("normalized twice", EQUATIONS, _rows(_RIGHT, call="f(f(rows))"),
        "How often does your forward pass call that of BatchNorm1d?"),
    Mistake("mode ignored", TWO_MODES, Patch("        last", "        self.train()\n        last"),
        "Does calling eval() change anything that your layer does?",
        (_rows(_RIGHT, call=_BY_FUNCTION.format(mode="True")),
         _rows(_RIGHT, call="F.batch_norm(rows, None, None, self.weight, self.bias, True, "
             "eps=self.eps)"),
         *(_rows(_RIGHT, call="self.weight * (rows - rows.mean(0)) / torch.sqrt(\n            "
             f"{var} + self.eps) + self.bias")
           for var in ("rows.var(0, unbiased=False)", "rows.var(0)")))),
    Mistake("always in evaluation mode", TWO_MODES,
        Patch("        last", "        self.eval()\n        last"),
        "Do the running statistics move when your layer trains?",
        (_rows(_RIGHT, call=_BY_FUNCTION.format(mode="False")),)),
    Mistake("eps, momentum, gamma or beta not passed on", THREE_STEPS,
        _rows(_RIGHT, call=_BY_FUNCTION.format(mode="self.training")
            .replace("self.momentum, self.eps", "self.momentum")),
        "Which of the layer's own numbers does your call leave out?",
        tuple(_rows(_RIGHT, call=_BY_FUNCTION.format(mode="self.training").replace(*change))
            for change in (("self.momentum, self.eps", "0.1, self.eps"),
                           (", self.momentum, self.eps", ""),
                           ("self.weight, self.bias", "None, None"),
                           ("self.weight, self.bias", "self.weight, None"),
                           ("self.weight, self.bias", "self.bias, self.weight")))),
    Mistake("num_batches_tracked stands still", LOADS, _FUNCTION,
        "All else is right. What should num_batches_tracked be after two batches?"),
]  # fmt: skip


_NONE = "module.momentum = None  # a plain average"


_LOOP = """for x in batches:
            model(x)"""
# in the loop's body, so that no batch left out can make up for it
_TWICE = """            model(x) ->             model(x)
            if x is batches[{}]:
                model(x)"""


_EACH, _ALL = "torch.stack([x.{0} for x in rows]).{1}", "torch.cat(rows).{0}"


def _by_hand(mean: str, var: str) -> Patch:
    """Statistics from what came into each layer, as rows of features, one tensor a batch."""
    lines = [
        "seen = {}",
        "for module in model.modules():",
        "    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):",
        "        module.register_forward_pre_hook(",
        "            lambda layer, args: seen.setdefault(layer, []).append(args[0].clone()))",
        "for x in batches:",
        "    model(x)",
        "for layer, inputs in seen.items():",
        "    rows = [x.movedim(1, -1).reshape(-1, x.shape[1]) for x in inputs]",
        f"    layer.running_mean.copy_({mean})",
        f"    layer.running_var.copy_({var})",
    ]
    return Patch(_LOOP, "\n        ".join(lines))


_MEANS, _VARS = _EACH.format("mean(0)", "mean(0)"), _EACH.format("var(0)", "mean(0)")


_TRAINED = Patch(_LOOP, _LOOP.replace("model(x)", "with torch.enable_grad():\n                "
    "model(x).square().sum().backward()\n            for p in model.parameters():\n                "
    "p.sub_(0.1 * p.grad)"))  # fmt: skip


_KEEP = "module.reset_running_stats() -> pass"


REESTIMATE = [
    Mistake("old statistics not forgotten", LAG, (_KEEP, f"{_NONE} -> pass"),
        "With momentum 0.1, what share of the old statistics is left after three batches?",
        (_KEEP,)),
    Mistake("batch count not set back", PLAIN_AVERAGE, "module.reset_running_stats() -> "
        "module.running_mean.zero_(), module.running_var.fill_(1)",
        "The plain average divides by num_batches_tracked. Where does it start?"),
    Mistake("averaged with momentum", PLAIN_AVERAGE, f"{_NONE} -> pass",
        "A reset layer starts at 0 and 1. What is left of these after three batches?",
        tuple(f"{_NONE} -> module.momentum = {m}"
              for m in ("0.5", "0.01", "0.9", "1 / len(batches)"))),
    Mistake("last batch alone", PLAIN_AVERAGE, f"{_NONE} -> module.momentum = 1.0",
        "How much does the first of your batches weigh in the end?",
        (_by_hand("rows[-1].mean(0)", "rows[-1].var(0)"),)),
    Mistake("first batch alone", PLAIN_AVERAGE, f"{_LOOP} -> {_LOOP}\n            break",
        "How often does your loop run? What ends it?"),
    Mistake("a batch left out", PLAIN_AVERAGE, "in batches -> in batches[1:]",
        "How many batches come in, and how many does your loop see?",
        ("in batches -> in batches[:-1]", "in batches -> in batches[::2]")),
    Mistake("a batch fed twice", PLAIN_AVERAGE, _TWICE.format("0"),
        "Print num_batches_tracked afterwards. How many batches came in?", (_TWICE.format("-1"),)),
    Mistake("batches counted from two", PLAIN_AVERAGE,
        "    with torch ->     for m in model.modules():\n        if isinstance(m, (nn.BatchNorm1d,"
        " nn.BatchNorm2d)):\n            m.num_batches_tracked += 1\n    with torch",
        "What should be left of the starting values 0 and 1 after the first batch?"),
    Mistake("all batches taken as one", PLAIN_AVERAGE,
        "in batches -> in [torch.cat(list(batches))]",
        "The plain average weighs each batch alike. How many batches does your model see?",
        (_by_hand(_ALL.format("mean(0)"), _ALL.format("var(0)")),
         _by_hand(_ALL.format("mean(0)"), _ALL.format("var(0, unbiased=False)")))),
    Mistake("nothing moved: evaluation mode, or momentum 0", EVAL, "model.train() -> model.eval()",
        "In which mode do running statistics move?",
        ("model.train() -> pass", f"{_NONE} -> module.momentum = 0.0", f"{_LOOP} -> pass",
         f"{_NONE} -> module.track_running_stats = False")),
    Mistake("the old statistics left as they were", EVAL, (_KEEP, "model.train() -> model.eval()"),
        "Print running_mean before and after. Which of your lines should move it?",
        ((_KEEP, f"{_LOOP} -> pass"), (_KEEP, f"{_NONE} -> module.momentum = 0.0"))),
    Mistake("nested layers missed", EVAL, "model.modules() -> model.children()",
        "Does your loop reach a layer inside a block inside the model?"),
    Mistake("only one of the classes", EVAL, "(nn.BatchNorm1d, nn.BatchNorm2d) -> nn.BatchNorm1d",
        "Which class has the layer after a convolution?",
        ("(nn.BatchNorm1d, nn.BatchNorm2d) -> nn.BatchNorm2d",)),
    Mistake("a weight changed", LAG, "module.momentum = None -> module.reset_parameters()\n"
        "            module.momentum = None",
        "Compare the weights before and after. Only the statistics should differ.",
        (_TRAINED, f"{_NONE} -> module.momentum = None\n    for p in model.parameters():\n        "
         "p.data.zero_()")),
    Mistake("biased running variance", UNBIASED,
        _by_hand(_MEANS, _EACH.format("var(0, unbiased=False)", "mean(0)")),
        "Which variance estimates the spread of all data from a few?"),
    Mistake("standard deviation in running_var", UNBIASED,
        _by_hand(_MEANS, _EACH.format("std(0)", "mean(0)")),
        "The name of the buffer says what it holds. Scale the inputs by 10: by how much should it "
        "grow?", (_by_hand(_MEANS, _EACH.format("std(0)", "mean(0).square()")),)),
    Mistake("summed, not averaged", PLAIN_AVERAGE,
        _by_hand(_EACH.format("mean(0)", "sum(0)"), _EACH.format("var(0)", "sum(0)")),
        "Twice as many batches: should the statistics double?",
        (_by_hand(_EACH.format("mean(0)", "sum(0)"), _VARS),)),
    Mistake("median in place of the average", PLAIN_AVERAGE,
        _by_hand(_EACH.format("mean(0)", "median(0).values"), _VARS),
        "The statement asks for the plain average over the batches.",
        (_by_hand(_EACH.format("mean(0)", "median(0).values"),
            _EACH.format("var(0)", "median(0).values")),)),
    Mistake("running_var left alone", LAG, _by_hand(_MEANS, "torch.ones_like(layer.running_var)"),
        "Evaluation needs two statistics. Which of yours moves?"),
    Mistake("running_mean left alone", LAG, _by_hand("torch.zeros_like(layer.running_mean)", _VARS),
        "Evaluation needs two statistics. Which of yours moves?"),
]  # fmt: skip
