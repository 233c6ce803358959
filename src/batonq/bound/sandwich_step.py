"""What ONE agent does at the end of a phase of Theorem S, from its own samples alone.

A study plays this for all agents at once (`bound.climb`); an agent that lives elsewhere needs no
more than this function, its own samples, the number of pairs of all agents, and delta. Theory,
Theorem S and its recentred form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from batonq.base.errors import ModelError
from batonq.bound.concentration import Moments, radius

Side: TypeAlias = Literal["upper", "lower"]


@dataclass(frozen=True, eq=False)
class Reference:
    """What an agent knows of its own pairs after a reference phase with answers V_ref.

    Attributes:
        mean: mean of R + gamma**tau c V_ref; 0 where there is no sample.
        radius: by how much the mean of its conditional means may differ, to either side; infinite
            where there is no sample.
    """

    mean: Float[np.ndarray, ...]
    radius: Float[np.ndarray, ...]


def sandwich_phase(
    table: Float[np.ndarray, "*pair"],
    side: Side,
    seen: Moments,
    *,
    width: float,
    delta: float,
    oscillation: float = 0.0,
    weights: Float[np.ndarray, "*pair grid"] | None = None,
    reference: Reference | None = None,
) -> Float[np.ndarray, "*pair"]:
    """Move one agent's own entries of U down, or of L up, by its own samples of one phase.

    All that the protocol asks of an agent at the end of a phase. Its samples are the targets
    R + gamma**tau c v with v the frozen max_b U (or L) of the receiver; with a `reference`,
    gamma**tau c (v - V_ref) instead.

    Args:
        table: the agent's entries before the phase.
        side: which table they belong to.
        seen: moments of its samples, listed by the start of their options.
        width: length of an interval that holds the samples for certain.
        delta: chance of failure for one pair, this side and this phase. Over all pairs of all
            agents, sides and phases these must sum to at most the delta of the certificate.
        oscillation: h, the declared bound; 0 behind an exact interface, and with a reference.
        weights: see `concentration.prior`; fixed before the phase.
        reference: what its reference phase found.

    Raises:
        ModelError: for a side that does not exist, a table with NaN, or an h that is negative, not
            finite, or given together with a reference.
    """
    if side not in ("upper", "lower"):
        raise ModelError(f"certificate: side {side!r}; give 'upper' or 'lower'")
    if np.isnan(table).any():
        raise ModelError("certificate: a table holds NaN; start it at an end of the range")
    if not 0 <= oscillation < math.inf:
        raise ModelError(f"certificate: declared oscillation {oscillation:g}; give 0 or more")
    if reference is not None and oscillation > 0:
        raise ModelError("certificate: recentring is proved behind an exact interface only")
    slack = radius(seen, width, delta, weights) + oscillation
    centre = seen.mean
    if reference is not None:
        slack = slack + reference.radius
        centre = centre + reference.mean
    moved: np.ndarray = (
        np.minimum(table, centre + slack) if side == "upper" else np.maximum(table, centre - slack)
    )
    return moved
