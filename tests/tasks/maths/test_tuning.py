"""Shrinkage chosen on training questions: what decides it, and what it must not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from maths_replays import random_replay

from batonq.tasks.maths.learners import ICQ, learn, prepare
from batonq.tasks.maths.replay import Replay
from batonq.tasks.maths.rollout import play
from batonq.tasks.maths.tuning import CANDIDATES, tuned

COUNT = 60
TRAIN = np.arange(40)
PRICE = 0.3


def telling() -> Replay:
    """A cheap call that is right half the time and knows when; a dear one that always is."""
    right = np.random.default_rng(0).random(COUNT) < 0.5
    return Replay(
        models=("small", "large"),
        prompts=("p", "p"),
        owner=np.array([0, 1]),
        answer=np.stack([np.where(right, 0, 1), np.zeros(COUNT, np.int64)], axis=1),
        plain=np.ones((COUNT, 2), bool),
        right=np.stack([right, np.ones(COUNT, bool)], axis=1),
        cost=np.tile([0.1, 1.0], (COUNT, 1)),
        tokens=np.full((COUNT, 2), 64),
        private=np.stack([2.0 * right - 1.0, np.zeros(COUNT)], axis=1)[:, :, None],
    )


def test_features_that_tell_are_not_shrunk_away() -> None:
    replay = telling()
    chosen = tuned(replay, "board", TRAIN, [PRICE], 0)
    assert chosen.private < CANDIDATES[0].private
    held = np.arange(40, COUNT)
    policy = learn(prepare(replay, "board", ICQ, TRAIN, chosen), PRICE)
    outcome = play(replay, policy.move, held)
    assert outcome.right.all()
    assert outcome.calls.tolist() == [1 if replay.right[q, 0] else 2 for q in held]


@pytest.mark.parametrize("seed", range(3))
def test_other_questions_are_not_looked_at(seed: int) -> None:
    replay, other = random_replay(seed, COUNT), random_replay(seed + 9, COUNT)
    names = ("answer", "plain", "right", "cost", "tokens", "private")
    mixed = replace(
        replay,
        **{
            name: np.concatenate([getattr(replay, name)[TRAIN], getattr(other, name)[40:]])
            for name in names
        },
    )
    prices = [0.05, PRICE]
    assert tuned(replay, "answers", TRAIN, prices, 1) == tuned(mixed, "answers", TRAIN, prices, 1)
