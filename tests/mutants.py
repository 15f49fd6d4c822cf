"""Systematic small changes of a solution, and what its check says of each.

``python tests/mutants.py forward`` lists those that are not named. Without a name, the share of
every exercise. ``python tests/mutants.py --pairs 20 forward`` does it for two mistakes at once,
and ``python tests/mutants.py --more forward`` with changes of order and of functions as well.
"""

from __future__ import annotations

import ast
import copy
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bnkit.book.exercise import Exercise, examine, execute, pairs
from bnkit.book.registry import EXERCISES
from bnkit.book.result import CheckResult

MORE = False  # whether order and functions change too: harder to name, and longer to run
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
    if MORE:
        yield from _other_order(node)
        yield from _other_functions(node)


def _other_order(node: ast.AST) -> Iterator[ast.AST]:
    """Operands, arguments, elements and neighboring statements the other way round; one dropped."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.MatMult):
        yield _with(node, left=node.right, right=node.left)
    if isinstance(node, ast.Call) and len(node.args) > 1:
        yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
        yield _with(node, args=node.args[:-1])
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        yield _with(node, value=_with(node.value, elts=node.value.elts[::-1]))
    body = getattr(node, "body", None)
    if isinstance(body, list) and not isinstance(node, ast.Module | ast.ClassDef):
        for i in range(len(body) - 1):
            swapped = [*body[:i], body[i + 1], body[i], *body[i + 2 :]]
            yield _with(node, body=swapped)


OTHER_NAMES = {"mean": "sum", "sum": "mean", "var": "std", "sqrt": "square", "rsqrt": "sqrt"}
OTHER_NAMES |= {"zeros": "ones", "ones": "zeros", "train": "eval", "eval": "train", "T": "mT"}
OTHER_NAMES |= {"zeros_like": "ones_like", "argmax": "argmin", "all": "any", "any": "all"}


def _other_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Another method in place of one, or none."""
    if isinstance(node, ast.Attribute):
        if node.attr in OTHER_NAMES:
            yield _with(node, attr=OTHER_NAMES[node.attr])
        if node.attr == "T":
            yield node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        yield node.func.value


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


def told_of_pairs(exercise: Exercise, count: int) -> Iterator[tuple[set[str], CheckResult]]:
    """The names of two mistakes and what the check says of both at once, for some of all pairs."""
    both = list(pairs(exercise))
    random.Random(exercise.name).shuffle(both)
    for first, second, answer in both[:count]:
        yield {first.name, second.name}, examine(exercise, answer, limit=5.0)


def names_one(names: set[str], result: CheckResult) -> bool:
    """Whether a verdict is these two mistakes, or one of them and something else."""
    said = (result.mistake or "").removesuffix(", and something else")
    return result.mistake is not None and any(name in said for name in names)


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
    """Print the share of every exercise, or what is not named of some."""
    if names[:1] == ["--more"]:
        globals()["MORE"], names = True, names[1:]
    if names[:1] == ["--pairs"]:
        return of_pairs(int(names[1]), names[2:])
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


def of_pairs(count: int, names: list[str]) -> None:
    """How many of that many pairs of every exercise are named, and those that are not."""
    for name in names or EXERCISES:
        told = list(told_of_pairs(EXERCISES[name], count))
        named = [each for each in told if names_one(*each)]
        print(f"{name}: {len(named)} of {len(told)} pairs named", flush=True)
        for pair, result in told:
            if not names_one(pair, result):
                print("  " + " + ".join(sorted(pair)), "->", result.headline)


if __name__ == "__main__":
    main(sys.argv[1:])
