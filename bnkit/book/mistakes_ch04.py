"""What goes wrong in chapter 4's exercises: gradients of vectors, of images and of rows."""

from __future__ import annotations

from bnkit.book.exercise import Mistake, Patch
from bnkit.book.ingredients import (
    AXES,
    BACKWARD,
    EPSILONS,
    GRAPH,
    IMAGES,
    REMOVED,
    THREE_TERMS,
    Row,
    shared,
)

__all__ = ["BACKWARD_1D", "BACKWARD_2D", "LAYER_NORM_BACKWARD", "REMOVED", "THREE_TERMS"]

ALL_ROWS_MOVE = "04_backward.ipynb#One row matters, all rows move"

_PARAMETERS: list[Row] = [  # {w}, and grad_weight and grad_bias as {gw} and {gb}, summed by {sum}
    ("gamma forgotten in grad_input", THREE_TERMS,
        "With weight 0 the output does not depend on x at all. What does your grad_input say?",
        ("{w} * rstd -> rstd", "{w} * rstd -> weight[0] * rstd")),
    ("gamma missing in some of the three terms", THREE_TERMS,
        "Every term of grad_input comes from weight · x_hat. Which of yours has no weight?",
        (("{w} * rstd * -> rstd *", "projected = grad_output -> projected = {w} * grad_output"),
         ("{w} * rstd * -> rstd *", "grad_output.{mean} -> {w} * grad_output.{mean}"),
         ("{w} * rstd * -> rstd *", "- along_x_hat -> - {w} * along_x_hat"),
         "- along_x_hat -> - {w} * along_x_hat", "- along_x_hat -> - along_x_hat / {w}",
         "- grad_output.{mean} -> - grad_output.{mean} / {w}")),
    ("gamma divides, or is used twice", THREE_TERMS,
        "Double the weight. Does grad_input double?",
        ("{w} * rstd -> rstd / {w}", "{w} * rstd -> {w} ** 2 * rstd")),
    ("gamma in its own gradient", GRAPH,
        "The output is weight · x_hat + bias. What is its derivative with respect to weight?",
        ("{gw} -> weight * {gw}", "{gw} -> {gw} / weight")),
    ("gamma in the gradient of beta", GRAPH,
        "The output is weight · x_hat + bias. What is its derivative with respect to bias?",
        (", {gb} -> , weight * {gb}",)),
    ("grad_weight from x in place of x_hat", GRAPH,
        "Which quantity is multiplied by weight in the forward pass?",
        ("{gw} -> (grad_output * x).{sum}", "{gw} -> (grad_output * centered).{sum}",
         "{gw} -> (grad_output * projected).{sum}")),
    ("another x_hat in grad_weight than in the forward pass", GRAPH,
        "The derivative with respect to weight is x_hat itself. Where does epsilon stand in yours, "
        "and which variance is it?",
        tuple(f"{{gw}} -> (grad_output * centered / {root}).{{sum}}" for root in (
            "(torch.sqrt((centered**2).{mean}) + eps)", "torch.sqrt((centered**2).{mean})",
            "torch.sqrt((centered**2).{mean} + 1e-5)", "((centered**2).{mean} + eps)",
            "torch.sqrt((centered**2).{keeping} / ({count} - 1) + eps)"))),
    ("grad_weight and grad_bias averaged", GRAPH,
        "Every example adds to the gradient of a shared parameter. Is the loss averaged by the "
        "layer, or before it?",
        (("{gw} -> (grad_output * x_hat).{average}", ", {gb} -> , grad_output.{average}"),
         "{gw} -> (grad_output * x_hat).{average}", ", {gb} -> , grad_output.{average}")),
    ("grad_weight and grad_bias swapped", THREE_TERMS,
        "Compare the order in which you return the three gradients with the one asked for.",
        ("{gw}, {gb} -> {gb}, {gw}",)),
    ("grad_weight or grad_bias with the wrong sign", GRAPH,
        "Raise bias a little. Does the output rise or fall?",
        ("{gw} -> -{gw}", ", {gb} -> , -{gb}", ("{gw} -> -{gw}", ", {gb} -> , -{gb}"))),
    ("grad_input with the wrong sign", THREE_TERMS,
        "Raise the largest x a little. Does its output rise or fall?",
        ("{w} * rstd -> -{w} * rstd",)),
    ("grad_bias of what is left of the gradient", GRAPH,
        "What is removed from grad_output comes later, for x. What reaches bias?",
        (", {gb} -> , projected.{sum}", ", {gb} -> , ({w} * rstd * projected).{sum}")),
    ("grad_output returned as grad_input", THREE_TERMS,
        "Which of the layer's factors stands in your grad_input?",
        ("{w} * rstd * projected -> grad_output", "{w} * rstd * projected -> projected",
         "{w} * rstd * projected -> {w} * grad_output")),
    ("one gradient for all features", AXES,
        "How many weights does the layer have?",
        ("{gw} -> (grad_output * x_hat).sum()", ", {gb} -> , grad_output.sum()",
         ("{gw} -> (grad_output * x_hat).sum()", ", {gb} -> , grad_output.sum()"))),
]  # fmt: skip

_VECTORS = {"g": "grad_output", "mean": "mean(dim=0)", "keeping": "sum(dim=0)", "count": "len(x)",
    "across": "mean(dim=1, keepdim=True)", "other": "x.shape[1]"}  # fmt: skip
_ROOT = "torch.sqrt((centered**2).mean(dim=0) + eps)"
BACKWARD_1D = [
    *shared(BACKWARD, **_VECTORS),
    *shared(_PARAMETERS, **_VECTORS, w="weight", sum="sum(dim=0)", average="mean(dim=0)",
        gw="(grad_output * x_hat).sum(dim=0)", gb="grad_output.sum(dim=0)"),
    *shared(EPSILONS, root=_ROOT, var="(centered**2).mean(dim=0)", eps="eps"),
    Mistake("gradients keep the batch axis", GRAPH,
        Patch("sum(dim=0)", "sum(dim=0, keepdim=True)", all=True),
        "Print the shapes of weight and of your grad_weight.",
        (
            "(grad_output * x_hat).sum(dim=0), grad_output.sum(dim=0) -> grad_output * x_hat, "
            "grad_output",
            "(grad_output * x_hat).sum(dim=0) -> grad_output * x_hat",
            ", grad_output.sum(dim=0) -> , grad_output",
        )),
    Mistake("summed over the features", ALL_ROWS_MOVE, Patch("sum(dim=0)", "sum(dim=1)", all=True),
        "There is one weight for each feature. Over what, then, do its gradients add up?",
        (", grad_output.sum(dim=0) -> , grad_output.sum(dim=1)",
         "x_hat).sum(dim=0) -> x_hat).sum(dim=1)")),
]  # fmt: skip


def _as_rows(gradient: str, rows: str, back: str) -> Patch:
    """Makes rows of channels of both, finds the gradients, and goes back."""
    lines = [
        "last = x.movedim(1, -1)",
        f"g, r = {gradient}, {rows}",
        "s = torch.sqrt(r.var(0, unbiased=False) + eps)",
        "h = (r - r.mean(0)) / s",
        "y = weight / s * (g - g.mean(0) - h * (g * h).mean(0))",
        f"return {back}, (g * h).sum(0), g.sum(0)",
    ]
    start = "    dims, shape"
    return Patch(start, "".join(f"    {line}\n" for line in lines) + start)


_MOVED_G, _MOVED = (
    "grad_output.movedim(1, -1).reshape(-1, x.shape[1])",
    "last.reshape(-1, x.shape[1])",
)
_FLAT_G, _FLAT = "grad_output.reshape(-1, x.shape[1])", "x.reshape(-1, x.shape[1])"
_BACK = "y.view(last.shape).movedim(-1, 1)"
_IMAGES = {"g": "grad_output", "mean": "mean(dims, keepdim=True)", "other": "x.numel()",
    "keeping": "sum(dims, keepdim=True)", "across": "mean((1, 2, 3), keepdim=True)",
    "count": "(x.numel() / x.shape[1])"}  # fmt: skip
_GW, _GB = "(grad_output * x_hat).sum(dims)", "grad_output.sum(dims)"
_HALF = ("sum(0).mean((1, 2))", "mean(0).sum((1, 2))")
_SUMMED = ".sum(dims), grad_output.sum(dims) -> .sum((0, 2, 3)), grad_output.sum((0, 2, 3))"
_ROOT_2D = "torch.sqrt((centered**2).mean(dims, keepdim=True) + eps)"


def _count(number: str) -> tuple[str, ...]:
    """Both means of the gradient with another divisor."""
    mean, total = "mean(dims, keepdim=True)", f"sum(dims, keepdim=True) / {number}"
    return tuple(f"{of}.{mean} -> {of}.{total}" for of in ("x_hat)", "- grad_output"))


def _over(axes: str) -> tuple[str, ...]:
    """Both means of the gradient over other axes."""
    return tuple(f"{of}.mean(dims -> {of}.mean({axes}" for of in ("x_hat)", "- grad_output"))


BACKWARD_2D = [
    Mistake("divided by N instead of N·H·W", THREE_TERMS, _count("len(x)"),
        "How many numbers does one channel hold in a batch of N images of H × W pixels?"),
    Mistake("divided by H·W instead of N·H·W", THREE_TERMS, _count("x[0, 0].numel()"),
        "How many numbers does one channel hold in a batch of N images of H × W pixels?"),
    Mistake("means for every pixel", THREE_TERMS, ("(0, 2, 3) -> (0,)", _SUMMED),
        "The forward pass shares a mean among all positions of a channel. Which axes does the "
        "backward pass sum over, then?",
        ("(0, 2, 3) -> (0,)", _over("(0,)"))),
    Mistake("means for every example", ALL_ROWS_MOVE, ("(0, 2, 3) -> (2, 3)", _SUMMED),
        "Does the loss of one image depend on the pixels of another?",
        ("(0, 2, 3) -> (2, 3)", _over("(2, 3)"),
         ("x - x.mean(dims -> x - x.mean((2, 3)", "2).mean(dims -> 2).mean((2, 3)"))),
    Mistake("grad_weight and grad_bias for every pixel or example", IMAGES,
        "sum(dims), grad_output.sum(dims) -> sum(0), grad_output.sum(0)",
        "Print the shapes of weight and of your grad_weight.",
        ("sum(dims), grad_output.sum(dims) -> sum((2, 3)), grad_output.sum((2, 3))",
         "sum(dims), grad_output.sum(dims) -> sum((0, 2)), grad_output.sum((0, 2))",
         "sum(dims), grad_output.sum(dims) -> sum((0, 3)), grad_output.sum((0, 3))",
         Patch("sum(dims)", "sum(dims, keepdim=True)", all=True),
         f"{_GW}, {_GB} -> grad_output * x_hat, grad_output")),
    Mistake("summed over the examples alone, or over the pixels alone", GRAPH,
        (f"{_GW} -> (grad_output * x_hat).sum(0).mean((1, 2))",
         f", {_GB} -> , grad_output.sum(0).mean((1, 2))"),
        "Every pixel of every image adds to the gradient of its channel's weight. Which of them "
        "do you average?",
        ((f"{_GW} -> (grad_output * x_hat).mean(0).sum((1, 2))",
          f", {_GB} -> , grad_output.mean(0).sum((1, 2))"),
         *(f"{_GW} -> (grad_output * x_hat).{way}" for way in _HALF),
         *(f", {_GB} -> , grad_output.{way}" for way in _HALF))),
    Mistake("weight not reshaped", IMAGES, "weight.view(shape) -> weight",
        "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is that?",
        ("(1, -1, 1, 1) -> (-1, 1, 1, 1)", "(1, -1, 1, 1) -> (1, 1, -1, 1)")),
    Mistake("channels not moved before the reshape", IMAGES,
        _as_rows(_FLAT_G, _FLAT, "y.view(x.shape)"),
        "Print the first row that you make. Are its numbers the channels of one position?",
        (_as_rows(_FLAT_G, _FLAT, _BACK), _as_rows(_FLAT_G, _MOVED, _BACK),
         _as_rows(_MOVED_G, _FLAT, _BACK),
         _as_rows("grad_output.reshape(x.shape[1], -1).T", "x.reshape(x.shape[1], -1).T",
             "y.T.reshape(x.shape)"))),
    Mistake("channels not moved back", IMAGES, _as_rows(_MOVED_G, _MOVED, "y.view(x.shape)"),
        "Print the shape of your grad_input, and its first row. Where are the channels?",
        (_as_rows(_MOVED_G, _MOVED, "y.view(last.shape)"), _as_rows(_MOVED_G, _MOVED, "y"),
         _as_rows(_MOVED_G, _MOVED, "y.T.reshape(x.shape)"),
         _as_rows(_MOVED_G, _MOVED, "y.view(last.shape).transpose(1, 3)"))),
    *shared(BACKWARD, **_IMAGES),
    *shared(_PARAMETERS, **_IMAGES, w="weight.view(shape)", sum="sum(dims)", average="mean(dims)",
        gw=_GW, gb=_GB),
    *shared(EPSILONS, root=_ROOT_2D, var="(centered**2).mean(dims, keepdim=True)", eps="eps"),
]  # fmt: skip

_PLAIN = "g, x = grad_output.T, x.T -> g, x = grad_output, x"
_BACK_T = "(rstd * projected).T -> rstd * projected"
LAYER_NORM_BACKWARD = [
    Mistake("gradient of batch normalization", REMOVED, (_PLAIN, _BACK_T),
        "Which numbers play the part of the batch now? Does a batch of one give zero?"),
    Mistake("result not transposed back", REMOVED, _BACK_T,
        "Compare the shape of your result with that of x."),
    Mistake("only x transposed", REMOVED, "grad_output.T, x.T -> grad_output, x.T",
        "Each gradient belongs to one entry of x. Do the two still lie side by side?",
        (("grad_output.T, x.T -> grad_output, x.T", _BACK_T),)),
    Mistake("only grad_output transposed", REMOVED, "grad_output.T, x.T -> grad_output.T, x",
        "Each gradient belongs to one entry of x. Do the two still lie side by side?",
        (("grad_output.T, x.T -> grad_output.T, x", _BACK_T),)),
    Mistake("reshaped, not transposed", REMOVED,
        ("grad_output.T, x.T -> grad_output.reshape(x.shape[1], -1), x.reshape(x.shape[1], -1)",
         "(rstd * projected).T -> (rstd * projected).reshape(x.shape[1], -1)"),
        "Print x, and what your reshape makes of it. Where are the numbers of its first row?",
        (("grad_output.T, x.T -> grad_output.reshape(x.shape[1], -1), x.reshape(x.shape[1], -1)",),
         "(rstd * projected).T -> (rstd * projected).reshape(x.shape[1], -1)")),
    *shared(BACKWARD, without=("x_hat not divided by the standard deviation",), g="g",
        mean="mean(dim=0)", keeping="sum(dim=0)", count="len(x)", other="x.shape[1]",
        across="mean(dim=1, keepdim=True)"),
    *shared(EPSILONS, root=_ROOT, var="(centered**2).mean(dim=0)", eps="eps"),
    Mistake("grad_output returned as it came", THREE_TERMS, "rstd * projected -> g",
        "Which of the layer's steps stands in your result?"),
]  # fmt: skip
