"""What an agent has learnt: values of actions at information states, one handoff at a time.

The arithmetic is `icq.update`; here it runs uncompiled. Actions may appear as they are offered.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from batonq.base.files import Json
from batonq.icq import clocks, update
from batonq.icq.clocks import Clock
from batonq.icq.linear import LinearQ
from batonq.node import seeing

NEGLIGIBLE: Final = 1e-12
LINEAR_STEP: Final = clocks.constant(0.1)
_ONE: Final = np.ones(1, np.bool_)

AnyQ = TypeVar("AnyQ", bound="Q")


class Values(Protocol):
    """Q of one agent over keys of information states and labels of actions."""

    def at(self, y: str, actions: Sequence[str]) -> list[float]:
        """Values of these actions at `y`."""
        ...

    def known(self, y: str) -> Sequence[str]:
        """Actions that have a value of their own at `y`."""
        ...

    def next_count(self, y: str, action: str) -> int:
        """Which update of this pair the next one will be, from 1."""
        ...

    def learn(self, y: str, action: str, target: float, weight: float = 1.0) -> float:
        """Move one value toward `target` by `weight` times the local clock's step; returns it."""
        ...

    def shift(self, y: str, action: str, change: float, n: int, weight: float = 1.0) -> float:
        """Mend the n-th update of a pair by a change of its target, as far as it counts still."""
        ...

    def frozen(self, restart: bool) -> Values:
        """A copy that answers from now on; `restart` lets the counts here start again."""
        ...

    def to_json(self) -> Json:
        """Everything learnt."""
        ...

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        ...


def remaining(clock: Clock, n: int, latest: int) -> float:
    """Weight that the target of update n still has after update `latest`, weights being 1."""
    weight = clocks.size(clock, n)
    for later in range(n + 1, latest + 1):
        weight *= 1.0 - clocks.size(clock, later)
        if weight < NEGLIGIBLE:
            return 0.0
    return weight


class TableValues:
    """A table: per key and action a value and how often it was updated.

    Attributes:
        rows: key -> action -> [value, count].
    """

    def __init__(self, clock: Clock, initial: float = 0.0) -> None:
        self.rows: dict[str, dict[str, list[float]]] = {}
        self._clock = clock
        self._initial = initial

    def at(self, y: str, actions: Sequence[str]) -> list[float]:
        """Values of these actions, `initial` where new."""
        row = self.rows.get(y)
        if row is None:
            return [self._initial] * len(actions)
        return [row[one][0] if one in row else self._initial for one in actions]

    def known(self, y: str) -> Sequence[str]:
        """Actions that were updated at `y`."""
        return tuple(self.rows.get(y, ()))

    def next_count(self, y: str, action: str) -> int:
        """Updates of the pair so far, plus one."""
        row = self.rows.get(y)
        return int(row[action][1]) + 1 if row and action in row else 1

    def learn(self, y: str, action: str, target: float, weight: float = 1.0) -> float:
        """Move one value toward `target`."""
        cell = self.rows.setdefault(y, {}).setdefault(action, [self._initial, 0])
        cell[1] += 1
        size = weight * clocks.size(self._clock, int(cell[1]))
        cell[0] = value = update.step(cell[0], target, size)
        return value

    def shift(self, y: str, action: str, change: float, n: int, weight: float = 1.0) -> float:
        """As if the n-th update had had the other target, the pair's later ones staying."""
        cell = self.rows[y][action]
        cell[0] += weight * remaining(self._clock, n, int(cell[1])) * change
        return cell[0]

    def frozen(self, restart: bool) -> TableValues:
        """A copy; with `restart` the counts here are 0 again."""
        copy = TableValues(self._clock, self._initial)
        copy.rows = self.to_json()
        if restart:
            for row in self.rows.values():
                for cell in row.values():
                    cell[1] = 0
        return copy

    def to_json(self) -> Json:
        """The rows, copied."""
        return {y: {a: list(c) for a, c in row.items()} for y, row in self.rows.items()}

    def load(self, state: Json) -> None:
        """Take over rows."""
        self.rows = {y: {a: [c[0], int(c[1])] for a, c in row.items()} for y, row in state.items()}


class Q(Protocol):
    """One action's Q-function, of `icq`: it values keys, and moves one value toward a target."""

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Its value at `y`, the only entry."""
        ...

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Move it; `action` is 0."""
        ...


class Parts(NamedTuple, Generic[AnyQ]):
    """How Q-functions of one kind are made, and where they keep what is learnt.

    Attributes:
        make: makes one, for an action of this name.
        counts: its list of one number, how often it was updated.
        weights: its weights, an array to read and to write into.
    """

    make: Callable[[str], AnyQ]
    counts: Callable[[AnyQ], list[int]]
    weights: Callable[[AnyQ], Float[np.ndarray, ...]]


class FeatureValues(Generic[AnyQ]):
    """Values over hashed features, one Q-function an action; 0 for an action never updated."""

    def __init__(self, clock: Clock, parts: Parts[AnyQ]) -> None:
        self._clock = clock
        self._parts = parts
        self._of: dict[str, AnyQ] = {}

    def at(self, y: str, actions: Sequence[str]) -> list[float]:
        """Predicted values of these actions."""
        known = [self._of.get(one) for one in actions]
        return [0.0 if q is None else float(q.values(y, _ONE)[0]) for q in known]

    def known(self, y: str) -> Sequence[str]:
        """Every action ever updated, as features are shared between keys."""
        del y
        return tuple(self._of)

    def next_count(self, y: str, action: str) -> int:
        """Updates of the action so far, plus one."""
        del y
        return self._parts.counts(self._of[action])[0] + 1 if action in self._of else 1

    def learn(self, y: str, action: str, target: float, weight: float = 1.0) -> float:
        """Move the prediction toward `target`; a smaller weight brings the target nearer."""
        q = self._of.get(action)
        if q is None:
            q = self._of[action] = self._parts.make(action)
        if weight != 1.0:
            target = update.step(float(q.values(y, _ONE)[0]), target, weight)
        q.update(y, 0, target)
        return float(q.values(y, _ONE)[0])

    def shift(self, y: str, action: str, change: float, n: int, weight: float = 1.0) -> float:
        """Move the prediction at `y` by what is left of the n-th update's step, approximately."""
        q = self._of[action]
        counts = self._parts.counts(q)
        latest, before = counts[0], float(q.values(y, _ONE)[0])
        move = weight * remaining(self._clock, n, latest) * change
        q.update(y, 0, before + move / clocks.size(self._clock, latest + 1))
        counts[0] = latest
        return float(q.values(y, _ONE)[0])

    def frozen(self, restart: bool) -> FeatureValues[AnyQ]:
        """A copy; with `restart` the counts here are 0 again."""
        copy = FeatureValues(self._clock, self._parts)
        copy.load(self.to_json())
        if restart:
            for q in self._of.values():
                self._parts.counts(q)[0] = 0
        return copy

    def to_json(self) -> Json:
        """Weights and count by action."""
        parts = self._parts
        return {
            name: [parts.weights(q).tolist(), parts.counts(q)[0]] for name, q in self._of.items()
        }

    def load(self, state: Json) -> None:
        """Take over weights and counts."""
        self._of = {}
        for name, (weights, count) in state.items():
            q = self._of[name] = self._parts.make(name)
            self._parts.weights(q)[:] = weights
            self._parts.counts(q)[0] = int(count)


def linear_values(clock: Clock = LINEAR_STEP) -> FeatureValues[LinearQ]:
    """Linear in the features (`icq.linear.LinearQ`)."""

    def make(_action: str) -> LinearQ:
        return LinearQ(1, seeing.WIDTH + 1, seeing.vector, clock)

    return FeatureValues(clock, Parts(make, lambda q: q.counts, lambda q: q.weights))
