"""The protocol every Q-function serves: three methods, and a copy that answers in a phase."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float


@runtime_checkable
class QFunction(Protocol):
    """What one agent knows. Nobody else reads it; others only receive its quotes."""

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Value of every action at information state `y`; entries outside `mask` mean nothing."""
        ...

    def quote(self, y: Hashable, mask: Bool[np.ndarray, " action"]) -> float:
        """The one scalar: the largest value over the permitted actions, a finite number."""
        ...

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Learn from one of the agent's own decisions."""
        ...

    def frozen(self) -> QFunction:
        """Start a phase: return a copy that answers, and restart the local clocks here."""
        ...
