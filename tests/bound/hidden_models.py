"""Small models with a sticky hidden part behind the interface, kept as plain dense arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batonq.smdp.durations import Durations, Law, fixed
from batonq.smdp.model import FiniteICSMDP, from_entries

PMF = (
    (np.array([1, 4]), np.array([0.25, 0.75])),
    (np.array([2, 3, 9]), np.array([0.5, 0.25, 0.25])),
)


@dataclass(frozen=True, eq=False)
class Hidden:
    """A model and what it was made of; every formula of the theory is plain algebra on this.

    Attributes:
        model: the model.
        chance: probability of (state, action, successor); what is missing to 1 ends.
        discount: E[gamma**tau] of each.
        square: E[gamma**(2 tau)] of each.
        behaviour: a behaviour that takes every permitted action.
    """

    model: FiniteICSMDP
    chance: np.ndarray
    discount: np.ndarray
    square: np.ndarray
    behaviour: np.ndarray

    @property
    def kernel(self) -> np.ndarray:
        """Gam(s' | s, a)."""
        return self.chance * self.discount

    @property
    def psi(self) -> np.ndarray:
        """Indicator of the cell of each state."""
        return np.eye(self.model.n_cells)[self.model.cell]

    @property
    def pair_step(self) -> np.ndarray:
        """Transition matrix of (state, action) over epochs, restarts included; rows s * A + a."""
        n, a = self.model.mask.shape
        onward = self.chance.reshape(n * a, n)
        onward = onward + (1 - onward.sum(axis=1, keepdims=True)) * self.model.initial
        step = onward[:, :, None] * self.behaviour[self.model.cell]
        return step.reshape(n * a, n * a)

    @property
    def step(self) -> np.ndarray:
        """Transition matrix of the state over epochs, restarts included."""
        n, a = self.model.mask.shape
        onward = self.pair_step.reshape(n * a, n, a).sum(axis=2).reshape(n, a, n)
        return np.einsum("sa,sat->st", self.behaviour[self.model.cell], onward)

    def law(self) -> np.ndarray:
        """Stationary law of the state."""
        return stationary_of(self.step)


def stationary_of(step: np.ndarray) -> np.ndarray:
    """The stationary law of a dense chain."""
    n = len(step)
    system = np.vstack([np.eye(n) - step.T, np.ones(n)])
    return np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0]


def iterate(kernel: np.ndarray, reward: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Plain value iteration; returns Q, -inf where not permitted."""
    q = np.where(mask, 0.0, -np.inf)
    for _ in range(20_000):
        new = np.where(mask, reward + kernel @ q.max(axis=1), -np.inf)
        moved = np.abs(new[mask] - q[mask]).max()
        q = new
        if moved < 1e-13:
            break
    return q


def sticky(
    seed: int,
    *,
    gamma: float = 0.9,
    ends: tuple[float, float] = (0.0, 0.3),
    stay: float | None = None,
    n_hidden: int | None = None,
) -> Hidden:
    """Up to 3 agents, 4 cells, 3 hidden levels shared by all cells, 3 actions, masks.

    Args:
        seed: of all that is random.
        gamma: discount per primitive step.
        ends: least and largest probability that an option ends the episode.
        stay: chance that the hidden level stays as it is; random by default.
        n_hidden: hidden levels; 1 to 3 at random by default.
    """
    rng = np.random.default_rng(seed)
    n_cells, n_actions = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    levels = int(rng.integers(1, 4)) if n_hidden is None else n_hidden
    still = float(rng.uniform(0, 0.98)) if stay is None else stay
    n_agents = int(rng.integers(1, min(3, n_cells) + 1))
    cell = np.repeat(np.arange(n_cells), levels)
    n = len(cell)
    cell_mask = rng.random((n_cells, n_actions)) < 0.7
    cell_mask[np.arange(n_cells), rng.integers(n_actions, size=n_cells)] = True
    mask = cell_mask[cell]
    visible = rng.dirichlet(np.full(n_cells, 0.5), size=(n, n_actions)) * 0.98 + 0.02 / n_cells
    mode = still * np.eye(levels) + (1 - still) / levels
    hidden = np.tile(mode, (n_cells, 1))[:, None, :]  # row: hidden level of the state
    chance = (visible[:, :, :, None] * hidden[:, :, None, :]).reshape(n, n_actions, n)
    chance *= 1 - rng.uniform(*ends, size=(n, n_actions, 1))
    chance *= mask[:, :, None]
    durations, discount, square = some_durations(rng, chance.shape, gamma)
    state, action, successor = np.nonzero(chance)
    model = from_entries(
        agents=tuple(f"agent {k}" for k in range(n_agents)),
        holder=cell % n_agents,
        cell=cell,
        mask=mask,
        reward=np.where(mask, rng.normal(size=mask.shape), 0.0),
        state=state,
        action=action,
        successor=successor,
        probability=chance[state, action, successor],
        durations=Durations(
            durations.law.reshape(chance.shape)[state, action, successor],
            durations.parameter.reshape(chance.shape)[state, action, successor],
            durations.pmf_indptr,
            durations.pmf_duration,
            durations.pmf_probability,
        ),
        gamma=gamma,
        initial=rng.dirichlet(np.ones(n)),
    )
    return Hidden(model, chance, discount, square, random_behaviour(model, seed))


def lone_bit(stay: float, gamma: float = 0.9) -> FiniteICSMDP:
    """One cell, one action, reward = hidden bit, which stays with correlation `stay`."""
    flip = (1 - stay) / 2
    return from_entries(
        agents=("one",),
        holder=np.zeros(2, np.int64),
        cell=np.zeros(2, np.int64),
        reward=np.array([[0.0], [1.0]]),
        state=np.array([0, 0, 1, 1]),
        action=np.zeros(4, np.int64),
        successor=np.array([0, 1, 1, 0]),
        probability=np.array([1 - flip, flip, 1 - flip, flip]),
        durations=fixed(np.ones(4, np.int64)),
        gamma=gamma,
    )


def random_behaviour(model: FiniteICSMDP, seed: int) -> np.ndarray:
    """A behaviour that takes every permitted action of every cell."""
    weight = np.random.default_rng(seed).uniform(0.2, 1, size=model.cell_mask.shape)
    weight = np.where(model.cell_mask, weight, 0.0)
    return weight / weight.sum(axis=1, keepdims=True)


def some_durations(
    rng: np.random.Generator, shape: tuple[int, ...], gamma: float
) -> tuple[Durations, np.ndarray, np.ndarray]:
    """A law of each kind at random, with E[gamma**tau] and E[gamma**(2 tau)] written out."""
    law = rng.integers(3, size=shape)
    steps = rng.integers(1, 6, size=shape).astype(float)
    p = rng.uniform(0.2, 1, size=shape)
    row = rng.integers(2, size=shape)
    moments = []
    for g in (gamma, gamma**2):
        tables = np.array([(probability * g**steps_).sum() for steps_, probability in PMF])
        moments.append(
            np.select(
                [law == Law.FIXED, law == Law.GEOMETRIC],
                [g**steps, p * g / (1 - (1 - p) * g)],
                tables[row],
            )
        )
    parameter = np.select([law == Law.FIXED, law == Law.GEOMETRIC], [steps, p], row.astype(float))
    table = Durations(
        law=law.ravel().astype(np.int8),
        parameter=parameter.ravel(),
        pmf_indptr=np.array([0, 2, 5]),
        pmf_duration=np.concatenate([d for d, _ in PMF]),
        pmf_probability=np.concatenate([c for _, c in PMF]),
    )
    return table, moments[0], moments[1]
