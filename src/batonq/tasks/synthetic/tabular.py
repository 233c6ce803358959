"""One seed of tables at one point: what it measures, and what Theorem S certifies."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.bound.sandwich import Sandwich, sandwich
from batonq.smdp.exact import evaluate
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import policy_of_cells
from batonq.tasks.synthetic.axes import Setting
from batonq.tasks.synthetic.learn import trajectory
from batonq.tasks.synthetic.point import DELTA, Point, mean_square, point_of

LEARNING: Final = 10  # branches of the seeds, beside those of the model
CERTIFYING: Final = 11


def one_seed(setting: Setting, seed: int, number: int) -> dict[str, Json]:
    """What one seed measures, and what its certificate says. Squares are in L2(mu).

    Returns:
        error: mean square of Q o psi - Q* over the checkpoints; residual: of Q - Qhat*; twin: the
        residual of the twin with kappa 0; sup: ||Q o psi - Q*|| of the last table; certificate:
        Theorem S's bound on it with one scalar, two_scalars: with two; loss, certified_loss:
        largest loss of the policy that the sandwich deploys, true and certified.
    """
    point = point_of(setting)
    model = point.model
    tables = _tables(point, seed, number)
    twin = None
    if setting.twin:
        plain = point_of(replace(setting, dials=replace(setting.dials, kappa=0.0)))
        twin = _residual(plain, _tables(plain, seed, number))

    def certify(scalars: int) -> Sandwich:
        return sandwich(
            model,
            handoffs=setting.handoffs,
            delta=DELTA,
            scalars=scalars,
            oscillation=point.oscillation,
            seed=int(generator(seed, CERTIFYING, number).integers(2**31)),
        )

    found = certify(1)
    away = tables[:, model.cell] - point.gap.optimal.q
    return {
        "error": mean_square(away, point.gap.visits),
        "residual": _residual(point, tables),
        "twin": twin,
        "sup": float(np.abs(away[-1])[model.mask].max()),
        "certificate": _reach(found, tables[-1], model),
        "two_scalars": _reach(certify(2), tables[-1], model),
        "loss": _loss(point, found),
        "certified_loss": float(found.loss.max()),
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
    return mean_square(noise, point.gap.visits)


def _reach(found: Sandwich, table: Float[np.ndarray, "cell action"], model: FiniteICSMDP) -> float:
    """How far a table can be from anything between L and U: a bound on its error."""
    far = np.maximum(found.upper - table, table - found.lower)
    return float(far[model.cell_mask].max())


def _loss(point: Point, found: Sandwich) -> float:
    """Largest loss of the deployed policy to the oracle, in any state."""
    deployed = evaluate(point.model, policy_of_cells(point.model, found.policy))
    return float((point.gap.optimal.value - deployed.value).max())
