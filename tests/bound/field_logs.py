"""Logs and models with fields, shared by the tests of the estimators."""

from __future__ import annotations

import numpy as np

from batonq.icq.log import Field, Log
from batonq.smdp import durations
from batonq.smdp.model import FiniteICSMDP, from_entries


def made_log(residual: np.ndarray, y: np.ndarray, action: np.ndarray, **fields: np.ndarray) -> Log:
    """A log whose residuals are given: every decision ends, all values are 0."""
    n = len(residual)
    n_seen, n_actions = int(y.max()) + 1, int(action.max()) + 1
    named = {}
    for name, column in fields.items():
        levels, code = np.unique(column, return_inverse=True)
        named[name] = Field(tuple(levels.tolist()), code)
    return Log(
        agent="desk",
        agents=("desk", "search"),
        gamma=0.9,
        observations=tuple(range(n_seen)),
        mask=np.ones((n_seen, n_actions), np.bool_),
        values=np.zeros((n_seen, n_actions)),
        y=y.astype(np.int64),
        action=action.astype(np.int64),
        receiver=np.full(n, -1),
        end=np.ones(n, np.int64),
        propensity=np.full(n, 1 / n_actions),
        reward=residual.astype(float),
        duration=np.ones(n),
        quote=np.zeros(n),
        fields=named,
    )


def plain_log(seed: int, n: int = 4_000, effect: float = 0.0, **more: np.ndarray) -> Log:
    """Independent records: two information states, two actions, a field that adds +-effect."""
    rng = np.random.default_rng(seed)
    y, action, bit = rng.integers(0, 2, size=(3, n))
    noise = rng.normal(size=n)
    return made_log(y - action + effect * (2 * bit - 1) + noise, y, action, bit=bit, **more)


def sticky(seed: int, n: int, stay: float) -> np.ndarray:
    """A hidden mode of +-1 that stays with the given chance."""
    rng = np.random.default_rng(seed)
    flips = np.where(rng.random(n) < 1 - stay, -1.0, 1.0)
    modes: np.ndarray = np.cumprod(flips)
    return modes


def two_bits(stay: float = 0.3) -> FiniteICSMDP:
    """One agent of two cells that sees neither of two bits; the first matters, the second not.

    In cell 0, taking the action that equals the first bit earns 1; in cell 1 action 1 earns .8.
    Each bit stays with the chance given, else is drawn anew; the agent goes on to a random cell.
    """
    n_bits, n_cells = 4, 2
    bits = np.arange(n_bits)
    first, second = bits // 2, bits % 2
    one = stay * np.eye(2) + (1 - stay) / 2
    move = one[first][:, first] * one[second][:, second]
    state = np.arange(n_cells * n_bits)
    reward = np.zeros((len(state), 2))
    for s in state:
        reward[s] = (first[s % 4] == np.arange(2)) if s < n_bits else (0.0, 0.8)
    k, a, nxt = np.indices((len(state), 2, len(state))).reshape(3, -1)
    return from_entries(
        agents=("desk",),
        holder=np.zeros(len(state), np.int64),
        cell=state // n_bits,
        reward=reward,
        state=k,
        action=a,
        successor=nxt,
        probability=move[k % 4, nxt % 4] / n_cells,
        durations=durations.fixed(np.ones(len(k), np.int64)),
        gamma=0.8,
        fields={"first": np.tile(first, 2), "second": np.tile(second, 2)},
    )
