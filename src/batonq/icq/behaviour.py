"""Behaviour policies: how agents act while they learn. Each sees its own values only."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from batonq.base.compiled import compiled
from batonq.base.errors import ModelError
from batonq.icq import update

EPSILON_GREEDY = 0
BOLTZMANN = 1


class Behaviour(NamedTuple):
    """A kind of exploration and its parameter."""

    kind: int
    parameter: float


def epsilon_greedy(epsilon: float) -> Behaviour:
    """With chance `epsilon` in [0, 1] any permitted action, else the best one.

    Raises:
        ModelError: if it is outside [0, 1].
    """
    if not 0 <= epsilon <= 1:
        raise ModelError(f"behaviour: epsilon {epsilon:g} is not in [0, 1]")
    return Behaviour(EPSILON_GREEDY, float(epsilon))


def uniform() -> Behaviour:
    """Every permitted action with equal chance: a fixed behaviour, as the theory asks for."""
    return epsilon_greedy(1.0)


def boltzmann(temperature: float) -> Behaviour:
    """Chances proportional to exp(value / temperature), temperature > 0.

    Raises:
        ModelError: if it is not positive.
    """
    if not 0 < temperature < math.inf:
        raise ModelError(f"behaviour: temperature {temperature:g} is not positive and finite")
    return Behaviour(BOLTZMANN, float(temperature))


def check_behaviour(behaviour: object) -> None:
    """Raise a ModelError unless it is a behaviour of this module, or None for the default."""
    if not isinstance(behaviour, Behaviour | None):
        raise ModelError(
            f"behaviour: {behaviour!r} is none; give behaviour.uniform(), epsilon_greedy(epsilon) "
            "or boltzmann(temperature)"
        )


_quote = compiled(update.quote)


@compiled
def choose(
    values: Float[np.ndarray, "row action"],
    row: int,
    mask: Bool[np.ndarray, "mask_row action"],
    mask_row: int,
    behaviour: Behaviour,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Draw an action; returns (action, its chance). Takes exactly one number from `rng`."""
    u = rng.random()
    if behaviour.kind == BOLTZMANN:
        return _boltzmann(values, row, mask, mask_row, behaviour.parameter, u)
    epsilon = behaviour.parameter
    # The greedy action, the lowest number among equals, and the count in one pass without branches,
    # which would be mispredicted at every other handoff.
    best, permitted, top = -1, 0, -math.inf
    for action in range(mask.shape[1]):
        value, allowed = values[row, action], mask[mask_row, action]
        permitted += allowed
        better = allowed & ((value > top) | (best < 0))
        best = action if better else best
        top = value if better else top
    each = epsilon / permitted
    if u >= epsilon:
        return best, 1.0 - epsilon + each
    rank = min(int(u / each), permitted - 1)  # given u < epsilon, u / epsilon is uniform again
    for action in range(mask.shape[1]):
        if mask[mask_row, action]:
            if rank == 0:
                return action, each + (1.0 - epsilon if action == best else 0.0)
            rank -= 1
    return best, 1.0 - epsilon + each


@compiled
def _boltzmann(
    values: Float[np.ndarray, "row action"],
    row: int,
    mask: Bool[np.ndarray, "mask_row action"],
    mask_row: int,
    temperature: float,
    u: float,
) -> tuple[int, float]:
    top = _quote(values, row, mask, mask_row)
    total = 0.0
    for action in range(values.shape[1]):
        if mask[mask_row, action]:
            total += math.exp((values[row, action] - top) / temperature)
    left = u * total
    chosen, weight = -1, 0.0
    for action in range(values.shape[1]):
        if mask[mask_row, action]:
            chosen = action
            weight = math.exp((values[row, action] - top) / temperature)
            left -= weight
            if left < 0:
                break
    return chosen, weight / total
