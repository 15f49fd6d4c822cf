"""Train, evaluate and stop early, for any model and any loader of (input, target) batches.

Example:
    >>> set_seed(0)
    >>> model = torch.nn.Linear(2, 2)
    >>> x = torch.randn(64, 2)
    >>> history = fit(model, [(x, (x[:, 0] > 0).long())], epochs=2)
    >>> history.train_loss[1] < history.train_loss[0]
    True
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from bnkit.early_stopping import EarlyStopping
from bnkit.history import History

__all__ = [
    "EarlyStopping",
    "History",
    "evaluate",
    "fit",
    "set_seed",
]

Loader = Iterable[tuple[Tensor, Tensor]]
LossFunction = Callable[[Tensor, Tensor], Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def set_seed(seed: int) -> None:
    """Seed Python, PyTorch on every device and, if it is loaded, NumPy.

    Args:
        seed: The seed. The same seed repeats a run bit by bit for one number of threads.

    Example:
        >>> set_seed(0)
        >>> a = torch.rand(3)
        >>> set_seed(0)
        >>> torch.equal(a, torch.rand(3))
        True
    """
    random.seed(seed)
    torch.manual_seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


def evaluate(
    model: nn.Module, loader: Loader, loss_fn: LossFunction | None = None
) -> tuple[float, float]:
    """Measure loss and accuracy in evaluation mode, and give every module its mode back.

    Args:
        model: The model.
        loader: Batches of (input, target).
        loss_fn: Mean loss of a batch; ``None`` is the cross entropy.

    Returns:
        Loss and accuracy, both means over *samples*: a short last batch does not weigh more. The
        accuracy is NaN if the targets are not classes (integers).

    Raises:
        ValueError: The loader is empty.

    Example:
        >>> model = torch.nn.Linear(2, 2)
        >>> loss, accuracy = evaluate(model, [(torch.zeros(4, 2), torch.zeros(4).long())])
        >>> accuracy in (0.0, 1.0), model.training
        (True, True)
    """
    loss_fn, device = loss_fn or F.cross_entropy, _device_of(model)
    modes = [(module, module.training) for module in model.modules()]
    losses, sizes, hits = [], [], []
    model.eval()
    try:
        with torch.no_grad():
            for x, y in loader:
                output, y = model(x.to(device)), y.to(device)
                losses.append(loss_fn(output, y))
                sizes.append(len(x))
                if not y.is_floating_point():
                    hits.append((output.argmax(1) == y).float().mean())
    finally:
        for module, training in modes:
            module.training = training
    return _mean(losses, sizes), _mean(hits, sizes) if hits or not sizes else math.nan


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
    restore_best: bool = True,
    progress: bool | None = None,
    device: str | torch.device = "auto",
    on_epoch: Callable[[History], None] | None = None,
) -> History:
    """Train a model.

    An interrupt from the keyboard ends it early, with the history and best weights so far.

    Args:
        model: The model. It is trained on ``device`` and given back on its own.
        train_loader: Batches of (input, target), iterated once an epoch.
        val_loader: Batches to validate on after each epoch.
        epochs: Epochs at most.
        lr: Learning rate of the default optimizer.
        optimizer: An optimizer over the model's parameters, or a callable that makes one of them;
            ``None`` is Adam, fused where PyTorch can.
        loss_fn: Mean loss of a batch; ``None`` is the cross entropy.
        early_stopping: Called with each validation loss.
        restore_best: Whether the model ends with the weights that ``early_stopping`` kept.
        progress: Whether to show a progress bar; ``None`` shows it where a person watches.
        device: Where to train; ``"auto"`` takes CUDA if there is any.
        on_epoch: Called with the history after each epoch.

    Returns:
        Losses and accuracies, epoch by epoch.

    Raises:
        ValueError: A loader is empty, ``early_stopping`` has no ``val_loader`` or is used up, or
            ``epochs`` is negative.

    Example:
        >>> x = torch.randn(32, 4)
        >>> loader = [(x, (x.sum(1) > 0).long())]
        >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)
        >>> len(fit(torch.nn.Linear(4, 2), loader, loader, epochs=3, optimizer=sgd).val_loss)
        3
    """
    _check(epochs, train_loader, val_loader, early_stopping)
    loss_fn, home, history = loss_fn or F.cross_entropy, _device_of(model), History()
    _move(model, device)
    optimizer = _make_optimizer(optimizer, model, lr)
    bar = tqdm(range(1, epochs + 1), unit="epoch", disable=not _shows(progress))
    try:
        for epoch in bar:
            train_loss = _train_epoch(model, train_loader, optimizer, loss_fn)
            val = None if val_loader is None else evaluate(model, val_loader, loss_fn)
            if early_stopping:
                early_stopping(val[0], model)
            history.record(train_loss, val, early_stopping and early_stopping.counter == 0)
            bar.set_postfix(loss=val[0] if val else train_loss)
            if on_epoch:
                on_epoch(history)
            if early_stopping and early_stopping.early_stop:
                history.stopped_epoch = epoch
                break
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        bar.close()
        _move(model, home)
    if restore_best and early_stopping and early_stopping.best_model_state:
        early_stopping.restore(model)
    return history


def _check(
    epochs: int, train_loader: Loader, val_loader: Loader | None, stop: EarlyStopping | None
) -> None:
    if epochs < 0:
        raise ValueError(f"expected epochs of at least 0, got {epochs}")
    for name, loader in (("train_loader", train_loader), ("val_loader", val_loader)):
        if hasattr(loader, "__len__") and len(loader) == 0:
            raise ValueError(f"expected a {name} with at least one batch, got an empty one")
    if stop is not None and val_loader is None:
        raise ValueError("early_stopping needs a val_loader, got None")
    if stop is not None and stop.early_stop:
        raise ValueError("this early_stopping has ended a run already: make a new one for each")


def _train_epoch(
    model: nn.Module, loader: Loader, optimizer: torch.optim.Optimizer, loss_fn: LossFunction
) -> float:
    device, losses, sizes = _device_of(model), [], []
    model.train()
    for x, y in loader:
        loss = loss_fn(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())  # read at the end: each .item() would wait for the device
        sizes.append(len(x))
    return _mean(losses, sizes)


def _mean(values: list[Tensor], sizes: list[int]) -> float:
    if not sum(sizes):
        raise ValueError("expected a loader with at least one sample, got an empty one")
    weighted = zip(torch.stack(values).tolist(), sizes, strict=True)
    return math.fsum(value * size for value, size in weighted) / sum(sizes)


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


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _move(model: nn.Module, device: str | torch.device) -> None:
    home = _device_of(model)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else home
    if torch.device(device) != home:
        model.to(device)


def _shows(progress: bool | None) -> bool:
    if progress is not None:
        return progress
    if os.environ.get("CI", "") not in ("", "0", "false") or "BNKIT_WIDGETS" in os.environ:
        return os.environ.get("BNKIT_WIDGETS") == "live"
    return sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules
