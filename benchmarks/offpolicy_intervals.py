"""Intervals that were tried for off-policy estimates, by effective sample, over random agents.

Nothing is refused here: the bands below the threshold show why it is where it is. Widths are over
those of the plain interval, 1.96 standard errors. Agents are drawn afresh: one decision with coins
or lognormal costs, or work that may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from typing import Any, Final

import numpy as np
from scipy import optimize, stats

from batonq.base.seeds import generator
from batonq.bound import offpolicy_estimates as estimates
from batonq.bound.offpolicy_intervals import freedom
from batonq.bound.offpolicy_refusals import effective
from benchmarks._hidden import share
from benchmarks._segments import World, one_decision, work_then_hand

WORKERS: Final = 2
WORLDS: Final = 40
LOGS: Final = 10  # of each agent, behaviour and size
SIZES: Final = (100, 200, 500, 1_500)
RESAMPLES: Final = 399
EPSILON: Final = (0.1, 0.3, 1.0)
BANDS: Final = (8, 15, 25, 40, 80, 1_000)
KINDS: Final[dict[str, Callable[[np.random.Generator], World]]] = {
    "coin": lambda rng: one_decision(rng, "coin"),
    "costs": lambda rng: one_decision(rng, "skewed"),
    "work": lambda rng: work_then_hand(rng, again=0.3),
}
Ends = tuple[float, float]  # of an interval, less the estimate


def plain(part: np.ndarray, _: float) -> Ends:
    """1.96 standard errors."""
    half = 1.96 * _error(part)
    return -half, half


def student(part: np.ndarray, ess: float) -> Ends:
    """Student's t with the effective sample less 1."""
    half = float(stats.t.ppf(0.975, max(ess - 1, 1))) * _error(part)
    return -half, half


def chosen(part: np.ndarray, _: float) -> Ends:
    """What batonq does: Student's t with the degrees of freedom of the parts' variance."""
    half = float(stats.t.ppf(0.975, freedom(part))) * _error(part)
    return -half, half


def hall(part: np.ndarray, _: float) -> Ends:
    """The normal interval after Hall's cubic transformation, which takes the skewness away."""
    error, skew = _error(part), float(stats.skew(part))
    a = skew / (3 * np.sqrt(len(part)))
    if abs(a) < 1e-9:
        return plain(part, 0.0)
    back = [float(np.cbrt(1 + 3 * a * (x - a / 2)) - 1) / a for x in (1.96, -1.96)]
    return -back[0] * error, -back[1] * error


def bootstrap(part: np.ndarray, _: float) -> Ends:
    """Bootstrap-t: quantiles of the studentised mean over resampled segments."""
    drawn = part[generator(0).integers(len(part), size=(RESAMPLES, len(part)))]
    error = drawn.std(axis=1, ddof=1) / np.sqrt(len(part))
    high, low = np.quantile(drawn.mean(axis=1) / np.maximum(error, 1e-300), [0.025, 0.975])
    return float(-low * _error(part)), float(-high * _error(part))


def likelihood(part: np.ndarray, ess: float) -> Ends:
    """Empirical likelihood, with an F quantile of the effective sample."""
    critical = float(stats.f.ppf(0.95, 1, max(ess - 1, 1)))
    error = _error(part)
    ends = []
    for sign, furthest in ((-1, part.min()), (1, part.max())):
        edge, end = 0.999999 * furthest, sign * error
        while abs(end) < abs(edge) and _ratio(part - end) < critical:
            end *= 1.5
        end = edge if abs(end) >= abs(edge) else end
        if _ratio(part - end) > critical:
            end = optimize.brentq(lambda x: _ratio(part - x) - critical, 0, end, xtol=1e-3 * error)
        ends.append(float(end))
    return ends[0], ends[1]


TRIED: Final = {one.__name__: one for one in (plain, student, hall, bootstrap, likelihood, chosen)}


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each estimator, band of effective samples and interval."""
    worlds = range(4 if quick else WORLDS)
    tasks = [(kind, seed) for kind in KINDS for seed in worlds]
    with ProcessPoolExecutor(WORKERS) as pool:
        found = np.array([row for rows in pool.map(_task, tasks) for row in rows])
    rows = []
    for k, name in enumerate(("snips", "dr")):
        for low, high in pairwise(BANDS):
            band = found[(found[:, 0] == k) & (found[:, 1] >= low) & (found[:, 1] < high)]
            if len(band) < 20:
                continue
            usual = (band[:, 4] - band[:, 3]).mean()
            for j, tried in enumerate(TRIED):
                ends = band[:, 3 + 2 * j : 5 + 2 * j] + band[:, 2:3]
                rows.append(
                    {
                        "estimator": name,
                        "ess": f"{low}-{high}",
                        "interval": tried,
                        "logs": len(band),
                        **share("coverage", (ends[:, 0] <= 0) & (ends[:, 1] >= 0)),
                        "width_to_plain": float((ends[:, 1] - ends[:, 0]).mean() / usual),
                    }
                )
    return rows


def _task(task: tuple[str, int]) -> list[tuple[float, ...]]:
    """For one agent: estimator, effective sample, error, and the ends of each interval."""
    kind, seed = task
    return list(_answers(KINDS[kind](generator(seed, 0)), seed))


def _answers(world: World, seed: int) -> Iterator[tuple[float, ...]]:
    rng = generator(seed, 1)
    n_seen, n_actions = int(world.seen.max()) + 1, world.reward.shape[1]
    usual = rng.integers(n_actions, size=n_seen)
    policy = np.eye(n_actions)[(usual + rng.integers(1, n_actions, size=n_seen)) % n_actions]
    truth = world.value(policy)
    for epsilon in EPSILON:
        behaviour = epsilon / n_actions + (1 - epsilon) * np.eye(n_actions)[usual]
        for n in SIZES * LOGS:
            table = world.draw(behaviour, n, rng)
            each = policy[table.y]
            ratio = estimates.ratios(table, each)
            weight = estimates.weights(table, ratio)
            ess = effective(table, weight, ratio)
            if ess < BANDS[0]:
                continue
            made = (
                estimates.snips(table, weight),
                estimates.doubly_robust(table, each, weight),
            )
            for k, one in enumerate(made):
                ends = [end for tried in TRIED.values() for end in tried(one.part, ess)]
                yield (k, ess, one.value - truth, *ends)


def _error(part: np.ndarray) -> float:
    return float(part.std(ddof=1) / np.sqrt(len(part)))


def _ratio(x: np.ndarray) -> float:
    """-2 log of the empirical likelihood ratio of a mean of 0."""
    low, high = (1 / len(x) - 1) / x.max(), (1 / len(x) - 1) / x.min()
    tilt = 0.0
    for _ in range(60):
        terms = x / (1 + tilt * x)
        slope = float(terms.sum())
        low, high = (tilt, high) if slope > 0 else (low, tilt)
        following = tilt + slope / float((terms**2).sum())
        following = following if low < following < high else (low + high) / 2
        if abs(following - tilt) <= 1e-10 * max(abs(tilt), 1e-12):
            break
        tilt = following
    return float(2 * np.log1p(tilt * x).sum())
