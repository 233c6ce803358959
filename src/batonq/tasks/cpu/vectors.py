"""Test vectors: inputs that tell programs apart, edge cases and random words mixed."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.tasks.cpu.expression import constants
from batonq.tasks.cpu.task import Task

EDGES: Final = (0, 1, 2, 3, 31, 32, 0xFF, 0x100, 0xFFFF, 0x10000, 0x55555555, 0xAAAAAAAA)
ENDS: Final = (0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF)
# How often an input is drawn in each way, the ways being those of `_drawn`.
_WAYS: Final = (0.2, 0.35, 0.1, 0.15, 0.2)
_TRIES: Final = 64  # rounds of redrawing what came twice


def vectors(task: Task, count: int, rng: np.random.Generator) -> UInt32[np.ndarray, "input vector"]:
    """Inputs for a task, all different where it has that many.

    Each input of a vector is by chance an edge case (with the constants of the task's expressions
    and their neighbours), any word, a number below 64, a word with few 1s, or close to another
    input of the same vector. They depend on the task, `count` and the state of `rng` alone.

    Args:
        task: the task. With examples only, its first `count` examples are returned.
        count: number of vectors, at least 1.
        rng: where chance comes from; it moves on.

    Raises:
        DataError: `count` is below 1.
    """
    if count < 1:
        raise DataError(f"{task.name}: {count} test vectors; give at least 1")
    if not task.specified:
        given = [example.inputs for example in task.examples[:count]]
        return np.array(given, np.uint32).T.copy()
    edges = _edges(task)
    found = _drawn(len(task.inputs), count, edges, rng)
    for _ in range(_TRIES):
        _, first = np.unique(found, axis=1, return_index=True)
        again = np.setdiff1d(np.arange(count), first)
        if not len(again):
            break
        found[:, again] = _drawn(len(task.inputs), len(again), edges, rng)
    return found


def _edges(task: Task) -> UInt32[np.ndarray, " edge"]:
    found = {*EDGES, *ENDS}
    for output in task.outputs:
        for value in constants(output.expression) if output.expression else ():
            found |= {value, (value - 1) % 2**32, (value + 1) % 2**32}
    return np.array(sorted(found), np.uint32)


def _drawn(
    n_inputs: int, count: int, edges: UInt32[np.ndarray, " edge"], rng: np.random.Generator
) -> UInt32[np.ndarray, "input vector"]:
    shape = (n_inputs, count)
    words = rng.integers(0, 2**32, (4, *shape), dtype=np.uint32)
    ways = [
        rng.choice(edges, shape),
        words[0],
        words[1] % 64,
        words[1] & words[2] & words[3],
    ]
    way = rng.choice(len(_WAYS), shape, p=_WAYS)
    found = np.choose(np.minimum(way, len(ways) - 1), ways)
    shift = rng.integers(-1, 2, shape).astype(np.uint32)
    for one in range(1, n_inputs):  # near an input before it, which is settled by then
        other = rng.integers(0, one, count)
        near = found[other, np.arange(count)] + shift[one]
        found[one] = np.where(way[one] == len(ways), near, found[one])
    return found.astype(np.uint32)
