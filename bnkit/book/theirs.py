"""Tells a learner's code from a library's and from ours, and shows the line that raised."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from pathlib import Path

import torch

__all__ = ["is_theirs", "own_frames", "own_line"]

_LIBRARIES = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_NOT_THEIRS = (
    "<frozen ",
    *(
        str(folder) + os.sep
        for folder in (Path(__file__).parents[1], Path(torch.__file__).parent, *_LIBRARIES)
    ),
)
_TOO_LONG = 300  # characters of a message that a learner reads


def is_theirs(file: str) -> bool:
    """Whether code of a file is a learner's: no library's and not ours."""
    return not file.startswith(_NOT_THEIRS)


def own_frames(exception: BaseException, innermost: bool = False) -> list[traceback.FrameSummary]:
    """The lines of the learner's code on the way to an exception; or none where others follow."""
    frames = traceback.extract_tb(exception.__traceback__)
    if innermost:
        return [frame for frame in frames[-1:] if is_theirs(frame.filename)]
    return [frame for frame in frames if is_theirs(frame.filename)]


def own_line(exception: BaseException) -> str:
    """The exception and, where there is one, the last line of the learner's code that led to it."""
    message = traceback.format_exception_only(exception)[-1].strip()
    if "NVIDIA" in message or "CUDA" in message:  # advice on drivers follows
        message = re.split(r"\.\s|\n", message)[0]
    if len(message) > _TOO_LONG:
        message = message[:_TOO_LONG].rsplit(" ", 1)[0] + " …"
    theirs = own_frames(exception)
    if not theirs:
        return message
    last = theirs[-1]
    return f"{message}\nin line {last.lineno} of {last.name}: {last.line}".rstrip(" :")
