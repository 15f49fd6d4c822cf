"""The examination: lend the model, look, measure, and ask every check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import torch
from torch import Tensor, nn

from bnkit.doctor import mode, state, structure, training
from bnkit.doctor.batches import read_batches
from bnkit.doctor.graph import Graph, graph_of, is_compiled
from bnkit.doctor.kinds import layers_of, wrapped
from bnkit.doctor.measuring import measure, mend_modes
from bnkit.doctor.observed import Observer
from bnkit.doctor.patient import Patient
from bnkit.doctor.registry import run_checks
from bnkit.doctor.report import Report
from bnkit.doctor.sketch import sketches
from bnkit.doctor.untouched import untouched

__all__ = ["examine"]

_CHECKED_BY = (state, mode, structure, training)  # their import fills the registry


def examine(
    model: nn.Module,
    loader: Iterable[object] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loss_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Report:
    r"""Look for what goes wrong with the normalization layers of a model, and change nothing.

    Without a loader the examination is one of structure and state. With one, four batches go
    forward and backward through the model, and the statistics of each channel are compared:

    .. math::

        d = \frac{|\mu_{run} - \mu|}{\sqrt{\sigma^2 + \epsilon}}, \qquad
        r = \left| \log_2 \frac{\sigma^2_{run} + \epsilon}{\sigma^2 + \epsilon} \right|

    The model works on copies of its tensors meanwhile. Parameters, buffers, gradients, modes,
    hooks and the random generators are as before, also after an exception or an interrupt.

    Args:
        model: Any module, in the mode in which it is to be used: a model in training mode is
            examined as one that trains.
        loader: Batches of (input, target) or of inputs alone, tensors (N, ...). It must be
            readable again: an iterator is refused.
        optimizer: The one that trains the model; it takes no step.
        loss_fn: Mean loss of a batch; None is the cross entropy where targets are class labels.
            Else the squared output stands in, and no finding rests on its gradients.

    Returns:
        The findings, the gravest first.

    Raises:
        ValueError: The loader is empty, is an iterator, or yields anything but tensors.

    Example:
        >>> from bnkit.models import BatchNormNet
        >>> examine(BatchNormNet().eval())
        Report: BatchNormNet, 1 normalization layer: 1 error, 0 warnings, 0 notes

    Source: the chapters that the findings name.
    """
    root = wrapped(model)
    if is_compiled(root):
        return _report(Patient(model, root, layers_of(root), Graph([], whole=True)))
    kept = _weights_of(root, optimizer)
    with untouched(model, loader):
        batches = None if loader is None else read_batches(loader)
        graph = graph_of(root)
        wakes = _wakes(root)
        measured = None
        if batches is not None:
            mend_modes(root)
            known = layers_of(root)
            seen = None if graph.whole else Observer(root, {layer.module for layer in known})
            measured = measure(root, known, batches, loss_fn, kept, seen)
            graph = measured.graph or graph
    layers = layers_of(root)
    patient = Patient(
        model, root, layers, graph, optimizer, loss_fn, batches, measured, frozenset(wakes)
    )
    return _report(patient)


def _report(patient: Patient) -> Report:
    batches, measured = patient.batches, patient.measured
    return Report(
        type(patient.root).__name__,
        run_checks(patient),
        sketches(patient),
        batches.sizes if batches else [],
        measured.seconds if measured else 0.0,
        patient.graph.whole,
    )


def _weights_of(root: nn.Module, optimizer: torch.optim.Optimizer | None) -> frozenset[str]:
    """Names of the weights whose updates are of interest."""
    groups = optimizer.param_groups if optimizer is not None else ()
    stepped = {id(parameter) for group in groups for parameter in group["params"]}
    named = root.named_parameters()
    return frozenset(n for n, p in named if id(p) in stepped and n.endswith("weight"))


def _wakes(root: nn.Module) -> set[str]:
    """Layers that evaluate now and would train after ``model.train()``, tried on lent modes."""
    asleep = [layer for layer in layers_of(root) if not layer.module.training]
    modes = {module: module.training for module in root.modules()}
    with suppress(NotImplementedError):  # an exported program has no modes
        root.train()
    woken = {layer.name for layer in asleep if layer.module.training}
    for module, training_before in modes.items():
        module.training = training_before
    return woken
