"""Start a function in several processes, and tell which of them failed."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing import connection, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing

__all__ = ["RankError", "launch"]

Failure = tuple[int, float, int, str]  # order, time, rank, message
_GRACE = 2.0  # seconds in which the ranks that depend on a failed one may report, too


class RankError(RuntimeError):
    """A process of :func:`launch` failed; `rank` is the one that failed first.

    Example:
        >>> import math
        >>> try:
        ...     launch(math.sqrt, 2)  # takes one argument, and is given two
        ... except RankError as error:
        ...     error.rank in (0, 1)
        True
    """

    def __init__(self, message: str, rank: int = -1) -> None:
        super().__init__(message)
        self.rank = rank


def launch(
    worker: Callable[..., Any],
    world_size: int,
    *args: Any,
    backend: str = "gloo",
    timeout: float = 60.0,
    threads: int = 1,
) -> list[Any]:
    """Run ``worker(rank, world_size, *args)`` in `world_size` new processes.

    The processes form a process group while the worker runs. They meet through a file, and talk
    through the loopback interface where gloo can be told to. Nothing that a worker prints appears
    in a notebook: return it instead.

    Args:
        worker: A function that the new processes can import, so one from a module: not a lambda,
            not one defined in a notebook.
        world_size: Number of processes.
        *args: Further arguments; each process gets a copy.
        backend: ``"gloo"`` on the CPU, ``"nccl"`` with one GPU for each process.
        timeout: Seconds for which a process waits for the others before it gives up.
        threads: Threads for PyTorch in each process.

    Returns:
        What each process returned, in order of rank.

    Raises:
        RankError: A process raised, was killed or left without returning. The first line names the
            rank that failed first and how; its traceback follows. All processes have ended then.
        ValueError: `world_size` below 1, or a worker that other processes cannot import.

    Example:
        >>> from operator import add
        >>> launch(add, 2)  # in rank 0: 0 + 2
        [2, 3]

    Source: ``torch.multiprocessing.spawn`` starts processes alike, but returns nothing and blames
    the process whose end it sees first, which need not be the one that failed first.
    """
    if world_size < 1:
        raise ValueError(f"expected world_size >= 1, got {world_size}")
    _check_importable(worker)
    payload = pickle.dumps((worker, args))
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bnkit-", ignore_cleanup_errors=True) as folder:
        rest = world_size, payload, folder, backend, timeout, threads
        processes = [spawn.Process(target=_run, args=(rank, *rest)) for rank in range(world_size)]
        try:
            for process in processes:
                process.start()
            failures = _wait(processes, folder)
        finally:
            _end(processes)
        if failures:
            _, _, rank, what = min(failures)
            raise RankError(f"rank {rank} of {world_size} {what}", rank)
        return [_read_report(folder, rank)["value"] for rank in range(world_size)]


def _check_importable(worker: Callable[..., Any]) -> None:
    main = sys.modules["__main__"]
    interactive = getattr(worker, "__module__", None) == "__main__" and not (
        hasattr(main, "__file__") or getattr(main, "__spec__", None)
    )
    name = getattr(worker, "__qualname__", "")
    if interactive or "<" in name:
        raise ValueError(f"expected a worker that a module defines, got {name}: move it to a file")


def _run(
    rank: int,
    world_size: int,
    payload: bytes,
    folder: str,
    backend: str,
    timeout: float,
    threads: int,
) -> None:
    """Body of each process: join the group, work, report."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        torch.set_num_threads(threads)
        worker, args = pickle.loads(payload)
        _join_group(rank, world_size, folder, backend, timeout)
        _write_report(folder, rank, {"value": worker(rank, world_size, *args)})
        dist.destroy_process_group()
    except BaseException as error:
        what = traceback.format_exception_only(type(error), error)[-1].strip()
        own = traceback.format_exception(type(error), error, error.__traceback__.tb_next)
        _write_report(folder, rank, {"error": what, "trace": "".join(own)})
        sys.exit(1)


def _end_with_parent() -> None:
    parent_process().join()
    os._exit(1)


def _join_group(rank: int, world_size: int, folder: str, backend: str, timeout: float) -> None:
    device = torch.device("cuda", rank) if backend == "nccl" else None
    if device:
        torch.cuda.set_device(device)
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if loopback in {name for _, name in socket.if_nameindex()}:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    # Gloo connects pair by pair. A rank that works briefly and leaves would close connections while
    # others still wait for theirs; so all wait until each has joined, in new groups, too.
    os.environ.setdefault("TORCH_DIST_INIT_BARRIER", "1")
    dist.init_process_group(
        backend,
        store=dist.FileStore(str(Path(folder, "store")), world_size),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=timeout),
        device_id=device,
    )


def _write_report(folder: str, rank: int, report: dict[str, Any]) -> None:
    path = Path(folder, f"rank-{rank}.pickle")
    data = pickle.dumps(report | {"time": time.time()})
    path.with_suffix(".part").write_bytes(data)
    path.with_suffix(".part").replace(path)  # there whole or not at all


def _read_report(folder: str, rank: int) -> dict[str, Any]:
    path = Path(folder, f"rank-{rank}.pickle")
    return pickle.loads(path.read_bytes()) if path.exists() else {}


def _wait(processes: list[BaseProcess], folder: str) -> list[Failure]:
    """Failures, once all processes have ended or soon after the first failed."""
    running = {process.sentinel: rank for rank, process in enumerate(processes)}
    failures, deadline = [], None
    while running and (deadline is None or time.monotonic() < deadline):
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        for sentinel in connection.wait(list(running), left):
            rank = running.pop(sentinel)
            processes[rank].join()
            failure = _failure(rank, processes[rank].exitcode, _read_report(folder, rank))
            if failure is not None:
                failures.append(failure)
                deadline = deadline or time.monotonic() + _GRACE
    return failures


def _failure(rank: int, exitcode: int, report: dict[str, Any]) -> Failure | None:
    if exitcode == 0 and "value" in report:
        return None
    if "error" in report:
        return 1, report["time"], rank, f"raised {report['error']}\n\n{report['trace']}"
    if exitcode >= 0:
        hint = "; a script calls launch below `if __name__ == '__main__':`" if exitcode == 1 else ""
        return 0, time.time(), rank, f"ended with exit code {exitcode} and returned nothing{hint}"
    known = {number.value: number.name for number in signal.Signals}
    name = known.get(-exitcode, f"signal {-exitcode}")
    # The others raise for want of a killed rank, so it comes before them, whenever it was seen
    # to end. C++ aborts, however, can be a consequence, too.
    order = 1 if name == "SIGABRT" else 0
    return order, time.time(), rank, f"was killed by {name}"


def _end(processes: list[BaseProcess]) -> None:
    """Leave no process behind: ask, then kill."""
    for stop in ("terminate", "kill"):
        alive = [process for process in processes if process.pid and process.is_alive()]
        for process in alive:
            getattr(process, stop)()
        until = time.monotonic() + 5
        for process in alive:
            process.join(max(0.0, until - time.monotonic()))
