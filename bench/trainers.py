"""PyTorch Lightning's and skorch's trainers, each at its leanest.

Both train the network of `bnkit.training.fit` with the same loader, loss and fused Adam, on the
CPU. Lightning runs in its `barebones` mode, which it has for measuring its own overhead: no logger,
checkpoints, progress bar, summary or sanity check. skorch runs with `callbacks="disable"` and
without a validation split.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from bnkit.data.loader import BatchLoader
from bnkit.models import BatchNormNet

__all__ = ["lightning_trainer", "skorch_trainer"]


def lightning_trainer(loader: BatchLoader, epochs: int) -> Callable[[], object]:
    """Ready a Trainer in barebones mode; the function returned trains."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = BatchNormNet()

        def training_step(self, batch, index):
            x, y = batch
            return F.cross_entropy(self.net(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-3, fused=True)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, barebones=True)
    module = Module()

    def run() -> None:
        with warnings.catch_warnings():  # such as its advice to load data in several processes
            warnings.simplefilter("ignore")
            trainer.fit(module, loader)

    return run


def skorch_trainer(loader: BatchLoader, epochs: int) -> Callable[[], object]:
    """Ready a NeuralNet without callbacks; the function returned trains."""
    from skorch import NeuralNet

    net = NeuralNet(
        BatchNormNet,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=1e-3,
        max_epochs=epochs,
        batch_size=loader.batch_size,
        iterator_train=lambda dataset, **_: loader,
        train_split=None,
        callbacks="disable",
        verbose=0,
    )
    net.initialize()
    dataset = list(range(loader.num_samples))  # skorch asks for one; the loader has the digits
    return lambda: net.partial_fit(dataset, None)
