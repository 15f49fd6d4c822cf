"""Systematic small changes of a solution, and what its check says of each.

``python tests/mutants.py forward`` lists those that are not named. Without a name, the share of
every exercise.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bnkit.book.exercise import Exercise, examine, execute
from bnkit.book.registry import EXERCISES

OTHER = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def replacements(node: ast.AST) -> Iterator[ast.AST | None]:
    """What may stand in place of a node; None drops a statement."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OTHER:
        yield _with(node, op=OTHER[type(node.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        yield _with(node, ops=[OTHER[type(node.ops[0])]()])
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield from (ast.Constant(v) for v in {0, 1, 2, node.value + 1} - {node.value})
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield from (ast.Constant(node.value * 10), ast.Constant(0.0 if node.value else 1.0))
    if isinstance(node, ast.Tuple) and all(isinstance(e, ast.Constant) for e in node.elts):
        for i in range(len(node.elts)):
            yield _with(node, elts=node.elts[:i] + node.elts[i + 1 :])
    if isinstance(node, ast.Call) and node.keywords:
        for i in range(len(node.keywords)):
            yield _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign):
        yield None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


class _Replace(ast.NodeTransformer):
    def __init__(self, at: int, by: ast.AST | None) -> None:
        self.at, self.by, self.seen = at, by, -1

    def visit(self, node: ast.AST) -> ast.AST:
        self.seen += 1
        if self.seen == self.at:
            return ast.Pass() if self.by is None else self.by
        return self.generic_visit(node)


def mutants(source: str) -> Iterator[str]:
    """Every source with one small change, each once."""
    order: list[ast.AST] = []

    class _Note(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            order.append(node)
            return self.generic_visit(node)

    _Note().visit(ast.parse(source))
    done = {ast.unparse(ast.parse(source))}
    for at, node in enumerate(order):
        for by in replacements(node):
            tree = _Replace(at, by).visit(ast.parse(source))
            text = ast.unparse(ast.fix_missing_locations(tree))
            if text not in done:
                done.add(text)
                yield text


@dataclass
class Told:
    """A mutant's source, and what its check says."""

    source: str
    status: str
    words: str


def told(exercise: Exercise) -> list[Told]:
    """What the check says of every mutant that returns something and is not as good as right."""
    return [t for source in mutants(exercise.source) if (t := _tell(exercise, source))]


def _tell(exercise: Exercise, source: str) -> Told | None:
    answer = _built(exercise, source)
    if answer is None:
        return None
    result = examine(exercise, answer, limit=2.0)
    if result.status in {"passed", "stopped", "not started"}:
        return None
    if result.status == "raised" and all(each.fell for each in exercise.observe(answer)):
        return None  # it changes no result: there is none
    return Told(source, result.status, str(result.mistake or result.stage or result.error))


def _built(exercise: Exercise, source: str) -> Callable | None:
    try:
        return execute(source, exercise.answer)
    except Exception:  # a class whose body cannot run, for instance
        return None


def share_named(exercise: Exercise) -> float:
    """The share of those mutants whose mistake is named."""
    counts = Counter(t.status for t in told(exercise))
    total = sum(counts.values())
    return counts["mistake"] / total if total else 1.0


def changed(source: str, mutant: str) -> list[str]:
    """The lines of a mutant that the source does not have."""
    old = ast.unparse(ast.parse(source)).splitlines()
    return [line.strip() for line in mutant.splitlines() if line not in old] or ["(a line dropped)"]


def main(names: list[str]) -> None:
    for name in names or EXERCISES:
        found = told(EXERCISES[name])
        named = [t for t in found if t.status == "mistake"]
        print(f"{name}: {len(named)} of {len(found)} named")
        if not names:
            continue
        for t in found:
            if t.status != "mistake":
                print(f"  {t.status}: {t.words.splitlines()[0]}")
                print(
                    *(f"      {line}" for line in changed(EXERCISES[name].source, t.source)),
                    sep="\n",
                )


if __name__ == "__main__":
    main(sys.argv[1:])
