"""How a learner is trained: horizon, seeds, clock, behaviour, phases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.icq import clocks
from batonq.icq.baselines import Learner
from batonq.icq.behaviour import Behaviour, check_behaviour
from batonq.icq.clocks import Clock

MOST_PHASES = 30
PHASED_ERROR = 0.01  # share of the first error that may be left by the number of phases


@dataclass(frozen=True)
class Settings:
    """Checked settings of one training; `batonq.icq.train.train` explains each.

    Raises:
        ModelError: naming the first setting that cannot be right.
    """

    handoffs: int
    seeds: int
    seed: int
    behaviour: Behaviour
    clock: Clock | None
    phases: int | None
    initial: float
    points: int
    record: bool
    workers: int

    def __post_init__(self) -> None:
        check_behaviour(self.behaviour)
        if not isinstance(self.clock, Clock | None):
            raise ModelError(
                f"clock: {self.clock!r} is none; give one of icq.clocks, such as constant(0.1)"
            )
        for name in ("handoffs", "seeds", "seed", "points", "workers"):
            if not isinstance(getattr(self, name), int | np.integer):
                raise ModelError(f"{name}: {getattr(self, name)!r} is not a whole number")
        least = {"handoffs": 1, "seeds": 1, "seed": 0, "points": 1, "workers": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ModelError(f"{name}: {getattr(self, name)} is too small; give at least {low}")
        if self.phases is not None and not 1 <= self.phases <= self.handoffs:
            raise ModelError(f"phases: {self.phases} is not in 1..{self.handoffs} (the handoffs)")
        if not math.isfinite(self.initial):
            raise ModelError(f"initial: {self.initial} is not a finite number")

    def clock_for(self, learner: Learner, contraction: float) -> Clock:
        """The clock to use: sample means for frozen answers and returns, else rescaled linear."""
        if self.clock is not None:
            return self.clock
        if learner.phased or learner.returns:
            return clocks.sample_mean()
        return clocks.rescaled_linear(contraction)

    def stops(self, learner: Learner, contraction: float) -> Int[np.ndarray, " stop"]:
        """Numbers of handoffs after which to evaluate; in a phased run, the ends of phases."""
        if learner.phased:
            phases = self.phases or default_phases(contraction)
            return phase_ends(self.handoffs, min(phases, self.handoffs), contraction)
        count = min(self.points, self.handoffs)
        stops: np.ndarray = np.linspace(0, self.handoffs, count + 1)[1:].round().astype(np.int64)
        return stops

    def to_json(self) -> dict[str, Json]:
        """The settings as JSON, without the number of workers, which changes no figure."""
        return {
            "handoffs": self.handoffs,
            "seeds": self.seeds,
            "seed": self.seed,
            "behaviour": list(self.behaviour),
            "clock": None if self.clock is None else list(self.clock),
            "phases": self.phases,
            "initial": self.initial,
        }


def default_phases(contraction: float) -> int:
    """Phases after which beta**phases is below 1 %, at most 30."""
    if contraction <= 0:
        return 1
    if contraction >= 1:
        return MOST_PHASES
    return min(MOST_PHASES, math.ceil(math.log(PHASED_ERROR) / math.log(contraction)))


def phase_ends(handoffs: int, phases: int, contraction: float) -> Int[np.ndarray, " phase"]:
    """Ends of phases whose lengths grow as beta**(-2/3) per phase (theory, section 4)."""
    growth = max(contraction, 0.1) ** (2.0 / 3.0)
    lengths = growth ** np.arange(phases - 1, -1, -1.0)
    ends = np.round(handoffs * np.cumsum(lengths) / lengths.sum()).astype(np.int64)
    least: np.ndarray = np.maximum.accumulate(np.maximum(ends, np.arange(1, phases + 1)))
    least[-1] = handoffs
    return least
