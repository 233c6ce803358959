"""What agents remember: a row of values for every information state that one of them has met.

The rows of all agents lie in one array, found by a key of 63 bits that is made from the agent and
all that it sees; so no two agents share a row, and an agent reads another's never. That two
information states of n get one key has a chance below n^2 / 2^64: 2 x 10^-7 for two million.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt16, UInt32, UInt64

from batonq.base.compiled import compiled

FULL = 0.6  # share of slots that may be taken
MOST_COUNTED = np.iinfo(np.uint16).max

_SHIFTS = (np.uint64(33), np.uint64(29), np.uint64(32))
_FACTORS = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


class Memory(NamedTuple):
    """Slots of keys, and the rows they lead to.

    Attributes:
        keys: 0 where a slot is free; their number is a power of two.
        row: the row of each taken slot.
        values: Q, a row for each information state.
        counts: how often each value was moved, at most `MOST_COUNTED`.
        used: how many rows are in use, one number.
    """

    keys: UInt64[np.ndarray, " slot"]
    row: Int[np.ndarray, " slot"]
    values: Float[np.ndarray, "row action"]
    counts: UInt16[np.ndarray, "row action"]
    used: Int[np.ndarray, " one"]


def memory(n_actions: int, rows: int = 1 << 12) -> Memory:
    """An empty memory with room for `rows`."""
    slots = 1 << int(np.ceil(np.log2(rows / FULL)))
    return Memory(
        np.zeros(slots, np.uint64),
        np.zeros(slots, np.int64),
        np.zeros((rows, n_actions), np.float32),
        np.zeros((rows, n_actions), np.uint16),
        np.zeros(1, np.int64),
    )


def grown(old: Memory) -> Memory:
    """The same with room for twice as many rows."""
    rows, n_actions = old.values.shape
    new = memory(n_actions, 2 * rows)
    new.values[:rows], new.counts[:rows], new.used[:] = old.values, old.counts, old.used
    _move(old.keys, old.row, new.keys, new.row)
    return new


@compiled
def _move(
    keys: UInt64[np.ndarray, " slot"],
    row: Int[np.ndarray, " slot"],
    new_keys: UInt64[np.ndarray, " new_slot"],
    new_row: Int[np.ndarray, " new_slot"],
) -> None:
    for slot in range(len(keys)):
        if keys[slot] != 0:
            at = slot_of(new_keys, keys[slot])
            new_keys[at], new_row[at] = keys[slot], row[slot]


@compiled
def slot_of(keys: UInt64[np.ndarray, " slot"], key: np.uint64) -> int:
    """The slot that holds `key`, or the free one where it belongs."""
    slot = np.int64(key & np.uint64(len(keys) - 1))  # of one type: Numba takes the other for float
    while keys[slot] != 0 and keys[slot] != key:
        slot = np.int64(slot + 1 if slot < len(keys) - 1 else 0)
    return int(slot)


@compiled
def mixed(h: np.uint64) -> np.uint64:
    """64 bits stirred, so that every bit depends on all of them; one to one."""
    h = (h ^ (h >> _SHIFTS[0])) * _FACTORS[0]
    h = (h ^ (h >> _SHIFTS[1])) * _FACTORS[1]
    return h ^ (h >> _SHIFTS[2])


@compiled
def key_of(start: np.uint64, words: UInt32[np.ndarray, "word vector"], seen: int) -> np.uint64:
    """The key of the first `seen` vectors of `words`; `start` stands for all else that is seen."""
    h = np.uint64(start)
    for word in range(words.shape[0]):  # chains of their own, which the processor interleaves
        g = np.uint64(word + 1)
        for v in range(seen):
            g = (g ^ np.uint64(words[word, v])) * _FACTORS[0]
            g = g ^ (g >> _SHIFTS[2])
        h = mixed(h ^ g)
    return h | np.uint64(1)
