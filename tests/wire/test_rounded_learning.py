"""What rounding the quotes does to what is learnt, on two agents that hand to and fro."""

from __future__ import annotations

import numpy as np
import pytest

from batonq.icq import clocks, update
from batonq.wire.scalar import Scalar, decode, encode, rounding_term

GAMMA, CELLS, ACTIONS, SEEDS, HANDOFFS = 0.9, 6, 2, 3, 20_000
LOW, HIGH = -1.0, 2.0
EXACT = Scalar(LOW, HIGH, 64, "exact")
FOUR_STOCHASTIC = Scalar(LOW, HIGH, 4, "stochastic")
TWO_STOCHASTIC = Scalar(LOW, HIGH, 2, "stochastic")
TWO_NEAREST = Scalar(LOW, HIGH, 2)
EVERY = np.ones((1, ACTIONS), bool)


class Toy:
    """Six cells, three of each agent; every action leads to a random cell of the other agent."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.chance = np.zeros((CELLS, ACTIONS, CELLS))
        for cell in range(CELLS):
            other = slice(3, 6) if cell < 3 else slice(0, 3)
            self.chance[cell, :, other] = rng.dirichlet(np.ones(3), ACTIONS)
        self.duration = rng.integers(1, 4, (CELLS, ACTIONS))
        self.reward = rng.uniform(-0.1, 0.2, (CELLS, ACTIONS))  # so that |Q| fits into the range

    def optimal(self, scalar: Scalar = EXACT) -> np.ndarray:
        """Fixed point of the expected update, each quote rounded; a late iterate of it."""
        q = np.zeros((CELLS, ACTIONS))
        for _ in range(400):  # 0.9^400 < 1e-18
            quotes = np.array([mean_decoded(scalar, float(v)) for v in q.max(axis=1)])
            q = self.reward + GAMMA**self.duration * (self.chance @ quotes)
        return q

    def learnt(self, scalar: Scalar, seed: int) -> np.ndarray:
        """IC-Q from uniform behaviour, every quote through `scalar`."""
        rng = np.random.default_rng(seed)
        draws = rng.random((HANDOFFS, 3))
        ladder = self.chance.cumsum(axis=2)
        clock = clocks.rescaled_linear(GAMMA)
        q, n, cell = np.zeros((CELLS, ACTIONS)), np.zeros((CELLS, ACTIONS), int), 0
        for which, where, u in draws:
            action = int(which * ACTIONS)
            after = min(int(ladder[cell, action].searchsorted(where)), CELLS - 1)
            value = float(update.quote(q, after, EVERY, 0))
            quote = decode(scalar, encode(scalar, value, u))
            discount = update.discount(GAMMA, float(self.duration[cell, action]))
            worth = update.target(float(self.reward[cell, action]), discount, quote)
            n[cell, action] += 1
            size = clocks.size(clock, int(n[cell, action]))
            q[cell, action] = update.step(float(q[cell, action]), worth, size)
            cell = after
        return q


TOYS = [Toy(seed) for seed in range(SEEDS)]


def mean_decoded(scalar: Scalar, value: float) -> float:
    """What a quote of `value` is read as, in the mean over the rounding."""
    if scalar.rounding != "stochastic":
        return decode(scalar, encode(scalar, value, 0.5))
    us = (np.arange(256) + 0.5) / 256
    return float(np.mean([decode(scalar, encode(scalar, value, float(u))) for u in us]))


@pytest.mark.parametrize("toy", TOYS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12])
def test_rounding_moves_the_fixed_point_by_no_more_than_the_term(toy: Toy, bits: int) -> None:
    scalar = Scalar(LOW, HIGH, bits)
    moved = np.abs(toy.optimal(scalar) - toy.optimal()).max()
    assert moved <= rounding_term(scalar, GAMMA)  # every duration is at least 1: beta <= gamma


@pytest.mark.parametrize("toy", TOYS)
def test_stochastic_rounding_leaves_the_fixed_point(toy: Toy) -> None:
    # 256 draws on a grid give the mean to 1/512 of a spacing of 1; by the term that moves 9/512.
    assert np.abs(toy.optimal(TWO_STOCHASTIC) - toy.optimal()).max() <= 9 / 512


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_learning_by_rounded_quotes_is_off_by_no_more_than_the_term(bits: int) -> None:
    # With the same draws a difference d of two tables becomes at most gamma (Delta/2 + d) in every
    # update, so it never leaves the term: pathwise, without statistics.
    toy, scalar = Toy(0), Scalar(LOW, HIGH, bits)
    moved = np.abs(toy.learnt(scalar, 7) - toy.learnt(EXACT, 7)).max()
    assert moved <= rounding_term(scalar, GAMMA)


def test_few_bits_are_enough_if_rounded_stochastically() -> None:
    error = {
        scalar: np.mean([np.abs(toy.learnt(scalar, 7) - toy.optimal()).max() for toy in TOYS])
        for scalar in (EXACT, FOUR_STOCHASTIC, TWO_STOCHASTIC, TWO_NEAREST)
    }
    # Its noise has at most gamma Delta / 2 = 0.09 per target. A pair is updated some 1,667 times
    # with steps of 1 / (1 + n / 10): that leaves 10 x 0.09 / sqrt(1667) = 0.022; five times that.
    assert error[FOUR_STOCHASTIC] <= error[EXACT] + 0.11
    # The bias of two bits to the nearest stays; the noise of two stochastic ones averages out.
    assert error[TWO_STOCHASTIC] < error[TWO_NEAREST] / 3
