"""The cheapest program, by uniform-cost search over the machine's states on the test vectors.

Two programs that leave the same words on all vectors are one state. Nodes keep the instruction
that led to them; their words are made again from the start when a node is expanded, which takes a
few instructions and saves nearly all memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt32, UInt64

from batonq.base.compiled import compiled
from batonq.tasks.cpu.learning.jobs import PASS_DURATION, Crew, Job, Jobs
from batonq.tasks.cpu.learning.memory import FULL, key_of, slot_of
from batonq.tasks.cpu.learning.play import LONGEST, right
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import Instruction, Program
from batonq.tasks.cpu.machine.words import FLAGS
from batonq.tasks.cpu.task import Task

ROOM: Final = 1 << 20


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        program: a cheapest one that is right on the vectors; None where none was found.
        duration: its primitive steps, a first pass included.
        executed: instructions executed, those that made words again not counted.
        exhausted: whether everything within the limit was looked at, so that None means none.
    """

    program: Program | None
    duration: int | None
    executed: int
    exhausted: bool


def cheapest(
    crew: Crew,
    task: Task,
    vectors: UInt32[np.ndarray, "input vector"],
    most: int,
    opening: bool = True,
    room: int = ROOM,
    budget: int | None = None,
) -> Found:
    """Find a cheapest program that is right on the vectors.

    Every agent may hand to every other, hence all that the crew adds to the machine is who starts:
    the first agent writes the first instruction, or passes. So this is the optimum over machine
    and agents together.

    Args:
        crew: whose instructions there are.
        task: what is wanted.
        vectors: values of the task's inputs.
        most: primitive steps it may take, at most 63.
        opening: whether the crew's first agent starts; if not, anybody may.
        room: nodes to be kept at most.
        budget: instructions to be executed at most; None: no limit.
    """
    job = Jobs((crew,), (Job(task, 0, most),), vectors)
    items = [instruction for menu in crew.menus for instruction in menu]
    reads = np.array([one.row.effect == "reads" for one in items])
    nodes = _nodes(room, min(most, LONGEST - 1), PASS_DURATION if opening else 0)
    best, executed, whole = _search(
        (job.start[0], job.outputs, job.wanted),
        np.array([(one.op, one.dst, one.src, one.duration) for one in items], np.int64),
        reads,
        len(crew.menus[0]) if opening else 0,
        -1 if budget is None else budget,
        nodes,
    )
    if best < 0:
        return Found(None, None, int(executed), bool(whole))
    program = _path(nodes.kept, best, items)
    return Found(program, int(nodes.kept[best, 2]), int(executed), bool(whole))


def _path(kept: Int[np.ndarray, "node 3"], node: int, items: list[Instruction]) -> Program:
    steps = []
    while node > 1:
        steps.append(items[kept[node, 1]])
        node = int(kept[node, 0])
    return tuple(reversed(steps))


class _Nodes(NamedTuple):
    """Nodes met, by key, and those still to be looked at, by cost.

    Attributes:
        kept: (parent, item, cost); nodes 0 and 1 are the start, before and after handing it on.
        keys, node: slots of keys, and the cheapest node of each.
        head: by cost the last node met; -1 where there is none.
        onward: by node the next one of the same cost.
    """

    kept: Int[np.ndarray, "node 3"]
    keys: UInt64[np.ndarray, " slot"]
    node: Int[np.ndarray, " slot"]
    head: Int[np.ndarray, " cost"]
    onward: Int[np.ndarray, " node"]


def _nodes(room: int, most: int, handed: int) -> _Nodes:
    slots = 1 << int(np.ceil(np.log2(room / FULL)))
    nodes = _Nodes(
        np.zeros((room, 3), np.int64),
        np.zeros(slots, np.uint64),
        np.zeros(slots, np.int64),
        np.full(most + 1, -1),
        np.full(room, -1),
    )
    nodes.kept[1, 2] = handed
    return nodes


@compiled
def _remade(
    start: UInt32[np.ndarray, "word vector"],
    items: Int[np.ndarray, "item 4"],
    kept: Int[np.ndarray, "node 3"],
    node: int,
    path: Int[np.ndarray, " step"],
    words: UInt32[np.ndarray, "word vector"],
) -> None:
    """Fill `words` with those of a node; `path` is room for the way to it."""
    words[:] = start
    n = 0
    while node > 1:
        path[n] = kept[node, 1]
        n, node = n + 1, kept[node, 0]
    for k in range(n - 1, -1, -1):
        item = path[k]
        execute(items[item, 0], items[item, 1], items[item, 2], words)


@compiled
def _slot(nodes: _Nodes, words: UInt32[np.ndarray, "word vector"]) -> int:
    """The slot of a state, taken by node -1 if it was never met."""
    key = key_of(np.uint64(1), words, words.shape[1])
    slot = slot_of(nodes.keys, key)
    if nodes.keys[slot] == 0:
        nodes.keys[slot], nodes.node[slot] = key, -1
    return slot


@compiled
def _offered(nodes: _Nodes, slot: int, node: int, parent: int, item: int, cost: int) -> bool:
    """Keep a new node unless its state was reached as cheaply before; whether it was kept."""
    old = nodes.node[slot]
    if old >= 0 and nodes.kept[old, 2] <= cost:
        return False
    nodes.node[slot] = node
    nodes.kept[node, 0], nodes.kept[node, 1], nodes.kept[node, 2] = parent, item, cost
    return True


@compiled
def _search(
    job: tuple[np.ndarray, np.ndarray, np.ndarray],
    items: Int[np.ndarray, "item 4"],
    reads: Bool[np.ndarray, " item"],
    opening: int,
    budget: int,
    nodes: _Nodes,
) -> tuple[int, int, bool]:
    """Returns (node of the best program or -1, instructions executed, whether all was looked at).

    Args:
        job: the words at the start, the words of the outputs and what they are to hold, as in
            `Jobs`, for one job.
        items: all instructions as (op, dst, src, duration), the opening agent's first.
        reads: which of them read flags.
        opening: how many of them may come first; 0: all, and nobody need pass.
        budget: instructions to execute at most; negative: no limit.
        nodes: none yet but the two of the start.
    """
    start, outputs, wanted = job
    words, tried, path = start.copy(), start.copy(), np.empty(LONGEST, np.int64)
    kept, most = nodes.kept, len(nodes.head) - 1
    nodes.node[_slot(nodes, start)] = 1
    nodes.head[kept[1, 2]] = 1
    if opening > 0:
        nodes.head[0] = 0
    used, executed, best, limit = 2, 0, -1, most + 1
    for cost in range(most):
        node = nodes.head[cost] if cost + 1 < limit else -1
        while node >= 0:
            _remade(start, items, kept, node, path, words)
            stale = node > 0 and nodes.node[_slot(nodes, words)] != node  # reached more cheaply
            for item in range(0 if stale else opening if node == 0 else len(items)):
                total = cost + items[item, 3]
                if total >= limit or (reads[item] and words[FLAGS, 0] == 0):
                    continue
                if executed == budget or used == len(kept):
                    return best, executed, False
                tried[:] = words
                execute(items[item, 0], items[item, 1], items[item, 2], tried)
                executed += 1
                if _offered(nodes, _slot(nodes, tried), used, node, item, total):
                    if right(tried, outputs, wanted, 0):
                        best, limit = used, total
                    else:
                        nodes.onward[used], nodes.head[total] = nodes.head[total], used
                    used += 1
            node = nodes.onward[node]
    return best, executed, True
