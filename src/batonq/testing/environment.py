"""check_environment: does an environment keep the contract that learning relies on?"""

from __future__ import annotations

from collections.abc import Hashable
from typing import cast

import numpy as np

from batonq.base.errors import ModelError
from batonq.icq.environment import Environment, Turn, check_agents, checked, mask_of
from batonq.icq.train import train


class _Private:
    """The environment without joint sight: what IC-Q must be able to learn from."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.agents = environment.agents
        self.gamma = environment.gamma

    def reset(self, rng: np.random.Generator) -> Turn:
        return self._environment.reset(rng)

    def step(self, action: int) -> Turn:
        return self._environment.step(action)

    def joint(self) -> Hashable:
        raise ModelError("joint sight was asked for by a learner that must not have it")


def check_environment(environment: Environment, steps: int = 1_000, seed: int = 0) -> None:
    """Play at random and check what comes back.

    Checks agents and gamma; every turn (known agent, finite reward, positive duration, mask of
    right length, hashable observation); that the mask depends on agent and observation only; that
    the same seed gives the same turns; and that IC-Q trains without joint sight.

    Args:
        environment: what to check.
        steps: decision epochs to play.
        seed: of the random play.

    Raises:
        ModelError: naming the first thing that is wrong.
    """
    check_agents(environment)
    first = _play(environment, steps, seed)
    again = _play(environment, steps, seed)
    for k, (a, b) in enumerate(zip(first, again, strict=True)):
        if a != b:
            raise ModelError(
                f"environment: turn {k} differs between two plays with the same seed: {a} and {b}; "
                "draw only from the rng given to reset, and start afresh there"
            )
    _check_masks(first)
    train(cast(Environment, _Private(environment)), handoffs=min(steps, 100), points=1, seed=seed)


def _play(environment: Environment, steps: int, seed: int) -> list[Turn]:
    rng, chooser = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    turns: list[Turn] = []
    turn = checked(environment.reset(rng), environment.agents, start=True)
    for _ in range(steps):
        turns.append(turn)
        action = int(chooser.choice(np.flatnonzero(mask_of(turn, environment.agents))))
        turn = checked(environment.step(action), environment.agents)
        if turn.end is not None:
            turns.append(turn)
            turn = checked(environment.reset(rng), environment.agents, start=True)
    return turns


def _check_masks(turns: list[Turn]) -> None:
    known: dict[tuple[str | None, Hashable], tuple[bool, ...] | None] = {}
    for turn in turns:
        mask = None if turn.mask is None else tuple(bool(one) for one in turn.mask)
        place = (turn.agent, turn.observation)
        if turn.agent is not None and known.setdefault(place, mask) != mask:
            raise ModelError(
                f"environment: agent '{turn.agent}' at {turn.observation!r} is permitted "
                f"{known[place]} once and {mask} later; the mask must follow from what it sees"
            )
