"""The record of a training: what `bnkit.training.fit` returns."""

from __future__ import annotations

import csv
import io
import math
import os
from dataclasses import dataclass, field

from bnkit.storage import write_whole

__all__ = ["History"]


@dataclass
class History:
    """What `fit` measured, one entry an epoch.

    Attributes:
        train_loss: Mean loss over the epoch's training samples, while the weights changed.
        val_loss: Mean loss over the validation samples after the epoch; empty without validation.
        val_accuracy: Accuracy there, from 0 to 1; NaN if the targets are not classes.
        stopped_epoch: The epoch, counted from 1, after which early stopping ended the run.
        best_epoch: The epoch whose weights early stopping kept; without it the lowest ``val_loss``.
        interrupted: Whether the run was ended from the keyboard.

    Example:
        >>> History(train_loss=[0.5], val_loss=[0.4], val_accuracy=[0.9]).best_epoch is None
        True
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    stopped_epoch: int | None = None
    best_epoch: int | None = None
    interrupted: bool = False

    def record(
        self, train_loss: float, val: tuple[float, float] | None, kept: bool | None = None
    ) -> None:
        """Add an epoch; `kept` tells whether early stopping kept its weights, if there is any."""
        self.train_loss.append(train_loss)
        if val is not None:
            if kept is None:
                finite = (v for v in self.val_loss if not math.isnan(v))
                kept = val[0] < min(finite, default=math.inf)
            self.val_loss.append(val[0])
            self.val_accuracy.append(val[1])
        if kept:
            self.best_epoch = len(self.train_loss)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a table of ``epoch, train_loss, val_loss, val_accuracy``, whole or not at all."""
        val = [self.val_loss, self.val_accuracy] if self.val_loss else []
        names = ["epoch", "train_loss", "val_loss", "val_accuracy"][: 2 + len(val)]
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(names)
        epochs = range(1, len(self.train_loss) + 1)
        writer.writerows(zip(epochs, self.train_loss, *val, strict=True))
        write_whole(path, table.getvalue().encode())
