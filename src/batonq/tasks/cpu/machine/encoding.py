"""Machine code: the bytes of a program, and their text, by iced-x86."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from batonq.base.extras import need
from batonq.tasks.cpu.machine.program import Instruction
from batonq.tasks.cpu.machine.words import FIRST_MEMORY, LOW_BYTES, REGISTERS

CREATED_BY: Final = {"r32": "reg", "r8": "reg", "cl": "reg", "m32": "mem"}  # others: "u32"


def machine_code(program: Sequence[Instruction], address: int = 0) -> list[bytes]:
    """The bytes of each instruction, the first one at `address`.

    Raises:
        DataError: iced-x86 is not installed.
    """
    iced = need("iced_x86")
    encoder = iced.Encoder(64)
    found: list[bytes] = []
    for instruction in program:
        address += encoder.encode(_created(iced, instruction), address)
        found.append(encoder.take_buffer())
    return found


def disassembled(code: bytes, address: int = 0) -> list[str]:
    """The text of machine code in Intel's syntax as iced-x86 prints it; `program.parse` reads it.

    Raises:
        DataError: iced-x86 is not installed.
    """
    iced = need("iced_x86")
    formatter = iced.Formatter(iced.FormatterSyntax.INTEL)
    formatter.hex_prefix, formatter.hex_suffix = "0x", ""
    formatter.uppercase_hex, formatter.space_after_operand_separator = False, True
    return [formatter.format(decoded) for decoded in iced.Decoder(64, code, ip=address)]


def _created(iced: Any, instruction: Instruction) -> Any:
    """The instruction as iced-x86 has it."""
    row = instruction.row
    makers = [CREATED_BY.get(kind, "u32") for kind in row.operands]
    create = getattr(iced.Instruction, "create_" + "_".join(makers))
    pairs = zip(row.operands, (instruction.dst, instruction.src), strict=False)
    return create(getattr(iced.Code, row.code), *(_operand(iced, *pair) for pair in pairs))


def _operand(iced: Any, kind: str, value: int) -> Any:
    if kind == "r32":
        return getattr(iced.Register, REGISTERS[value].upper())
    if kind in ("r8", "cl"):
        return getattr(iced.Register, LOW_BYTES[value].upper())
    if kind == "m32":
        offset = 4 * (value - FIRST_MEMORY)
        return iced.MemoryOperand(iced.Register.RDI, displ=offset, displ_size=int(offset > 0))
    return value
