"""Chapter 5's exercises: right layers in many styles, and what is said of wrong ones."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mutants import share_named
from torch import nn

from bnkit import layers
from bnkit.book import ch05
from bnkit.book.ch05 import (
    Layer,
    Race,
    loss_drift,
    loss_gap,
    note_signs,
    reloaded_outputs,
    switches,
)
from bnkit.book.exercise import first_difference, pairs
from bnkit.book.registry import EXERCISES, check

CHAPTERS = Path(__file__).parents[1] / "chapters"
NAMES = ["layer", "averaging_layer", "layer_2d", "reestimate"]


class Library(Layer):
    def forward(self, z):
        if self.training:
            self.num_batches_tracked.add_(1)
        stats = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(z, *stats, self.training, self.momentum, self.eps)


class Reassigned(Layer):
    """New tensors in the buffers' place, detached."""

    def forward(self, x):
        if not self.training:
            scale = self.weight / (self.running_var + self.eps) ** 0.5
            return x * scale + (self.bias - self.running_mean * scale)
        m, n, mu = self.momentum, len(x), x.mean(0)
        var = ((x - mu) ** 2).mean(0)
        self.running_mean = (1 - m) * self.running_mean + m * mu.detach()
        self.running_var = (1 - m) * self.running_var + m * var.detach() * n / (n - 1)
        self.num_batches_tracked = self.num_batches_tracked + 1
        return (x - mu) / torch.sqrt(var + self.eps) * self.weight + self.bias


class Loops(Layer):
    def forward(self, x):
        columns = []
        for j in range(x.shape[1]):
            column, n = x[:, j], len(x)
            mu, var = self.running_mean[j].clone(), self.running_var[j].clone()
            if self.training:
                mu = sum(column) / n
                squares = sum((value - mu) ** 2 for value in column)
                var = squares / n
                m = self.momentum
                self.running_mean[j] = (1 - m) * self.running_mean[j] + m * mu.item()
                self.running_var[j] = (1 - m) * self.running_var[j] + m * squares.item() / (n - 1)
            columns.append(self.weight[j] * (column - mu) / torch.sqrt(var + self.eps))
        if self.training:
            self.num_batches_tracked += 1
        return torch.stack(columns, dim=1) + self.bias


class Double(Layer):
    def forward(self, x):
        return super().forward(x.double()).to(x.dtype)

    def __init__(self, num_features, momentum=0.1, eps=1e-5):
        super().__init__(num_features, eps, momentum)
        self.double()


class Inherited(nn.BatchNorm1d):
    pass


RIGHT = [
    nn.BatchNorm1d,
    layers.BatchNorm1d,
    Inherited,
    Layer,
    Library,
    Reassigned,
    Loops,
    Double,
]


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_layer_passes_however_it_is_written(answer):
    result = check("layer", answer)
    assert result.passed, repr(result)


@pytest.fixture(scope="module")
def patients():
    """The definitions of chapter 16, as its cells have them."""
    return definitions("16_capstone.ipynb", "class Skeleton", "class Patient")


def definitions(chapter, *starts):
    cells = json.loads((CHAPTERS / chapter).read_text(encoding="utf-8"))["cells"]
    names = {"torch": torch, "nn": nn, "F": F, "copy": copy, "math": math}
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and source.startswith(starts):
            exec(source, names)
    return names


DEFECTS = {  # patient C also takes no eps and no momentum
    "A": "detached statistics",
    "B": "unbiased variance in the forward pass",
    "C": "running statistics as plain attributes and arguments ignored",
    "D": "undetached running statistics",
    "E": "mode follows the gradient switch",
}


@pytest.mark.parametrize("patient", DEFECTS)
def test_the_check_names_the_defect_of_each_patient_of_chapter_16(patients, patient):
    assert check("layer", patients[f"Patient{patient}"]).mistake == DEFECTS[patient]


def test_patient_f_takes_the_variance_as_a_difference(patients):
    class PatientF(patients["Skeleton"]):
        def forward(self, x):
            if not self.training:
                return self.affine(x, self.running_mean, self.running_var)
            self.remember(x)
            mu = x.mean(0)
            return self.affine(x, mu, (x * x).mean(0) - mu * mu)

    assert check("layer", PatientF).mistake == "variance as E[x²] − E[x]²"


def test_a_healthy_skeleton_lacks_only_the_count(patients):
    class Healthy(patients["Skeleton"]):
        def forward(self, x):
            if not self.training:
                return self.affine(x, self.running_mean, self.running_var)
            self.remember(x)
            return self.affine(x, x.mean(0), x.var(0, unbiased=False))

    assert check("layer", Healthy).mistake == "num_batches_tracked absent"


class FromLibrary(nn.BatchNorm1d):
    """PyTorch's layer, changed on its surface."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)


class NeverEvaluates(FromLibrary):
    def train(self, mode=True):
        return super().train()


class KerasMomentum(FromLibrary):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, 1 - momentum)


class Untracked(FromLibrary):
    def forward(self, x):
        stats = (None, None) if self.training else (self.running_mean, self.running_var)
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean(0), self.momentum)
                self.running_var.lerp_(x.var(0, correction=0), self.momentum)
                self.num_batches_tracked += 1
        args = self.weight, self.bias, self.training, 0.0, self.eps
        return nn.functional.batch_norm(x, *stats, *args)


class Attributes(FromLibrary):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        for name in ["running_mean", "running_var"]:
            setattr(self, name, self._buffers.pop(name))


WRONG = {
    NeverEvaluates: "mode ignored",
    KerasMomentum: "momentum on the wrong side",
    Untracked: "biased running variance",
    Attributes: "running statistics as plain attributes",
}


@pytest.mark.parametrize("answer", WRONG)
def test_a_mistake_in_the_layer_is_named_however_it_is_written(answer):
    assert check("layer", answer).mistake == WRONG[answer]


class NewTensors(Layer):
    """Moves its statistics, but not those that it keeps."""

    def update(self, x):
        running_mean = self.running_mean + self.momentum * (x.mean(0) - self.running_mean)
        running_var = self.running_var + self.momentum * (x.var(0) - self.running_var)
        self.num_batches_tracked += 1
        return running_mean, running_var


class NeverUpdates(Layer):
    def update(self, x):
        pass


@pytest.mark.parametrize("answer", [NewTensors, NeverUpdates])
def test_running_statistics_that_never_move_are_named(answer):
    assert check("layer", answer).mistake == "running statistics stand still"


def test_a_layer_that_cannot_evaluate_is_named_although_it_raises():
    class TrainsOnly(Layer):
        def forward(self, x):
            if self.training:
                mean, var = x.mean(0), x.var(0, unbiased=False)
                self.update(x)
            return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias

    assert check("layer", TrainsOnly).mistake == "nothing to normalize with in evaluation"


class Spotted(Layer):
    """Chapter 5's layer with four mistakes at once: no single entry, but a place to begin."""

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if torch.is_grad_enabled():
            with torch.no_grad():
                mean, var = x.mean(dim=0), x.var(dim=0)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * len(x) / (len(x) - 1), self.momentum)
        return self.weight * (x - mean) / (torch.sqrt(var) + self.eps) + self.bias


def test_of_several_mistakes_at_once_one_is_named():
    assert check("layer", Spotted).mistake == "variance corrected twice, and something else"


class SlowCount(Layer):
    def forward(self, x):
        y = super().forward(x)
        with torch.no_grad():
            self.running_var.mul_(1.5)
        return y


def test_an_unknown_mistake_is_told_which_result_is_wrong():
    assert "running_var: 1.5 times the right one" in check("layer", SlowCount).mistake


class Images(layers.BatchNorm2d):
    """Every position of every image is a row."""

    def forward(self, x):
        last = x.movedim(1, -1)
        rows = last.reshape(-1, last.shape[-1])
        count = self.num_batches_tracked
        stats = self.running_mean, self.running_var, self.weight, self.bias
        count += self.training
        y = F.batch_norm(rows, *stats, self.training, self.momentum, self.eps)
        return y.view(last.shape).movedim(-1, 1)


@pytest.mark.parametrize("answer", [nn.BatchNorm2d, layers.BatchNorm2d, Images])
def test_a_right_layer_for_images_passes(answer):
    result = check("layer_2d", answer)
    assert result.passed, repr(result)


def test_rows_that_mix_channels_and_positions_are_named():
    class Mixed(nn.BatchNorm1d):
        def forward(self, x):
            return super().forward(x.reshape(-1, x.shape[1])).view(x.shape)

    class Scrambled(nn.BatchNorm1d):
        def forward(self, x):
            rows = x.permute(0, 2, 3, 1).flatten(0, 2)
            return super().forward(rows).view(x.shape)

    assert check("layer_2d", Mixed).mistake == "channels not moved to the end"
    assert check("layer_2d", Scrambled).mistake == "channels not moved back"


class Averaging(Layer):
    def forward(self, x):
        if self.training:
            self.momentum = 1 / (self.num_batches_tracked.item() + 1)
        return super().forward(x)


@pytest.mark.parametrize("answer", [Averaging, lambda n: nn.BatchNorm1d(n, momentum=None)])
def test_a_right_averaging_layer_passes(answer):
    assert check("averaging_layer", answer).passed


def test_a_layer_with_momentum_does_not_average():
    assert check("averaging_layer", nn.BatchNorm1d).mistake == "momentum fixed"


def in_place(model, batches):
    for layer in model.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_running_stats()
            layer.momentum = None
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)


def norms_of(model):
    return [layer for layer in model.modules() if hasattr(layer, "running_mean")]


def averaged(model, batches):
    model = copy.deepcopy(model).train()
    for t, x in enumerate(batches, start=1):
        for norm in norms_of(model):
            norm.momentum = 1 / t
        model(x)
    return model


@pytest.mark.parametrize("answer", [in_place, averaged])
def test_a_right_reestimation_passes_however_it_is_written(answer):
    assert check("reestimate", answer).passed


def not_enough(model, batches):
    model.train()
    for x in batches:
        model(x)


def no_reset(model, batches):
    for norm in norms_of(model):
        norm.momentum = None
    not_enough(model, batches)


@pytest.mark.parametrize("answer", [not_enough, no_reset])
def test_statistics_that_are_not_forgotten_are_named(answer):
    assert check("reestimate", answer).mistake == "old statistics not forgotten"


def test_a_model_that_came_in_evaluation_mode_has_to_be_set_to_training():
    def as_it_came(model, batches):
        for norm in norms_of(model):
            norm.reset_running_stats()
            norm.momentum = None
        for x in batches:
            model(x)

    assert (
        check("reestimate", as_it_came).mistake == "nothing moved: evaluation mode, or momentum 0"
    )


def test_a_reestimation_that_moves_weights_is_told_so():
    def moved(model, batches):
        in_place(model, batches)
        with torch.no_grad():
            model[1].weight.zero_()

    result = check("reestimate", moved)
    assert "weight" in (result.mistake or result.stage)


def test_a_layer_that_starts_with_another_gamma_is_named():
    class Random(ch05.Layer):
        def __init__(self, num_features, eps=1e-5, momentum=0.1):
            super().__init__(num_features, eps, momentum)
            self.weight = nn.Parameter(torch.zeros(num_features))

    assert check("layer", Random).mistake == "gamma and beta start elsewhere"


def test_a_misspelled_attribute_is_no_count_that_is_absent():
    class Misspelled(ch05.Averaging):
        def update(self, x):
            self.runing_mean.lerp_(x.mean(dim=0), 1.0)

    result = check("averaging_layer", Misspelled)
    assert result.status == "raised"
    assert "runing_mean" in result.error


@pytest.mark.parametrize("name", NAMES)
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


@pytest.mark.parametrize("name", ["layer_2d", "reestimate"])
def test_no_two_mistakes_together_are_right(name):
    exercise = EXERCISES[name]
    for first, second, answer in pairs(exercise):
        seen = zip(exercise.expected, exercise.observe(answer), strict=True)
        assert any(first_difference(*both) for both in seen), (first.name, second.name)


def test_reloaded_outputs_give_both_accuracies():
    ax = reloaded_outputs(torch.eye(2)[:1], torch.eye(2)[1:], torch.tensor([0]))
    assert ax.get_title(loc="left") == "accuracy 100.0 % → 0.0 %"


def test_loss_drift_draws_the_largest_gap_of_each_window_and_zeros_at_the_floor():
    gaps = {"ours": torch.tensor([0.0, 0.0, 1e-7, 1e-5]), "control": torch.zeros(4)}
    axes = loss_drift({"seed 0": gaps}, {"seed 0": {"ours": [1]}}, window=2)
    line, triangle = axes[0].lines[:2]
    assert axes[0].get_yscale() == "log"
    assert list(line.get_xdata()) == [1, 3]
    assert line.get_ydata() == pytest.approx([1e-8, 1e-5])
    assert list(triangle.get_xdata()) == [1]


def test_a_race_is_compared_by_its_losses_and_by_every_sign():
    first, second = torch.tensor([[True, False]]), torch.tensor([[False, True]])  # one is positive
    ours = Race([1.0, 0.5, 0.2], [first, first, first])
    theirs = Race([1.0, 0.75, 0.0], [first, second, first])
    assert loss_gap(ours, theirs).tolist() == pytest.approx([0.0, 0.25, 0.2])
    assert switches(ours, theirs) == [1]
    assert switches(ours, ours) == []


def test_the_signs_of_an_activations_inputs_are_noted_at_each_call():
    relu = nn.ReLU()
    masks = note_signs(relu)
    relu(torch.tensor([1.0, -2.0]))
    relu(torch.tensor([-1.0, 0.0]))
    assert [mask.tolist() for mask in masks] == [[True, False], [False, False]]
