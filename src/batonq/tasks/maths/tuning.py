"""Shrinkage for few questions, chosen anew on the training questions of every fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Int

from batonq.base.seeds import generator
from batonq.tasks.maths.learners import ICQ, Penalties, learn, prepare
from batonq.tasks.maths.replay import Replay
from batonq.tasks.maths.rollout import play

PARTS: Final = 4  # the training questions are cut in as many
CANDIDATES: Final = (  # from hardly any use of private features to a free one
    Penalties(),
    Penalties(dense=30.0, cell=300.0, private=10.0, attempt_cell=300.0),
    Penalties(dense=10.0, cell=1000.0, private=3.0, attempt=0.3, attempt_cell=1000.0),
)


def tuned(
    replay: Replay,
    interface: str,
    train: Int[np.ndarray, " row"],
    prices: Sequence[float],
    seed: int,
) -> Penalties:
    """Return the candidate with which IC-Q earns most, by cross-validation within `train`.

    Args:
        replay: the recorded answers; those of other questions are not looked at.
        interface: what the holder sees.
        train: the training questions, at least `PARTS`.
        prices: values of lambda; their utilities count alike.
        seed: of the parts.
    """
    parts = np.array_split(generator(seed).permutation(train), PARTS)
    earned = np.zeros(len(CANDIDATES))
    for held in parts:
        known = np.setdiff1d(train, held)
        for k, penalties in enumerate(CANDIDATES):
            student = prepare(replay, interface, ICQ, known, penalties)
            for price in prices:
                outcome = play(replay, learn(student, price).move, held)
                earned[k] += outcome.utility(price).sum()
    return CANDIDATES[int(earned.argmax())]
