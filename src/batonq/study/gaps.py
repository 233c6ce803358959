"""The interface gap of a finite model, foretold by exact solution and as trained tables have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from batonq.base.files import Json
from batonq.bound.gap import Gap
from batonq.icq.observe import values_of
from batonq.icq.run import Run
from batonq.smdp.exact import evaluate
from batonq.smdp.model import FiniteICSMDP
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval


def predicted(model: FiniteICSMDP, exact: Gap) -> dict[str, Json]:
    """The exact gap, the bounds on its supremum, and the loss from the initial law."""
    low, high = exact.two_sided
    return {
        "rms": exact.rms,
        "sup": exact.sup,
        "loss": max(0.0, float(model.initial @ exact.loss)),
        "eta": exact.residual_sup,
        "low": low,
        "high": high,
        "resolvent": exact.resolvent,
        "exact": exact.exact,
    }


def realised_by(model: FiniteICSMDP, exact: Gap, run: Run) -> dict[str, Json]:
    """Inner products of the seeds' errors in L2(mu), their errors where the gap is largest, losses.

    The error of a table is its distance from Q*, signed like the predicted one at that place.
    """
    errors = np.stack([_error(model, exact, run, k) for k in range(run.seeds)])
    predicted = -exact.difference
    place = np.unravel_index(np.abs(predicted).argmax(), predicted.shape)
    sign = np.sign(predicted[place]) or 1.0
    best = float(model.initial @ exact.optimal.value)
    losses = []
    for k in range(run.seeds):
        q = np.where(model.cell_mask, values_of(run, model, k), -np.inf)
        policy = q.argmax(axis=1)[model.cell]
        losses.append(best - float(model.initial @ evaluate(model, policy).value))
    return {
        "products": np.einsum("ixa,jxa,xa->ij", errors, errors, exact.visits).tolist(),
        "sup": (sign * errors[:, place[0], place[1]]).tolist(),
        "loss": losses,
    }


def _error(
    model: FiniteICSMDP, exact: Gap, run: Run, seed: int
) -> Float[np.ndarray, "state action"]:
    own = values_of(run, model, seed)[model.cell]
    error: np.ndarray = np.subtract(own, exact.optimal.q, out=np.zeros(own.shape), where=exact.met)
    return error


def square(products: Sequence[Sequence[float]]) -> Interval:
    """Square of the realised gap in L2(mu), without what noise adds, with its interval over seeds.

    The error of a seed's table is gap + noise. Noise of two seeds is independent, so that the mean
    product of different seeds' errors estimates the square of the gap without bias (up to what
    noise the tables share, the bias of the maximum). It can be negative. The interval is Student's
    over jackknife pseudo-values.
    """
    matrix = np.array(products)
    count = len(matrix)
    others = matrix.sum() - np.trace(matrix)
    mean = others / (count * (count - 1))
    if count < 3:
        return Interval(float(mean), None, None, count, "seeds")
    own = 2 * (matrix.sum(axis=1) - np.diagonal(matrix))
    without = (others - own) / ((count - 1) * (count - 2))
    return over_seeds(count * mean - (count - 1) * without)


def root(found: Interval) -> Interval:
    """The gap of its square: values below 0 count as 0."""

    def up(number: float | None) -> float | None:
        return None if number is None else float(np.sqrt(max(number, 0.0)))

    return replace(found, value=up(found.value) or 0.0, low=up(found.low), high=up(found.high))


def realised(cell: Mapping[str, Any], interface: str, measure: str) -> Interval:
    """What the trained tables have: "rms", "sup" (where the exact one is largest) or "loss"."""
    found = cell[interface]["realised"]
    if measure == "rms":
        return root(square(found["products"]))
    return over_seeds(np.array(found[measure]))
