"""The training loop: `fit`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from bnkit.training.checkpoint import TrainingState
from bnkit.training.early_stopping import EarlyStopping
from bnkit.training.evaluation import Loader, evaluate, means_over_samples
from bnkit.training.history import History
from bnkit.training.place import (
    LossFunction,
    Modes,
    Processes,
    device_of,
    length_of,
    modes_of,
    move,
    pair_of,
    set_modes,
)

__all__ = ["fit"]

Monitor = str | Callable[[nn.Module], float]
MONITORED = {"train_loss": "min", "val_loss": "min", "val_accuracy": "max"}  # better is less, more
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def fit(
    model: nn.Module,
    train_loader: Loader,
    val_loader: Loader | None = None,
    *,
    epochs: int = 20,
    lr: float = 1e-3,
    optimizer: torch.optim.Optimizer | MakeOptimizer | None = None,
    loss_fn: LossFunction | None = None,
    early_stopping: EarlyStopping | None = None,
    monitor: Monitor = "val_loss",
    restore_best: bool = True,
    progress: bool | None = None,
    device: str | torch.device = "auto",
    on_epoch: Callable[[History], None] | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: str | os.PathLike | None = None,
    settings: Mapping[str, Any] | None = None,
    replicas: Processes | None = None,
) -> History:
    """Train a model.

    An interrupt from the keyboard ends it early, with the history and best weights so far. After
    anything worse, a checkpoint leads to the same history and weights, bit by bit, as a run that
    was left alone.

    Args:
        model: The model. It is trained on ``device`` and given back on its own. Parts of it that
            are in evaluation mode stay frozen in it, unless all of it is.
        train_loader: Batches of (input, target), two tensors each, iterated once an epoch.
        val_loader: Batches to validate on after each epoch.
        epochs: Epochs at most.
        lr: Learning rate of the default optimizer.
        optimizer: An optimizer over the model's parameters, or a callable that makes one of them;
            ``None`` is Adam, fused where PyTorch can.
        loss_fn: Mean loss of a batch; ``None`` is the cross entropy.
        early_stopping: Called with each validation loss; a new one for each run.
        monitor: What ``early_stopping`` watches instead: ``"val_accuracy"``, ``"train_loss"`` or
            a function that is called with the model after each epoch and returns a number.
        restore_best: Whether the model ends with the weights that ``early_stopping`` kept.
        progress: Whether to show a progress bar; ``None`` shows it where a person watches.
        device: Where to train; ``"auto"`` takes CUDA if there is any, for several processes if
            they talk by NCCL.
        on_epoch: Called with the history after each epoch.
        checkpoint: File to write before the first epoch and after each: weights, optimizer,
            history, early stopping, random generators. It is written whole or not at all.
        resume: Checkpoint to go on from, in a run with the same data and arguments; only
            ``epochs`` may be another.
        settings: Plain values, such as ``{"lr": 0.1}``, that are written into the checkpoint; a
            run that resumes with others is refused.
        replicas: Processes that train together, each with its part of the data; ``None`` trains
            alone.

    Returns:
        Losses and accuracies, epoch by epoch.

    Raises:
        ValueError: A loader is empty or yields other batches, ``early_stopping`` has no
            ``val_loader`` or has seen a run, ``monitor`` is unknown or has another direction,
            ``epochs`` is negative, or ``resume`` is no checkpoint of such a run.
        OSError: ``checkpoint`` cannot be written, or there is no file ``resume``.

    Example:
        >>> x = torch.randn(32, 4)
        >>> loader = [(x, (x.sum(1) > 0).long())]
        >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)
        >>> len(fit(torch.nn.Linear(4, 2), loader, loader, epochs=3, optimizer=sgd).val_loss)
        3
    """
    _check(epochs, train_loader, val_loader)
    settings = dict(settings or {}) | _check_rule(early_stopping, monitor, val_loader)
    home, history = device_of(model), History()
    modes = _modes_to_train(model)
    loss_fn, processes = loss_fn or F.cross_entropy, replicas or Processes()
    move(model, processes.device if device == "auto" else device)
    optimizer = _make_optimizer(optimizer, model, lr)
    loaders, validates = (train_loader, val_loader), val_loader is not None
    state = TrainingState(
        model, optimizer, history, early_stopping, loaders, processes, settings, checkpoint
    )
    try:
        with state.begun(resume), _bar(history, epochs, progress, processes) as bar:
            for _ in bar:
                set_modes(modes)
                train_loss = _train_epoch(model, train_loader, optimizer, loss_fn, processes)
                processes.align(model)  # of statistics that differ, rank 0's are judged and kept
                val = evaluate(model, val_loader, loss_fn, processes) if validates else None
                _record(state, train_loss, val, monitor)
                bar.set_postfix(loss=val[0] if val else train_loss)
                if on_epoch:
                    on_epoch(history)
                state.save()  # last: a full disk must not hide the epoch
                if history.stopped_epoch:
                    break
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        move(model, home)
    if restore_best and early_stopping and early_stopping.best_model_state:
        early_stopping.restore(model)
    return history


def _modes_to_train(model: nn.Module) -> Modes:
    """Those that the model has, which may freeze a part of it; all train if the whole is frozen."""
    if not any(modes_of(model).values()):
        model.train()
    return modes_of(model)


def _train_epoch(
    model: nn.Module,
    loader: Loader,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    processes: Processes,
) -> float:
    """Take a step for each batch; the mean loss over the samples, while the weights changed."""
    device, losses, sizes = device_of(model), [], []
    for x, y in map(pair_of, processes.batches(loader)):
        optimizer.zero_grad()
        loss = processes.backward(model, loss_fn, x.to(device), y.to(device))
        optimizer.step()
        losses.append(loss)  # read at the end: each .item() would wait for the device
        sizes.append(len(x))
    return means_over_samples([losses], sizes, processes, device)[0]


def _record(
    state: TrainingState, train_loss: float, val: tuple[float, float] | None, monitor: Monitor
) -> None:
    """Write an epoch down, and whether early stopping kept its weights or ends the run."""
    history, stop = state.history, state.early_stopping
    if stop:
        measured = dict(zip(MONITORED, (train_loss, *(val or ())), strict=False))
        if callable(monitor):  # one answer for all processes
            measured[monitor], *_ = state.processes.gather(float(monitor(state.model)))
        stop(measured[monitor], state.model)
    history.record(train_loss, val, stop and stop.counter == 0)
    if stop and stop.early_stop:
        history.stopped_epoch = len(history.train_loss)


def _check(epochs: int, train_loader: Loader, val_loader: Loader | None) -> None:
    if epochs < 0:
        raise ValueError(f"expected epochs of at least 0, got {epochs}")
    for name, loader in (("train_loader", train_loader), ("val_loader", val_loader)):
        if length_of(loader) == 0:
            raise ValueError(f"expected a {name} with at least one batch, got an empty one")


def _check_rule(
    stop: EarlyStopping | None, monitor: Monitor, val_loader: Loader | None
) -> dict[str, str]:
    """Refuse a rule that cannot work; name what a resumed run has to watch, if not the default."""
    if not (callable(monitor) or monitor in MONITORED):
        expected = f"a function or one of {', '.join(MONITORED)}"
        raise ValueError(f"expected monitor to be {expected}, got {monitor!r}")
    watched = monitor if isinstance(monitor, str) else getattr(monitor, "__qualname__", "function")
    if stop is None:
        if monitor != "val_loss":
            raise ValueError(f"monitor needs early_stopping, got None with {watched}")
        return {}
    if isinstance(monitor, str) and monitor.startswith("val") and val_loader is None:
        raise ValueError("early_stopping needs a val_loader, got None")
    if stop.counter or stop.best_model_state is not None:
        raise ValueError("expected a new early_stopping, got one of another run: make one for each")
    mode = MONITORED.get(watched, stop.mode)
    if stop.mode != mode:
        raise ValueError(f"expected mode={mode!r} to watch {watched}, got {stop.mode!r}")
    return {} if monitor == "val_loss" else {"monitor": f"{watched} ({mode})"}


def _make_optimizer(
    optimizer: torch.optim.Optimizer | MakeOptimizer | None, model: nn.Module, lr: float
) -> torch.optim.Optimizer:
    if optimizer is None:
        try:
            return torch.optim.Adam(model.parameters(), lr=lr, fused=True)
        except RuntimeError:  # a device or dtype without the fused kernel
            return torch.optim.Adam(model.parameters(), lr=lr)
    if not isinstance(optimizer, torch.optim.Optimizer):
        return optimizer(model.parameters())
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if held.isdisjoint(id(p) for p in model.parameters()):
        raise ValueError("the optimizer holds no parameter of this model: make one for each model")
    return optimizer


def _bar(history: History, epochs: int, progress: bool | None, processes: Processes) -> tqdm:
    """Count the epochs that are left, on a progress bar where somebody sees it."""
    done = len(history.train_loss)
    last = done if history.stopped_epoch else epochs
    hidden = processes.rank > 0 or not _shows(progress)
    return tqdm(range(done + 1, last + 1), initial=done, total=last, unit="epoch", disable=hidden)


def _shows(progress: bool | None) -> bool:
    if progress is not None:
        return progress
    if os.environ.get("CI", "") not in ("", "0", "false") or "BNKIT_WIDGETS" in os.environ:
        return os.environ.get("BNKIT_WIDGETS") == "live"
    return sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules
