"""Neural values over hashed features, a network an action (`icq.neural.NeuralQ`); they compile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.icq import clocks, update
from batonq.icq.clocks import Clock
from batonq.icq.neural import STEP, NeuralQ
from batonq.node import seeing

NEURONS: Final = 64
_ONE: Final = np.ones(1, np.bool_)


class NeuralValues:
    """A two-layer network for each action; its start follows from the action's name."""

    def __init__(self, clock: Clock | None) -> None:
        self._clock = STEP if clock is None else clock
        self._of: dict[str, NeuralQ] = {}

    def at(self, y: str, actions: Sequence[str]) -> list[float]:
        """Predicted values, 0 for an action never updated."""
        return [
            float(self._of[one].values(y, _ONE)[0]) if one in self._of else 0.0 for one in actions
        ]

    def known(self, y: str) -> Sequence[str]:
        """Every action ever updated, as features are shared between keys."""
        del y
        return tuple(self._of)

    def next_count(self, y: str, action: str) -> int:
        """Updates of the action so far, plus one."""
        del y
        return self._of[action].updates[0] + 1 if action in self._of else 1

    def learn(self, y: str, action: str, target: float, weight: float = 1.0) -> float:
        """One semi-gradient step toward `target`; a smaller weight brings the target nearer."""
        if action not in self._of:
            self._of[action] = self._new(action)
        q = self._of[action]
        if weight != 1.0:
            target = update.step(float(q.values(y, _ONE)[0]), target, weight)
        q.update(y, 0, target)
        return float(q.values(y, _ONE)[0])

    def shift(self, y: str, action: str, change: float, n: int, weight: float = 1.0) -> float:
        """One more step of the size of the n-th, by the change of its target: approximate."""
        q = self._of[action]
        size = weight * clocks.size(self._clock, n) / clocks.size(self._clock, q.updates[0] + 1)
        q.update(y, 0, float(q.values(y, _ONE)[0]) + size * change)
        q.updates[0] -= 1
        return float(q.values(y, _ONE)[0])

    def frozen(self, restart: bool) -> NeuralValues:
        """A copy; with `restart` the counts here are 0 again."""
        copy = NeuralValues(self._clock)
        for action, q in self._of.items():
            updates = q.updates[0]
            copy._of[action] = q.frozen()
            copy._of[action].updates = [updates]
            q.updates = [0 if restart else updates]
        return copy

    def to_json(self) -> Json:
        """Weights and count by action."""
        return {name: [q.networks.weights.tolist(), q.updates[0]] for name, q in self._of.items()}

    def load(self, state: Json) -> None:
        """Take over weights and counts."""
        self._of = {}
        for name, (weights, count) in state.items():
            q = self._of[name] = self._new(name)
            q.networks.weights[:] = weights
            q.updates = [int(count)]

    def _new(self, action: str) -> NeuralQ:
        start = generator(0, crc32(action.encode()))
        return NeuralQ(
            1,
            seeing.WIDTH + 1,
            seeing.vector,
            width=NEURONS,
            constant=False,
            clock=self._clock,
            rng=start,
        )
