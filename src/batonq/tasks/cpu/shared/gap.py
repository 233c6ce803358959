"""The gap prediction of E4B: small workshops, exactly, behind views of 16, 8, 4, 2 and 1 vectors.

Of a few jobs of one crew, with just the instructions they need, every state can be listed
(`model.enumerated`). There the gap term, its bounds and what they say of the greedy policy are
exact, and can be held against tables that IC-Q learns behind the same view, against what agents
tell from their own records, and against the learning loop on the same jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from batonq.base.errors import BatonqError, DataError, ModelError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.bound.features import centred, held_out, pairs, residuals
from batonq.bound.gap import Gap, gap
from batonq.bound.premises import attainable_range, oscillation
from batonq.bound.residual import watched
from batonq.bound.sandwich import sandwich
from batonq.bound.serial import residual_memory
from batonq.icq import behaviour
from batonq.icq.log import Log
from batonq.icq.observe import observe, values_of
from batonq.icq.run import Run
from batonq.icq.train import train
from batonq.smdp.chain import mixing_time
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform
from batonq.study.experiment import Cell
from batonq.study.gaps import predicted, realised_by
from batonq.tasks.cpu.learning.jobs import Job, Jobs, crew
from batonq.tasks.cpu.learning.learn import GAMMA, Apprentices, Settings
from batonq.tasks.cpu.learning.search import cheapest
from batonq.tasks.cpu.machine.program import Instruction
from batonq.tasks.cpu.options import CpuOptions
from batonq.tasks.cpu.shared.gap_lines import lines
from batonq.tasks.cpu.shared.gap_sections import rows, sections
from batonq.tasks.cpu.shared.learning import VIEWS, Lesson
from batonq.tasks.cpu.shared.model import Enumerated, enumerated
from batonq.tasks.cpu.shared.workshop import workshop

__all__ = ["compute", "drawn", "lines", "plan", "rows", "sections"]

KIND: Final = "gap"
INSTANCES: Final = 10  # small workshops: two of each crew
QUICK_INSTANCES: Final = 2
DEPTH: Final = 3  # instructions of the longest program, and of the model's limit
JOBS: Final = 6
MENU: Final = 8  # most instructions of all agents together
ROOM: Final = 1 << 17  # machine states of a search; short programs are found among far fewer
FEWEST: Final = 4  # seeds, as their errors are multiplied with each other's
HANDOFFS: Final = 4_000_000  # of the tables, per seed
RECORDS: Final = 1_000_000  # of agents' own records
LOOP: Final = 1_000_000  # handoffs of the learning loop, per seed
CERTIFIED: Final = 20_000_000  # handoffs of Theorem S
DELTA: Final = 0.05
QUICK: Final = 4  # a quick run has this many times fewer handoffs, but for the tables
FLAT: Final = 1e-9  # less is rounding


def plan(options: CpuOptions) -> list[Cell]:
    """One cell per small workshop."""
    count = QUICK_INSTANCES if options.quick else INSTANCES
    settings = {
        "kind": KIND,
        "seeds": options.repetitions,
        "seed": options.seed,
        "quick": options.quick,
    }
    return [
        Cell(f"gap-instance{number}", {**settings, "number": number}) for number in range(count)
    ]


def compute(config: Mapping[str, Json]) -> Json:
    """The gap of one small workshop behind every view: predicted, realised, estimated."""
    number, seed, quick = (int(config[name]) for name in ("number", "seed", "quick"))
    seeds, fewer = max(int(config["seeds"]), FEWEST), QUICK if quick else 1
    shop = enumerated(drawn(seed, number), DEPTH)
    model = shop.model
    found: dict[str, Any] = {
        "kind": KIND,
        "number": number,
        "crew": shop.jobs.crews[0].name,
        "jobs": [job.task.name for job in shop.jobs.jobs],
        "menu": [one.text for menu in shop.jobs.crews[0].menus for one in menu],
        "states": model.n_states,
        "pairs": int(model.mask.sum()),
        "beta": model.contraction,
        "mixing": _or_reason(lambda: mixing_time(model, uniform(model))),
        "certificate": _or_reason(lambda: _certificate(shop, number, fewer)),
        "views": {},
    }
    for view in VIEWS:
        seen = shop.seen(view)
        exact = gap(seen, uniform(seen))
        run = train(seen, handoffs=HANDOFFS, seeds=seeds, seed=number, points=1, workers=1)
        found["views"][str(view)] = {
            "cells": seen.n_cells,
            "predicted": {**predicted(seen, exact), **_prediction(shop, exact)},
            "realised": {**realised_by(seen, exact, run), "residual": _residual(seen, exact, run)},
            "memory": _or_reason(partial(_memory, seen, exact)),
            "records": _records(seen, exact, run, number, fewer),
            "loop": {
                name: _loop(shop, exact, view, settings, seeds, LOOP // fewer)
                for name, settings in _loops(view, LOOP // fewer).items()
            },
        }
    return found


def drawn(seed: int, number: int) -> Jobs:
    """A small workshop: some jobs of one crew with cheapest programs of at most `DEPTH`
    instructions, and the instructions of these programs as the crew's menu.
    """
    whole = workshop()
    at = number % len(whole.crews)
    mine = [job for job in whole.jobs if job.crew == at]
    menu: set[Instruction] = set()
    chosen: list[Job] = []
    for k in generator(seed, number).permutation(len(mine)):
        if len(chosen) == JOBS:
            break
        job = mine[k]
        inputs = whole.vectors[: len(job.task.inputs)]
        found = cheapest(whole.crews[at], job.task, inputs, job.length, room=ROOM).program
        if found is not None and len(found) <= DEPTH and len(menu | set(found)) <= MENU:
            menu |= set(found)
            chosen.append(Job(job.task, 0, job.length))
    kept = [one for part in whole.crews[at].menus for one in part if one in menu]
    return Jobs((crew(whole.crews[at].name, kept),), tuple(chosen), whole.vectors)


def _or_reason(make: Callable[[], Json]) -> Json:
    """A figure, or why it is not available."""
    try:
        return make()
    except ModelError as error:
        return str(error)


def _prediction(shop: Enumerated, exact: Gap) -> dict[str, Json]:
    """What the greedy policy of the aggregated solution comes to on the jobs; more bounds."""
    best = exact.optimal.value[shop.starts]
    worth = best - exact.loss[shop.starts]
    return {
        "right": float((worth > FLAT).mean()),
        "ratio": float(worth.sum() / best.sum()),
        "eta_rms": exact.residual_rms,
        "loss_bound": float(shop.model.initial @ exact.loss_upper),
        "mismatch": exact.mismatch_bound,
    }


def _residual(seen: FiniteICSMDP, exact: Gap, run: Run) -> list[float]:
    """|Q_T - Qhat*| in L2(mu) of each seed: what training leaves."""
    wanted = np.where(seen.cell_mask, exact.aggregated.q, 0.0)
    share = np.zeros(seen.cell_mask.shape)
    np.add.at(share, seen.cell, exact.visits)
    return [
        float(np.sqrt((share * (values_of(run, seen, k) - wanted) ** 2).sum()))
        for k in range(run.seeds)
    ]


def _memory(seen: FiniteICSMDP, exact: Gap) -> dict[str, Json]:
    """How long what a cell hides is remembered, in visits, and what the noise lemma makes of it."""
    found = watched(seen, uniform(seen), exact)
    return {"kappa": found.kappa, "span": found.span, "relaxation": found.relaxation}


def _certificate(shop: Enumerated, seed: int, fewer: int) -> dict[str, Json]:
    """Theorem S with the full view, which hides nothing: the loss of its policy, proved."""
    model = shop.model
    if oscillation(model, *attainable_range(model)) > 0:
        raise ModelError("certificate: the full view hides something")
    count = CERTIFIED // fewer
    found = sandwich(model, handoffs=count, delta=DELTA, seed=seed)
    return {"loss": found.initial_loss, "half_width": found.half_width, "handoffs": count}


def _records(seen: FiniteICSMDP, exact: Gap, run: Run, seed: int, fewer: int) -> dict[str, Json]:
    """||eta||^2 in L2(mu) and the memory of residuals, from agents' own records.

    The first seed's tables are frozen. Agents log, but do not act on, the machine state.
    """
    q = values_of(run, seen)
    machine = {"machine": np.arange(seen.n_states) // seen.n_agents}
    logs = observe(seen, q, handoffs=RECORDS // fewer, seed=seed, fields=machine)
    share = {name: len(log) * fewer / RECORDS for name, log in logs.items()}
    told = {name: _explained(log) for name, log in logs.items()}
    known = {name: one for name, one in told.items() if not isinstance(one, str)}
    inflations = []
    for log in logs.values():
        try:
            inflations.append(residual_memory(log).inflation)
        except BatonqError:  # residuals without variance have no memory
            continue
    eta = np.square(exact.residual) * exact.visits
    holders = [k for k, name in enumerate(seen.agents) if name in known]
    return {
        "square": sum(share[name] * one for name, one in known.items()),
        "exact": float(eta[np.isin(seen.holder, holders)].sum()),
        "covered": sum(share[name] for name in known),
        "inflation": max(inflations, default=None),
        "reasons": [f"{name}: {one}" for name, one in told.items() if isinstance(one, str)],
    }


def _explained(log: Log) -> float | str:
    """What the hidden vectors explain of the squared residual, or why that cannot be said."""
    spread = centred(residuals(log), pairs(log), log.mask.size)
    if np.abs(spread).max() < FLAT:
        return 0.0
    try:
        (one,) = held_out(log)
    except DataError as error:
        return str(error)
    if one.explained is None:
        return 0.0 if "follows from what the agent sees" in one.reason else one.reason
    return one.explained.value


def _loops(view: int, handoffs: int) -> dict[str, Settings]:
    """Settings of the learning loop: as the theory wants them, and as at full scale."""
    usual = Lesson("icq", view, handoffs, 1).settings
    even = replace(usual, behaviour=behaviour.uniform(), hope=0.0, ease=0.0)
    return {"uniform": even, "greedy": usual}


def _loop(
    shop: Enumerated, exact: Gap, view: int, settings: Settings, seeds: int, handoffs: int
) -> dict[str, Json]:
    """Share of the jobs done, and value over the optimum's, by the loop's agents; per seed."""
    count = len(shop.jobs.jobs)
    best = exact.optimal.value[shop.starts].sum()
    right, ratio = [], []
    for seed in range(seeds):
        agents = Apprentices(shop.jobs, view, settings, seed)
        agents.learn(handoffs)
        wrote = [agents.write(job) for job in range(count)]
        right.append(sum(one.right for one in wrote) / count)
        ratio.append(float(sum(GAMMA**one.duration for one in wrote if one.right) / best))
    return {"right": right, "ratio": ratio}
