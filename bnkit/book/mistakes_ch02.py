"""What goes wrong in chapter 2's exercises: the forward pass, images, whitening."""

from __future__ import annotations

from bnkit.book.exercise import Mistake, Patch
from bnkit.book.ingredients import (
    AFFINE,
    AXES,
    EPSILON,
    EPSILONS,
    EQUATIONS,
    GAMMA_FIRST,
    IMAGES,
    STATISTICS,
    WHICH_VARIANCE,
    shared,
)

__all__ = ["FOLKLORE", "FORWARD", "FORWARD_2D", "WHITEN"]

FOLKLORE = (
    '02_equations.ipynb#Folklore: "the output is Gaussian" and "the features become independent"'
)


_OVER_FEATURES = (
    "mean = x.mean(dim=0) -> mean = x.mean(dim=1, keepdim=True)",
    "2).mean(dim=0) -> 2).mean(dim=1, keepdim=True)",
)


_NO_KEEPDIM = (
    "mean = x.mean(dim=0) -> mean = x.mean(dim=1)",
    "((x - mean) ** 2).mean(dim=0) -> x.var(dim=1, unbiased=False)",
)


FORWARD = [
    Mistake("wrong axis", AXES, _OVER_FEATURES,
        "Which numbers should share a mean: those of one example, or those of one feature? "
        "How many means do you get for a batch of shape (3, 2)?",
        (
            _NO_KEEPDIM,
            Patch("dim=0", "dim=1", all=True),
            "mean = x.mean(dim=0) -> mean = x.mean(dim=1)",
            "2).mean(dim=0) -> 2).mean(dim=1)",
        )),
    Mistake("one mean for all features", AXES, Patch("mean(dim=0)", "mean()", all=True),
        "Two features may be measured in meters and in millimeters. How many means and "
        "variances does a batch with two features need?",
        ("mean = x.mean(dim=0) -> mean = x.mean()",)),
    Mistake("one variance for all features", AXES, "2).mean(dim=0) -> 2).mean()",
        "How many numbers does your variance hold, and how many features are there?",
        ("((x - mean) ** 2).mean(dim=0) -> x.var()",
         "((x - mean) ** 2).mean(dim=0) -> x.var(unbiased=False)")),
    Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
        "((x - mean) ** 2).mean(dim=0) -> x.var(dim=0)",
        "Take a batch of two. By which number does your variance divide the sum of squares? "
        "What is the default of torch.var?"),
    Mistake("output transposed", AXES, "weight * x_hat + bias -> (weight * x_hat + bias).T",
        "Compare the shape of your output with that of x."),
    Mistake("not normalized", EQUATIONS,
        "(x - mean) / torch.sqrt(var + eps) -> x / math.sqrt(1 + eps)",
        "Multiply x by 10. Should the output change? A mean of 0 and a variance of 1 are what "
        "a layer in evaluation mode starts with.",
        ("(x - mean) / torch.sqrt(var + eps) -> x",)),
    *shared(EPSILONS, root="torch.sqrt(var + eps)", var="var", eps="eps"),
    *shared(AFFINE, line="weight * x_hat + bias", w="weight", x="x_hat", b="bias",
        w0="weight[0]", b0="bias[0]"),
    *shared(GAMMA_FIRST, w="weight"),
    *shared(STATISTICS, axes="dim=0", w="weight", b="bias", count="len(x)",
        median="x.median(dim=0).values"),
]  # fmt: skip


def _as_rows(rows: str, back: str) -> Patch:
    """Makes rows of channels, normalizes them, and goes back."""
    lines = [
        "last = x.movedim(1, -1)",
        f"rows = {rows}",
        "mean, var = rows.mean(0), rows.var(0, unbiased=False)",
        "y = weight * (rows - mean) / torch.sqrt(var + eps) + bias",
        f"return {back}",
    ]
    return Patch("    dims, shape", "".join(f"    {line}\n" for line in lines) + "    dims, shape")


FORWARD_2D = [
    Mistake("statistics for every pixel", AXES, "(0, 2, 3) -> (0,)",
        "A filter does the same thing everywhere in the image. How many means does an input of "
        "shape (N, C, H, W) have, then?"),
    Mistake("statistics for every example", AXES, "(0, 2, 3) -> (2, 3)",
        "Change one image of the batch and look at the output of another. Should it move? "
        "Which layer leaves it alone?"),
    Mistake("statistics over the channels", AXES, "(0, 2, 3) -> (1, 2, 3)",
        "The shape (N, C, H, W) names four axes. Which one keeps its own statistics?",
        ("(0, 2, 3) -> (1,)", "(0, 2, 3) -> (0, 1, 3)", "(0, 2, 3) -> (0, 1, 2)",
         *(f"(0, 2, 3) -> ({a}, {b})" for a, b in ((0, 1), (1, 2), (1, 3))))),
    Mistake("an axis of the image left out", AXES, "(0, 2, 3) -> (0, 2)",
        "Height and width are both positions. Over which of them does your mean extend?",
        ("(0, 2, 3) -> (0, 3)",)),
    Mistake("axes not kept", AXES, Patch(", keepdim=True", "", all=True),
        "Print the shape of your mean. With which axis of x does a tensor of shape (C,) line "
        "up?",
        (
            "x.mean(dims, keepdim=True) -> x.mean(dims)",
            "2).mean(dims, keepdim=True) -> 2).mean(dims)",
        )),
    Mistake("one mean for all channels", AXES, "(0, 2, 3) -> (0, 1, 2, 3)",
        "How many numbers does your mean hold, and how many channels are there?"),
    Mistake("weight not reshaped", IMAGES,
        ("weight.view(shape) -> weight", "bias.view(shape) -> bias"),
        "A tensor of shape (C,) lines up with the last axis of (N, C, H, W). Which axis is "
        "that?",
        ("(1, -1, 1, 1) -> (2, -1, 1, 1)", "(1, -1, 1, 1) -> (1, 1, 1, -1)",
         "(1, -1, 1, 1) -> (-1, 1, 1, 1)", "(1, -1, 1, 1) -> (-1, 1)")),
    Mistake("unbiased variance in the forward pass", WHICH_VARIANCE,
        "((x - mean) ** 2).mean(dims, -> x.var(dims,",
        "By which number does your variance divide, for 2 images of 1 × 2 pixels: 3 or 4?"),
    Mistake("channels not moved before the reshape", IMAGES,
        _as_rows("x.reshape(-1, x.shape[1])", "y.view(x.shape)"),
        "Print the first row that you make. Are its numbers the channels of one position?",
        (
            _as_rows("x.reshape(-1, x.shape[1])", "y.view(last.shape).movedim(-1, 1)"),
            _as_rows("x.reshape(x.shape[1], -1).T", "y.T.reshape(x.shape)"),
            _as_rows("x.movedim(1, -1).transpose(1, 2).reshape(-1, x.shape[1])",
                "y.view(last.shape).movedim(-1, 1)"),
        )),
    Mistake("channels not moved back", IMAGES,
        _as_rows("last.reshape(-1, x.shape[1])", "y.view(x.shape)"),
        "Print the shape of your output, and its first row. Where are the channels?",
        (
            _as_rows("last.reshape(-1, x.shape[1])", "y.view(last.shape)"),
            _as_rows("last.reshape(-1, x.shape[1])", "y"),
            _as_rows("last.reshape(-1, x.shape[1])", "y.view(last.shape).transpose(1, 3)"),
            _as_rows("last.reshape(-1, x.shape[1])", "y.T.reshape(x.shape)"),
            _as_rows("last.reshape(-1, x.shape[1])",
                "y.T.reshape(x.shape[1], -1, *x.shape[2:])"),
        )),
    Mistake("divided by N instead of N·H·W", AXES,
        ("x.mean(dims, keepdim=True) -> x.sum(dims, keepdim=True) / len(x)",
         "2).mean(dims, keepdim=True) -> 2).sum(dims, keepdim=True) / len(x)"),
        "How many numbers does one channel hold in a batch of N images of H × W pixels?",
        ("2).mean(dims, keepdim=True) -> 2).sum(dims, keepdim=True) / len(x)",)),
    Mistake("divided by H·W instead of N·H·W", AXES,
        ("x.mean(dims, keepdim=True) -> x.sum(dims, keepdim=True) / x[0, 0].numel()",
         "2).mean(dims, keepdim=True) -> 2).sum(dims, keepdim=True) / x[0, 0].numel()"),
        "How many numbers does one channel hold in a batch of N images of H × W pixels?",
        ("2).mean(dims, keepdim=True) -> 2).sum(dims, keepdim=True) / x[0, 0].numel()",)),
    Mistake("mean of the variances of the images", "12_train_test_mismatch.ipynb#Two variances",
        "((x - mean) ** 2).mean(dims, keepdim=True) -> "
        "x.var((2, 3), unbiased=False, keepdim=True).mean(0, keepdim=True)",
        "Two images, one all black and one all white: each has variance 0. Has the batch?",
        ("((x - mean) ** 2).mean(dims, keepdim=True) -> "
         "x.var((2, 3), keepdim=True).mean(0, keepdim=True)",)),
    *shared(EPSILONS, root="torch.sqrt(var + eps)", var="var", eps="eps"),
    *shared(AFFINE, line="weight.view(shape) * x_hat + bias.view(shape)", x="x_hat",
        w="weight.view(shape)", b="bias.view(shape)", w0="weight[0]", b0="bias[0]"),
    *shared(GAMMA_FIRST, w="weight.view(shape)"),
    *shared(STATISTICS, axes="dims, keepdim=True", w="weight.view(shape)", b="bias.view(shape)",
        count="(x.numel() / x.shape[1])",
        median="x.movedim(1, -1).flatten(0, 2).median(dim=0).values.view(shape)"),
]  # fmt: skip

_TURNED = "return centered @ vectors @ torch.diag(values.rsqrt()) @ vectors.T"


_COV = "cov = centered.T @ centered / len(x)"


_SUM = "cov + eps * torch.eye(x.shape[1])"


_FACTOR = f"torch.linalg.cholesky({_SUM})"


def _turned(result: str) -> Patch:
    """Another last line."""
    return Patch(_TURNED, f"return {result}")


WHITEN = [
    Mistake("correlations left alone", FOLKLORE,
        f"{_COV} -> cov = torch.diag((centered**2).mean(dim=0))",
        "Print the correlation of your two outputs. Which matrix do you divide by?",
        (f"{_SUM} -> torch.diag(cov.diagonal() + eps)",)),
    Mistake("white, but turned: not rotated back, or standardized first", FOLKLORE,
        " @ vectors.T -> ",
        "Your outputs are uncorrelated, with variance 1. If x was so from the start, should it "
        "change? Whiten x itself, and turn back by the transposed eigenvectors.",
        (f"{_COV} -> centered = centered / centered.std(dim=0, unbiased=False)\n    {_COV}",
         " @ vectors.T -> .flip(1)", "vectors.T -> vectors",
         _turned(f"centered @ torch.linalg.inv({_FACTOR}).T"))),
    Mistake("eigenvectors transposed", FOLKLORE,
        _turned("centered @ vectors.T @ torch.diag(values.rsqrt()) @ vectors"),
        "`eigh` returns the eigenvectors as columns. Rebuild the matrix from values and "
        "vectors, in your order: do you get it back?",
        (_turned(f"centered @ (t := torch.linalg.svd({_SUM})).U.T @ torch.diag(t.S.rsqrt()) @ t.U"),
         _turned("centered @ vectors.T @ torch.diag(values.rsqrt()) @ vectors.T"),
         _turned("centered @ vectors.T @ torch.diag(values.rsqrt())"))),
    Mistake("triangular factor transposed", FOLKLORE,
        _turned(f"centered @ torch.linalg.inv({_FACTOR})"),
        "The covariance matrix is L Lᵀ, and a row is multiplied from the right. Are your "
        "outputs uncorrelated?"),
    Mistake("only rotated", FOLKLORE, " @ torch.diag(values.rsqrt()) @ vectors.T -> ",
        "Your outputs are uncorrelated. What are their variances?",
        (_turned("centered @ torch.linalg.svd(cov)[0]"),
         _turned("centered @ torch.linalg.svd(centered)[2].T"),
         " @ torch.diag(values.rsqrt()) -> ", " @ vectors @ torch.diag(values.rsqrt()) -> ")),
    Mistake("inverse without the root", FOLKLORE, "values.rsqrt() -> 1 / values",
        "Compute the covariance of your output. Which power of the matrix makes it the "
        "identity?"),
    Mistake("root without the inverse", FOLKLORE, "values.rsqrt() -> values.sqrt()",
        "Does your function shrink a feature with a large spread, or stretch it?",
        ("values.rsqrt() -> values",)),
    Mistake("another power of the eigenvalues", FOLKLORE, "values.rsqrt() -> values**-0.25",
        "Compute the covariance of your output. Which power of the matrix makes it the "
        "identity?", ("values.rsqrt() -> values**-2",)),
    Mistake("root of each entry of the matrix", FOLKLORE,
        _turned(f"centered @ ({_SUM}).rsqrt().nan_to_num()"),
        "The root of a matrix is the matrix whose product with itself is that matrix. Multiply "
        "yours by itself.",
        (_turned(f"centered @ ({_SUM}).abs().rsqrt()"),
         _turned(f"centered @ torch.linalg.inv(({_SUM}).abs().sqrt())"),
         _turned(f"centered / ({_SUM}).diagonal().sqrt() / ({_SUM}).diagonal().sqrt()"))),
    Mistake("correlation in place of covariance", FOLKLORE,
        f"{_COV} -> cov = torch.corrcoef(x.T)",
        "What stands on the diagonal of your matrix, and what should stand there?"),
    Mistake("unbiased covariance", WHICH_VARIANCE, "/ len(x) -> / (len(x) - 1)",
        "By which number do you divide the products: N or N − 1?"),
    Mistake("divided by the number of features", WHICH_VARIANCE, "/ len(x) -> / x.shape[1]",
        "Each entry is a sum over the examples. By how many of them do you divide?",
        ("/ len(x) -> / x.numel()",)),
    Mistake("mean not subtracted", EQUATIONS, "return centered @ -> return x @",
        "Compute the mean of every column of your output.",
        ("x - x.mean(dim=0) -> x + x.mean(dim=0)", "x - x.mean(dim=0) -> x",
         "centered.T @ centered -> x.T @ x")),
    Mistake("one mean for all features", AXES, "x.mean(dim=0) -> x.mean()",
        "Compute the mean of every column of your output. Are all of them zero?"),
    Mistake("mean of each example subtracted", AXES,
        "x.mean(dim=0) -> x.mean(dim=1, keepdim=True)",
        "Compute the mean of every column of your output. Are all of them zero?"),
    Mistake("covariance of the examples", AXES,
        (f"{_COV} -> rows = x - x.mean(dim=1, keepdim=True)\n"
         "    cov = rows @ rows.T / x.shape[1]",
         "torch.eye(x.shape[1]) -> torch.eye(len(x))",
         _turned("vectors @ torch.diag(values.rsqrt()) @ vectors.T @ centered")),
        "Is your matrix (C, C) or (N, N)? Whose correlations does it hold?"),
    Mistake("products not averaged", EQUATIONS, " / len(x) -> ",
        "Repeat every row of x. Should the output of the first row change?",
        ("/ len(x) -> * len(x)",)),
    Mistake("the matrix itself returned", FOLKLORE,
        _turned("vectors @ torch.diag(values.rsqrt()) @ vectors.T"),
        "Your result has the shape (C, C). What should it be multiplied by?",
        (_turned("cov"),)),
    Mistake("result transposed", AXES,
        _turned("(centered @ vectors @ torch.diag(values.rsqrt()) @ vectors.T).T"),
        "Compare the shape of your result with that of x."),
    Mistake("epsilon not on the diagonal", EPSILON, "eps * torch.eye -> eps / torch.eye",
        "Print what you add to the covariance matrix. Where should it be zero?",
        (f"{_SUM} -> cov + eps",)),
    Mistake("epsilon missing or fixed", EPSILON, f"{_SUM} -> cov",
        "Call your function with eps=0.5 and with eps=1e-5. Does anything change?",
        ("cov + eps -> cov + 1e-5",)),
    Mistake("epsilon outside the root", EPSILON,
        (f"{_SUM} -> cov", "values.rsqrt() -> 1 / (values.sqrt() + eps)"),
        "Is epsilon added to a variance or to a standard deviation?",
        ("values.rsqrt() -> (1 / (values.sqrt() + eps))",)),
    Mistake("another default", EPSILON, "eps=1e-5 -> eps=0.1",
        "Call your function without eps. Which number does it add?",
        ("eps=1e-5 -> eps=1e-3", "eps=1e-5 -> eps=1e-2", "eps=1e-5 -> eps=1.0")),
    Mistake("epsilon added twice", EPSILON, "values.rsqrt() -> (values + eps).rsqrt()",
        "Count the places at which epsilon enters your code."),
]  # fmt: skip
