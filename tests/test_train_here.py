"""Train it here: its arithmetic against bnkit, and the page that a reader trains in."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from functools import partial

import nbformat
import pytest
import torch
import torch.nn.functional as F
from train_here_reader import IMPORT, SMALL, launched, modules

from bnkit.book import train_here_page
from bnkit.book.train_here import train_here
from bnkit.book.train_here_page import CHOICES, DEFAULTS, STATIC, WORKER, train_here_html
from bnkit.data import bundled_mnist
from bnkit.models import MLP
from bnkit.relatives import GroupNorm

# What the chapters say of their own settings: changes of them, steps, and what holds then of the
# left and the right network (loss, accuracy by the running statistics and by the batch's).
SAID = {
    "06": [({}, 500, lambda a, b: a[0] < 0.6 * b[0] and abs(a[1] - b[1]) < 0.02)],
    "07": [
        ({"lr": 3}, 150, lambda a, b: a[1] > 0.8 and b[1] < 0.15),
        ({"lr": 10}, 100, lambda a, b: max(a[1], b[1]) < 0.3),
    ],
    "08": [
        ({}, 150, lambda a, b: 0.4 < a[1] < 0.8 and b[1] < 0.2),
        ({"scale": 1}, 150, lambda a, b: a[1] > 0.88),
    ],
    "11": [({}, 400, lambda a, b: a[2] < a[1] - 0.05 and a[1] < b[1] - 0.2)],
}
NORMS = {"batch": "bnkit", "none": "none", "layer": "layer", "group": partial(GroupNorm, 8)}


# ---- without a browser


def test_a_page_carries_a_few_kilobytes_and_asks_no_host():
    page = train_here_html()
    assert page == train_here_html()
    assert page != train_here_html(seed=1)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", page + train_here_page.explorable()))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert len(page.encode()) < 6_000
    assert len(gzip.compress(train_here_page.explorable().encode())) < 16_000


def test_the_digits_weigh_what_the_poster_says():
    said = float(train_here_page.WEIGHT.removesuffix(" MB"))
    assert len(train_here_page.digits()) / 1e6 == pytest.approx(said, abs=0.1)


def test_the_scripts_are_written_without_torch_or_numpy(tmp_path):
    code = f"""
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
for name in ("torch", "numpy", "ipywidgets", "matplotlib"):
    sys.modules[name] = None
spec = spec_from_file_location("page", {str(STATIC.parent / "train_here_page.py")!r})
page = module_from_spec(spec)
spec.loader.exec_module(page)
page.write_scripts(Path({str(tmp_path)!r}))
"""
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
    assert {path.name for path in tmp_path.iterdir()} == set(train_here_page.SCRIPTS)


def test_beside_a_kernel_the_output_carries_scripts_and_digits(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    assert "bnkitDigits = {" not in train_here().source
    monkeypatch.setenv("BNKIT_WIDGETS", "live")
    assert "bnkitDigits = {" in train_here().source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 1}, "got rate; it knows left"),
        ({"lr": 0.2}, "got lr=0.2, expected one of 0.0001"),
        ({"batch": 1}, "got batch=1, expected one of 2, 4"),
        ({"left": "instance"}, "got left='instance'"),
        ({"seed": -1}, "got seed=-1, expected 0 to 9999"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train_here(**settings)


CELL = re.compile(r"train_here\((.*)\)", re.DOTALL)


def test_four_chapters_show_the_explorable_as_it_is_now(monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    shown = {}
    for path in sorted((STATIC.parents[2] / "chapters").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if found := CELL.fullmatch(cell.source):
                settings = eval(f"dict({found[1]})")
                assert cell.outputs[0].data["text/html"] == train_here(**settings).source
                shown[path.stem[:2]] = settings
    assert set(shown) == set(SAID)


# ---- the arithmetic, in a browser


@pytest.fixture(scope="module")
def arithmetic():
    """Run an expression of the modules' exports ``js`` and of ``given``."""
    with launched() as browser:
        page = browser.new_page()
        page.evaluate(IMPORT, modules("settings", *WORKER[:-1]))
        yield lambda code, given=None: page.evaluate(f"async given => {{ {code} }}", given)


@pytest.fixture(scope="module")
def digits(arithmetic):
    """The digits as the worker unpacks them, kept there as ``digits``."""
    packed = json.loads(train_here_page.digits().partition("= ")[2].rstrip(";"))
    code = """
      globalThis.digits = await js.unpackDigits(given);
      const first = [...digits.images.slice(0, 7840)];
      return [[...digits.labels], digits.count, digits.validation, first]"""
    return arithmetic(code, packed)


def test_the_digits_are_bundled_ones_and_no_validation_digit_is_trained_on(digits, arithmetic):
    labels, count, validation, first = digits
    mnist = bundled_mnist()
    expected = torch.cat([mnist.test_labels, mnist.train_labels])[:count]
    assert labels == expected.tolist()
    assert validation == len(mnist.test_labels)
    assert first == mnist.test_images[:10].flatten().tolist()
    code = """
      const next = js.makeBatches(digits.validation, digits.count, 512, 3), seen = new Set();
      for (let k = 0; k < 7; k++) next().forEach((i) => seen.add(i));
      return [seen.size, Math.min(...seen), Math.max(...seen)]"""
    size, low, high = arithmetic(code)
    assert size == 7 * 512  # no digit twice in a pass
    assert low >= validation
    assert high < count


def torch_network(sizes, norm, theta, dtype):
    """Bnkit's network with the weights of JavaScript's row: W (in, out), b, gamma, beta."""
    net = MLP(sizes, norm=NORMS[norm]).to(dtype)
    values, at = torch.tensor(theta, dtype=dtype), 0
    with torch.no_grad():
        for layer in net:
            for parameter in layer.parameters():
                part = values[at : at + parameter.numel()]
                at += parameter.numel()
                turned = parameter.T.shape if parameter.dim() == 2 else parameter.shape
                shaped = part.view(turned)
                parameter.copy_(shaped.T if parameter.dim() == 2 else shaped)
    assert at == len(values)
    return net


def flat(net):
    """The parameters in the order of JavaScript's row."""
    parts = [p.detach().T.flatten() if p.dim() == 2 else p.detach() for p in net.parameters()]
    return torch.cat(parts)


FIFTY = """
  const { sizes, norm, optimizer, lr, batch } = given;
  const net = js.makeNetwork(sizes, norm, 64), start = (js.initialize(net, 3, 1), [...net.theta]);
  const update = js.makeOptimizer(optimizer, net.theta.length);
  const next = js.makeBatches(digits.validation, digits.count, batch, 4), rows = [], losses = [];
  for (let step = 0; step < 50; step++) {
    rows.push([...next()]);
    js.forward(net, digits, rows.at(-1), "train");
    losses.push(js.crossEntropy(net, digits.labels, rows.at(-1)));
    js.backward(net, batch);
    update(net.theta, net.grad, lr);
  }
  const running = net.layers.filter((l) => l.norm === "batch")
    .map((l) => [[...l.runningMean], [...l.runningVar]]);
  return { start, rows, losses, running, end: [...net.theta] }"""


@pytest.mark.parametrize("sizes", [[784, 128, 10], [784, 64, 64, 10]], ids=["shallow", "deep"])
@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.001), ("sgd", 0.1)])
@pytest.mark.parametrize("norm", NORMS)
def test_fifty_steps_agree_with_bnkit(arithmetic, digits, norm, optimizer, lr, sizes):
    given = {"sizes": sizes, "norm": norm, "optimizer": optimizer, "lr": lr, "batch": 64}
    got = arithmetic(FIFTY, given)
    mnist = bundled_mnist()
    images = torch.cat([mnist.test_images, mnist.train_images]).flatten(1)
    labels = torch.cat([mnist.test_labels, mnist.train_labels])
    # In float32 a deep network is chaotic: bnkit itself ends elsewhere than in float64. So it is in
    # float64 with three layers of 32 units, groups of 4: weights times 1 + 1e-15 end elsewhere.
    shallow = [(torch.float32, 1e-4)] if len(sizes) == 3 else []
    for dtype, tolerance in [(torch.float64, 1e-8), *shallow]:
        net = torch_network(sizes, norm, got["start"], dtype).train()
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
        step, losses = kind(net.parameters(), lr=lr), []
        for rows in got["rows"]:
            loss = F.cross_entropy(net(images[rows].to(dtype) / 255), labels[rows])
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(loss.item())
        close = partial(torch.testing.assert_close, **{"rtol": tolerance, "atol": tolerance})
        close(torch.tensor(got["losses"], dtype=dtype), torch.tensor(losses, dtype=dtype))
        kept = [layer for layer in net if hasattr(layer, "running_mean")]
        assert len(got["running"]) == len(kept) == (norm == "batch") * (len(sizes) - 2)
        for (mean, var), layer in zip(got["running"], kept, strict=True):
            # The norm cancels the bias before it: its gradient is rounding, of which Adam in
            # float32 makes steps of up to lr. The running mean follows that bias, alone of all.
            idle = 50 * lr if optimizer == "adam" and dtype == torch.float32 else 0
            close(torch.tensor(mean, dtype=dtype), layer.running_mean, atol=tolerance + idle)
            close(torch.tensor(var, dtype=dtype), layer.running_var)
        if dtype == torch.float64:
            close(torch.tensor(got["end"], dtype=dtype), flat(net))


FINITE = """
  const n = 6, features = 12, bytes = new Uint8Array(n * features), random = js.makeRandom(1);
  bytes.forEach((_, i) => { bytes[i] = random() < 0.4 ? 0 : 255 * random(); });
  const digits = js.sparse(bytes, n, features);
  const labels = [0, 3, 1, 2, 3, 0], rows = [0, 1, 2, 3, 4, 5];
  const net = js.makeNetwork([features, 32, 24, 4], given, n);
  js.initialize(net, 5, 1);
  for (const { gamma = [], beta } of net.layers) {
    gamma.forEach((_, j) => { gamma[j] = 0.5 + random(); beta[j] = random() - 0.5; });
  }
  const loss = () => {
    js.forward(net, digits, rows, "batch");
    return js.crossEntropy(net, labels, rows);
  };
  loss();
  js.backward(net, n);
  const exact = [...net.grad], h = 1e-6;
  const measured = exact.map((_, k) => {
    const at = net.theta[k];
    net.theta[k] = at + h;
    const up = loss();
    net.theta[k] = at - h;
    const down = loss();
    net.theta[k] = at;
    return (up - down) / (2 * h);
  });
  return [exact, measured]"""


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_equal_finite_differences(arithmetic, norm):
    exact, measured = map(partial(torch.tensor, dtype=torch.float64), arithmetic(FINITE, norm))
    assert exact.count_nonzero() > 0.5 * len(exact)
    torch.testing.assert_close(exact, measured, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mode", ["running", "batch"])
def test_evaluation_in_either_mode_counts_as_bnkit_does(arithmetic, digits, mode):
    settings = {**DEFAULTS, **SMALL, "depth": 2, "batch": 32}
    code = """
      const race = js.makeRace(digits, js.toRace(given)), [side] = race.sides;
      for (let k = 0; k < 40; k++) race.advance();
      race.mode = given.statistics;
      race.evaluate();
      const kept = side.network.layers.filter((l) => l.norm === "batch")
        .map((l) => [[...l.runningMean], [...l.runningVar]]);
      return [[...side.network.theta], kept, side[given.statistics].accuracy]"""
    theta, kept, accuracy = arithmetic(code, {**settings, "statistics": mode})
    net = torch_network([784, 32, 32, 10], "batch", theta, torch.float64)
    layers = [layer for layer in net if hasattr(layer, "running_mean")]
    for layer, (mean, var) in zip(layers, kept, strict=True):
        layer.running_mean.copy_(torch.tensor(mean, dtype=torch.float64))
        layer.running_var.copy_(torch.tensor(var, dtype=torch.float64))
    net.train(mode == "batch")
    mnist = bundled_mnist()
    parts = (mnist.test_images.flatten(1).double() / 255).split(32 if mode == "batch" else 1000)
    answers = torch.cat([net(part).argmax(dim=1) for part in parts])
    assert accuracy == (answers == mnist.test_labels).double().mean().item()


def test_one_seed_gives_one_run_and_both_sides_the_same_start(arithmetic, digits):
    code = """
      const run = (seed) => {
        const race = js.makeRace(digits, js.toRace({ ...given, seed }));
        const [a, b] = race.sides.map((s) => [...s.network.layers[0].W]);
        for (let k = 0; k < 30; k++) race.advance();
        return [a, b, JSON.stringify(race.snapshot())];
      };
      const [one, again, other] = [run(1), run(1), run(2)];
      return [one[0].every((v, i) => v === one[1][i]), one[2] === again[2], one[2] === other[2]]"""
    assert arithmetic(code, {**DEFAULTS, **SMALL}) == [True, True, False]


def test_looking_does_not_change_the_run(arithmetic, digits):
    code = """
      const race = () => js.makeRace(digits, js.toRace(given)), [a, b] = [race(), race()];
      for (let k = 0; k < 20; k++) {
        a.advance();
        b.advance();
        b.snapshot();
        b.mode = "batch";
        b.evaluate();
        b.mode = "running";
      }
      const kept = ({ sides }) => sides.map(({ network: { theta, layers } }) =>
        [[...theta], layers[0].runningMean ?? 0, layers[0].runningVar ?? 0]);
      return JSON.stringify(kept(a)) === JSON.stringify(kept(b))"""
    assert arithmetic(code, {**DEFAULTS, **SMALL})


def test_a_curve_keeps_its_shape_in_a_bounded_number_of_points(arithmetic):
    code = """
      const series = js.makeSeries();
      for (let step = 1; step <= 10000; step++) series.add(step, step);
      return series.read()"""
    read = arithmetic(code)
    assert 100 <= len(read["steps"]) <= 256
    assert read["steps"] == sorted(read["steps"])
    stride = read["steps"][1] - read["steps"][0]
    middle = [step - (stride - 1) / 2 for step in read["steps"]]  # of the steps it stands for
    assert read["values"] == pytest.approx(middle)


def test_a_histogram_holds_everything_even_what_is_no_number(arithmetic):
    code = """
      const values = Float64Array.from({ length: 1000 }, (_, i) => (i - 499.5) / 100);
      const whole = js.histogram(values, 1000);
      values[0] = NaN;
      return [whole, js.histogram(values, 1000)]"""
    whole, broken = arithmetic(code)
    assert sum(whole["shares"]) == pytest.approx(1)
    assert whole["mean"] == pytest.approx(0)
    assert whole["sd"] == pytest.approx(2.8867, abs=1e-3)
    assert whole["reach"] == 10
    assert sum(broken["shares"]) == pytest.approx(0.999)


def test_page_and_package_offer_the_same_settings(arithmetic):
    code = """
      const offered = Object.entries(js.CHOICES).map(([name, [, values]]) => [name, values]);
      return [Object.fromEntries(offered), Object.keys(js.MODES), js.MAX_SEED]"""
    choices, modes, seed = arithmetic(code)
    assert {**choices, "statistics": modes} == {name: list(c) for name, c in CHOICES.items()}
    assert seed == train_here_page.MAX_SEED


def test_an_address_carries_every_setting_and_nothing_else(arithmetic):
    settings = dict(
        left="group", right="layer", depth=6, width=32, optimizer="sgd", lr=0.0001, batch=512,
        scale=0.03, seed=77, statistics="batch",
    )  # fmt: skip
    code = "return [js.toAddress(given[0]), js.fromAddress(js.toAddress(given[0]), given[1])]"
    address, back = arithmetic(code, [settings, DEFAULTS])
    assert address.startswith("#lr=0.0001&")
    assert back == settings
    strange = "#lr=7&depth=99&left=<b>&seed=1e9&statistics=constructor&batch=128"
    assert arithmetic("return js.fromAddress(given[0], given[1])", [strange, DEFAULTS]) == {
        **DEFAULTS,
        "batch": 128,
    }
    assert arithmetic("return js.fromAddress('#key-points', given)", DEFAULTS) is None


def settings_of(chapter):
    (path,) = (STATIC.parents[2] / "chapters").glob(f"{chapter}_*.ipynb")
    sources = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    (found,) = filter(None, map(CELL.fullmatch, sources))
    return DEFAULTS | eval(f"dict({found[1]})")


RUN = """
  const race = js.makeRace(digits, js.toRace(given[0]));
  for (let k = 0; k < given[1]; k++) race.advance();
  const [byRunning, byBatch] = ["running", "batch"].map((mode) => {
    race.mode = mode;
    race.evaluate();
    return race.snapshot().sides;
  });
  return byRunning.map((side, k) => [side.loss, side.accuracy, byBatch[k].accuracy])"""


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("chapter", SAID)
def test_a_reader_sees_what_the_chapter_says(arithmetic, digits, chapter, seed):
    for changes, steps, holds in SAID[chapter]:
        sides = arithmetic(RUN, [{**settings_of(chapter), **changes, "seed": seed}, steps])
        assert holds(*sides), (changes, sides)
