"""Known mistakes in a layer that averages all batches alike, as data."""

from __future__ import annotations

from bnkit.checks.exercise import Mistake
from bnkit.checks.wrong_layers import Base, but

__all__ = ["AVERAGING"]

PLAIN_AVERAGE = "03_two_modes.ipynb#`momentum=None`: a plain average"


def _share(weight):
    """A layer that weights the new values by a function of the batches seen before."""
    return but(share=lambda self: weight(int(self.num_batches_tracked)))


class _PlainCount(Base):
    """Counts its batches in a Python number, which no file keeps."""

    seen = 0

    def share(self) -> float:
        return 1 / (self.seen + 1)

    def count(self) -> None:
        super().count()
        self.seen += 1


AVERAGING = [
    Mistake(
        "momentum fixed", "averaging_layer", Base,
        "After two batches, how much should each of them weigh? How much does the first weigh "
        "in your layer?", PLAIN_AVERAGE,
    ),
    Mistake(
        "count not saved", "averaging_layer", _PlainCount,
        "Load your layer's state_dict into a new layer and train on. Which weight gets the next "
        "batch?", "05_manual_implementation.ipynb#Weights load in both directions",
    ),
    Mistake(
        "batches counted from two", "averaging_layer", _share(lambda t: 1 / (t + 2)),
        "What should be left of the starting values 0 and 1 after the first batch?",
        PLAIN_AVERAGE,
    ),
    Mistake(
        "new value weighted by t − 1 of t", "averaging_layer", _share(lambda t: t / (t + 1)),
        "As batches go by, should a single new one count more and more, or less and less?",
        PLAIN_AVERAGE,
    ),
]  # fmt: skip
