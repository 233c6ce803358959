"""Theorem S, the monotone sandwich: a certificate for values and for the policy deployed.

Two tables enclose Q*: U from above and L from below. In a phase the answers are frozen; from its
own samples of R + gamma**tau c v each holder moves its entries of U down and of L up, as far as an
empirical Bernstein radius allows. The policy greedy in L then loses at most max U - max L. No
contraction, mixing time, coverage or fixed behaviour is needed: they affect the width alone. What
is needed is an exact interface, or a declared bound h on what a cell hides; without either, nothing
is certified. Theory, Theorem S and its recentred form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import ModelError
from batonq.bound.assumption import Assumption
from batonq.bound.climb import Climb, Table
from batonq.bound.gap import is_exact
from batonq.bound.phases import best_of, lengths, stream
from batonq.bound.premises import settled_range
from batonq.icq.behaviour import Behaviour, uniform
from batonq.smdp.model import FiniteICSMDP

ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Sandwich:
    """What holds with probability 1 - delta, for all of it at once. -inf where not permitted.

    Attributes:
        lower: L <= Q* for every state of the cell, and L <= Q of the policy deployed.
        upper: U >= Q* for every state of the cell.
        policy: the policy to deploy, greedy in `lower`: one action a cell.
        loss: most that this policy loses to the oracle from a state of the cell, max U - max L.
        initial_loss: the same on average over the model's initial law.
        worse: actions that are surely not optimal in any state of the cell: U < max L.
        half_width: largest (U - L) / 2 over permitted pairs.
        delta: chance that anything of this fails.
        handoffs: how many were used.
        phases: how many phases of frozen answers.
        scalars: how many scalars a handoff carried.
        recentred: whether the last phases measured differences from a reference.
        range: [low, high] of all targets.
        oscillation: h, the declared bound on what a cell hides; 0 behind an exact interface.
        assumptions: what was assumed, and whether it holds.
    """

    lower: Table
    upper: Table
    policy: Int[np.ndarray, " cell"]
    loss: Float[np.ndarray, " cell"]
    initial_loss: float
    worse: Bool[np.ndarray, "cell action"]
    half_width: float
    delta: float
    handoffs: int
    phases: int
    scalars: int
    recentred: bool
    range: tuple[float, float]
    oscillation: float
    assumptions: tuple[Assumption, ...]

    @property
    def middle(self) -> Table:
        """An estimate of Q*: off by at most `half_width`."""
        mean: np.ndarray = self.lower + (self.upper - self.lower) / 2
        return np.where(np.isfinite(self.lower), mean, -np.inf)


def sandwich(
    model: FiniteICSMDP,
    *,
    handoffs: int,
    delta: float = 0.05,
    scalars: int = 1,
    behaviour: Behaviour | None = None,
    interval: tuple[float, float] | None = None,
    oscillation: float | None = None,
    contraction: float | None = None,
    recentre: bool = True,
    seed: int = 0,
) -> Sandwich:
    """Play a finite model in phases of frozen answers and certify what was learnt.

    Args:
        model: the model, seen through its interface.
        handoffs: how many to play.
        delta: chance of failure, in (0, 1).
        scalars: 2 to answer from U and L at each handoff; 1 to answer from U in even phases and
            from L in odd ones.
        behaviour: how actions are drawn, seeing U: uniform by default, epsilon-greedy to be
            optimistic. Any is allowed.
        interval: [low, high] that holds R + gamma**tau c x for every x in it; computed if not
            given, checked if given.
        oscillation: h, a declared bound on what a cell hides; needed unless the interface is exact.
        contraction: guess of the average E[gamma**tau c], by which phases are planned; computed if
            not given. A wrong one costs width, not validity.
        recentre: whether to measure differences from a reference once the width is small; this
            needs an exact interface, and each agent to publish two numbers a phase: the largest
            and the smallest difference that it will answer.
        seed: of all that is random.

    Raises:
        ModelError: if the interface is not exact and no oscillation is declared, if a declared one
            is below that of Q*, or if an argument is out of its range.
    """
    if scalars not in (1, 2):
        raise ModelError(f"certificate: {scalars} scalars a handoff; give 1 or 2")
    if not 0 < delta < 1:
        raise ModelError(f"certificate: delta {delta:g} is not in (0, 1)")
    low, high = settled_range(model, interval)
    h = _declared(model, oscillation)
    pairs = int(model.cell_mask.sum())
    mean_discount = float(model.sum_rows(model.discounted)[model.mask].mean())
    guess = mean_discount if contraction is None else contraction
    plan = lengths(handoffs, pairs, guess)
    climb = Climb(
        stream(model, uniform() if behaviour is None else behaviour, seed),
        np.full(model.cell_mask.shape, high),
        np.full(model.cell_mask.shape, low),
        high - low,
        delta / handoffs / pairs,
        scalars,
        h,
    )
    recentred = climb.run(plan, guess, recentre and h == 0)
    return _report(climb, plan, recentred, (low, high), delta)


def _declared(model: FiniteICSMDP, oscillation: float | None) -> float:
    """The h to use; refuses where nothing can be certified."""
    if is_exact(model):
        return 0.0 if oscillation is None else oscillation
    if not oscillation:
        raise ModelError(
            "certificate: refused: the interface hides something that rewards or kernels depend "
            "on, and no bound on it is declared; reveal it, or declare `oscillation` > 0 "
            "(bound.premises.oscillation computes one for a finite model)"
        )
    return oscillation


def _hidden(climb: Climb) -> Assumption:
    """The state of the assumption about what cells hide; refuses a declared h that is too small."""
    name = "exact interface, or a declared bound h on what a cell hides"
    if climb.oscillation == 0:
        return Assumption(name, "met", "rewards and kernels are the same within each cell")
    if climb.seen > climb.oscillation * (1 + ROUNDING):
        raise ModelError(
            f"certificate: refused: the declared oscillation {climb.oscillation:g} is too small: "
            f"targets vary by {climb.seen:.3g} within a cell; declare more"
        )
    note = f"h = {climb.oscillation:g}; targets vary by {climb.seen:.3g} within a cell"
    return Assumption(name, "met", note)


def _report(
    climb: Climb,
    plan: list[int],
    recentred: bool,
    interval: tuple[float, float],
    delta: float,
) -> Sandwich:
    model = climb.stream.model
    upper = np.where(model.cell_mask, climb.upper, -np.inf)
    lower = np.where(model.cell_mask, climb.lower, -np.inf)
    loss = best_of(model, upper) - best_of(model, lower)
    known = [
        _hidden(climb),
        Assumption(
            "targets stay in the range",
            "met",
            f"[{interval[0]:g}, {interval[1]:g}], checked on the model",
        ),
        Assumption("answers are frozen within a phase", "met", "played so"),
        Assumption("samples are listed by the start of their options", "met", "one stream"),
    ]
    if recentred:
        known.append(
            Assumption("differences stay in the published range", "met", "computed from the tables")
        )
    return Sandwich(
        lower=lower,
        upper=upper,
        policy=lower.argmax(axis=1),
        loss=loss,
        initial_loss=float(model.initial @ loss[model.cell]),
        worse=model.cell_mask & (upper < best_of(model, lower)[:, None]),
        half_width=climb.widest() / 2,
        delta=delta,
        handoffs=sum(plan),
        phases=climb.phases,
        scalars=climb.scalars,
        recentred=recentred,
        range=interval,
        oscillation=climb.oscillation,
        assumptions=tuple(known),
    )
