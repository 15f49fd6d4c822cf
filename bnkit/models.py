"""The networks of the book, each with a ``norm=`` argument."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from bnkit.storage import load_tensors, save_tensors

__all__ = ["MLP", "BatchNormNet", "load_weights", "make_norm", "save_weights"]

Norm = str | Callable[[int], nn.Module]

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "identity": nn.Identity}


def _bnkit_batch_norm(num_features: int) -> nn.Module:
    from bnkit.layers import BatchNorm1d

    return BatchNorm1d(num_features)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "torch": nn.BatchNorm1d,
    "bnkit": _bnkit_batch_norm,
    "none": lambda num_features: nn.Identity(),
    "layer": nn.LayerNorm,
}


def make_norm(norm: Norm, num_features: int) -> nn.Module:
    """Make the normalization layer of a fully connected network.

    Args:
        norm: ``"torch"`` (``nn.BatchNorm1d``), ``"bnkit"`` (`bnkit.layers.BatchNorm1d`), ``"none"``
            (``nn.Identity``), ``"layer"`` (``nn.LayerNorm``), or a callable that takes
            ``num_features`` and returns a module, such as a class of your own.
        num_features: Features of the (N, C) input.

    Returns:
        The layer.

    Raises:
        ValueError: The name is unknown.

    Example:
        >>> make_norm("layer", 3)
        LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)
    """
    if callable(norm):
        return norm(num_features)
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: expected one of {', '.join(NORMS)}")
    return NORMS[norm](num_features)


class BatchNormNet(nn.Module):
    """The reference network: Linear → BatchNorm → ReLU → Linear.

    For one seed all values of ``norm`` start from the same linear weights.

    Args:
        in_features: Features of a flattened input.
        hidden: Width of the hidden layer.
        num_classes: Number of outputs.
        norm: The normalization, as in `make_norm`.

    Raises:
        ValueError: ``norm`` is unknown, or an input has another number of features.

    Example:
        >>> import torch
        >>> BatchNormNet()(torch.zeros(64, 28, 28)).shape
        torch.Size([64, 10])
    """

    def __init__(
        self,
        in_features: int = 784,
        hidden: int = 128,
        num_classes: int = 10,
        norm: Norm = "torch",
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden)
        self.bn1 = make_norm(norm, hidden)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify images (N, 784), (N, 28, 28) or (N, 1, 28, 28): logits (N, 10)."""
        x = _flat(x, self.fc1.in_features)  # (N, 784)
        x = self.relu(self.bn1(self.fc1(x)))  # (N, 128)
        return self.fc2(x)  # (N, 10)


class MLP(nn.Sequential):
    """A fully connected network of any depth: Linear → norm → activation, and a last Linear.

    Args:
        sizes: Features of the input, of each hidden layer and of the output.
        norm: The normalization of each hidden layer, as in `make_norm`.
        activation: ``"relu"``, ``"sigmoid"``, ``"tanh"``, ``"identity"``, or a callable that
            returns a module.
        norm_after: Whether to normalize after the activation; else before it, as the paper does.

    Raises:
        ValueError: ``norm`` or ``activation`` is unknown, ``sizes`` has fewer than two entries, or
            an input has another number of features.

    Example:
        >>> [type(layer).__name__ for layer in MLP([784, 100, 10], activation="sigmoid")]
        ['Linear', 'BatchNorm1d', 'Sigmoid', 'Linear']

    Source:
        Ioffe and Szegedy (2015), section 3.2: the place before the nonlinearity.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        norm: Norm = "torch",
        activation: str | Callable[[], nn.Module] = "relu",
        norm_after: bool = False,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"expected sizes of input and output at least, got {list(sizes)}")
        if not callable(activation) and activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"unknown activation {activation!r}: expected one of {known}")
        make_activation = activation if callable(activation) else ACTIVATIONS[activation]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes[:-1]):
            pair = [make_norm(norm, fan_out), make_activation()]
            layers += [nn.Linear(fan_in, fan_out), *(reversed(pair) if norm_after else pair)]
        layers = [layer for layer in layers if not isinstance(layer, nn.Identity)]
        super().__init__(*layers, nn.Linear(sizes[-2], sizes[-1]))

    def __getitem__(self, index: int | slice) -> nn.Module:
        """One layer, or a `Sequential` of several: ``net[:-1]`` is all but the last."""
        if isinstance(index, slice):
            return nn.Sequential(*list(self)[index])
        return super().__getitem__(index)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to (N, features); more dimensions are flattened."""
        return super().forward(_flat(x, self[0].in_features))


def save_weights(model: nn.Module, path: str | os.PathLike) -> None:
    """Write a model's ``state_dict``, whole or not at all.

    Args:
        model: The model.
        path: The file, replaced if it exists. It is written beside its place and then renamed.

    Raises:
        OSError: A full disk or a read-only folder; the previous file is kept.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/net.pt"
        >>> save_weights(MLP([2, 1]), path)
        >>> load_weights(MLP([2, 1]), path)[0].weight.shape
        torch.Size([1, 2])
    """
    save_tensors(model.state_dict(), path)


def load_weights(model: nn.Module, path: str | os.PathLike) -> nn.Module:
    """Load weights that `save_weights` wrote; a file can hold nothing but tensors.

    Args:
        model: The model to load them into.
        path: The file.

    Returns:
        The model.

    Raises:
        ValueError: The file holds anything but tensors and plain values; nothing in it is run.

    Example:
        >>> import tempfile, torch
        >>> path = tempfile.mkdtemp() + "/net.pt"
        >>> net = BatchNormNet()
        >>> save_weights(net, path)
        >>> torch.equal(load_weights(BatchNormNet(), path).fc1.weight, net.fc1.weight)
        True
    """
    model.load_state_dict(load_tensors(path))
    return model


def _flat(x: Tensor, features: int) -> Tensor:
    flat = x.flatten(1) if x.ndim > 2 else x
    if flat.ndim != 2 or flat.shape[1] != features:
        raise ValueError(f"expected input of {features} features a sample, got {tuple(x.shape)}")
    return flat
