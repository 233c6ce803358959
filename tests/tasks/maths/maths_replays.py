"""Small replays at random, for the tests of the learners."""

from __future__ import annotations

import numpy as np

from batonq.tasks.maths.features import NAMES
from batonq.tasks.maths.replay import Replay


def random_replay(
    seed: int, count: int, owner: tuple[int, ...] = (0, 0, 1), gamma: float = 0.999
) -> Replay:
    """Calls that are right six times in ten and sometimes abstain; texts tell a little."""
    rng = np.random.default_rng(seed)
    shape = (count, len(owner))
    gold = rng.integers(0, 3, count)
    right = rng.random(shape) < 0.6
    answer = np.where(right, gold[:, None], rng.integers(-1, 3, shape))
    right = answer == gold[:, None]
    private = rng.standard_normal((*shape, len(NAMES))) + right[:, :, None]
    for name in ("echo", "supported"):
        private[:, :, NAMES.index(name)] = rng.random(shape) < 0.5
    return Replay(
        models=tuple(f"m{model}" for model in range(max(owner) + 1)),
        prompts=tuple(f"p{call}" for call in range(len(owner))),
        owner=np.array(owner),
        answer=answer,
        plain=(answer >= 0) & (rng.random(shape) < 0.8),
        right=right,
        cost=0.5 + rng.random(shape),
        tokens=rng.integers(1, 400, shape),
        private=private,
        gamma=gamma,
    )
