"""Theorem 3, on-line projected neural IC-Q: printed only where its drift condition can be checked.

Theory, Theorem 3. For one stream, a constant step alpha and a fixed
behaviour, given the start of the networks, with f in the balls,

    ((1/T) sum_k E ||f_k - Q*||^2)^1/2 <= eps_lin + (1 + beta_D) / (1 - beta_D) eps_c
        + sqrt(Xi / (1 - beta_D)) + gap_2 + sqrt(Res_T / (1 - beta_D))

in L2(mu). The drift beta_D cannot be measured, as it is a supremum and involves Qhat*; but
beta gamma < pi_min, the least chance of a permitted action, gives beta_D^2 <= beta gamma / pi_min.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from batonq.base.errors import ModelError
from batonq.bound.approximation import Approximation
from batonq.bound.assumption import Assumption
from batonq.bound.gap import Gap, gap
from batonq.bound.residual import pair_visits
from batonq.smdp.chain import mixing_time
from batonq.smdp.durations import SLACK
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import as_table


@dataclass(frozen=True)
class Theorem3:
    """The theorem's terms on a finite model; a bound in the mean over the way, given the start.

    Attributes:
        linearisation: eps_lin = omega fl(m).
        best_fit: (1 + beta_D) / (1 - beta_D) eps_c.
        flips: sqrt(Xi / (1 - beta_D)), Xi = 2 omega fl (delta_b + (1 + gamma) omega).
        gap: gap_2 = ||Q* - Qhat* o psi|| in L2(mu).
        residual: sqrt(Res_T / (1 - beta_D)).
        sup: bound in sup norm: mu_min^-1/2 times all but the gap, then the gap in sup norm.
        drift: the bound sqrt(beta gamma / pi_min) used for beta_D.
        lag: tau_alpha = t_mix ceil(log2(1 / alpha)), in epochs.
        difference: delta_b = max |R| + (1 + gamma) omega, a bound on temporal differences.
        assumptions: what it rests on.
    """

    linearisation: float
    best_fit: float
    flips: float
    gap: float
    residual: float
    sup: float
    drift: float
    lag: int
    difference: float
    assumptions: tuple[Assumption, ...]

    @property
    def rms(self) -> float:
        """The bound: the sum of the five terms."""
        return self.linearisation + self.best_fit + self.flips + self.gap + self.residual


def theorem_3(
    model: FiniteICSMDP,
    behaviour: Float[np.ndarray, "cell action"],
    measured: Approximation,
    *,
    step: float,
    handoffs: int,
    beta: float | None = None,
    interface: Gap | None = None,
) -> Theorem3 | str:
    """Theorem 3 for networks on a model, or "not available: reason".

    Args:
        model: the model.
        behaviour: fixed law of the actions of every cell.
        measured: of these networks at their start, from `approximation`: fl(m), eps_c, its
            comparator, omega.
        step: the constant step alpha, in (0, 1).
        handoffs: T.
        beta: a certified upper bound on the contraction; by default the model's own.
        interface: the interface gap, if it is at hand.

    Raises:
        ModelError: for a step or number of handoffs out of range, a beta below the model's, or a
            behaviour that is no law.
    """
    if not 0 < step < 1 or handoffs < 1:
        raise ModelError(f"theorem 3: step {step:g}, {handoffs} handoffs; give (0, 1) and >= 1")
    if beta is not None and not model.contraction - SLACK <= beta <= 1:
        raise ModelError(f"beta: {beta:g} is no upper bound on {model.contraction:.6g}, or above 1")
    bound = model.contraction if beta is None else beta
    chances = as_table(model.cell_mask, behaviour, "cell")
    least = float(np.where(model.cell_mask, chances, 1.0).min())
    if not bound * model.gamma < least:
        return (
            f"not available: the sufficient drift condition fails, beta gamma = "
            f"{bound * model.gamma:.3g} is not below {least:.3g}, the least chance of an action"
        )
    interface = gap(model, behaviour) if interface is None else interface
    try:
        mixing = mixing_time(model, behaviour)
    except ModelError as error:
        return f"not available: {error}"
    drift = math.sqrt(bound * model.gamma / least)
    left, omega, fl = 1 - drift, measured.radius, measured.flips_bound
    wide = (1 + model.gamma) * omega
    difference = float(np.abs(model.reward[model.mask]).max()) + wide
    lag = mixing * math.ceil(math.log2(1 / step))
    linearisation = omega * fl
    best_fit = (1 + drift) / left * measured.best_fit_rms
    flips = math.sqrt(2 * omega * fl * (difference + wide) / left)
    noise = math.sqrt(_residual(measured, step, handoffs, lag, difference, wide) / left)
    law = pair_visits(interface, model)[model.cell_mask]
    return Theorem3(
        linearisation=linearisation,
        best_fit=best_fit,
        flips=flips,
        gap=interface.rms,
        residual=noise,
        sup=(linearisation + best_fit + flips + noise) / math.sqrt(law.min()) + interface.sup,
        drift=drift,
        lag=lag,
        difference=difference,
        assumptions=_assumptions(bound, model.gamma, least, mixing, beta is not None),
    )


def _residual(
    measured: Approximation, step: float, handoffs: int, lag: int, difference: float, wide: float
) -> float:
    """Res_T, with `wide` = (1 + gamma) omega."""
    lipschitz = 2 * (2 * wide + difference)
    return (
        measured.comparator / (2 * step * handoffs)
        + step * difference**2 / 2
        + step * difference * lipschitz * lag
        + 4 * measured.radius * difference * (step + lag / handoffs)
    )


def _assumptions(
    bound: float, gamma: float, least: float, mixing: int, supplied: bool
) -> tuple[Assumption, ...]:
    return (
        Assumption(
            "beta gamma < least chance of an action",
            "supplied" if supplied else "met",
            f"given beta <= {bound:.4g}: {bound * gamma:.4g} < {least:.4g}"
            if supplied
            else f"{bound * gamma:.4g} < {least:.4g}",
        ),
        Assumption("the behaviour chain mixes", "met", f"t_mix = {mixing}"),
        Assumption(
            "one stream, constant step, fixed behaviour, weights projected, start centred",
            "not checkable",
            "how the networks were trained; the bound is given their start",
        ),
    )
