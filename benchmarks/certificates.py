"""Theorem S against Theorem 2 on the same samples: widths, policy loss, and coverage.

Ten agents with four cells each, two actions, 80 pairs; another model for every seed; uniform
behaviour; exact interface; delta .05; targets in [0, 1] for certain. Two families:

* verdicts: five random successors; with chance .15 an option ends in the cell "won", which pays 1
  and ends, or in "lost", which pays 0. Nothing else pays, so targets are gamma**tau v, 0 or 1.
  The noisiest there is with this range: most of a value is the chance of a verdict.
* rates: five random successors, durations of 3 to 6 steps, never ends; an option pays u
  (1 - gamma**tau_min), u uniform in [0, 1], so that R + gamma**tau x <= 1 for x <= 1.

gamma is chosen so that the contraction, the largest E[gamma**tau c], is exactly what the row says.
Theorem 2 is given this exact contraction and the best, seed by seed, of several numbers of phases;
Theorem S is given neither. "goal" is the half-width asked for, `ratio` the least over seeds of
Theorem 2's bound over Theorem S's half-width. Coverage counts runs of small models in which any
statement about a value, or about the policy deployed, was false.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from batonq.bound.phased import phased
from batonq.bound.phases import split
from batonq.bound.premises import oscillation
from batonq.bound.sandwich import Sandwich, sandwich
from batonq.smdp import durations
from batonq.smdp.exact import evaluate, optimal
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import policy_of_cells

GOALS: Final = {0.79: 0.05, 0.93: 0.09}  # half-width at 10 million handoffs, by contraction
PHASES: Final = (6, 12, 20, 30)  # tried for Theorem 2, growing as beta**(-2/3)
AGENTS: Final = 10
RANGE: Final = (0.0, 1.0)
ROUNDING: Final = 1e-9
WORKERS: Final = 2


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows of widths for each family, contraction and number of handoffs, then of coverage."""
    seeds, sizes = (2, (100_000,)) if quick else (10, (1_000_000, 10_000_000))
    rows = [
        _widths(family, contraction, handoffs, seeds)
        for family in ("verdicts", "rates")
        for contraction in GOALS
        for handoffs in sizes
    ]
    runs = 20 if quick else 1_000
    return rows + [_coverage(kind, runs) for kind in ("1 scalar", "2 scalars", "declared h")]


@dataclass(frozen=True)
class Widths:
    """What one seed gave."""

    one: Sandwich
    two: Sandwich
    plain: Sandwich
    theorem_2: float
    held: bool


def _widths(family: str, contraction: float, handoffs: int, seeds: int) -> dict[str, Any]:
    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(partial(_one, family, contraction, handoffs), range(seeds)))
    goal = GOALS[contraction] if handoffs >= 10_000_000 else None
    row: dict[str, Any] = {
        "family": family,
        "contraction": contraction,
        "handoffs": handoffs,
        "seeds": seeds,
        "goal": goal,
    }
    for name in ("one", "two", "plain"):
        some: list[Sandwich] = [getattr(one, name) for one in found]
        widths = [one.half_width for one in some]
        row |= {
            f"{name}_width": float(np.median(widths)),
            f"{name}_width_worst": max(widths),
            f"{name}_loss": float(np.median([one.loss.max() for one in some])),
            f"{name}_loss_worst": float(max(one.loss.max() for one in some)),
            f"{name}_worse_actions": float(np.mean([one.worse.sum() for one in some])),
        }
    ratios = {
        name: [one.theorem_2 / getattr(one, name).half_width for one in found]
        for name in ("one", "two")
    }
    return row | {
        "theorem_2": float(np.median([one.theorem_2 for one in found])),
        "theorem_2_best": min(one.theorem_2 for one in found),
        "ratio": min(ratios["two"]),
        "ratio_one": min(ratios["one"]),
        "held": all(one.held for one in found),
        "seconds": time.perf_counter() - start,
    }


def _one(family: str, contraction: float, handoffs: int, seed: int) -> Widths:
    make = verdicts if family == "verdicts" else rates
    model = make(np.random.default_rng(seed), contraction)
    settings: dict[str, Any] = {"handoffs": handoffs, "interval": RANGE, "seed": seed}
    one = sandwich(model, scalars=1, **settings)
    two = sandwich(model, scalars=2, **settings)
    plain = sandwich(model, scalars=2, recentre=False, **settings)
    plans = [split(handoffs, contraction ** (-2 / 3 * np.arange(count))) for count in PHASES]
    bounds = [
        phased(model, contraction=model.contraction, plan=[n for n in plan if n], **settings).bound
        for plan in plans
    ]
    held = all(all(_holds(model, found)) for found in (one, two, plain))
    return Widths(one, two, plain, min(bounds), held)


def _coverage(kind: str, runs: int) -> dict[str, Any]:
    start = time.perf_counter()
    values = policy = either = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for values_hold, policy_holds in pool.map(partial(_small, kind), range(runs)):
            values += not values_hold
            policy += not policy_holds
            either += not (values_hold and policy_holds)
    return {
        "coverage of": kind,
        "runs": runs,
        "false_values": values,
        "false_policy": policy,
        "covered": 1 - either / runs,
        "goal": 0.95,
        "seconds": time.perf_counter() - start,
    }


def _small(kind: str, seed: int) -> tuple[bool, bool]:
    """One run on a small model, another for every seed."""
    rng = np.random.default_rng(seed)
    if kind == "declared h":
        model = with_hidden_mode(rng)
        h = oscillation(model, *RANGE)
        found = sandwich(
            model, handoffs=30_000, scalars=2, interval=RANGE, oscillation=h, seed=seed
        )
    else:
        model = verdicts(rng, 0.7, n_cells=6, n_agents=3)
        found = sandwich(model, handoffs=100_000, scalars=int(kind[0]), interval=RANGE, seed=seed)
    return _holds(model, found)


def _holds(model: FiniteICSMDP, found: Sandwich) -> tuple[bool, bool]:
    """Whether all that is said of Q* is true, and all that is said of the policy deployed."""
    best = optimal(model)
    deployed = evaluate(model, policy_of_cells(model, found.policy))
    lower, upper, mask = found.lower[model.cell], found.upper[model.cell], model.mask
    values = bool(((lower <= best.q + ROUNDING) & (best.q <= upper + ROUNDING))[mask].all())
    worse = found.worse[model.cell] & (best.q >= best.value[:, None] - ROUNDING)
    loss = best.value - deployed.value
    policy = bool((loss <= found.loss[model.cell] + ROUNDING).all())
    policy &= bool((lower <= deployed.q + ROUNDING)[mask].all())
    return values and not worse.any(), policy


def verdicts(
    rng: np.random.Generator,
    contraction: float,
    *,
    n_cells: int = 40,
    n_agents: int = AGENTS,
    ends: float = 0.15,
) -> FiniteICSMDP:
    """Cells 0 and 1 are "won" and "lost", of agents 0 and 1; the others lead there with `ends`."""
    shape = (n_cells, 2)
    full = np.zeros((*shape, n_cells))
    for place in np.ndindex(shape):
        full[place][_successors(rng, n_cells)] = rng.dirichlet(np.ones(5)) * (1 - ends)
    win = rng.uniform(size=shape)
    full[:, :, 0] += ends * win
    full[:, :, 1] += ends * (1 - win)
    full[:2] = 0
    state, action, successor = np.nonzero(full)
    probability = full[state, action, successor]
    mean = rng.uniform(2, 6, size=shape)

    def at(gamma: float) -> Float[np.ndarray, "cell action"]:
        discounted: np.ndarray = gamma / (mean - (mean - 1) * gamma) * full.sum(axis=2)
        return discounted

    reward = np.zeros(shape)
    reward[0] = 1
    return from_entries(
        agents=_names(n_agents),
        holder=np.arange(n_cells) % n_agents,
        reward=reward,
        state=state,
        action=action,
        successor=successor,
        probability=probability,
        durations=durations.geometric(mean[state, action]),
        gamma=_gamma(at, contraction),
    )


def rates(rng: np.random.Generator, contraction: float) -> FiniteICSMDP:
    """Options that pay at a rate: u (1 - gamma**tau_min) each, and never end."""
    n_cells, shape = 4 * AGENTS, (4 * AGENTS, 2, 5)
    successor = np.array([_successors(rng, n_cells) for _ in range(n_cells * 2)]).reshape(shape)
    chance = rng.dirichlet(np.ones(5), size=shape[:2])
    steps = rng.integers(3, 7, size=shape)

    def at(gamma: float) -> Float[np.ndarray, "cell action"]:
        discounted: np.ndarray = (chance * gamma**steps).sum(axis=2)
        return discounted

    gamma = _gamma(at, contraction)
    state, action, _ = np.unravel_index(np.arange(chance.size), shape)
    return from_entries(
        agents=_names(AGENTS),
        holder=np.arange(n_cells) % AGENTS,
        reward=rng.uniform(size=shape[:2]) * (1 - gamma ** steps.min(axis=2)),
        state=state,
        action=action,
        successor=successor.ravel(),
        probability=chance.ravel(),
        durations=durations.fixed(steps.ravel()),
        gamma=gamma,
    )


def with_hidden_mode(rng: np.random.Generator, stay: float = 0.98) -> FiniteICSMDP:
    """Four cells that hide a sticky mode, which adds up to .02 to rewards; targets in [0, 1]."""
    gamma, n_cells = 0.8, 4
    base = rng.uniform(0.1, 0.8, size=(n_cells, 2)) * (1 - gamma)
    moved = rng.uniform(0, 0.02, size=(n_cells, 2))
    chance = rng.dirichlet(np.ones(n_cells), size=(n_cells, 2))
    cell = np.repeat(np.arange(n_cells), 2)
    mode = np.array([[stay, 1 - stay], [1 - stay, stay]])
    full = np.einsum("cat,me->cmate", chance, mode).reshape(2 * n_cells, 2, 2 * n_cells)
    state, action, successor = np.nonzero(full)
    return from_entries(
        agents=_names(2),
        holder=cell % 2,
        cell=cell,
        reward=np.stack([base, base + moved], axis=1).reshape(2 * n_cells, 2),
        state=state,
        action=action,
        successor=successor,
        probability=full[state, action, successor],
        durations=durations.fixed(np.ones(len(state), np.int64)),
        gamma=gamma,
    )


def _successors(rng: np.random.Generator, n_cells: int) -> np.ndarray:
    return rng.choice(n_cells, 5, replace=False)


def _names(count: int) -> list[str]:
    return [f"agent {k}" for k in range(count)]


def _gamma(at: Any, contraction: float) -> float:
    """The gamma for which the largest E[gamma**tau c] is `contraction`."""
    return float(brentq(lambda gamma: at(gamma).max() - contraction, 0.1, 1 - 1e-9, xtol=1e-15))
