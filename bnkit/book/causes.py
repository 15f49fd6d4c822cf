"""What usually stands behind an exception, in plain words; and what a value is, in a few."""

from __future__ import annotations

import builtins
import difflib
import re
import traceback
import types
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from bnkit.book.theirs import is_theirs

__all__ = ["CAUSES", "at_the_call", "cause_of", "kind_of", "signature"]

_CALL = re.compile(
    r"(takes .*arguments? .*given|missing \d+ required .*argument|unexpected keyword argument|"
    r"got multiple values for argument|is not callable)"
)
_USUAL = {
    "np": "import numpy as np",
    "F": "import torch.nn.functional as F",
    "scipy": "import scipy",
}
_USUAL |= {"numpy": "import numpy", "math": "import math", "torch": "import torch"}
_USUAL |= {"nn": "from torch import nn", "copy": "import copy"}

# Type, what its message says, and the usual cause; {1} is the first group, {shapes} and {near} are
# what is found in the line. The first that fits counts.
CAUSES: list[tuple[str, str, str]] = [
    ("RuntimeError", r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
     "Two shapes do not broadcast: along one axis one has {1} entries and the other {2}. {shapes}"
     "Shapes are lined up from the right. Is keepdim=True or a view missing?"),
    ("RuntimeError", r"shapes cannot be multiplied \((\S+) and (\S+)\)",
     "A matrix product of {1} and {2}: the inner sizes differ. {shapes}Is a .T missing, or the "
     "order turned around?"),
    ("RuntimeError",
     r"(inconsistent tensor size|vector \+ matrix|size mismatch|1D tensors expected)",
     "The sizes in a product do not fit. {shapes}"),
    ("RuntimeError", r"stack expects each tensor to be equal size",
     "torch.stack takes tensors of one shape. {shapes}torch.cat joins different lengths."),
    ("RuntimeError", r"(shape .* is invalid for input|view size is not compatible|unflatten)",
     "A view must hold just as many numbers as before. {shapes}After a transpose or movedim, use "
     "reshape."),
    ("RuntimeError", r"(output with shape .* doesn't match the broadcast shape|expanded size)",
     "In place, a tensor keeps its shape, and the other one is larger. {shapes}"),
    ("(RuntimeError|IndexError)", r"shape mismatch|must match the shape of the indexed",
     "A mask or an index does not have the shape of what it picks from. {shapes}"),
    ("RuntimeError", r"einsum|subscript", "The letters of einsum do not fit the axes. {shapes}"),
    ("(RuntimeError|NotImplementedError)",
     r"(on the same device|meta tensor|device type|device meta)",
     "Two tensors are on different devices. Make new ones where x is: device=x.device."),
    ("(RuntimeError|AssertionError|AcceleratorError|ValueError)",
     r"(NVIDIA|CUDA|cuda|MPS|mps|HIP|XPU)",
     "Your code asks for a GPU that is not there. The inputs are on the CPU: make new tensors with "
     "device=x.device."),
    ("RuntimeError", r"leaf Variable that requires grad|leaf variable",
     "A parameter is changed in place while gradients are recorded. Do it inside torch.no_grad(), "
     "or make a new tensor."),
    ("RuntimeError", r"modified by an inplace operation",
     "A value that the backward pass needs was changed in place. Make a new tensor: x = x - mean "
     "in place of x -= mean."),
    ("RuntimeError", r"does not require grad and does not have a grad_fn",
     "No gradient leads back from here: something was detached, made into a plain number, or "
     "computed under no_grad."),
    ("RuntimeError", r"backward through the graph a second time",
     "The graph of an earlier step is still attached: a buffer keeps it. Detach what is kept."),
    ("RuntimeError", r"(on Tensor that requires grad|numpy\(\) on)",
     "A tensor with a gradient does not become a NumPy array. Stay with tensors, or detach first."),
    ("RuntimeError", r"Boolean value of Tensor with (more than one|no) value",
     "An if, and, or or needs one truth value, and the tensor holds many. Use .any(), .all(), or "
     "torch.where. {shapes}"),
    ("(RuntimeError|ValueError|TypeError)", r"(cannot be converted to (Python )?[Ss]calar|"
     r"only one element tensors|only length-1|only 0-dimensional)",
     "A tensor with several numbers is used as one number. {shapes}"),
    ("RuntimeError", r"(could not infer output dtype|[Ee]xpected floating point|dtype must be "
     r"either a floating point|can only be of floating|Only Tensors of floating point)",
     "The tensor holds whole numbers. Turn it into floating point first: .float()."),
    ("RuntimeError", r"(can't be cast|result type)",
     "A result in floating point is written into a tensor of whole numbers or truth values."),
    ("(RuntimeError|NotImplementedError)", r"not implemented for '(\w+)'",
     "This operation does not exist for {1}. Which dtype should the tensor have?"),
    ("RuntimeError", r"([Ee]xpected .*(scalar type|dtype)|have the same dtype|same dtype)",
     "Two tensors have different dtypes. Print x.dtype of both."),
    ("RuntimeError", r"expected .* (\dD|\dD or \dD|\d-dimensional) input",
     "The layer expects another number of axes. {shapes}"),
    ("RuntimeError", r"running_mean should contain",
     "The layer was made for another number of features than the input has. {shapes}"),
    ("(RuntimeError|ValueError)", r"Error\(s\) in loading state_dict|Missing key|Unexpected key",
     "The names of what is loaded and of what the module keeps differ. Print state_dict().keys()."),
    ("ValueError", r"[Ee]xpected more than 1 value per channel",
     "With one number per channel a batch has no variance. Does the layer get the whole batch?"),
    ("ValueError", r"expected (\dD|\dD or \dD) input \(got (\dD) input\)",
     "This layer takes {1} inputs and got a {2} one. {shapes}"),
    ("IndexError", r"Dimension out of range .* got (-?\d+)",
     "The tensor has no axis {1}: axes are counted from 0. {shapes}"),
    ("IndexError", r"index (-?\d+) is out of bounds for .*size (\d+)",
     "Index {1} is past the end: with {2} entries the last index is {2} − 1. {shapes}"),
    ("IndexError", r"too many indices", "There are more indices than axes. {shapes}"),
    ("IndexError", r"invalid index|0-dim", "A single number has no axis to index. {shapes}"),
    ("IndexError", r"out of range", "An index is past the end. How long is the list? {shapes}"),
    ("AttributeError", r"before Module.__init__\(\)",
     "A module starts with super().__init__() before anything is put into it."),
    ("AttributeError", r"'(float|int|bool)' object has no attribute '(\w+)'",
     "A plain number has no .{2}. Where did the tensor become a number: .item(), float() or sum() "
     "over everything?"),
    ("AttributeError", r"'NoneType' object has no attribute '(\w+)'",
     "Something is None: a function without a return, a bias that is not there, or a method that "
     "works in place."),
    ("AttributeError", r"'(tuple|list)' object has no attribute '(\w+)'",
     "A {1} has no .{2}: several values came back where one was expected. Take it apart first."),
    ("AttributeError", r"'(Tensor|ndarray)' object has no attribute '(\w+)'",
     "A {1} has no .{2}.{near}"),
    ("AttributeError", r"object has no attribute '(\w+)'",
     "Nothing is kept under the name {1}. Is it set in __init__, and spelled alike?{near}"),
    ("AttributeError", r"module '(\S+)' has no attribute '(\w+)'", "{1} has no {2}.{near}"),
    ("UnboundLocalError", r"variable '(\w+)'",
     "{1} is used before it gets a value: perhaps only one branch sets it."),
    ("NameError", r"name '(\w+)' is not defined",
     "The name {1} is not known here.{near}"),
    ("(ImportError|ModuleNotFoundError)", r"",
     "What you import is not installed here. The exercise needs PyTorch alone."),
    ("ValueError", r"too many values to unpack \(expected (\d+)",
     "There are more values than the {1} names on the left. {shapes}"),
    ("ValueError", r"not enough values to unpack \(expected (\d+), got (\d+)\)",
     "{1} names on the left, and {2} values on the right. {shapes}"),
    ("TypeError", r"cannot unpack non-iterable (\w+)",
     "One value ({1}) is taken apart as if it were several."),
    ("TypeError", r"'(\w+)' object is not (iterable|subscriptable)",
     "A {1} is used as if it held several values: it cannot be looped over or indexed."),
    ("TypeError", r"'(\w+)' object is not callable",
     "A {1} stands before parentheses as if it were a function. Does a name hide a function, or is "
     "an operator missing?"),
    ("TypeError", r"(takes .*arguments?.*given|missing \d+ required .*argument|multiple values)",
     "The number of arguments differs. Compare the line def …(…) with the one asked for, or with "
     "the call; a method has self as well."),
    ("TypeError", r"unexpected keyword argument '(\w+)'",
     "There is no argument called {1}. Compare with the signature that is asked for."),
    ("TypeError", r"unsupported operand type\(s\) for (\S+): '(\w+)' and '(\w+)'",
     "{1} does not work between {2} and {3}. Is one of them a list, or None?"),
    ("TypeError", r"'(\S+)' not supported between instances of '(\w+)' and '(\w+)'",
     "{2} and {3} cannot be compared. Is one of them None at the start?"),
    ("TypeError", r"invalid combination of arguments|must be|cannot assign",
     "An argument has the wrong type or name. {shapes}"),
    ("ValueError", r"math domain error|expected a nonnegative",
     "A root, logarithm or arc cosine of a number outside its range."),
    ("TypeError", r"", "A value of the wrong type. {shapes}"),
    ("ZeroDivisionError", r"", "The divisor is 0 for this input. What should hold there?"),
    ("KeyError", r"'?([^']*)'?", "There is no entry {1}. Print the keys."),
    ("RecursionError", r"", "A function calls itself without end."),
    ("FileNotFoundError", r"",
     "The file is not there. The check runs in a folder of its own."),
    ("(SystemExit|KeyboardInterrupt)", r"", "Your code ends the program. Return a value instead."),
    ("AssertionError", r"", "An assertion in your code does not hold for this input."),
    ("(MemoryError|OutOfMemoryError)", r"", "The code asks for more memory than there is."),
    ("NotImplementedError", r"missing the required \"forward\"",
     "The module has no method called forward. Is it there, indented, and spelled alike?"),
    ("NotImplementedError", r"",
     "One branch still raises NotImplementedError, and this input goes there."),
    ("(_LinAlgError|LinAlgError)", r"",
     "The matrix cannot be taken apart: it is singular or not symmetric. Is epsilon on its "
     "diagonal?"),
]  # fmt: skip


def cause_of(exception: BaseException) -> str:
    """The usual cause in words; empty where none is known."""
    kind, message = type(exception).__name__, str(exception)
    for types_, pattern, words in CAUSES:
        found = re.search(pattern, message) if re.fullmatch(types_, kind) else None
        if found:
            told = {"shapes": _shapes(exception), "near": _near(exception)}
            return words.format(message, *found.groups(), **told).strip()
    return ""


def _own_frame(exception: BaseException) -> tuple[types.FrameType, str] | None:
    """The innermost frame of the learner's, and its line."""
    found = None
    for frame, number in traceback.walk_tb(exception.__traceback__):
        if is_theirs(frame.f_code.co_filename):
            found = frame, number
    if not found:
        return None
    summary = traceback.FrameSummary(found[0].f_code.co_filename, found[1], "")
    return found[0], summary.line or ""


def _shapes(exception: BaseException) -> str:
    """The shapes of the tensors that stand in the line, in words."""
    found = _own_frame(exception)
    if not found:
        return ""
    frame, line = found
    said = [f"{text} is {shape_of(value)}" for text, value in _tensors(line, frame)]
    return f"In that line {', '.join(said)}. " if said else ""


def _tensors(line: str, frame: types.FrameType) -> list[tuple[str, Tensor]]:
    names = {**frame.f_globals, **frame.f_locals}
    found: dict[str, Tensor] = {}
    for text in dict.fromkeys(re.findall(r"\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?", line)):
        first, _, rest = text.partition(".")
        value = names.get(first)
        if isinstance(value, nn.Module) and rest:
            text, value = f"{first}.{rest}", vars(value).get("_parameters", {}).get(rest)
        if isinstance(value, Tensor):
            found.setdefault(text if value is not names.get(first) else first, value)
    return list(found.items())[:4]


def shape_of(value: Tensor) -> str:
    """A shape as ``(3, 2)``, or in words where there is no axis."""
    return str(tuple(value.shape)) if value.dim() else "a single number"


def _near(exception: BaseException) -> str:
    """The nearest name that there is, or the import that is missing."""
    name = getattr(exception, "name", None)
    if not name:
        found = re.search(r"attribute '(\w+)'", str(exception))
        name = found[1] if found else ""
    if isinstance(exception, NameError) and name in _USUAL:
        return f" Is “{_USUAL[name]}” missing?"
    near = difflib.get_close_matches(name, list(_names(exception)), n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def _names(exception: BaseException) -> Iterable[str]:
    """The names among which the learner's may have been meant."""
    if isinstance(exception, NameError):
        found = _own_frame(exception)
        names = {**found[0].f_globals, **found[0].f_locals} if found else {}
        return [*names, *vars(builtins)]
    holder = getattr(exception, "obj", None)
    if holder is None and (found := _own_frame(exception)):
        holder = found[0].f_locals.get("self")
    try:
        return [name for name in dir(holder) if not name.startswith("_")]
    except Exception:  # of a module that has not been set up, for instance
        return []


def at_the_call(exception: BaseException) -> bool:
    """Whether the call itself failed: the answer takes other arguments, or cannot be called."""
    return isinstance(exception, TypeError) and bool(_CALL.search(str(exception)))


def signature(exception: BaseException) -> str:
    """What two exceptions with one cause share: type, name, and the numbers in any order."""
    text = re.sub(r"0x[0-9a-f]+", "", str(exception))
    name = getattr(exception, "name", None)
    numbers = sorted(re.findall(r"\d+", text)) if isinstance(exception, _NUMBERED) else []
    return " ".join([type(exception).__name__, *filter(None, [name]), *numbers])


_NUMBERED = (RuntimeError, IndexError, ValueError, TypeError)


def kind_of(value: object) -> str:
    """What a value is, in a few words that hold no number of it."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return _kind_of_tensor(value)
    if isinstance(value, (tuple, list)):
        name = "a tuple" if isinstance(value, tuple) else "a list"
        if value and all(isinstance(item, Tensor) for item in value[:4]):
            inside = "shapes " + ", ".join(str(tuple(item.shape)) for item in value[:4])
        else:
            inside = ", ".join(type(item).__name__ for item in value[:4])
        return f"{name} of {len(value)}: {inside or 'empty'}{', …' if len(value) > 4 else ''}"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _kind_of_tensor(value: Tensor) -> str:
    odd = "sparse " if value.layout != torch.strided else ""
    odd += "complex " if value.is_complex() else ""
    where = " on the device meta, without numbers" if value.device.type == "meta" else ""
    if not value.dim():
        return f"one {odd}number{where}"
    return f"one {odd}tensor of shape {tuple(value.shape)}{where}"
