"""Each finding is found where it was put, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import doctor, doctor_page
from bench.doctor_cases import CASES, Visit
from bench.doctor_nets import SIZES, data, make, train
from bench.doctor_zoo import LONGER, ZOO, situations
from bnkit.doctor import examine
from bnkit.doctor.measuring import padded_share
from bnkit.doctor.registry import CHECKS

ROOT = Path(__file__).parents[1]
RESULTS = json.loads(doctor.RESULTS.read_text(encoding="utf-8"))


def test_every_check_has_a_case():
    assert {case.name for case in CASES} == set(CHECKS)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_a_fault_is_found_and_named_alone(number):
    case, size = CASES[number], SIZES[number % len(SIZES)]  # all sizes: python -m bench.doctor
    twin, ill = case.visits(size)
    result = doctor.outcome(case.name, twin.report(), ill.report())
    assert result == {"found": True, "others": [], "twin": []}


@pytest.mark.parametrize("name", ZOO[:3])
def test_healthy_architectures_get_nothing_above_a_note(name):
    for situation, report, _ in situations(name, steps=2):
        assert report.layers, situation
        assert not doctor.above_note(report), (situation, str(report))


def test_models_that_have_learned_get_nothing_above_a_note_either():
    assert set(RESULTS["trained"]) == set(LONGER)
    assert all(each["right"] > 50 for each in RESULTS["trained"].values()), "10 % is chance"
    for each in (RESULTS["trained"], doctor.trained(LONGER[:1], steps=4)):
        assert not any(row[mode] for row in each.values() for mode in ("evaluating", "training"))


def test_the_page_shows_what_was_measured_and_every_check():
    page = (ROOT / "chapters" / "doctor.md").read_text(encoding="utf-8")
    assert page == doctor_page.render(RESULTS, CHECKS)
    assert all(f"`{name}`" in page for name in CHECKS)


def test_the_rates_on_the_page_are_those_of_all_cases_and_24_models():
    assert set(RESULTS["injected"]) == set(CHECKS) and set(RESULTS["healthy"]) == set(ZOO)
    assert all(set(sizes) == set(SIZES) for sizes in RESULTS["injected"].values())
    assert len(ZOO) == len(set(ZOO)) == 24


def test_examining_costs_at_most_twice_the_passes():
    assert all(sorted(rounds)[len(rounds) // 2] <= 2 for rounds in RESULTS["cost"].values())


def checks_of(report):
    return {finding.check for finding in report.findings}


# What lies beside a finding, and is none


def test_statistics_close_to_the_data_are_no_finding_and_far_ones_an_error():
    model = train(make("mlp"), data()).eval()
    layer = model[2]
    start = layer.running_mean.clone()
    severities = []
    for shift in (0.25, 0.75, 3.0):
        layer.running_mean.copy_(start + shift * layer.running_var.sqrt())
        found = [f for f in examine(model, data()).findings if f.check == "statistics-disagree"]
        severities.append(found[0].severity if found else "")
    assert severities == ["", "warning", "error"]


def test_only_the_layer_whose_statistics_are_wrong_is_blamed():
    model = train(make("mlp"), data()).eval()
    model[2].running_var *= 30
    found = [f.layer for f in examine(model, data()).findings if f.rank < 2]
    assert found == ["2"]


def test_few_batches_at_a_small_momentum_are_no_lag_after_reestimation():
    model = train(make("cnn"), data()).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.num_batches_tracked = 0.0003, torch.tensor(100)
    assert "statistics-lag" not in checks_of(examine(model, data()))


def test_zero_init_of_residual_branches_is_no_dead_channel():
    model = make("residual")
    nn.init.zeros_(model[3].bn2.weight)
    assert "dead-channels" not in checks_of(examine(model))


def test_some_dead_channels_are_a_note():
    model = make("cnn")
    model[1].weight.data[:3] = 0
    (finding,) = [f for f in examine(model).findings if f.check == "dead-channels"]
    assert finding.severity == "note" and finding.numbers == {"channels": 3, "of": 16}


def test_dropout_of_rate_0_or_behind_the_layer_is_no_finding():
    for first, last in ((nn.Dropout(0.0), nn.BatchNorm1d(8)), (nn.BatchNorm1d(8), nn.Dropout(0.5))):
        assert "dropout-before-norm" not in checks_of(examine(nn.Sequential(first, last)))


def test_dropout_behind_a_mixing_layer_is_a_note():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8))
    (finding,) = [f for f in examine(model).findings if f.check == "dropout-before-norm"]
    assert finding.severity == "note"


class Both(nn.Module):
    """What the linear layer gives goes two ways."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        y = self.linear(x)
        return y + self.norm(y)


def test_a_bias_that_something_else_uses_too_is_no_finding():
    assert "bias-before-norm" not in checks_of(examine(Both()))


def test_what_several_steps_use_is_not_folded():
    assert "foldable" not in checks_of(examine(Both().eval()))


def test_shuffled_labels_are_no_sorted_batches_however_rare_a_class():
    generator = torch.Generator().manual_seed(0)
    rare = (torch.rand(128, generator=generator) < 0.05).long()
    loader = [(x, y) for (x, _), y in zip(data(), rare.split(32), strict=True)]
    assert "sorted-batches" not in checks_of(examine(make("mlp"), loader))


def test_runs_of_classes_within_batches_are_found():
    labels = torch.arange(4).repeat_interleave(32)
    loader = [(x, y) for (x, _), y in zip(data(), labels.split(32), strict=True)]
    (finding,) = [f for f in examine(make("mlp"), loader).findings if f.check == "sorted-batches"]
    assert finding.numbers["purity"] == pytest.approx(1.0)


@pytest.mark.parametrize("lengths", [(6, 6, 6), (8, 8, 8)])
def test_sequences_of_one_length_have_no_padding(lengths):
    x = torch.randn(3, 5, 8)
    for row, length in enumerate(lengths):
        x[row, :, length:] = 0.5
    assert padded_share(x) == 0


def test_the_share_of_padding_counts_its_positions():
    x = torch.randn(4, 5, 10)
    for row, length in enumerate((4, 6, 8, 10)):
        x[row, :, length:] = 0.5
    assert padded_share(x) == pytest.approx(12 / 40)


def test_a_reentrant_checkpoint_is_found_too():
    class Box(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(192, 8, bias=False), nn.BatchNorm1d(8))
            self.stem, self.head = nn.Linear(192, 192), nn.Linear(8, 4)

        def forward(self, x):
            y = torch.utils.checkpoint.checkpoint(
                self.inner, self.stem(x.flatten(1)), use_reentrant=True
            )
            return self.head(y)

    assert "norm-in-checkpoint" in checks_of(examine(Box(), data()))


def test_an_export_by_torch_export_in_training_is_found_and_one_in_evaluation_is_not():
    model, x = make("cnn"), data()[0][0]
    for mode, expected in ((True, True), (False, False)):
        program = torch.export.export(model.train(mode), (x,)).module()
        assert ("exported-in-training" in checks_of(examine(program))) is expected


def test_a_model_that_fx_traced_is_examined_as_the_model():
    model = train(make("cnn"), data()).eval()
    model[4].running_mean += 3
    one, other = examine(model, data()), examine(torch.fx.symbolic_trace(model), data())
    assert [f.to_dict() for f in one.findings] == [f.to_dict() for f in other.findings]


def test_an_effect_is_not_listed_beside_its_cause():
    visit = Visit(train(make("mlp"), data()).eval(), data())
    visit.model[2].running_var[:] = torch.nan
    assert [f.check for f in visit.report().findings if f.rank < 2] == ["variance-not-finite"]
