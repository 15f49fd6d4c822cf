"""A layer in numbers: what it is, its mode, and what a few batches showed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from torch import Tensor, nn

from bnkit.doctor.kinds import Layer
from bnkit.doctor.patient import Patient
from bnkit.doctor.state import distances
from bnkit.doctor.steps import update_ratio
from bnkit.doctor.training import weights_before

__all__ = ["Sketch", "sketches"]


@dataclass(frozen=True)
class Sketch:
    """One layer; what was not measured is None or empty."""

    name: str
    kind: str
    channels: int | None
    training: bool
    values: int | None = None  # that share a mean, in the first batch
    gradient_behind: float | None = None
    gradient_before: float | None = None
    update: float | None = None  # over the length of the weight before the layer
    shifts: list[float] = field(default_factory=list)  # of each running mean, signed
    factors: list[float] = field(default_factory=list)  # log2, of each running variance

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values."""
        return asdict(self)


def sketches(patient: Patient) -> list[Sketch]:
    """A sketch of each layer."""
    ratios = dict(_ratios(patient))
    return [_sketch(patient, layer, ratios.get(layer.name)) for layer in patient.layers]


def _ratios(patient: Patient) -> Iterator[tuple[str, float | None]]:
    if patient.optimizer is None or patient.measured is None:
        return
    for layer, name, weight in weights_before(patient):
        grad = patient.measured.mean_grad(name)
        yield layer.name, update_ratio(patient.optimizer, weight, grad)


def _sketch(patient: Patient, layer: Layer, update: float | None) -> Sketch:
    record = patient.record(layer)
    known = (layer.name, layer.kind, _channels(layer.module), layer.module.training)
    if record is None or not record.calls:
        return Sketch(*known, update=update)
    shifts, factors = _strip(layer, patient)
    return Sketch(
        *known,
        values=record.values[0] if record.values else None,
        gradient_behind=_norm(record.grad_out),
        gradient_before=_norm(record.grad_in),
        update=update,
        shifts=shifts,
        factors=factors,
    )


def _channels(module: nn.Module) -> int | None:
    for name in ("num_features", "num_channels"):
        if isinstance(getattr(module, name, None), int):
            return getattr(module, name)
    shape = getattr(module, "normalized_shape", None)
    return shape[-1] if shape else None


def _norm(squares: list[Tensor]) -> float | None:
    """The norm of the gradient in one pass, typically."""
    return float(sum(squares) / len(squares)) ** 0.5 if squares else None


def _strip(layer: Layer, patient: Patient) -> tuple[list[float], list[float]]:
    record = patient.record(layer)
    if layer.kind != "batch" or layer.statistics is None or record.mean is None:
        return [], []
    shift, factor = distances(layer, record)
    sign = (layer.statistics[0] - record.mean).sign()
    return (sign * shift).tolist(), factor.tolist()
