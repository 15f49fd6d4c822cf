"""Checks for the exercises of the book: each says which mistake was made.

A check runs your code on a few small inputs. Right answers pass however they are written. A wrong
one is compared with a catalogue of known mistakes, and is shown the smallest input on which it
differs. Nothing that your code does, raises or forgets to end stops the notebook.

In a chapter `exercise` shows a check as a card, with hints and the solution, and `progress` how far
the exercises have come.
"""

from bnkit.checks.backward import check_backward, check_backward_2d, check_layer_norm_backward
from bnkit.checks.blocks import check_close_doors, check_reestimated, check_skip_block
from bnkit.checks.by_name import check
from bnkit.checks.cards import exercise, progress
from bnkit.checks.clinic import check_shift_check
from bnkit.checks.evaluating import check_evaluate, check_reestimate, check_training_step
from bnkit.checks.exercise import Exercise, Mistake, examine
from bnkit.checks.folding import check_fold, check_fold_forward
from bnkit.checks.forward import check_forward, check_forward_2d
from bnkit.checks.layer import check_averaging_layer, check_layer, check_layer_2d
from bnkit.checks.merging import check_merge, check_sync
from bnkit.checks.preprocessing import check_dead_pixels, check_propagate_centered
from bnkit.checks.relatives import (
    check_family,
    check_group_norm,
    check_layer_norm,
)
from bnkit.checks.result import CheckResult, Sample
from bnkit.checks.running import (
    check_corrected_mean,
    check_freeze,
    check_running_statistics,
    check_to_pytorch,
)
from bnkit.checks.scaling import check_halving_batch, check_matching_lr, check_turn
from bnkit.checks.stopping import check_early_stopping
from bnkit.checks.whitening import check_whiten

__all__ = [
    "CheckResult",
    "Exercise",
    "Mistake",
    "Sample",
    "check",
    "check_averaging_layer",
    "check_backward",
    "check_backward_2d",
    "check_close_doors",
    "check_corrected_mean",
    "check_dead_pixels",
    "check_early_stopping",
    "check_evaluate",
    "check_family",
    "check_fold",
    "check_fold_forward",
    "check_forward",
    "check_forward_2d",
    "check_freeze",
    "check_group_norm",
    "check_halving_batch",
    "check_layer",
    "check_layer_2d",
    "check_layer_norm",
    "check_layer_norm_backward",
    "check_matching_lr",
    "check_merge",
    "check_propagate_centered",
    "check_reestimate",
    "check_reestimated",
    "check_running_statistics",
    "check_shift_check",
    "check_skip_block",
    "check_sync",
    "check_to_pytorch",
    "check_training_step",
    "check_turn",
    "check_whiten",
    "examine",
    "exercise",
    "progress",
]
