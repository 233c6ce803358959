"""The instruction table: one row is one instruction, a mnemonic with a form of operands.

A new instruction is a new row and nothing else: parser, printer, interpreter, encoder, emulator and
prover read this table, and the tests go through all its rows (delete Numba's cache after an edit,
see CONTRIBUTING). For instance ::

    Row("popcnt", "ARITH", "r32, r32", "POPCNT_R32_RM32", _popcnt, duration=3)

with `_popcnt(d, s, f)` beside the functions below. Such a function computes one word from three: d
and s are what the two operands hold (s of an immediate operand is its value), f is the flags
word. It is written once with operators that mean the same for a Numba `uint32`, for NumPy arrays
of such and for Z3's bit-vectors (``+ - * & | ^ ~ <<``); only the lowest 32 bits of what it returns
count. Where an operator means something else in Z3 (``>>`` is arithmetic there) the row has
`symbolic`, too.

Sources: Intel, Software Developer's Manual, volume 2, for results and flags; durations are
latencies in cycles as usual on cores since 2015, which does not model any core in particular.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba.extending import register_jitable

from batonq.base.extras import need
from batonq.tasks.cpu.machine.words import VALID

AGENTS: Final = ("MOV", "ARITH", "LOGIC", "SHIFT", "COND", "MEM")
# What a row does to the flags. "reads": needs valid flags and keeps them; "sets": the word
# computed is the flags word, and the first operand stays.
EFFECTS: Final = ("keeps", "invalidates", "sets", "reads")

Semantics = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Row:
    """One instruction.

    Attributes:
        mnemonic: its name in assembly text.
        agent: the class it belongs to, one of `AGENTS`.
        form: its operands, each one of `program.KINDS`, separated by ", ".
        code: the name of its encoding in `iced_x86.Code`.
        compute: (d, s, f) -> word written, for Numba and NumPy.
        symbolic: the same for Z3's bit-vectors of 32 bits; by default `compute`.
        effect: what it does to the flags, one of `EFFECTS`.
        duration: cycles, >= 1.
        swaps: whether the second operand is given what the first one held.
    """

    mnemonic: str
    agent: str
    form: str
    code: str
    compute: Semantics
    symbolic: Semantics | None = None
    effect: str = "invalidates"
    duration: int = 1
    swaps: bool = False

    @property
    def operands(self) -> tuple[str, ...]:
        """Kinds of its operands, from left to right."""
        return tuple(self.form.split(", "))

    @property
    def immediate(self) -> bool:
        """Whether `src` is a value instead of the number of a word."""
        return self.operands[-1].startswith("imm")


def _second(_d: Any, s: Any, _f: Any) -> Any:
    return s


def _low_byte(_d: Any, s: Any, _f: Any) -> Any:
    return s & 0xFF


def _reversed(d: Any, _s: Any, _f: Any) -> Any:
    return d << 24 | (d & 0xFF00) << 8 | d >> 8 & 0xFF00 | d >> 24 & 0xFF


def _add(d: Any, s: Any, _f: Any) -> Any:
    return d + s


def _subtract(d: Any, s: Any, _f: Any) -> Any:
    return d - s


def _multiply(d: Any, s: Any, _f: Any) -> Any:
    return d * s


def _plus_one(d: Any, _s: Any, _f: Any) -> Any:
    return d + 1


def _minus_one(d: Any, _s: Any, _f: Any) -> Any:
    return d - 1


def _negative(d: Any, _s: Any, _f: Any) -> Any:
    return 0 - d


def _and(d: Any, s: Any, _f: Any) -> Any:
    return d & s


def _or(d: Any, s: Any, _f: Any) -> Any:
    return d | s


def _xor(d: Any, s: Any, _f: Any) -> Any:
    return d ^ s


def _not(d: Any, _s: Any, _f: Any) -> Any:
    return ~d


# Counts of shifts and rotations are taken modulo 32, as the processor does.
def _left(d: Any, s: Any, _f: Any) -> Any:
    return d << (s & 31)


def _right(d: Any, s: Any, _f: Any) -> Any:
    return d >> (s & 31)


def _right_symbolic(d: Any, s: Any, _f: Any) -> Any:
    return need("z3").LShR(d, s & 31)


def _right_signed(d: Any, s: Any, _f: Any) -> Any:
    return np.int32(d) >> (s & 31)


def _rotated_left(d: Any, s: Any, _f: Any) -> Any:
    return d << (s & 31) | d >> (32 - (s & 31) & 31)


def _rotated_left_symbolic(d: Any, s: Any, _f: Any) -> Any:
    return need("z3").RotateLeft(d, s)


def _rotated_right(d: Any, s: Any, _f: Any) -> Any:
    return d >> (s & 31) | d << (32 - (s & 31) & 31)


def _rotated_right_symbolic(d: Any, s: Any, _f: Any) -> Any:
    return need("z3").RotateRight(d, s)


def _compared(d: Any, s: Any, _f: Any) -> Any:
    r = d - s
    overflow = ((d ^ s) & (d ^ r)) >> 31 & 1
    return VALID | (d < s) << 0 | (d == s) << 1 | (r >> 31 & 1) << 2 | overflow << 3


def _tested(d: Any, s: Any, _f: Any) -> Any:
    return VALID | ((d & s) == 0) << 1 | ((d & s) >> 31 & 1) << 2


def _flags_symbolic(carry: Any, zero: Any, sign: Any, overflow: Any) -> Any:
    z3 = need("z3")
    bits = [
        z3.If(flag, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
        for flag in (carry, zero, sign, overflow)
    ]
    return z3.Concat(z3.BitVecVal(VALID >> 4, 28), *reversed(bits))


def _compared_symbolic(d: Any, s: Any, _f: Any) -> Any:
    # A signed difference is below zero where d < s, unless it overflows: so written, "less" is
    # sign xor overflow = (d < s) after simplification, which makes short proofs.
    z3 = need("z3")
    negative = d - s < 0
    return _flags_symbolic(z3.ULT(d, s), d == s, negative, z3.Xor(negative, d < s))


def _tested_symbolic(d: Any, s: Any, _f: Any) -> Any:
    false = need("z3").BoolVal(False)
    return _flags_symbolic(false, (d & s) == 0, (d & s) < 0, false)


# Conditions, from the flags as bits: carry, zero, sign, overflow.
CONDITIONS: Final[dict[str, Callable[[Any, Any, Any, Any], Any]]] = {
    "e": lambda _c, z, _s, _o: z,
    "ne": lambda _c, z, _s, _o: z ^ 1,
    "l": lambda _c, _z, s, o: s ^ o,
    "le": lambda _c, z, s, o: (s ^ o) | z,
    "g": lambda _c, z, s, o: ((s ^ o) | z) ^ 1,
    "ge": lambda _c, _z, s, o: s ^ o ^ 1,
    "b": lambda c, _z, _s, _o: c,
    "be": lambda c, z, _s, _o: c | z,
    "a": lambda c, z, _s, _o: (c | z) ^ 1,
    "ae": lambda c, _z, _s, _o: c ^ 1,
    "s": lambda _c, _z, s, _o: s,
    "ns": lambda _c, _z, s, _o: s ^ 1,
}


def _conditional(name: str) -> tuple[Row, Row]:
    """The conditional move and the conditional byte of one condition."""
    holds = register_jitable(CONDITIONS[name])

    def move(d: Any, s: Any, f: Any) -> Any:
        bit = holds(f & 1, f >> 1 & 1, f >> 2 & 1, f >> 3 & 1)
        return d ^ (d ^ s) & (0 - bit)

    def byte(d: Any, _s: Any, f: Any) -> Any:
        return d & 0xFFFFFF00 | holds(f & 1, f >> 1 & 1, f >> 2 & 1, f >> 3 & 1)

    def bit_symbolic(f: Any) -> Any:
        z3 = need("z3")
        return holds(*(z3.Extract(k, k, f) for k in range(4)))

    def move_symbolic(d: Any, s: Any, f: Any) -> Any:
        return need("z3").If(bit_symbolic(f) == 1, s, d)

    def byte_symbolic(d: Any, _s: Any, f: Any) -> Any:
        z3 = need("z3")
        return z3.Concat(z3.Extract(31, 8, d), z3.BitVecVal(0, 7), bit_symbolic(f))

    upper = name.upper()
    return (
        Row(
            f"cmov{name}", "COND", "r32, r32", f"CMOV{upper}_R32_RM32", move, move_symbolic, "reads"
        ),
        Row(f"set{name}", "COND", "r8", f"SET{upper}_RM8", byte, byte_symbolic, "reads"),
    )


def _two_operands(mnemonic: str, agent: str, compute: Semantics) -> tuple[Row, ...]:
    """One operation on a register with a register, an immediate, and a word of memory."""
    upper = mnemonic.upper()
    return (
        Row(mnemonic, agent, "r32, r32", f"{upper}_RM32_R32", compute),
        Row(mnemonic, agent, "r32, imm32", f"{upper}_RM32_IMM32", compute),
        Row(mnemonic, "MEM", "r32, m32", f"{upper}_R32_RM32", compute, duration=5),
    )


def _shift(mnemonic: str, compute: Semantics, symbolic: Semantics | None = None) -> Row:
    code = f"{mnemonic.upper()}_RM32_IMM8"
    return Row(mnemonic, "SHIFT", "r32, imm8", code, compute, symbolic)


ROWS: Final[tuple[Row, ...]] = (
    Row("mov", "MOV", "r32, r32", "MOV_RM32_R32", _second, effect="keeps"),
    Row("mov", "MOV", "r32, imm32", "MOV_R32_IMM32", _second, effect="keeps"),
    Row("movzx", "MOV", "r32, r8", "MOVZX_R32_RM8", _low_byte, effect="keeps"),
    Row("bswap", "MOV", "r32", "BSWAP_R32", _reversed, effect="keeps"),
    Row("xchg", "MOV", "r32, r32", "XCHG_RM32_R32", _second, effect="keeps", swaps=True),
    *_two_operands("add", "ARITH", _add),
    *_two_operands("sub", "ARITH", _subtract),
    Row("imul", "ARITH", "r32, r32", "IMUL_R32_RM32", _multiply, duration=3),
    Row("inc", "ARITH", "r32", "INC_RM32", _plus_one),
    Row("dec", "ARITH", "r32", "DEC_RM32", _minus_one),
    Row("neg", "ARITH", "r32", "NEG_RM32", _negative),
    *_two_operands("and", "LOGIC", _and),
    *_two_operands("or", "LOGIC", _or),
    *_two_operands("xor", "LOGIC", _xor),
    Row("not", "LOGIC", "r32", "NOT_RM32", _not),
    _shift("shl", _left),
    _shift("shr", _right, _right_symbolic),
    _shift("sar", _right_signed, _right),
    _shift("rol", _rotated_left, _rotated_left_symbolic),
    _shift("ror", _rotated_right, _rotated_right_symbolic),
    Row("shl", "SHIFT", "r32, cl", "SHL_RM32_CL", _left),
    Row("shr", "SHIFT", "r32, cl", "SHR_RM32_CL", _right, _right_symbolic),
    Row("sar", "SHIFT", "r32, cl", "SAR_RM32_CL", _right_signed, _right),
    Row("cmp", "COND", "r32, r32", "CMP_RM32_R32", _compared, _compared_symbolic, "sets"),
    Row("cmp", "COND", "r32, imm32", "CMP_RM32_IMM32", _compared, _compared_symbolic, "sets"),
    Row("test", "COND", "r32, r32", "TEST_RM32_R32", _tested, _tested_symbolic, "sets"),
    *(row for name in CONDITIONS for row in _conditional(name)),
    Row("mov", "MEM", "r32, m32", "MOV_R32_RM32", _second, effect="keeps", duration=4),
    Row("mov", "MEM", "m32, r32", "MOV_RM32_R32", _second, effect="keeps"),
)
