"""Off-policy intervals: how often they hold the truth, how wide they are, what is refused.

Every log is drawn afresh from an agent whose policies have a known value. The policy to be
evaluated always takes another action than the behaviour's usual one, which is the hardest case.
The ideal width is 2 * 1.96 standard deviations of the same estimator over the logs it answered.
Settings with fewer than `FEWEST` answers are counted but not judged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from batonq.base.errors import DataError
from batonq.base.seeds import generator
from batonq.bound.offpolicy import ESTIMATORS, evaluate
from batonq.bound.offpolicy_result import OffPolicy
from benchmarks._hidden import share
from benchmarks._segments import Drawn, World, one_decision, work_then_hand, workflows

WORKERS: Final = 2
LOGS: Final = 1_000
CHUNK: Final = 250  # logs of one task
FEWEST: Final = 200
EPSILON: Final = (0.1, 0.3, 1.0)  # 1: uniform
SIZES: Final = (100, 300, 1_000, 3_000)
LARGE: Final = (*SIZES, 10_000)
SETTINGS: Final = {
    "route": LARGE,  # one decision, rewards 0 or 1
    "costs": LARGE,  # one decision, lognormal costs
    "many": SIZES,  # one decision, 40 observations
    "work": LARGE,  # work, then hand
    "again": SIZES,  # work may go on and on
    "hidden": SIZES,  # what work shows depends on what is not seen
    "learning": SIZES,  # the behaviour learns from the same records
    "workflows": SIZES,  # three agents with lasting hidden states: neighbours depend
}


class Asked(NamedTuple):
    """One setting."""

    name: str
    epsilon: float
    n: int


@dataclass(frozen=True, eq=False)
class Case:
    """How logs are drawn, the policy, its true value and that of the behaviour, if it is fixed."""

    draw: Drawn
    policy: np.ndarray
    value: float
    behaviour: float | None


Answer = tuple[float, float, float, float, float, float, float]  # value, difference: 3 each; ess


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each setting and estimator."""
    count = 40 if quick else LOGS
    chunk = min(count, CHUNK)
    asked = [
        Asked(name, epsilon, n)
        for name, sizes in SETTINGS.items()
        for epsilon in EPSILON
        for n in (sizes[1:2] if quick else sizes)
    ]
    tasks = [(one, first, chunk) for one in asked for first in range(0, count, chunk)]
    tasks.sort(key=lambda task: -task[0].n)
    start = time.perf_counter()
    found: dict[Asked, list[dict[str, Answer]]] = {one: [] for one in asked}
    with ProcessPoolExecutor(WORKERS) as pool:
        for task, answers in zip(tasks, pool.map(_answers, tasks), strict=True):
            found[task[0]] += answers
    rows = [row for one in asked for row in _rows(one, found[one])]
    return [*rows, *_summaries(rows, time.perf_counter() - start)]


def _answers(task: tuple[Asked, int, int]) -> list[dict[str, Answer]]:
    """What each estimator that answers says of some logs."""
    asked, first, count = task
    case = _case(asked.name, asked.epsilon)
    return [_answer(case, asked.n, seed) for seed in range(first, first + count)]


def _answer(case: Case, n: int, seed: int) -> dict[str, Answer]:
    table = case.draw(n, seed)
    try:
        result = evaluate(table, case.policy[table.y], estimator=None)
    except DataError:
        return {}
    return {
        line.estimator: _numbers(result, line.estimator)
        for line in result.lines
        if line.value.value is not None
    }


def _numbers(result: OffPolicy, estimator: str) -> Answer:
    line = result[estimator]
    three = ("value", "low", "high")
    value = [float(getattr(line.value, name)) for name in three]
    gain = [float(getattr(line.difference, name)) for name in three]
    return (*value, *gain, result.ess)  # type: ignore[return-value]


@cache
def _case(name: str, epsilon: float) -> Case:
    if name == "workflows":
        return Case(*workflows(3, epsilon), None)
    world = _world(name, generator(21))
    rng = generator(22)
    n_seen, n_actions = int(world.seen.max()) + 1, world.reward.shape[1]
    usual = rng.integers(n_actions, size=n_seen)
    other = (usual + rng.integers(1, n_actions, size=n_seen)) % n_actions
    policy = np.eye(n_actions)[other]
    if name == "learning":
        return Case(
            lambda n, seed: world.learn(epsilon, n, generator(seed, 1)),
            policy,
            world.value(policy),
            None,
        )
    behaviour = epsilon / n_actions + (1 - epsilon) * np.eye(n_actions)[usual]
    return Case(
        lambda n, seed: world.draw(behaviour, n, generator(seed, n, round(100 * epsilon))),
        policy,
        world.value(policy),
        world.value(behaviour),
    )


def _world(name: str, rng: np.random.Generator) -> World:
    if name == "work":
        return work_then_hand(rng)
    if name == "again":
        return work_then_hand(rng, again=0.6)
    if name == "hidden":
        return work_then_hand(rng, n_hidden=2, again=0.3)
    if name == "many":
        return one_decision(rng, "normal", n_seen=40)
    return one_decision(rng, "skewed" if name == "costs" else "coin")


def _rows(asked: Asked, answers: list[dict[str, Answer]]) -> Iterator[dict[str, Any]]:
    case = _case(asked.name, asked.epsilon)
    for estimator in ESTIMATORS:
        found = np.array([one[estimator] for one in answers if estimator in one])
        row = {**asked._asdict(), "estimator": estimator, "logs": len(answers)}
        row["refused"] = 1 - len(found) / len(answers)
        if len(found) >= min(FEWEST, len(answers) // 2):
            low, high = found[:, 1], found[:, 2]
            ideal = 2 * 1.96 * found[:, 0].std(ddof=1)
            row |= share("coverage", (low <= case.value) & (case.value <= high))
            row["width_to_ideal"] = float((high - low).mean() / ideal)
            row["ess"] = float(np.median(found[:, 6]))
            if case.behaviour is not None:
                gain = case.value - case.behaviour
                ideal = 2 * 1.96 * found[:, 3].std(ddof=1)
                inside = (found[:, 4] <= gain) & (gain <= found[:, 5])
                row["gain_coverage"] = float(inside.mean())
                row["gain_width_to_ideal"] = float((found[:, 5] - found[:, 4]).mean() / ideal)
        yield row


def _summaries(rows: list[dict[str, Any]], seconds: float) -> Iterator[dict[str, Any]]:
    """Of each estimator, over the settings in which it answered; fqe where it may be used."""
    for estimator in ESTIMATORS:
        apt = [
            row
            for row in rows
            if row["estimator"] == estimator
            and "coverage" in row
            and not (estimator == "fqe" and row["name"] in ("hidden", "workflows"))
        ]
        gains = [row for row in apt if "gain_coverage" in row]
        yield {
            "all settings": estimator,
            "answered": len(apt),
            "least_coverage": min(row["coverage"] for row in apt),
            "mean_coverage": float(np.mean([row["coverage"] for row in apt])),
            "largest_width_to_ideal": max(row["width_to_ideal"] for row in apt),
            "least_gain_coverage": min(row["gain_coverage"] for row in gains),
            "largest_gain_width_to_ideal": max(row["gain_width_to_ideal"] for row in gains),
            "seconds": seconds,
        }
