"""The tensor: a list of numbers that several tensors may share, a layout, a dtype, a history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from . import dtypes
from .autograd.engine import Accumulate, Node, backward, edge_of, record
from .autograd.modes import is_grad_enabled
from .dtypes import dtype
from .known import TENSOR_NAMES
from .lacking import lacks
from .layout import Layout, Size, dense, positions
from .overrides import announced

__all__ = [
    "Storage", "Tensor", "device", "gather", "make", "scalar", "scatter", "view", "write",
    "written",
]  # fmt: skip

LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
LEAF_VIEW = "a view of a leaf Variable that requires grad is being used in an in-place operation."
NOT_SCALAR = "Boolean value of Tensor with {} is ambiguous"


class device:  # noqa: N801
    """Where tensors live: here, always the processor."""

    index = None

    def __init__(self, name: object = "cpu") -> None:
        self.type = str(name).split(":")[0]
        if self.type != "cpu":
            raise lacks(f"the device {name!r}")

    def __str__(self) -> str:
        return self.type

    def __repr__(self) -> str:
        return f"device(type='{self.type}')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device)

    def __hash__(self) -> int:
        return hash(self.type)


class Storage:
    """A list of numbers, and how often it was written into."""

    __slots__ = ("values", "version")

    def __init__(self, values: list) -> None:
        self.values, self.version = values, 0

    def data_ptr(self) -> int:
        """A number that two tensors share if they share their numbers."""
        return id(self.values)


class Tensor:
    """An array of numbers of one dtype."""

    layout_: Layout
    dtype: dtype
    _storage: Storage
    _wants = False  # a leaf whose gradient is collected
    _node: Node | None = None
    _output = 0
    _collector: Accumulate | None = None
    _base: Tensor | None = None  # of a view that is differentiable
    _moves = 0  # how often the history of a base changed
    _moved = 0  # as far as a view has followed
    _number = False  # a Python number in an operation
    _retains = False
    grad: Tensor | None = None

    def __new__(cls, *given: object, **options: object) -> Tensor:
        """`torch.Tensor(2, 3)` or `torch.Tensor([1, 2])`, as PyTorch's oldest way goes."""
        from . import creation

        if len(given) == 1 and isinstance(given[0], (list, tuple, Tensor)):
            return creation.tensor(given[0], dtype=dtypes.default.kind)
        return creation.zeros(*given)

    @property
    def shape(self) -> Size:
        """Sizes of the axes."""
        return self.layout_.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.layout_.shape)

    @property
    def device(self) -> device:
        """Where it lives."""
        return _CPU

    @property
    def is_cuda(self) -> bool:
        """Never here."""
        return False

    layout = property(lambda self: "strided")
    is_sparse = is_meta = is_quantized = is_mps = property(lambda self: False)

    @property
    def _version(self) -> int:
        return self._storage.version

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it that is noted."""
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients of it are wanted or pass through it."""
        return self._wants or self.grad_fn is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made it; a view follows what was written into its base."""
        base = self._base
        if base is not None and self._moved != base._moves:
            self._moved = base._moves
            at, shape = _within(self, base), base.shape
            edge = edge_of(base)
            if edge is not None:
                self._node = Node("AsStridedBackward0", [edge], [lambda g: scatter(g, at, shape)])
                self._output = 0
        return self._node

    def _set_history(self, node: Node, output: int = 0) -> None:
        self._node, self._output = node, output

    @property
    def data(self) -> Tensor:
        """The same numbers without history; writing into them is not noticed."""
        shared = Storage(self._storage.values)
        return _assemble(shared, self.layout_, self.dtype)

    @data.setter
    def data(self, other: Tensor) -> None:
        self._storage, self.layout_, self.dtype = other._storage, other.layout_, other.dtype

    def values(self) -> list:
        """The numbers in reading order; not to be written into."""
        layout, held = self.layout_, self._storage.values
        if layout.is_dense:
            end = layout.offset + math.prod(layout.shape)
            return held if end - layout.offset == len(held) else held[layout.offset : end]
        return [held[i] for i in positions(layout)]

    def numel(self) -> int:
        """How many numbers."""
        return math.prod(self.layout_.shape)

    nelement = numel

    def dim(self) -> int:
        """Number of axes."""
        return len(self.layout_.shape)

    ndimension = dim

    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """Steps between neighbors of each axis, or of one."""
        return self.layout_.strides if dim is None else self.layout_.strides[dim]

    def storage_offset(self) -> int:
        """Where it begins in its storage."""
        return self.layout_.offset

    def data_ptr(self) -> int:
        """A number that differs where the memory differs."""
        return id(self._storage.values) + self.layout_.offset * self.dtype.itemsize

    def untyped_storage(self) -> Storage:
        """What it shares with its views."""
        return self._storage

    storage = untyped_storage

    def is_contiguous(self, **_options: object) -> bool:
        """Whether the numbers lie in reading order."""
        return self.layout_.is_dense

    def element_size(self) -> int:
        """Bytes of one number."""
        return self.dtype.itemsize

    def get_device(self) -> int:
        """-1, as on every processor."""
        return -1

    def is_floating_point(self) -> bool:
        """Whether it holds fractions."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Never here."""
        return False

    @announced
    def item(self) -> float | int | bool:
        """Its one number."""
        if self.numel() != 1:
            raise RuntimeError(
                f"a Tensor with {self.numel()} elements cannot be converted to Scalar"
            )
        return self.values()[0]

    @announced
    def tolist(self) -> object:
        """Nested lists of its numbers."""
        values = list(self.values())
        if not self.shape:
            return values[0]
        for at in range(len(self.shape) - 1, 0, -1):
            size, count = self.shape[at], math.prod(self.shape[:at])
            values = [values[i * size : (i + 1) * size] for i in range(count)]
        return values

    def detach(self) -> Tensor:
        """The same numbers without history."""
        return _assemble(self._storage, self.layout_, self.dtype)

    def detach_(self) -> Tensor:
        """Forget the history."""
        self._node, self._wants, self._base = None, False, None
        return self

    def clone(self, **_options: object) -> Tensor:
        """A copy that gradients pass through."""
        return record(
            make(list(self.values()), self.shape, self.dtype), "CloneBackward0", (self, lambda g: g)
        )

    def contiguous(self, **_options: object) -> Tensor:
        """Itself where the numbers lie in reading order, else a copy."""
        return self if self.layout_.is_dense else self.clone()

    def requires_grad_(self, value: bool = True) -> Tensor:
        """Ask for gradients of a leaf, or no longer."""
        if not value and self.grad_fn is not None:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        if value and not self.dtype.is_floating_point:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if self.grad_fn is None:
            self._wants = bool(value)
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor in the middle of a graph."""
        if self.grad_fn is not None and not self._retains:
            self._retains = True
            self.grad_fn.retained.append((self._output, self))

    def register_hook(self, hook: Callable) -> object:
        """Call a function with every gradient that arrives here."""
        edge = edge_of(self)
        if edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        edge[0].hooks.append((edge[1], hook))
        return type(
            "Handle", (), {"remove": lambda handle: edge[0].hooks.remove((edge[1], hook))}
        )()

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: object = None,
    ) -> None:
        """Add the gradients of this number to the leaves that it comes from."""
        backward(self, gradient, retain_graph, create_graph)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: object) -> bool:
        return bool((self == value).any())

    def __bool__(self) -> bool:
        if self.numel() != 1:
            what = "no values" if self.numel() == 0 else "more than one value"
            raise RuntimeError(NOT_SCALAR.format(what))
        return bool(self.item())

    @announced
    def __float__(self) -> float:
        return float(self.item())

    @announced
    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.is_floating_point or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self.shape else object.__format__(self, spec)

    def __hash__(self) -> int:
        return id(self)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if id(self) in memo:
            return memo[id(self)]
        if self.grad_fn is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
                "because of a torch.nn.utils.weight_norm usage"
            )
        made = make(list(self.values()), self.shape, self.dtype, type(self))
        made._wants = self._wants
        memo[id(self)] = made
        if self.grad is not None:
            made.grad = self.grad.__deepcopy__(memo)
        return made

    def __reduce__(self) -> tuple:
        return _rebuilt, (
            list(self.values()),
            tuple(self.shape),
            self.dtype,
            type(self),
            self._wants,
        )

    def __array__(self, *_args: object, **_options: object) -> object:
        raise lacks("numpy")

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or name.startswith("_"):
            raise AttributeError(name)
        if name in TENSOR_NAMES:
            raise lacks(f"Tensor.{name}")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


_CPU = device()


def _rebuilt(values: list, shape: tuple, kind: dtype, cls: type, wants: bool) -> Tensor:
    made = make(values, shape, kind, cls)
    made._wants = wants
    return made


def _assemble(storage: Storage, layout: Layout, kind: dtype, cls: type = Tensor) -> Tensor:
    made = object.__new__(cls)
    made._storage, made.layout_, made.dtype = storage, layout, kind
    return made


def make(values: list, shape: Sequence[int], kind: dtype, cls: type = Tensor) -> Tensor:
    """A new tensor of numbers that are of its dtype already."""
    return _assemble(Storage(values), dense(tuple(shape)), kind, cls)


def scalar(value: float | int | bool, like: dtype | None = None) -> Tensor:
    """A Python number as an operand."""
    kind = dtypes.of_value(value)
    if like is not None and like.kind >= kind.kind:
        kind = like
    made = make(kind.rounded([value]), (), kind)
    made._number = True
    return made


def view(tensor: Tensor, name: str, change: Callable[[Layout], Layout]) -> Tensor:
    """The same numbers in another layout; gradients find their way back by it."""
    made = _assemble(tensor._storage, change(tensor.layout_), tensor.dtype)
    if is_grad_enabled():
        base = tensor if tensor._base is None else tensor._base
        made._base, made._moved = base, base._moves
        if edge_of(tensor) is not None:
            at, shape = positions(change(dense(tensor.shape))), tensor.shape
            record(made, name, (tensor, lambda g: scatter(g, at, shape)))
    return made


def gather(x: Tensor, at: Sequence[int | None], shape: Sequence[int]) -> Tensor:
    """A new tensor of the numbers at these places in reading order; 0 where None stands."""
    values, size = x.values(), x.shape
    zero = x.dtype.rounded([0])[0]
    found = [zero if i is None else values[i] for i in at]
    out = make(found, shape, x.dtype)
    return record(out, "IndexBackward0", (x, lambda g: scatter(g, at, size)))


def scatter(x: Tensor, at: Sequence[int | None], shape: Sequence[int]) -> Tensor:
    """Numbers added up at these places in reading order of a new tensor: `gather` turned round."""
    values = [x.dtype.rounded([0])[0]] * math.prod(shape)
    for i, value in zip(at, x.values(), strict=True):
        if i is not None:
            values[i] += value
    out, size = make(x.dtype.rounded(values), shape, x.dtype), x.shape
    return record(out, "ScatterBackward0", (x, lambda g: gather(g, at, size)))


def _within(part: Tensor, base: Tensor) -> list[int]:
    """Where a view's numbers stand in reading order of its base."""
    if base.layout_.is_dense:
        return [i - base.layout_.offset for i in positions(part.layout_)]
    place = {at: i for i, at in enumerate(positions(base.layout_))}
    return [place[at] for at in positions(part.layout_)]


def write(target: Tensor, out: Tensor) -> Tensor:
    """Write a result into a tensor, together with the result's history."""
    check_writable(target)
    if out.shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(out.shape)}"
        )
    if out.dtype.kind > target.dtype.kind:
        names = {"float32": "Float", "float64": "Double", "int64": "Long", "bool": "Bool"}
        found, wanted = (names.get(d.name, d.name) for d in (out.dtype, target.dtype))
        raise RuntimeError(f"result type {found} can't be cast to the desired output type {wanted}")
    follows = is_grad_enabled() and (out.requires_grad or target.requires_grad)
    values = out.values() if out.dtype is target.dtype else target.dtype.rounded(out.values())
    held, layout = target._storage.values, target.layout_
    if layout.is_dense:
        held[layout.offset : layout.offset + len(values)] = list(values)
    else:
        for i, value in zip(positions(layout), values, strict=True):
            held[i] = value
    target._storage.version += 1
    if follows:
        _follow(target, out)
    return target


def check_writable(target: Tensor) -> None:
    """RuntimeError where writing would lose a gradient, or has no single place."""
    if is_grad_enabled():
        if target._wants and target._node is None:
            raise RuntimeError(LEAF)
        base = target._base
        if base is not None and base._wants and base.grad_fn is None:
            raise RuntimeError(LEAF_VIEW)
    for size, stride in zip(target.shape, target.layout_.strides, strict=True):
        if stride == 0 and size > 1:
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a "
                "single memory location. Please clone() the tensor before performing the operation."
            )


def _follow(target: Tensor, out: Tensor) -> None:
    """Let the history of a tensor, and of the base that it is a view of, be that of a result."""
    base = target._base
    edge = edge_of(out)
    if base is not None:
        at, shape, size = _within(target, base), base.shape, target.shape
        inside = set(at)
        keeps = [None if i in inside else i for i in range(base.numel())]

        def outside(g: Tensor) -> Tensor:
            return gather(g, keeps, shape)

        rules = [outside, lambda g: gather(g, at, size)]
        base._set_history(Node("CopySlices", [edge_of(base), edge], rules))
        base._moves += 1
        target._moved = base._moves
    if edge is None:
        target._node = None
    else:
        target._set_history(*edge)
    if base is None:
        target._moves += 1


def written(name: str, operation: Callable) -> Callable:
    """The variant of an operation that writes into its first operand: `add_` from `add`."""

    def in_place(self: Tensor, *args: object, **options: object) -> Tensor:
        check_writable(self)
        return write(self, operation(self, *args, **options))

    in_place.__name__ = in_place.__qualname__ = name
    in_place.__doc__ = f"As `{name[:-1]}`, written into the tensor itself."
    return in_place
