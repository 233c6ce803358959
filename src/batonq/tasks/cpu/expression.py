"""Expressions over 32-bit words: what a program is to compute, written once and read three ways.

One tree is evaluated over NumPy arrays, given to Z3 as a bit-vector, and printed as SMT-LIB (for
cvc5). Words wrap around at 2^32; comparisons give 0 or 1; shift counts are taken modulo 32, as
the processor does. A tree has fifteen operations (`OPERATIONS`); everything else is made of them
(`smin`, `rol` ...), so that each reading is stated once. `parsing` makes trees from text,
`tracing` from a Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.base.extras import need

BITS: Final = 32
LARGEST: Final = 20_000  # operations, constants and inputs, repeated ones counted each time
DEEPEST: Final = 200


@dataclass(frozen=True)
class Constant:
    """The same word for all inputs, in [0, 2^32)."""

    value: int
    size: int = field(default=1, init=False, repr=False, compare=False)
    depth: int = field(default=1, init=False, repr=False, compare=False)


@dataclass(frozen=True)
class Name:
    """An input, by its name."""

    name: str
    size: int = field(default=1, init=False, repr=False, compare=False)
    depth: int = field(default=1, init=False, repr=False, compare=False)


@dataclass(frozen=True)
class Apply:
    """An operation of `OPERATIONS` on as many operands as it takes; made by `apply`."""

    operation: str
    operands: tuple[Expression, ...]
    size: int = field(repr=False, compare=False)
    depth: int = field(repr=False, compare=False)


Expression = Constant | Name | Apply


@dataclass(frozen=True)
class Operation:
    """How an operation is read.

    Attributes:
        compute: its value, from NumPy arrays of uint32.
        symbolic: its value, from the module z3 and bit-vectors of 32 bits.
        smt: its SMT-LIB text, with {0} {1} {2} for the operands.
        text: the text that `parsing.parse` reads back, likewise.
    """

    compute: Callable[..., Any]
    symbolic: Callable[..., Any]
    smt: str
    text: str


def _count(count: Any) -> Any:
    return count & (BITS - 1)


def _bit(z3: Any, holds: Any) -> Any:
    return z3.If(holds, z3.BitVecVal(1, BITS, holds.ctx), z3.BitVecVal(0, BITS, holds.ctx))


_COUNT: Final = "(bvand {1} #x0000001f)"
_TEST: Final = "(ite ({} {{0}} {{1}}) #x00000001 #x00000000)"

OPERATIONS: Final[Mapping[str, Operation]] = {
    "add": Operation(lambda a, b: a + b, lambda _, a, b: a + b, "(bvadd {0} {1})", "({0} + {1})"),
    "sub": Operation(lambda a, b: a - b, lambda _, a, b: a - b, "(bvsub {0} {1})", "({0} - {1})"),
    "mul": Operation(lambda a, b: a * b, lambda _, a, b: a * b, "(bvmul {0} {1})", "({0} * {1})"),
    "and": Operation(lambda a, b: a & b, lambda _, a, b: a & b, "(bvand {0} {1})", "({0} & {1})"),
    "or": Operation(lambda a, b: a | b, lambda _, a, b: a | b, "(bvor {0} {1})", "({0} | {1})"),
    "xor": Operation(lambda a, b: a ^ b, lambda _, a, b: a ^ b, "(bvxor {0} {1})", "({0} ^ {1})"),
    "not": Operation(lambda a: ~a, lambda _, a: ~a, "(bvnot {0})", "~{0}"),
    "neg": Operation(lambda a: -a, lambda _, a: -a, "(bvneg {0})", "-{0}"),
    "shl": Operation(
        lambda a, n: a << _count(n),
        lambda _, a, n: a << _count(n),
        f"(bvshl {{0}} {_COUNT})",
        "({0} << {1})",
    ),
    "shr": Operation(
        lambda a, n: a >> _count(n),
        lambda z3, a, n: z3.LShR(a, _count(n)),
        f"(bvlshr {{0}} {_COUNT})",
        "({0} >> {1})",
    ),
    "sar": Operation(
        lambda a, n: (a.view(np.int32) >> _count(n).view(np.int32)).view(np.uint32),
        lambda _, a, n: a >> _count(n),
        f"(bvashr {{0}} {_COUNT})",
        "sar({0}, {1})",
    ),
    "slt": Operation(
        lambda a, b: (a.view(np.int32) < b.view(np.int32)).astype(np.uint32),
        lambda z3, a, b: _bit(z3, a < b),
        _TEST.format("bvslt"),
        "slt({0}, {1})",
    ),
    "ult": Operation(
        lambda a, b: (a < b).astype(np.uint32),
        lambda z3, a, b: _bit(z3, z3.ULT(a, b)),
        _TEST.format("bvult"),
        "({0} < {1})",
    ),
    "eq": Operation(
        lambda a, b: (a == b).astype(np.uint32),
        lambda z3, a, b: _bit(z3, a == b),
        _TEST.format("="),
        "({0} == {1})",
    ),
    "where": Operation(
        lambda c, a, b: np.where(c != 0, a, b),
        lambda z3, c, a, b: z3.If(c != 0, a, b),
        "(ite (= {0} #x00000000) {2} {1})",
        "({1} if {0} else {2})",
    ),
}


def constant(value: int) -> Constant:
    """A constant; a negative one stands for its two's complement.

    Raises:
        DataError: it does not fit in 32 bits.
    """
    if not -(2**31) <= value < 2**BITS:
        raise DataError(f"the constant {value} does not fit in 32 bits; give -2^31 .. 2^32 - 1")
    return Constant(value % 2**BITS)


def apply(operation: str, *operands: Expression) -> Expression:
    """An operation of `OPERATIONS` on operands.

    Raises:
        DataError: a constant shift count above 31, or an expression too large.
    """
    if operation in ("shl", "shr", "sar"):
        count = operands[1]
        if isinstance(count, Constant) and count.value >= BITS:
            raise DataError(f"shift by {count.value}; a constant count must be in 0 .. 31")
    size = 1 + sum(operand.size for operand in operands)
    depth = 1 + max(operand.depth for operand in operands)
    if size > LARGEST or depth > DEEPEST:
        raise DataError(
            f"the expression has {size} parts, {depth} deep; at most {LARGEST}, {DEEPEST} deep: "
            "state the same shorter, or give examples instead"
        )
    return Apply(operation, operands, size, depth)


def _rotated(one: str, other: str) -> Callable[..., Expression]:
    def rotated(x: Expression, n: Expression) -> Expression:
        if isinstance(n, Constant) and n.value >= BITS:
            raise DataError(f"rotation by {n.value}; a constant count must be in 0 .. 31")
        back = (
            Constant(-n.value % BITS)
            if isinstance(n, Constant)
            else apply("and", apply("neg", n), Constant(BITS - 1))
        )
        return apply("or", apply(one, x, n), apply(other, x, back))

    return rotated


def _opposite(test: str, swapped: bool = False) -> Callable[..., Expression]:
    """Not `test` of the two, or of the two the other way round."""

    def opposite(a: Expression, b: Expression) -> Expression:
        return apply("xor", apply(test, b, a) if swapped else apply(test, a, b), Constant(1))

    return opposite


# What text and Python functions may call, by name; the number of operands behind it.
FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Expression], int]]] = {
    "sar": (lambda x, n: apply("sar", x, n), 2),
    "rol": (_rotated("shl", "shr"), 2),
    "ror": (_rotated("shr", "shl"), 2),
    "eq": (lambda a, b: apply("eq", a, b), 2),
    "ne": (_opposite("eq"), 2),
    "slt": (lambda a, b: apply("slt", a, b), 2),
    "sle": (_opposite("slt", swapped=True), 2),
    "ult": (lambda a, b: apply("ult", a, b), 2),
    "ule": (_opposite("ult", swapped=True), 2),
    "smin": (lambda a, b: apply("where", apply("slt", b, a), b, a), 2),
    "smax": (lambda a, b: apply("where", apply("slt", a, b), b, a), 2),
    "umin": (lambda a, b: apply("where", apply("ult", b, a), b, a), 2),
    "umax": (lambda a, b: apply("where", apply("ult", a, b), b, a), 2),
    "where": (lambda c, a, b: apply("where", c, a, b), 3),
}


def names(expression: Expression) -> frozenset[str]:
    """Names of the inputs it depends on."""
    return frozenset(part.name for part in _parts(expression) if isinstance(part, Name))


def constants(expression: Expression) -> frozenset[int]:
    """The constants in it."""
    return frozenset(part.value for part in _parts(expression) if isinstance(part, Constant))


def evaluate(
    expression: Expression, inputs: Mapping[str, UInt32[np.ndarray, " vector"]]
) -> UInt32[np.ndarray, " vector"]:
    """Its value for each vector of inputs; `inputs` has at least one entry, even if not needed."""
    shape = next(iter(inputs.values())).shape
    values: UInt32[np.ndarray, " vector"] = _fold(
        expression,
        lambda value: np.full(shape, value, np.uint32),
        lambda name: inputs[name],
        lambda operation, values: OPERATIONS[operation].compute(*values),
    )
    return values


def to_z3(expression: Expression, words: Mapping[str, Any]) -> Any:
    """Itself as a Z3 bit-vector of 32 bits, given those of the inputs (at least one).

    Raises:
        DataError: z3-solver is not installed.
    """
    z3 = need("z3")
    context = next(iter(words.values())).ctx
    return _fold(
        expression,
        lambda value: z3.BitVecVal(value, BITS, context),
        lambda name: words[name],
        lambda operation, values: OPERATIONS[operation].symbolic(z3, *values),
    )


def to_smt(expression: Expression) -> str:
    """Itself as an SMT-LIB term of sort (_ BitVec 32); inputs stand in it as |name|."""
    return _printed(expression, lambda value: f"#x{value:08x}", "|{}|", lambda one: one.smt)


def to_text(expression: Expression) -> str:
    """Itself as text that `parsing.parse` reads back to an equal tree."""
    return _printed(expression, str, "{}", lambda one: one.text)


def _printed(
    expression: Expression,
    shown: Callable[[int], str],
    quoted: str,
    form: Callable[[Operation], str],
) -> str:
    printed: str = _fold(
        expression,
        shown,
        quoted.format,
        lambda operation, values: form(OPERATIONS[operation]).format(*values),
    )
    return printed


def _parts(expression: Expression) -> list[Expression]:
    """Every distinct object in it, operands before what is made of them."""
    done: dict[int, Expression] = {}

    def visit(part: Expression) -> None:
        if id(part) not in done:
            for operand in part.operands if isinstance(part, Apply) else ():
                visit(operand)
            done[id(part)] = part

    visit(expression)
    return list(done.values())


def _fold(
    expression: Expression,
    from_constant: Callable[[int], Any],
    from_name: Callable[[str], Any],
    from_operands: Callable[[str, list[Any]], Any],
) -> Any:
    """Read it from the leaves up; an object that stands in several places is read once."""
    values: dict[int, Any] = {}
    for part in _parts(expression):
        if isinstance(part, Constant):
            values[id(part)] = from_constant(part.value)
        elif isinstance(part, Name):
            values[id(part)] = from_name(part.name)
        else:
            operands = [values[id(operand)] for operand in part.operands]
            values[id(part)] = from_operands(part.operation, operands)
    return values[id(expression)]
