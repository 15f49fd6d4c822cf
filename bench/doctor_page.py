"""The page of the doctor: its sheet of findings and both measured rates, written from data."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from bnkit.doctor.registry import GROUPS, Check

TEMPLATE = Template(Path(__file__).with_name("doctor.md").read_text(encoding="utf-8"))
PAGE = Path(__file__).parent.parent / "chapters" / "doctor.md"
TITLES = {
    "state": "State: what the layers carry",
    "mode": "Mode: whose statistics are used",
    "structure": "Structure: what stands before and behind",
    "training": "Training: batches, rates, gradients",
}


def render(results: dict, checks: Mapping[str, Check]) -> str:
    """The page's text."""
    healthy, injected = results["healthy"], results["injected"]
    examined = [each for model in healthy.values() for each in model.values()]
    alarms = [each for each in examined if each["above note"]]
    cases = [case for sizes in injected.values() for case in sizes.values()]
    ratios = [ratio for each in results["cost"].values() for ratio in each]
    return TEMPLATE.substitute(
        sheet="\n".join(sheet(checks)),
        findings=len(checks),
        models=len(healthy),
        layers=f"{sum(model['as built']['layers'] for model in healthy.values()):,}",
        examinations=len(examined),
        alarms=len(alarms),
        cases=len(cases),
        found=sum(case["found"] for case in cases),
        alone=sum(case["found"] and not case["others"] and not case["twin"] for case in cases),
        cost="\n".join(costs(results["cost"])),
        most=f"{max(ratios):.2f}",
        zoo="\n".join(zoo(healthy)),
        missed=missed(injected),
        trained=trained(results["trained"]),
    )


def sheet(checks: Mapping[str, Check]) -> Iterator[str]:
    """A table of each group: what is found, from which number on, why, and where to read on."""
    for group in GROUPS:
        yield f"### {TITLES[group]}\n"
        yield "| finding | what is measured, and from when on it counts | why it matters | read |"
        yield "|---|---|---|---|"
        for check in checks.values():
            if check.group == group:
                yield row(check)
        yield ""


def row(check: Check) -> str:
    file, _, heading = check.reread.partition("#")
    needs = "" if check.needs == "the model" else f" Needs {check.needs}."
    link = f"[{int(file[:2])}: {heading}]({file})"
    measured = f"{check.formula}. {sentence(check.threshold)}{needs}"
    name = f"**{check.title}**<br>`{check.name}`, {check.severity}"
    return (
        "| "
        + " | ".join(cell.replace("|", "\\|") for cell in (name, measured, check.why, link))
        + " |"
    )


def sentence(text: str) -> str:
    symbol = len(text.split()[0]) == 1  # a letter of the formula
    return (text if symbol else text[0].upper() + text[1:]) + ("" if text.endswith(".") else ".")


def costs(ratios: dict[str, list[float]]) -> Iterator[str]:
    yield "| model | examination / passes, median | range |"
    yield "|---|---|---|"
    for name, rounds in ratios.items():
        low, middle, high = min(rounds), statistics.median(rounds), max(rounds)
        yield f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} |"


def zoo(healthy: dict) -> Iterator[str]:
    yield "| model | layers | as built | evaluating | training |"
    yield "|---|---|---|---|---|"
    for name, model in healthy.items():
        said = [", ".join(each["above note"]) or "nothing" for each in model.values()]
        yield f"| {name} | {model['as built']['layers']} | {' | '.join(said)} |"


def trained(results: dict) -> str:
    """A sentence on the models that learned their images first."""
    reached = sorted(each["right"] for each in results.values())
    steps = max(each["steps"] for each in results.values())
    said = [each[mode] for each in results.values() for mode in ("evaluating", "training")]
    return (
        f"Of these, {len(results)} small ones also learned their images, in {steps} steps: "
        f"{reached[0]:.0f} to {reached[-1]:.0f} % right in evaluation mode. "
        f'Findings above "note" then: in **{sum(map(bool, said))} of {len(said)}**.'
    )


def missed(injected: dict) -> str:
    """A sentence on the cases that were not found alone."""
    wrong = [
        f"`{name}` ({size})"
        for name, sizes in injected.items()
        for size, case in sizes.items()
        if not case["found"] or case["others"] or case["twin"]
    ]
    return f"Not found, or not alone: {', '.join(wrong)}." if wrong else "None was missed."


def write(results: dict, checks: Mapping[str, Check], page: Path = PAGE) -> None:
    """Write the page, whole or not at all."""
    temporary = page.with_suffix(".tmp")
    temporary.write_text(render(results, checks), encoding="utf-8")
    temporary.replace(page)
