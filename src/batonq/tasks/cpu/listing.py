"""Programs that a run found: what is kept of each, and how one of them is chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.tasks.cpu.learning.jobs import Crew
from batonq.tasks.cpu.learning.learn import Written

PASSING: Final = "pass"
PROVED: Final = "proved"
NEAR: Final = 6  # names that a message lists


@dataclass(frozen=True)
class Listed:
    """What one learner, in one seed, came to on one task.

    Attributes:
        name: of the task.
        scenario: the scenario of the run.
        where: what else was set: the set of instructions, or how many vectors agents see.
        learner: who wrote it, a name of `study.rows`.
        seed: number of the repetition, from 0.
        task: the task as `files.from_table` reads it.
        program: its text; None where nothing was written.
        options: (agent, instruction or "pass") of every option, as control went round; () for
            peers, which have no agents.
        verdict: "proved", or why it is not.
        handoffs: options run until then; instructions executed by peers.
    """

    name: str
    scenario: str
    where: str
    learner: str
    seed: int
    task: Mapping[str, Json]
    program: str | None
    options: tuple[tuple[str, str], ...]
    verdict: str
    handoffs: int

    @property
    def writers(self) -> tuple[str, ...]:
        """Who wrote each line; () for peers."""
        return tuple(agent for agent, what in self.options if what != PASSING)


def options_of(written: Written, crew: Crew) -> tuple[tuple[str, str], ...]:
    """What each holder did, in order: (agent, the instruction it wrote or "pass")."""
    sizes = dict(zip(crew.agents, map(len, crew.menus), strict=True))
    lines = iter(written.program)
    return tuple(
        (agent, next(lines).text if item < sizes[agent] else PASSING)
        for agent, item in zip(written.agents, written.items, strict=True)
    )


def chosen(
    programs: Sequence[Listed],
    name: str,
    where: str | None = None,
    learner: str | None = None,
    seed: int | None = None,
) -> tuple[Listed, int]:
    """The program of that name, and how many others of it fit what was asked.

    Of several a proved one comes first, then IC-Q's, else the order of the run decides.

    Args:
        programs: all that a run found.
        name: of the task.
        where: `Listed.where`; None: any.
        learner: who wrote it; None: anyone.
        seed: number of the repetition; None: any.

    Raises:
        DataError: nothing fits; the message says what there is.
    """
    found = [one for one in programs if one.name == name]
    if not found:
        raise DataError(f"program: {_unknown(programs, name)}")
    found = _kept(found, "set", where, lambda one: one.where)
    found = _kept(found, "learner", learner, lambda one: one.learner)
    found = _kept(found, "seed-number", seed, lambda one: one.seed)
    wrote = [one for one in found if one.program is not None]
    if not wrote:
        raise DataError(f"program: nobody wrote one for '{name}' ({found[0].verdict})")
    best = min(wrote, key=lambda one: (one.verdict != PROVED, one.learner != "icq"))
    return best, len(wrote) - 1


def _kept(
    programs: list[Listed],
    option: str,
    wanted: str | int | None,
    value: Callable[[Listed], str | int],
) -> list[Listed]:
    if wanted is None:
        return programs
    found = [one for one in programs if value(one) == wanted]
    if not found:
        there = ", ".join(dict.fromkeys(str(value(one)) for one in programs))
        raise DataError(
            f"{option}: no program '{programs[0].name}' with {wanted}; there is {there}"
        )
    return found


def _unknown(programs: Sequence[Listed], name: str) -> str:
    """That there is no such program, and names that are near."""
    names = list(dict.fromkeys(one.name for one in programs))
    if not names:
        return f"no '{name}', for the run has no program yet; let it finish more cells"
    inside = [one for one in names if name and name in one]
    near = list(dict.fromkeys([*inside, *get_close_matches(name, names, NEAR, 0.4)])) or names
    more = ", ..." if len(near) > NEAR else ""
    return f"no '{name}' among the {len(names)} of the run; near are {', '.join(near[:NEAR])}{more}"
