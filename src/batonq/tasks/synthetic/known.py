"""What is exact about a point, the asymptotic estimate, and the certificates beside Theorem S."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.bound import online
from batonq.bound.asymptotic import asymptotic
from batonq.bound.phased import phased
from batonq.bound.premises import attainable_range
from batonq.bound.residual import coverage, pair_visits, watched
from batonq.icq.clocks import size
from batonq.smdp.chain import mixing_time
from batonq.smdp.policies import uniform
from batonq.tasks.synthetic.axes import Setting
from batonq.tasks.synthetic.point import DELTA, Point, point_of


def exact(setting: Setting, certified: bool = True) -> dict[str, Json]:
    """What is exact about a setting, the estimate, Theorems 1 and 2; None where not available.

    `reasons` says of each missing figure why it is missing.

    Args:
        setting: the point.
        certified: whether to add Theorems 1 and 2, which are for tables.
    """
    point = point_of(setting)
    model, found = point.model, point.gap
    behaviour = uniform(model)
    optimal = found.optimal.q[model.mask]
    visits = pair_visits(found, model)[model.cell_mask]
    reasons: dict[str, str] = {}

    def available(name: str, figure: Callable[[], float]) -> float | None:
        try:
            return float(figure())
        except ModelError as error:
            reasons[name] = str(error)
            return None

    return {
        "x": setting.x,
        "pairs": int(model.cell_mask.sum()),
        "handoffs": setting.handoffs,
        "last_step": max(size(point.clock, int(n)) for n in visits * setting.handoffs + 1),
        "gap": found.rms,
        "gap_sup": found.sup,
        "eta": found.residual_sup,
        "contraction": model.contraction,
        "span": float(np.ptp(optimal)),
        "oscillation": point.oscillation or 0.0,
        "mixing_time": available("mixing_time", lambda: mixing_time(model, behaviour)),
        "relaxation": available("relaxation", lambda: watched(model, behaviour, found).relaxation),
        "estimate": available(
            "estimate",
            lambda: asymptotic(model, behaviour, found).scatter(point.clock, setting.handoffs).rms,
        ),
        "theorem_1": available("theorem_1", lambda: _theorem_1(point)) if certified else None,
        "theorem_2": available("theorem_2", lambda: _theorem_2(point)) if certified else None,
        "reasons": reasons,
    }


def _theorem_1(point: Point) -> float:
    """The bound of Theorem 1, which knows the model: at a constant step, or at the tuned one."""
    model, found = point.model, point.gap
    visits = pair_visits(found, model)[model.cell_mask]
    low, high = attainable_range(model)
    asked = online.Setting(
        width=high - low,
        n_pairs=len(visits),
        handoffs=point.setting.handoffs,
        delta=DELTA / 2,
        residual=found.residual_sup,
        span=0.0 if found.exact else watched(model, uniform(model), found).span,
    )
    beta, least = model.contraction, float(visits.min())
    mixing = mixing_time(model, uniform(model))
    if point.setting.step is None:
        return online.tuned(asked, beta, mixing, least, high - low, found.sup).bound
    windows = coverage(mixing, least, len(visits), asked.handoffs, DELTA / 2)
    frames = windows.frames(asked.handoffs)
    return online.theorem_1(asked, point.setting.step, beta, frames, high - low, found.sup)


def _theorem_2(point: Point) -> float:
    """The bound of Theorem 2 in one run of as many handoffs, given beta and, with a gap, eta."""
    model, found = point.model, point.gap
    return phased(
        model,
        handoffs=point.setting.handoffs,
        delta=DELTA,
        contraction=model.contraction,
        gap=None if found.exact else found,
        memory=None if found.exact else watched(model, uniform(model), found),
        seed=point.setting.dials.seed,
    ).bound
