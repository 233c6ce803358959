"""Random models whose hidden part is a few bits that agents may log; shares with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from batonq.smdp import durations
from batonq.smdp.model import FiniteICSMDP, from_entries


def random_fields(
    rng: np.random.Generator,
    carries: bool,
    *,
    n_agents: int = 3,
    n_cells: int = 6,
    n_bits: int = 7,
    n_actions: int = 2,
    n_successors: int = 3,
    gamma: float = 0.95,
    kept: tuple[float, float] = (0.0, 0.9),
) -> tuple[FiniteICSMDP, dict[str, np.ndarray]]:
    """A random model with hidden bits, and its candidate fields: all bits but the last.

    The bits have a random joint law, and each is kept from epoch to epoch with its own chance. Bit
    j moves rewards and successors by random signs and sizes, in proportion to its own weight
    .3 exp(N(0, 1)).

    Args:
        rng: source of all that is random.
        carries: whether the candidates carry anything; if not, they are also drawn independently
            of the last bit.
        n_agents: agents, each with every `n_agents`-th cell.
        n_cells: cells.
        n_bits: hidden bits.
        n_actions: actions of every agent.
        n_successors: successor cells of an option.
        gamma: discount per primitive step.
        kept: least and largest chance of a bit to be kept.
    """
    n_hidden = 2**n_bits
    bits = (np.arange(n_hidden)[:, None] >> np.arange(n_bits)) & 1
    weight = 0.3 * np.exp(rng.normal(size=n_bits))
    law = rng.dirichlet(np.full(n_hidden, 2.0))
    if not carries:
        weight[:-1] = 0.0
        half = n_hidden // 2
        law = np.outer(rng.dirichlet([5.0, 5.0]), rng.dirichlet(np.full(half, 2.0))).ravel()
    hidden = _hidden_kernel(bits, law, rng.uniform(*kept, n_bits))
    sign = 2.0 * bits - 1
    shape = (n_cells, n_actions)
    reward = rng.uniform(size=shape)[:, None] + np.einsum(
        "ef,yaf->yea", sign, 0.5 * weight * rng.normal(size=(*shape, n_bits))
    )
    tilt = 0.5 * weight * rng.normal(size=(*shape, n_successors, n_bits))
    odds = np.exp(
        rng.normal(size=(*shape, n_successors))[:, None] + np.einsum("ef,yakf->yeak", sign, tilt)
    )
    odds /= odds.sum(axis=-1, keepdims=True)
    successor = np.array(
        [
            [rng.permutation(n_cells)[:n_successors] for _ in range(n_actions)]
            for _ in range(n_cells)
        ]
    )
    successor[:, 0, 0] = np.arange(1, n_cells + 1) % n_cells
    mean = rng.uniform(1, 8, size=(*shape, n_successors))
    y, e, a, k, following = np.indices(
        (n_cells, n_hidden, *shape[1:], n_successors, n_hidden)
    ).reshape(5, -1)
    model = from_entries(
        agents=[f"agent {k}" for k in range(n_agents)],
        holder=np.repeat(np.arange(n_cells) % n_agents, n_hidden),
        cell=np.repeat(np.arange(n_cells), n_hidden),
        reward=reward.reshape(-1, n_actions),
        state=y * n_hidden + e,
        action=a,
        successor=successor[y, a, k] * n_hidden + following,
        probability=odds[y, e, a, k] * hidden[e, following],
        durations=durations.geometric(mean[y, a, k]),
        gamma=gamma,
    )
    return model, {f"bit {j}": np.tile(bits[:, j], n_cells) for j in range(n_bits - 1)}


def _hidden_kernel(bits: np.ndarray, law: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Each bit stays with its own chance; the others come from one fresh draw of the joint law."""
    n_hidden, n_bits = bits.shape
    kernel = np.zeros((n_hidden, n_hidden))
    for stay in bits.astype(bool):
        chance = np.prod(np.where(stay, kept, 1 - kept))
        for fresh in range(n_hidden):
            following = (np.where(stay, bits, bits[fresh]) << np.arange(n_bits)).sum(axis=1)
            kernel[np.arange(n_hidden), following] += chance * law[fresh]
    return kernel


def share(name: str, good: np.ndarray) -> dict[str, Any]:
    """A share with its exact binomial interval."""
    limits = stats.binomtest(int(good.sum()), len(good)).proportion_ci()
    return {
        name: float(good.mean()),
        f"{name}_low": float(limits.low),
        f"{name}_high": float(limits.high),
    }
