"""Jobs to train on and jobs held out: no function of the one is one of the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Int, UInt32

from batonq.base.seeds import generator
from batonq.tasks.cpu.heldout.functions import (
    INPUTS,
    Function,
    Telling,
    computed,
    keys_of,
    reachable,
    telling_of,
)
from batonq.tasks.cpu.learning.jobs import Crew, Job, Jobs
from batonq.tasks.cpu.machine.program import Program
from batonq.tasks.cpu.machine.words import EAX
from batonq.tasks.cpu.task import Input, Output, Task

Vectors = UInt32[np.ndarray, "input vector"]

HELD_OUT: Final = 0.25  # share of the functions of each length
LENGTH: Final = 10  # primitive steps after which a job is broken off


@dataclass(frozen=True, eq=False)
class Set:
    """Jobs, the key of each one's function, and its shortest length; 0 where longer than known."""

    jobs: Jobs
    keys: tuple[int, ...]
    shortest: Int[np.ndarray, " job"]


@dataclass(frozen=True, eq=False)
class Split:
    """Training jobs, held-out ones of the same distribution, and the named ones."""

    training: Set
    held_out: Set
    named: Set


def split(
    one: Crew,
    menu: Program,
    named: Sequence[Task],
    placements: Sequence[tuple[int, ...]],
    vectors: Vectors,
    trained: int,
    longest: int,
    sizes: tuple[int, int],
    seed: int,
) -> Split:
    """Draw jobs for a crew.

    About `HELD_OUT` of the functions are held out, the rest is trained on. Of each length as many
    as asked for are drawn, of training functions some again where there are fewer; each is posed
    from one of the placements from which its shortest length is that, drawn at random. Functions
    of named tasks are in neither set; nor are, in different sets, functions that differ on rare
    inputs only.

    Args:
        one: the crew.
        menu: its instructions.
        named: tasks with names, each with its placement; one output, eax.
        placements: words in which inputs may start.
        vectors: the tests, with as many inputs as drawn functions have.
        trained: most instructions of functions that are trained on.
        longest: most instructions of functions that are held out.
        sizes: jobs of each length to train on; most held out.
        seed: of all that is drawn.
    """
    telling = telling_of(vectors)

    @cache
    def table(placement: tuple[int, ...]) -> dict[int, Function]:
        return reachable(menu, placement, EAX, telling, longest)

    known = [_known(task, telling, table) for task in named]
    barred = {found.rough for found in known}
    rng = generator(seed)
    lengths: dict[int, dict[int, list[Function]]] = {n: {} for n in range(1, longest + 1)}
    for placement in placements:
        for key, found in table(placement).items():
            if found.program and found.rough not in barred:
                lengths[len(found.program)].setdefault(key, []).append(found)
    training: list[Function] = []
    held_out: list[Function] = []
    apart: dict[int, bool] = {}
    once: set[int] = set()
    for length, by_key in lengths.items():
        for found_at in by_key.values():
            apart.setdefault(found_at[0].rough, bool(rng.random() < HELD_OUT))
        kept = [key for key, at in by_key.items() if apart[at[0].rough] and key not in once]
        rest = [key for key, at in by_key.items() if not apart[at[0].rough]]
        once.update(kept)
        chosen = rng.permutation(len(kept))[: sizes[1]].tolist()
        held_out += [_placed(by_key[kept[n]], rng) for n in chosen]
        if length > trained or not len(rest):
            continue
        # All lengths are posed equally often, or the short ones, from which all begins, drown.
        again = len(rest) < sizes[0]
        chosen = rng.choice(len(rest), sizes[0], replace=again).tolist()
        training += [_placed(by_key[rest[n]], rng) for n in chosen]
    return Split(
        _posed(one, menu, training, vectors),
        _posed(one, menu, held_out, vectors),
        Set(
            Jobs((one,), tuple(Job(task, 0, LENGTH) for task in named), vectors),
            tuple(found.key for found in known),
            np.array([len(found.program) for found in known]),
        ),
    )


def _placed(found: Sequence[Function], rng: np.random.Generator) -> Function:
    """One of the placements from which a function is as short as it can be."""
    shortest = min(len(one.program) for one in found)
    best = [one for one in found if len(one.program) == shortest]
    return best[rng.integers(len(best))]


def _known(
    task: Task, telling: Telling, table: Callable[[tuple[int, ...]], Mapping[int, Function]]
) -> Function:
    """The function of a task, with the empty program where no short one computes it."""
    placement = tuple(one.word for one in task.inputs)
    key, rough = keys_of(task.wanted(telling.values[: len(placement)]), telling)
    return table(placement).get(key, Function(key, rough, placement, ()))


def _posed(
    one: Crew,
    menu: Program,
    functions: Sequence[Function],
    vectors: Vectors,
) -> Set:
    tasks = [
        Task(
            f"{one.name}{number}",
            "drawn",
            tuple(Input(*one) for one in zip(INPUTS, found.placement, strict=False)),
            (Output(EAX, computed(found.program, found.placement, EAX)),),
            LENGTH,
            menu,
            found.program,
        )
        for number, found in enumerate(functions)
    ]
    return Set(
        Jobs((one,), tuple(Job(task, 0, LENGTH) for task in tasks), vectors),
        tuple(found.key for found in functions),
        np.array([len(found.program) for found in functions]),
    )
