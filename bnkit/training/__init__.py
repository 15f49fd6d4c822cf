"""Train, evaluate and stop early, for any model and any loader of (input, target) batches.

Example:
    >>> import torch
    >>> set_seed(0)
    >>> model = torch.nn.Linear(2, 2)
    >>> x = torch.randn(64, 2)
    >>> history = fit(model, [(x, (x[:, 0] > 0).long())], epochs=2)
    >>> history.train_loss[1] < history.train_loss[0]
    True
"""

from bnkit.training.early_stopping import EarlyStopping
from bnkit.training.evaluation import evaluate
from bnkit.training.history import History
from bnkit.training.loop import fit
from bnkit.training.randomness import set_seed

__all__ = ["EarlyStopping", "History", "evaluate", "fit", "set_seed"]
