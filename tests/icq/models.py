"""Small models shared by the tests of learning."""

from __future__ import annotations

import numpy as np

from batonq.smdp import durations
from batonq.smdp.model import FiniteICSMDP, from_entries


def small_model(
    seed: int,
    *,
    n_agents: int = 3,
    n_states: int = 9,
    n_actions: int = 3,
    gamma: float = 0.9,
    ending: float = 0.1,
    law: str = "geometric",
    cells_per_state: float = 1.0,
) -> FiniteICSMDP:
    """A random model in which some rows terminate and some actions are not permitted."""
    rng = np.random.default_rng(seed)
    holder = np.arange(n_states) % n_agents
    mask = rng.random((n_states, n_actions)) < 0.8
    mask[:, 0] = True
    state, action = np.nonzero(mask)
    n_successors = 3
    rows = len(state)
    probability = rng.dirichlet(np.ones(n_successors), rows) * (1 - ending)
    entries = rows * n_successors
    laws = {
        "fixed": lambda: durations.fixed(rng.integers(1, 6, entries)),
        "one": lambda: durations.fixed(np.ones(entries, np.int64)),
        "geometric": lambda: durations.geometric(rng.uniform(1, 5, entries)),
        "finite": lambda: durations.finite(
            rng.integers(0, 2, entries),
            [np.array([1, 4]), np.array([2, 3, 2000])],
            [np.array([0.5, 0.5]), np.array([0.2, 0.7, 0.1])],
        ),
    }
    reward = np.where(mask, rng.normal(size=mask.shape), 0.0)
    return from_entries(
        agents=[f"agent{i}" for i in range(n_agents)],
        holder=holder,
        reward=reward,
        state=np.repeat(state, n_successors),
        action=np.repeat(action, n_successors),
        successor=rng.integers(0, n_states, entries),
        probability=probability.ravel(),
        durations=laws[law](),
        gamma=gamma,
        mask=mask,
    )
