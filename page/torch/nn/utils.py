"""What is done with modules as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

from ..tensor import Tensor

__all__ = [
    "clip_grad_norm_", "fuse_conv_bn_eval", "fuse_linear_bn_eval", "parameters_to_vector",
    "parametrize", "prune",
]  # fmt: skip

parametrize = SimpleNamespace(is_parametrized=lambda module, name=None: False)
prune = SimpleNamespace(BasePruningMethod=type("BasePruningMethod", (), {}), remove=None)
fusion = SimpleNamespace()
__path__: list[str] = []  # so that what PyTorch has in a folder of this name is looked for


def clip_grad_norm_(parameters: Iterable, max_norm: float, norm_type: float = 2.0) -> Tensor:
    """Shorten all gradients alike if together they are longer than a bound."""
    found = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    grads = [p.grad for p in found if p.grad is not None]
    total = sum((g.detach().square().sum() for g in grads[1:]), grads[0].detach().square().sum())
    length = total.sqrt()
    factor = (max_norm / (length + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.data.mul_(factor)
    return length


def parameters_to_vector(parameters: Iterable) -> Tensor:
    """All parameters as one vector."""
    from ..shaping import cat

    return cat([p.reshape(-1) for p in parameters])


def _fused(layer: object, bn: object, shape: tuple[int, ...]) -> object:
    import copy

    from .parameter import Parameter

    folded = copy.deepcopy(layer)
    scale = bn.weight / (bn.running_var + bn.eps).sqrt()
    bias = bn.running_mean * 0 if layer.bias is None else layer.bias
    folded.weight = Parameter((layer.weight * scale.view(shape)).detach())
    folded.bias = Parameter(((bias - bn.running_mean) * scale + bn.bias).detach())
    return folded


def fuse_conv_bn_eval(conv: object, bn: object, transpose: bool = False) -> object:
    """One convolution in place of a convolution and a batch normalization in evaluation mode."""
    return _fused(conv, bn, (-1, *[1] * (conv.weight.dim() - 1)))


def fuse_linear_bn_eval(linear: object, bn: object) -> object:
    """One linear layer in place of a linear layer and a batch normalization in evaluation mode."""
    return _fused(linear, bn, (-1, 1))


fusion.fuse_conv_bn_eval, fusion.fuse_linear_bn_eval = fuse_conv_bn_eval, fuse_linear_bn_eval


def __getattr__(name: str) -> object:
    from ..lacking import missing

    if name.startswith("__"):
        raise AttributeError(name)
    return missing(f"torch.nn.utils.{name}")
