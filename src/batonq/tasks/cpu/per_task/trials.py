"""One learner or peer on one task, seed by seed, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from time import perf_counter
from typing import Any

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.tasks.cpu.files import to_table
from batonq.tasks.cpu.fresh import N_FRESH, fresh_right
from batonq.tasks.cpu.learning.learn import Written
from batonq.tasks.cpu.listing import options_of
from batonq.tasks.cpu.machine.program import Program, listing
from batonq.tasks.cpu.machine.words import WORDS
from batonq.tasks.cpu.per_task import cegis, settings
from batonq.tasks.cpu.task import Task


def trials(task: Task, who: str, seeds: int, seed: int, plan: settings.Plan) -> list[Json]:
    """Every seed's trial of a learner or peer.

    Args:
        task: what is wanted, with the menu to be used.
        who: one of `settings.LEARNERS` or `settings.PEERS`. The solver of SyGuS leaves nothing to
            chance, so it is run once.
        seeds: how many.
        seed: of them all.
        plan: the budget.
    """
    own = [int(generator(seed, k).integers(2**31)) for k in range(1 if who == "sygus" else seeds)]
    one = _learner if who in settings.LEARNERS else _peer
    return [one(task, who, repetition, plan) for repetition in own]


def described(task: Task) -> dict[str, Json]:
    """What reports say of a task, so that they need not read it again."""
    return {
        "name": task.name,
        "title": task.title,
        "origin": task.origin,
        "inputs": {one.name: WORDS[one.word] for one in task.inputs},
        "outputs": [WORDS[one.word] for one in task.outputs],
        "length": len(task.reference) or task.length,
        "menu": len(task.menu),
        "agents": list(task.agents),
        "reference": listing(task.reference),
        "duration": sum(instruction.duration for instruction in task.reference),
        "table": to_table(task),
    }


def _learner(task: Task, who: str, seed: int, plan: settings.Plan) -> dict[str, Json]:
    began = perf_counter()
    found = cegis.solve(task, who, plan.budget, seed)
    return {
        **_judged(task, found.written.program if found.written else None, found.proved, seed),
        **(_told(found.written, task, who) if found.written else {}),
        "spent": found.handoffs,
        "counterexamples": [list(one) for one in found.counterexamples],
        "note": found.note,
        "seconds": round(perf_counter() - began, 3),
    }


def _told(written: Written, task: Task, who: str) -> Mapping[str, Json]:
    return {
        "options": [list(one) for one in options_of(written, cegis.crew_of(task, who))],
        "writers": list(written.writers),
        "agents": list(written.agents),
        "steps": written.duration,
    }


def _peer(task: Task, who: str, seed: int, plan: settings.Plan) -> dict[str, Json]:
    solve: Any = import_module(f"batonq.tasks.cpu.peers.{who}").solve
    budget = plan.budget * task.length if who == "mcmc" else plan.budget
    more = {"seconds": plan.sygus_seconds} if who == "sygus" else {}
    found = solve(task, budget, seed, **more)
    if found.note.startswith("not available"):
        return {"note": found.note}
    return {
        **_judged(task, found.program, found.proved, seed),
        "spent": found.executed,
        "note": found.note,
        "seconds": round(found.seconds, 3),
    }


def _judged(task: Task, program: Program | None, proved: bool, seed: int) -> dict[str, Json]:
    """The program, and whether it counts: proved by Z3, and right on fresh inputs in Unicorn."""
    fresh = fresh_right(task, program, seed) if proved and program is not None else None
    return {
        "proved": proved and fresh in (None, N_FRESH),
        "fresh": fresh,
        "inputs": N_FRESH,
        "program": None if program is None else listing(program),
        "duration": None if program is None else sum(one.duration for one in program),
    }
