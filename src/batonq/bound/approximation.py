"""The approximation term: how near networks of some width and radius can come, and do come.

Measured exactly on a finite model. What the theorem on projected on-line neural IC-Q needs beside
these is a drift condition; it is checkable only in a sufficient form, and nothing is printed where
that does not hold. Theory, section 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy import linalg

from batonq.base.errors import ModelError
from batonq.bound.ball_fit import Fit, fit
from batonq.icq.networks import ByAgent, Inputs, Networks
from batonq.icq.population import backed_up, pair_law, rms_of, tangent
from batonq.smdp.exact import Aggregated, aggregated
from batonq.smdp.model import FiniteICSMDP

LEMMA_A: Final = math.sqrt(2 / math.pi)  # P(|g| <= t) <= LEMMA_A t for a standard normal g


def at_risk(
    start: Float[np.ndarray, "feature neuron"], inputs: Inputs, ball: float
) -> Float[np.ndarray, " row"]:
    """Share of a network's gates that can flip at each input: |w_r(0) . x| <= omega m^-1/2.

    Known at the start; its largest value over all pairs is fl(m), and |f - f0| <= omega fl(m)
    wherever the weights are in their balls. Theory, Lemma A.
    """
    share: np.ndarray = (np.abs(inputs @ start) <= ball).mean(axis=1)
    return share


def lemma_a(width: int, radius: float, pairs: int, chance: float) -> float:
    """What fl(m) is at most with probability 1 - chance over the start. Theory, Lemma A.

    sqrt(2/pi) omega / sqrt(m) + sqrt(log(P / chance) / (2 m)): the density of w_r(0) . x, then
    Hoeffding at each of P pairs. The start is centred by subtraction, so all m neurons count.
    """
    _check_lemma(width, radius, pairs, chance)
    return LEMMA_A * radius / math.sqrt(width) + math.sqrt(math.log(pairs / chance) / (2 * width))


def lemma_b(width: int, norm: float, pairs: int, chance: float) -> float:
    """Best-fit error in sup norm with probability 1 - chance over the start. Theory, Lemma B.

    wbar sqrt(2 log(2 P / chance) / m), where Qhat*(x) = E[v(w) . x 1{w . x > 0}] with |v| <= wbar,
    and wbar <= omega is the caller's to see to; `lemma_b_norm` gives one.
    """
    _check_lemma(width, norm, pairs, chance)
    return norm * math.sqrt(2 * math.log(2 * pairs / chance) / width)


def lemma_b_norm(inputs: Inputs, target: Float[np.ndarray, " row"]) -> float:
    """A wbar for one network: ||H^-1 target||_1, H the arc-cosine kernel of inputs of length 1.

    H(x, x') = E[x . x' 1{w . x > 0} 1{w . x' > 0}] = x . x' (pi - angle) / (2 pi). It can be huge,
    and is infinite where H is singular, as when two cells have one input.
    """
    cosine = np.clip(inputs @ inputs.T, -1.0, 1.0)
    gram = cosine * (math.pi - np.arccos(cosine)) / (2 * math.pi)
    if np.linalg.cond(gram) > 1 / np.finfo(np.float64).eps:
        return math.inf
    return float(np.abs(linalg.solve(gram, target, assume_a="sym")).sum())


def _check_lemma(width: int, size: float, pairs: int, chance: float) -> None:
    if not (width >= 1 and size >= 0 and pairs >= 1 and 0 < chance < 1):
        raise ModelError(
            f"lemma: width {width}, radius or norm {size:g}, {pairs} pairs, chance {chance:g}; "
            "give at least 1, 0 and 1, and a chance in (0, 1)"
        )


@dataclass(frozen=True, eq=False)
class Approximation:
    """The approximation term of networks on a finite model, measured. Theory, section 10.

    "rms" is the norm of L2(mu), mu the law of (cell, action) under the behaviour; "sup" is over
    permitted pairs.

    Attributes:
        error_rms: ||f - Qhat*||, what the networks have left.
        error_sup: the same in sup norm.
        best_fit_rms: eps_c: ||f0 - Qhat*|| of the best weights in the balls, f0 linearised at the
            start.
        best_fit_least: the least it can be: the best-fit error less what the fit may have missed.
        best_fit_sup: sup norm of the same fit.
        comparator: square length of the best fit's displacement from the start, all networks.
        linearisation_rms: ||f - f0|| at the learnt weights.
        linearisation_sup: the same in sup norm; at most `linearisation_bound`.
        linearisation_bound: omega fl(m), for all weights in the balls.
        flips_bound: fl(m), the largest share of gates that can flip at a pair, known at the start.
        flips: mean over mu of the share of gates that have flipped at the learnt weights.
        flips_sup: largest share at a pair; at most `flips_bound`.
        radius_used: longest displacement of a neuron over its ball's radius, in [0, 1].
        at_boundary: share of the neurons at the boundary of their balls.
        drift: ||T^ f - Qhat*|| / ||f - Qhat*|| at the learnt weights; a DIAGNOSTIC: a value at one
            place, while the theorem wants it everywhere along the way. NaN where f = Qhat*.
        radius: omega.
        width: m.
    """

    error_rms: float
    error_sup: float
    best_fit_rms: float
    best_fit_least: float
    best_fit_sup: float
    comparator: float
    linearisation_rms: float
    linearisation_sup: float
    linearisation_bound: float
    flips_bound: float
    flips: float
    flips_sup: float
    radius_used: float
    at_boundary: float
    drift: float
    radius: float
    width: int


def approximation(
    model: FiniteICSMDP,
    networks: Mapping[str, Networks],
    inputs: ByAgent,
    behaviour: Float[np.ndarray, "cell action"],
) -> Approximation:
    """Measure the approximation term of one seed's networks, trained from initial value 0.

    Args:
        model: the model.
        networks: of each agent by name, as in `Trained.networks[seed]` or `Population.networks`.
        inputs: of each agent's cells by name.
        behaviour: fixed law of the actions of every cell.

    Raises:
        ModelError: if the behaviour is no law, its chain is not irreducible, or an agent lacks
            networks or inputs.
    """
    fixed = aggregated(model, behaviour)
    weight = pair_law(model, fixed, behaviour)
    shape = (model.n_cells, model.n_actions)
    values, linear, fitted, flipped, risk = (np.zeros(shape) for _ in range(5))
    mask, target = model.cell_mask, np.where(model.cell_mask, fixed.q, 0.0)
    missed = comparator = 0.0
    used: list[np.ndarray] = []
    for own, action, nets, x in _each(model, networks, inputs):
        w, w0, signs = nets.weights[action], nets.start[action], nets.signs[action]
        at = tangent(w0, signs, x)
        values[own, action] = nets.values(x)[:, action]
        linear[own, action] = at(w - w0)
        best: Fit = fit(at, target[own, action], weight[own, action], nets.ball)
        fitted[own, action] = at(best.v)
        missed += best.excess
        comparator += float((best.v**2).sum())
        flipped[own, action] = ((x @ w > 0) != (x @ w0 > 0)).mean(axis=1)
        risk[own, action] = at_risk(w0, x, nets.ball)
        used.append(np.linalg.norm(w - w0, axis=0) / nets.ball)
    lengths, one = np.concatenate(used), next(iter(networks.values()))
    best_fit = rms_of(fitted - target, weight)
    fl = float(risk[mask].max())
    return Approximation(
        error_rms=rms_of(values - target, weight),
        error_sup=_sup(values - target),
        best_fit_rms=best_fit,
        best_fit_least=math.sqrt(max(best_fit**2 - missed, 0.0)),
        best_fit_sup=_sup(fitted - target),
        comparator=comparator,
        linearisation_rms=rms_of(values - linear, weight),
        linearisation_sup=_sup(values - linear),
        linearisation_bound=one.radius * fl,
        flips_bound=fl,
        flips=float((weight * flipped).sum()),
        flips_sup=float(flipped.max()),
        radius_used=float(lengths.max()),
        at_boundary=float((lengths >= 1 - 1e-9).mean()),
        drift=drift_at(model, fixed, weight, values),
        radius=one.radius,
        width=one.signs.shape[1],
    )


def drift_at(
    model: FiniteICSMDP,
    fixed: Aggregated,
    weight: Float[np.ndarray, "cell action"],
    values: Float[np.ndarray, "cell action"],
) -> float:
    """||T^ f - Qhat*|| / ||f - Qhat*|| in L2(mu) at a table f; NaN where f = Qhat*.

    A diagnostic along the way of learning. It needs Qhat*, so no interval for it can be had from
    records, and at no finite set of tables does it prove Condition D.
    """
    mask = model.cell_mask
    target = np.where(mask, fixed.q, 0.0)
    before = rms_of(np.where(mask, values, 0.0) - target, weight)
    after = rms_of(np.where(mask, backed_up(fixed, mask, values), 0.0) - target, weight)
    return after / before if before > 0 else math.nan


def _each(
    model: FiniteICSMDP, networks: Mapping[str, Networks], inputs: ByAgent
) -> Iterator[tuple[np.ndarray, int, Networks, Inputs]]:
    """Every network with the cells in which its action is permitted, and their inputs."""
    for agent, name in enumerate(model.agents):
        if name not in networks or name not in inputs:
            raise ModelError(f"approximation: agent '{name}' lacks networks or inputs; give both")
        cells = np.flatnonzero(model.cell_agent == agent)
        for action in range(model.n_actions):
            permitted = model.cell_mask[cells, action]
            if permitted.any():
                yield cells[permitted], action, networks[name], inputs[name][permitted]


def _sup(error: Float[np.ndarray, "cell action"]) -> float:
    return float(np.abs(error).max())
