"""A random walk over programs, after Schkufza, Sharma, Aiken, Stochastic superoptimization, 2013.

From public knowledge of that paper: the walk's state is a program with a fixed number of slots,
some of them empty; it moves by one of four changes and is accepted by the rule of Metropolis; the
cost counts wrong bits on test vectors, a right value in a wrong place is a small error, and reading
what is undefined costs extra; weights 3 and 2, and the probabilities of the moves, are theirs.
Ours: an instruction is replaced by another of the task's menu; a walk begins anew after a number of
executions; instructions before the first slot changed are not executed again. A counterexample
becomes a test vector and the walk goes on from where it is.

Every move is as likely as its opposite but for filling and emptying a slot, so the walk's
stationary probability of a program is proportional to

    exp(-sharpness * cost) * (EMPTY * n / (1 - EMPTY)) ** (number of empty slots)

with n instructions in the menu.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Int64, UInt32
from numba.extending import register_jitable

from batonq.base.compiled import compiled
from batonq.base.errors import DataError
from batonq.base.seeds import generator
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import Instruction, encode
from batonq.tasks.cpu.machine.words import FLAGS
from batonq.tasks.cpu.peers.attempt import N_VECTORS, Attempt, Search, Vectors, guided
from batonq.tasks.cpu.task import Task

MISPLACED: Final = 3  # bits that a right value in a wrong word counts for, on each vector
ILLEGAL: Final = 2  # bits that reading flags that are not valid counts for, on each vector
# Probabilities of: other operands, other operation, exchange of two slots, any instruction.
MOVES: Final = (1 / 2, 1 / 6, 1 / 6, 1 / 6)
EMPTY: Final = 1 / 6  # probability that "any instruction" is none
# Inverse temperature for each bit, and executions of a walk: the best of 0.01, 0.02, 0.05, 0.1, 0.2
# and 20, 100, 500 thousand by the tasks proved of the suite's with references of at most 8
# instructions (exact and widened, 2 million executions, seeds 100 to 102).
SHARPNESS: Final = 0.05
RESTART: Final = 20_000
_PROPOSALS: Final = 4  # at most, for each execution of the budget: some moves change nothing


def solve(
    task: Task,
    budget: int,
    seed: int = 0,
    n_vectors: int = N_VECTORS,
    sharpness: float = SHARPNESS,
    restart: int = RESTART,
) -> Attempt:
    """Walk until a program of at most `task.length` instructions is proved, or the budget is spent.

    Args:
        task: what is wanted.
        budget: instructions to execute at most.
        seed: of the test vectors and of the walk.
        n_vectors: test vectors to begin with.
        sharpness: inverse temperature, per wrong bit, above 0.
        restart: executions after which a walk begins anew, at least 1.

    Returns:
        What was found; the note has the number of proposals and of walks.

    Raises:
        DataError: a number is out of its range, or Z3 is not installed.
    """
    if not (sharpness > 0 and restart >= 1):
        raise DataError(
            f"{task.name}: sharpness {sharpness:g}, a new walk after {restart} executions; "
            "give a sharpness above 0 and at least 1 execution"
        )
    chance, tables, slots = generator(seed, 1), moves(task.menu), np.zeros(task.length, np.int64)
    left_of_walk = proposals = walks = 0

    def search(tests: Vectors, left: int) -> Search:
        nonlocal left_of_walk, proposals, walks
        executed, menu = 0, encode(task.menu)
        outputs, places = words_of(task)
        arrays = (task.start(tests), outputs, task.wanted(tests), places, menu, *tables)
        while left - executed >= len(slots):
            if left_of_walk < len(slots):
                slots[:] = chance.integers(0, len(menu) + 1, len(slots))
                left_of_walk, walks = max(restart, len(slots)), walks + 1
            limit = min(left - executed, left_of_walk)
            cost, spent, made = walk(*arrays, sharpness, limit, slots, chance)
            executed, proposals = executed + int(spent), proposals + int(made)
            if cost == 0:
                left_of_walk -= int(spent)
                program = tuple(task.menu[item - 1] for item in slots if item > 0)
                return Search(program, executed)
            left_of_walk = 0
        return Search(None, executed, "budget spent")

    found = guided(task, budget, seed, search, n_vectors)
    note = f"{proposals} proposals, {walks} walks"
    return replace(found, note=f"{note}; {found.note}" if found.note else note)


def moves(
    menu: tuple[Instruction, ...],
) -> tuple[Int64[np.ndarray, "item other"], Int64[np.ndarray, "item other"]]:
    """The others of the menu that differ in their operands only, and in their operation only.

    Returns:
        Two tables; a row for each instruction, its other instructions' numbers plus 1, then 0.
    """
    return (
        _table([[other.op == one.op and other != one for other in menu] for one in menu]),
        _table([[_alike(other, one) and other != one for other in menu] for one in menu]),
    )


def _alike(one: Instruction, other: Instruction) -> bool:
    """Whether their operands are the same."""
    same = (one.dst, one.src, one.row.operands) == (other.dst, other.src, other.row.operands)
    return same and one.op != other.op


def _table(fits: list[list[bool]]) -> Int64[np.ndarray, "item other"]:
    rows = [np.flatnonzero(row) + 1 for row in fits]
    found = np.zeros((len(rows), max(map(len, rows)) + 1), np.int64)
    for made, row in zip(found, rows, strict=True):
        made[: len(row)] = row
    return found


def words_of(task: Task) -> tuple[Int64[np.ndarray, " output"], Int64[np.ndarray, " place"]]:
    """The words of the outputs, and all words but flags that the task has to do with."""
    outputs = [output.word for output in task.outputs]
    used = {one.word for one in task.inputs} | set(outputs)
    for one in task.menu:
        used.add(one.dst)
        if len(one.row.operands) > 1 and not one.row.immediate:
            used.add(one.src)
    return np.array(outputs), np.array(sorted(used - {FLAGS}))


@compiled
def _ones(x: np.int64) -> np.int64:
    """How many of 32 bits are 1."""
    x -= (x >> 1) & 0x55555555
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    return (x * 0x01010101 >> 24) & 0xFF


@compiled
def cost_of(
    state: UInt32[np.ndarray, "word vector"],
    outputs: Int64[np.ndarray, " output"],
    wanted: UInt32[np.ndarray, "output vector"],
    places: Int64[np.ndarray, " place"],
) -> int:
    """Wrong bits, summed over outputs and vectors.

    On each vector the wanted value is looked for in every place; elsewhere than in its own word
    it counts `MISPLACED` more.
    """
    cost = 0
    for k in range(len(outputs)):
        for v in range(wanted.shape[1]):
            value = np.int64(wanted[k, v])
            least = _ones(np.int64(state[outputs[k], v]) ^ value)
            for p in range(len(places)):
                least = min(least, _ones(np.int64(state[places[p], v]) ^ value) + MISPLACED)
            cost += int(least)
    return cost


@compiled
def proposed(
    slots: Int64[np.ndarray, " slot"],
    operands: Int64[np.ndarray, "item other"],
    operations: Int64[np.ndarray, "item other2"],
    new: Int64[np.ndarray, " slot"],
    rng: np.random.Generator,
) -> int:
    """Fill `new` with the program after a move. Returns the first slot that differs; else how many.

    Args:
        slots: for each slot 0, empty, or 1 + the number of an instruction.
        operands: see `moves`.
        operations: see `moves`.
        new: filled.
        rng: where chance comes from.
    """
    n = len(slots)
    for k in range(n):
        new[k] = slots[k]
    u = rng.random()
    slot = int(rng.random() * n)
    if MOVES[0] + MOVES[1] <= u < 1 - MOVES[3]:
        other = int(rng.random() * n)
        new[slot], new[other] = slots[other], slots[slot]
        return min(slot, other) if new[slot] != slots[slot] else n
    if u >= 1 - MOVES[3]:
        new[slot] = 0 if rng.random() < EMPTY else 1 + int(rng.random() * len(operands))
    elif slots[slot] > 0:
        others = operands[slots[slot] - 1] if u < MOVES[0] else operations[slots[slot] - 1]
        many = 0
        while others[many] > 0:
            many += 1
        if many > 0:
            new[slot] = others[int(rng.random() * many)]
    return slot if new[slot] != slots[slot] else n


@compiled
def _copied(
    source: UInt32[np.ndarray, "word vector"], target: UInt32[np.ndarray, "word vector"]
) -> None:
    for word in range(source.shape[0]):
        for v in range(source.shape[1]):
            target[word, v] = source[word, v]


@register_jitable(inline="always")
def _executed(
    first: int,
    slots: Int64[np.ndarray, " slot"],
    menu: Int64[np.ndarray, "item 3"],
    states: UInt32[np.ndarray, "two slot word vector"],
    illegal: Int64[np.ndarray, "two slot"],
    at: Int64[np.ndarray, " slot"],
) -> int:
    """Execute a program from its first slot that differs on. Returns instructions executed.

    The state before slot k of the program at hand is `states[at[k], k]`; what is executed goes to
    the other of the two.
    """
    count = 0
    for k in range(first, len(slots)):
        side = at[k] if k == first else 1 - at[k]
        to = 1 - at[k + 1]
        _copied(states[side, k], states[to, k + 1])
        illegal[to, k + 1] = illegal[side, k]
        if slots[k] > 0:
            item = slots[k] - 1
            if execute(menu[item, 0], menu[item, 1], menu[item, 2], states[to, k + 1]):
                count += 1
            else:
                illegal[to, k + 1] += 1
    return count


@compiled
def walk(
    start: UInt32[np.ndarray, "word vector"],
    outputs: Int64[np.ndarray, " output"],
    wanted: UInt32[np.ndarray, "output vector"],
    places: Int64[np.ndarray, " place"],
    menu: Int64[np.ndarray, "item 3"],
    operands: Int64[np.ndarray, "item other"],
    operations: Int64[np.ndarray, "item other2"],
    sharpness: float,
    budget: int,
    slots: Int64[np.ndarray, " slot"],
    rng: np.random.Generator,
) -> tuple[int, int, int]:
    """Walk until the cost is 0 or the next program might exceed the budget.

    Args:
        start: the words before the program.
        outputs: see `words_of`.
        places: see `words_of`.
        wanted: what the outputs are to hold.
        menu: all instructions.
        operands: see `moves`.
        operations: see `moves`.
        sharpness: inverse temperature, per bit.
        budget: instructions to execute at most, no fewer than there are slots.
        slots: where the walk begins, and where it ended; see `proposed`.
        rng: where chance comes from.

    Returns:
        The cost of `slots`, instructions executed, and proposals made.
    """
    n = len(slots)
    states = np.zeros((2, n + 1, *start.shape), np.uint32)
    illegal, at = np.zeros((2, n + 1), np.int64), np.zeros(n + 1, np.int64)
    states[0, 0] = start
    new = slots.copy()
    reads = ILLEGAL * wanted.shape[1]
    first, cost, executed, proposals = 0, -1, 0, 0
    while True:
        if first < n:
            executed += _executed(first, new, menu, states, illegal, at)
            side = 1 - at[n]
            other = cost_of(states[side, n], outputs, wanted, places) + reads * illegal[side, n]
            if cost < 0 or rng.random() < np.exp(min(0.0, -sharpness * (other - cost))):
                cost = other
                for k in range(n):
                    slots[k] = new[k]
                for k in range(first + 1, n + 1):
                    at[k] = 1 - at[k]
        if cost == 0 or executed + n > budget or proposals >= _PROPOSALS * budget:
            return cost, executed, proposals
        first = proposed(slots, operands, operations, new, rng)
        proposals += 1
