"""Checks of structure: what stands before and behind a layer, and how often it is called."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from torch import nn
from torch.nn.parameter import is_lazy

from bnkit.doctor.graph import MIXING, Step, feeders, passes, reshapes
from bnkit.doctor.kinds import Layer
from bnkit.doctor.patient import Patient
from bnkit.doctor.registry import Hit, check
from bnkit.doctor.steps import groups_of, is_adam

__all__: list[str] = []

PADDED = 0.05
_SOFTMAX = ("softmax", "log_softmax", "softmin", "cross_entropy")
_CROSS_ENTROPY = ("cross_entropy", "CrossEntropyLoss", "nll_loss", "NLLLoss")


def steps_of(patient: Patient) -> Iterator[tuple[Layer, Step]]:
    """Each batch normalization with each step that calls it."""
    for layer in patient.batch_layers():
        for step in patient.graph.calls_of(layer.module):
            yield layer, step


@check(
    "bias-before-norm", group="structure", severity="note",
    title="a bias that the layer removes",
    formula="y = BN(W x + b) does not depend on b",
    threshold="exact: the bias stands before a batch or instance normalization and nothing else",
    why="The mean swallows it: it costs memory, its gradient is rounding noise, and Adam makes "
    "full steps of that noise.",
    mend="nn.Conv2d(…, bias=False)  # or nn.Linear, before LAYER",
    reread="14_architectures.ipynb#By hand: the mean swallows the bias",
)  # fmt: skip
def bias_before_norm(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        if layer.kind not in ("batch", "instance"):
            continue
        for step in patient.graph.calls_of(layer.module):
            source = next((s for s in feeders(step) if not reshapes(s)), None)
            bias = getattr(source.module, "bias", None) if source else None
            alone = source is not None and len(source.after) == 1
            if not alone or bias is None or is_lazy(bias) or not isinstance(source.module, MIXING):
                continue
            size = bias.numel() * bias.element_size()
            text = f"{size:,} bytes in {source.name}.bias"
            group = next(groups_of(patient.optimizer, bias), None)
            if group is not None and is_adam(patient.optimizer):
                text += f", which Adam moves by up to {group['lr']:.2g} a step"
            yield Hit(layer.name, text, {"bytes": size})


@check(
    "norm-before-softmax", group="structure", severity="warning",
    title="batch normalization as the last layer before a softmax",
    formula="softmax(BN(x)), or BN as the output under a cross entropy",
    threshold="a warning where softmax or cross entropy is seen; else a note, since embeddings "
    "may end like this",
    why="Logits of mean 0 and a spread of γ cannot be far apart: the layer caps the confidence "
    "until γ has grown, and an answer depends on the batch of its neighbors.",
    mend="nn.Sequential(*features, nn.Linear(width, classes))  # no more",
    reread="14_architectures.ipynb#Before or after the activation",
)  # fmt: skip
def norm_before_softmax(patient: Patient) -> Iterator[Hit]:
    loss = getattr(patient.loss_fn, "__name__", type(patient.loss_fn).__name__)
    for layer, step in steps_of(patient):
        behind = _behind(step)
        if behind is None:
            continue
        if _is_softmax(behind):
            yield Hit(layer.name, f"{behind.name} follows directly")
        elif behind.op == "output" and loss in _CROSS_ENTROPY:
            yield Hit(layer.name, f"its output goes to {loss}")
        elif behind.op == "output":
            yield Hit(layer.name, "its output is the model's", severity="note")


def _behind(step: Step) -> Step | None:
    """The one step that follows, beyond steps that only move values about."""
    while len(step.after) == 1:
        step = step.after[0]
        if not reshapes(step):
            return step
    return None


def _is_softmax(step: Step) -> bool:
    kinds = nn.Softmax | nn.LogSoftmax | nn.Softmin | nn.Softmax2d
    return isinstance(step.module, kinds) or (step.op == "function" and step.name in _SOFTMAX)


@check(
    "dropout-before-norm", group="structure", severity="warning",
    title="dropout before batch normalization",
    formula="in training Var[x·mask/(1−p)] = (Var[x] + p E[x]²) / (1−p); in evaluation Var[x]",
    threshold="a warning where nothing mixes the features in between; behind a linear or "
    "convolutional layer a note, since the sum blurs the difference",
    why="The layer stores the variance of training, which evaluation does not have.",
    mend="nn.Sequential(norm, activation, nn.Dropout(p))  # behind LAYER",
    reread="09_regularization.ipynb#Dropout before batch normalization: the variance shift",
    cause_of=("statistics-disagree",),
)  # fmt: skip
def dropout_before_norm(patient: Patient) -> Iterator[Hit]:
    for layer, step in steps_of(patient):
        on_the_way = list(takewhile(_lets_dropout_through, feeders(step)))
        for place, source in enumerate(on_the_way):
            rate = _dropout_rate(source)
            if rate:
                mixed = any(isinstance(s.module, MIXING) for s in on_the_way[:place])
                text = f"p = {rate:g} in {source.name}: "
                text += "a layer between them mixes the features" if mixed else _shift(rate)
                yield Hit(layer.name, text, {"p": rate}, "note" if mixed else "")
                break


def _shift(rate: float) -> str:
    return f"training's variance is at least {1 / (1 - rate):.2f} times evaluation's"


def _lets_dropout_through(step: Step) -> bool:
    return passes(step) or isinstance(step.module, (*MIXING, nn.modules.dropout._DropoutNd))


def _dropout_rate(step: Step) -> float:
    """The part that a dropout drops; 0 for any other step."""
    if isinstance(step.module, nn.modules.dropout._DropoutNd):
        return float(step.module.p)
    if step.op != "function" or "dropout" not in step.name:
        return 0.0
    named = dict(v for v in step.values if isinstance(v, tuple) and len(v) == 2)
    plain = [v for v in step.values if isinstance(v, float)]
    return float(named.get("p", plain[0] if plain else 0.5))


@check(
    "shared-norm", group="structure", severity="warning",
    title="one layer in two places, or called twice a step",
    formula="calls in one forward pass > 1",
    threshold="exact, for layers that keep running statistics",
    why="Its running statistics mix two distributions, and in evaluation fit neither.",
    mend="nn.ModuleList(nn.BatchNorm2d(C) for _ in range(places))",
    reread="05_manual_implementation.ipynb#One step by hand: who moves what?",
    cause_of=("statistics-disagree",),
)  # fmt: skip
def shared_norm(patient: Patient) -> Iterator[Hit]:
    passes_made = patient.measured.passes if patient.measured else 0
    for layer in patient.batch_layers():
        if not layer.module.track_running_stats:
            continue
        record = patient.record(layer)
        seen = record.calls // passes_made if record and passes_made else 0
        calls = max(seen, len(patient.graph.calls_of(layer.module)), len(layer.names))
        if calls > 1:
            text = f"{calls} places or calls: {', '.join(layer.names)}"
            yield Hit(layer.name, text, {"calls": calls})


@check(
    "norm-in-checkpoint", group="structure", severity="warning", needs="a loader, or a wrapper",
    title="batch normalization inside an activation checkpoint",
    formula="calls during the backward pass > 0; the momentum m works as 1 − (1 − m)²",
    threshold="exact",
    why="The backward pass computes the layer again, and the running statistics move twice a step.",
    mend="layer = model.get_submodule('LAYER')\nlayer.momentum = 1 - (1 - layer.momentum) ** 0.5",
    reread="19_in_practice.ipynb#Twice a step: activation checkpointing",
)  # fmt: skip
def norm_in_checkpoint(patient: Patient) -> Iterator[Hit]:
    boxes = tuple(
        f"{name}." if name else ""
        for name, module in patient.root.named_modules()
        if type(module).__name__ == "CheckpointWrapper"
    )
    for layer in patient.batch_layers():
        record = patient.record(layer)
        again = record.again if record else 0
        if moves(layer) and (again or (boxes and layer.name.startswith(boxes))):
            m = layer.module.momentum
            work = (
                "each batch counts twice" if m is None else f"{m:g} works as {1 - (1 - m) ** 2:.3g}"
            )
            numbers = {"calls in backward": again}
            yield Hit(layer.name, f"{again} calls in backward passes: momentum {work}", numbers)


def moves(layer: Layer) -> bool:
    """Whether a forward pass in training moves its statistics."""
    return bool(layer.module.track_running_stats)


@check(
    "padding-in-statistics", group="structure", severity="warning", needs="a loader",
    title="padding in the statistics of sequences",
    formula="share of positions in (N, C, L) that repeat one vector up to the end",
    threshold=f"more than {100 * PADDED:.0f} %, with ends of unequal length",
    why="Mean and variance are those of words and padding together, and change with the length of "
    "the other sequences in the batch.",
    mend="nn.LayerNorm(C)  # looks at one position; or normalize x[mask]",
    reread="14_architectures.ipynb#Why not batch normalization? A sentence and its padding",
)  # fmt: skip
def padding_in_statistics(patient: Patient) -> Iterator[Hit]:
    for layer, record in patient.measured_layers():
        share = max(record.padding, default=0.0)
        if layer.is_batch and share > PADDED:
            text = f"{100 * share:.0f} % of the positions are padding"
            yield Hit(layer.name, text, {"share": share})


@check(
    "foldable", group="structure", severity="note",
    title="layers that inference need not compute",
    formula="γ/σ (W x + b − μ) + β is one linear or convolutional layer",
    threshold="in evaluation mode, where nothing but the layer takes what stands before it",
    why="Folding gives the same answers with fewer layers.",
    mend="from bnkit.functional import fold_batch_norm\n"
    "folded = fold_batch_norm(conv, norm)  # in place of both",
    reread="15_inference.ipynb#The equation, and the function",
)  # fmt: skip
def foldable(patient: Patient) -> Iterator[Hit]:
    if patient.training:
        return
    pairs = [(layer, step.before[0]) for layer, step in steps_of(patient) if _folds(layer, step)]
    if pairs:
        numbers = _savings(patient, pairs)
        text = f"{len(pairs)} pairs, such as {pairs[0][1].name} and {pairs[0][0].name}: "
        text += f"{numbers['bytes']:,} bytes of parameters and buffers"
        if numbers["values"]:
            text += f", and {numbers['values']:,} values an example that need no pass of their own"
        yield Hit("the model", text, numbers)


def _folds(layer: Layer, step: Step) -> bool:
    if len(step.before) != 1 or layer.module.training or layer.statistics is None:
        return False
    source = step.before[0]
    return isinstance(source.module, MIXING) and len(source.after) == 1


def _savings(patient: Patient, pairs: list[tuple[Layer, Step]]) -> dict[str, int]:
    """Bytes that go with the layers, less the biases that appear, and values an example."""
    size = values = 0
    for layer, source in pairs:
        tensors = [*layer.module.parameters(), *layer.module.buffers()]
        size += sum(t.numel() * t.element_size() for t in tensors)
        if source.module.bias is None:
            size -= layer.module.num_features * source.module.weight.element_size()
        record = patient.record(layer)
        if record and record.values:
            values += record.values[0] // record.examples[0] * layer.module.num_features
    return {"pairs": len(pairs), "bytes": size, "values": values}
