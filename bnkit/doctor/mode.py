"""Checks of mode: which layers use the batch's statistics, and which their own."""

from __future__ import annotations

from collections.abc import Iterator

from torch import fx, nn
from torch.jit import ScriptModule

from bnkit.doctor.kinds import Layer
from bnkit.doctor.patient import Patient
from bnkit.doctor.registry import Hit, check

__all__: list[str] = []


def moving(layer: Layer) -> bool:
    """Whether the mode changes what a layer does."""
    return layer.is_batch and bool(layer.module.track_running_stats)


@check(
    "awake-in-evaluation", group="mode", severity="error",
    title="evaluation with layers in training mode",
    formula="model.training is False, layer.training is True",
    threshold="exact",
    why="Its answers depend on the rest of the batch, and each one moves its statistics.",
    mend="model.eval()",
    reread="03_two_modes.ipynb#A forgotten `eval()`, measured",
)  # fmt: skip
def awake_in_evaluation(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        if not patient.training and moving(layer) and layer.module.training:
            yield Hit(layer.name, "the model evaluates, this layer trains")


@check(
    "evaluation-in-training", group="mode", severity="warning", needs="an optimizer",
    title="training with the model in evaluation mode",
    formula="model.training is False, and an optimizer was given",
    threshold="exact; an examination without the optimizer is one of evaluation",
    why="The running statistics stand still while the weights move away from them, and the "
    "gradient lacks the terms that pass through the batch.",
    mend="model.train()",
    reread="03_two_modes.ipynb#What the layer computes in eval mode",
)  # fmt: skip
def evaluation_in_training(patient: Patient) -> Iterator[Hit]:
    if patient.optimizer is None or patient.training:
        return
    for layer in patient.layers:
        if moving(layer) and not layer.module.training:
            yield Hit(layer.name, "an optimizer is at work, this layer evaluates")


@check(
    "frozen-will-wake", group="mode", severity="warning",
    title="frozen layers that model.train() will wake",
    formula="layer.training is False in a model that trains, and True after model.train()",
    threshold="exact: train() was called on a copy of the modes; one that keeps them is no finding",
    why="The next epoch starts with model.train(), and their statistics begin to move.",
    mend="def train(self, mode=True):  # in the model's class\n"
    "    super().train(mode)\n"
    "    self.get_submodule('LAYER').eval()\n"
    "    return self",
    reread="19_in_practice.ipynb#Frozen, and still moving",
)  # fmt: skip
def frozen_will_wake(patient: Patient) -> Iterator[Hit]:
    for layer in patient.layers:
        if patient.training and moving(layer) and layer.name in patient.wakes:
            yield Hit(layer.name, "evaluates now, and trains after model.train()")


@check(
    "batch-of-one-without-statistics", group="mode", severity="error", needs="a loader",
    title="track_running_stats=False met by a batch of one",
    formula="no running statistics, and a batch of 1 example",
    threshold="exact",
    why="In evaluation, too, the layer uses the batch: one example is compared with itself, and "
    "with one value a channel it is refused.",
    mend="nn.BatchNorm2d(C)  # keeps statistics; or nn.GroupNorm(G, C)",
    reread="03_two_modes.ipynb#What the layer computes in eval mode",
    cause_of=("last-batch-of-one", "few-values"),
)  # fmt: skip
def batch_of_one_without_statistics(patient: Patient) -> Iterator[Hit]:
    if patient.batches is None or 1 not in (*patient.batches.sizes, patient.batches.last):
        return
    for layer in patient.batch_layers():
        if layer.module.running_mean is None:
            yield Hit(layer.name, "uses each batch's statistics, and a batch has 1 example")


@check(
    "exported-in-training", group="mode", severity="error",
    title="a model that was exported in training mode",
    formula="batch_norm(…, training=True) is written into a traced or exported program",
    threshold="exact",
    why="eval() cannot change a program: its answers depend on the batch for good.",
    mend="model.eval()  # before it is traced or exported",
    reread="20_two_kinds.ipynb#Half precision, and the wrong mode in a file",
)  # fmt: skip
def exported_in_training(patient: Patient) -> Iterator[Hit]:
    calls = list(_recorded(patient.root))
    if any(calls):
        count = sum(calls)
        text = f"{count} of {len(calls)} batch normalizations were recorded in training mode"
        yield Hit("the program", text, {"recorded in training": count, "of": len(calls)})


def _recorded(model: nn.Module) -> Iterator[bool]:
    """Whether each recorded call trains, for the calls whose mode is part of the program."""
    if isinstance(model, ScriptModule):
        graph = model.inlined_graph  # its nodes die with it
        for node in graph.findAllNodes("aten::batch_norm"):
            training = list(node.inputs())[5].node()
            if training.kind() == "prim::Constant":
                yield bool(training.i("value"))
    if isinstance(model, fx.GraphModule):
        for node in model.graph.nodes:
            if "batch_norm" in str(node.target) and node.op == "call_function":
                modes = [value for value in node.args if isinstance(value, bool)]
                yield bool(modes and modes[0])
