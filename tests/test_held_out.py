"""Digits that choose a rate and digits that report are told apart by what was really scored."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from bnkit.book.held_out import SAMPLE, Scored, numbers_of

IMAGES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)).round(decimals=3)
LAYOUTS = {
    "flattened": lambda x: x.flatten(1),
    "transposed": lambda x: x.transpose(2, 3),
    "padded": lambda x: nn.functional.pad(x, (0, 0, 0, 5)),
    "repeated for several networks": lambda x: x.expand(-1, 20, -1, -1),
    "in another order": lambda x: x.flip(0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_example_is_recognized_in_another_layout(layout):
    assert set(numbers_of(LAYOUTS[layout](IMAGES))) == set(numbers_of(IMAGES))


def test_two_examples_have_two_numbers():
    assert len(set(numbers_of(IMAGES))) == len(IMAGES)
    assert not set(numbers_of(IMAGES)) & set(numbers_of(IMAGES + 0.001))


def test_only_what_a_network_is_scored_on_is_noted():
    net, scored = nn.Sequential(nn.Linear(64, 5), nn.BatchNorm1d(5)), Scored()
    x = IMAGES.flatten(1)
    net.eval()(x)
    scored.listen()
    net(x)  # with gradients
    with torch.no_grad():
        net.train()(x)  # collects statistics
    assert not scored.numbers
    with torch.no_grad():
        net.eval()(x)
    assert scored.numbers == set(numbers_of(x)), "the outputs of inner layers are no examples"
    scored.listen(False)


def test_a_forward_pass_that_fails_does_not_stop_the_listening():
    net, scored = nn.Linear(64, 5).eval(), Scored()
    scored.listen()
    with torch.no_grad():
        with pytest.raises(RuntimeError):
            net(torch.rand(2, 3))
        net(IMAGES.flatten(1))
    assert set(numbers_of(IMAGES)) <= scored.numbers
    scored.listen(False)


def test_two_runs_sample_the_same_examples():
    one, other = Scored(), Scored()
    one.numbers, other.numbers = set(range(0, 1000)), set(range(999, -1, -1))
    assert one.sample() == other.sample() and len(one.sample()) == SAMPLE


LOADERS = "torch.cat([x for seed in (100, 101, 102) for x, _ in {}])"
FROM_LOADER = LOADERS.format("mnist_loaders(64, seed=seed, data=mnist, limit=9_000)[1]")
SPLITS = {  # the cells that make the digits, those that choose the rates, those that report
    "07_speed_and_learning_rate": (["data"], "validation[0]", "test[0]"),
    "08_initialization": (["puzzle-net", "puzzle-loss", "scales-run"], FROM_LOADER, "test.images"),
    "09_regularization": (["puzzle-run", "train"], "pool_images[3000:5000]", "report_digits"),
    "10_why_it_works": (["data"], "HELD_OUT['to tune'][0]", "HELD_OUT['to report'][0]"),
    "11_batch_size": (["digits", "norms"], "images[TUNE]", "images[REPORT]"),
    "12_train_test_mismatch": (["data"], "validation[0]", "test[0]"),
    "13_alternatives": (["train", "tests"], FROM_LOADER, "digits"),
    "14_architectures": (["puzzle-digits"], LOADERS.format("digits(seed)[1]"), "digits(0)[2]"),
    "17_many_machines": (["launch-data", "rates"], "validation[0]", "test[0]"),
    "18_elsewhere": (["signals-data", "both-data"], "TUNE['digits'][0]", "TEST['digits'][0]"),
    "20_two_kinds": (["data"], "validation[0]", "test[0]"),
}


def made_by(chapter, cells):
    """The variables that the named cells of a chapter make."""
    path = Path(__file__).parents[1] / "chapters" / f"{chapter}.ipynb"
    made = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell.get("id") in ["imports", *cells]:
            exec("".join(cell["source"]), made)
    return made


def images_of(digits):
    """Images as rows, of a tensor or of a loader."""
    if not isinstance(digits, torch.Tensor):
        digits = torch.cat([x for x, _ in digits])
    return (digits / 255 if digits.dtype == torch.uint8 else digits).flatten(1)


@pytest.mark.parametrize("chapter", SPLITS)
def test_the_two_sets_of_a_chapter_have_no_digit_in_common(chapter):
    cells, *names = SPLITS[chapter]
    made = made_by(chapter, cells)
    choose, report = (set(numbers_of(images_of(eval(name, made)))) for name in names)
    assert len(choose) > 500 and len(report) > 900
    assert len(choose & report) <= 2, "a number may coincide, digits may not"
