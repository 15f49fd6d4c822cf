"""Reverse-mode gradients: operations note how to go back, and `backward` follows the notes."""

from . import forward_ad, function
from .engine import backward, grad
from .function import Function
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function", "backward", "enable_grad", "forward_ad", "function", "grad", "inference_mode",
    "is_grad_enabled", "no_grad", "set_grad_enabled",
]  # fmt: skip
