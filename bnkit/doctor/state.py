"""Checks of state: what the layers carry in their buffers and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from bnkit.doctor.kinds import Layer, has_statistics
from bnkit.doctor.measuring import Record
from bnkit.doctor.patient import Patient
from bnkit.doctor.registry import Hit, check

__all__: list[str] = []

FAR = 0.5  # standard deviations: far above the noise of a few batches
VERY_FAR = 2.0
FACTOR = 1.0  # binary orders of magnitude: a factor of two
LARGE_FACTOR = 3.0
HALF = 0.5
DEAD = 1e-3
FEW_EXAMPLES = 16
GAIN = 100.0
STALE_SHARE = 0.1
MANY_STEPS = 20
REESTIMATE = (
    "from torch.optim.swa_utils import update_bn\n"
    "update_bn(train_loader, model)  # recomputes all of them"
)


def at_start(layer: Layer) -> bool:
    """Whether mean and variance are still 0 and 1 in every channel."""
    mean, var = layer.statistics
    return bool((mean == 0).all() and (var == 1).all())


def learned(layer: Layer) -> bool:
    """Whether beta has left its start: initial values are all alike."""
    beta = layer.affine("bias")
    return beta is not None and len(beta) > 1 and bool((beta != beta[0]).any())


@check(
    "untrained-statistics", group="state", severity="error",
    title="evaluation with statistics that no batch has moved",
    formula="μ = 0, σ² = 1 in every channel, in evaluation mode",
    threshold="exact: a single batch would have moved them",
    why="In evaluation the layer divides by 1 in place of the spread of its input.",
    mend=REESTIMATE,
    reread="03_two_modes.ipynb#What the layer computes in eval mode",
    cause_of=("statistics-disagree", "nothing-counted", "statistics-lag"),
)  # fmt: skip
def untrained_statistics(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        if not layer.module.training and at_start(layer) and not learned(layer):
            count = layer.counted or 0
            text = f"running mean 0 and variance 1 in every channel, {count} batches counted"
            yield Hit(layer.name, text, {"batches": count})


@check(
    "checkpoint-without-statistics", group="state", severity="error",
    title="a checkpoint loaded without its statistics",
    formula="μ = 0, σ² = 1 in every channel, though β differs from channel to channel",
    threshold="exact: training moves β and the statistics together",
    why="The weights were trained and the statistics were left behind: strict=False, or plain "
    "attributes that no state_dict holds.",
    mend="model.load_state_dict(checkpoint)  # strict: it names gaps",
    reread="19_in_practice.ipynb#Loaded, and not all of it",
    cause_of=("statistics-disagree", "nothing-counted", "statistics-lag"),
)  # fmt: skip
def checkpoint_without_statistics(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        if at_start(layer) and learned(layer):
            beta = layer.affine("bias")
            spread = float(beta.std())
            text = f"running mean 0 and variance 1, but beta is spread by {spread:.2g}"
            severity = "note" if layer.module.training else ""
            yield Hit(layer.name, text, {"spread of beta": spread}, severity)


@check(
    "nothing-counted", group="state", severity="note",
    title="statistics that no batch was counted for",
    formula="num_batches_tracked = 0 in evaluation mode, though μ or σ² has moved",
    threshold="exact; converted weights of other frameworks look like this, too",
    why="With momentum=None the next batch would replace the statistics, not refine them.",
    mend="layer = model.get_submodule('LAYER')\nlayer.num_batches_tracked.fill_(10_000)",
    reread="03_two_modes.ipynb#`momentum=None`: a plain average",
)  # fmt: skip
def nothing_counted(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        if not layer.module.training and layer.counted == 0 and not at_start(layer):
            yield Hit(layer.name, "0 batches counted, statistics moved", {"batches": 0})


@check(
    "variance-not-finite", group="state", severity="error",
    title="statistics that are no numbers",
    formula="μ or σ² is NaN or infinite, or σ² < 0",
    threshold="exact",
    why="Every output of the channel is NaN or 0 in evaluation, whatever comes in.",
    mend="model.get_submodule('LAYER').reset_running_stats()\n"
    "# then find the batch that did it, and update_bn",
    reread="02_equations.ipynb#Two formulas for the variance, one of them dangerous",
    cause_of=("statistics-disagree", "variance-below-eps"),
)  # fmt: skip
def variance_not_finite(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        mean, var = layer.statistics
        bad = ~mean.isfinite() | ~var.isfinite() | (var < 0)
        if bad.any():
            count = int(bad.sum())
            text = f"{count} of {len(bad)} channels, such as {int(bad.nonzero()[0])}"
            yield Hit(layer.name, text, {"channels": count, "of": len(bad)})


@check(
    "variance-below-eps", group="state", severity="warning",
    title="a running variance of 0, or below eps",
    formula="σ² < ε; the gain is |γ| / √(σ² + ε)",
    threshold=f"a warning where the gain exceeds {GAIN:.0f}, so that a small shift of the data "
    "blows up; else a note, since training shrinks γ of channels that died",
    why="eps decides what comes out, and a channel that once stood still amplifies the first "
    "thing that moves.",
    mend="layer = model.get_submodule('LAYER')\n"
    "dead = layer.running_var < layer.eps\n"
    "layer.weight.data[dead] = 0  # or prune the channels",
    reread="02_equations.ipynb#Epsilon: what happens when nothing varies",
    cause_of=("statistics-disagree",),
)  # fmt: skip
def variance_below_eps(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        var, eps = layer.statistics[1], layer.module.eps
        small = (var >= 0) & (var < eps)
        if not small.any():
            continue
        gamma = layer.affine("weight")
        gamma = torch.ones_like(var) if gamma is None else gamma
        gain = float((gamma.abs() / (var.clamp(min=0) + eps).sqrt())[small].max())
        text = f"{int(small.sum())} of {len(var)} channels below eps = {eps:g}, gain to {gain:.3g}"
        numbers = {"channels": int(small.sum()), "of": len(var), "gain": gain}
        yield Hit(layer.name, text, numbers, "" if gain > GAIN else "note")


def distances(layer: Layer, record: Record) -> tuple[Tensor, Tensor]:
    """For each channel: how far the means are apart, in standard deviations, and log2 of σ²'s."""
    mean, var = layer.statistics
    eps = layer.module.eps
    shift = (mean - record.mean).abs() / (record.var + eps).sqrt()
    ratio = torch.log2((var + eps) / (record.var + eps))
    return shift.nan_to_num(torch.inf), ratio.nan_to_num(torch.inf)


def disagreement(patient: Patient, layer: Layer) -> dict[str, float]:
    """The distances of a layer's statistics from the data, if they are far apart."""
    record = patient.record(layer)
    if record is None or layer.kind != "batch" or sum(record.examples) < FEW_EXAMPLES:
        return {}
    shift, ratio = distances(layer, record)
    middle, factor = float(shift.median()), float(ratio.abs().median())
    numbers = {
        "median distance of means": middle,
        "largest": float(shift.max()),
        "median factor of variances": 2**factor,
        "channels": int(((shift > FAR) | (ratio.abs() > FACTOR)).sum()),
        "of": len(shift),
    }
    return numbers if middle > FAR or factor > FACTOR else {}


def told(numbers: dict[str, float]) -> str:
    """The distances as a sentence."""
    return (
        f"means {numbers['median distance of means']:.2g} standard deviations apart and variances "
        f"by a factor of {numbers['median factor of variances']:.2g} (medians); "
        f"{numbers['channels']} of {numbers['of']} channels are off"
    )


@check(
    "averaged-copy", group="state", severity="error", needs="a loader",
    title="averaged weights (EMA, SWA) with the statistics of other weights",
    formula="an AveragedModel whose statistics disagree with the data (next row)",
    threshold="as statistics-disagree; without a loader a note to check",
    why="Averaging moves the weights, so that their activations have other statistics than the "
    "ones that were copied.",
    mend=REESTIMATE,
    reread="19_in_practice.ipynb#A puzzle: the average of two good networks",
    cause_of=("statistics-disagree", "statistics-lag"),
)  # fmt: skip
def averaged_copy(patient: Patient) -> Iterator[Hit]:
    if type(patient.model).__name__ != "AveragedModel":
        return
    for layer in patient.with_statistics():
        if layer.is_batch and (numbers := disagreement(patient, layer)):
            yield Hit(layer.name, told(numbers), numbers)
    if patient.measured is None and next(patient.batch_layers(), None):
        averaged = int(patient.model.n_averaged)
        text = f"weights averaged {averaged} times; only a loader tells whether the statistics fit"
        yield Hit("the model", text, {"averaged": averaged}, "note")


@check(
    "statistics-disagree", group="state", severity="warning", needs="a loader",
    title="running statistics that disagree with the data",
    formula="d = |μ_run − μ| / √(σ² + ε), r = |log₂(σ²_run / σ²)|; their medians over channels",
    threshold=f"d > {FAR} or r > {FACTOR:.0f} over {FEW_EXAMPLES} examples or more: ten times "
    f"their noise there; an error from d > {VERY_FAR:.0f} or r > {LARGE_FACTOR:.0f} on. In "
    "training mode a note, since nothing uses them yet",
    why="In evaluation the layer shifts and scales by numbers that are not those of its input.",
    mend=REESTIMATE,
    reread="12_train_test_mismatch.ipynb#Statistics that lag behind",
)  # fmt: skip
def statistics_disagree(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        if layer.module.training and (layer.counted or 0) < MANY_STEPS:
            continue
        if numbers := disagreement(patient, layer):
            factor = math.log2(numbers["median factor of variances"])
            grave = numbers["median distance of means"] > VERY_FAR or factor > LARGE_FACTOR
            severity = "note" if layer.module.training else "error" if grave else ""
            yield Hit(layer.name, told(numbers), numbers, severity)


@check(
    "dead-channels", group="state", severity="warning",
    title="channels that γ has switched off",
    formula=f"|γ| < {DEAD:g}",
    threshold=f"a warning from {HALF} of the channels on; fewer are common after weight decay "
    "and a note; a γ of exactly 0 everywhere is a start (zero-init residual)",
    why="Their output is β for any input: they cost time and memory and carry nothing.",
    mend="gamma = model.get_submodule('LAYER').weight\n"
    "alive = gamma.abs() > 1e-3  # prune the rest, or decay less",
    reread="08_initialization.ipynb#Gamma and beta: learned, and worth it",
)  # fmt: skip
def dead_channels(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        gamma = layer.affine("weight")
        if gamma is None or layer.kind == "home-made" or bool((gamma == 0).all()):
            continue
        dead = int((gamma.abs() < DEAD).sum())
        if dead:
            text = f"{dead} of {gamma.numel()} channels have |gamma| < {DEAD:g}"
            severity = "" if dead >= HALF * gamma.numel() else "note"
            yield Hit(layer.name, text, {"channels": dead, "of": gamma.numel()}, severity)


@check(
    "constant-channels", group="state", severity="warning", needs="a loader",
    title="channels that never vary",
    formula="σ² ≤ 10⁻¹² (1 + μ²) over all batches",
    threshold=f"a warning from {HALF} of the channels on, else a note: border pixels do this",
    why="The layer subtracts all that the channel says, and its output is β.",
    mend="seen = []\n"
    "model.get_submodule('LAYER').register_forward_pre_hook(\n"
    "    lambda layer, inputs: seen.append(inputs[0].std())\n"
    ")  # then look for dead units before it",
    reread="02_equations.ipynb#Epsilon: what happens when nothing varies",
    cause_of=(
        "statistics-disagree", "variance-below-eps", "gradient-jump", "effective-rate"
    ),
)  # fmt: skip
def constant_channels(patient: Patient) -> Iterator[Hit]:
    for layer, record in patient.measured_layers():
        if record.var is None:
            continue
        still = record.var <= 1e-12 * (1 + record.mean.square())
        count = int(still.sum())
        if count:
            severity = "" if count >= HALF * len(still) else "note"
            text = f"{count} of {len(still)} channels had one value in {len(record.means)} batches"
            yield Hit(layer.name, text, {"channels": count, "of": len(still)}, severity)


@check(
    "half-precision", group="state", severity="warning",
    title="float16 parameters or buffers",
    formula="dtype of γ, β, μ or σ² is float16 or bfloat16",
    threshold="a warning in training mode; in evaluation a note",
    why="float16 ends at 65,504, and a running mean that moves by a tenth of a small difference "
    "stops moving once that is below its last digit.",
    mend="model.get_submodule('LAYER').float()  # or use torch.autocast",
    reread="20_two_kinds.ipynb#Half precision, and the wrong mode in a file",
)  # fmt: skip
def half_precision(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        tensors = (*layer.module._parameters.items(), *layer.module._buffers.items())
        half = [n for n, t in tensors if t is not None and t.dtype in (torch.half, torch.bfloat16)]
        if half:
            severity = "" if layer.module.training else "note"
            yield Hit(layer.name, f"{', '.join(half)} in half precision", {}, severity)


@check(
    "statistics-not-saved", group="state", severity="error",
    title="running statistics that are no buffers",
    formula="running_mean or running_var is a plain attribute of the layer",
    threshold="exact",
    why="state_dict() leaves them out, so that a model that is saved and loaded evaluates with "
    "those of its start.",
    mend="self.register_buffer('running_mean', torch.zeros(C))",
    reread="05_manual_implementation.ipynb#Three wrong ways to keep the statistics",
)  # fmt: skip
def statistics_not_saved(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        if not has_statistics(layer.module):
            continue
        named = {*layer.module._buffers, *layer.module._parameters}
        lost = [name for name in ("running_mean", "running_var") if name not in named]
        if lost:
            yield Hit(layer.name, f"{' and '.join(lost)}: plain tensors", {"tensors": len(lost)})


@check(
    "statistics-in-the-graph", group="state", severity="error",
    title="running statistics that hang on the graph",
    formula="running_mean or running_var has a grad_fn",
    threshold="exact",
    why="Each step hangs its graph on the last one's: memory grows, and deepcopy fails.",
    mend="with torch.no_grad():\n    self.running_mean.lerp_(x.mean(0), self.momentum)",
    reread="05_manual_implementation.ipynb#Three wrong ways to keep the statistics",
)  # fmt: skip
def statistics_in_the_graph(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        if not has_statistics(layer.module):
            continue
        both = {n: getattr(layer.module, n) for n in ("running_mean", "running_var")}
        bound = [name for name, value in both.items() if value.grad_fn is not None]
        if bound:
            yield Hit(
                layer.name, f"{' and '.join(bound)}: grown into a graph", {"tensors": len(bound)}
            )
