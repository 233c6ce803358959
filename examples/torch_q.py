"""A Q-function written in torch plugs in: four methods, and only quotes leave it.

A small network per agent, one output per action, learns by stochastic gradient steps. Where torch
is not installed this says so and stops.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from importlib.util import find_spec

import numpy as np
from desk import Desk

import batonq as bq
from batonq.icq.behaviour import epsilon_greedy

HAS_TORCH = find_spec("torch") is not None
if HAS_TORCH:
    import torch


def features(y: Hashable) -> list[float]:
    """What an agent of the desk makes of what it sees: is it a bug? And a constant."""
    return [float(y in ("bug", True)), 1.0]


class TorchQ:
    """A two-layer network in torch that serves batonq's protocol."""

    def __init__(self, n_actions: int, width: int = 32, step: float = 0.05) -> None:
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(2, width), torch.nn.ReLU(), torch.nn.Linear(width, n_actions)
        )
        self.optimiser = torch.optim.SGD(self.net.parameters(), lr=step)

    def values(self, y: Hashable, mask: np.ndarray) -> np.ndarray:
        del mask
        with torch.no_grad():
            return self.net(torch.tensor(features(y))).double().numpy()

    def quote(self, y: Hashable, mask: np.ndarray) -> float:
        return float(self.values(y, mask)[mask].max())

    def update(self, y: Hashable, action: int, target: float) -> None:
        self.optimiser.zero_grad()
        off = self.net(torch.tensor(features(y)))[action] - target
        (off**2 / 2).backward()
        self.optimiser.step()

    def frozen(self) -> TorchQ:
        return copy.deepcopy(self)


def main() -> None:
    if not HAS_TORCH:
        print("torch is not installed, so there is nothing to show: pip install torch")
        return
    bq.testing.check_qfunction(lambda: TorchQ(2), ["bug", "question"], 2)
    run = bq.train(
        Desk(),
        handoffs=3_000,
        behaviour=epsilon_greedy(0.3),
        make_q=lambda _name, count: TorchQ(count),
        points=3,
    )
    print(run)


if __name__ == "__main__":
    main()
