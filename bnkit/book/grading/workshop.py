"""The judge's side of the answers' process: starts it, sends jobs, and reads what it says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bnkit.book.grading.wire import decode, line, text
from bnkit.book.grading.worker import whole_time
from bnkit.book.observe import Observation

__all__ = ["Report", "Workshop"]

START = 300.0  # seconds to import PyTorch on a machine that is busy
_PACKAGE = Path(__file__).parents[3]
# What an answer may know of the teacher's environment: how to start, and no token of theirs.
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_KEPT += ("LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
_QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_QUIET |= {"MPLBACKEND": "Agg", "BNKIT_WIDGETS": "baked", "PYTHONDONTWRITEBYTECODE": "1"}

# What reading a message raises that was made up.
_NOT_OURS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass
class Report:
    """What an answer's process said until it ended, and how it ended.

    The number of the cell that ran last is None where it was the experiments' turn. What it says
    of itself is not believed beyond that: whoever tells right from wrong looks at `seen` alone.
    """

    cell: int | None = -1
    raised: dict[int | None, str] | None = None
    missing: bool = False
    garbled: bool = False
    stopped: bool = False
    ended: str = ""
    seen: list[Observation] | None = None
    stage: str | None = None
    code: int = 0
    late: bool = False

    @classmethod
    def of(cls, messages: Iterator[Mapping], code: int, late: bool) -> Report:
        """What the messages say; those that are none are left out."""
        report = cls(raised={}, code=code, late=late)
        for message in messages:
            try:
                report._hear(message)
            except _NOT_OURS:
                report.garbled = True
        return report

    def _hear(self, message: Mapping) -> None:
        if "cell" in message:
            self.cell = None if message["cell"] is None else int(message["cell"])
        if "raised" in message:
            self.raised[self.cell] = text(message["raised"])
        self.missing |= "missing" in message
        self.stopped |= "stopped" in message
        self.ended = text(message.get("ended", self.ended))
        if "seen" in message:
            self.seen = [decode(each) for each in message["seen"]]
            self.stage = message["stage"] and text(message["stage"])


class Workshop:
    """A process that runs answers, started when there is one; it is started anew where it ends."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.command = [sys.executable, "-m", "bnkit.book.grading.worker"]
        self._process: subprocess.Popen | None = None
        self._late = False

    def run(self, exercise: str, cells: Sequence[tuple[int, str]], closed: Sequence[str]) -> Report:
        """Run the cells and the experiments of an exercise; `closed` are folders not to be read."""
        folder = tempfile.mkdtemp()
        try:
            job = {"exercise": exercise, "cells": list(cells), "limit": self.limit}
            job |= {"folder": folder, "closed": list(closed)}
            process = self._running()
            process.stdin.write(line(job))
            process.stdin.flush()
            return self._report(process, whole_time(job) * 2)
        finally:
            _clear(Path(folder))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._late = False
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=tempfile.gettempdir(),
                env=_environment(),
                start_new_session=True,  # Ctrl-C ends the judge, and the judge ends it
            )
            if not self._line(self._process, START):
                raise RuntimeError("the process that runs answers did not start: see above")
        return self._process

    def _line(self, process: subprocess.Popen, seconds: float) -> bytes:
        """The next line; nothing where the process ended, or is ended because it is late."""

        def end() -> None:
            self._late = True
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            return process.stdout.readline()
        finally:
            timer.cancel()

    def _report(self, process: subprocess.Popen, seconds: float) -> Report:
        heard: list[Mapping] = []
        while answer := self._line(process, seconds):
            for message in _messages(answer.decode(errors="replace")):
                if "said" in message:
                    said = _messages(message["said"])
                    return Report.of(said, message["code"], message["late"])
                heard.append(message)
        return Report.of(iter(heard), process.wait(), self._late)


def _clear(folder: Path) -> None:
    """Remove a folder, however deep an answer made it: what lies in folders moves up first."""
    names = count()
    with contextlib.suppress(OSError):
        while inside := list(os.scandir(folder)):
            for entry in inside:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry)
                    continue
                os.chmod(entry, 0o700)
                for each in os.listdir(entry):
                    os.rename(Path(entry, each), folder / f"moved-{next(names)}")
                os.rmdir(entry)
        folder.rmdir()


def _environment() -> dict[str, str]:
    """The variables of the process that runs answers; this very bnkit is found first."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(filter(None, [str(_PACKAGE), kept.get("PYTHONPATH")]))
    return kept | _QUIET | {"PYTHONPATH": path, "HOME": tempfile.gettempdir()}


def _messages(lines: str) -> Iterator[Mapping]:
    """The messages in some lines of JSON; what is none is left out."""
    for each in lines.splitlines():
        try:
            message = json.loads(each)
        except _NOT_OURS:
            continue
        if isinstance(message, dict):
            yield message
