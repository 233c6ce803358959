"""The shortest program, by breadth-first search over the machine's states on the test vectors.

Programs that leave the same words on all vectors are one state, of which the first is kept, so
that a program found is a shortest one that is right on the vectors; after a counterexample the
search begins anew. A node is kept as the instruction that led to it; the words along the path to
the node at hand are kept as well, and what differs from the path before it is executed again. That
is counted: about one execution for every node that has successors.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int64, UInt32, UInt64

from batonq.base.compiled import compiled
from batonq.tasks.cpu.learning.memory import FULL, key_of, slot_of
from batonq.tasks.cpu.learning.play import right
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import Program, encode
from batonq.tasks.cpu.peers.attempt import N_VECTORS, Attempt, Search, Vectors, guided
from batonq.tasks.cpu.task import Task

_BASIS = np.uint64(1)


def solve(task: Task, budget: int, seed: int = 0, n_vectors: int = N_VECTORS) -> Attempt:
    """Find a shortest program of at most `task.length` instructions and have it proved.

    Args:
        task: what is wanted.
        budget: instructions to execute at most, over all rounds; memory is about 35 bytes for each.
        seed: of the first test vectors; the search itself leaves nothing to chance.
        n_vectors: test vectors to begin with.

    Raises:
        DataError: the budget or the number of vectors is below 1, or Z3 is not installed.
    """

    def search(tests: Vectors, left: int) -> Search:
        return shortest(task, tests, left)

    return guided(task, budget, seed, search, n_vectors)


def shortest(task: Task, tests: Vectors, budget: int) -> Search:
    """A shortest program of at most `task.length` instructions that is right on the vectors."""
    parents, items = np.zeros((2, budget + 1), np.int32)  # and zeros not touched cost nothing
    keys = np.zeros(1 << int(np.ceil(np.log2((budget + 1) / FULL))), np.uint64)
    words = np.array([[output.word for output in task.outputs]])
    start, wanted = task.start(tests), task.wanted(tests)[None]
    if right(start, words, wanted, 0):
        return Search((), 0)
    goal, executed, whole = _search(
        start,
        words,
        wanted,
        encode(task.menu),
        task.length,
        budget,
        keys,
        parents,
        items,
    )
    if goal >= 0:
        return Search(_path(task, parents, items, goal), int(executed))
    if whole:
        return Search(None, int(executed), f"no program of at most {task.length} instructions")
    return Search(None, int(executed), "budget spent")


def _path(
    task: Task, parents: Int[np.ndarray, " node"], items: Int[np.ndarray, " node"], node: int
) -> Program:
    steps = []
    while node > 0:
        steps.append(task.menu[items[node]])
        node = int(parents[node])
    return tuple(reversed(steps))


@compiled
def _path_again(
    parents: Int[np.ndarray, " node"], node: int, level: int, path: Int64[np.ndarray, " level"]
) -> int:
    """Make `path`, one node a level, that to `node`. Returns the last level that is as before."""
    while path[level] != node:
        path[level] = node
        node = parents[node]
        level -= 1
    return level


@compiled
def _search(
    start: UInt32[np.ndarray, "word vector"],
    words: Int64[np.ndarray, "1 output"],
    wanted: UInt32[np.ndarray, "1 output vector"],
    menu: Int64[np.ndarray, "item 3"],
    length: int,
    budget: int,
    keys: UInt64[np.ndarray, " slot"],
    parents: Int[np.ndarray, " node"],
    items: Int[np.ndarray, " node"],
) -> tuple[int, int, bool]:
    """Returns (node of the program or -1, instructions executed, whether all was looked at).

    Args:
        start: the words at the start, which is node 0.
        words: the output words.
        wanted: what they are to hold.
        menu: all instructions.
        length: most instructions of a program.
        budget: instructions to execute at most.
        keys: slots for the keys of states that were met, all 0.
        parents: filled with each node's parent.
        items: filled with the number of the instruction that led to each.
    """
    states = np.zeros((length + 1, *start.shape), np.uint32)
    path = np.full(length + 1, -1)
    states[0], path[0] = start, 0
    key = key_of(_BASIS, start, start.shape[1])
    keys[slot_of(keys, key)] = key
    used, executed, begin = 1, 0, 0
    for level in range(length):
        end = used
        for node in range(begin, end):
            known = _path_again(parents, node, level, path)
            path[level + 1] = -1
            for k in range(known - level, len(menu)):  # below 0: the path's own
                if executed == budget:
                    return -1, executed, False
                to = min(level + k, level) + 1
                item = k if k >= 0 else items[path[to]]
                states[to] = states[to - 1]
                if not execute(menu[item, 0], menu[item, 1], menu[item, 2], states[to]):
                    continue
                executed += 1
                if k < 0:
                    continue
                parents[used], items[used] = node, item
                if right(states[to], words, wanted, 0):
                    return used, executed, True
                if level + 1 < length:
                    key = key_of(_BASIS, states[to], start.shape[1])
                    slot = slot_of(keys, key)
                    if keys[slot] == 0:
                        keys[slot] = key
                        used += 1
        begin = end
    return -1, executed, True
