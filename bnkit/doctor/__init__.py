"""Examine a model of your own for what goes wrong with its normalization layers.

Example:
    >>> from torch import nn
    >>> examine(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()))
    Report: Sequential, 1 normalization layer: 0 errors, 0 warnings, 0 notes

Limits, each with its reason:

- Layers are known by their class (PyTorch's, bnkit's, and subclasses), home-made ones by a
  `running_mean`, a `running_var` and an `eps`. A call of ``F.batch_norm`` is not seen.
- Four batches are read. What is rare in the data, or happens late in a training, is not seen.
- A model whose code depends on the values of its input cannot be traced: then the neighbors in
  each ``nn.Sequential`` are all that is known of its structure, and the report says so.
- Synchronized layers talk to the other processes in training mode: with a loader, call `examine`
  in every process, as you would call the model.
- Python objects that a model keeps and changes in its forward pass are not copied: tensors, and
  lists and dictionaries of them, are.
"""

from bnkit.doctor.examining import examine
from bnkit.doctor.finding import Finding
from bnkit.doctor.report import Report

__all__ = ["Finding", "Report", "examine"]
