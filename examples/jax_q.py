"""A Q-function written in JAX plugs in: four methods, and only quotes leave it.

A small network per agent, one output per action, its gradient by `jax.grad`. Where JAX is not
installed this says so and stops.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from desk import Desk

import batonq as bq
from batonq.icq.behaviour import epsilon_greedy


def features(y: Hashable) -> np.ndarray:
    """What an agent of the desk makes of what it sees: is it a bug? And a constant."""
    return np.array([float(y in ("bug", True)), 1.0], np.float32)


@cache
def functions() -> tuple[Any, Any]:
    """The network and one step of its weights, compiled when first called."""
    import jax
    import jax.numpy as jnp

    def values(weights: Any, x: Any) -> Any:
        return jnp.maximum(x @ weights["in"], 0) @ weights["out"]

    def loss(weights: Any, x: Any, action: Any, target: Any) -> Any:
        return (values(weights, x)[action] - target) ** 2 / 2

    def step(weights: Any, x: Any, action: Any, target: Any, size: Any) -> Any:
        slope = jax.grad(loss)(weights, x, action, target)
        return jax.tree.map(lambda w, g: w - size * g, weights, slope)

    return jax.jit(values), jax.jit(step)


class JaxQ:
    """A two-layer network in JAX that serves batonq's protocol."""

    def __init__(self, n_actions: int, width: int = 32, step: float = 0.05) -> None:
        rng = np.random.default_rng(0)
        self.step = step
        self.weights = {
            "in": rng.normal(size=(2, width)).astype(np.float32),
            "out": np.zeros((width, n_actions), np.float32),
        }

    def values(self, y: Hashable, mask: np.ndarray) -> np.ndarray:
        del mask
        return np.asarray(functions()[0](self.weights, features(y)), np.float64)

    def quote(self, y: Hashable, mask: np.ndarray) -> float:
        return float(self.values(y, mask)[mask].max())

    def update(self, y: Hashable, action: int, target: float) -> None:
        self.weights = functions()[1](self.weights, features(y), action, target, self.step)

    def frozen(self) -> JaxQ:
        return copy.copy(self)  # a step makes new weights, so sharing the old ones is safe


def main() -> None:
    if find_spec("jax") is None:
        print("JAX is not installed, so there is nothing to show: pip install jax")
        return
    bq.testing.check_qfunction(lambda: JaxQ(2), ["bug", "question"], 2)
    run = bq.train(
        Desk(),
        handoffs=3_000,
        behaviour=epsilon_greedy(0.3),
        make_q=lambda _name, count: JaxQ(count),
        points=3,
    )
    print(run)


if __name__ == "__main__":
    main()
