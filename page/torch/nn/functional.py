"""Layers as functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ..autograd.modes import no_grad
from ..elementwise import where
from ..lacking import lacks
from ..layout import Size
from ..linalg import matmul
from ..random import bernoulli
from ..shaping import cat
from ..tensor import Tensor, gather

__all__ = [
    "adaptive_avg_pool2d", "avg_pool2d", "batch_norm", "binary_cross_entropy_with_logits",
    "conv1d", "conv2d", "conv3d", "convolve", "cross_entropy", "dropout", "elu", "gelu",
    "group_norm", "instance_norm", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax",
    "max_pool2d", "mse_loss", "nll_loss", "normalize", "one_hot", "pad", "relu", "rms_norm",
    "sigmoid", "silu", "softmax", "softplus", "tanh", "unfold",
]  # fmt: skip


def __getattr__(name: str) -> object:
    from ..lacking import missing

    if name.startswith("__"):
        raise AttributeError(name)
    return missing(f"torch.nn.functional.{name}")


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """The larger of a number and 0."""
    return input.relu_() if inplace else input.relu()


def sigmoid(input: Tensor) -> Tensor:
    """A share between 0 and 1."""
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return input.tanh()


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """A number, or a part of it where it is negative."""
    return where(input > 0, input, input * negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """A number, or an exponential less one where it is negative."""
    return where(input > 0, input, alpha * input.clamp(max=0).expm1())


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """A number times the share of the normal distribution below it."""
    return input * 0.5 * (1 + (input / math.sqrt(2)).erf())


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """A number times its sigmoid."""
    return input * input.sigmoid()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """A smooth relu."""
    scaled = input * beta
    return where(scaled > threshold, input, scaled.clamp(max=threshold).exp().log1p() / beta)


def softmax(input: Tensor, dim: int, **_options: object) -> Tensor:
    """Shares that add up to one."""
    return input.softmax(dim)


def log_softmax(input: Tensor, dim: int, **_options: object) -> Tensor:
    """Logarithms of shares that add up to one."""
    return input.log_softmax(dim)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product with a matrix, and a bias: x W^T + b."""
    product = matmul(input, weight.t())
    return product if bias is None else product + bias


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Numbers set to 0 with a probability, the rest made larger."""
    if not training or p == 0:
        return input
    keeps = bernoulli(input.detach() * 0 + (1 - p))
    return input * keeps / (1 - p) if p < 1 else input * 0.0


def _settle(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return loss.mean() if reduction == "mean" else loss.sum()


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
    **_options: object,
) -> Tensor:  # fmt: skip
    """Minus the logarithms at the right classes."""
    if input.shape[0] != target.shape[0] and input.dim() > 1:
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size "
            f"({target.shape[0]})."
        )
    if input.dim() == 1:
        return -input[target]
    classes, labels = input.shape[1], list(target.reshape(-1).values())
    for label in labels:
        if not 0 <= label < classes:
            raise IndexError(f"Target {label} is out of bounds.")
    rows = input.movedim(1, -1).reshape(-1, classes)
    picked = gather(rows, [i * classes + label for i, label in enumerate(labels)], (len(labels),))
    if weight is not None:
        shares = weight[target.reshape(-1)]
        total = -(picked * shares)
        return total.sum() / shares.sum() if reduction == "mean" else _settle(total, reduction)
    return _settle(-picked.reshape(target.shape), reduction)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
    label_smoothing: float = 0.0, **_options: object,
) -> Tensor:  # fmt: skip
    """Minus the logarithm of the probability of the right class."""
    dim = 1 if input.dim() > 1 else 0
    logs = log_softmax(input, dim)
    if target.is_floating_point():
        if target.shape != input.shape:
            raise RuntimeError("Expected floating point type for target with class probabilities")
        total = -(logs * target).sum(dim)
        return _settle(total, reduction)
    plain = nll_loss(logs, target, weight, reduction)
    if not label_smoothing:
        return plain
    return (1 - label_smoothing) * plain + label_smoothing * _settle(-logs.mean(dim), reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", **_options: object) -> Tensor:
    """Squared differences."""
    return _settle((input - target).square(), reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", **_options: object) -> Tensor:
    """Absolute differences."""
    return _settle((input - target).abs(), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, reduction: str = "mean", **_options: object
) -> Tensor:
    """Minus the logarithm of the probability of the right of two classes."""
    loss = input.clamp(min=0) - input * target + (-input.abs()).exp().log1p()
    return _settle(loss, reduction)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """A row with a single 1 for each class."""
    from ..creation import eye
    from ..dtypes import int64

    count = int(tensor.max()) + 1 if num_classes < 0 else num_classes
    return eye(count, dtype=int64)[tensor]


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors of length 1."""
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


def _by_channel(v: Tensor, x: Tensor) -> Tensor:
    return v.reshape(1, -1, *[1] * (x.dim() - 2))


def _check_count(name: str, v: Tensor | None, channels: int) -> None:
    if v is not None and v.numel() != channels:
        raise RuntimeError(f"{name} should contain {channels} elements not {v.numel()}")


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel over the batch, or by running statistics."""
    channels = input.shape[1]
    count = input.numel() // channels if channels else 0
    if training and count == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    for name, v in (("running_mean", running_mean), ("running_var", running_var)):
        _check_count(name, v, channels)
    for name, v in (("weight", weight), ("bias", bias)):
        _check_count(name, v, channels)
    if training:
        dims = [0, *range(2, input.dim())]
        mean, var = input.mean(dims), input.var(dims, correction=0)
        if running_mean is not None:
            running_mean.copy_((1 - momentum) * running_mean + momentum * mean.detach())
            unbiased = var.detach() * (count / (count - 1))
            running_var.copy_((1 - momentum) * running_var + momentum * unbiased)
    elif running_mean is None or running_var is None:
        raise RuntimeError("Expected running_mean and running_var to be defined in evaluation")
    else:
        mean, var = running_mean.clone(), running_var.clone()
    slope = (var + eps).rsqrt()
    x_hat = (input - _by_channel(mean, input)) * _by_channel(slope, input)
    y = _scaled(x_hat, weight, bias, input)
    with no_grad():
        y._storage.values[:] = _at_once(input, mean, slope, weight, bias).values()
    return y


def _at_once(
    x: Tensor, mean: Tensor, slope: Tensor, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """The same as PyTorch's kernels find it, as x a + b, which loses digits at a large mean."""
    a = slope if weight is None else slope * weight
    b = -mean * a if bias is None else bias - mean * a
    exact = x.double() * _by_channel(a.double(), x) + _by_channel(b.double(), x)
    return exact.to(x.dtype)


def _scaled(x_hat: Tensor, weight: Tensor | None, bias: Tensor | None, like: Tensor) -> Tensor:
    y = x_hat if weight is None else x_hat * _by_channel(weight, like)
    return y if bias is None else y + _by_channel(bias, like)


def _standardized(x: Tensor, dims: Sequence[int], eps: float) -> Tensor:
    centered = x - x.mean(dims, keepdim=True)
    return centered * (x.var(dims, correction=0, keepdim=True) + eps).rsqrt()


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each sample over its last axes."""
    shape = tuple(normalized_shape)
    if tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        )
    y = _standardized(input, list(range(-len(shape), 0)), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:  # fmt: skip
    """Each sample divided by the root of its mean square."""
    from ..dtypes import finfo

    dims = list(range(-len(tuple(normalized_shape)), 0))
    small = finfo(input.dtype).eps if eps is None else eps
    y = input * (input.square().mean(dims, keepdim=True) + small).rsqrt()
    return y if weight is None else y * weight


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each sample over groups of channels."""
    if input.shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input.shape)} and num_groups={num_groups}"
        )
    grouped = input.reshape(input.shape[0], num_groups, -1)
    return _scaled(_standardized(grouped, [2], eps).reshape(input.shape), weight, bias, input)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel of each sample."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = list(range(2, input.dim()))
    if running_mean is not None:
        mean, var = input.detach().mean(dims).mean(0), input.detach().var(dims).mean(0)
        running_mean.copy_((1 - momentum) * running_mean + momentum * mean)
        running_var.copy_((1 - momentum) * running_var + momentum * var)
    return _scaled(_standardized(input, dims, eps), weight, bias, input)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Room around the last axes, which come first in `pad`."""
    if mode != "constant" or value:
        raise lacks(f"padding with mode={mode!r} and value={value!r}")
    before, after = [0] * input.dim(), [0] * input.dim()
    for i in range(len(pad) // 2):
        before[-1 - i], after[-1 - i] = pad[2 * i], pad[2 * i + 1]
    shape = Size(a + n + b for a, n, b in zip(before, input.shape, after, strict=True))
    at = []
    for index in itertools.product(*map(range, shape)):
        own = [i - a for i, a in zip(index, before, strict=True)]
        inside = all(0 <= i < n for i, n in zip(own, input.shape, strict=True))
        at.append(_place(own, input.shape) if inside else None)
    return gather(input, at, shape)


def _place(index: Sequence[int], shape: Sequence[int]) -> int:
    """An index as a place in reading order."""
    at = 0
    for i, size in zip(index, shape, strict=True):
        at = at * size + i
    return at


def _fields(
    shape: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[list[list[int | None]], Size]:  # fmt: skip
    """For each place of an output, the places of an image that its kernel covers."""
    sizes = Size(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape, kernel, stride, padding, dilation, strict=True)
    )
    if any(size < 1 for size in sizes):
        raise RuntimeError(
            f"Calculated padded input size is smaller than the kernel: image {list(shape)}, "
            f"kernel {list(kernel)}"
        )
    found = []
    for out in itertools.product(*map(range, sizes)):
        field = []
        for inner in itertools.product(*map(range, kernel)):
            each = zip(out, inner, stride, padding, dilation, strict=True)
            own = [o * s - p + k * d for o, k, s, p, d in each]
            inside = all(0 <= i < n for i, n in zip(own, shape, strict=True))
            field.append(_place(own, shape) if inside else None)
        found.append(field)
    return found, sizes


def _unfolded(x: Tensor, fields: list[list[int | None]]) -> Tensor:
    """Images (N, C, *) as (N, places, C * kernel)."""
    n, c = x.shape[:2]
    area = math.prod(x.shape[2:])
    at = [
        None if place is None else (i * c + channel) * area + place
        for i in range(n)
        for field in fields
        for channel in range(c)
        for place in field
    ]
    return gather(x, at, (n, len(fields), c * len(fields[0])))


def _each(value: object, count: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


def convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: object, padding: object,
    dilation: object, groups: int,
) -> Tensor:  # fmt: skip
    """A convolution over all axes but the first two."""
    axes = weight.dim() - 2
    if input.dim() == axes + 1:
        return convolve(input[None], weight, bias, stride, padding, dilation, groups)[0]
    if input.dim() != axes + 2 or input.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input"
            f"{list(input.shape)} to have {weight.shape[1] * groups} channels, but got "
            f"{input.shape[1] if input.dim() > 1 else 0} channels instead"
        )
    steps, apart = _each(stride, axes), _each(dilation, axes)
    kernel = weight.shape[2:]
    if isinstance(padding, str):
        same = [d * (k - 1) // 2 for d, k in zip(apart, kernel, strict=True)]
        padding = same if padding == "same" else (0,) * axes
    fields, sizes = _fields(input.shape[2:], kernel, steps, _each(padding, axes), apart)
    parts = []
    for x, w in zip(input.chunk(groups, 1), weight.chunk(groups, 0), strict=True):
        product = matmul(_unfolded(x, fields), w.reshape(w.shape[0], -1).transpose(0, 1))
        parts.append(product.transpose(1, 2))  # (N, C_out / groups, places)
    joined = parts[0] if groups == 1 else cat(parts, 1)
    out = joined.reshape(input.shape[0], weight.shape[0], *sizes)
    return out if bias is None else out + _by_channel(bias, out)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: object = 1,
    padding: object = 0, dilation: object = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """A convolution."""
    return convolve(input, weight, bias, stride, padding, dilation, groups)


conv1d = conv3d = conv2d


def unfold(
    input: Tensor, kernel_size: object, dilation: object = 1, padding: object = 0,
    stride: object = 1,
) -> Tensor:  # fmt: skip
    """The fields that a kernel covers, as columns."""
    given = (kernel_size, stride, padding, dilation)
    fields, _ = _fields(input.shape[2:], *(_each(value, 2) for value in given))
    return _unfolded(input, fields).transpose(1, 2)


def _pooled(
    input: Tensor, kernel: object, stride: object, padding: object
) -> tuple[Tensor, list[list[int | None]], Size]:
    steps = _each(kernel if stride is None else stride, 2)
    fields, sizes = _fields(input.shape[2:], _each(kernel, 2), steps, _each(padding, 2), (1, 1))
    columns = _unfolded(input, fields).unflatten(2, (input.shape[1], -1))  # (N, places, C, kernel)
    return columns, fields, sizes


def avg_pool2d(
    input: Tensor, kernel_size: object, stride: object = None, padding: object = 0
) -> Tensor:
    """The mean of each field."""
    columns, _, sizes = _pooled(input, kernel_size, stride, padding)
    return columns.mean(3).transpose(1, 2).reshape(*input.shape[:2], *sizes)


def max_pool2d(
    input: Tensor, kernel_size: object, stride: object = None, padding: object = 0
) -> Tensor:
    """The largest number of each field."""
    columns, fields, sizes = _pooled(input, kernel_size, stride, padding)
    inside = columns.new_tensor([[0.0 if p is not None else -math.inf for p in f] for f in fields])
    best = (columns + inside[:, None]).max(3)[0]
    return best.transpose(1, 2).reshape(*input.shape[:2], *sizes)


def adaptive_avg_pool2d(input: Tensor, output_size: object) -> Tensor:
    """The mean of each image, for an output of size 1."""
    if _each(output_size, 2) != (1, 1):
        raise lacks("adaptive pooling to another size than 1")
    return input.mean((-2, -1), keepdim=True)
