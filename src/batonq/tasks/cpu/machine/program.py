"""Programs: instructions as numbers, and as assembly text in Intel's syntax."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int64

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine.table import ROWS, Row
from batonq.tasks.cpu.machine.words import (
    ECX,
    FIRST_MEMORY,
    LOW_BYTES,
    MEMORY,
    N_MEMORY,
    REGISTERS,
)

# The kinds of operands: what an operand of each may be, for messages.
KINDS: Final = {
    "r32": ", ".join(REGISTERS),
    "r8": ", ".join(LOW_BYTES),
    "m32": ", ".join(MEMORY),
    "cl": "cl",
    "imm32": "a number of 32 bits",
    "imm8": "a number from 0 to 31",
}
DIGITS: Final = "(0x[0-9a-f]{1,16}|[0-9]{1,16})"
NUMBER: Final = re.compile(rf"([+-]?){DIGITS}")
ADDRESS: Final = re.compile(rf"(?:dword(?: ptr)? ?)?\[ ?rdi(?: ?\+ ?{DIGITS})? ?\]")
NAMED_BELOW: Final = 2**16  # numbers from here on are printed in hexadecimal


@dataclass(frozen=True)
class Instruction:
    """One instruction, as the interpreter takes it.

    Attributes:
        op: number of its row in `ROWS`.
        dst: number of the word it writes; the first operand where it only sets flags.
        src: number of the word it reads; the value, in [0, 2^32), of an immediate operand; 0
            where there is no second operand.
    """

    op: int
    dst: int
    src: int = 0

    @property
    def row(self) -> Row:
        """Its row of the table."""
        return ROWS[self.op]

    @property
    def agent(self) -> str:
        """The class of instructions it belongs to."""
        return self.row.agent

    @property
    def duration(self) -> int:
        """Cycles, >= 1."""
        return self.row.duration

    @property
    def text(self) -> str:
        """Itself as assembly: `add eax, 31`."""
        kinds, values = self.row.operands, (self.dst, self.src)
        shown = [_shown(kind, value) for kind, value in zip(kinds, values, strict=False)]
        return f"{self.row.mnemonic} {', '.join(shown)}"


Program = tuple[Instruction, ...]


def parse(text: str) -> Program:
    """Read a program: one instruction a line; what follows a semicolon is a comment.

    Raises:
        DataError: a mnemonic or an operand is unknown; the message names the line and the word.
    """
    program = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = " ".join(line.split(";")[0].lower().split())
        if words:
            program.append(_instruction(words, number))
    return tuple(program)


def listing(program: Sequence[Instruction]) -> str:
    """The program as text that `parse` reads back."""
    return "\n".join(instruction.text for instruction in program)


def encode(program: Sequence[Instruction]) -> Int64[np.ndarray, "step 3"]:
    """The program as numbers: a row (op, dst, src) for each instruction."""
    rows = [(instruction.op, instruction.dst, instruction.src) for instruction in program]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def decode(numbers: Int64[np.ndarray, "step 3"]) -> Program:
    """The program of such numbers."""
    return tuple(Instruction(int(op), int(dst), int(src)) for op, dst, src in numbers)


def validity(program: Sequence[Instruction], valid: bool = False) -> tuple[bool, ...]:
    """Whether the flags are valid before each instruction, and after the last one.

    Args:
        program: any program.
        valid: whether they are at the start.
    """
    found = [valid]
    for instruction in program:
        effect = instruction.row.effect
        found.append(effect == "sets" or (found[-1] and effect != "invalidates"))
    return tuple(found)


def legal(program: Sequence[Instruction], valid: bool = False) -> bool:
    """Whether it never reads flags that are not valid (`valid`: as in `validity`)."""
    before = validity(program, valid)
    return all(
        flags or instruction.row.effect != "reads"
        for instruction, flags in zip(program, before, strict=False)
    )


def _instruction(line: str, number: int) -> Instruction:
    mnemonic, _, rest = line.partition(" ")
    operands = [part.strip() for part in rest.split(",")] if rest else []
    rows = [(op, row) for op, row in enumerate(ROWS) if row.mnemonic == mnemonic]
    if not rows:
        known = ", ".join(sorted({row.mnemonic for row in ROWS}))
        raise DataError(f"line {number}: unknown mnemonic {mnemonic!r}; known are {known}")
    for op, row in rows:
        if len(row.operands) == len(operands):
            values = [_value(*pair) for pair in zip(row.operands, operands, strict=True)]
            if None not in values:
                return Instruction(op, *(value for value in values if value is not None))
    raise DataError(_complaint(line, number, operands, [row for _, row in rows]))


def _complaint(line: str, number: int, operands: list[str], rows: list[Row]) -> str:
    """Which operand no form of the mnemonic takes, and what the forms are."""
    forms = "; ".join(row.form for row in rows)
    kinds = sorted({kind for row in rows for kind in row.operands})
    meaning = "; ".join(f"{kind}: {KINDS[kind]}" for kind in kinds)
    strange = [text for text in operands if all(_value(kind, text) is None for kind in kinds)]
    what = f"unknown operand {strange[0]!r}" if strange else f"operands of {line!r} do not fit"
    return f"line {number}: {what}; {rows[0].mnemonic} takes {forms} ({meaning})"


def _value(kind: str, text: str) -> int | None:
    """The number of a word or the value that `text` stands for; None if it is not of the kind."""
    if kind in ("r32", "r8", "cl"):
        names = {"r32": REGISTERS, "r8": LOW_BYTES, "cl": ("", LOW_BYTES[ECX])}[kind]
        return names.index(text) if text and text in names else None
    if kind == "m32":
        found = ADDRESS.fullmatch(text)
        offset = _number(found[1] or "0") if found else -1
        return FIRST_MEMORY + offset // 4 if offset in range(0, 4 * N_MEMORY, 4) else None
    found = NUMBER.fullmatch(text)
    if not found:
        return None
    value = _number(found[2]) * (-1 if found[1] == "-" else 1)
    if kind == "imm8":
        return value if 0 <= value < 32 else None
    return value % 2**32 if -(2**31) <= value < 2**32 else None


def _number(digits: str) -> int:
    return int(digits, 16 if digits.startswith("0x") else 10)


def _shown(kind: str, value: int) -> str:
    if kind == "m32":
        return MEMORY[value - FIRST_MEMORY]
    if kind == "r32":
        return REGISTERS[value]
    if kind in ("r8", "cl"):
        return LOW_BYTES[value]
    signed = value - 2**32 if value >= 2**32 - NAMED_BELOW else value
    return str(signed) if signed < NAMED_BELOW else hex(signed)
