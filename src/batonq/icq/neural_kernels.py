"""Numba loops of neural IC-Q: value, semi-gradient, projection, and a stream of handoffs.

A two-layer network is kept as an array of d by m weights, so that every loop runs over its m
neurons, side by side in memory. Sums are reordered to use the whole width of the processor
(`compiled.summing`); the arithmetic of the update itself is that of `icq.update`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, compiled, summing
from batonq.icq import clocks, update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.clocks import Clock
from batonq.icq.kernels import Dynamics, Sight, discount_of, draw, first_state
from batonq.icq.record import TERMINAL

GROUP = 4  # features that the loops take at a time; inputs are padded with zeros to a multiple

_target = compiled(update.target)
_step = compiled(update.step)
_quote = compiled(update.quote)
_size = compiled(clocks.size)


@summing
def output(
    weights: Float[np.ndarray, "action feature neuron"],
    signs: Float[np.ndarray, "action neuron"],
    action: int,
    inputs: Float[np.ndarray, "row feature"],
    row: int,
    reach: Float[np.ndarray, " neuron"],
) -> float:
    """m^-1/2 sum_r b_r relu(w_r . x), not centred; `reach` is filled with w_r . x.

    Features are taken `GROUP` at a time, which saves most of the traffic of partial sums; the last
    group and the sum over neurons are one loop.
    """
    width = weights.shape[2]
    last = weights.shape[1] - GROUP
    reach[:] = 0.0
    for group in range(last // GROUP):
        i = GROUP * group
        x0, x1, x2, x3 = inputs[row, i], inputs[row, i + 1], inputs[row, i + 2], inputs[row, i + 3]
        for r in range(width):
            reach[r] += (
                weights[action, i, r] * x0
                + weights[action, i + 1, r] * x1
                + weights[action, i + 2, r] * x2
                + weights[action, i + 3, r] * x3
            )
    x0, x1 = inputs[row, last], inputs[row, last + 1]
    x2, x3 = inputs[row, last + 2], inputs[row, last + 3]
    total = 0.0
    for r in range(width):
        product = reach[r] + (
            weights[action, last, r] * x0
            + weights[action, last + 1, r] * x1
            + weights[action, last + 2, r] * x2
            + weights[action, last + 3, r] * x3
        )
        reach[r] = product
        total += signs[action, r] * max(product, 0.0)
    return total / math.sqrt(width)


@summing
def shift(
    weights: Float[np.ndarray, "action feature neuron"],
    start: Float[np.ndarray, "action feature neuron"],
    signs: Float[np.ndarray, "action neuron"],
    action: int,
    inputs: Float[np.ndarray, "row feature"],
    row: int,
    reach: Float[np.ndarray, " neuron"],
    move: float,
    radius: float,
    length: Float[np.ndarray, " neuron"],
) -> None:
    """Add `move` times the gradient of the output at x, then project every neuron to its ball.

    Args:
        weights: changed in place.
        start: weights at the start, the centres of the balls.
        signs: b, +1 or -1.
        action: whose network.
        inputs: inputs of length 1.
        row: which of them is x.
        reach: w_r . x, as `output` left it; used up.
        move: step size times temporal difference.
        radius: of each neuron's ball, omega / sqrt(m).
        length: room for one number a neuron.
    """
    n_features, width = weights.shape[1], weights.shape[2]
    scale, square = move / math.sqrt(width), radius * radius
    for r in range(width):  # a choice, not a branch: gates cannot be predicted
        reach[r] = scale * signs[action, r] if reach[r] > 0.0 else 0.0
        length[r] = 0.0
    outside = 0
    for group in range(n_features // GROUP):
        # Unsigned of 32 bits, so that the compiler tests for overlap row by row: over all rows
        # together, where i is linear in `group`, the test fails and nothing is vectorised.
        i = np.uint32(GROUP * group)
        x0, x1, x2, x3 = inputs[row, i], inputs[row, i + 1], inputs[row, i + 2], inputs[row, i + 3]
        outside = 0
        for r in range(width):
            push, before = reach[r], length[r]
            w0 = weights[action, i, r] + push * x0
            w1 = weights[action, i + 1, r] + push * x1
            w2 = weights[action, i + 2, r] + push * x2
            w3 = weights[action, i + 3, r] + push * x3
            weights[action, i, r] = w0
            weights[action, i + 1, r] = w1
            weights[action, i + 2, r] = w2
            weights[action, i + 3, r] = w3
            total = before + (
                (w0 - start[action, i, r]) ** 2
                + (w1 - start[action, i + 1, r]) ** 2
                + (w2 - start[action, i + 2, r]) ** 2
                + (w3 - start[action, i + 3, r]) ** 2
            )
            length[r] = total
            outside += total > square
    if outside == 0:
        return
    for r in range(width):
        length[r] = radius / math.sqrt(length[r]) if length[r] > square else 1.0
    for feature in range(n_features):
        for r in range(width):
            centre = start[action, feature, r]
            weights[action, feature, r] = centre + length[r] * (
                weights[action, feature, r] - centre
            )


@summing
def learn(
    offset: Float[np.ndarray, "row action"],
    weights: Float[np.ndarray, "action feature neuron"],
    start: Float[np.ndarray, "action feature neuron"],
    signs: Float[np.ndarray, "action neuron"],
    action: int,
    inputs: Float[np.ndarray, "row feature"],
    row: int,
    target: float,
    size: float,
    radius: float,
    reach: Float[np.ndarray, " neuron"],
    length: Float[np.ndarray, " neuron"],
) -> None:
    """Move one value toward `target` by one projected semi-gradient step of `size`.

    The value is the output plus `offset`; the other arguments are those of `shift`.
    """
    before = offset[row, action] + output(weights, signs, action, inputs, row, reach)
    move = _step(before, target, size) - before
    shift(weights, start, signs, action, inputs, row, reach, move, radius, length)


@summing
def fill(
    table: Float[np.ndarray, "row action"],
    offset: Float[np.ndarray, "row action"],
    weights: Float[np.ndarray, "action feature neuron"],
    signs: Float[np.ndarray, "action neuron"],
    inputs: Float[np.ndarray, "row feature"],
    row: int,
    reach: Float[np.ndarray, " neuron"],
) -> None:
    """Write the values of all actions at one row into `table`."""
    for action in range(weights.shape[0]):
        table[row, action] = offset[row, action] + output(
            weights, signs, action, inputs, row, reach
        )


@summing
def fill_all(
    table: Float[np.ndarray, "row action"],
    offset: Float[np.ndarray, "row action"],
    weights: Float[np.ndarray, "action feature neuron"],
    signs: Float[np.ndarray, "action neuron"],
    inputs: Float[np.ndarray, "row feature"],
) -> None:
    """Write the values of all actions at all rows into `table`."""
    reach = np.empty(weights.shape[2])
    for row in range(len(table)):
        fill(table, offset, weights, signs, inputs, row, reach)


@summing
def play_nets(
    d: Dynamics,
    sight: Sight,
    tables: Sequence[Float[np.ndarray, "row action"]],
    offsets: Sequence[Float[np.ndarray, "row action"]],
    weights: Sequence[Float[np.ndarray, "action feature neuron"]],
    starts: Sequence[Float[np.ndarray, "action feature neuron"]],
    signs: Sequence[Float[np.ndarray, "action neuron"]],
    inputs: Sequence[Float[np.ndarray, "row feature"]],
    counts: Int[np.ndarray, "clock_row action"],
    updates: Int[np.ndarray, "agent action"],
    clock: Clock,
    radius: float,
    behaviour: Behaviour,
    frozen: bool,
    state: int,
    handoffs: int,
    trace: np.ndarray,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Play `handoffs` decision epochs from `state`, the agents' networks learning on the way.

    Draws in the order of `kernels.play`. Returns the last state and how many quotes crossed.

    Args:
        d: the model.
        sight: which agent and which of its rows each state is.
        tables: what agents act on and quote from: if `frozen`, values of the networks as they
            were when the phase started; else brought up to date wherever they are about to be
            read.
        offsets: what to add to the outputs: minus those at the start, plus the initial value.
        weights: updated in place.
        starts: weights at the start.
        signs: b of every neuron.
        inputs: input of every row, of length 1.
        counts: updates per cell and action, increased in place.
        updates: updates per network, its local clock, increased in place.
        clock: step sizes.
        radius: of each neuron's ball, omega / sqrt(m).
        behaviour: how actions are drawn.
        frozen: whether quotes stay those of the phase's start.
        state: where to start.
        handoffs: how many epochs to play.
        trace: structured array of dtype `TRACE`; filled if it is not empty.
        rng: the seed's generator.
    """
    indptr, law_indptr = borrowed(d.sampler.indptr), borrowed(d.sampler.law_indptr)
    entries, outcomes = borrowed(d.sampler.entries), borrowed(d.sampler.outcomes)
    mask, powers = borrowed(d.mask), borrowed(d.powers)
    table_of, row_of = borrowed(sight.table), borrowed(sight.row)
    answering = [borrowed(one) for one in tables]
    offset_of = [borrowed(one) for one in offsets]
    weights_of = [borrowed(one) for one in weights]
    start_of = [borrowed(one) for one in starts]
    signs_of = [borrowed(one) for one in signs]
    inputs_of = [borrowed(one) for one in inputs]
    width = weights_of[0].shape[2]
    reach_kept, length_kept = np.empty(width), np.empty(width)
    reach, length = borrowed(reach_kept), borrowed(length_kept)
    crossed = 0
    fresh = False
    for k in range(handoffs):
        own, row = table_of[state], row_of[state]
        values, net, sign, seen = answering[own], weights_of[own], signs_of[own], inputs_of[own]
        if not (frozen or fresh):
            fill(values, offset_of[own], net, sign, seen, row, reach)
        action, propensity = choose(values, row, mask, state, behaviour, rng)
        at = state * mask.shape[1] + action
        following, duration = draw(indptr, entries, law_indptr, outcomes, at, rng)
        ended = following < 0
        if ended:
            following = first_state(d.initial_cumulative, rng)
        quote = 0.0
        if not ended:
            other, there = table_of[following], row_of[following]
            if not frozen:
                fill(
                    answering[other],
                    offset_of[other],
                    weights_of[other],
                    signs_of[other],
                    inputs_of[other],
                    there,
                    reach,
                )
            quote = _quote(answering[other], there, mask, following)
            crossed += other != own
        # What was just quoted is still right, unless the agent that quoted it learns below.
        fresh = (not ended) & (table_of[following] != own)
        counts[d.cell[state], action] += 1
        updates[own, action] += 1
        size = _size(clock, updates[own, action])
        worth = _target(d.reward[state, action], discount_of(powers, d.gamma, duration), quote)
        learn(
            offset_of[own],
            net,
            start_of[own],
            sign,
            action,
            seen,
            row,
            worth,
            size,
            radius,
            reach,
            length,
        )
        if len(trace) > 0:
            trace[k]["agent"] = own
            trace[k]["cell"] = d.cell[state]
            trace[k]["action"] = action
            trace[k]["propensity"] = propensity
            trace[k]["reward"] = d.reward[state, action]
            trace[k]["duration"] = duration
            trace[k]["receiver"] = -1 if ended else table_of[following]
            trace[k]["end"] = TERMINAL if ended else 0
            trace[k]["quote"] = quote
        state = following
    return state, crossed
