"""Numba loop of the variants: rounds whose answers are given late, with a bonus, averaged.

Sampling, acting and the update are those of `kernels` and `update`. In rounds of one handoff,
without a bonus, the tables are those of plain IC-Q, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, compiled
from batonq.icq import clocks, update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.clocks import Clock
from batonq.icq.kernels import Dynamics, Sight, discount_of, draw, first_state
from batonq.icq.record import NOT_ENDED, TERMINAL

_target = compiled(update.target)
_step = compiled(update.step)
_quote = compiled(update.quote)
_size = compiled(clocks.size)


Arrays = Sequence[Float[np.ndarray, "row action"]]  # one an agent, or another owner


class Form(NamedTuple):
    """A variant as numbers for the kernel; `variants.Variant` explains them."""

    wait: int
    decay: float
    bonus: float
    average: float  # below 0: none


class Owned(NamedTuple):
    """Every agent's arrays, each a numba.typed.List of separately allocated ones."""

    tables: Arrays  # what is learnt
    answers: Arrays  # acted on and quoted: with the bonus
    means: Arrays  # running means of what is learnt


@compiled
def play_rounds(
    d: Dynamics,
    sight: Sight,
    owned: Owned,
    counts: Int[np.ndarray, "clock_row action"],
    clock: Clock,
    behaviour: Behaviour,
    form: Form,
    state: int,
    trace: np.ndarray,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Play one decision epoch for each entry of `trace` from `state`, learning round by round.

    Random numbers are drawn in the order of `kernels.play`. Returns the last state and how many
    quotes crossed from one table's owner to another's.

    Args:
        d: the model.
        sight: where each state's holder keeps its values.
        owned: everybody's arrays, updated in place.
        counts: local clocks, updated in place.
        clock: step sizes.
        behaviour: how actions are drawn.
        form: the variant.
        state: where to start.
        trace: structured array of dtype `record.TRACE`, filled; the last round ends with it.
        rng: the seed's generator.
    """
    indptr, law_indptr = borrowed(d.sampler.indptr), borrowed(d.sampler.law_indptr)
    entries, outcomes = borrowed(d.sampler.entries), borrowed(d.sampler.outcomes)
    mask, holder, cell = borrowed(d.mask), borrowed(d.holder), borrowed(d.cell)
    table_of, row_of, reward = borrowed(sight.table), borrowed(sight.row), borrowed(d.reward)
    learning = [borrowed(table) for table in owned.tables]
    answering = [borrowed(answers) for answers in owned.answers]
    averaging = [borrowed(mean) for mean in owned.means]
    states = np.zeros(form.wait, np.int64)  # of the open round
    crossed, held = 0, 0
    for k in range(len(trace)):
        values = answering[table_of[state]]
        action, propensity = choose(values, row_of[state], mask, state, behaviour, rng)
        at = state * mask.shape[1] + action
        following, duration = draw(indptr, entries, law_indptr, outcomes, at, rng)
        ended = following < 0
        one = trace[k]
        one["agent"], one["cell"], one["action"] = holder[state], cell[state], action
        one["propensity"], one["reward"] = propensity, reward[state, action]
        one["duration"], one["quote"] = duration, 0.0
        one["receiver"] = -1 if ended else holder[following]
        one["end"] = TERMINAL if ended else NOT_ENDED
        states[held] = state
        held += 1
        state = first_state(d.initial_cumulative, rng) if ended else following
        if ended or held == form.wait or k + 1 == len(trace):
            late = 0.0
            if not ended:  # the last receiver of the round answers at once
                late = _quote(answering[table_of[state]], row_of[state], mask, state)
                crossed += table_of[state] != table_of[states[held - 1]]
            crossed += _close(
                d,
                sight,
                (learning, answering, averaging),
                counts,
                clock,
                form,
                states[:held],
                trace[: k + 1],
                late,
            )
            held = 0
    return state, crossed


@compiled
def _close(
    d: Dynamics,
    sight: Sight,
    arrays: tuple[Arrays, Arrays, Arrays],
    counts: Int[np.ndarray, "clock_row action"],
    clock: Clock,
    form: Form,
    states: Int[np.ndarray, " held"],
    trace: np.ndarray,
    late: float,
) -> int:
    """Close a round, last holder first: it is answered, learns, and answers whom it got it from.

    Returns how many of these answers crossed.

    Args:
        d: the model.
        sight: where each state's holder keeps its values.
        arrays: everybody's tables, answers and means.
        counts: local clocks.
        clock: step sizes.
        form: the variant.
        states: those of the round.
        trace: ends with the round; what each was answered is filled in.
        late: what the last holder is answered; 0 after termination.
    """
    table_of, row_of = borrowed(sight.table), borrowed(sight.row)
    clock_row, clocks_of = borrowed(sight.clock_row), borrowed(counts)
    mask, powers = borrowed(d.mask), borrowed(d.powers)
    learning, answering, averaging = arrays
    crossed = 0
    for back in range(len(states)):
        state, one = states[len(states) - 1 - back], trace[len(trace) - 1 - back]
        owner, at, clock_at = table_of[state], row_of[state], clock_row[state]
        table, answers, action = learning[owner], answering[owner], one["action"]
        one["quote"] = late
        worth = _target(one["reward"], discount_of(powers, d.gamma, one["duration"]), late)
        greedy = answers[at, action] >= _quote(answers, at, mask, state)
        clocks_of[clock_at, action] += 1
        n = clocks_of[clock_at, action]
        table[at, action] = _step(table[at, action], worth, _size(clock, n))
        answers[at, action] = table[at, action] + form.bonus / math.sqrt(1.0 + n)
        if form.average >= 0.0:
            mean, share = averaging[owner], (1.0 + form.average) / (n + form.average)
            mean[at, action] = _step(mean[at, action], table[at, action], share)
        if back + 1 < len(states):
            late = _quote(answers, at, mask, state)
            if greedy:
                late = _step(late, worth, form.decay)
            crossed += owner != table_of[states[len(states) - 2 - back]]
    return crossed
