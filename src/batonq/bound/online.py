"""Theorem 1: on-line IC-Q with tables, one stream, constant or decreasing steps.

A bound that knows the model, unless the interface is exact: the gap residual eta, the Poisson
solutions U and the full model's beta involve what no agent sees. Theory, Theorem 1, the noise lemma
and local clocks (section 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import compiled
from batonq.base.errors import ModelError
from batonq.bound.gap import horizon
from batonq.bound.residual import Coverage, coverage
from batonq.icq import clocks
from batonq.icq.clocks import Clock


@dataclass(frozen=True)
class Setting:
    """What the noise of on-line IC-Q depends on.

    Attributes:
        width: rho, length of the interval that targets stay in.
        n_pairs: P, permitted pairs.
        handoffs: T.
        delta: chance of failure, in (0, 1).
        residual: ||eta||; 0 behind an exact interface.
        span: largest span of a Poisson solution U_p; 0 behind an exact interface.
    """

    width: float
    n_pairs: int
    handoffs: int
    delta: float
    residual: float = 0.0
    span: float = 0.0

    def __post_init__(self) -> None:
        """Raise a ModelError for a value out of its range."""
        for name, value, good in (
            ("width", self.width, 0 < self.width < math.inf),
            ("number of pairs", self.n_pairs, self.n_pairs >= 1),
            ("handoffs", self.handoffs, self.handoffs >= 1),
            ("delta", self.delta, 0 < self.delta < 1),
            ("residual", self.residual, 0 <= self.residual < math.inf),
            ("span", self.span, 0 <= self.span < math.inf),
        ):
            if not good:
                raise ModelError(f"Theorem 1: {name} {value:g} is out of range")

    @property
    def log_events(self) -> float:
        """L: log of the events a pair and local time over delta, 2 behind (X) and 7 with a gap."""
        events = 7 if self.residual > 0 else 2
        return math.log(events * self.n_pairs * self.handoffs / self.delta)


@dataclass(frozen=True)
class Noise:
    """The noise bound nu of one step size: `martingale` plus the least of three for the gap.

    Attributes:
        martingale: of the targets, by Hoeffding and Azuma.
        trivial: ||eta||, which weights that sum to at most 1 cannot exceed.
        hoeffding: by the span of the Poisson solution; smallest for fast hidden modes.
        freedman: by its variance; scales as sqrt(alpha kappa) ||eta||.
    """

    martingale: float
    trivial: float
    hoeffding: float
    freedman: float

    @property
    def total(self) -> float:
        """Nu."""
        return self.martingale + min(self.trivial, self.hoeffding, self.freedman)


def noise(setting: Setting, step: float, square: float | None = None) -> Noise:
    """The noise lemma: weights of a local clock that are nondecreasing, the last one `step`.

    Args:
        setting: what it depends on.
        step: the last step, in (0, 1].
        square: bound on the sum of squared weights; step / (2 - step), right for a constant step,
            if not given. For decreasing local steps it is `step` itself.

    Raises:
        ModelError: if the step is outside (0, 1], or the square too.
    """
    s = step / (2 - step) if square is None else square
    if not (0 < step <= 1 and 0 < s <= 1):
        raise ModelError(f"Theorem 1: step {step:g}, sum of squares {s:g}; give both in (0, 1]")
    log, eta, span = setting.log_events, setting.residual, setting.span
    largest = span / 2  # of |U_p| centred at its mid-range, which every identity allows
    variance = 2 * s * largest * eta + step**2 * largest**2
    variance += step**1.5 * largest**2 * math.sqrt(log / 2)
    return Noise(
        martingale=setting.width / 2 * math.sqrt(2 * s * log),
        trivial=eta,
        hoeffding=span * math.sqrt(s * log / 2) + step * span,
        freedman=math.sqrt(2 * variance * log) + step * span * (1 + 2 * log / 3),
    )


def theorem_1(
    setting: Setting,
    step: float,
    contraction: float,
    frames: int,
    start: float,
    gap: float = 0.0,
) -> float:
    """Bound on ||Q_k o psi - Q*|| after so many cover frames, at a constant step.

    Args:
        setting: what the noise depends on.
        step: alpha, fixed beforehand: it may not depend on the observed frames.
        contraction: beta of the full model, in [0, 1).
        frames: C_k, completed cover frames counted by a barrier (`residual.cover_frames`).
        start: bound on ||Q_0 - Qhat*||, at most rho.
        gap: ||Q* - Qhat* o psi||.

    Raises:
        ModelError: for an argument out of its range.
    """
    _check(contraction, start, gap)
    if frames < 0:
        raise ModelError(f"Theorem 1: {frames} cover frames; give 0 or more")
    transient = (1 - step * (1 - contraction)) ** frames * start
    return gap + transient + noise(setting, step).total * horizon(contraction)


@dataclass(frozen=True)
class Tuned:
    """The corollary: the step for a known horizon, and what it guarantees w.p. 1 - 2 delta.

    Attributes:
        step: alpha = 8 log T / ((1 - beta) mu_min T).
        coverage: the windows that it counts on.
        bound: gap + 3 ||Delta_0|| / T + nu / (1 - beta).
    """

    step: float
    coverage: Coverage
    bound: float


def tuned(
    setting: Setting,
    contraction: float,
    mixing_time: int,
    least: float,
    start: float,
    gap: float = 0.0,
) -> Tuned:
    """Theorem 1 with the step tuned to the horizon T, before anything is seen.

    Args:
        setting: what the noise depends on.
        contraction: beta of the full model, in [0, 1).
        mixing_time: t_mix of the behaviour chain, in epochs.
        least: mu_min, the smallest share of epochs of any pair.
        start: bound on ||Q_0 - Qhat*||.
        gap: ||Q* - Qhat* o psi||.

    Raises:
        ModelError: "not available" if T < 2 F log T / (1 - beta); for an argument out of range.
    """
    _check(contraction, start, gap)
    total = setting.handoffs
    if total < 2:
        raise ModelError("Theorem 1: not available: 1 handoff forgets nothing; give more")
    windows = coverage(mixing_time, least, setting.n_pairs, total, setting.delta, often=True)
    needed = 2 * windows.window * math.log(total) * horizon(contraction)
    if total < needed:
        raise ModelError(
            f"Theorem 1: not available: its corollary needs {needed:.3g} handoffs to forget the "
            f"start, there are {total}"
        )
    step = 8 * math.log(total) * horizon(contraction) / (least * total)
    bound = gap + 3 * start / total + noise(setting, step).total * horizon(contraction)
    return Tuned(step, windows, bound)


def local_clocks(
    setting: Setting,
    clock: Clock,
    contraction: float,
    order: Int[np.ndarray, " update"],
    start: float,
    gap: float = 0.0,
) -> Float[np.ndarray, " time"]:
    """Bound on ||Q_k o psi - Q*|| along the observed order of updates, for local clocks.

    Needs neither frames nor coverage. The clock must be fixed beforehand; a running estimate of
    beta in it would make the weights depend on later data.

    Args:
        setting: what the noise depends on; its handoffs are at least the updates.
        clock: steps alpha_n with 1/alpha_{n+1} <= 1/alpha_n + 1, so that weights do not decrease.
        contraction: beta of the full model, in [0, 1).
        order: number 0 .. P-1 of the pair of each update (`residual.pair_numbers`).
        start: bound on ||Q_0 - Qhat*||.
        gap: ||Q* - Qhat* o psi||.

    Returns:
        The bound before the first update and after each.

    Raises:
        ModelError: if the clock's weights may decrease, there are more updates than handoffs, a
            pair has no number 0 .. P-1, or an argument is out of its range.
    """
    _check(contraction, start, gap)
    if len(order) > setting.handoffs:
        raise ModelError(
            f"Theorem 1: {len(order)} updates of {setting.handoffs} handoffs; give the setting all"
        )
    if len(order) and not (order.min() >= 0 and order.max() < setting.n_pairs):
        raise ModelError(f"Theorem 1: pairs must be numbered 0..{setting.n_pairs - 1}")
    most = int(np.bincount(order, minlength=1).max()) if len(order) else 0
    steps = np.array([1.0] + [clocks.size(clock, n) for n in range(1, most + 1)])
    if (1 / steps[2:] > 1 / steps[1:-1] + 1 + 1e-9).any():
        raise ModelError("Theorem 1: the clock's weights decrease; give steps of 1/n or larger")
    constant = clock.rate == 0.0
    squares = steps / (2 - steps) if constant else steps
    noises = np.array([noise(setting, a, s).total for a, s in zip(steps, squares, strict=True)])
    noises[0] = 0.0  # before the first visit
    bounds = np.empty(len(order) + 1)
    largest = min(start, setting.width)
    _follow(
        order, steps, noises, contraction, setting.width, np.full(setting.n_pairs, largest), bounds
    )
    return gap + bounds


def _check(contraction: float, start: float, gap: float) -> None:
    horizon(contraction)  # raises where beta is outside [0, 1)
    if not (0 <= start < math.inf and 0 <= gap < math.inf):
        raise ModelError(
            f"Theorem 1: start {start:g}, gap {gap:g}; give distances, finite and at least 0"
        )


@compiled
def _follow(
    order: Int[np.ndarray, " update"],
    steps: Float[np.ndarray, " visit"],
    noises: Float[np.ndarray, " visit"],
    contraction: float,
    width: float,
    errors: Float[np.ndarray, " pair"],
    bounds: Float[np.ndarray, " time"],
) -> None:
    """The recursion B_{k+1}(p_k) = (1 - alpha) B_k(p_k) + alpha beta X_k; `bounds` becomes X."""
    visits = np.zeros(len(errors), np.int64)
    for k in range(len(order) + 1):
        worst = 0.0
        for pair in range(len(errors)):
            worst = max(worst, errors[pair] + noises[visits[pair]])
        bounds[k] = min(width, worst)
        if k < len(order):
            pair = order[k]
            visits[pair] += 1
            step = steps[visits[pair]]
            errors[pair] = (1 - step) * errors[pair] + step * contraction * bounds[k]
