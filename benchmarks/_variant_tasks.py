"""Models on which `variants` compares, each with what is known of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.seeds import generator
from batonq.icq.baselines import Learner
from batonq.icq.finite import Layout, layout
from batonq.icq.kernels import Dynamics, dynamics
from batonq.smdp import durations
from batonq.smdp.exact import aggregated, evaluate
from batonq.smdp.families import random_model, terminal_chain
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import policy_of_cells, uniform

FIRST_SHARE: Final = 300  # the first look at a learner comes after 1 / 300 of its handoffs
LOOKS: Final = 24

Make = Callable[[np.random.Generator], FiniteICSMDP]
Table = Float[np.ndarray, "cell action"]


@dataclass(frozen=True)
class Task:
    """A family of models.

    Attributes:
        name: of the task.
        make: draws a model.
        handoffs: how many a learner gets.
        sparse: whether exploring is part of the task; otherwise all learn from the uniform
            behaviour.
    """

    name: str
    make: Make
    handoffs: int
    sparse: bool


def line(
    rng: np.random.Generator, n_agents: int, n_actions: int, stay: float, back: bool
) -> FiniteICSMDP:
    """Agents in a line, one action of each right; only the right one of the last is paid, with 1.

    Args:
        rng: draws which action is right.
        n_agents: agents, each with one state.
        n_actions: actions of each.
        stay: chance that the right action has no effect.
        back: whether a wrong action hands back to the one before; otherwise it ends the workflow.
    """
    right = rng.integers(n_actions, size=n_agents)
    entries: list[tuple[int, int, int, float]] = []  # state, action, successor, probability
    for k in range(n_agents):
        for tried in range(n_actions):
            if tried == right[k] and k + 1 < n_agents:
                entries += [(k, tried, k, stay)] * (stay > 0) + [(k, tried, k + 1, 1 - stay)]
            elif tried != right[k] and back:
                entries.append((k, tried, max(k - 1, 0), 1.0))
    state, action, successor, probability = (np.array(part) for part in zip(*entries, strict=True))
    return from_entries(
        agents=tuple(f"agent {k}" for k in range(n_agents)),
        holder=np.arange(n_agents),
        reward=np.eye(n_actions)[right] * (np.arange(n_agents) == n_agents - 1)[:, None],
        state=state,
        action=action,
        successor=successor,
        probability=probability,
        durations=durations.geometric(np.full(len(state), 1.5)),
        gamma=0.99,
        initial=np.eye(n_agents)[0],
    )


def one_prize(rng: np.random.Generator) -> FiniteICSMDP:
    """A random model in which one option of 300 is paid; workflows start at one state."""
    model = random_model(
        rng,
        n_agents=20,
        n_cells=100,
        n_actions=3,
        n_successors=2,
        gamma=0.98,
        mean_duration=(1.0, 2.0),
        termination=0.02,
    )
    reward = np.zeros(model.mask.shape)
    reward[50, 1] = 1.0
    return replace(model, reward=reward, initial=np.eye(100)[0])


def _corridor(rng: np.random.Generator) -> FiniteICSMDP:
    return line(rng, 20, 2, 0.1, back=True)


def _chain(_rng: np.random.Generator) -> FiniteICSMDP:
    """`terminal_chain` with giving up as action 0, so that a tie does not go on by itself."""
    model = terminal_chain(20, gamma=0.99, duration=1, success=0.98, cost=0.01).model
    rows = np.arange(len(model.indptr))  # one successor in every second row, none in the last
    turned = np.ascontiguousarray(model.reward[:, ::-1])
    return replace(model, reward=turned, indptr=np.minimum(rows // 2, model.n_agents - 1))


TASKS: Final = (
    Task("random", random_model, 300_000, sparse=False),
    Task(
        "slow",
        lambda rng: random_model(rng, gamma=0.98, mean_duration=(1.0, 2.0)),
        1_000_000,
        sparse=False,
    ),
    Task("hidden", lambda rng: random_model(rng, n_cells=20, n_hidden=3), 300_000, sparse=False),
    Task("corridor_uniform", _corridor, 60_000, sparse=False),
    Task("chain", _chain, 20_000, sparse=True),
    Task("lock", lambda rng: line(rng, 20, 3, 0.0, back=False), 20_000, sparse=True),
    Task("corridor", _corridor, 60_000, sparse=True),
    Task("prize", one_prize, 200_000, sparse=True),
)


class Case:
    """One model of a task, and how far a table is from what IC-Q tends to.

    Attributes:
        model: the model.
        number: of the case; seeds the model and the learners.
        prepared, plan: for the kernels.
        stops: numbers of handoffs at which to look.
    """

    def __init__(self, task: Task, number: int, shrink: int) -> None:
        self.model = task.make(generator(number, 0))
        self.number = number
        self.prepared: Dynamics = dynamics(self.model)
        self.plan: Layout = layout(self.model, Learner("icq"))
        handoffs = task.handoffs // shrink
        looks = np.geomspace(max(1, handoffs // FIRST_SHARE), handoffs, LOOKS)
        self.stops: Int[np.ndarray, " stop"] = np.unique(looks.round().astype(np.int64))
        chances = uniform(self.model)
        limit = aggregated(self.model, chances)
        self._limit = np.where(self.model.cell_mask, limit.q, 0.0)
        visits = np.bincount(self.model.cell, weights=limit.stationary)
        self._weight = visits[:, None] * chances
        self._best = self._value(limit.policy)
        self._least = self._value(chances)

    def judge(self, q: Table) -> tuple[float, float]:
        """(error, regret) of a table.

        The error is ||q - Qhat*|| in L2 of the uniform behaviour's stationary law; the regret what
        the greedy policy lacks of the value of the policy greedy in Qhat*, as a share of what that
        one has over the uniform policy.
        """
        mask = self.model.cell_mask
        off = np.where(mask, q - self._limit, 0.0)
        policy = np.where(mask, q, -np.inf).argmax(axis=1)
        lacks = (self._best - self._value(policy)) / (self._best - self._least)
        return math.sqrt(float((self._weight * off**2).sum())), lacks

    def _value(self, policy: np.ndarray) -> float:
        whole = evaluate(self.model, policy_of_cells(self.model, policy))
        return float(self.model.initial @ whole.value)
