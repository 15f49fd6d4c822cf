"""The page's torch against PyTorch: Hypothesis draws shapes, axes and operations.

Both live in this process: the page's torch is loaded under another name.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

PAGE = Path(__file__).parents[1] / "page"


def load_page_torch() -> ModuleType:
    folder = PAGE / "torch"
    spec = importlib.util.spec_from_file_location(
        "page_torch", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["page_torch"] = module
    spec.loader.exec_module(module)
    return module


ours = load_page_torch()
few = settings(max_examples=40, deadline=None, derandomize=True)
numbers = st.integers(-64, 64).map(lambda n: n / 16) | st.sampled_from([0.1, 1e-3, 3e4, -7.7])
shapes = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple)


@st.composite
def arrays(draw: Callable, shape: tuple[int, ...] | None = None) -> tuple[tuple[int, ...], list]:
    shape = draw(shapes) if shape is None else shape
    size = math.prod(shape)
    return shape, draw(st.lists(numbers, min_size=size, max_size=size))


@st.composite
def pairs(draw: Callable) -> tuple[tuple, tuple]:
    """Two arrays whose shapes broadcast, or seldom do not."""
    shape = draw(shapes)
    other = tuple(1 if draw(st.integers(0, 2)) == 0 else n for n in shape)
    other = other[draw(st.integers(0, len(other) - 1)) :]
    if draw(st.integers(0, 9)) == 0:
        other = (*other[:-1], other[-1] + 2)
    return draw(arrays(shape)), draw(arrays(other))


def both(array: tuple[tuple[int, ...], list], **options: object) -> tuple[object, object]:
    shape, values = array
    return tuple(t.tensor(values, **options).reshape(shape) for t in (torch, ours))


def plain(value: object) -> object:
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return (
        (tuple(value.shape), str(value.dtype), value.tolist()) if hasattr(value, "shape") else value
    )


def close(a: object, b: object, atol: float) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(close(x, y, atol) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        same = a == b or (a != a and b != b)
        return same or math.isclose(a, b, rel_tol=2e-5, abs_tol=atol)
    return a == b


def agree(function: Callable, *operands: tuple[object, object], atol: float = 1e-5) -> None:
    """The function gives the same with both torches, or raises the same kind of error."""
    found = []
    for i, t in enumerate((torch, ours)):
        try:
            found.append(plain(function(t, *(pair[i] for pair in operands))))
        except Exception as error:
            kinds = (IndexError, TypeError, ValueError, RuntimeError, Exception)
            found.append(next(kind for kind in kinds if isinstance(error, kind)).__name__)
    assert close(found[0], found[1], atol), found


BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge"]
BINARY += ["floor_divide", "remainder", "atan2", "hypot"]


@few
@given(pairs(), st.sampled_from(BINARY))
def test_operations_on_two_tensors_agree_with_broadcasting(arrays: tuple, name: str) -> None:
    agree(lambda t, a, b: getattr(t, name)(a, b), both(arrays[0]), both(arrays[1]))


@few
@given(
    arrays(),
    st.sampled_from([0.1, 2, -3, 0.5, True]),
    st.sampled_from(["+", "-", "*", "/", "**", "//", "%"]),
)
def test_operators_with_numbers_round_as_float32_does(
    array: tuple, number: float, sign: str
) -> None:
    def work(_t: object, x: object) -> object:
        return eval(f"x {sign} number", {"x": x, "number": number})

    agree(work, both(array), atol=0.0)
    agree(lambda _t, x: eval(f"number {sign} x", {"x": x, "number": number}), both(array))


SIGNS = ["+", "-", "*", "/", "**", "//", "%", "@", "&", "|", "^", "<", "<=", "==", "!=", ">"]
SIGNS += ["+=", "-=", "*=", "/=", "**=", "//=", "%=", "&=", "|=", "^="]
KINDS = {
    "float": lambda t: t.tensor([1.5, -2.0]),
    "double": lambda t: t.tensor([1.5, 2.0], dtype=t.float64),
    "whole": lambda t: t.tensor([3, -2]),
    "truth": lambda t: t.tensor([True, False]),
} | {str(value): lambda _t, value=value: value for value in (True, False, 2, -3, 0.5)}  # fmt: skip


@pytest.mark.parametrize("sign", SIGNS)
def test_each_operator_agrees_or_is_refused_for_each_two_kinds_of_operands(sign: str) -> None:
    code = f"x {sign} y" if "=" not in sign or sign in ("<=", "==", "!=") else None

    def work(t: ModuleType, left: str, right: str) -> object:
        names = {"x": KINDS[left](t), "y": KINDS[right](t)}
        if code:
            return eval(code, names)
        exec(f"x {sign} y", names)
        return names["x"]

    for left, right in itertools.product(KINDS, KINDS):
        if {left, right} & {"float", "double", "whole", "truth"}:
            agree(lambda t, left=left, right=right: work(t, left, right))


NAMED = ["maximum", "minimum", "logical_and", "logical_or", "logical_xor", "atan2", "fmod", "lt"]


@pytest.mark.parametrize("name", NAMED)
def test_functions_that_take_no_plain_numbers_refuse_them(name: str) -> None:
    for left, right in itertools.product(KINDS, KINDS):
        agree(lambda t, a=left, b=right: getattr(t, name)(KINDS[a](t), KINDS[b](t)))


@pytest.mark.parametrize(
    "name", ["neg", "abs", "square", "floor", "round", "relu", "sign", "sqrt", "sum"]
)
def test_truth_values_are_refused_where_pytorch_refuses_them(name: str) -> None:
    agree(lambda t: getattr(t, name)(KINDS["truth"](t)))


UNARY = ["sqrt", "rsqrt", "exp", "log", "abs", "square", "neg", "sign", "relu", "sigmoid", "tanh"]
UNARY += ["floor", "ceil", "round", "sin", "cos", "reciprocal", "isnan", "log1p", "expm1", "erf"]
UNARY += ["nan_to_num", "isfinite", "logical_not", "deg2rad", "acos"]


@few
@given(arrays(), st.sampled_from(UNARY))
def test_functions_of_one_tensor_agree(array: tuple, name: str) -> None:
    agree(lambda t, x: getattr(t, name)(x), both(array))


REDUCED = ["sum", "mean", "var", "std", "amax", "amin", "all", "any", "norm", "logsumexp"]


@few
@given(arrays(), st.data(), st.sampled_from(REDUCED), st.booleans())
def test_reductions_over_axes_agree(
    array: tuple, data: st.DataObject, name: str, keep: bool
) -> None:
    count = len(array[0])
    axes = st.integers(-count - 1, count)
    dims = data.draw(axes | st.lists(axes, min_size=1, max_size=count, unique=True).map(tuple))
    if name in ("all", "any"):
        dims = dims if isinstance(dims, int) else dims[0]
    options = {"unbiased": data.draw(st.booleans())} if name in ("var", "std") else {}

    def work(_t: object, x: object) -> object:
        arguments = (2, dims) if name == "norm" else (dims,)
        return getattr(x, name)(*arguments, keepdim=keep, **options)

    agree(work, both(array), atol=1e-4)


@few
@given(
    arrays(), st.data(), st.sampled_from(["max", "min", "argmax", "argmin", "softmax", "cumsum"])
)
def test_extremes_and_their_places_agree(array: tuple, data: st.DataObject, name: str) -> None:
    dim = data.draw(st.integers(-len(array[0]), len(array[0]) - 1))
    agree(lambda _t, x: getattr(x, name)(dim), both(array), atol=1e-1 if name == "cumsum" else 1e-5)


SHAPED = {
    "view": lambda x, n: x.view(n, -1),
    "reshape of a transpose": lambda x, n: x.transpose(0, -1).reshape(-1, n),
    "view of a transpose": lambda x, n: x.transpose(0, -1).view(-1),
    "flatten": lambda x, n: x.flatten(-n),
    "permute": lambda x, n: x.permute(*reversed(range(x.dim()))),
    "movedim": lambda x, n: x.movedim(0, -1),
    "unflatten": lambda x, n: x.flatten().unflatten(0, (-1, n)),
    "squeeze": lambda x, n: x.squeeze(),
    "unsqueeze": lambda x, n: x.unsqueeze(-n),
    "split": lambda x, n: x.split(n),
    "chunk": lambda x, n: x.chunk(n, -1),
    "expand": lambda x, n: x.expand(n, *x.shape),
    "flip": lambda x, n: x.flip(0),
    "repeat": lambda x, n: x.repeat(n, *[1] * x.dim()),
    "roll": lambda x, n: x.roll(n, 0),
    "diag": lambda x, n: x.flatten().diag(),
    "T": lambda x, n: x.mT,
    "unbind": lambda x, n: x.unbind(-1),
}


@few
@given(arrays(), st.sampled_from(sorted(SHAPED)), st.integers(1, 3))
def test_views_and_rearrangements_agree(array: tuple, name: str, n: int) -> None:
    agree(lambda _t, x: SHAPED[name](x, n), both(array))


PLACES = st.one_of(
    st.integers(-3, 3),
    st.builds(slice, st.integers(-3, 3) | st.none(), st.integers(-3, 3) | st.none()),
    st.none(),
    st.just(Ellipsis),
    st.lists(st.integers(-2, 2), min_size=1, max_size=3),
)


@few
@given(arrays(), st.lists(PLACES, min_size=1, max_size=3))
def test_indexing_and_assignment_agree(array: tuple, index: list) -> None:
    index = tuple(index) if index.count(Ellipsis) < 2 else (Ellipsis,)
    agree(lambda _t, x: x[index], both(array))

    def write(_t: object, x: object) -> object:
        y = x.clone()
        y[index] = 7.0
        return y

    agree(write, both(array))


@pytest.mark.parametrize("equal_nan", [True, False])
def test_closeness_agrees_for_each_two_special_numbers(equal_nan: bool) -> None:
    special = [0.0, 1.0, 1.00001, 1.001, -1.0, math.inf, -math.inf, math.nan]
    for pair in itertools.product(special, special):
        values = [t.tensor([list(pair), [1.0, 2.0]]) for t in (torch, ours)]
        agree(
            lambda t, x: [f(x[:, 0], x[:, 1] - t.tensor([0.0, 1.0]), equal_nan=equal_nan)
                          for f in (t.allclose, t.isclose)],
            tuple(values),
        )  # fmt: skip


@few
@given(arrays(), numbers)
def test_masks_select_and_write_as_in_pytorch(array: tuple, limit: float) -> None:
    agree(lambda _t, x: x[x > limit], both(array))
    agree(lambda t, x: t.where(x > limit, x, 0.0), both(array))
    agree(lambda _t, x: x.masked_fill(x > limit, 1.5), both(array))
    agree(lambda t, x: t.cat([x.sum()[x.sum() > limit], x[True].flatten()]), both(array), atol=1e-3)


@few
@given(st.data(), st.tuples(*[st.integers(1, 3)] * 3))
def test_products_of_matrices_agree(data: st.DataObject, sizes: tuple[int, int, int]) -> None:
    n, k, m = sizes
    a, b = data.draw(arrays((n, k))), data.draw(arrays((k, m)))
    agree(lambda _t, x, y: x @ y, both(a), both(b), atol=1.0)
    agree(lambda _t, x, y: x @ y.T, both(a), both(b), atol=1.0)
    agree(lambda t, x, y: t.stack([x[0], x[0]]) @ y[:, 0], both(a), both(b), atol=1.0)


SMOOTH = {
    "products": lambda t, x, y: (x * y + x / (y * y + 1)).sum(),
    "normalized": lambda t, x, y: (
        (x - x.mean(0)) / (x.var(0, unbiased=False) + 1).sqrt() * y
    ).sum(),
    "std": lambda t, x, y: (x.std(0, unbiased=False) * y.mean(0)).sum(),
    "pieces": lambda t, x, y: t.cat([x[1:] * 2, y[:1].exp()]).square().mean(),
    "matrices": lambda t, x, y: (x @ y.T).tanh().sum(),
    "softmax": lambda t, x, y: (x.log_softmax(1) * y).sum(),
    "relu": lambda t, x, y: (x.relu() * y.sigmoid()).sum(),
    "places": lambda t, x, y: (x[[0, 0, 1]] * y[[1, 0, 1]]).sum(),
    "written": lambda t, x, y: _written(t, x, y),
    "extreme": lambda t, x, y: (x.amax(0) * y.max(1)[0].sum()).sum(),
    "shapes": lambda t, x, y: (
        (x.flatten().unflatten(0, (-1, 2)).movedim(0, 1) ** 2).sum() * y[0, 0]
    ),
    "lerp": lambda t, x, y: x.lerp(y, 0.3).square().sum(),
    "clamp": lambda t, x, y: (x.clamp(-1, 1) * y).sum(),
}


def _written(t: ModuleType, x: object, y: object) -> object:
    z = t.zeros(*x.shape)
    z[0] = x[0] * 2
    z[:, 1] = y[:, 0] * z[:, 0]
    z.mul_(y)
    return z.sum()


@few
@given(st.data(), st.sampled_from(sorted(SMOOTH)))
def test_gradients_agree(data: st.DataObject, name: str) -> None:
    a, b = data.draw(arrays((2, 2))), data.draw(arrays((2, 2)))
    small = [(shape, [max(min(v, 4.0), -4.0) for v in values]) for shape, values in (a, b)]

    def work(t: ModuleType, x: object, y: object) -> object:
        x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
        SMOOTH[name](t, x, y).backward()
        return [x.grad, y.grad if y.grad is not None else t.zeros(2, 2)]

    agree(work, both(small[0]), both(small[1]), atol=1e-4)


@pytest.mark.parametrize("seed", [0, 7])
def test_random_numbers_are_those_of_pytorch(seed: int) -> None:
    def work(t: ModuleType) -> list:
        t.manual_seed(seed)
        drawn = [t.randn(3), t.rand(4), t.randperm(6), t.randint(0, 9, (5,)), t.randn(5, 7)]
        return [*drawn, t.nn.Linear(3, 2).weight.detach(), t.randn(2, dtype=t.float64)]

    agree(work)


LAYERS = {
    "BatchNorm1d": ((2,), {}, (4, 2)),
    "BatchNorm1d, cumulative": ((2,), {"momentum": None}, (4, 2)),
    "BatchNorm2d": ((3,), {"eps": 0.1}, (2, 3, 2, 2)),
    "LayerNorm": ((4,), {}, (3, 4)),
    "GroupNorm": ((2, 4), {}, (2, 4, 3)),
    "RMSNorm": ((4,), {}, (3, 4)),
    "InstanceNorm2d": ((2,), {}, (2, 2, 2, 2)),
    "Linear": ((3, 2), {}, (4, 3)),
    "Conv2d": ((2, 4, 2), {"stride": 2, "padding": 1, "groups": 2}, (2, 2, 4, 5)),
    "MaxPool2d": ((2,), {}, (1, 2, 4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_agree_in_both_modes_with_gradients_and_state(name: str) -> None:
    arguments, options, shape = LAYERS[name]

    def work(t: ModuleType) -> list:
        t.manual_seed(0)
        layer = getattr(t.nn, name.split(",")[0])(*arguments, **options)
        x = t.randn(*shape).requires_grad_()
        out = layer(x)
        (out * t.arange(out.numel()).view(out.shape)).sum().backward()
        state = [value for _, value in sorted(layer.state_dict().items())]
        grads = [p.grad for p in layer.parameters()]
        return [
            out.detach(),
            x.grad,
            *state,
            *grads,
            layer.eval()(x).detach(),
            sorted(layer.state_dict()),
            str(layer),
        ]

    agree(work, atol=1e-4)


def test_training_moves_the_same_weights() -> None:
    def work(t: ModuleType) -> list:
        t.manual_seed(0)
        net = t.nn.Sequential(
            t.nn.Linear(3, 4, bias=False), t.nn.BatchNorm1d(4), t.nn.ReLU(), t.nn.Linear(4, 2)
        )
        x, y = t.randn(6, 3), t.tensor([0, 1, 0, 1, 1, 0])
        found = []
        for kind in (t.optim.SGD, t.optim.Adam):
            optimizer = kind(net.parameters(), lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                loss = t.nn.functional.cross_entropy(net(x), y)
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found + [p.detach() for p in net.parameters()]

    agree(work, atol=1e-3)


REFUSED = {
    "a leaf is written into": lambda t: t.ones(2, requires_grad=True).add_(1),
    "a graph is used twice": lambda t: _twice(t),
    "a saved tensor was changed": lambda t: _changed(t),
    "shapes do not fit": lambda t: t.ones(2, 3) @ t.ones(2, 3),
    "whole numbers have no mean": lambda t: t.arange(3).mean(),
    "no such axis": lambda t: t.ones(2).sum(1),
    "a vector is no number": lambda t: t.ones(2).item(),
    "a batch of one": lambda t: t.nn.BatchNorm1d(2)(t.ones(1, 2)),
    "another shape in a file": lambda t: t.nn.Linear(1, 1).load_state_dict(
        {"weight": t.ones(2, 2)}
    ),
    "a result is copied deeply": lambda t: copy.deepcopy(t.ones(1, requires_grad=True) * 2),
    "a dtype that does not hold it": lambda t: t.arange(3).add_(0.5),
    "no attribute": lambda t: t.ones(2).nothing,
}  # fmt: skip


def _twice(t: ModuleType) -> None:
    y = (t.ones(2, requires_grad=True) ** 2).sum()
    y.backward()
    y.backward()


def _changed(t: ModuleType) -> None:
    x = t.ones(2, requires_grad=True) * 1
    y = x * x
    x.add_(1)
    y.sum().backward()


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_kind_of_error(name: str) -> None:
    with pytest.raises(Exception) as theirs:
        REFUSED[name](torch)
    with pytest.raises(type(theirs.value)):
        REFUSED[name](ours)


@pytest.mark.parametrize(
    "values", [[1.0, 2.5], [[1.0, 20000.0]], [[1, 2], [3, 4]], [True], [0.00001, 1.0], 3.5, []]
)
def test_tensors_print_as_in_pytorch(values: object) -> None:
    assert str(ours.tensor(values)) == str(torch.tensor(values))


def test_what_is_absent_is_named_in_one_line() -> None:
    for ask in (lambda: ours.nn.LSTM(2, 3), lambda: ours.fft, lambda: ours.ones(1).numpy()):
        with pytest.raises(AttributeError, match=r"the page's torch lacks .* Colab or JupyterLab"):
            ask()
    with pytest.raises(AttributeError, match="has no attribute 'sqroot'"):
        _ = ours.sqroot
