"""Chapter 18's exercises, its networks that train side by side, and its figures."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from mutants import share_named
from torch import nn

from bnkit.book import ch18
from bnkit.book.registry import EXERCISES, check

KINDS = {
    "BN": nn.BatchNorm1d,
    "groups": lambda channels: nn.GroupNorm(channels // 4, channels),
    "ghosts": partial(ch18.GhostNorm, group=4),
}


def in_numpy(z, batch):
    z = z.double().numpy()
    means = z.mean(axis=(2, 3))
    return torch.tensor(means.std(axis=0) / z.std(axis=(0, 2, 3)) / math.sqrt(batch))


def by_sorting(steps):
    ordered = sorted(steps, key=lambda count: math.inf if count is None else count)
    return ordered[len(ordered) // 2]


@pytest.mark.parametrize(
    ("name", "answer"), [("mean_noise", in_numpy), ("median_steps", by_sorting)]
)
def test_a_right_answer_passes_however_it_is_written(name, answer):
    result = check(name, answer)
    assert result.passed, repr(result)


WRONG = {
    "pixels taken for independent draws": (
        "mean_noise",
        lambda z, batch: (torch.ones(z.shape[1]) / (batch * z[0, 0].numel())).sqrt(),
    ),
    "runs that did not arrive left out": (
        "median_steps",
        lambda steps: sorted(c for c in steps if c)[len([c for c in steps if c]) // 2],
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_answer_is_named(mistake):
    name, answer = WRONG[mistake]
    assert check(name, answer).mistake == mistake


@pytest.mark.parametrize("name", [e.name for e in ch18.EXERCISES])
def test_small_changes_of_the_solution_are_named(name):
    assert share_named(EXERCISES[name]) >= 0.85


def small_net(make_norm, seeds):
    starts = ch18.generators(seeds)
    first = ch18.side_by_side(nn.Conv1d, 1, 4, 3, starts, padding=1)
    last = ch18.side_by_side(nn.Conv1d, 4, 3, 6, starts)
    return nn.Sequential(first, make_norm(4 * len(seeds)), nn.ReLU(), last)


def some_data():
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (40,), generator=generator)
    return torch.randn(40, 1, 6, generator=generator) + labels[:, None, None], labels


def trained(make_norm, seeds, **options):
    data = some_data()
    settings = {"steps": 10, "batch": 8, "watch": data, "every": 5} | options
    return torch.tensor(ch18.train(small_net(make_norm, seeds), data, 0.1, seeds, **settings))


@pytest.mark.parametrize("kind", KINDS)
def test_networks_that_train_side_by_side_learn_what_each_learns_alone(kind):
    together = trained(KINDS[kind], [0, 1, 2])
    assert together.shape == (2, 3)
    for i in range(3):
        torch.testing.assert_close(together[:, i : i + 1], trained(KINDS[kind], [i]))


def test_a_network_that_diverges_leaves_its_neighbors_alone():
    data = some_data()
    net = small_net(KINDS["BN"], [0, 1])
    net[0].weight.data[:4] = math.inf
    options = {"steps": 10, "batch": 8, "watch": data, "every": 5}
    curve = ch18.train(net, data, 0.1, [0, 1], **options)
    torch.testing.assert_close(torch.tensor(curve)[:, 1:], trained(KINDS["BN"], [1]))


def test_a_seed_keeps_its_few_examples_and_its_layers_start_differently():
    assert torch.equal(ch18.subset(40, 3, 8), ch18.subset(40, 3, 8))
    assert not torch.equal(ch18.subset(40, 3, 8), ch18.subset(40, 4, 8))
    starts = ch18.generators([0])
    one, two = (ch18.side_by_side(nn.Conv1d, 4, 4, 3, starts) for _ in range(2))
    assert not torch.equal(one.weight, two.weight)


def test_ghosts_normalize_each_group_by_itself_and_settle_on_all_examples():
    x = torch.randn(8, 3, 5)
    ghosts = ch18.GhostNorm(3, group=4)(x)
    for part in (ghosts[:4], ghosts[4:]):
        torch.testing.assert_close(part.mean((0, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    data = some_data()
    net = small_net(KINDS["ghosts"], [0])
    ch18.settle(net, data, [0], limit=16)
    seen = net[0](data[0][ch18.subset(40, 0, 16)]).mean((0, 2))
    torch.testing.assert_close(net[1].running_mean, seen.detach())


def test_the_highest_rate_stands_before_the_first_that_fails():
    results = {0.1: [90, 10, 90], 0.2: [80, 90, 90], 0.4: [10, 90, math.nan], 0.8: [90, 9, 9]}
    assert ch18.highest_rates(results, target=40) == [0.2, 0.1, 0.2]
    assert ch18.highest_rates({0.1: [50], 0.2: [50]}, target=40) == [0.2]


def test_the_mean_of_a_batch_varies_as_its_signals_are_worth():
    z = torch.randn(500, 2, 6) + torch.randn(500, 2, 1)
    drawn = ch18.batch_means(z, batch=5, draws=4000, seed=0)
    expected = ch18.mean_noise(z[..., None], 5) * z.std((0, 2), unbiased=False)
    torch.testing.assert_close(drawn.std(0), expected, rtol=0.1, atol=0)


def test_figures_name_what_they_show():
    signals, labels = torch.randn(40, 1, 40), torch.arange(40) % 10
    titles = [ax.get_title(loc="left") for ax in ch18.show_signals(signals, labels).axes]
    assert [title[0] for title in titles] == list("0123456789")
    sides = [(task, norm) for task in ("signals", "digits") for norm in ("plain", "BN")]
    curves = {side: [[10.0, 12.0], [50.0, 60.0]] for side in sides}
    figure = ch18.show_curves(curves, {"signals": 30, "digits": 10})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["signals", "digits"]
    means = {"BN": torch.randn(9, 2), "plain": torch.randn(9, 2)}
    assert len(ch18.show_means(means, "batches of 2").axes) == 2


def test_the_table_takes_both_verdicts_from_the_ledger():
    (row,) = ch18.verdicts_here_and_there({"It regularizes.": "regularizes"})
    assert row[0] == "It regularizes." and len(row) == 3
