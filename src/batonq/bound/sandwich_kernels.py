"""The loop below the certificates: play a phase with frozen answers, keep moments per pair."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, compiled
from batonq.icq import update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.kernels import Dynamics, discount_of, draw, first_state

_target = compiled(update.target)


@compiled
def gather(
    d: Dynamics,
    answers: Float[np.ndarray, "scalar cell"],
    paid: Float[np.ndarray, " scalar"],
    guess: Float[np.ndarray, "cell action scalar"],
    acted_on: Float[np.ndarray, "cell action"],
    behaviour: Behaviour,
    state: int,
    handoffs: int,
    count: Int[np.ndarray, "cell action"],
    mean: Float[np.ndarray, "cell action scalar"],
    spread: Float[np.ndarray, "cell action scalar"],
    rng: np.random.Generator,
) -> int:
    """Play one stream of `handoffs` decision epochs from `state`; returns the state reached.

    Every option of one stream ends before the next starts, so that all samples are complete.

    Args:
        d: the model.
        answers: the frozen scalars that the receiver of a cell returns; more than one where a
            handoff carries more than one.
        paid: 1 where the target of a scalar holds the reward, 0 where it is gamma**tau v alone.
        guess: of each mean, for the first sample's distance.
        acted_on: table that the behaviour acts on.
        behaviour: how actions are drawn.
        state: where to start.
        handoffs: how many epochs.
        count: samples of each pair, added to.
        mean: their means, updated.
        spread: sums of squared distances from the running means, updated.
        rng: the generator.
    """
    indptr, law_indptr = borrowed(d.sampler.indptr), borrowed(d.sampler.law_indptr)
    entries, outcomes = borrowed(d.sampler.entries), borrowed(d.sampler.outcomes)
    reward, mask, cell = borrowed(d.reward), borrowed(d.mask), borrowed(d.cell)
    powers, initial_cumulative = borrowed(d.powers), borrowed(d.initial_cumulative)
    n_scalars = len(paid)
    for _ in range(handoffs):
        at = cell[state]
        action, _ = choose(acted_on, at, mask, state, behaviour, rng)
        row = state * mask.shape[1] + action
        following, duration = draw(indptr, entries, law_indptr, outcomes, row, rng)
        discount = 0.0
        ended = following < 0
        if ended:
            following = first_state(initial_cumulative, rng)
        else:
            discount = discount_of(powers, d.gamma, duration)
        n = count[at, action] + 1
        count[at, action] = n
        for k in range(n_scalars):
            quote = 0.0 if ended else answers[k, cell[following]]
            value = _target(paid[k] * reward[state, action], discount, quote)
            before = mean[at, action, k]
            from_guess = value - (before if n > 1 else guess[at, action, k])
            spread[at, action, k] += from_guess * from_guess
            mean[at, action, k] = before + (value - before) / n
        state = following
    return state
