"""A table of values over the information states one agent has met."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from jaxtyping import Bool, Float

from batonq.icq import clocks, update
from batonq.icq.clocks import Clock
from batonq.icq.run import Table


class TabularQ:
    """Tabular Q: one row of values and of local counts per information state.

    Attributes:
        rows: information state -> values, shape (action,), float64.
        counts: information state -> number of updates per action.
    """

    def __init__(self, n_actions: int, clock: Clock, initial: float = 0.0) -> None:
        self.rows: dict[Hashable, Float[np.ndarray, " action"]] = {}
        self.counts: dict[Hashable, list[int]] = {}
        self._n_actions = n_actions
        self._clock = clock
        self._initial = initial

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Values at `y`, all `initial` where it is new."""
        del mask
        known = self.rows.get(y)
        return np.full(self._n_actions, self._initial) if known is None else known

    def quote(self, y: Hashable, mask: Bool[np.ndarray, " action"]) -> float:
        """Largest value over the permitted actions."""
        return float(update.quote(self.values(y, mask)[None], 0, mask[None], 0))

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Move one value toward `target` by the local clock's step."""
        if y not in self.rows:
            self.rows[y] = np.full(self._n_actions, self._initial)
            self.counts[y] = [0] * self._n_actions
        self.counts[y][action] += 1
        size = clocks.size(self._clock, self.counts[y][action])
        self.rows[y][action] = update.step(self.rows[y][action], target, size)

    def table(self) -> Table:
        """Everything learnt, as arrays."""
        shape = (len(self.rows), self._n_actions)
        return Table(
            tuple(self.rows),
            np.array(list(self.rows.values())).reshape(shape),
            np.array([self.counts[y] for y in self.rows], np.int64).reshape(shape),
        )

    def frozen(self) -> TabularQ:
        """A copy that answers in the phase that starts now; the counts here start again."""
        copy = type(self)(self._n_actions, self._clock, self._initial)
        copy.rows = {y: row.copy() for y, row in self.rows.items()}
        self.counts = {y: [0] * self._n_actions for y in self.counts}
        return copy
