"""Programs on Z3's bit-vectors: every word afterwards as a term over the words before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batonq.base.errors import DataError
from batonq.base.extras import need
from batonq.tasks.cpu.machine.program import Instruction, legal
from batonq.tasks.cpu.machine.words import FLAGS, N_WORDS, WORDS

if TYPE_CHECKING:
    from z3 import BitVecRef


def unknowns() -> list[BitVecRef]:
    """A free bit-vector for every word, named as in `WORDS`, but flags, which are not valid (0).

    Raises:
        DataError: Z3 is not installed.
    """
    z3 = need("z3")
    return [*(z3.BitVec(name, 32) for name in WORDS[:FLAGS]), z3.BitVecVal(0, 32)]


def run(
    program: Sequence[Instruction], words: Sequence[BitVecRef], valid: bool = False
) -> list[BitVecRef]:
    """What the program makes of nine words of 32 bits; flags 0 where they are not valid.

    Args:
        program: the instructions.
        words: the words before, in the order of `WORDS`.
        valid: whether the flags among them are valid.

    Raises:
        DataError: Z3 is not installed; the number of words is wrong, or the program reads flags
            that are not valid.
    """
    z3, found = need("z3"), list(words)
    if len(found) != N_WORDS:
        raise DataError(f"{len(found)} words given; a state has {N_WORDS}: {', '.join(WORDS)}")
    if not legal(program, valid):
        raise DataError("the program reads flags that are not valid: put a cmp or test before")
    for instruction in program:
        row, dst, src = instruction.row, instruction.dst, instruction.src
        first = found[dst]
        second = z3.BitVecVal(src, 32) if row.immediate else found[src]
        result = (row.symbolic or row.compute)(first, second, found[FLAGS])
        found[FLAGS if row.effect == "sets" else dst] = result
        if row.swaps:
            found[src] = first
        if row.effect == "invalidates":
            found[FLAGS] = z3.BitVecVal(0, 32)
    return found
