"""What the reports on networks have in common: ratios over seeds, curves, what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.study.experiment import Table
from batonq.study.figures import Curve
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.routing.networks.network import Network

BANDED: Final = 3  # seeds from which a curve gets a band: that of two is 9 times their distance
BANDS: Final = f"Means over seeds; from {BANDED} seeds on with 95 % bands."


def geometric(ratios: Float[np.ndarray, " seed"]) -> Interval | None:
    """Geometric mean of positive ratios over seeds; its interval is that of the logarithm.

    None where a seed has no ratio: not a number.
    """
    if not np.isfinite(ratios).all():
        return None
    found = over_seeds(np.log(ratios))
    low, high = (None if end is None else float(np.exp(end)) for end in (found.low, found.high))
    return Interval(float(np.exp(found.value)), low, high, found.n, found.n_kind)


def row(setting: Mapping[str, Scalar], key: str, metric: str, found: Interval | None) -> Row:
    """The row of a router's key, "learner" or "learner, what sets it apart"."""
    learner, _, of = key.partition(", ")
    where = {**setting, "of": of} if of else setting
    if found is None:
        return Row(where, learner, metric, None)
    return found.row(where, learner, metric)


def curve(x: Float[np.ndarray, " point"], values: Float[np.ndarray, "seed point"]) -> Curve | None:
    """A curve where every seed has a value, with a band from three seeds on; None if nowhere."""
    seen = np.isfinite(values).all(axis=0)
    if not seen.any():
        return None
    kept = values[:, seen]
    return Curve(x[seen], kept if len(kept) >= BANDED else kept.mean(axis=0, keepdims=True))


def described(networks: Sequence[Network]) -> Table:
    """Sizes, and what reading the files had to fill in or leave out."""
    columns = ("network", "routers", "links", "what reading its file did")
    lines = tuple(
        (one.name, one.n_routers, one.n_links // 2, "; ".join(one.notes) or "nothing")
        for one in networks
    )
    return Table("Networks", columns, lines)
