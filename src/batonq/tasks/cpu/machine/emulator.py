"""A judge that is independent of us: Unicorn runs a program's machine code."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.base.extras import need
from batonq.tasks.cpu.machine.encoding import disassembled, machine_code
from batonq.tasks.cpu.machine.program import Instruction, validity
from batonq.tasks.cpu.machine.words import (
    CARRY,
    FIRST_MEMORY,
    FLAGS,
    N_MEMORY,
    N_REGISTERS,
    N_WORDS,
    OVERFLOW,
    REGISTERS,
    SIGN,
    VALID,
    ZERO,
)

CODE_ADDRESS: Final = 0x10_0000
DATA_ADDRESS: Final = 0x20_0000
SIZE: Final = 0x1_0000  # of either region, in bytes
TIME_LIMIT: Final = 1_000_000  # of one run, in microseconds
ALWAYS_SET: Final = 2  # bit 1 of x86's own flags register
PLACES: Final = ((CARRY, 0), (ZERO, 6), (SIGN, 7), (OVERFLOW, 11))  # flags in that register

_kept = threading.local()


@dataclass(frozen=True)
class Step:
    """One instruction as the emulator ran it.

    Attributes:
        address: where it lies.
        code: its bytes.
        text: those bytes as iced-x86 prints them.
        words: registers, memory and flags after it; flags 0 where not valid by the table.
    """

    address: int
    code: bytes
    text: str
    words: UInt32[np.ndarray, " word"]


def emulate(
    program: Sequence[Instruction], start: UInt32[np.ndarray, "word vector"]
) -> UInt32[np.ndarray, "word vector"]:
    """Run the program's machine code once for each vector.

    Args:
        program: the instructions; its bytes must fit into 64 KiB.
        start: all nine words of every vector, flags included.

    Returns:
        The words afterwards; flags as the processor left them where they are valid by the
        table's rule, and else 0.

    Raises:
        DataError: Unicorn or iced-x86 is not installed; the program is too long, or did not end
            within its number of instructions and a second.
    """
    code = b"".join(machine_code(program, CODE_ADDRESS))
    machine, end = _loaded(code), CODE_ADDRESS + len(code)
    valid = validity(program, bool(start[FLAGS, 0]))[-1]
    found = np.empty_like(start)
    for vector in range(start.shape[1]):
        machine.write(start[:, vector])
        if program:
            machine.go(CODE_ADDRESS, end, len(program))
        found[:, vector] = machine.read(valid)
    return found


def trace(program: Sequence[Instruction], start: UInt32[np.ndarray, " word"]) -> tuple[Step, ...]:
    """Run the program on one vector, and record every instruction.

    Args:
        program: as for `emulate`.
        start: all nine words.

    Raises:
        DataError: as `emulate` does.
    """
    codes = machine_code(program, CODE_ADDRESS)
    texts = disassembled(b"".join(codes), CODE_ADDRESS)
    valid = validity(program, bool(start[FLAGS]))[1:]
    machine, address, steps = _loaded(b"".join(codes)), CODE_ADDRESS, []
    machine.write(start)
    for code, text, flags in zip(codes, texts, valid, strict=True):
        machine.go(address, address + len(code), 1)
        steps.append(Step(address, code, text, machine.read(flags)))
        address += len(code)
    return tuple(steps)


@dataclass(frozen=True)
class _Machine:
    """One emulated processor, used again for every run of a thread."""

    unicorn: Any
    registers: tuple[int, ...]
    flags: int
    counter: int

    def write(self, words: UInt32[np.ndarray, " word"]) -> None:
        """Put the words of one vector into registers, memory and flags."""
        values = [*words[:N_REGISTERS].tolist(), _flags_register(int(words[FLAGS]))]
        names = (*self.registers, self.flags)
        self.unicorn.reg_write_batch(tuple(zip(names, values, strict=True)))
        self.unicorn.mem_write(DATA_ADDRESS, words[FIRST_MEMORY:FLAGS].astype("<u4").tobytes())

    def go(self, begin: int, end: int, count: int) -> None:
        """Run from one address to another, at most `count` instructions."""
        self.unicorn.emu_start(begin, end, timeout=TIME_LIMIT, count=count)
        if (stopped := self.unicorn.reg_read(self.counter)) != end:
            raise DataError(
                f"the emulator stopped at {stopped:#x} and not at the program's end, {end:#x}: "
                f"over {count} instructions or {TIME_LIMIT / 1e6:g} s"
            )

    def read(self, valid: bool) -> UInt32[np.ndarray, " word"]:
        """The words of the vector that was run."""
        *values, flags = self.unicorn.reg_read_batch((*self.registers, self.flags))
        memory = self.unicorn.mem_read(DATA_ADDRESS, 4 * N_MEMORY)
        words = np.empty(N_WORDS, dtype=np.uint32)
        words[:N_REGISTERS] = values
        words[FIRST_MEMORY:FLAGS] = np.frombuffer(memory, dtype="<u4")
        words[FLAGS] = VALID + sum(flag for flag, bit in PLACES if flags >> bit & 1) if valid else 0
        return words


def _flags_register(word: int) -> int:
    return ALWAYS_SET + sum(1 << bit for flag, bit in PLACES if word & flag)


def _loaded(code: bytes) -> _Machine:
    """The machine of the calling thread, with `code` in it."""
    if len(code) > SIZE:
        raise DataError(f"the program has {len(code)} bytes; at most {SIZE} fit")
    if not hasattr(_kept, "machine"):
        _kept.machine = _new()
    machine: _Machine = _kept.machine
    machine.unicorn.mem_write(CODE_ADDRESS, code)
    machine.unicorn.ctl_remove_cache(CODE_ADDRESS, CODE_ADDRESS + SIZE)  # of what was there before
    return machine


def _new() -> _Machine:
    """A processor in 64-bit mode: code may be read and run, data read and written."""
    unicorn, names = need("unicorn"), need("unicorn.x86_const")
    processor = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    processor.mem_map(CODE_ADDRESS, SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
    processor.mem_map(DATA_ADDRESS, SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
    processor.reg_write(names.UC_X86_REG_RDI, DATA_ADDRESS)
    registers = tuple(getattr(names, f"UC_X86_REG_R{name[1:].upper()}") for name in REGISTERS)
    return _Machine(processor, registers, names.UC_X86_REG_EFLAGS, names.UC_X86_REG_RIP)
