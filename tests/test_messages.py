"""What a check says of results of another kind, of exceptions, and of answers without end."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
import warnings
from dataclasses import replace

import pytest
import torch

from bnkit.book.causes import CAUSES, cause_of, kind_of
from bnkit.book.exercise import examine
from bnkit.book.observe import Observation
from bnkit.book.registry import EXERCISES, check
from bnkit.book.run import run_limited


def right(x, weight, bias, eps):
    x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps)
    return weight * x_hat + bias


class AlwaysEqual(torch.Tensor):
    """Answers every comparison with yes."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.allclose:
            return True
        return super().__torch_function__(func, types, args, kwargs or {})


KINDS = {
    "sparse": (lambda *a: right(*a).to_sparse(), "one sparse tensor of shape (2, 2) in place of"),
    "complex": (lambda *a: right(*a).to(torch.complex64), "one complex tensor of shape (2, 2)"),
    "meta": (lambda *a: torch.empty(2, 2, device="meta"), "on the device meta, without numbers"),
    "a string": (lambda *a: "right", "a str in place of a tensor of shape (2, 2)"),
    "a dictionary": (lambda *a: {"y": right(*a)}, "a dict in place of a tensor of shape (2, 2)"),
    "a generator": (lambda x, *a: (row for row in x), "a generator in place of a tensor"),
    "None": (lambda *a: None, "nothing is returned"),
    "three for one": (
        lambda x, *a: (right(x, *a), x.mean(0), x.var(0)),
        "a tuple of 3: shapes (2, 2), (2,), (2,) in place of a tensor of shape (2, 2)",
    ),
    "an axis too many": (lambda *a: right(*a)[None], "shape (1, 2, 2) in place of (2, 2)"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_result_of_another_kind_is_named_and_not_blamed_as_an_exception(name):
    answer, words = KINDS[name]
    result = check("forward", answer)
    assert (result.status, result.error) == ("mistake", None)
    assert words in result.mistake


def test_one_tensor_for_two_results_is_told_which_are_asked_for():
    result = check("running_statistics", lambda mean, var, x, momentum: torch.stack([mean, var]))
    asked = "in place of 2 values: running_mean, running_var"
    assert result.mistake == f"one tensor of shape (2, 1) {asked}"
    assert check("running_statistics", lambda *a: a[:1]).mistake.startswith("one value in a tuple")


@pytest.mark.parametrize(
    "same", [lambda y: y.double(), lambda y: y.numpy(), lambda y: y.tolist(), lambda y: y.clone()]
)
def test_right_numbers_pass_in_another_dtype_or_container(same):
    assert check("forward", lambda *a: same(right(*a))).passed


def test_a_tensor_that_calls_everything_equal_does_not_pass():
    result = check("forward", lambda x, *a: torch.zeros(x.shape).as_subclass(AlwaysEqual))
    assert not result.passed


def test_shapes_that_differ_are_shown_above_equal_numbers():
    text = repr(check("forward", lambda *a: right(*a)[None]))
    assert "expected output: shape (2, 2): " in text
    assert "received output: shape (1, 2, 2): " in text


def of_tensor(x, weight, bias, eps):
    return x.mean().item().mean()


def of_shapes(x, weight, bias, eps):
    return (x.repeat(2, 1) - x) * weight


def of_a_name(x, weight, bias, eps):
    return wieght * x  # noqa: F821


def of_in_place(x, weight, bias, eps):
    return torch.zeros(2, requires_grad=True).add_(x)


def of_an_axis(x, weight, bias, eps):
    return x.mean(dim=5)


def of_whole_numbers(x, weight, bias, eps):
    return x.long().mean(0)


def of_unpacking(x, weight, bias, eps):
    mean, var = x.mean(0), x.var(0), x.std(0)
    return mean * var


def of_a_gpu(x, weight, bias, eps):
    raise RuntimeError("Found no NVIDIA driver on your system. Please install one from http://…")


RAISED = {
    of_tensor: "A plain number has no .mean",
    of_shapes: "Two shapes do not broadcast: along one axis one has 4 entries and the other 2. In "
    "that line x is (2, 2), weight is (2,).",
    of_a_name: "Did you mean weight?",
    of_in_place: "A parameter is changed in place",
    of_an_axis: "The tensor has no axis 5",
    of_whole_numbers: "The tensor holds whole numbers",
    of_unpacking: "There are more values than the 2 names on the left",
    of_a_gpu: "Your code asks for a GPU that is not there",
    (lambda x, weight: x): "The number of arguments differs",
}


@pytest.mark.parametrize("answer", RAISED)
def test_an_exception_has_its_usual_cause_in_plain_words(answer):
    result = check("forward", answer)
    assert result.status == "raised"
    assert RAISED[answer] in result.hint
    assert dict(result.sample.rows())["x"] == "[1, 10]\n[3, 50]"


def test_an_exception_shows_the_learners_line_with_its_number_and_no_advice_on_drivers():
    result = check("forward", of_a_gpu)
    number = of_a_gpu.__code__.co_firstlineno + 1
    assert f"in line {number} of of_a_gpu: raise RuntimeError" in result.error
    assert "Please" not in result.error.split("\n")[0]


MESSAGES = {
    "shape": (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), "2x3"),
    "device": (RuntimeError("Expected all tensors to be on the same device, but got"), "device"),
    "graph": (RuntimeError("element 0 of tensors does not require grad and does not have a "
              "grad_fn"), "detached"),
    "truth": (RuntimeError("Boolean value of Tensor with more than one value is ambiguous"),
              ".any()"),
    "end": (IndexError("index 3 is out of bounds for dimension 0 with size 3"), "Index 3"),
    "init": (AttributeError("cannot assign parameters before Module.__init__() call"),
             "super().__init__()"),
    "none": (AttributeError("'NoneType' object has no attribute 'sum'"), "None"),
    "few": (ValueError("not enough values to unpack (expected 3, got 2)"), "3 names"),
    "import": (NameError("name 'np' is not defined", name="np"), "import numpy as np"),
    "branch": (NotImplementedError(), "One branch"),
    "exit": (SystemExit(), "ends the program"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_the_table_of_causes_knows_the_message(name):
    exception, words = MESSAGES[name]
    assert words in cause_of(exception)


def test_every_cause_can_be_filled_in():
    for _, pattern, words in CAUSES:
        groups = pattern.count("(") - pattern.count("\\(") - pattern.count("(?")
        text = words.format("", *["?"] * groups, shapes="", near="")
        assert text.strip().endswith((".", "?")), words


def test_a_value_is_described_in_a_few_words():
    assert kind_of([1, "a"]) == "a list of 2: int, str"
    assert kind_of(torch.tensor(3.0)) == "one number"
    assert kind_of({}) == "a dict"


class WithoutSuper(torch.nn.Module):
    """Puts a parameter into a module that has not been set up."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.weight = torch.nn.Parameter(torch.ones(num_features))


def test_a_module_that_is_not_set_up_is_told_what_it_starts_with():
    result = check("layer", WithoutSuper)
    assert result.status == "raised"
    assert "super().__init__()" in result.hint


class SilentError(Exception):
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError


def test_an_exception_without_words_is_contained():
    def answer(x, weight, bias, eps):
        raise SilentError

    result = check("forward", answer)
    assert result.status == "raised" and "SilentError" in result.error


def one_branch(x, weight, bias, eps):
    if len(x) > 2:
        raise NotImplementedError
    return right(x, weight, bias, eps)


def test_a_branch_that_is_not_written_is_no_stub():
    result = check("forward", one_branch)
    assert result.status == "raised"
    assert "One branch still raises NotImplementedError" in result.hint


class WithoutForward(torch.nn.Module):
    """A module whose forward pass is not written, or spelled otherwise."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()


def test_a_module_without_forward_is_no_stub():
    result = check("layer", WithoutForward)
    assert result.status == "raised"
    assert "The module has no method called forward" in result.hint


def slow(*arguments):
    time.sleep(0.3)
    return right(*arguments)


def endless_for_three(x, weight, bias, eps):
    while len(x) == 3:
        pass
    return right(x, weight, bias, eps)


def test_a_slow_answer_is_told_that_it_is_slow_and_an_endless_one_that_it_does_not_end():
    slowly = check("forward", slow, limit=1.0)
    assert slowly.status == "stopped" and "slow, and not endless" in slowly.hint
    assert "until then is right" in slowly.hint
    endless = check("forward", endless_for_three, limit=1.5)
    assert endless.status == "stopped" and "did not end" in endless.hint
    assert dict(endless.sample.rows())["x"].startswith("[1, 0.5]")


def test_an_import_does_not_count_as_the_answers_time(tmp_path, monkeypatch):
    (tmp_path / "imports_long.py").write_text("import time\ntime.sleep(0.8)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run_limited(lambda: __import__("imports_long").__name__, 0.3).value == "imports_long"


def test_a_right_answer_that_takes_long_passes_and_is_told():
    result = check("to_pytorch", lambda momentum: time.sleep(0.2) or 1 - momentum, limit=1.0)
    assert result.passed
    assert "right, and slow" in " ".join(result.notes)


def test_a_fault_of_the_check_is_not_blamed_on_the_answer():
    faulty = replace(EXERCISES["to_pytorch"], oracle=lambda momentum: [][0])
    result = examine(faulty, lambda momentum: 1 - momentum)
    assert result.status == "broken"
    assert "Not your code" in result.hint


# Everything else is as before


def careless(x, weight, bias, eps):
    torch.manual_seed(3)
    random.seed(3)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    warnings.simplefilter("error")
    os.environ["LEFT_BEHIND"] = "1"
    sys.setrecursionlimit(5000)
    with open("left_behind.txt", "w") as file:
        file.write("1")
    torch.save({}, "left_behind.pt")
    return right(x, weight, bias, eps)


def careless_and_raises(*arguments):
    careless(*arguments)
    raise KeyboardInterrupt


def settings() -> dict[str, object]:
    return {
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "grad": torch.is_grad_enabled(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "depth": sys.getrecursionlimit(),
        "folder": os.getcwd(),
        "files": sorted(os.listdir()),
        "path": list(sys.path),
        "random": (random.getstate(), torch.get_rng_state().tolist()),
        "profile": sys.getprofile(),
    }


@pytest.mark.parametrize("answer", [careless, careless_and_raises])
def test_settings_folder_and_files_are_as_before(answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = settings()
    check("forward", answer)
    assert settings() == before


def test_whoever_interrupts_a_check_finds_all_as_before(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = settings()
    monkeypatch.setattr("threading.Thread.join", interrupted(limit=3.0))
    result = check("forward", endless_for_three, limit=3.0)
    assert result.status == "stopped" and "You interrupted it" in result.hint
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert settings() == before


def interrupted(limit: float):
    join = threading.Thread.join

    def joined(self, timeout=None):
        if timeout == limit:
            join(self, 0.2)
            raise KeyboardInterrupt
        return join(self, timeout)

    return joined


def test_an_observation_is_plain_data():
    seen = Observation.of(EXERCISES["forward"].probes[0], of_shapes)
    assert isinstance(seen.error, str) and isinstance(seen.cause, str)
    assert seen.facets == {"raised": "RuntimeError 0 2 4"}
