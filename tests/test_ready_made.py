"""A ready-made answer is right and told so; nothing that an answer replaced or finds helps it."""

from __future__ import annotations

import functools
import gc
import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import fusion
from torch.optim.swa_utils import update_bn

import bnkit
from bnkit import functional, relatives
from bnkit.book import observe
from bnkit.book.guard import put_back
from bnkit.book.registry import EXERCISES, check
from bnkit.training import EarlyStopping

aliased = F.batch_norm


def behind_an_alias(x, weight, bias, eps):
    return aliased(x, None, None, weight, bias, training=True, eps=eps)


def imported_inside(x, weight, bias, eps):
    from torch.nn import BatchNorm1d as Anything

    return Anything(x.shape[1], eps=eps)(x) * weight + bias


def of_the_other_axis(x, weight, bias, eps):
    return F.layer_norm(x.T, (len(x),), eps=eps).T * weight + bias


def of_operators(x, weight, bias, eps):
    return torch.ops.aten.native_batch_norm(x, weight, bias, None, None, True, 0.1, eps)[0]


def by_name(x, weight, bias, eps):
    return getattr(torch, "batch" + "_norm")(
        x, weight, bias, None, None, True, 0.1, eps, torch.backends.cudnn.enabled
    )


def by_bnkit(x, weight, bias, eps):
    return functional.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def of_the_book(x, weight, bias, eps):
    return EXERCISES["forward"].oracle(x, weight, bias, eps)


def by_autograd(grad_output, x, weight, eps):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    bias = torch.zeros_like(weight, requires_grad=True)
    x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps)
    return torch.autograd.grad(weight * x_hat + bias, [x, weight, bias], grad_output)


def updated(model, batches):
    model.train()
    update_bn(batches, model)
    return model.eval()


def fused(layer, bn):
    if isinstance(layer, nn.Linear):
        return fusion.fuse_linear_bn_eval(layer.eval(), bn.eval())
    return fusion.fuse_conv_bn_eval(layer.eval(), bn.eval())


READY_MADE = {
    "forward, an alias": ("forward", behind_an_alias, "F.batch_norm"),
    "forward, imported inside": ("forward", imported_inside, "nn.BatchNorm1d"),
    "forward, along the other axis": ("forward", of_the_other_axis, "F.layer_norm"),
    "forward, an operator": ("forward", of_operators, "torch.ops.native_batch_norm"),
    "forward, by name": ("forward", by_name, "torch.batch_norm"),
    "forward, bnkit": ("forward", by_bnkit, "bnkit.batch_norm"),
    "forward, of the book": ("forward", of_the_book, "ch02._right"),
    "layer, itself": ("layer", nn.BatchNorm1d, "nn.BatchNorm1d"),
    "layer, a subclass": ("layer", type("Layer", (nn.BatchNorm1d,), {}), "nn.BatchNorm1d"),
    "layer, a factory": ("layer", lambda n, **o: nn.BatchNorm1d(n, **o), "nn.BatchNorm1d"),
    "layer, of bnkit": ("layer", bnkit.layers.BatchNorm1d, "bnkit.BatchNorm1d"),
    "layer_2d": ("layer_2d", nn.BatchNorm2d, "nn.BatchNorm2d"),
    "layer_norm": (
        "layer_norm",
        lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, weight, bias, eps),
        "F.layer_norm",
    ),
    "layer_norm, bnkit": (
        "layer_norm",
        lambda x, weight, bias, eps: relatives.layer_norm(x, weight.shape, weight, bias, eps),
        "bnkit.layer_norm",
    ),
    "group_norm, a part": ("group_norm", functools.partial(F.group_norm), "F.group_norm"),
    "fold": ("fold", fused, "torch.nn.utils.fuse_linear_bn_eval"),
}


@pytest.mark.parametrize("name", READY_MADE)
def test_a_ready_made_answer_is_right_and_named(name):
    exercise, answer, made = READY_MADE[name]
    result = check(exercise, answer)
    assert result.passed, repr(result)
    assert made in result.ready_made.split(", ")
    assert "ready-made" in result.headline
    assert "The exercise is to write it yourself" in repr(result)
    assert "The exercise is to write it yourself" in result._repr_html_()


def test_the_average_of_swa_is_ready_made():
    result = check("reestimate", updated)
    assert result.ready_made == "torch.nn.utils.update_bn" or not result.passed


def test_autograd_is_ready_made_where_the_exercise_is_to_do_without():
    for name in ("backward", "training_step"):
        assert EXERCISES[name].ready_made(["autograd"]) == "autograd" * (name == "backward")
    assert check("backward", by_autograd).ready_made == "autograd"


@pytest.mark.parametrize("name", EXERCISES)
def test_no_solution_of_the_book_is_ready_made(name):
    result = check(name, EXERCISES[name].build())
    assert result.passed
    assert (result.ready_made, result.notes) == ("", ())


def with_ready_made_statistics(x, weight, bias, eps):
    var, mean = torch.var_mean(x, dim=0, unbiased=False)
    return torch.addcmul(bias, (x - mean) * torch.rsqrt(var + eps), weight)


def test_statistics_of_pytorch_are_not_ready_made():
    result = check("forward", with_ready_made_statistics)
    assert result.passed and not result.ready_made


def test_a_model_that_is_handed_over_may_hold_any_layer():
    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            both = [(model(x), y) for x, y in loader]
        z, y = torch.cat([z for z, _ in both]), torch.cat([y for _, y in both])
        return F.cross_entropy(z, y).item(), (z.argmax(1) == y).float().mean().item()

    assert not check("evaluate", evaluate).ready_made


def test_a_class_of_bnkit_does_the_exercise_too():
    class Stopper(EarlyStopping):
        def __call__(self, val_loss, model):
            return super().__call__(val_loss, model)

    assert EXERCISES["early_stopping"].ready_made(["bnkit.EarlyStopping"]) == "bnkit.EarlyStopping"
    result = check("early_stopping", Stopper)
    assert not result.passed or "EarlyStopping" in result.ready_made


# What an answer replaced, and what it may find


def wrong(x, weight, bias, eps):
    return torch.zeros_like(x)


def replaces(holder: object, name: str, value: object):
    def answer(x, weight, bias, eps):
        setattr(holder, name, value)
        return torch.zeros_like(x)

    return answer


def says_yes(*arguments, **options):
    return True


REPLACED = [
    (torch, "allclose"),
    (torch.Tensor, "norm"),
    (math, "isinf"),
    (sys.modules["builtins"], "all"),
    (observe, "looks_alike"),
    (observe, "first_difference"),
    (sys.modules["bnkit.book.judge"], "differ"),
    (sys.modules["bnkit.book.exercise"], "judge"),
]


@pytest.mark.parametrize("holder, name", REPLACED, ids=lambda each: str(each)[:40])
def test_what_an_answer_replaces_is_put_back_and_told_and_helps_nobody(holder, name):
    before = vars(holder)[name]
    try:
        result = check("forward", replaces(holder, name, says_yes))
        assert not result.passed
        assert vars(holder)[name] is before
        assert any(name in note and "It is as before" in note for note in result.notes)
        assert not check("forward", wrong).passed
    finally:
        setattr(holder, name, before)


def test_what_was_replaced_before_the_check_is_put_back_too(monkeypatch):
    before = torch.allclose
    torch.allclose = says_yes
    try:
        result = check("forward", wrong)
        assert not result.passed and "torch.allclose" in result.notes[0]
        assert torch.allclose is before
    finally:
        torch.allclose = before


def test_a_code_object_that_was_exchanged_is_put_back():
    def exchanges(x, weight, bias, eps):
        observe.looks_alike.__code__ = says_yes.__code__
        return torch.zeros_like(x)

    code = observe.looks_alike.__code__
    try:
        assert not check("forward", exchanges).passed
        assert observe.looks_alike.__code__ is code
    finally:
        observe.looks_alike.__code__ = code


@pytest.mark.parametrize("holder, name", [(torch.Tensor, "any"), (observe, "isinstance")])
def test_what_hides_a_method_or_a_built_in_function_is_taken_away(holder, name):
    assert name not in vars(holder)
    try:
        result = check("forward", replaces(holder, name, says_yes))
        assert not result.passed
        assert name not in vars(holder)
        assert name in result.notes[0]
    finally:
        if name in vars(holder):
            delattr(holder, name)


def test_a_patch_that_a_library_makes_of_itself_is_left_alone():
    assert put_back() == []
    check("training_step", EXERCISES["training_step"].solution)
    assert put_back() == []


def finds_in_frames(x, weight, bias, eps):
    """The right result, if any frame above holds one of its shape under some name."""
    frame = sys._getframe(1)
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, torch.Tensor) and value.shape == x.shape and value is not x:
                return value
            for facets in (getattr(each, "facets", {}) for each in _listed(value)):
                if "output" in facets:
                    return facets["output"]
        frame = frame.f_back
    return torch.zeros_like(x)


def _listed(value: object) -> list:
    return value if isinstance(value, list) else []


def finds_what_is_collected(x, weight, bias, eps):
    from bnkit.book.observe import Observation

    found = [each for each in gc.get_objects() if isinstance(each, Observation)]
    right = EXERCISES["forward"].__dict__.get("expected") or []
    found = [each.facets["output"] for each in found if any(each is one for one in right)]
    return next((each for each in found if each.shape == x.shape), torch.zeros_like(x))


@pytest.mark.parametrize("answer", [finds_in_frames, finds_what_is_collected])
def test_the_right_result_lies_in_no_frame_and_is_not_kept_while_an_answer_runs(answer):
    assert check("forward", EXERCISES["forward"].solution).passed
    assert not check("forward", answer).passed
