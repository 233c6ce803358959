"""Small random models of every shape, and the plain slow solvers the fast ones are held against."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from batonq.smdp.durations import Durations, Law
from batonq.smdp.model import FiniteICSMDP


def small_model(seed: int, gamma: float = 0.9, terminating: float = 0.3) -> FiniteICSMDP:
    """Up to 3 agents, 7 states, 3 actions, all duration laws, masks, cells, empty rows, ends."""
    rng = np.random.default_rng(seed)
    n_agents, n_actions = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    cell_agent = np.concatenate([np.arange(n_agents), rng.integers(n_agents, size=2)])
    cell_mask = rng.random((len(cell_agent), n_actions)) < 0.7
    cell_mask[np.arange(len(cell_agent)), rng.integers(n_actions, size=len(cell_agent))] = True
    cell = np.concatenate([np.arange(len(cell_agent)), rng.integers(len(cell_agent), size=2)])
    n_states = len(cell)
    mask = cell_mask[cell]
    lengths = np.where(mask.ravel(), rng.integers(0, 4, size=mask.size), 0)
    n_entries = int(lengths.sum())
    row = np.repeat(np.arange(mask.size), lengths)
    probability = rng.exponential(size=n_entries)
    probability /= np.bincount(row, weights=probability, minlength=mask.size)[row]
    ends = np.where(rng.random(mask.size) < 0.5, terminating * rng.random(mask.size), terminating)
    return FiniteICSMDP(
        agents=tuple(f"agent {k}" for k in range(n_agents)),
        holder=cell_agent[cell],
        cell=cell,
        mask=mask,
        reward=np.where(mask, rng.normal(size=mask.shape), 0.0),
        indptr=np.concatenate([[0], np.cumsum(lengths)]),
        successor=rng.integers(n_states, size=n_entries),
        probability=probability * (1 - ends[row]),
        durations=some_durations(rng, n_entries),
        gamma=gamma,
        initial=rng.dirichlet(np.ones(n_states)),
    )


def some_durations(rng: np.random.Generator, n_entries: int) -> Durations:
    """A law of each kind at random, over a table of two finite laws."""
    law = rng.integers(3, size=n_entries)
    parameter = np.select(
        [law == Law.FIXED, law == Law.GEOMETRIC],
        [rng.integers(1, 6, size=n_entries).astype(float), rng.uniform(0.2, 1, size=n_entries)],
        rng.integers(2, size=n_entries).astype(float),
    )
    return Durations(
        law=law.astype(np.int8),
        parameter=parameter,
        pmf_indptr=np.array([0, 2, 5]),
        pmf_duration=np.array([1, 4, 2, 3, 9]),
        pmf_probability=np.array([0.25, 0.75, 0.5, 0.25, 0.25]),
    )


def models(gamma: float | None = None) -> st.SearchStrategy[FiniteICSMDP]:
    """Small random models; gamma drawn from (0, 1) if not given."""
    gammas = st.floats(0.05, 0.97) if gamma is None else st.just(gamma)
    return st.builds(small_model, st.integers(0, 2**32 - 1), gammas)


def dense_kernel(model: FiniteICSMDP) -> np.ndarray:
    """Gam as an array (state, action, successor), entry by entry."""
    gam = np.zeros((*model.mask.shape, model.n_states))
    for s, a in np.ndindex(model.mask.shape):
        row = s * model.n_actions + a
        for k in range(model.indptr[row], model.indptr[row + 1]):
            gam[s, a, model.successor[k]] += model.discounted[k]
    return gam


def iterate_values(
    gam: np.ndarray, reward: np.ndarray, mask: np.ndarray, sweeps: int = 3_000
) -> np.ndarray:
    """Plain value iteration; returns Q, -inf where not permitted."""
    q = np.zeros(reward.shape)
    for _ in range(sweeps):
        q = np.where(mask, reward + gam @ np.where(mask, q, -np.inf).max(axis=1), -np.inf)
    return q


def random_behaviour(model: FiniteICSMDP, seed: int) -> np.ndarray:
    """A behaviour that takes every permitted action of every cell."""
    weight = np.random.default_rng(seed).uniform(0.2, 1, size=model.cell_mask.shape)
    weight = np.where(model.cell_mask, weight, 0.0)
    return weight / weight.sum(axis=1, keepdims=True)


def dense_step(model: FiniteICSMDP, behaviour: np.ndarray) -> np.ndarray:
    """Transition matrix of the behaviour chain with restarts, entry by entry."""
    step = np.zeros((model.n_states, model.n_states))
    for s, a in np.ndindex(model.mask.shape):
        chance = behaviour[model.cell[s], a]
        row = s * model.n_actions + a
        left = 1.0
        for k in range(model.indptr[row], model.indptr[row + 1]):
            step[s, model.successor[k]] += chance * model.probability[k]
            left -= model.probability[k]
        step[s] += chance * left * model.initial
    return step
