"""Compare a function or layer with PyTorch's, forward and backward."""

import inspect

import torch
from torch.testing import assert_close

TOLERANCE = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-10},
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.float16: {"rtol": 1e-2, "atol": 1e-2},
    torch.bfloat16: {"rtol": 4e-2, "atol": 4e-2},
}


def assert_parity(ours, theirs, *arguments):
    """Same output, dtype and gradients from `ours(*arguments)` and `theirs(*arguments)`.

    Tensor arguments that require a gradient are differentiated; so are a module's parameters.
    """
    tolerance = TOLERANCE[arguments[0].dtype]
    output, grads = _run(ours, arguments)
    expected, expected_grads = _run(theirs, arguments)
    assert_close(output, expected, **tolerance)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert_close(grad, expected_grad, **tolerance)


def _run(function, arguments):
    tensors = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
    if isinstance(function, torch.nn.Module):
        tensors += list(function.parameters())
    output = function(*arguments)
    grad_output = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    return output.detach(), torch.autograd.grad(output, tensors, grad_output.to(output.dtype))


def refusal(function, *arguments, **keywords):
    """The exception that a call raises, or None."""
    try:
        function(*arguments, **keywords)
    except Exception as error:
        return error
    return None


def assert_same_refusal(ours, theirs, *arguments, **keywords):
    """Both refuse with the same kind of error; ours in one line."""
    error, expected = refusal(ours, *arguments, **keywords), refusal(theirs, *arguments, **keywords)
    assert expected is not None, "PyTorch accepts this"
    assert isinstance(error, type(expected)), f"{error!r} where PyTorch has {expected!r}"
    assert "\n" not in str(error)
    assert "got" in str(error) or "without" in str(error)
    return str(error)


def assert_same_signature(ours, theirs):
    """The same names, in the same order, with the same defaults."""

    def shape_of(function):
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    assert shape_of(ours) == shape_of(theirs)
