"""Small models for the certificates, whose targets stay in [0, 1]."""

from __future__ import annotations

import numpy as np

from batonq.smdp import durations
from batonq.smdp.model import FiniteICSMDP, from_entries


def verdicts(
    seed: int, *, n_cells: int = 6, n_agents: int = 3, ends: float = 0.2, twins: int = 1
) -> FiniteICSMDP:
    """Two actions a cell; options end in state "won" (worth 1) or "lost" with chance `ends`.

    Targets lie in [0, 1] for certain: only "won" pays, 1 as it ends. Each cell but the two last
    has `twins` states that differ in nothing, so that the interface is exact.
    """
    rng = np.random.default_rng(seed)
    chance = rng.dirichlet(np.ones(n_cells), size=(n_cells, 2)) * (1 - ends)
    win = rng.random((n_cells, 2))
    mean = rng.uniform(1, 4, size=(n_cells, 2))
    n = n_cells * twins + 2
    full = np.zeros((n, 2, n))
    for s in range(n_cells * twins):
        share = rng.dirichlet(np.ones(twins), size=(2, n_cells))  # among twins: unseen, harmless
        full[s, :, :-2] = (chance[s // twins][:, :, None] * share).reshape(2, -1)
        full[s, :, -2:] = ends * np.stack([win[s // twins], 1 - win[s // twins]], axis=1)
    state, action, successor = np.nonzero(full)
    cell = np.append(np.arange(n_cells * twins) // twins, [n_cells, n_cells + 1])
    reward = np.zeros((n, 2))
    reward[-2] = 1.0
    initial = np.zeros(n)
    initial[: n_cells * twins] = 1 / (n_cells * twins)
    return from_entries(
        agents=[f"agent {k}" for k in range(n_agents)],
        holder=cell % n_agents,
        cell=cell,
        reward=reward,
        state=state,
        action=action,
        successor=successor,
        probability=full[state, action, successor],
        durations=durations.geometric(mean[np.minimum(cell[state], n_cells - 1), action]),
        gamma=0.97,
        initial=initial,
    )


def hidden_mode(stay: float = 0.98, apart: float = 0.8, gamma: float = 0.9) -> FiniteICSMDP:
    """One agent, two cells, a sticky hidden mode that moves the reward by `apart` (1 - gamma).

    State 2 * cell + mode. Action 0 stays in the cell, action 1 changes it. Targets in [0, 1].
    """
    top = 1 - gamma
    reward = np.zeros((4, 2))
    rows: list[tuple[int, int, int, float]] = []
    for cell in range(2):
        for mode in range(2):
            s = 2 * cell + mode
            reward[s] = top * (np.array([[0.45, 0.5], [0.55, 0.5]])[cell] + (mode - 0.5) * apart)
            for action in range(2):
                to = cell if action == 0 else 1 - cell
                rows += [
                    (s, action, 2 * to + other, stay if other == mode else 1 - stay)
                    for other in range(2)
                ]
    state, action, successor, probability = (np.array(column) for column in zip(*rows, strict=True))
    return from_entries(
        agents=["one"],
        holder=np.zeros(4, np.int64),
        cell=np.array([0, 0, 1, 1]),
        reward=reward,
        state=state,
        action=action,
        successor=successor,
        probability=probability,
        durations=durations.fixed(np.ones(len(state), np.int64)),
        gamma=gamma,
    )
