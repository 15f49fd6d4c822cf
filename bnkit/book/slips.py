"""Slips: one small change at each operator, axis, number and line of a solution, with its name.

The mistakes that a chapter lists are those that people make and that have a story. A slip has none:
a sign, an axis, a line left out. Each is named by what it is and by the quantity in which it
happens, such as "a wrong sign in running_var", so that an answer that nobody foresaw is told more
than that it is wrong.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Slip", "slips_of"]

AXIS_METHODS = {"mean", "sum", "var", "std", "all", "any", "argmax", "view", "reshape", "movedim"}
AXIS_METHODS |= {"flatten", "unflatten", "transpose", "unsqueeze", "squeeze", "softmax", "permute"}

HINTS = {
    "a wrong sign": "Work it out by hand for the sample, sign by sign.",
    "divided in place of multiplied": "Double one of the two factors. What should double with it?",
    "multiplied in place of divided": "Double the divisor. What should be halved?",
    "a wrong power": "Give the quantity a unit, such as meters. Which unit should come out?",
    "no matrix product": "Print the shapes on both sides. Which axis is summed over?",
    "a wrong comparison": "Try the case in which both sides are equal, and one on either side.",
    "a condition upside down": "Try the case in which it is true. Which branch runs?",
    "a wrong axis": "Print the shape. Which numbers should share a result, a row's or a column's?",
    "no axis": "How many numbers should come out: one in all, or one for each feature?",
    "keepdim": "Print the shape. With which axis does it line up in the next line?",
    "the other variance": "By which number is the sum of squares divided: N or N − 1?",
    "a wrong number": "Put the numbers of the sample in by hand. Which constant does not belong?",
    "a switch the wrong way round": "What does the call do with the other value?",
    "an argument missing": "Which arguments does this call need here, and what is their default?",
    "the wrong way round": "Swap the two in the sample, by hand. Which comes first?",
    "a sum in place of a mean": "Double the batch by repeating it. Should the result double?",
    "a mean in place of a sum": "Double the batch by repeating it. Should the result stay?",
    "a square in place of a root": "Give the quantity a unit. Which unit should come out?",
    "a mean or sum missing": "Print the shape. How many numbers should be left?",
    "a line missing": "Go through the steps in order. Which of them does your code leave out?",
}


@dataclass(frozen=True)
class Slip:
    """A slip: what it is and where, a hint, and the source that makes it."""

    name: str
    hint: str
    source: str


def slips_of(source: str) -> list[Slip]:
    """Every slip of a source, each changed source once."""
    found: dict[str, Slip] = {}
    original = ast.unparse(ast.parse(source))
    for place, where in enumerate(_places(source)):
        for kind, by in _changes(where.node, where.parent):
            changed = _replaced(source, place, by)
            if changed != original and changed not in found:
                name = f"{kind} in {where.name}" if where.name else kind
                name = f"the results are those of {name}"
                found[changed] = Slip(name, HINTS[kind], changed)
    return list(found.values())


@dataclass(frozen=True)
class _Place:
    """A node, what it stands in, and the name of the quantity that it makes."""

    node: ast.AST
    parent: ast.AST | None
    name: str


def _places(source: str) -> list[_Place]:
    """Every node of the source in a fixed order."""
    found: list[_Place] = []

    def walk(node: ast.AST, parent: ast.AST | None, name: str) -> None:
        if isinstance(node, ast.stmt):
            name = _quantity(node)
        found.append(_Place(node, parent, name))
        for child in ast.iter_child_nodes(node):
            walk(child, node, _element(node, child, name))

    walk(ast.parse(source), None, "")
    return found


def _quantity(node: ast.stmt) -> str:
    """What a statement makes."""
    if isinstance(node, ast.Assign):
        return _target(node.targets[0])
    if isinstance(node, ast.AugAssign):
        return _target(node.target)
    if isinstance(node, ast.Return):
        return "the result"
    if isinstance(node, ast.If):
        return "the condition"
    if isinstance(node, ast.For):
        return "the loop"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _target(node.value.func)
    return ""


def _target(node: ast.AST) -> str:
    if isinstance(node, ast.Tuple):
        return " and ".join(_target(each) for each in node.elts)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
        of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
        return node.attr if of_self else _target(node.value)
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


def _element(node: ast.AST, child: ast.AST, name: str) -> str:
    """The name of one of several values that are assigned or returned at once."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        return name
    if isinstance(node, ast.Tuple) and " and " in name:
        names = name.split(" and ")
        at = node.elts.index(child) if child in node.elts else -1
        return names[at] if 0 <= at < len(names) == len(node.elts) else name
    if isinstance(node, ast.Tuple) and name == "the result" and child in node.elts:
        return ["the first result", "the second result", "the third result"][
            min(node.elts.index(child), 2)
        ]
    return name


def _changes(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[str, ast.AST | None]]:
    """Kind of slip, and what stands in place of the node; None drops a line."""
    if isinstance(node, ast.BinOp | ast.AugAssign):
        yield from _operators(node)
    elif isinstance(node, ast.Compare):
        yield from _comparisons(node)
    elif isinstance(node, ast.UnaryOp):
        kind = "a condition upside down" if isinstance(node.op, ast.Not) else "a wrong sign"
        yield kind, node.operand
    elif isinstance(node, ast.IfExp) or (isinstance(node, ast.If) and node.orelse):
        yield "a condition upside down", _with(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Constant):
        yield from _constants(node, parent)
    elif isinstance(node, ast.Tuple) and _all_numbers(node.elts) and len(node.elts) > 1:
        for i in range(len(node.elts)):
            yield "a wrong axis", _with(node, elts=node.elts[:i] + node.elts[i + 1 :])
    elif isinstance(node, ast.Call):
        yield from _arguments(node)
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign):
        yield "a line missing", None


_OPERATORS = {
    ast.Add: [("a wrong sign", ast.Sub)],
    ast.Sub: [("a wrong sign", ast.Add)],
    ast.Mult: [("divided in place of multiplied", ast.Div)],
    ast.Div: [("multiplied in place of divided", ast.Mult)],
    ast.Pow: [("a wrong power", ast.Mult)],
    ast.MatMult: [("no matrix product", ast.Mult)],
}


def _operators(node: ast.BinOp | ast.AugAssign) -> Iterator[tuple[str, ast.AST]]:
    for kind, other in _OPERATORS.get(type(node.op), []):
        yield kind, _with(node, op=other())
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div):
        yield "the wrong way round", _with(node, left=node.right, right=node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield "a wrong power", node.left


def _comparisons(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    order = [ast.Lt, ast.LtE, ast.Gt, ast.GtE]
    for family in (order, [ast.Eq, ast.NotEq], [ast.Is, ast.IsNot], [ast.In, ast.NotIn]):
        if type(node.ops[0]) in family:
            for other in family:
                yield "a wrong comparison", _with(node, ops=[other()])


def _constants(node: ast.Constant, parent: ast.AST | None) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        yield _of_keyword(parent, "a switch the wrong way round"), ast.Constant(not value)
    elif isinstance(value, int):
        kind = _of_keyword(parent, "a wrong number")
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow):
            kind = "a wrong power"
        for other in {0, 1, 2, 3, value + 1} - {value}:
            yield kind, ast.Constant(other)
    elif isinstance(value, float):
        for other in {0.0, 1.0, 10 * value} - {value}:
            yield "a wrong number", ast.Constant(other)


def _of_keyword(parent: ast.AST | None, otherwise: str) -> str:
    """The kind of a slip in the value of an argument."""
    if isinstance(parent, ast.keyword):
        kinds = {"dim": "a wrong axis", "axis": "a wrong axis", "keepdim": "keepdim"}
        return {"unbiased": "the other variance", "correction": "the other variance", **kinds}.get(
            parent.arg, otherwise
        )
    if isinstance(parent, ast.Tuple):
        return "a wrong axis" if all(_is_whole(each) for each in parent.elts) else otherwise
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute):
        return "a wrong axis" if parent.func.attr in AXIS_METHODS else otherwise
    return otherwise


_METHODS = {
    "mean": ("a sum in place of a mean", "sum"),
    "sum": ("a mean in place of a sum", "mean"),
    "sqrt": ("a square in place of a root", "square"),
}


def _arguments(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        kind, other = _METHODS[node.func.attr]
        yield kind, _with(node, func=_with(node.func, attr=other))
        if node.func.attr != "sqrt":
            yield "a mean or sum missing", node.func.value
    for i, keyword in enumerate(node.keywords):
        kind = _of_keyword(keyword, "an argument missing")
        kind = "no axis" if kind == "a wrong axis" else kind
        yield kind, _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    axes = isinstance(node.func, ast.Attribute) and node.func.attr in {"mean", "sum", "var", "std"}
    if axes and node.args:
        yield "no axis", _with(node, args=node.args[1:], keywords=[])


def _is_whole(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant) and type(node.value) is int


def _all_numbers(nodes: list[ast.expr]) -> bool:
    return all(isinstance(n, ast.Constant | ast.UnaryOp) for n in nodes)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _replaced(source: str, at: int, by: ast.AST | None) -> str:
    """The source with the node at a place of `_places` replaced; None leaves a line out."""
    tree, seen = ast.parse(source), -1

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            nonlocal seen
            seen += 1
            if seen == at:
                seen += sum(1 for _ in ast.walk(node)) - 1
                return ast.Pass() if by is None else by
            return self.generic_visit(node)

    return ast.unparse(ast.fix_missing_locations(Replace().visit(tree)))
