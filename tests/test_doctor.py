"""The report of the doctor, what it knows, and its command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnkit import cli, layers, relatives
from bnkit.distributed import SyncBatchNorm
from bnkit.doctor import Finding, Report, examine
from bnkit.doctor.batches import read_batches
from bnkit.doctor.finding import SEVERITIES, address
from bnkit.doctor.graph import graph_of
from bnkit.doctor.kinds import layers_of
from bnkit.doctor.registry import CHECKS, GROUPS
from bnkit.models import BatchNormNet

ROOT = Path(__file__).parents[1]


def digits(batches=4, size=16):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batches * size, 784, generator=generator)
    labels = torch.randint(10, (batches * size,), generator=generator)
    return list(zip(images.split(size), labels.split(size), strict=True))


@pytest.fixture(scope="module")
def ill():
    net = BatchNormNet().eval()
    net.bn1.running_var[3] = torch.inf
    return examine(net, digits())


def test_findings_come_with_the_gravest_first(ill):
    assert ill.findings[0].severity == "error"
    ranks = [finding.rank for finding in ill.findings]
    assert ranks == sorted(ranks) and len(set(ranks)) > 1


def test_a_finding_names_layer_evidence_reason_mend_and_chapter(ill):
    first = ill.findings[0]
    assert (first.check, first.layer) == ("variance-not-finite", "bn1")
    assert "1 of 128" in first.evidence and first.numbers == {"channels": 1, "of": 128}
    assert "bn1" in first.mend and first.why.endswith(".")


def test_the_terminal_has_one_line_a_fact_none_too_wide(ill):
    text = str(ill)
    assert text.splitlines()[0].startswith("BatchNormNet, 1 normalization layer, 4 batches of 16")
    assert "ERROR   variance-not-finite: bn1" in text
    assert max(map(len, text.splitlines())) <= 76


def test_a_notebook_gets_a_table_a_strip_plot_and_working_links(ill, monkeypatch):
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    source = ill._repr_html_()
    assert source.index("variance-not-finite") < source.index("foldable")
    assert re.search(r'<img [^>]*alt="[^"]{30,}" src="data:image/png;base64,', source)
    for file in re.findall(r'href="([\w]+)\.html', source):
        assert (ROOT / "chapters" / f"{file}.ipynb").exists()
    assert "http" not in source and "<script" not in source


def test_names_are_escaped_in_html():
    net = nn.Sequential()
    net.add_module("<b>", nn.BatchNorm1d(2))
    assert "<b>" not in examine(net.eval())._repr_html_()


def test_the_report_becomes_json_and_back(ill):
    plain = json.loads(json.dumps(ill.to_dict()))
    assert plain["findings"][0]["check"] == "variance-not-finite"
    assert plain["layers"][0]["channels"] == 128 and plain["batches"] == [16] * 4
    assert len(plain["layers"][0]["shifts"]) == 128


def test_ci_stops_in_one_line_at_a_severity(ill):
    with pytest.raises(RuntimeError, match=r"^expected no error or worse, got 1: .*\(bn1\)$"):
        ill.raise_if("error")
    healthy = examine(BatchNormNet())
    healthy.raise_if("warning")
    with pytest.raises(ValueError, match="got severity 'fatal', expected one of"):
        healthy.raise_if("fatal")


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_check_says_what_it_measures_and_leads_to_a_heading(check):
    assert check.group in GROUPS and check.severity in SEVERITIES
    assert check.formula and check.threshold and check.why.count(".") >= 1
    assert max(map(len, check.mend.splitlines())) <= 62, "it stands in a cell of 76 columns"
    file, _, heading = check.reread.partition("#")
    cells = nbformat.read(ROOT / "chapters" / file, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert f"\n## {heading}\n" in f"\n{text}\n"
    assert set(check.cause_of) <= set(CHECKS)


def test_links_lead_to_the_published_site_or_to_the_page_beside(monkeypatch):
    monkeypatch.delenv("BNKIT_WIDGETS", raising=False)
    heading = "03_two_modes.ipynb#A forgotten `eval()`, measured"
    assert address(heading).endswith("/chapters/03_two_modes.html#a-forgotten-eval-measured")
    assert address(heading).startswith("https://")
    monkeypatch.setenv("BNKIT_WIDGETS", "baked")
    assert address(heading) == "03_two_modes.html#a-forgotten-eval-measured"


KINDS = {
    "batch": [nn.BatchNorm1d(4), nn.SyncBatchNorm(4), nn.LazyBatchNorm1d(), layers.BatchNorm1d(4),
              layers.LazyBatchNorm2d(), SyncBatchNorm(4)],
    "instance": [nn.InstanceNorm2d(4), nn.LazyInstanceNorm2d(), relatives.InstanceNorm2d(4)],
    "group": [nn.GroupNorm(2, 4), relatives.GroupNorm(2, 4)],
    "layer": [nn.LayerNorm(4), relatives.LayerNorm(4)],
    "rms": [nn.RMSNorm(4), relatives.RMSNorm(4)],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_knows_pytorchs_layers_and_bnkits(kind):
    found = layers_of(nn.Sequential(*KINDS[kind]))
    assert [layer.kind for layer in found] == [kind] * len(KINDS[kind])
    examine(nn.Sequential(*KINDS[kind])).raise_if("warning")


def test_a_lazy_layer_is_as_lazy_as_before():
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Linear(8, 10))
    report = examine(net, digits())
    assert report.layers[0].values == 16
    assert type(net[2]) is nn.LazyBatchNorm1d and not layers_of(net)[0].made
    net(digits()[0][0])
    assert net[2].num_features == 8


def test_what_fx_cannot_trace_is_watched_in_a_forward_pass():
    net = BatchNormNet()
    assert not graph_of(net).whole
    assert "bias-before-norm" not in {f.check for f in examine(net).findings}
    report = examine(net, digits())
    assert report.whole and "bias-before-norm" in {f.check for f in report.findings}


class Surprising(nn.Module):
    """A functional change in place between the linear layer and the norm."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(784, 10), nn.BatchNorm1d(10)

    def forward(self, x):
        y = self.linear(x) if x.sum() < torch.inf else x
        return F.dropout(self.norm(F.relu_(y)), 0.0)


def test_a_change_in_place_breaks_the_link_of_a_watched_pass():
    checks = {f.check for f in examine(Surprising(), digits()).findings}
    assert "bias-before-norm" not in checks


def test_the_statistics_measured_are_those_of_the_batches():
    net, data = BatchNormNet(), digits()
    with torch.no_grad():
        hidden = [net.fc1(x) for x, _ in data]
        for h in hidden:
            net.bn1.train()(h)
    means = torch.stack([h.mean(0) for h in hidden]).mean(0).double()
    spread = torch.stack([h.var(0) for h in hidden]).mean(0).double() + net.bn1.eps
    expected = (net.bn1.running_mean.double() - means) / spread.sqrt()
    shifts = torch.tensor(examine(net, data).layers[0].shifts, dtype=torch.float64)
    torch.testing.assert_close(shifts, expected, rtol=1e-3, atol=1e-5)


def test_weights_of_a_broken_statistic_are_still_measured():
    net = BatchNormNet().eval()
    net.bn1.running_mean.fill_(torch.nan)
    assert {f.check for f in examine(net, digits()).findings if f.rank == 0} == {
        "variance-not-finite"
    }


def test_gradients_before_and_behind_a_layer_are_told():
    net, data = BatchNormNet(), digits(batches=1)
    behind = []
    net.bn1.register_forward_hook(
        lambda layer, inputs, output: output.register_hook(behind.append) and None
    )
    F.cross_entropy(net(data[0][0]), data[0][1]).backward()
    sketch = examine(net, data).layers[0]
    assert sketch.gradient_behind == pytest.approx(float(behind[0].norm()), rel=1e-4)
    assert sketch.gradient_before != sketch.gradient_behind


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_the_update_ratio_is_that_of_the_step_that_is_not_taken(optimizer):
    net, data = BatchNormNet(), digits(batches=1)
    before = net.fc1.weight.detach().clone()
    stepper = optimizer(net.parameters(), lr=1e-3)
    told = examine(net, data, stepper).layers[0].update
    F.cross_entropy(net(data[0][0]), data[0][1]).backward()
    stepper.step()
    taken = float((net.fc1.weight.detach() - before).norm() / before.norm())
    assert told == pytest.approx(taken, rel=2e-2)


def test_a_custom_train_that_keeps_layers_asleep_is_no_finding():
    class Keeper(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    net = Keeper(nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    net[1](torch.randn(16, 8))  # it has seen a batch
    examine(net.train()).raise_if("warning")
    plain = nn.Sequential(*net)
    assert [f.check for f in examine(plain).findings if f.rank < 2] == ["frozen-will-wake"]


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ([], "expected a loader with at least one batch, got an empty one"),
        (iter([torch.zeros(2, 784)]), "an iterator that examining would use up"),
        (3, "expected a loader of batches, got int"),
        ([{"x": 1}], r"expected batches of a tensor or of \(input, target\), got dict of \(\)"),
        ([("a", "b")], r"got tuple of \(str, str\)"),
    ],
)
def test_a_loader_that_cannot_serve_is_refused_in_one_line(loader, said):
    with pytest.raises(ValueError, match=said) as error:
        examine(BatchNormNet(), loader)
    assert "\n" not in str(error.value)


def test_a_loader_tells_the_size_of_its_last_batch():
    rows = torch.utils.data.TensorDataset(torch.zeros(9, 784), torch.zeros(9).long())
    loader = torch.utils.data.DataLoader
    assert read_batches(loader(rows, batch_size=4)).last == 1
    assert read_batches(loader(rows, batch_size=4, drop_last=True)).last == 4
    assert read_batches([torch.zeros(4, 2), torch.zeros(3, 2)]).last == 3


def test_inputs_alone_and_outputs_in_dictionaries_will_do():
    class Several(BatchNormNet):
        def forward(self, x):
            return {"logits": super().forward(x)}

    report = examine(Several(), [x for x, _ in digits()])
    assert report.layers[0].values == 16


def test_frozen_parameters_need_no_backward_pass():
    net = BatchNormNet().requires_grad_(False)
    assert examine(net, digits()).layers[0].gradient_behind is None


# The command line


def example(tmp_path, monkeypatch, code):
    (tmp_path / "patients.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "patients", raising=False)


CODE = """
import torch
from bnkit.models import BatchNormNet as make_model
def make_loader():
    torch.manual_seed(0)
    return [(torch.randn(16, 784), torch.arange(16) % 10) for _ in range(4)]
def no_model():
    return 3
def asks(x):
    return x
def falls():
    raise RuntimeError("no memory\\nand more")
def leaves():
    raise SystemExit(7)
def narrow():
    return [torch.randn(4, 3)]
class torn:
    def __iter__(self):
        raise KeyError(7)
COUNT, net, batches = 5, make_model(), make_loader()
"""


def test_examine_prints_the_report_and_ends_with_1_at_an_error(capsys, tmp_path, monkeypatch):
    example(tmp_path, monkeypatch, CODE)
    assert cli.main(["examine", "patients:make_model", "--data", "patients:make_loader"]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert cli.main(["examine", "patients:make_model", "--eval"]) == 1
    assert "untrained-statistics: bn1" in capsys.readouterr().out
    assert cli.main(["examine", "patients:make_model", "--eval", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["severity"] == "error"


def test_a_model_and_a_loader_that_a_module_holds_will_do(capsys, tmp_path, monkeypatch):
    example(tmp_path, monkeypatch, CODE)
    assert cli.main(["examine", "patients:net", "--data", "patients:batches"]) == 0
    assert "4 batches of 16" in capsys.readouterr().out


def test_weights_without_statistics_are_loaded_and_found(capsys, tmp_path, monkeypatch):
    example(tmp_path, monkeypatch, CODE)
    net = BatchNormNet()
    nn.init.normal_(net.bn1.bias)
    kept = {k: v for k, v in net.state_dict().items() if "running" not in k}
    torch.save({"state_dict": {f"module.{name}": value for name, value in kept.items()}}, "net.pt")
    arguments = ["examine", "patients:make_model", "--weights", "net.pt", "--eval"]
    assert cli.main(arguments) == 1
    assert "checkpoint-without-statistics: bn1" in capsys.readouterr().out


DATA = ["patients:make_model", "--data"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["patients"], "argument model: expected package.module:function, got 'patients'"),
        (["patients:nothing"], "module 'patients' has no 'nothing'"),
        (["absent:make"], "no module 'absent', asked for by absent:make"),
        (["patients:make_modle"], "has no 'make_modle'; did you mean 'make_model'?"),
        (["patients:COUNT"], "expected a function, but patients:COUNT is of type int"),
        (["patients:asks"], "patients:asks() fails: TypeError: asks() missing 1 required"),
        (["patients:falls"], "patients:falls() fails: RuntimeError: no memory (patients.py, line "),
        (["patients:leaves"], "patients:leaves() fails: SystemExit: 7 (patients.py, line "),
        (["torn:make"], "importing 'torn' fails: SyntaxError: "),
        ([*DATA, "patients:falls"], "patients:falls() fails: RuntimeError"),
        ([*DATA, "patients:narrow"], "got (4, 3)"),
        ([*DATA, "patients:torn"], "the model fails on this data: KeyError: 7 (patients.py, line"),
        ([*DATA, "patients:no_model"], "expected a loader of batches, got int"),
        (["patients:no_model"], "expected a model of patients:no_model, got int"),
        (["patients:make_model", "--weights", "broken.pt"], "cannot read weights from 'broken.pt'"),
        (["patients:make_model", "--weights", "other.pt"], "which the model lacks"),
        (["patients:make_model", "--weights", "whole.pt"], "expected what torch.save(model.state"),
        (["patients:make_model", "--weights", "list.pt"], "'list.pt' holds a list; expected what"),
    ],
)
def test_what_cannot_be_examined_gets_one_line(capsys, tmp_path, monkeypatch, arguments, said):
    example(tmp_path, monkeypatch, CODE)
    Path("broken.pt").write_bytes(b"no weights")
    Path("torn.py").write_text("def make(:")
    torch.save(BatchNormNet(), "whole.pt")
    torch.save([1, 2], "list.pt")
    torch.save(nn.Linear(2, 2).state_dict() | BatchNormNet().state_dict(), "other.pt")
    with pytest.raises(SystemExit) as exit_:
        cli.main(["examine", *arguments])
    said_so = capsys.readouterr().err
    assert exit_.value.code == 2 and said in said_so and said_so.count("\n") == 1


def test_the_severities_of_the_command_are_the_doctors():
    assert cli.SEVERITIES == SEVERITIES


def test_the_public_names_are_documented_where_they_are_listed():
    assert {Finding.__name__, Report.__name__} == {"Finding", "Report"}
    assert "Args:" in examine.__doc__ and ">>>" in examine.__doc__
