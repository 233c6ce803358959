"""What an agent makes of a state that it sees: how near the words are to the wanted output.

Everything is computed from the words of the registers and the wanted outputs on the visible
vectors. "Exact" is 1 where a relation holds on all of them, else 0. Relations are of machine
words in general: whose menus have an instruction for them is not known to the agent.

    registers   exact, share of equal words, share of equal bits, for each register
    one step    exact: some operation of a class (arithmetic, logic, shift, selection) on
                registers gives the wanted word, written to the output register or elsewhere
    flags       valid; exact: a conditional move on the present flags gives it
    two steps   exact: an operation of a class, on what one of a class gives, does so (if `far`)
    contents    pairs of registers that are equal, registers that are zero
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, UInt32

from batonq.base.compiled import compiled
from batonq.tasks.cpu.machine.words import FLAGS

LOOKED_AT: Final = 3  # registers: eax, ecx, edx; the first is the output
ARITHMETIC, LOGIC, SHIFT, SELECTION = range(4)
N_CLASSES: Final = 4

# Operations on one register, and on two; the class of each.
UNARY: Final = ("neg", "inc", "dec", "not", "shr 1", "shr 31", "sar 31")
CLASS_OF_UNARY: Final = np.array([0, 0, 0, 1, 2, 2, 2])
BINARY: Final = ("add", "sub", "and", "or", "xor", "smin", "smax", "umin", "umax")
CLASS_OF_BINARY: Final = np.array([0, 0, 1, 1, 1, 3, 3, 3, 3])


_REGISTERS: Final = 0
_ONE: Final = _REGISTERS + 3 * LOOKED_AT
_FLAGS: Final = _ONE + 2 * N_CLASSES
_CONTENTS: Final = _FLAGS + 3
_CONSTANT: Final = _CONTENTS + 2 * LOOKED_AT
NEAR: Final = _CONSTANT + 1
_PAIRED: Final = NEAR  # class of the outer, binary, operation; of the inner; on one register
_TURNED: Final = _PAIRED + N_CLASSES * N_CLASSES * 2  # class of the outer, unary; of the inner
FAR: Final = _TURNED + N_CLASSES * N_CLASSES

# All that one step computes: operation (those on one register first), its registers, its class.
STEPS: Final = np.array(
    [(u, a, a, CLASS_OF_UNARY[u]) for u in range(len(UNARY)) for a in range(LOOKED_AT)]
    + [
        (len(UNARY) + o, a, b, CLASS_OF_BINARY[o])
        for o in range(len(BINARY))
        for a in range(LOOKED_AT)
        for b in range(LOOKED_AT)
        if a != b or o == 0
    ]
)
# Bits of `from_one` and `from_two` that belong to each class.
OF_ONE: Final = np.array([0b0000111, 0b0001000, 0b1110000, 0])
OF_TWO: Final = np.array([0b1000000011, 0b0000011100, 0, 0b0111100000])

_ONES: Final = np.uint32(0xFFFFFFFF)


def n_features(far: bool) -> int:
    """How many there are."""
    return FAR if far else NEAR


@compiled
def unary(operation: int, a: np.uint32) -> np.uint32:
    """One of `UNARY`."""
    if operation == 0:
        return np.uint32(np.uint32(0) - a)
    if operation == 1:
        return np.uint32(a + np.uint32(1))
    if operation == 2:
        return np.uint32(a - np.uint32(1))
    if operation == 3:
        return np.uint32(a ^ _ONES)
    if operation == 4:
        return np.uint32(a >> np.uint32(1))
    if operation == 5:
        return np.uint32(a >> np.uint32(31))
    return np.uint32(np.uint32(0) - (a >> np.uint32(31)))


@compiled
def binary(operation: int, a: np.uint32, b: np.uint32) -> np.uint32:
    """One of `BINARY`."""
    if operation == 0:
        return np.uint32(a + b)
    if operation == 1:
        return np.uint32(a - b)
    if operation == 2:
        return np.uint32(a & b)
    if operation == 3:
        return np.uint32(a | b)
    if operation == 4:
        return np.uint32(a ^ b)
    if operation < 7:
        less = np.int32(a) < np.int32(b)
        return np.uint32(a if less == (operation == 5) else b)
    return np.uint32(min(a, b) if operation == 7 else max(a, b))


@compiled
def bits(a: np.uint32) -> int:
    """How many bits of it are 1."""
    a = np.uint32(a - ((a >> np.uint32(1)) & np.uint32(0x55555555)))
    a = np.uint32((a & np.uint32(0x33333333)) + ((a >> np.uint32(2)) & np.uint32(0x33333333)))
    a = np.uint32((a + (a >> np.uint32(4))) & np.uint32(0x0F0F0F0F))
    return int(np.uint32(a * np.uint32(0x01010101)) >> np.uint32(24))


@compiled
def look(
    words: UInt32[np.ndarray, "word vector"],
    wanted: UInt32[np.ndarray, "job output vector"],
    job: int,
    seen: int,
    far: bool,
    found: Float[np.ndarray, "row feature"],
    row: int,
) -> None:
    """Fill one row with the features of a state, scaled to length 1.

    Args:
        words: the state.
        wanted: of each job; the first output is meant.
        job: which job.
        seen: visible vectors.
        far: whether two steps are looked at as well.
        found: rows of features; entries beyond `n_features` become 0.
        row: which of them is filled.
    """
    found[row, :] = 0.0
    found[row, _CONSTANT] = 1.0
    _look_at_registers(words, wanted, job, seen, found, row)
    _look_at_steps(words, wanted, job, seen, far, found, row)
    _look_at_flags(words, wanted, job, seen, found, row)
    square = 0.0
    for k in range(found.shape[1]):
        square += found[row, k] * found[row, k]
    for k in range(found.shape[1]):
        found[row, k] /= np.sqrt(square)


@compiled
def _look_at_registers(
    words: UInt32[np.ndarray, "word vector"],
    wanted: UInt32[np.ndarray, "job output vector"],
    job: int,
    seen: int,
    found: Float[np.ndarray, "row feature"],
    row: int,
) -> None:
    for r in range(LOOKED_AT):
        equal, same, zero, twin = 0, 0, True, True
        for v in range(seen):
            different = np.uint32(words[r, v] ^ wanted[job, 0, v])
            equal += different == 0
            same += 32 - bits(different)
            zero &= words[r, v] == 0
            twin &= words[r, v] == words[(r + 1) % LOOKED_AT, v]
        found[row, _REGISTERS + r] = equal == seen
        found[row, _REGISTERS + LOOKED_AT + r] = equal / seen
        found[row, _REGISTERS + 2 * LOOKED_AT + r] = same / (32 * seen)
        found[row, _CONTENTS + r] = zero
        found[row, _CONTENTS + LOOKED_AT + r] = twin


@compiled
def after(step: int, words: UInt32[np.ndarray, "word vector"], v: int) -> np.uint32:
    """What one of `STEPS` computes on a vector."""
    operation, a, b = STEPS[step, 0], STEPS[step, 1], STEPS[step, 2]
    if operation < len(UNARY):
        return unary(operation, words[a, v])
    return binary(operation - len(UNARY), words[a, v], words[b, v])


@compiled
def from_one(x: np.uint32, w: np.uint32) -> int:
    """Which of `UNARY`, and last the identity, make w of x: a bit for each."""
    found = (np.uint32(np.uint32(0) - x) == w) << 0 | (np.uint32(x + np.uint32(1)) == w) << 1
    found |= (np.uint32(x - np.uint32(1)) == w) << 2 | (np.uint32(x ^ _ONES) == w) << 3
    top = np.uint32(x >> np.uint32(31))
    found |= (np.uint32(x >> np.uint32(1)) == w) << 4 | (top == w) << 5
    return int(found | (np.uint32(np.uint32(0) - top) == w) << 6 | (x == w) << 7)


@compiled
def from_two(x: np.uint32, z: np.uint32, w: np.uint32) -> int:
    """Which of `BINARY`, and last z - x, make w of x and z: a bit for each."""
    found = (np.uint32(x + z) == w) << 0 | (np.uint32(x - z) == w) << 1
    found |= (np.uint32(x & z) == w) << 2 | (np.uint32(x | z) == w) << 3
    found |= (np.uint32(x ^ z) == w) << 4
    less, below, isx, isz = np.int32(x) < np.int32(z), x < z, x == w, z == w
    found |= (isx if less else isz) << 5 | (isz if less else isx) << 6
    found |= (isx if below else isz) << 7 | (isz if below else isx) << 8
    return int(found | (np.uint32(z - x) == w) << 9)


@compiled
def _look_at_steps(
    words: UInt32[np.ndarray, "word vector"],
    wanted: UInt32[np.ndarray, "job output vector"],
    job: int,
    seen: int,
    far: bool,
    found: Float[np.ndarray, "row feature"],
    row: int,
) -> None:
    for step in range(len(STEPS)):
        operation, a, inner = STEPS[step, 0], STEPS[step, 1], STEPS[step, 3]
        first = after(step, words, 0)
        # Most operations drop out on the first vector, and with the last of them the loop ends.
        left, v = (1 << 8) - 1, 0
        while v < seen and left != 0:
            left &= from_one(first if v == 0 else after(step, words, v), wanted[job, 0, v])
            v += 1
        if left >> 7 != 0:
            found[row, _ONE + inner + (0 if a == 0 else N_CLASSES)] = 1.0
        if not far:
            continue
        for outer in range(3):
            if left & OF_ONE[outer] != 0:
                found[row, _TURNED + outer * N_CLASSES + inner] = 1.0
        for c in range(LOOKED_AT):
            left, v = (1 << 10) - 1, 0
            while v < seen and left != 0:
                value = first if v == 0 else after(step, words, v)
                left &= from_two(value, words[c, v], wanted[job, 0, v])
                v += 1
            alone = operation < len(UNARY) and c == a
            for outer in range(N_CLASSES):
                if left & OF_TWO[outer] != 0:
                    found[row, _PAIRED + (outer * N_CLASSES + inner) * 2 + alone] = 1.0


@compiled
def _look_at_flags(
    words: UInt32[np.ndarray, "word vector"],
    wanted: UInt32[np.ndarray, "job output vector"],
    job: int,
    seen: int,
    found: Float[np.ndarray, "row feature"],
    row: int,
) -> None:
    if words[FLAGS, 0] == 0:
        return
    found[row, _FLAGS] = 1.0
    for a in range(LOOKED_AT):
        for b in range(LOOKED_AT):
            for condition in range(4 if a != b else 0):
                v = 0
                while v < seen:
                    flags = words[FLAGS, v]
                    carry, zero = flags & 1 != 0, flags >> 1 & 1 != 0
                    less = (flags >> 2 & 1) != (flags >> 3 & 1)
                    if condition < 2:
                        holds = less if condition == 0 else not (less or zero)
                    else:
                        holds = carry if condition == 2 else not (carry or zero)
                    if (words[b, v] if holds else words[a, v]) != wanted[job, 0, v]:
                        break
                    v += 1
                if v == seen:
                    found[row, _FLAGS + (1 if a == 0 else 2)] = 1.0
