"""A setting with its model, its exact solution and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.bound.gap import Gap, gap
from batonq.bound.premises import attainable_range, oscillation
from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.smdp.design import design
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform
from batonq.tasks.synthetic.axes import CHECKPOINTS, SETTLED, Setting

DELTA: Final = 0.05  # chance of failure of a certificate
ROUNDING: Final = 1e-9  # by which a computed oscillation is declared larger


@dataclass(frozen=True, eq=False)
class Point:
    """A setting with its model and exact solution."""

    setting: Setting
    model: FiniteICSMDP
    gap: Gap

    @property
    def clock(self) -> Clock:
        """The step sizes of the learner."""
        step = self.setting.step
        if step is None:
            return clocks.rescaled_linear(self.model.contraction)
        return clocks.constant(step)

    @property
    def stops(self) -> Int[np.ndarray, " stop"]:
        """Where the table is judged: over time with a constant step, else at the end."""
        last = self.setting.handoffs
        if self.setting.step is None:
            return np.array([last])
        return np.linspace(SETTLED * last, last, CHECKPOINTS).astype(np.int64)

    @property
    def oscillation(self) -> float | None:
        """The declared h of Theorem S, computed from the design; None behind an exact interface."""
        if self.gap.exact:
            return None
        return oscillation(self.model, *attainable_range(self.model)) * (1 + ROUNDING)


def point_of(setting: Setting) -> Point:
    """Make the model of a setting and solve it."""
    model = design(setting.dials).reveal(setting.blocks)
    return Point(setting, model, gap(model, uniform(model)))


def mean_square(
    errors: Float[np.ndarray, "stop state action"], visits: Float[np.ndarray, "state action"]
) -> float:
    """Mean over stops of the square of errors in L2(mu)."""
    return float((visits * errors**2).sum(axis=(1, 2)).mean())
