import copy
import math

import pytest
import torch
from torch import nn

from bnkit.training.early_stopping import EarlyStopping


def run(losses, **options):
    """Feed losses in order to the rule; the model's weight counts the epochs from 1."""
    rule, model = EarlyStopping(**options), nn.Linear(1, 1)
    for epoch, loss in enumerate(losses, start=1):
        with torch.no_grad():
            model.weight.fill_(epoch)
        rule(loss, model)
        if rule.early_stop:
            break
    return rule, model, epoch


def kept_epoch(rule):
    return rule.best_model_state["weight"].item()


def test_training_stops_after_patience_epochs_without_improvement():
    rule, _, stopped = run([5, 4, 3, 3.1, 3.2, 3.3, 1], patience=3)
    assert (stopped, rule.best_loss, rule.counter) == (6, 3, 3)


def test_an_improvement_resets_the_counter():
    rule, _, _ = run([5, 6, 6, 4, 6, 6], patience=3)
    assert not rule.early_stop and rule.counter == 2 and rule.best_loss == 4


def test_of_a_caller_who_goes_on_it_says_at_each_epoch_whether_to_stop():
    rule, said = EarlyStopping(patience=2), []
    for loss in [1, 2, 2, 0.5, 0.6, 0.7, 0.8]:
        rule(loss, nn.Linear(1, 1))
        said.append(rule.early_stop)
    assert said == [False, False, True, False, False, True, True]


def test_an_equal_loss_is_no_improvement():
    rule, _, _ = run([1, 1], patience=3)
    assert rule.counter == 1 and kept_epoch(rule) == 1


def test_a_loss_must_be_more_than_delta_below_the_best():
    rule, _, _ = run([1.0, 0.75], delta=0.25)
    assert rule.counter == 1 and rule.best_loss == 1.0
    rule, _, _ = run([1.0, 0.7], delta=0.25)
    assert rule.counter == 0 and rule.best_loss == 0.7


def test_with_delta_the_kept_epoch_need_not_have_the_lowest_loss():
    rule, _, _ = run([1.0, 0.95, 0.92], delta=0.1)
    assert kept_epoch(rule) == 1


def test_nan_never_becomes_best():
    rule, _, stopped = run([math.nan] * 5, patience=3)
    assert rule.best_loss == math.inf and rule.best_model_state is None and stopped == 3
    rule, _, _ = run([1.0, math.nan], patience=3)
    assert rule.best_loss == 1.0 and kept_epoch(rule) == 1 and rule.counter == 1


def test_a_number_after_nan_becomes_best():
    rule, _, _ = run([math.nan, 2.0], patience=3)
    assert rule.best_loss == 2.0 and kept_epoch(rule) == 2


def test_the_best_weights_are_a_copy():
    rule, model = EarlyStopping(), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    rule(1.0, model)
    live = {t.data_ptr() for t in model.state_dict().values()}
    assert live.isdisjoint(t.data_ptr() for t in rule.best_model_state.values())
    before = {k: v.clone() for k, v in rule.best_model_state.items()}
    with torch.no_grad():
        model[0].weight.zero_()
    model(torch.randn(8, 2))
    assert all(rule.best_model_state[k].equal(v) for k, v in before.items())


def test_restore_brings_weights_and_running_statistics_back():
    torch.manual_seed(0)
    rule, model = EarlyStopping(), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    rule(1.0, model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(torch.randn(8, 2))
    rule(2.0, model)
    assert not model[1].running_mean.equal(before["1.running_mean"])
    rule.restore(model)
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())


def test_training_on_after_a_restore_leaves_the_copy_alone():
    rule, model, _ = run([1.0])
    rule.restore(model)
    with torch.no_grad():
        model.weight.fill_(99)
    assert kept_epoch(rule) == 1


def test_an_interrupt_while_the_weights_are_copied_leaves_the_best_of_before(monkeypatch):
    def interrupt(state):
        raise KeyboardInterrupt

    rule, model, _ = run([1.0])
    monkeypatch.setattr(copy, "deepcopy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rule(0.5, model)
    assert (rule.best_loss, rule.counter, kept_epoch(rule)) == (1.0, 0, 1)


@pytest.mark.parametrize("delta", [0.0, 0.125])
def test_what_should_rise_is_the_mirror_image_of_what_should_fall(delta):
    values = [0.5, 0.25, 0.25, math.nan, 0.125, 0.0, 0.5, -math.inf]
    rules = [EarlyStopping(patience=2, delta=delta, mode=mode) for mode in ("min", "max")]
    for epoch, value in enumerate(values):
        model = nn.Linear(1, 1)
        torch.nn.init.constant_(model.weight, epoch)
        for sign, rule in zip((1, -1), rules, strict=True):
            rule(sign * value, model)
        falls, rises = rules
        assert falls.best_loss == -rises.best_loss and falls.counter == rises.counter
        assert falls.early_stop == rises.early_stop and kept_epoch(falls) == kept_epoch(rises)


def test_a_remembered_state_goes_on_as_the_rule_itself():
    whole, _, stopped = run([3, 2, 2.5, 2.5], patience=2)
    rule, model, _ = run([3, 2, 2.5], patience=2)
    other = EarlyStopping(patience=2)
    other.load_state_dict(rule.state_dict())
    other(2.5, model)
    assert other.early_stop and stopped == 4
    assert (other.best_loss, kept_epoch(other)) == (whole.best_loss, kept_epoch(whole)) == (2, 2)


def test_restoring_nothing_is_an_error():
    rule, model, _ = run([math.nan])
    with pytest.raises(RuntimeError, match="no best weights"):
        rule.restore(model)


def test_a_tensor_can_be_the_loss():
    rule, _, _ = run([torch.tensor(1.5)])
    assert rule.best_loss == 1.5 and isinstance(rule.best_loss, float)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience of at least 1, got 0"),
        ({"delta": -0.1}, "delta of at least 0, got -0.1"),
        ({"delta": math.nan}, "delta of at least 0, got nan"),
        ({"mode": "maximum"}, "mode 'min' or 'max', got 'maximum'"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**options)
