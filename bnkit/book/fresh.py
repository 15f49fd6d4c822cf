"""Which code a check sees: what has the answer's name, whether it is new, and why it is not newer.

A cell that was edited and not run, that has a syntax error or whose function has a new name leaves
the old function under the old name. The card must say so, and not judge it once more.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from types import CodeType

__all__ = ["latest", "same_code", "unseen"]

CELL = re.compile(r"<ipython-input-(\d+)-|In ?\[(\d+)\]")  # as IPython 7 and 8 call a cell's code
UNTOLD = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__"}
SYNTAX = "Cell [{cell}] has a syntax error in line {line}, so it made no new `{name}`."
RENAMED = "Cell [{cell}] makes `{other}`, and the check looks for `{name}`."
STOPPED = "Cell [{cell}] stopped with an exception before it made a new `{name}`."


def latest(answer: Callable) -> object:
    """What the learner's namespace now holds under the answer's name; else the answer itself."""
    shell = _shell()
    names = shell.user_ns if shell is not None else vars(sys.modules["__main__"])
    return names.get(getattr(answer, "__name__", ""), answer)


def same_code(one: object, other: object) -> bool:
    """Whether two answers are the same by their code; comments and empty lines do not count."""
    if one is other:
        return True
    prints = _fingerprint(one), _fingerprint(other)
    return None not in prints and prints[0] == prints[1]


def _fingerprint(answer: object) -> object:
    """What an answer's code comes to, wherever it stands; None where it has no code to compare."""
    if isinstance(answer, type):
        own = {name: _member(v) for name, v in vars(answer).items() if name not in UNTOLD}
        return [base.__qualname__ for base in answer.__bases__], own
    function = inspect.unwrap(answer) if callable(answer) else None
    if not inspect.isfunction(function):
        return None
    enclosed = [id(cell.cell_contents) for cell in function.__closure__ or ()]
    return _stripped(function.__code__), repr(function.__defaults__), enclosed


def _member(value: object) -> object:
    """What a class holds under a name: code as code, all else as it prints itself."""
    value = getattr(value, "__func__", getattr(value, "fget", value))
    if not inspect.isfunction(value):
        return repr(value)
    return _stripped(inspect.unwrap(value).__code__), repr(value.__defaults__)


def _stripped(code: CodeType) -> tuple:
    """Code without its place: a line further down it is the same."""
    inner = [_stripped(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, inner, code.co_names, code.co_varnames, code.co_freevars


def unseen(name: str, answer: object) -> str:
    """Why a cell that was run after the answer's has made no newer one; empty if none is to blame.

    Syntax errors and exceptions are looked for in every cell that defines the name, another name
    only in the newest cell that defines anything.
    """
    shell, made = _shell(), _cell_of(answer)
    if shell is None or made is None:
        return ""
    raw = enumerate(shell.history_manager.input_hist_raw)
    later = [(cell, source) for cell, source in raw if cell > made and "exercise(" not in source]
    cells = [each for each in later if re.search(r"^(def|class) ", each[1], re.MULTILINE)]
    for cell, source in reversed(cells):
        if re.search(rf"^(def|class) {re.escape(name)}\b", source, re.MULTILINE):
            return _broken(cell, source, name)
        if cell == cells[-1][0] and (words := _renamed(cell, source, name, answer)):
            return words
    return ""


def _broken(cell: int, source: str, name: str) -> str:
    try:
        ast.parse(_shell().transform_cell(source))
    except SyntaxError as error:
        return SYNTAX.format(cell=cell, line=error.lineno, name=name)
    return STOPPED.format(cell=cell, name=name)


def _renamed(cell: int, source: str, name: str, answer: object) -> str:
    names = re.findall(r"^(?:def|class) (\w+)", source, re.MULTILINE)
    for other in names:
        made = _shell().user_ns.get(other)
        if _cell_of(made) == cell and _signature(made) == _signature(answer):
            return RENAMED.format(cell=cell, other=other, name=name)
    return ""


def _signature(answer: object) -> list[str]:
    try:
        return [type(answer).__name__, *inspect.signature(answer).parameters]
    except (TypeError, ValueError):
        return []


def _cell_of(answer: object) -> int | None:
    """The number of the cell that made an answer."""
    if isinstance(answer, type):
        answer = next(filter(inspect.isfunction, vars(answer).values()), None)
    answer = inspect.unwrap(answer) if callable(answer) else None
    shell = _shell()
    if shell is None or not inspect.isfunction(answer):
        return None
    file = answer.__code__.co_filename
    name = getattr(shell.compile, "format_code_name", lambda file: None)(file)
    found = CELL.search(name[1] if name else file)
    return int(found[1] or found[2]) if found else None


def _shell() -> object | None:
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
