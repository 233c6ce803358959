"""Expressions from text: Python's own grammar for expressions, few of its parts, no evaluation.

    x & (x - 1)        + - * & | ^ ~ and unary -, all modulo 2^32
    x << 3, x >> n     shifts, filling with zeros; counts modulo 32, a constant one in 0 .. 31
    x < y              1 or 0, of unsigned words; so < <= > >= == !=
    a if c else b      a where c is not 0, else b; the same as where(c, a, b)
    sar(x, n)          arithmetic shift; so rol, ror, eq ne slt sle ult ule, smin smax umin umax

Constants are decimal, 0x... or 0b...; spaces and line ends count alike.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from batonq.base.errors import DataError
from batonq.tasks.cpu.expression import FUNCTIONS, Expression, Name, apply, constant

LONGEST: Final = 10_000  # characters

BINARY: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "shl",
    ast.RShift: "shr",
}
UNARY: Final[Mapping[type[ast.unaryop], str]] = {ast.Invert: "not", ast.USub: "neg"}
# Each comparison as the function it is, and whether of the two sides the other way round.
COMPARISONS: Final[Mapping[type[ast.cmpop], tuple[str, bool]]] = {
    ast.Eq: ("eq", False),
    ast.NotEq: ("ne", False),
    ast.Lt: ("ult", False),
    ast.LtE: ("ule", False),
    ast.Gt: ("ult", True),
    ast.GtE: ("ule", True),
}
ALLOWED: Final = (
    "+ - * & | ^ ~ << >>, one comparison, a if c else b, whole numbers, inputs, and "
    f"{' '.join(FUNCTIONS)}"
)


def parse(text: str, names: Collection[str]) -> Expression:
    """Read an expression over inputs of these names; nothing is ever evaluated.

    Raises:
        DataError: it is not one, or is too large; the message has the place and what is allowed.
    """
    text = " ".join(text.split())
    if len(text) > LONGEST:
        raise DataError(f"an expression of {len(text)} characters; at most {LONGEST}")
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        place = f"column {error.offset}" if error.offset else "at its end"
        raise DataError(f"{_short(text)}, {place}: {error.msg}; correct the expression") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{_short(text)}: not readable; state it with less nesting") from error
    try:
        return _read(tree.body, names)
    except DataError as error:
        raise DataError(f"{_short(text)}, {error}") from error
    except RecursionError as error:
        raise DataError(f"{_short(text)}: nested too deep; state the same shorter") from error


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _read(node: ast.expr, names: Collection[str]) -> Expression:
    make, parts = _step(node, names)
    operands = [_read(part, names) for part in parts]
    try:
        return make(*operands)
    except DataError as error:
        raise DataError(f"column {node.col_offset + 1}: {error}") from error


def _step(
    node: ast.expr, names: Collection[str]
) -> tuple[Callable[..., Expression], list[ast.expr]]:
    """What makes the expression of a node, and the nodes it is made of."""
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return lambda: constant(value), []
        case ast.Name(id=name) if name in names:
            return lambda: Name(name), []
        case ast.Name(id=name):
            what = f"unknown name {name!r}; the inputs are {', '.join(names)}"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return partial(apply, BINARY[type(op)]), [left, right]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            return partial(apply, UNARY[type(op)]), [operand]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return partial(apply, "where"), [test, body, orelse]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
            name, swapped = COMPARISONS[type(op)]
            return FUNCTIONS[name][0], [right, left] if swapped else [left, right]
        case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if name in FUNCTIONS:
            make, taken = FUNCTIONS[name]
            if len(given) == taken:
                return make, given
            what = f"{name} takes {taken} operands, not {len(given)}"
        case _:
            what = f"not allowed here; use {ALLOWED}"
    raise DataError(f"column {node.col_offset + 1}: {what}")
