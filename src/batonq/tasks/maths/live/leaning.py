"""A table that leans on coarser views: what an agent has hardly seen, it judges by what is like it.

From a hundred questions an agent meets most of what it can see once or never. So a move's value at
an information state is shrunk toward its value wherever the same calls have been asked, that one
toward its value at this stage of the game, that one toward the mean of all that the agent has
learnt from, and that toward 0. All of it is the agent's own; what crosses is one number, as ever.
"""

from __future__ import annotations

from collections.abc import Hashable
from copy import deepcopy
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.icq import update
from batonq.icq.clocks import Clock
from batonq.icq.run import Table
from batonq.icq.tabular import TabularQ

WEIGHT: Final = 6.0  # updates that the coarser view counts for
_ALONE: Final = np.ones(1, np.bool_)


class LeaningQ:
    """Tabular Q over three views of what the holder sees, the coarsest first.

    Args:
        n_actions: of the agent.
        clock: step sizes, by how often a view and action were updated.
    """

    def __init__(self, n_actions: int, clock: Clock) -> None:
        self._views = TabularQ(n_actions, clock)
        self._mean = TabularQ(1, clock)
        self._never = np.zeros(n_actions, np.int64)
        self._met: dict[Hashable, None] = {}  # in the order in which it was met

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Values at `y`: those of each view, shrunk toward the values of the one before."""
        self._met[y] = None
        learnt = sum(self._mean.counts.get((), ()))
        mean = learnt * self._mean.quote((), _ALONE) / (WEIGHT + learnt)
        found = np.full(len(self._never), mean)
        for view in _views(y):
            count = self._count(view)
            found = (WEIGHT * found + count * self._views.values(view, mask)) / (WEIGHT + count)
        return found

    def quote(self, y: Hashable, mask: Bool[np.ndarray, " action"]) -> float:
        """Largest value over the permitted actions."""
        return float(update.quote(self.values(y, mask)[None], 0, mask[None], 0))

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Move one value toward `target` in every view of `y`."""
        self._mean.update((), 0, target)
        for view in _views(y):
            self._views.update(view, action, target)

    def table(self) -> Table:
        """The values at everything that was met, as arrays, and how often it was updated."""
        everything = np.ones(len(self._never), np.bool_)
        shape = (len(self._met), len(self._never))
        return Table(
            tuple(self._met),
            np.array([self.values(y, everything) for y in self._met]).reshape(shape),
            np.array([self._count(y) for y in self._met], np.int64).reshape(shape),
        )

    def frozen(self) -> LeaningQ:
        """A copy that answers in the phase that starts now; counts stay, as they are weights."""
        return deepcopy(self)

    def _count(self, view: Hashable) -> Int[np.ndarray, " action"]:
        return np.array(self._views.counts.get(view, self._never))


def _views(y: Hashable) -> tuple[Hashable, ...]:
    """The stage; it and who was asked; all that is seen."""
    assert isinstance(y, tuple)  # noqa: S101 - the replay says so
    return y[:1], y[:2], y
