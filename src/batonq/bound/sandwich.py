"""Theorem S, the monotone sandwich: a certificate for values and for the policy deployed.

Two tables enclose Q*: U from above and L from below. In a phase the answers are frozen; from its
own samples of R + gamma**tau c v each holder moves its entries of U down and of L up, as far as an
empirical Bernstein radius allows. The policy greedy in L then loses at most max U - max L. No
contraction, mixing time, coverage or fixed behaviour is needed: they affect the width alone. What
is needed is an exact interface, or a declared bound h on what a cell hides; without either, nothing
is certified. Theory, Theorem S and its recentred form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import ModelError
from batonq.bound.assumption import Assumption
from batonq.bound.concentration import Moments, prior, radius
from batonq.bound.gap import is_exact
from batonq.bound.phases import Stream, best_of, lengths, split, stream
from batonq.bound.premises import oscillation_of, settled_range
from batonq.icq.behaviour import Behaviour, uniform
from batonq.smdp.model import FiniteICSMDP

Side: TypeAlias = Literal["upper", "lower"]
Table: TypeAlias = Float[np.ndarray, "cell action"]

# When and how to recentre, found on models of three families; any values are valid.
WARM_UP: Final = 0.15  # share of the handoffs after which it may start
WIDE: Final = 0.6  # share of the range that the widest interval must have fallen below
SETTLING: Final = (1.5, 3.0)  # least and most phases of differences, for each 1 / (1 - contraction)
VISITS: Final = 50.0  # least handoffs a pair in each of them, for each 1 / (1 - contraction)
PLENTY: Final = 5.0  # times the least they are given before the reference phase gets more than half
REFERENCE: Final = (0.5, 0.85)  # least and most share of the reference phase in what is left
ROUNDING: Final = 1e-9
NOISE_FLOOR: Final = 1e-9  # relative; keeps quotients finite where targets do not vary


@dataclass(frozen=True, eq=False)
class Reference:
    """What an agent knows of its own pairs after a reference phase with answers V_ref.

    Attributes:
        mean: mean of R + gamma**tau c V_ref; 0 where there is no sample.
        radius: by how much the mean of its conditional means may differ, to either side; infinite
            where there is no sample.
    """

    mean: Float[np.ndarray, "*pair"]
    radius: Float[np.ndarray, "*pair"]


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
        ModelError: if h is negative or not finite, or given together with a reference.
    """
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
    climb = _Climb(
        stream(model, uniform() if behaviour is None else behaviour, seed),
        np.full(model.cell_mask.shape, high),
        np.full(model.cell_mask.shape, low),
        high - low,
        delta / handoffs / pairs,
        scalars,
        h,
    )
    plan = lengths(handoffs, pairs, guess)
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


def _hidden(climb: _Climb) -> Assumption:
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


@dataclass
class _Climb:
    """The two tables on their way, and what a phase needs.

    `share` is the chance of failure for one pair of one handoff, so that a phase of N handoffs gets
    N / T of delta; `variance` remembers V_n per handoff of the last phase of each kind, `seen` the
    largest oscillation of a target within a cell.
    """

    stream: Stream
    upper: Table
    lower: Table
    width: float
    share: float
    scalars: int
    oscillation: float
    variance: dict[tuple[Side, bool], Table] = field(default_factory=dict)
    seen: float = 0.0
    phases: int = 0

    def run(self, plan: list[int], contraction: float, recentre: bool) -> bool:
        """Play all phases; returns whether it recentred."""
        total = sum(plan)
        for length in plan:
            left = total - self.stream.played
            ready = recentre and left <= (1 - WARM_UP) * total
            if ready and self.widest() < WIDE * self.width:
                first, rounds = self.recentring(left, contraction)
                if rounds > 0:
                    self.settle(first, left - first, rounds)
                    return True
            self.advance(length, None, None)
        return False

    def recentring(self, handoffs: int, contraction: float) -> tuple[int, int]:
        """Handoffs of a reference phase, and how many phases of differences for each table follow.

        None, if they would be too few or too short to help.
        """
        horizon = 1 / max(1 - contraction, 0.01)
        shortest = VISITS * horizon * int(self.stream.model.cell_mask.sum()) * (3 - self.scalars)
        wanted = PLENTY * SETTLING[1] * horizon * shortest
        share = min(max(1 - wanted / handoffs, REFERENCE[0]), REFERENCE[1])
        rounds = min(SETTLING[1] * horizon, (1 - share) * handoffs / shortest)
        return int(share * handoffs), int(rounds) if rounds >= SETTLING[0] * horizon else 0

    def widest(self) -> float:
        """Largest U - L."""
        return float((self.upper - self.lower)[self.stream.model.cell_mask].max())

    def settle(self, length: int, rest: int, rounds: int) -> None:
        """The rest of the handoffs: a reference phase, then phases of differences from it."""
        model = self.stream.model
        values = (best_of(model, self.upper) + best_of(model, self.lower)) / 2
        delta = length * self.share / 2
        weights = prior(self.expected("upper", False, length), self.width, delta)
        middle = (self.upper + self.lower) / 2
        (seen,) = self.stream.phase(length, [values], [middle], self.upper)
        found = Reference(seen.mean, radius(seen, self.width, delta, weights))
        self.phases += 1
        for part in split(rest, np.ones(rounds * (3 - self.scalars))):
            self.advance(part, found, values)

    def advance(
        self, handoffs: int, reference: Reference | None, values: Float[np.ndarray, " cell"] | None
    ) -> None:
        """One phase that moves U, L or both; after a reference by differences from `values`."""
        both: tuple[Side, ...] = ("upper", "lower")
        sides = both if self.scalars == 2 else (both[self.phases % 2],)
        delta = handoffs * self.share / len(sides)
        tables = [self.upper if side == "upper" else self.lower for side in sides]
        answers = [best_of(self.stream.model, table) for table in tables]
        guesses, widths = [table.copy() for table in tables], [self.width for _ in sides]
        if self.oscillation > 0:
            self.seen = max(self.seen, *(oscillation_of(self.stream.model, v) for v in answers))
        differences = reference is not None and values is not None
        if differences:
            answers = [answer - values for answer in answers]
            guesses = [np.zeros(self.upper.shape) for _ in sides]
            widths = [_reach(answer, self.width) for answer in answers]
        weights = [
            prior(self.expected(side, differences, handoffs), width, delta)
            for side, width in zip(sides, widths, strict=True)
        ]
        seen = self.stream.phase(handoffs, answers, guesses, self.upper, paid=not differences)
        for k, side in enumerate(sides):
            tables[k][:] = sandwich_phase(
                tables[k],
                side,
                seen[k],
                width=widths[k],
                delta=delta,
                oscillation=self.oscillation,
                weights=weights[k],
                reference=reference,
            )
            noise = (seen[k].spread + NOISE_FLOOR * widths[k] ** 2) / handoffs
            self.variance[side, differences] = noise
        self.phases += 1

    def expected(self, side: Side, differences: bool, handoffs: int) -> Table:
        """A guess of V_n for the next phase from the last one like it; NaN if there is none."""
        last = self.variance.get((side, differences))
        return np.full(self.upper.shape, np.nan) if last is None else last * handoffs


def _reach(difference: Float[np.ndarray, " cell"], width: float) -> float:
    """Length of the interval that holds gamma**tau c times any of the published differences.

    It holds 0, as an option may end the workflow or last for long.
    """
    length = max(float(difference.max()), 0.0) - min(float(difference.min()), 0.0)
    return max(length, NOISE_FLOOR * width)


def _report(
    climb: _Climb,
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
