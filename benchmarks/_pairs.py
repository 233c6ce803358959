"""Variants that hold two tables a cell, for the comparison in `variants`.

One number crosses per handoff in each. Arrays are over all cells; an agent touches the rows of its
own cells only. Where a coin says which table learns, sender and receiver both derive it from the
handoff's number, so that nothing more has to cross.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.compiled import compiled
from batonq.icq import clocks, update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.clocks import Clock
from batonq.icq.kernels import Dynamics, discount_of, draw, first_state

DOUBLE: Final = 0  # one table picks the receiver's action, the other says what it is worth
RICHARDSON: Final = 1  # two learners, one with twice the step, each with its own quotes
REFERENCE: Final = 2  # frozen answers from the reference; targets are averaged into the base
CENTRED: Final = 3  # the quote is the difference to the reference, added to the base

_target = compiled(update.target)
_step = compiled(update.step)
_quote = compiled(update.quote)
_size = compiled(clocks.size)


@compiled
def play_pair(
    d: Dynamics,
    rule: int,
    tables: Float[np.ndarray, "table cell action"],
    counts: Int[np.ndarray, "2 cell action"],
    clock: Clock,
    behaviour: Behaviour,
    average: float,
    state: int,
    handoffs: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Play `handoffs` epochs from `state`; returns the last state and the quotes that crossed.

    Args:
        d: the model; a cell's states permit the same actions.
        rule: one of the above.
        tables: five. The two that learn (for centring: the iterate and the reference); for double
            Q and Richardson the running mean of each (for centring: the base, and one unused);
            last what is acted on.
        counts: local clocks of the two tables.
        clock: step sizes; Richardson's second table doubles them, up to 1.
        behaviour: how actions are drawn.
        average: running means have weights (1 + average) / (n + average).
        state: where to start.
        handoffs: how many epochs.
        rng: the seed's generator.
    """
    indptr, entries, law_indptr, outcomes = d.sampler
    n_actions = d.mask.shape[1]
    acted = tables[4]
    crossed = 0
    for _ in range(handoffs):
        cell = d.cell[state]
        action, _chance = choose(acted, cell, d.mask, state, behaviour, rng)
        at = state * n_actions + action
        following, duration = draw(indptr, entries, law_indptr, outcomes, at, rng)
        side = 1 if rule <= RICHARDSON and rng.random() < 0.5 else 0
        ended = following < 0
        if ended:
            following = first_state(d.initial_cumulative, rng)
        quote = 0.0
        if not ended:
            quote = _answer(tables, rule, side, d.cell[following], d.mask, following)
            crossed += d.holder[following] != d.holder[state]
        reward = tables[2, cell, action] if rule == CENTRED else d.reward[state, action]
        worth = _target(reward, discount_of(d.powers, d.gamma, duration), quote)
        counts[side, cell, action] += 1
        n = counts[side, cell, action]
        size = _size(clock, n)
        if rule == RICHARDSON and side == 1:
            size = min(1.0, 2.0 * size)
        learning = tables[2] if rule == REFERENCE else tables[side]
        learning[cell, action] = _step(learning[cell, action], worth, size)
        if rule <= RICHARDSON:
            mean = tables[2 + side]
            weight = (1.0 + average) / (n + average)
            mean[cell, action] = _step(mean[cell, action], learning[cell, action], weight)
        one, two = tables[0, cell, action], tables[1, cell, action]
        if rule == DOUBLE:
            acted[cell, action] = (one + two) / 2.0
        elif rule == RICHARDSON:
            acted[cell, action] = 2.0 * one - two
        elif rule == CENTRED:
            acted[cell, action] = one
        state = following
    return state, crossed


@compiled
def _answer(
    tables: Float[np.ndarray, "table cell action"],
    rule: int,
    side: int,
    cell: int,
    mask: Bool[np.ndarray, "state action"],
    state: int,
) -> float:
    """The receiver's one number."""
    if rule == DOUBLE:
        best = _quote(tables[side], cell, mask, state)
        for action in range(mask.shape[1]):
            if mask[state, action] and tables[side, cell, action] == best:
                return float(tables[1 - side, cell, action])
    if rule == RICHARDSON:
        return _quote(tables[side], cell, mask, state)
    if rule == REFERENCE:
        return _quote(tables[1], cell, mask, state)
    return _quote(tables[0], cell, mask, state) - _quote(tables[1], cell, mask, state)


Table = Float[np.ndarray, "cell action"]


def pair_learner(
    d: Dynamics,
    cells: int,
    rule: int,
    clock: Clock,
    behaviour: Behaviour,
    rng: np.random.Generator,
    *,
    initial: float = 0.0,
    average: float | None = None,
    first: int = 0,
    growth: float = 1.0,
) -> Callable[[int], tuple[Table, int]]:
    """A learner by one of the rules: given a number of handoffs, it plays on until it has them.

    It then returns its table and how many quotes have crossed so far.

    Args:
        d: the model.
        cells: number of its cells.
        rule: `DOUBLE`, `RICHARDSON` or `CENTRED`.
        clock: step sizes.
        behaviour: how actions are drawn.
        rng: the seed's generator.
        initial: value of everything at the start.
        average: weights of the running means; None to take the last values.
        first: handoffs of the first phase of centring; every second phase is a reference phase.
        growth: how much longer the next reference phase is, and the centred one after it.
    """
    tables = np.full((5, cells, d.mask.shape[1]), initial)
    counts = np.zeros((2, *tables.shape[1:]), np.int64)
    phases = _phases(first, growth) if rule == CENTRED else iter([(rule, np.iinfo(np.int64).max)])
    now, left = next(phases)
    state, done, crossed = first_state(d.initial_cumulative, rng), 0, 0

    def play_on(stop: int) -> tuple[Table, int]:
        nonlocal now, left, state, done, crossed
        while done < stop:
            handoffs = min(left, stop - done)
            size = clocks.sample_mean() if now == REFERENCE else clock
            state, more = play_pair(
                d, now, tables, counts, size, behaviour, average or 0.0, state, handoffs, rng
            )
            done, left, crossed = done + handoffs, left - handoffs, crossed + more
            if left == 0:
                now, left = next(phases)
                counts[:] = 0
                if now == REFERENCE:
                    tables[1:3] = tables[0]  # what is not met keeps its value
        one, two = tables[:2] if average is None else tables[2:4]
        if rule == DOUBLE:
            return (one + two) / 2, crossed
        return (2 * one - two if rule == RICHARDSON else tables[0]), crossed

    return play_on


def _phases(first: int, growth: float) -> Iterator[tuple[int, int]]:
    """Rule and length of each phase of centring, without end."""
    length = float(first)
    while True:
        yield REFERENCE, round(length)
        yield CENTRED, round(length)
        length *= growth
