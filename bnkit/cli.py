"""The command line: ``python -m bnkit train`` runs the reference example.

``python -m bnkit examine package.module:make_model`` prints what `bnkit.doctor` finds in a model of
your own, and ends with code 1 at an error.

``torchrun --nproc-per-node=2 -m bnkit train --sync-bn`` runs it in two processes: the same flags,
the same lines, the same numbers up to rounding.

Example:
    >>> parse(["train", "--norm", "none"]).norm
    'none'
"""

from __future__ import annotations

import argparse
import errno
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import bnkit

__all__ = ["main", "parse"]

SEVERITIES = ("error", "warning", "note")  # `bnkit.doctor.finding.SEVERITIES`
NORMS = ("torch", "bnkit", "none", "layer")  # `bnkit.models.NORMS`, which needs torch
MONITORED = ("train_loss", "val_loss", "val_accuracy")  # `bnkit.training.loop.MONITORED`


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # torchrun's processes all see the same error; others may set RANK, too (SLURM)
        first = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"
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
    doctor = commands.add_parser(
        "examine",
        help="look for what goes wrong with the normalization layers of a model",
        allow_abbrev=False,
    )
    _add_examine_flags(doctor)
    doctor.set_defaults(parser=doctor)
    options = parser.parse_args(arguments)
    if options.command != "train":
        return options
    for other in ("checkpoint", "resume"):
        if _same_file(options.save, getattr(options, other)):
            train.error(
                f"argument --save: expected another file than --{other}, got {options.save}"
            )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Its words; ``None`` takes those of the process.

    Returns:
        The exit code: 0; 1 where the training ended in a loss that is no number, or where a
        model was found ill; 130 after an interrupt from the keyboard.

    Raises:
        SystemExit: A value is bad (code 2).

    Example:
        >>> main(["--version"])
        Traceback (most recent call last):
            ...
        SystemExit: 0
    """
    options = parse(arguments)
    try:
        with _ending_at_once():  # torch takes seconds, and a wrong flag needs none of it
            if options.command == "train":
                from bnkit.reference import run
            else:
                from bnkit.doctor.command import run
        return run(options)
    except KeyboardInterrupt:
        return 130


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """Let an interrupt end the process: as an exception, imports of C code swallow it."""
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
    add("--monitor", choices=MONITORED, default="val_loss", help="what should improve")
    add("--delta", type=gain, default=1e-3, help="what an improvement must gain")
    part = _value(float, lambda v: 0.001 <= v <= 0.999, "a number from 0.001 to 0.999")
    add("--val-fraction", type=part, default=0.2, help="part of the training set that validates")
    seed = _value(int, lambda v: 0 <= v < 2**63, "a whole number from 0 to 2^63 - 1")
    add("--seed", type=seed, default=0, help="seed of weights, split and order")
    add("--norm", choices=NORMS, default="torch", help="normalization of the hidden layer")
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


def _add_examine_flags(doctor: argparse.ArgumentParser) -> None:
    add = doctor.add_argument
    add("model", type=_callable_name, help="package.module:make_model, called without arguments")
    add("--weights", type=_input_file, help="file with its state_dict")
    made = "package.module:make_loader, called without arguments, for batches to measure on"
    add("--data", type=_callable_name, help=made)
    add("--eval", action="store_true", help="examine it in evaluation mode, not as it was made")
    add("--json", action="store_true", help="print the report as JSON")
    grave = "severity from which on the exit code is 1 (default: error)"
    add("--fail-on", choices=SEVERITIES, default="error", help=grave)


def _callable_name(text: str) -> str:
    module, colon, name = text.partition(":")
    words = [*module.split("."), name]
    if not colon or not all(word.isidentifier() for word in words):
        raise argparse.ArgumentTypeError(f"expected package.module:function, got {text!r}")
    return text


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
    if not _look_at(os.path.isdir, text):
        raise argparse.ArgumentTypeError(f"no MNIST files in {text!r}: no such folder")
    return text


def _input_file(text: str) -> Path:
    if not _look_at(os.path.isfile, text):
        raise argparse.ArgumentTypeError(f"no such file: {text!r}")
    if not os.access(text, os.R_OK):
        raise argparse.ArgumentTypeError(f"cannot read the file {text!r}")
    return Path(text)


def _output_file(text: str) -> Path:
    path = Path(text)
    if not text or _look_at(os.path.isdir, text):
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    if _look_at(os.path.exists, path) and not os.path.isfile(path):  # a device: never replace it
        raise argparse.ArgumentTypeError(f"expected a file, got {text!r}, which is none")
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not _look_at(os.path.isdir, folder):
        raise argparse.ArgumentTypeError(f"no such folder: {str(folder)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"cannot write to the folder {str(folder)!r}")
    return path


def _look_at(kind: Callable[[str | Path], bool], path: str | Path) -> bool:
    """Whether there is something of this kind; a folder that may not be entered is named."""
    try:
        os.stat(path)
    except PermissionError:
        raise argparse.ArgumentTypeError(f"may not look at {str(path)!r}: no permission") from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENAMETOOLONG, errno.ELOOP):
            raise argparse.ArgumentTypeError(f"{error.strerror}: {str(path)!r}") from None
        return False
    return kind(path)


def _same_file(one: Path | None, other: Path | None) -> bool:
    return None not in (one, other) and os.path.realpath(one) == os.path.realpath(other)
