"""The machine's words: four registers, four words of memory, and the flags.

A state on V test vectors is an array `UInt32["word vector"]` with nine rows in this order:

    0..3    eax, ecx, edx, ebx
    4..7    memory: the double words at [rdi], [rdi+4], [rdi+8], [rdi+12]
    8       flags: 0 where they are not valid, else VALID | CARRY | ZERO | SIGN | OVERFLOW

Whether flags are valid depends on the program alone, hence is the same on all vectors.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import UInt32

REGISTERS: Final = ("eax", "ecx", "edx", "ebx")
LOW_BYTES: Final = ("al", "cl", "dl", "bl")
MEMORY: Final = ("[rdi]", "[rdi+4]", "[rdi+8]", "[rdi+12]")
WORDS: Final = (*REGISTERS, *MEMORY, "flags")

N_REGISTERS: Final = len(REGISTERS)
N_MEMORY: Final = len(MEMORY)
N_WORDS: Final = len(WORDS)

EAX, ECX, EDX, EBX = range(N_REGISTERS)
FIRST_MEMORY: Final = N_REGISTERS
FLAGS: Final = N_REGISTERS + N_MEMORY

CARRY: Final = 1
ZERO: Final = 2
SIGN: Final = 4
OVERFLOW: Final = 8
VALID: Final = 16


def blank(n_vectors: int) -> UInt32[np.ndarray, "word vector"]:
    """A state of all zeros, flags not valid."""
    return np.zeros((N_WORDS, n_vectors), dtype=np.uint32)
