"""The page's torch: the part of PyTorch that the book's exercises use, in pure Python.

Same names, same results to the rounding of float32, same kinds of errors, gradients included. It
exists because nobody has built PyTorch for the browser. It is small (a tensor is a list of numbers)
and slow (10 microseconds an operation); for the tensors of an exercise that is enough. What it
lacks it says in one line: see `lacking`. A kept library was tried first: tinygrad's Python device
takes 25 ms for the forward pass of a 2 x 2 batch, and a check runs hundreds of these.

    tensor layout dtypes     what a tensor is
    elementwise functions reductions shaping indexing linalg creation random printing
                             what is done with it
    autograd                 gradients
    nn optim utils           layers, optimizers, data
"""

from __future__ import annotations

import contextlib
import math
import types
from collections.abc import Callable

from . import (
    creation,
    elementwise,
    functions,
    indexing,
    lacking,
    linalg,
    printing,
    random,
    reductions,
    shaping,
)
from .autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)  # fmt: skip
from .dtypes import (
    bfloat16,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)  # fmt: skip
from .dtypes import bool_ as bool
from .known import TORCH_NAMES
from .layout import Size
from .printing import set_printoptions
from .tensor import Storage, Tensor, device

__version__ = "2.0+page"
half, float, double, long, int = float16, float32, float64, int64, int32
short = int16
inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
strided, contiguous_format, preserve_format = "strided", "contiguous", "preserve"
FloatTensor = Tensor

_OPERATIONS = (
    elementwise,
    functions,
    reductions,
    shaping,
    indexing,
    linalg,
    creation,
    random,
    printing,
)
for _part in _OPERATIONS:
    for _name, _function in _part.METHODS.items():
        setattr(Tensor, _name, _function)
        if not _name.startswith("__"):
            globals().setdefault(_name, _function)
    globals().update({k: v for k, v in getattr(_part, "NAMES", {}).items()})
for _table in (elementwise.IN_PLACE, functions.IN_PLACE, elementwise.OPERATORS):
    for _name, _function in _table.items():
        setattr(Tensor, _name, _function)
for _name in ("sqrt_", "rsqrt_", "exp_", "relu_", "clamp_"):
    globals()[_name] = getattr(Tensor, _name)
max, min, sum, abs, all, any, round, pow = (
    getattr(Tensor, _name) for _name in ("max", "min", "sum", "abs", "all", "any", "round", "pow")
)
where, einsum = elementwise.where, linalg.einsum
Tensor.where = lambda self, condition, other: elementwise.where(condition, self, other)
Tensor.T = property(lambda self: self.permute(*reversed(range(self.dim()))))
Tensor.mT = property(shaping.matrices_turned)
Tensor.H = Tensor.T
Tensor.t_ = Tensor.t

from . import autograd, nn, optim, overrides, testing, utils  # noqa: E402


def is_tensor(value: object) -> builtins_bool:
    """Whether a value is a tensor."""
    return isinstance(value, Tensor)


def is_floating_point(value: Tensor) -> builtins_bool:
    """Whether a tensor holds fractions."""
    return value.is_floating_point()


def numel(value: Tensor) -> builtins_int:
    """How many numbers a tensor holds."""
    return value.numel()


def result_type(a: object, b: object) -> dtype:
    """The dtype of what an operation makes of two operands."""
    return elementwise._kind(elementwise.operand(a), elementwise.operand(b))


def is_inference_mode_enabled() -> builtins_bool:
    """Never: `inference_mode` is `no_grad` here."""
    return False


def are_deterministic_algorithms_enabled() -> builtins_bool:
    """Everything here is deterministic."""
    return False


def is_deterministic_algorithms_warn_only_enabled() -> builtins_bool:
    """Everything here is deterministic."""
    return False


def use_deterministic_algorithms(mode: object, **_options: object) -> None:
    """Accepted: everything here is deterministic."""


class _Settings:
    """What PyTorch lets be set and this torch has no use for; it is remembered all the same."""

    threads, anomaly, precision, debug = 1, False, "highest", 0


def _setting(name: str) -> tuple[Callable, Callable]:
    def get() -> object:
        return getattr(_Settings, name)

    def put(value: object, *_more: object, **_options: object) -> None:
        setattr(_Settings, name, value)

    return get, put


get_num_threads, set_num_threads = _setting("threads")
is_anomaly_enabled, _set_anomaly = _setting("anomaly")
autograd.set_detect_anomaly = _set_anomaly
get_float32_matmul_precision, set_float32_matmul_precision = _setting("precision")
get_deterministic_debug_mode, set_deterministic_debug_mode = _setting("debug")
get_num_interop_threads, set_num_interop_threads = get_num_threads, set_num_threads


def is_autocast_enabled(*_device: object) -> builtins_bool:
    """Never."""
    return False


import builtins as _builtins  # noqa: E402

builtins_bool, builtins_int = _builtins.bool, _builtins.int

cuda = types.SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)
backends = types.SimpleNamespace(
    mps=types.SimpleNamespace(is_available=lambda: False),
    cudnn=types.SimpleNamespace(deterministic=False, benchmark=False, enabled=False),
)
_C = types.SimpleNamespace(
    _are_functorch_transforms_active=lambda: False,
    DisableTorchFunctionSubclass=contextlib.nullcontext,
)
jit = types.SimpleNamespace(is_tracing=lambda: False, is_scripting=lambda: False)
version = types.SimpleNamespace(__version__=__version__, cuda=None)
UntypedStorage = Storage


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    if lacking._State.loading or name in TORCH_NAMES:
        return lacking.missing(f"torch.{name}")
    raise AttributeError(f"module 'torch' has no attribute {name!r}")
