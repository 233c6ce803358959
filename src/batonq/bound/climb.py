"""Theorem S played on a finite model: the two tables on their way, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float

from batonq.bound.concentration import prior, radius
from batonq.bound.phases import Stream, best_of, split
from batonq.bound.premises import oscillation_of
from batonq.bound.sandwich_step import Reference, Side, sandwich_phase

Table: TypeAlias = Float[np.ndarray, "cell action"]

# When and how to recentre, found on models of three families; any values are valid.
WARM_UP: Final = 0.15  # share of the handoffs after which it may start
WIDE: Final = 0.6  # share of the range that the widest interval must have fallen below
SETTLING: Final = (1.5, 3.0)  # least and most phases of differences, for each 1 / (1 - contraction)
VISITS: Final = 50.0  # least handoffs a pair in each of them, for each 1 / (1 - contraction)
PLENTY: Final = 5.0  # times the least they are given before the reference phase gets more than half
REFERENCE: Final = (0.5, 0.85)  # least and most share of the reference phase in what is left
NOISE_FLOOR: Final = 1e-9  # relative; keeps quotients finite where targets do not vary


@dataclass
class Climb:
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
