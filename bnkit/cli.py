"""The command line: ``python -m bnkit train`` runs the reference example.

``torchrun --nproc-per-node=2 -m bnkit train --sync-bn`` runs it in two processes: the same flags,
the same lines, the same numbers up to rounding.

Example:
    >>> parse(["train", "--norm", "none"]).norm
    'none'
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import torch
from tqdm import tqdm

import bnkit
from bnkit.data import MNIST, CorruptDataError, load_mnist, mnist_loaders
from bnkit.data.files import find_mnist
from bnkit.distributed import convert_sync_batchnorm
from bnkit.distributed.replicas import torchrun_processes
from bnkit.models import NORMS, BatchNormNet, save_weights
from bnkit.training import EarlyStopping, History, evaluate, fit, set_seed
from bnkit.training.checkpoint import CheckpointError
from bnkit.training.place import Processes

__all__ = ["main", "parse"]

# What a resumed run must share with the one that wrote the checkpoint; epochs and files may differ.
SETTINGS = (
    *("batch_size", "lr", "optimizer", "patience", "delta"),
    *("val_fraction", "seed", "norm", "sync_bn"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        first = os.environ.get("RANK", "0") == "0"  # torchrun's processes all see the same error
        self.exit(2, f"{self.prog}: error: {message}\n" if first else None)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        arguments: Its words; ``None`` takes those of the process.

    Returns:
        One attribute a flag, and ``parser`` to report errors with.

    Raises:
        SystemExit: A value is bad, after one line that names its flag.

    Example:
        >>> options = parse(["train", "--lr", "0.01"])
        >>> options.lr, options.epochs, options.patience, options.delta
        (0.01, 20, 3, 0.001)
    """
    parser = _Parser(prog="bnkit", description="Batch normalization in PyTorch, measured.")
    parser.add_argument("--version", action="version", version=f"bnkit {bnkit.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    train = commands.add_parser(
        "train",
        help="train the reference network on MNIST with early stopping",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    _add_flags(train)
    train.set_defaults(parser=train)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Its words; ``None`` takes those of the process.

    Returns:
        The exit code: 0, or 130 after an interrupt from the keyboard.

    Raises:
        SystemExit: A value is bad (code 2).
    """
    options = parse(arguments)
    try:
        with torchrun_processes() as processes:
            return _train(options, _load(options, processes), processes)
    except (CorruptDataError, CheckpointError, OSError) as error:
        code = f"[Errno {getattr(error, 'errno', None)}] "
        options.parser.error(str(error).removeprefix(code))
    except KeyboardInterrupt:
        return 130


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
        early_stopping=EarlyStopping(options.patience, options.delta),
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
    return 130 if history.interrupted else 0


def _sgd(lr: float) -> Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def _print_epoch(history: History) -> None:
    losses = f"Train Loss: {history.train_loss[-1]:.4f}, Val Loss: {history.val_loss[-1]:.4f}"
    tqdm.write(f"Epoch {len(history.train_loss)}, {losses}")


def _finish(
    options: argparse.Namespace, model: BatchNormNet, history: History, accuracy: float
) -> None:
    if history.stopped_epoch:
        print("Early stopping triggered!")
    if history.interrupted:
        print(f"Interrupted after epoch {len(history.train_loss)}.")
    if options.restore and history.best_epoch:
        print("Restored best model from early stopping.")
    if options.save:
        save_weights(model, options.save)
        print(f"Saved the weights to {options.save}.")
    print(f"Test Accuracy: {100 * accuracy:.2f}%")


def _add_flags(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    count = _value(int, lambda v: v >= 1, "a whole number of at least 1")
    add("--epochs", type=count, default=20, help="epochs at most")
    pair = _value(int, lambda v: v >= 2, "a whole number of at least 2")
    add(
        "--batch-size",
        type=pair,
        default=64,
        help="samples a training step, in all processes together",
    )
    positive = _value(float, lambda v: v > 0, "a number above 0")
    add("--lr", type=positive, default=1e-3, help="learning rate")
    add("--optimizer", choices=["adam", "sgd"], default="adam", help="how to step")
    add("--patience", type=count, default=3, help="epochs without improvement before the end")
    gain = _value(float, lambda v: v >= 0, "a number of at least 0")
    add("--delta", type=gain, default=1e-3, help="loss that an improvement must gain")
    part = _value(float, lambda v: 0.001 <= v <= 0.999, "a number from 0.001 to 0.999")
    add("--val-fraction", type=part, default=0.2, help="part of the training set that validates")
    seed = _value(int, lambda v: 0 <= v < 2**63, "a whole number from 0 to 2^63 - 1")
    add("--seed", type=seed, default=0, help="seed of weights, split and order")
    add("--norm", choices=list(NORMS), default="torch", help="normalization of the hidden layer")
    add("--data", type=_data_folder, help="folder with MNIST's official files")
    add("--save", type=_output_file, help="file to write the trained weights to")
    add("--checkpoint", type=_output_file, help="file to write after each epoch, to resume from")
    add("--resume", type=_input_file, help="checkpoint to go on from, with the same flags")
    sync = "batch statistics over all processes that torchrun started, not for each alone"
    add("--sync-bn", action="store_true", help=sync)
    add(
        "--restore",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="end with the weights of the best epoch",
    )


def _value(
    convert: Callable[[str], float], accept: Callable[[float], bool], expected: str
) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and accept(value)):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return read


def _data_folder(text: str) -> str:
    try:
        found = find_mnist(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError(f"no MNIST files in {text!r}, its raw or its MNIST/raw")
    return text


def _input_file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {text!r}")
    return Path(text)


def _output_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not text:
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write to the folder {str(path.parent)!r}")
    return path
