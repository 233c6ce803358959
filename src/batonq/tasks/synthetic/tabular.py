"""One point of a tabular axis: what is exact about it, and what one seed measures and certifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.bound.asymptotic import asymptotic
from batonq.bound.gap import Gap, gap
from batonq.bound.premises import attainable_range, oscillation
from batonq.bound.residual import pair_visits, watched
from batonq.bound.sandwich import Sandwich, sandwich
from batonq.icq import clocks
from batonq.icq.clocks import Clock, size
from batonq.smdp.chain import mixing_time
from batonq.smdp.design import design
from batonq.smdp.exact import evaluate
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import policy_of_cells, uniform
from batonq.tasks.synthetic.axes import CHECKPOINTS, SETTLED, Setting
from batonq.tasks.synthetic.learn import trajectory

DELTA: Final = 0.05  # chance of failure of a certificate
ROUNDING: Final = 1e-9  # by which a computed oscillation is declared larger
LEARNING, CERTIFYING = 1, 2  # branches of the seeds


@dataclass(frozen=True, eq=False)
class Point:
    """A setting with its model and exact solution."""

    setting: Setting
    model: FiniteICSMDP
    gap: Gap

    @property
    def clock(self) -> Clock:
        """The step sizes of the learner."""
        step = self.setting.step
        if step is None:
            return clocks.rescaled_linear(self.model.contraction)
        return clocks.constant(step)

    @property
    def stops(self) -> Int[np.ndarray, " stop"]:
        """Where the table is judged: over time with a constant step, else at the end."""
        last = self.setting.handoffs
        if self.setting.step is None:
            return np.array([last])
        return np.linspace(SETTLED * last, last, CHECKPOINTS).astype(np.int64)

    @property
    def oscillation(self) -> float | None:
        """The declared h of Theorem S, computed from the design; None behind an exact interface."""
        if self.gap.exact:
            return None
        return oscillation(self.model, *attainable_range(self.model)) * (1 + ROUNDING)


def point_of(setting: Setting) -> Point:
    """Make the model of a setting and solve it."""
    model = design(setting.dials).reveal(setting.blocks)
    return Point(setting, model, gap(model, uniform(model)))


def exact(setting: Setting) -> dict[str, Json]:
    """What is exact about a setting, and the asymptotic estimate; None where not available.

    `reasons` says of each missing figure why it is missing.
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
        "reasons": reasons,
    }


def one_seed(setting: Setting, seed: int, number: int) -> dict[str, Json]:
    """What one seed measures, and what its certificate says. Squares are in L2(mu).

    Returns:
        error: mean square of Q o psi - Q* over the checkpoints; residual: of Q - Qhat*; twin: the
        residual of the twin with kappa 0; sup: ||Q o psi - Q*|| of the last table; certificate:
        Theorem S's bound on it; half_width: of the sandwich; loss, certified_loss: largest loss of
        the policy that the sandwich deploys, true and certified.
    """
    point = point_of(setting)
    model = point.model
    tables = _tables(point, seed, number)
    twin = None
    if setting.twin:
        plain = point_of(replace(setting, dials=replace(setting.dials, kappa=0.0)))
        twin = _residual(plain, _tables(plain, seed, number))
    found = sandwich(
        model,
        handoffs=setting.handoffs,
        delta=DELTA,
        oscillation=point.oscillation,
        seed=int(generator(seed, CERTIFYING, number).integers(2**31)),
    )
    away = tables[:, model.cell] - point.gap.optimal.q
    return {
        "error": _mean_square(away, point.gap.visits),
        "residual": _residual(point, tables),
        "twin": twin,
        "sup": float(np.abs(away[-1])[model.mask].max()),
        "certificate": _reach(found, tables[-1], model),
        "half_width": found.half_width,
        "loss": _loss(point, found),
        "certified_loss": float(found.loss.max()),
        "recentred": found.recentred,
    }


def _tables(point: Point, seed: int, number: int) -> Float[np.ndarray, "stop cell action"]:
    """Tables at the stops of all streams, one stream after the other."""
    settled = point.setting.step is not None
    limit = point.gap.aggregated.q
    start = limit if settled else np.zeros_like(limit)
    sources = (generator(seed, LEARNING, number, k) for k in range(point.setting.streams))
    return np.concatenate(
        [trajectory(point.model, point.clock, point.stops, rng, start) for rng in sources]
    )


def _residual(point: Point, tables: Float[np.ndarray, "stop cell action"]) -> float:
    noise = (tables - point.gap.aggregated.q)[:, point.model.cell]
    return _mean_square(noise, point.gap.visits)


def _mean_square(
    errors: Float[np.ndarray, "stop state action"], visits: Float[np.ndarray, "state action"]
) -> float:
    return float((visits * errors**2).sum(axis=(1, 2)).mean())


def _reach(found: Sandwich, table: Float[np.ndarray, "cell action"], model: FiniteICSMDP) -> float:
    """How far a table can be from anything between L and U: a bound on its error."""
    far = np.maximum(found.upper - table, table - found.lower)
    return float(far[model.cell_mask].max())


def _loss(point: Point, found: Sandwich) -> float:
    """Largest loss of the deployed policy to the oracle, in any state."""
    deployed = evaluate(point.model, policy_of_cells(point.model, found.policy))
    return float((point.gap.optimal.value - deployed.value).max())
