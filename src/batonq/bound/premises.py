"""What a certificate takes for granted, computed on a finite model: range, oscillation, discount.

Theory, section 5 (range) and Theorem S (the declared h). An agent cannot compute these from its
records; on a finite model they can be had, and a declared one can be checked.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import ModelError
from batonq.bound.gap import into_cells, spans_in_cells
from batonq.smdp.durations import SLACK, Durations, Law
from batonq.smdp.model import FiniteICSMDP

ROUNDING: Final = 1e-12
POINT: Final = 1e-9  # a range this much shorter than its ends are large counts as a point


def attainable_range(model: FiniteICSMDP) -> tuple[float, float]:
    """The smallest [low, high] with R + gamma**tau c x in it for every x in it, for certain.

    Q* and every table that starts inside stay inside. Theory, section 5. c is 0 where the option
    ended the workflow.

    Raises:
        ModelError: if there is none: undiscounted options that pay on the way.
    """
    outcomes = _outcomes(model)
    high = _top(outcomes, model.reward)
    low = -_top(outcomes, -model.reward)
    if not np.isfinite([low, high]).all():
        raise ModelError(
            f"range: [{low:g}, {high:g}]; options that neither discount nor end pay a reward, so "
            "that returns are unbounded; give gamma < 1"
        )
    return min(low, high), max(low, high)


def settled_range(model: FiniteICSMDP, declared: tuple[float, float] | None) -> tuple[float, float]:
    """The declared range, checked, or the attainable one, of length 1 if it is a point.

    Raises:
        ModelError: if there is none, or if the declared one does not hold.
    """
    low, high = attainable_range(model) if declared is None else declared
    if declared is None and high - low <= POINT * (1 + abs(low)):
        high = low + 1.0
    check_range(model, low, high)
    return low, high


def check_range(model: FiniteICSMDP, low: float, high: float) -> None:
    """Raise a ModelError unless R + gamma**tau c x stays in [low, high] for all x in it."""
    if not (np.isfinite([low, high]).all() and low < high):
        raise ModelError(f"range: [{low:g}, {high:g}]; give finite numbers, the lower one first")
    outcomes = _outcomes(model)
    for name, sign, end in (("high", 1.0, high), ("low", -1.0, -low)):
        worst = sign * model.reward + np.maximum(outcomes.least * end, outcomes.most * end)
        worst = np.where(outcomes.goes_on, worst, -np.inf)
        worst = np.where(outcomes.ends, np.maximum(worst, sign * model.reward), worst)
        if worst.max() > end + ROUNDING * (1 + abs(end)):
            s, a = np.unravel_index(int(worst.argmax()), worst.shape)
            raise ModelError(
                f"range: {name} = {sign * end:g}, but (state {s}, action {a}) can be worth "
                f"{sign * worst.max():g}; declare a wider range or leave it to be computed"
            )


def discount_bound(model: FiniteICSMDP) -> float:
    """The largest gamma**tau that an option which goes on can have: an upper bound on beta."""
    outcomes = _outcomes(model)
    return float(np.where(outcomes.goes_on, outcomes.most, 0.0).max())


def oscillation(model: FiniteICSMDP, low: float, high: float) -> float:
    """An h that suffices for Theorem S whatever its tables turn out to be.

    The largest difference of T(f o psi) between two states of a cell, over all permitted actions
    and all tables f with values in [low, high]: for each two states, that of r plus
    (high - low) / 2 ||D||_1 + (high + low) / 2 D(Y), D the difference of their kernels into cells.
    0 behind an exact interface. Theory, Theorem S.
    """
    kernel = into_cells(model)
    worst = 0.0
    for states in _members(model):
        for action in np.flatnonzero(model.mask[states[0]]):
            rewards = model.reward[states, action]
            rows = kernel[states * model.n_actions + action].toarray()
            rows = rows[:, rows.any(axis=0)]
            for one in range(len(states)):
                apart = rows[one] - rows
                most = np.maximum(apart * low, apart * high).sum(axis=1)
                worst = max(worst, float((rewards[one] - rewards + most).max()))
    return worst


def oscillation_of(model: FiniteICSMDP, values: Float[np.ndarray, " cell"]) -> float:
    """The largest difference of T(f o psi) within a cell for one table, of largest values given."""
    onward = into_cells(model) @ values
    backed_up = model.reward + onward.reshape(model.mask.shape)
    return float(spans_in_cells(model, backed_up)[model.cell_mask].max())


def _members(model: FiniteICSMDP) -> list[Int[np.ndarray, " member"]]:
    """The states of each cell."""
    order = np.argsort(model.cell, kind="stable")
    return np.split(order, np.cumsum(np.bincount(model.cell))[:-1])


class _Outcomes(NamedTuple):
    """Per (state, action): the extremes of gamma**tau, and whether it can go on and can end."""

    least: Float[np.ndarray, "state action"]
    most: Float[np.ndarray, "state action"]
    goes_on: Bool[np.ndarray, "state action"]
    ends: Bool[np.ndarray, "state action"]


def _outcomes(model: FiniteICSMDP) -> _Outcomes:
    shortest, longest = _extremes(model.durations)
    row = np.repeat(np.arange(model.mask.size), np.diff(model.indptr))
    possible = model.probability > 0
    least, most = np.ones(model.mask.size), np.zeros(model.mask.size)
    with np.errstate(under="ignore"):
        np.minimum.at(least, row[possible], model.gamma ** longest[possible])
        np.maximum.at(most, row[possible], model.gamma ** shortest[possible])
    goes_on = np.bincount(row[possible], minlength=model.mask.size) > 0
    shape = model.mask.shape
    return _Outcomes(
        least.reshape(shape),
        most.reshape(shape),
        goes_on.reshape(shape) & model.mask,
        (model.row_mass < 1 - SLACK) & model.mask,
    )


def _extremes(d: Durations) -> tuple[Float[np.ndarray, " entry"], Float[np.ndarray, " entry"]]:
    """Shortest and longest duration of each entry; the longest may be infinite."""
    shortest, longest = d.parameter.copy(), d.parameter.copy()
    geometric = d.law == Law.GEOMETRIC
    shortest[geometric] = 1
    longest[geometric] = np.where(d.parameter[geometric] == 1, 1, np.inf)
    tabled = d.law == Law.PMF
    if tabled.any():
        can = d.pmf_probability > 0
        place = d.pmf_indptr[:-1]
        least = np.minimum.reduceat(np.where(can, d.pmf_duration, np.inf), place)
        most = np.maximum.reduceat(np.where(can, d.pmf_duration, 0), place)
        shortest[tabled] = least[d.parameter[tabled].astype(np.int64)]
        longest[tabled] = most[d.parameter[tabled].astype(np.int64)]
    return shortest, longest


def _top(outcomes: _Outcomes, reward: Float[np.ndarray, "state action"]) -> float:
    """The least x with R + gamma**tau c x <= x for certain, c = 0 or 1 as it may turn out."""
    if_positive = _least(outcomes, reward, outcomes.most)
    if if_positive >= 0:
        return if_positive
    return _least(outcomes, reward, outcomes.least)


def _least(
    outcomes: _Outcomes,
    reward: Float[np.ndarray, "state action"],
    discount: Float[np.ndarray, "state action"],
) -> float:
    """The least x with r + discount x <= x where it may go on and r <= x where it may end."""
    with np.errstate(divide="ignore", invalid="ignore"):
        on = reward / (1 - discount)
    # Without discount r + x <= x asks nothing of x if r <= 0, and cannot hold if r > 0.
    on = np.where(discount < 1, on, np.where(reward > 0, np.inf, -np.inf))
    on = np.where(outcomes.goes_on, on, -np.inf)
    end = np.where(outcomes.ends, reward, -np.inf)
    return float(max(on.max(), end.max()))
