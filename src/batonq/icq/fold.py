"""Fixed policies folded into an environment: their moves become part of the others' options."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool

from batonq.base.errors import ModelError
from batonq.icq import update
from batonq.icq.environment import Environment, Turn, check_agents, checked, mask_of
from batonq.icq.run import Table

Policy = Callable[[Hashable, Bool[np.ndarray, " action"], np.random.Generator], int]

PATIENCE: Final = 10_000  # moves of folded agents, or workflows without a learner, in a row


def at_random(
    observation: Hashable, mask: Bool[np.ndarray, " action"], rng: np.random.Generator
) -> int:
    """Every permitted action with equal chance."""
    del observation
    return int(rng.choice(np.flatnonzero(mask)))


def greedy(table: Table) -> Policy:
    """The best permitted action by a table, the lowest number among equals.

    Where the table has no row the policy acts at random.

    Args:
        table: what an agent has learnt, such as `run.tables[0]["search"]`.
    """
    row_of = {seen: row for row, seen in enumerate(table.observations)}

    def policy(
        observation: Hashable, mask: Bool[np.ndarray, " action"], rng: np.random.Generator
    ) -> int:
        row = row_of.get(observation)
        if row is None:
            return at_random(observation, mask, rng)
        return int(np.argmax(np.where(mask, table.q[row], -np.inf)))

    return policy


def folded(environment: Environment, others: Mapping[str, Policy]) -> Environment:
    """The environment as its remaining agents see it, the others acting by fixed policies.

    An option of a remaining agent then lasts until one of them holds control again. Its reward
    gathers everything earned on the way, discounted to its start, and its duration is the sum;
    the value of a joint policy is unchanged. What happens before a remaining agent first holds
    control is nobody's choice and does not count; a workflow that ends before is drawn anew.

    Args:
        environment: any environment.
        others: policy by agent, for those that do not learn; draws come from the workflow's rng.

    Raises:
        ModelError: for an unknown agent or if none remains; while playing, if the others never
            give control back or a workflow is truncated in their hands, where nobody can be asked
            for a quote.
    """
    check_agents(environment)
    unknown = [name for name in others if name not in environment.agents]
    left = {name: count for name, count in environment.agents.items() if name not in others}
    if unknown or not left:
        raise ModelError(
            f"folded: policies for {', '.join(others)}; give them for some, not all, of "
            f"{', '.join(environment.agents)}"
        )
    return _Folded(environment, dict(others), left)


class _Folded:
    """See `folded`."""

    def __init__(
        self, environment: Environment, others: Mapping[str, Policy], agents: Mapping[str, int]
    ) -> None:
        self._environment = environment
        self._others = others
        self._rng = np.random.default_rng(0)
        self.agents = agents
        self.gamma = environment.gamma

    def reset(self, rng: np.random.Generator) -> Turn:
        """Start workflows until one comes to an agent that is not folded."""
        self._rng = rng
        for _ in range(PATIENCE):
            first = checked(self._environment.reset(rng), self._environment.agents, start=True)
            turn = self._until_ours(first)
            if turn.end is None:
                return Turn(turn.agent, turn.observation, turn.mask)
        raise ModelError(
            f"folded: {PATIENCE} workflows ended before {', '.join(self.agents)} held control"
        )

    def step(self, action: int) -> Turn:
        """Run the option and whatever the folded agents do after it."""
        return self._until_ours(checked(self._environment.step(action), self._environment.agents))

    def joint(self) -> Hashable:
        """The joint view of the environment, if it has one."""
        joint = getattr(self._environment, "joint", None)
        if joint is None:
            raise ModelError("folded: the environment has no joint()")
        seen: Hashable = joint()
        return seen

    def close(self) -> None:
        """Close the environment, if it can be closed."""
        close = getattr(self._environment, "close", None)
        if close is not None:
            close()

    def _until_ours(self, turn: Turn) -> Turn:
        everyone = self._environment.agents
        reward, duration = turn.reward, turn.duration
        for _ in range(PATIENCE):
            ours = turn.agent in self.agents
            if turn.end == "truncated" and not ours:
                raise ModelError(
                    f"folded: the workflow was truncated when '{turn.agent}' held control, who "
                    "cannot be asked for a quote; truncate at an agent that learns"
                )
            if turn.end is not None or ours:
                return Turn(turn.agent, turn.observation, turn.mask, reward, duration, end=turn.end)
            policy = self._others[str(turn.agent)]
            move = policy(turn.observation, mask_of(turn, everyone), self._rng)
            turn = checked(self._environment.step(move), everyone)
            reward += update.discount(self.gamma, duration) * turn.reward
            duration += turn.duration
        raise ModelError(
            f"folded: {', '.join(self._others)} kept control for {PATIENCE} moves; "
            "give policies that hand on"
        )
