"""Answers to the exercises on the layer: right ones in many styles, and those of the chapters."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnkit import layers
from bnkit.checks import check_averaging_layer, check_layer, check_layer_2d
from bnkit.checks.solutions.by_hand import Layer as Textbook

CHAPTERS = Path(__file__).parents[1] / "chapters"


class Library(Textbook):
    def forward(self, z):
        if self.training:
            self.num_batches_tracked.add_(1)
        stats = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(z, *stats, self.training, self.momentum, self.eps)


class Reassigned(Textbook):
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


class Loops(Textbook):
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


class Double(Textbook):
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
    Textbook,
    Library,
    Reassigned,
    Loops,
    Double,
]


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_layer_passes_however_it_is_written(answer):
    result = check_layer(answer)
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


DEFECTS = {
    "A": "detached statistics",
    "B": "unbiased variance in the forward pass",
    "C": "running statistics as plain attributes",
    "D": "undetached running statistics",
    "E": "mode follows the gradient switch",
}


@pytest.mark.parametrize("patient", DEFECTS)
def test_the_check_names_the_defect_of_each_patient_of_chapter_16(patients, patient):
    assert check_layer(patients[f"Patient{patient}"]).mistake == DEFECTS[patient]


def test_patient_f_takes_the_variance_as_a_difference(patients):
    class PatientF(patients["Skeleton"]):
        def forward(self, x):
            if not self.training:
                return self.affine(x, self.running_mean, self.running_var)
            self.remember(x)
            mu = x.mean(0)
            return self.affine(x, mu, (x * x).mean(0) - mu * mu)

    assert check_layer(PatientF).mistake == "variance as E[x²] − E[x]²"


def test_a_healthy_skeleton_lacks_only_the_count(patients):
    class Healthy(patients["Skeleton"]):
        def forward(self, x):
            if not self.training:
                return self.affine(x, self.running_mean, self.running_var)
            self.remember(x)
            return self.affine(x, x.mean(0), x.var(0, unbiased=False))

    assert check_layer(Healthy).mistake == "num_batches_tracked absent"


class Spotted(Textbook):
    """Chapter 5's layer with four mistakes at once: no single entry, but a place to begin."""

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if torch.is_grad_enabled():
            with torch.no_grad():
                mean, var = x.mean(dim=0), x.var(dim=0)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * len(x) / (len(x) - 1), self.momentum)
        return self.weight * (x - mean) / (torch.sqrt(var) + self.eps) + self.bias


def test_several_mistakes_at_once_are_told_where_the_values_part():
    result = check_layer(Spotted)
    assert (result.status, result.stage) == ("unknown", "variance")


class SlowCount(Textbook):
    def forward(self, x):
        y = super().forward(x)
        with torch.no_grad():
            self.running_var.mul_(1.5)
        return y


def test_an_unknown_mistake_is_told_which_result_is_wrong():
    result = check_layer(SlowCount)
    assert (result.status, result.stage) == ("unknown", "running_var")


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
    result = check_layer_2d(answer)
    assert result.passed, repr(result)


class Averaging(Textbook):
    def forward(self, x):
        if self.training:
            self.momentum = 1 / (self.num_batches_tracked.item() + 1)
        return super().forward(x)


@pytest.mark.parametrize("answer", [Averaging, lambda n: nn.BatchNorm1d(n, momentum=None)])
def test_a_right_averaging_layer_passes(answer):
    assert check_averaging_layer(answer).passed
