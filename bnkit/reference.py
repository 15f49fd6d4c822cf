"""The reference example that ``python -m bnkit train`` runs: MNIST, early stopping, a test.

The command line stands apart in `bnkit.cli`, so that a mistake in a flag is told before torch is
imported.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable

import torch
from tqdm import tqdm

from bnkit.data import MNIST, CorruptDataError, load_mnist, mnist_loaders
from bnkit.data.files import find_mnist
from bnkit.distributed import convert_sync_batchnorm
from bnkit.distributed.replicas import torchrun_processes
from bnkit.models import BatchNormNet, save_weights
from bnkit.training import EarlyStopping, History, evaluate, fit, set_seed
from bnkit.training.checkpoint import CheckpointError
from bnkit.training.loop import MONITORED
from bnkit.training.place import Processes

__all__ = ["run"]

# What a resumed run must share with the one that wrote the checkpoint; epochs and files may differ.
SETTINGS = (
    *("batch_size", "lr", "optimizer", "patience", "delta"),
    *("val_fraction", "seed", "norm", "sync_bn"),
)


def run(options: argparse.Namespace) -> int:
    """Train as the flags say, print what the reference example prints, return the exit code."""
    try:
        _check_folder(options)
        with torchrun_processes() as processes:
            return _train(options, _load(options, processes), processes)
    except (CorruptDataError, CheckpointError, OSError) as error:
        code = f"[Errno {getattr(error, 'errno', None)}] "
        options.parser.error(str(error).removeprefix(code))


def _check_folder(options: argparse.Namespace) -> None:
    if options.data is None:
        return
    try:
        if not find_mnist(options.data):
            raise OSError(f"no MNIST files in {options.data!r}, its raw or its MNIST/raw")
    except OSError as error:
        options.parser.error(f"argument --data: {error}")


def _load(options: argparse.Namespace, processes: Processes) -> MNIST:
    first = processes.world_size == 1 or os.environ["LOCAL_RANK"] == "0"
    if not first:
        processes.gather(None)  # the first process of a machine looks and downloads for all
    data = load_mnist(options.data, verbose=processes.rank == 0)
    if first:
        processes.gather(None)
    return data


def _train(options: argparse.Namespace, data: MNIST, processes: Processes) -> int:
    loaders = mnist_loaders(
        options.batch_size, val_fraction=options.val_fraction, seed=options.seed, data=data
    )
    sizes = [f"{loader.num_samples:,}" for loader in loaders]
    if processes.rank == 0:
        print("MNIST ({}): {} train, {} validation, {} test".format(data.source, *sizes))
    parts = [loader.shard(processes.rank, processes.world_size) for loader in loaders]
    train_loader, val_loader, test_loader = parts
    set_seed(options.seed)
    model = BatchNormNet(norm=options.norm)
    history = fit(
        convert_sync_batchnorm(model) if options.sync_bn else model,
        train_loader,
        val_loader,
        epochs=options.epochs,
        lr=options.lr,
        optimizer=_sgd(options.lr) if options.optimizer == "sgd" else None,
        early_stopping=EarlyStopping(options.patience, options.delta, MONITORED[options.monitor]),
        monitor=options.monitor,
        restore_best=options.restore,
        on_epoch=_print_epoch if processes.rank == 0 else None,
        checkpoint=options.checkpoint,
        resume=options.resume,
        settings={"data": data.source} | {name: getattr(options, name) for name in SETTINGS},
        replicas=processes,
    )
    _, accuracy = evaluate(model, test_loader, replicas=processes)
    if processes.rank == 0:
        _finish(options, model, history, accuracy)
    return 130 if history.interrupted else int(_diverged(history))


def _sgd(lr: float) -> Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def _print_epoch(history: History) -> None:
    losses = f"Train Loss: {history.train_loss[-1]:.4f}, Val Loss: {history.val_loss[-1]:.4f}"
    tqdm.write(f"Epoch {len(history.train_loss)}, {losses}")


def _diverged(history: History) -> bool:
    """Whether the last loss is no number any more."""
    last = history.train_loss[-1:] + history.val_loss[-1:]
    return not all(map(math.isfinite, last))


def _finish(
    options: argparse.Namespace, model: BatchNormNet, history: History, accuracy: float
) -> None:
    """Tell how the run ended; the weights are saved last, whatever the disk says."""
    usable = not _diverged(history) or (options.restore and history.best_epoch)
    if history.stopped_epoch:
        print("Early stopping triggered!")
    if history.interrupted:
        print(f"Interrupted after epoch {len(history.train_loss)}.")
    if _diverged(history):
        print(f"The loss is no number any more (epoch {len(history.train_loss)}).")
    if options.restore and history.best_epoch:
        print("Restored best model from early stopping.")
    print(f"Test Accuracy: {100 * accuracy:.2f}%")
    if options.save and usable:
        save_weights(model, options.save)
        print(f"Saved the weights to {options.save}.")
    elif options.save:
        print("Saved no weights: none of a finite loss are left.")
