"""Phases of frozen answers on a finite model: how long they are, and playing one.

In a phase nobody's answers move, so that a sample is the same whether its option ran alone or
beside others, as long as samples are listed by the start of their options (theory, section 5). Here
one stream runs, whose every option ends before the next starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.bound.concentration import Moments
from batonq.bound.sandwich_kernels import gather
from batonq.icq.behaviour import Behaviour
from batonq.icq.kernels import Dynamics, dynamics, first_state
from batonq.smdp.model import FiniteICSMDP

FIRST_PHASE: Final = 40  # handoffs a pair in the first phase; fewer certify nothing
SLOWEST_GROWTH: Final = 1.02


def lengths(handoffs: int, n_pairs: int, contraction: float) -> list[int]:
    """Handoffs of each phase, growing as contraction**(-2/3); they sum to `handoffs`.

    An error made in a phase is worth contraction times less after each later one, which makes
    N_l ~ contraction**(2 (L - 1 - l) / 3) the best split of sum_l contraction**(L-1-l) / sqrt(N_l).
    Any contraction will do: a bad guess costs width, not validity. Theory, section 4.

    Args:
        handoffs: in all phases together.
        n_pairs: permitted (cell, action) pairs.
        contraction: a guess of the average contraction, in [0, 1].

    Raises:
        ModelError: if there are too few handoffs for one phase, or the contraction is out of range.
    """
    if not 0 <= contraction <= 1:
        raise ModelError(f"certificate: contraction {contraction:g} is not in [0, 1]")
    shortest = FIRST_PHASE * n_pairs
    if handoffs < shortest:
        raise ModelError(
            f"certificate: {handoffs} handoffs for {n_pairs} pairs; give at least {shortest}"
        )
    growth = max(max(contraction, 0.1) ** (-2 / 3), SLOWEST_GROWTH)
    count = int(np.log1p(handoffs * (growth - 1) / shortest) / np.log(growth))
    return split(handoffs, growth ** np.arange(max(count, 1)))


def split(handoffs: int, shares: Float[np.ndarray, " phase"]) -> list[int]:
    """Whole numbers in proportion to `shares` that sum to `handoffs`."""
    ends = np.rint(np.cumsum(shares) / np.sum(shares) * handoffs).astype(np.int64)
    return [int(length) for length in np.diff(ends, prepend=0)]


@dataclass
class Stream:
    """One stream of handoffs on a finite model, which goes on from phase to phase.

    Attributes:
        model: the model.
        prepared: the same, ready for sampling.
        behaviour: how actions are drawn.
        rng: source of all that is random.
        state: where it stands.
        played: handoffs so far.
    """

    model: FiniteICSMDP
    prepared: Dynamics
    behaviour: Behaviour
    rng: np.random.Generator
    state: int
    played: int = 0

    def phase(
        self,
        handoffs: int,
        answers: list[Float[np.ndarray, " cell"]],
        guesses: list[Float[np.ndarray, "cell action"]],
        acted_on: Float[np.ndarray, "cell action"],
        paid: bool | tuple[bool, ...] = True,
    ) -> list[Moments]:
        """Play a phase; returns the moments of each scalar's targets, by (cell, action).

        Args:
            handoffs: how many.
            answers: for each scalar, what the receiver of a cell answers.
            guesses: for each scalar, guesses of the means within the range of the samples.
            acted_on: table that the behaviour acts on.
            paid: whether targets hold the reward, R + gamma**tau v, or are gamma**tau v alone; one
                for all scalars or one each.
        """
        shape = (*self.model.cell_mask.shape, len(answers))
        count = np.zeros(shape[:2], np.int64)
        mean, spread = np.zeros(shape), np.zeros(shape)
        self.state = gather(
            self.prepared,
            np.array(answers),
            np.broadcast_to(np.asarray(paid, np.float64), (len(answers),)).copy(),
            np.ascontiguousarray(np.stack(guesses, axis=-1)),
            np.ascontiguousarray(acted_on),
            self.behaviour,
            self.state,
            handoffs,
            count,
            mean,
            spread,
            self.rng,
        )
        self.played += handoffs
        return [Moments(count, mean[..., k], spread[..., k]) for k in range(len(answers))]


def stream(model: FiniteICSMDP, behaviour: Behaviour, seed: int) -> Stream:
    """A stream of handoffs that starts from the model's initial law."""
    prepared, rng = dynamics(model), generator(seed)
    return Stream(
        model, prepared, behaviour, rng, int(first_state(prepared.initial_cumulative, rng))
    )


def best_of(
    model: FiniteICSMDP, table: Float[np.ndarray, "cell action"]
) -> Float[np.ndarray, " cell"]:
    """What the holder of each cell answers: its largest permitted value."""
    largest: np.ndarray = np.where(model.cell_mask, table, -np.inf).max(axis=1)
    return largest
