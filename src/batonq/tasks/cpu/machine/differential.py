"""Differential tests: interpreter, Unicorn and Z3 on the same random programs and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.extras import need
from batonq.tasks.cpu.machine import symbolic
from batonq.tasks.cpu.machine.emulator import emulate
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import Instruction, Program, encode, legal, listing
from batonq.tasks.cpu.machine.table import ROWS
from batonq.tasks.cpu.machine.words import (
    ECX,
    FIRST_MEMORY,
    FLAGS,
    N_MEMORY,
    N_REGISTERS,
    N_WORDS,
    blank,
)

# 0, 1, -1 and powers of two with their neighbours: borders of signs, bytes and shift counts.
EDGES: Final = np.array(
    [(1 << k) + near & 0xFFFFFFFF for k in (0, 5, 7, 8, 15, 16, 31) for near in (-2, -1, 0, 1)],
    dtype=np.uint32,
)


@dataclass(frozen=True)
class Differences:
    """How many of `programs` ended otherwise than in the interpreter, on any input.

    Attributes:
        programs: programs that were compared.
        emulator: those that Unicorn ends otherwise.
        prover: those whose Z3 terms, the inputs put in, are otherwise.
        first: the first such program as text; "" if there is none.
    """

    programs: int
    emulator: int
    prover: int
    first: str


def differential(programs: int, seed: int, length: int = 8, vectors: int = 8) -> Differences:
    """Compare all nine words after random legal programs, drawn from all rows of the table.

    Args:
        programs: how many.
        seed: of programs and inputs.
        length: instructions in each, >= 1.
        vectors: inputs for each, half of all words being edge cases such as -1 and 2^31.

    Raises:
        DataError: Unicorn, iced-x86 or Z3 is not installed.
    """
    rng, first = np.random.default_rng(seed), ""
    emulator = prover = 0
    for _ in range(programs):
        program, start = random_program(rng, length), random_state(rng, vectors)
        ours = start.copy()
        run(encode(program), ours)
        wrong = not np.array_equal(ours, emulate(program, start))
        unproved = not np.array_equal(ours, by_terms(program, start))
        emulator, prover = emulator + wrong, prover + unproved
        first = first or (listing(program) if wrong or unproved else "")
    return Differences(programs, emulator, prover, first)


def random_program(rng: np.random.Generator, length: int) -> Program:
    """A legal program of random rows and operands, a comparison where flags are missing."""
    setting = [op for op, row in enumerate(ROWS) if row.effect == "sets"]
    program: Program = ()
    while len(program) < length:
        longer = (*program, _random(rng, int(rng.integers(len(ROWS)))))
        program = longer if legal(longer) else (*program, _random(rng, int(rng.choice(setting))))
    return program


def _random(rng: np.random.Generator, op: int) -> Instruction:
    return Instruction(op, *(_operand(rng, kind) for kind in ROWS[op].operands))


def random_values(rng: np.random.Generator, shape: tuple[int, ...]) -> UInt32[np.ndarray, ...]:
    """Words of which half are edge cases, such as -1 and 2^31, and half uniform."""
    uniform = rng.integers(2**32, size=shape, dtype=np.uint32)
    return np.where(rng.random(shape) < 0.5, rng.choice(EDGES, shape), uniform)


def random_state(rng: np.random.Generator, vectors: int) -> UInt32[np.ndarray, "word vector"]:
    """Such values in registers and memory; flags not valid."""
    state = blank(vectors)
    state[:FLAGS] = random_values(rng, (FLAGS, vectors))
    return state


def by_terms(
    program: Sequence[Instruction], start: UInt32[np.ndarray, "word vector"]
) -> UInt32[np.ndarray, "word vector"]:
    """What Z3's terms for the words afterwards are, with the values in `start` put in.

    Raises:
        DataError: Z3 is not installed, or the program is not legal.
    """
    z3, words = need("z3"), symbolic.unknowns()
    # One term of all words takes one substitution for a vector, instead of nine.
    together = z3.Concat(*reversed(symbolic.run(program, words)))
    found = np.empty((start.shape[1], N_WORDS), dtype=np.uint32)
    for vector, values in enumerate(start.T.tolist()):
        pairs = zip(words[:FLAGS], values[:FLAGS], strict=True)
        put = z3.substitute(together, *((word, z3.BitVecVal(value, 32)) for word, value in pairs))
        number = z3.simplify(put).as_long()
        found[vector] = np.frombuffer(number.to_bytes(4 * N_WORDS, "little"), dtype="<u4")
    return np.ascontiguousarray(found.T)


def _operand(rng: np.random.Generator, kind: str) -> int:
    if kind == "cl":
        return ECX
    if kind == "imm8":
        return int(rng.integers(32))
    if kind == "imm32":
        return int(random_values(rng, (1,))[0])
    first, number = (FIRST_MEMORY, N_MEMORY) if kind == "m32" else (0, N_REGISTERS)
    return int(rng.integers(first, first + number))
