"""Environments that the tests of the wrappers share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

import batonq as bq
from batonq.icq.environment import Environment, Turn
from batonq.icq.spaces import Encoding, discovered, enumerated


def desk() -> Environment:
    """The help desk of README and examples."""
    path = Path(__file__).parents[2] / "examples" / "desk.py"
    spec = importlib.util.spec_from_file_location("example_desk", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Desk()


def quickly(environment: Environment) -> Encoding:
    """The default encoding, from less play."""
    return enumerated(discovered(environment, steps=2_000))


class Walk:
    """a hands to b or goes on; b may only go back. Truncated after `limit` turns."""

    agents = {"a": 3, "b": 2}
    gamma = 0.5

    def __init__(self, limit: int = 4) -> None:
        self.limit = limit
        self.closed = self.holder_is_b = False

    def reset(self, rng: np.random.Generator) -> Turn:
        self.turns, self.place = 0, int(rng.integers(3))
        self.holder_is_b = False
        return Turn("a", observation=self.place, mask=[False, True, True])

    def step(self, action: int) -> Turn:
        self.turns += 1
        end = "truncated" if self.turns >= self.limit else None
        if self.holder_is_b:
            self.holder_is_b = False
            return Turn("a", self.place, [False, True, True], reward=3.0, duration=2, end=end)
        self.holder_is_b = action == 2
        if self.holder_is_b:
            return Turn("b", ("from", self.place), [True, False], reward=1.0, duration=3, end=end)
        return Turn("a", self.place, [False, True, True], reward=0.25, duration=1, end=end)

    def close(self) -> None:
        self.closed = True


def same_tables(one: bq.Run, other: bq.Run, names: dict[str, str] | None = None) -> None:
    """Bit for bit the same values, curve and counts, whatever the observations are called."""
    assert np.array_equal(one.curve, other.curve)
    for mine, theirs in zip(one.tables, other.tables, strict=True):
        for name, table in mine.items():
            twin = theirs[(names or {}).get(name, name)]
            assert np.array_equal(table.q, twin.q)
            assert np.array_equal(table.counts, twin.counts)
