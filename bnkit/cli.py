"""The command line: ``python -m bnkit train`` runs the reference example.

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
from bnkit.mnist_files import find_mnist
from bnkit.models import NORMS, BatchNormNet, save_weights
from bnkit.training import EarlyStopping, History, evaluate, fit, set_seed

__all__ = ["main", "parse"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


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
        return _train(options, load_mnist(options.data))
    except (CorruptDataError, OSError) as error:
        options.parser.error(str(error))
    except KeyboardInterrupt:
        return 130


def _train(options: argparse.Namespace, data: MNIST) -> int:
    train_loader, val_loader, test_loader = mnist_loaders(
        options.batch_size, val_fraction=options.val_fraction, seed=options.seed, data=data
    )
    sizes = [f"{loader.num_samples:,}" for loader in (train_loader, val_loader, test_loader)]
    print("MNIST ({}): {} train, {} validation, {} test".format(data.source, *sizes))
    set_seed(options.seed)
    model = BatchNormNet(norm=options.norm)
    early_stopping = EarlyStopping(options.patience, options.delta)
    history = fit(
        model,
        train_loader,
        val_loader,
        epochs=options.epochs,
        lr=options.lr,
        optimizer=_sgd(options.lr) if options.optimizer == "sgd" else None,
        early_stopping=early_stopping,
        restore_best=options.restore,
        on_epoch=_print_epoch,
    )
    return _finish(options, model, history, test_loader)


def _sgd(lr: float) -> Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def _print_epoch(history: History) -> None:
    losses = f"Train Loss: {history.train_loss[-1]:.4f}, Val Loss: {history.val_loss[-1]:.4f}"
    tqdm.write(f"Epoch {len(history.train_loss)}, {losses}")


def _finish(options: argparse.Namespace, model: BatchNormNet, history: History, test_loader) -> int:
    if history.stopped_epoch:
        print("Early stopping triggered!")
    if history.interrupted:
        print(f"Interrupted after epoch {len(history.train_loss)}.")
    if options.restore and history.best_epoch:
        print("Restored best model from early stopping.")
    if options.save:
        save_weights(model, options.save)
        print(f"Saved the weights to {options.save}.")
    _, accuracy = evaluate(model, test_loader)
    print(f"Test Accuracy: {100 * accuracy:.2f}%")
    return 130 if history.interrupted else 0


def _add_flags(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    count = _value(int, lambda v: v >= 1, "a whole number of at least 1")
    add("--epochs", type=count, default=20, help="epochs at most")
    pair = _value(int, lambda v: v >= 2, "a whole number of at least 2")
    add("--batch-size", type=pair, default=64, help="samples a training step")
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


def _output_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not text:
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write to the folder {str(path.parent)!r}")
    return path
