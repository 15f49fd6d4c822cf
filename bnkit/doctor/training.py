"""Checks of training: batches, labels, optimizer, momentum, gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parameter import is_lazy

from bnkit.doctor.batches import shares
from bnkit.doctor.graph import MIXING, feeders
from bnkit.doctor.kinds import Layer
from bnkit.doctor.patient import Patient
from bnkit.doctor.registry import Hit, check
from bnkit.doctor.state import MANY_STEPS, STALE_SHARE, disagreement, told
from bnkit.doctor.steps import groups_of, update_ratio

__all__: list[str] = []

FEW_VALUES = 16
SMALL_SHARE = 16
PURE = 0.5
KERAS = 0.9
FAST, SLOW = 10.0, 1e-7
JUMP = 100.0


def trains(patient: Patient) -> bool:
    """Whether the examination is of a training: by the mode, or by an optimizer at hand."""
    return patient.training or patient.optimizer is not None


def processes(patient: Patient) -> int:
    """How many processes train together."""
    here = dist.is_available() and dist.is_initialized()
    group = getattr(patient.model, "process_group", None)
    return dist.get_world_size(group) if here else 1


def synchronized(layer: Layer) -> bool:
    """Whether a layer's statistics are those of all processes."""
    return "SyncBatchNorm" in type(layer.module).__name__


@check(
    "few-values", group="training", severity="warning", needs="a loader",
    title="statistics of few values",
    formula="m = examples × positions (× processes, if synchronized); the noise of the mean is "
    "σ/√m, of the variance σ²·√(2/(m−1))",
    threshold=f"m < {FEW_VALUES}: the variance is off by more than a third of itself, typically; "
    "micro-batches of accumulated gradients count each for itself. An error at m = 1",
    why="Each step normalizes by noise, and accumulating gradients makes no larger batch of it.",
    mend="DataLoader(…, batch_size=64)  # or nn.GroupNorm(G, C)",
    reread="11_batch_size.ipynb#The equations",
    cause_of=("statistics-disagree", "gradient-jump", "constant-channels"),
)  # fmt: skip
def few_values(patient: Patient) -> Iterator[Hit]:
    if not trains(patient):
        return
    for layer, record in patient.measured_layers():
        each = record.values[0] // record.examples[0] if record.values else 0
        together = processes(patient) if synchronized(layer) else 1
        m = each * patient.batches.smallest * together
        if layer.is_batch and record.own_statistics and 0 < m < FEW_VALUES:
            mean, var = 1 / math.sqrt(m), math.sqrt(2 / max(m - 1, 1))
            text = f"{m} values a channel: the mean has a noise of {mean:.2f} standard deviations, "
            text += f"the variance one of {100 * var:.0f} %"
            numbers = {"values": m, "noise of mean": mean, "noise of variance": var}
            yield Hit(layer.name, text, numbers, "error" if m == 1 else "")


@check(
    "last-batch-of-one", group="training", severity="warning", needs="a loader",
    title="a last batch of one example",
    formula="samples mod batch size = 1, without drop_last",
    threshold="exact; an error where a layer has one value a channel, which PyTorch refuses",
    why="Its statistics are those of one example, and a tenth of them stays in the running ones.",
    mend="DataLoader(…, drop_last=True)",
    reread="11_batch_size.ipynb#A puzzle: one is refused, two are worse",
)  # fmt: skip
def last_batch_of_one(patient: Patient) -> Iterator[Hit]:
    batches = patient.batches
    if batches is None or not trains(patient) or batches.last != 1 or batches.smallest == 1:
        return
    hit = [(x, r) for x, r in patient.measured_layers() if x.is_batch and r.own_statistics]
    refused = [x.name for x, r in hit if r.values and r.values[0] == r.examples[0]]
    if hit:
        who = f"{refused[0]} will refuse it" if refused else f"it moves {len(hit)} layers"
        text = f"batches of {batches.sizes[0]}, the last of 1: {who}"
        yield Hit("the loader", text, {"last": 1}, "error" if refused else "")


@check(
    "sorted-batches", group="training", severity="warning", needs="a loader with labels",
    title="batches of one class, or nearly: sorted data",
    formula="q = (P_within − P) / (1 − P): P is the chance that two examples share their class, "
    "P_within the same for two of one batch",
    threshold=f"q > {PURE}: 0 for shuffled data, 1 for batches of one class; or a single class in "
    "all batches that were read. A note in evaluation, where nothing looks at the batch",
    why="The statistics tell the class, and the weights learn to read it there.",
    mend="DataLoader(…, shuffle=True)",
    reread="12_train_test_mismatch.ipynb#The batch tells the answer",
    cause_of=("statistics-disagree", "constant-channels"),
)  # fmt: skip
def sorted_batches(patient: Patient) -> Iterator[Hit]:
    labels = [y for y in patient.batches.classes if len(y) > 1] if patient.batches else []
    if not labels or next(patient.batch_layers(), None) is None:
        return
    together, columns = torch.cat(labels), patient.measured.classes or 0
    within = sum(map(_alike, labels)) / len(labels)
    chance = float(shares(together).square().sum())
    if chance == 1:
        if columns > 2 and len(together) >= 4 * columns and len(labels) > 1:
            text = f"all {len(together)} examples of {len(labels)} batches have one class"
            yield Hit("the loader", text, {"purity": 1.0}, "" if trains(patient) else "note")
        return
    purity = (within - chance) / (1 - chance)
    if purity > PURE:
        text = f"{100 * within:.0f} % of the pairs within a batch share their class, "
        text += f"{100 * chance:.0f} % of all"
        yield Hit("the loader", text, {"purity": purity}, "" if trains(patient) else "note")


def _alike(labels: Tensor) -> float:
    """The chance that two different examples share their class."""
    counts = torch.unique(labels, return_counts=True)[1].double()
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


@check(
    "decay-on-norm", group="training", severity="note", needs="an optimizer",
    title="weight decay on gamma and beta",
    formula="weight_decay > 0 in the group that holds γ or β",
    threshold="exact; most recipes do it, so it is a note",
    why="Decay pulls γ towards 0, and not towards the 1 that changes nothing; on the weights "
    "before the layer it only raises the effective rate.",
    mend="flat = [p for p in model.parameters() if p.dim() < 2]\n"
    "rest = [p for p in model.parameters() if p.dim() >= 2]\n"
    "plain = {'params': flat, 'weight_decay': 0}\n"
    "torch.optim.AdamW([plain, {'params': rest}])",
    reread="08_initialization.ipynb#Weight decay: a learning rate in disguise",
)  # fmt: skip
def decay_on_norm(patient: Patient) -> Iterator[Hit]:
    decays = {
        layer.name: float(group["weight_decay"])
        for layer in patient.layers
        for parameter in layer.module.parameters(recurse=False)
        for group in groups_of(patient.optimizer, parameter)
        if group.get("weight_decay")
    }
    if decays:
        name, most = max(decays.items(), key=lambda item: item[1])
        text = f"{most:g} on {len(decays)} of {len(patient.layers)} layers, such as {name}"
        yield Hit("the optimizer", text, {"layers": len(decays), "weight decay": most})


def weights_before(patient: Patient) -> Iterator[tuple[Layer, str, nn.Parameter]]:
    """Each weight whose scale a layer removes, with its name."""
    for layer in patient.layers:
        for step in patient.graph.calls_of(layer.module):
            source = next(feeders(step), None)
            if source is None or layer.kind not in ("batch", "instance"):
                continue
            weight = getattr(source.module, "weight", None)
            if (
                isinstance(source.module, MIXING)
                and isinstance(weight, nn.Parameter)
                and not is_lazy(weight)
            ):
                yield layer, f"{source.name}.weight", weight


@check(
    "effective-rate", group="training", severity="warning", needs="a loader and an optimizer",
    title="a learning rate out of scale with the weights",
    formula="u = |Δw| / |w| of one step, for weights before a layer, whose length means nothing: "
    "the effective rate is η / |w|²",
    threshold=f"u > {FAST:.0f}: nothing of the weight's direction is left after a step; or u < "
    f"{SLOW:g}, the last digit of float32, where nothing moves. Large first steps are usual: they "
    "lengthen the weight, which brakes the next",
    why="The direction of such a weight is all that counts, and it turns at random, or not at all.",
    mend="torch.optim.SGD(model.parameters(), lr=0.1)  # grows with |w|²",
    reread="08_initialization.ipynb#What scale means for gradient descent",
)  # fmt: skip
def effective_rate(patient: Patient) -> Iterator[Hit]:
    if patient.optimizer is None or patient.measured is None or not patient.measured.loss_known:
        return
    for layer, name, weight in weights_before(patient):
        ratio = update_ratio(patient.optimizer, weight, patient.measured.mean_grad(name))
        moving = weight.requires_grad and ratio
        if moving and (ratio > FAST or ratio < SLOW):
            numbers = {"update over weight": ratio, "length": float(weight.detach().norm())}
            text = f"a step changes {name} by {ratio:.2g} of its length {numbers['length']:.3g}"
            yield Hit(layer.name, text, numbers)


@check(
    "keras-momentum", group="training", severity="warning",
    title="a momentum that looks like Keras's",
    formula="momentum ≥ 0.9; PyTorch weights the new value with it, Keras the old one",
    threshold=f"from {KERAS} on: the statistics are those of the last batch",
    why="Evaluation depends on which batch came last.",
    mend="nn.BatchNorm2d(C, momentum=0.01)  # what Keras calls 0.99",
    reread="03_two_modes.ipynb#How long is its memory?",
    cause_of=("statistics-disagree",),
)  # fmt: skip
def keras_momentum(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        momentum = layer.module.momentum
        if momentum is not None and momentum >= KERAS:
            text = f"momentum {momentum:g}: the last batch has that share of the weight"
            yield Hit(layer.name, text, {"momentum": momentum})


@check(
    "statistics-lag", group="training", severity="warning",
    title="a momentum too small for the number of steps",
    formula="s = (1 − momentum)ⁿ, the share of the start (μ = 0, σ² = 1) after n batches",
    threshold=f"s > {STALE_SHARE}, n ≥ {MANY_STEPS}, and no σ² below s, which momentum cannot "
    "reach; with a loader only where the data disagree. In training mode a note",
    why="Evaluation still uses the start, though the weights have learned.",
    mend="layer = model.get_submodule('LAYER')\nlayer.momentum = 0.1  # and update_bn, once",
    reread="03_two_modes.ipynb#How long is its memory?",
    cause_of=("statistics-disagree", "averaged-copy"),
)  # fmt: skip
def statistics_lag(patient: Patient) -> Iterator[Hit]:
    for layer in patient.with_statistics():
        momentum, steps = layer.module.momentum, layer.counted or 0
        if momentum is None or steps < MANY_STEPS:
            continue
        share = (1 - momentum) ** steps
        reached = bool((layer.statistics[1] >= share * 0.999).all())
        known = patient.record(layer) is None or disagreement(patient, layer)
        if share > STALE_SHARE and reached and known:
            text = f"{steps} batches at momentum {momentum:g} left {100 * share:.0f} % of the start"
            text += f"; {told(known)}" if isinstance(known, dict) else ""
            severity = "note" if layer.module.training else ""
            yield Hit(layer.name, text, {"share of the start": share, "batches": steps}, severity)


@check(
    "unsynchronized", group="training", severity="warning",
    title="several processes, each with statistics of its own",
    formula="DistributedDataParallel over plain BatchNorm layers",
    threshold=f"fewer than {SMALL_SHARE} examples a process; without a loader a note",
    why="Each process normalizes by its own few examples, and rank 0's statistics are kept.",
    mend="nn.SyncBatchNorm.convert_sync_batchnorm(model)  # then DDP",
    reread="17_many_machines.ipynb#What each process sees, and what is kept",
    cause_of=("few-values", "statistics-disagree"),
)  # fmt: skip
def unsynchronized(patient: Patient) -> Iterator[Hit]:
    count = processes(patient)
    if count < 2 or type(patient.model).__name__ != "DistributedDataParallel":
        return
    size = patient.batches.smallest if patient.batches else None
    if size is not None and size >= SMALL_SHARE:
        return
    for layer in patient.batch_layers():
        if layer.module.track_running_stats and not synchronized(layer):
            text = f"{count} processes, " + (
                "batch size unknown" if size is None else f"{size} each"
            )
            yield Hit(layer.name, text, {"processes": count}, "" if size else "note")


@check(
    "gradient-not-finite", group="training", severity="error", needs="a loader",
    title="gradients or a loss that are no numbers",
    formula="loss or |∂L/∂y| is NaN or infinite",
    threshold="exact",
    why="The next step writes it into every weight.",
    mend="torch.autograd.set_detect_anomaly(True)  # names the step",
    reread="04_backward.ipynb#Four wrong versions",
    cause_of=("gradient-jump", "effective-rate"),
)  # fmt: skip
def gradient_not_finite(patient: Patient) -> Iterator[Hit]:
    if patient.measured is None:
        return
    losses = patient.measured.losses
    if not all(map(math.isfinite, losses)):
        yield Hit("the loss", f"losses {', '.join(f'{loss:.3g}' for loss in losses)}")
        return
    for layer, record in patient.measured_layers():
        if not all(bool(g.isfinite()) for g in (*record.grad_in, *record.grad_out)):
            yield Hit(layer.name, "its gradient is not finite, though the loss is")
            return


@check(
    "gradient-jump", group="training", severity="warning", needs="a loader",
    title="a layer that blows up the gradient",
    formula="|∂L/∂x| / |∂L/∂y| before and behind the layer; it is at most γ / √(σ² + ε)",
    threshold=f"above {JUMP:.0f}: the spread of the input is a hundredth of γ or less",
    why="The layers below get steps a hundred times as large as those above.",
    mend="# scale up what stands before LAYER: it starts too small\n"
    "nn.init.kaiming_normal_(conv.weight)",
    reread="04_backward.ipynb#The equation: three terms",
    cause_of=("effective-rate",),
)  # fmt: skip
def gradient_jump(patient: Patient) -> Iterator[Hit]:
    for layer, record in patient.measured_layers():
        gain = record.gain
        if layer.kind in ("batch", "instance") and gain is not None and gain > JUMP:
            spread = float(record.var.median().sqrt()) if record.var is not None else math.nan
            text = f"{gain:.3g} times the gradient before it, at a spread of {spread:.2g}"
            yield Hit(layer.name, text, {"gain": gain, "spread": spread})
