"""Numba loops around the update: sample, act, quote, update, with no Python per step.

One call serves one seed; seeds run in threads. Run with ``NUMBA_DISABLE_JIT=1`` the same code is
plain Python and gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.compiled import borrowed, compiled
from batonq.icq import clocks, update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.clocks import Clock
from batonq.icq.record import TERMINAL
from batonq.smdp.durations import SLACK, Law
from batonq.smdp.model import FiniteICSMDP

FIXED, GEOMETRIC = int(Law.FIXED), int(Law.GEOMETRIC)
TABULATED = 1024  # durations whose discount is looked up rather than computed
ENTRY = np.dtype(
    [
        ("cumulative", np.float64),  # running sum of probability within the row
        ("successor", np.int64),
        ("law", np.int64),
        ("parameter", np.float64),  # steps, or -1 / log(1 - p), or number of a finite law
    ]
)
OUTCOME = np.dtype([("cumulative", np.float64), ("duration", np.int64)])


class Sampler(NamedTuple):
    """Transition kernel for sampling. Rows are numbered state * A + action."""

    indptr: Int[np.ndarray, " row_plus_one"]
    entries: np.ndarray  # dtype ENTRY
    law_indptr: Int[np.ndarray, " law_plus_one"]
    outcomes: np.ndarray  # dtype OUTCOME, the finite laws of durations


class Dynamics(NamedTuple):
    """A finite model prepared for sampling."""

    sampler: Sampler
    reward: Float[np.ndarray, "state action"]
    mask: Bool[np.ndarray, "state action"]
    holder: Int[np.ndarray, " state"]
    cell: Int[np.ndarray, " state"]
    initial_cumulative: Float[np.ndarray, " state"]
    powers: Float[np.ndarray, " duration"]  # gamma**tau for short durations
    gamma: float


class Sight(NamedTuple):
    """Which table, which row of it, and which clock serve the holder in each state."""

    table: Int[np.ndarray, " state"]
    row: Int[np.ndarray, " state"]
    clock_row: Int[np.ndarray, " state"]  # row of the array of local counts


_target = compiled(update.target)
_step = compiled(update.step)
_quote = compiled(update.quote)
_discount = compiled(update.discount)
_size = compiled(clocks.size)


def dynamics(model: FiniteICSMDP) -> Dynamics:
    """Prepare a model for sampling: running sums, rates of geometric laws, short discounts."""
    d = model.durations
    with np.errstate(divide="ignore"):
        rate = -1.0 / np.log1p(-np.where(d.law == GEOMETRIC, d.parameter, 0.5))
    entries = np.zeros(len(model.successor), ENTRY)
    entries["cumulative"] = _running(model.probability, model.indptr)
    entries["successor"] = model.successor
    entries["law"] = d.law
    entries["parameter"] = np.where(d.law == GEOMETRIC, rate, d.parameter)
    outcomes = np.zeros(len(d.pmf_duration), OUTCOME)
    outcomes["cumulative"] = _running(d.pmf_probability, d.pmf_indptr)
    outcomes["duration"] = d.pmf_duration
    return Dynamics(
        sampler=Sampler(model.indptr, entries, d.pmf_indptr, outcomes),
        reward=model.reward,
        mask=model.mask,
        holder=model.holder,
        cell=model.cell,
        initial_cumulative=np.cumsum(model.initial),
        powers=np.array([update.discount(model.gamma, tau) for tau in range(TABULATED)]),
        gamma=model.gamma,
    )


def _running(
    values: Float[np.ndarray, " entry"], indptr: Int[np.ndarray, " row_plus_one"]
) -> Float[np.ndarray, " entry"]:
    """Running sums within each row, added in the row's own order."""
    total = np.zeros(len(values))
    for offset in range(int(np.diff(indptr).max(initial=0))):
        at = indptr[:-1][np.diff(indptr) > offset] + offset
        total[at] = values[at] + (total[at - 1] if offset else 0.0)
    return total


@compiled
def first_state(initial_cumulative: Float[np.ndarray, " state"], rng: np.random.Generator) -> int:
    """Draw a state from the initial law. Takes one number from `rng`."""
    state = np.searchsorted(initial_cumulative, rng.random(), side="right")
    return min(int(state), len(initial_cumulative) - 1)


@compiled
def sample(sampler: Sampler, row: int, rng: np.random.Generator) -> tuple[int, int]:
    """Run the option of a kernel row; returns (next state, duration), or (-1, 1) on termination.

    Takes one number from `rng` for the successor and, unless the duration is fixed, one for it: a
    standard exponential if it is geometric (cheaper than a logarithm of a uniform), else a uniform.
    """
    indptr, entries, law_indptr, outcomes = sampler
    return draw(indptr, entries, law_indptr, outcomes, row, rng)


@compiled
def draw(
    indptr: Int[np.ndarray, " row_plus_one"],
    entries: np.ndarray,
    law_indptr: Int[np.ndarray, " law_plus_one"],
    outcomes: np.ndarray,
    row: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """`sample` on the bare arrays: a tuple of arrays unpacked per handoff would triple the cost."""
    start, stop = indptr[row], indptr[row + 1]
    u = rng.random()
    k = start
    for entry in range(start, stop):  # counted to the end: an early stop is mispredicted
        k += u >= entries[entry]["cumulative"]
    if k == stop:
        # A row that sums to 1 up to rounding never terminates.
        if stop == start or entries[stop - 1]["cumulative"] < 1.0 - SLACK:
            return -1, 1
        k = stop - 1
    one = entries[k]
    if one["law"] == FIXED:
        return one["successor"], int(one["parameter"])
    if one["law"] == GEOMETRIC:
        return one["successor"], 1 + int(rng.standard_exponential() * one["parameter"])
    u = rng.random()
    law = int(one["parameter"])
    outcome, last = law_indptr[law], law_indptr[law + 1] - 1
    while outcome < last and u >= outcomes[outcome]["cumulative"]:
        outcome += 1
    return one["successor"], outcomes[outcome]["duration"]


@compiled
def discount_of(powers: Float[np.ndarray, " duration"], gamma: float, duration: int) -> float:
    """gamma**tau, looked up when short."""
    if duration < len(powers):
        return float(powers[duration])
    return _discount(gamma, float(duration))


@compiled
def play(
    d: Dynamics,
    sight: Sight,
    tables: Sequence[Float[np.ndarray, "row action"]],
    answers: Sequence[Float[np.ndarray, "row action"]],
    counts: Int[np.ndarray, "clock_row action"],
    clock: Clock,
    behaviour: Behaviour,
    frozen: bool,
    learn: bool,
    silent: bool,
    state: int,
    handoffs: int,
    trace: np.ndarray,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Play `handoffs` decision epochs from `state`, learning on the way.

    Returns the last state and how many quotes crossed from one table's owner to another's.

    Args:
        d: the model.
        sight: where each state's holder keeps its values.
        tables: a numba.typed.List of separately allocated arrays of values; updated in place.
        answers: what agents act on and quote from: `tables` itself on-line, a frozen copy in a
            phase (so that the behaviour is frozen too).
        counts: local clocks, updated in place.
        clock: step sizes.
        behaviour: how actions are drawn.
        frozen: whether `answers` is a copy; if not, one look-up of a table less is needed.
        learn: whether to update at all.
        silent: the baseline in which nothing crosses: quotes between different agents are 0.
        state: where to start.
        handoffs: how many epochs to play.
        trace: structured array of dtype `TRACE`; filled if it is not empty.
        rng: the seed's generator.
    """
    indptr, law_indptr = borrowed(d.sampler.indptr), borrowed(d.sampler.law_indptr)
    entries, outcomes = borrowed(d.sampler.entries), borrowed(d.sampler.outcomes)
    reward, mask, holder = borrowed(d.reward), borrowed(d.mask), borrowed(d.holder)
    powers, gamma = borrowed(d.powers), d.gamma
    initial_cumulative, clocks_of = borrowed(d.initial_cumulative), borrowed(counts)
    table_of, row_of, clock_row = (
        borrowed(sight.table),
        borrowed(sight.row),
        borrowed(sight.clock_row),
    )
    learning = [borrowed(table) for table in tables]
    answering = [borrowed(table) for table in answers]
    crossed = 0
    values = answering[table_of[state]]
    for k in range(handoffs):
        row = row_of[state]
        action, propensity = choose(values, row, mask, state, behaviour, rng)
        at = state * mask.shape[1] + action
        following, duration = draw(indptr, entries, law_indptr, outcomes, at, rng)
        ended = following < 0
        if ended:
            following = first_state(initial_cumulative, rng)
        before = values
        values = answering[table_of[following]]
        quote = 0.0
        if not ended and not (silent and holder[following] != holder[state]):
            quote = _quote(values, row_of[following], mask, following)
            crossed += table_of[following] != table_of[state]
        if learn:
            clock_at = clock_row[state]
            clocks_of[clock_at, action] += 1
            size = _size(clock, clocks_of[clock_at, action])
            worth = _target(reward[state, action], discount_of(powers, gamma, duration), quote)
            table = learning[table_of[state]] if frozen else before
            table[row, action] = _step(table[row, action], worth, size)
        if len(trace) > 0:
            trace[k]["agent"] = holder[state]
            trace[k]["cell"] = d.cell[state]
            trace[k]["action"] = action
            trace[k]["propensity"] = propensity
            trace[k]["reward"] = reward[state, action]
            trace[k]["duration"] = duration
            trace[k]["receiver"] = -1 if ended else holder[following]
            trace[k]["end"] = TERMINAL if ended else 0
            trace[k]["quote"] = quote
        state = following
    return state, crossed


@compiled
def learn_returns(
    d: Dynamics,
    tables: Sequence[Float[np.ndarray, "row action"]],
    row: Int[np.ndarray, " cell"],
    counts: Int[np.ndarray, "cell action"],
    clock: Clock,
    trace: np.ndarray,
    negligible: float,
) -> None:
    """Monte Carlo: move every agent's value toward the return that followed, backwards.

    Epochs at the end of the trace whose return still lacks a part discounted by more than
    `negligible` are passed over.
    """
    value, missing = 0.0, 1.0
    for back in range(len(trace)):
        one = trace[len(trace) - 1 - back]
        discount = discount_of(d.powers, d.gamma, one["duration"])
        if one["end"] == TERMINAL:
            value, missing = 0.0, 0.0
        value = _target(one["reward"], discount, value)
        missing *= discount
        if missing <= negligible:
            counts[one["cell"], one["action"]] += 1
            size = _size(clock, counts[one["cell"], one["action"]])
            table = tables[one["agent"]]
            at = row[one["cell"]]
            table[at, one["action"]] = _step(table[at, one["action"]], value, size)
