"""One instance, learnt by everybody: with the whole ticket, and behind narrower interfaces."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Int

from batonq.base.files import Json
from batonq.icq.baselines import learner_named
from batonq.icq.finite import greedy_policy, layout, listed
from batonq.icq.run import Run
from batonq.icq.train import train
from batonq.smdp.chain import behaviour_chain
from batonq.smdp.exact import aggregated
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform
from batonq.tasks.routing.triage import settings
from batonq.tasks.routing.triage.model import LAST, OWN, Triage, triage
from batonq.tasks.routing.triage.policies import Score, posed, score
from batonq.tasks.routing.triage.search import feasible

COMPARED: Final = ("icq", "no_scalar", "monte_carlo")
ONE_TABLE: Final = 5  # size up to which the centralised learner is run as well
DRAWN: Final = (4, 0)  # size and number of the instance whose handoffs are drawn


def learn(size: int, number: int, seeds: int, seed: int) -> dict[str, Json]:
    """The whole ticket: every learner against the oracle and the rule made by hand.

    The first holder's table of what it sees has one row per ticket; the sender's name, which
    changes nothing, is left out.
    """
    given = posed(size, seed, number)
    model = given.problem.model
    names = (*COMPARED, "centralised") if size <= ONE_TABLE else COMPARED
    runs = {name: trained(model, name, size, seeds, number) for name in names}
    found: dict[str, Json] = {
        "states": model.n_states,
        "pairs": int(model.mask.sum()),
        "oracle": _told(given.best),
        "fixed": _told(given.fixed),
        "random": _told(score(model, _anything(model))),
        "learners": {name: _judged(model, run) for name, run in runs.items()},
        "points": runs["icq"].points.tolist(),
        "curve": runs["icq"].curve.tolist(),
    }
    if (size, number) == DRAWN:
        found["drawing"] = _drawing(given.problem, policies(model, runs["icq"])[0])
    return found


def narrow(size: int, number: int, seeds: int, seed: int) -> dict[str, Json]:
    """The narrower interfaces: learners that see no more, and one that sees everything."""
    given = posed(size, seed, number)
    whole = triage(given.problem.instance, senders=True)
    found: dict[str, Json] = {"oracle": _told(given.best)}
    for interface in (LAST, OWN):
        model = whole.seen(interface)
        runs = {name: trained(model, name, size, seeds, number) for name in COMPARED}
        learnt = [_of_cells(model, policy) for policy in policies(model, runs["icq"])]
        best = feasible(model, learnt, number)
        runs["centralised"] = trained(model, "centralised", size, seeds, number, "joint")
        found[interface] = {
            "cells": model.n_cells,
            "feasible": _told(score(model, best[model.cell])),
            "aggregated": _told(score(model, _aggregated(model)[model.cell])),
            "random": _told(score(model, _anything(model))),
            "learners": {name: _judged(model, run) for name, run in runs.items()},
        }
    return found


def trained(
    model: FiniteICSMDP,
    learner: str,
    size: int,
    seeds: int,
    seed: int,
    sight: Literal["joint"] | None = None,
) -> Run:
    """Train a learner as all are trained: same behaviour, start, steps and handoffs."""
    return train(
        model,
        learner=learner,
        sight=sight,
        handoffs=settings.HANDOFFS[size],
        seeds=seeds,
        seed=seed,
        behaviour=settings.BEHAVIOUR,
        clock=settings.CLOCK,
        initial=settings.START,
        points=settings.POINTS if learner == "icq" else 1,
        workers=1,
    )


def policies(model: FiniteICSMDP, run: Run) -> list[Int[np.ndarray, " state"]]:
    """The greedy policy of each seed."""
    sight = run.settings["sight"]
    plan = layout(model, learner_named(run.learner, sight if sight != "own" else None))
    return [
        greedy_policy(model, plan.sight, listed(tables[name].q for name in plan.names))
        for tables in run.tables
    ]


def _judged(model: FiniteICSMDP, run: Run) -> dict[str, Json]:
    """Value and accuracy of the greedy policy of each seed."""
    scores = [score(model, policy) for policy in policies(model, run)]
    return {
        "value": [one.value for one in scores],
        "accuracy": [one.accuracy for one in scores],
    }


def _told(found: Score) -> dict[str, Json]:
    return {"value": found.value, "accuracy": found.accuracy}


def _anything(model: FiniteICSMDP) -> Float[np.ndarray, "state action"]:
    """Every permitted action with equal chance."""
    table: np.ndarray = model.mask / model.mask.sum(axis=1, keepdims=True)
    return table


def _aggregated(model: FiniteICSMDP) -> Int[np.ndarray, " cell"]:
    """Greedy in the fixed point under the uniform behaviour."""
    return aggregated(model, uniform(model)).policy


def _of_cells(model: FiniteICSMDP, policy: Int[np.ndarray, " state"]) -> Int[np.ndarray, " cell"]:
    """A policy of states that is one of cells, by cell."""
    cells = np.zeros(model.n_cells, np.int64)
    cells[model.cell] = policy
    return cells


def _drawing(problem: Triage, policy: Int[np.ndarray, " state"]) -> dict[str, Json]:
    """Mean number of decisions per request by which each agent hands to each, and the end.

    Specialists are drawn as agents that end the workflow; what agents keep is a measurement.
    """
    model, size = problem.model, problem.instance.size
    taken = (policy[:, None] == np.arange(model.n_actions)).astype(np.float64)
    onward = behaviour_chain(model, taken).matrix.T
    law, met = model.initial, np.zeros(model.n_states)
    for _ in range(3 * size):  # every agent is asked at most once, with a decision or two each
        law, met = onward @ law, met + law
    flow = np.zeros((model.n_actions, model.n_actions + 1))
    np.add.at(flow, (model.holder, policy), met)
    flow[size:, -1] = flow[:size, size:-1].sum(axis=0)
    return {
        "agents": [f"agent {k}" for k in range(size)]
        + [f"specialist {k}" for k in range(problem.instance.n_specialists)],
        "flow": flow.tolist(),
        "start": [1 / size] * size + [0.0] * problem.instance.n_specialists,
    }
