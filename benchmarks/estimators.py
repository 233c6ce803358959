"""Coverage and width of the data-driven estimators, over independent records of one small model.

Two agents with two cells each, two actions, three slow hidden bits of which the agent logs two and
never the third. Values are frozen at a table that is Qhat* plus noise, so that cells have a mean
residual to be centred. Truth by dense linear algebra. The interval with oracle variance is 1.96
standard deviations of the estimate over all replications. A serial or held-out test is held to its
level where its null is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import numpy as np
from scipy import stats

from batonq.base.errors import DataError
from batonq.base.seeds import generator
from batonq.bound import replay, serial
from batonq.bound.features import HeldOut, held_out
from batonq.icq.log import Log
from batonq.icq.observe import observe
from batonq.smdp.chain import behaviour_chain, stationary
from batonq.smdp.exact import aggregated
from batonq.smdp.interface import lossless
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import policy_of_cells, uniform
from benchmarks._hidden import random_fields, share

AGENT: Final = "agent 0"
HANDOFFS: Final = 40_000  # of both agents, a replication
PAIRS: Final = 5_000
LEVEL: Final = 0.05
MODEL, NULL = 12, 6  # seeds
KEPT: Final = (0.8, 0.95)  # chance of a hidden bit to stay


@dataclass(frozen=True)
class Found:
    """One replication's estimate and interval."""

    value: float
    low: float
    high: float


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each estimator and each test."""
    count = 20 if quick else 1_000
    sizes = {"n_agents": 2, "n_cells": 4, "n_bits": 3}
    model, fields = random_fields(generator(MODEL), True, kept=KEPT, **sizes)
    truth = Truth.of(model, fields)
    null, null_fields = random_fields(generator(NULL), False, kept=KEPT, **sizes)
    null_q = Truth.of(null, null_fields).q
    exact = model.seen_as(lossless(model))
    exact_q = aggregated(exact, uniform(exact)).q

    def log(seed: int) -> Log:
        return _log(model, truth.q, seed, fields)

    @cache  # for its interval and for its level
    def null_test(seed: int) -> HeldOut:
        return held_out(_log(null, null_q, seed, null_fields), ["bit 0"], seed=seed)[0]

    rows = [
        _covers("paired replay", truth.residual, count, partial(_replayed, model, truth.q)),
        _covers(
            "paired replay along a chain", truth.residual, count, partial(_chained, model, truth.q)
        ),
    ]
    rows += [
        _covers(f"held-out, {name}", truth.explained[name], count, partial(_explained, log, name))
        for name in fields
    ]
    rows += [
        _covers("held-out, null", 0.0, count, lambda k: _square(null_test(k).explained)),
        _covers(
            "long-run variance",
            truth.long_run,
            count,
            lambda k: _variance(serial.residual_memory(log(k))),
        ),
        _covers(
            "mean by batch means",
            truth.mean,
            count,
            lambda k: _mean(serial.long_run(log(k).residual())),
        ),
        _covers(
            "visible eigenvalue",
            truth.visible,
            count,
            lambda k: _eigenvalue(serial.visible_relaxation(log(k))),
        ),
        _rejects("held-out, null", count, lambda k: null_test(k).adjusted),
        _rejects(
            "serial, null: lossless interface",
            count,
            lambda k: serial.serial_test(_log(exact, exact_q, k, {})).p,
        ),
        _rejects("serial, hidden bits", count, lambda k: serial.serial_test(log(k)).p),
    ]
    return [{**row, "memory": truth.inflation} for row in rows]


def _explained(log: Callable[[int], Log], name: str, seed: int) -> Found:
    return _square(held_out(log(seed), [name], seed=seed)[0].explained)


def _replayed(model: FiniteICSMDP, q: np.ndarray, seed: int) -> Found:
    pairs = replay.replay_model(model, q, pairs=PAIRS, agent=AGENT, seed=seed)
    return _square(replay.paired_replay(pairs).residual)


def _chained(model: FiniteICSMDP, q: np.ndarray, seed: int) -> Found:
    """States of the pairs along one play of the behaviour chain, the agent's own decisions."""
    seen = model.seen_as(lossless(model))
    path = observe(seen, q[model.cell], handoffs=HANDOFFS, seed=seed)[AGENT]
    state = np.array(path.observations)[path.y][:: HANDOFFS // (2 * PAIRS)]
    action = path.action[:: HANDOFFS // (2 * PAIRS)]
    pairs = replay.replay_decisions(model, q, state, action, independent=False, seed=seed)
    return _square(replay.paired_replay(pairs).residual)


def _covers(name: str, truth: float, count: int, one: Callable[[int], Found]) -> dict[str, Any]:
    start = time.perf_counter()
    found, refused = [], 0
    for k in range(count):
        try:
            found.append(one(k))
        except DataError:
            refused += 1
    low, high = np.array([f.low for f in found]), np.array([f.high for f in found])
    value = np.array([f.value for f in found])
    oracle = 2 * stats.norm.ppf(0.975) * value.std(ddof=1)
    return {
        "estimator": name,
        "replications": count,
        "refused": refused,
        "truth": truth,
        "mean": float(value.mean()),
        "bias_z": float((value.mean() - truth) / (value.std(ddof=1) / np.sqrt(len(value)))),
        **share("coverage", (low <= truth) & (truth <= high)),
        "median_width": float(np.median(high - low)),
        "width_to_oracle": float(np.median(high - low) / oracle),
        "seconds": time.perf_counter() - start,
    }


def _rejects(name: str, count: int, one: Callable[[int], float | None]) -> dict[str, Any]:
    p = np.array([one(k) for k in range(count)], float)
    return {"test": name, "replications": count, **share("rejects_at_5_percent", p <= LEVEL)}


def _log(model: FiniteICSMDP, q: np.ndarray, seed: int, fields: dict[str, np.ndarray]) -> Log:
    return observe(model, q, handoffs=HANDOFFS, seed=seed, fields=fields)[AGENT]


def _square(one: Any) -> Found:
    return Found(one.value, one.low, one.high)


def _variance(one: serial.LongRun) -> Found:
    return Found(one.variance, one.variance_low, one.variance_high)


def _mean(one: serial.LongRun) -> Found:
    return Found(one.mean, one.mean_low, one.mean_high)


def _eigenvalue(one: serial.Visible) -> Found:
    return Found(one.eigenvalue, one.low, one.high)


@dataclass(frozen=True, eq=False)
class Truth:
    """What the estimators estimate for agent 0 under the uniform behaviour, by linear algebra.

    Attributes:
        q: the frozen values.
        residual: |eta_Q|^2 in L2(mu) over the agent's handoffs.
        explained: |h|^2 of each field.
        long_run: long-run variance of the cell-centred residual in the agent's own handoffs.
        inflation: that over the variance.
        mean: mean residual.
        visible: second eigenvalue of the visible chain's additive reversibilisation.
    """

    q: np.ndarray
    residual: float
    explained: dict[str, float]
    long_run: float
    inflation: float
    mean: float
    visible: float

    @staticmethod
    def of(model: FiniteICSMDP, fields: dict[str, np.ndarray]) -> Truth:
        """Solve for all of them."""
        chances = uniform(model)
        q = aggregated(model, chances).q + 0.1 * generator(7).normal(size=model.cell_mask.shape)
        law = stationary(model, chances)
        own = np.flatnonzero(model.holder == 0)
        policy = policy_of_cells(model, chances)
        value = q.max(axis=1)[model.cell]
        given = model.reward + model.sum_rows(model.discounted * value[model.successor])
        given -= q[model.cell]
        mu = law[own, None] * policy[own] / law[own].sum()
        mean = _cell_mean(mu, given[own], model.cell[own])
        eta = given[own] - mean
        held = {}
        for name, field in fields.items():
            label = model.cell[own] * (field.max() + 1) + field[own]
            held[name] = float((mu * _cell_mean(mu, eta, label) ** 2).sum())
        variance, long_run = _variances(model, own, mu, q, mean, eta, value)
        return Truth(
            q=q,
            residual=float((mu * eta**2).sum()),
            explained=held,
            long_run=long_run,
            inflation=long_run / variance,
            mean=float((mu * given[own]).sum()),
            visible=_visible(model, own, law),
        )


def _cell_mean(weight: np.ndarray, values: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weighted mean of each (label, action), at every row."""
    total, mass = np.zeros((2, int(label.max()) + 1, values.shape[1]))
    np.add.at(total, label, weight * values)
    np.add.at(mass, label, weight)
    mean: np.ndarray = total[label] / mass[label]
    return mean


def _returns(model: FiniteICSMDP, own: np.ndarray) -> np.ndarray:
    """Law of the own state at which control is next held, from each state, at once if own."""
    step = behaviour_chain(model, uniform(model)).matrix.toarray()
    others = np.setdiff1d(np.arange(model.n_states), own)
    hit = np.zeros((model.n_states, len(own)))
    hit[own] = np.eye(len(own))
    within = np.eye(len(others)) - step[np.ix_(others, others)]
    hit[others] = np.linalg.solve(within, step[np.ix_(others, own)])
    return hit


def _variances(
    model: FiniteICSMDP,
    own: np.ndarray,
    mu: np.ndarray,
    q: np.ndarray,
    mean: np.ndarray,
    eta: np.ndarray,
    value: np.ndarray,
) -> tuple[float, float]:
    """E x^2 and E x^2 + 2 sum_j E x_0 x_j of x = d - m(y, a), by a Poisson equation."""
    hit = _returns(model, own)
    step = behaviour_chain(model, uniform(model)).matrix.toarray()[own] @ hit
    law = mu.sum(axis=1)
    policy = mu / law[:, None]
    expected = (policy * eta).sum(axis=1)
    later = np.linalg.solve(np.eye(len(own)) - step + np.outer(np.ones(len(own)), law), expected)
    start = np.full(model.n_states, -1)
    start[own] = np.arange(len(own))
    row = np.repeat(np.arange(model.mask.size), np.diff(model.indptr))
    state, action = np.divmod(row, model.n_actions)
    mine = start[state] >= 0
    k, a = start[state[mine]], action[mine]
    fixed = model.reward[state[mine], a] - q[model.cell[state[mine]], a] - mean[k, a]
    chance = mu[k, a] * model.probability[mine]
    once = model.durations.mean_discount(model.gamma)[mine] * value[model.successor[mine]]
    twice = model.durations.mean_discount(model.gamma**2)[mine] * value[model.successor[mine]] ** 2
    second = float((chance * (fixed**2 + 2 * fixed * once + twice)).sum())
    crossed = float((chance * (fixed + once) * (hit @ later)[model.successor[mine]]).sum())
    return second, second + 2 * crossed


def _visible(model: FiniteICSMDP, own: np.ndarray, law: np.ndarray) -> float:
    step = behaviour_chain(model, uniform(model)).matrix.toarray()[own] @ _returns(model, own)
    _, seen = np.unique(model.cell[own], return_inverse=True)
    at = law[own] / law[own].sum()
    joint = np.zeros((seen.max() + 1, seen.max() + 1))
    np.add.at(joint, (seen[:, None], seen[None]), at[:, None] * step)
    root = np.sqrt(joint.sum(axis=1))
    return float(np.linalg.eigvalsh((joint + joint.T) / 2 / np.outer(root, root))[-2])
