"""The rule that ends a training, and the copy of its best weights."""

from __future__ import annotations

import copy
import math

from torch import nn

__all__ = ["EarlyStopping"]


class EarlyStopping:
    r"""Stop when the validation loss has not improved for ``patience`` epochs.

    A loss improves if it is below :math:`\text{best\_loss} - \text{delta}`, which NaN never is;
    what should rise, with ``mode="max"``, if it is above :math:`\text{best\_loss} + \text{delta}`.
    The weights of the best epoch are *copied*: ``state_dict()`` alone holds references to the live
    tensors, and would follow the training.

    Args:
        patience: Epochs without improvement after which to stop.
        delta: What a loss must gain to count as an improvement.
        mode: ``"min"`` for what should fall, ``"max"`` for what should rise.

    Attributes:
        best_loss: The best value so far, of a loss or whatever is watched; infinite at first.
        counter: Epochs since it was reached.
        best_model_state: Copy of the weights that reached it, or ``None``.
        early_stop: Whether to stop now: an improvement later, if one goes on, takes it back.

    Raises:
        ValueError: ``patience`` is below 1, ``delta`` negative or NaN, or ``mode`` another word.

    Example:
        >>> early_stopping = EarlyStopping(patience=2)
        >>> for loss in [0.5, 0.4, 0.45, 0.41]:
        ...     early_stopping(loss, nn.Linear(1, 1))
        >>> early_stopping.best_loss, early_stopping.early_stop
        (0.4, True)

    Source:
        Prechelt (1998), *Early stopping, but when?*
    """

    def __init__(self, patience: int = 3, delta: float = 0.0, mode: str = "min") -> None:
        if patience < 1:
            raise ValueError(f"expected patience of at least 1, got {patience}")
        if not delta >= 0:
            raise ValueError(f"expected delta of at least 0, got {delta}")
        if mode not in ("min", "max"):
            raise ValueError(f"expected mode 'min' or 'max', got {mode!r}")
        self.patience, self.delta, self.mode = patience, delta, mode
        self.best_loss = math.inf if mode == "min" else -math.inf
        self.counter = 0
        self.best_model_state: dict | None = None
        self.early_stop = False

    def __call__(self, val_loss: float, model: nn.Module) -> None:
        """Take note of an epoch's validation loss, and of the model that has it."""
        sign = 1 if self.mode == "min" else -1
        if sign * float(val_loss) < sign * self.best_loss - self.delta:
            kept = copy.deepcopy(model.state_dict())  # first: an interrupt here changes nothing
            self.best_model_state, self.best_loss, self.counter = kept, float(val_loss), 0
        else:
            self.counter += 1
        self.early_stop = self.counter >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Put the best weights back; a RuntimeError if no loss was ever finite."""
        if self.best_model_state is None:
            raise RuntimeError("no best weights to restore: no validation loss was below infinity")
        model.load_state_dict(self.best_model_state)

    def state_dict(self) -> dict:
        """Return what the rule remembers, its best weights included; not its settings."""
        names = ("best_loss", "counter", "best_model_state", "early_stop")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what `state_dict` returned."""
        vars(self).update({name: state[name] for name in self.state_dict()})
