"""What the cells' outputs come to, instance by instance: means, least values, realised gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from batonq.study.gaps import square
from batonq.study.intervals import over_instances
from batonq.study.rows import Interval
from batonq.tasks.routing.triage.model import INTERFACES

Output = dict[str, Any]
MEASURES: Final = ("rms", "sup", "loss")
ROUNDING: Final = 1e-9  # differences of exact gaps below this are none


@dataclass(frozen=True)
class Readings:
    """Outputs by kind of work, each in the order of instances."""

    cells: Sequence[Output]

    def sizes(self, kind: str) -> list[int]:
        """Sizes that this kind of work was done at."""
        return sorted({cell["size"] for cell in self.cells if cell["kind"] == kind})

    def of(self, kind: str, size: int) -> list[Output]:
        """Its outputs at a size."""
        found = [one for one in self.cells if one["kind"] == kind and one["size"] == size]
        return sorted(found, key=lambda one: one["number"])


@dataclass(frozen=True, eq=False)
class Scores:
    """A learner on the instances of a size.

    Attributes:
        value: discounted reward; one row an instance, one column a seed.
        ratio: the same over the oracle's.
        accuracy: chance of the right specialist.
    """

    value: Float[np.ndarray, "instance seed"]
    ratio: Float[np.ndarray, "instance seed"]
    accuracy: Float[np.ndarray, "instance seed"]

    @property
    def figures(self) -> dict[str, Interval]:
        """By metric the mean over instances, with its interval."""
        named = {"value": self.value, "value_ratio": self.ratio, "accuracy": self.accuracy}
        return {name: over_instances(array.mean(axis=1)) for name, array in named.items()}


def scores(cells: Sequence[Output], learner: str, interface: str | None = None) -> Scores:
    """The scores of a learner, or of a policy that has one score an instance."""
    parts = [cell if interface is None else cell[interface] for cell in cells]
    found = [part["learners"].get(learner) or part[learner] for part in parts]
    value, accuracy = (
        np.array([np.atleast_1d(one[name]) for one in found]) for name in ("value", "accuracy")
    )
    best = np.array([[cell["oracle"]["value"]] for cell in cells])
    return Scores(value, value / best, accuracy)


def oracle_scores(cells: Sequence[Output]) -> Scores:
    """The scores of the oracle."""
    value, accuracy = (
        np.array([[cell["oracle"][name]] for cell in cells]) for name in ("value", "accuracy")
    )
    return Scores(value, np.ones(value.shape), accuracy)


def covered(cell: Output, interface: str) -> bool:
    """Whether the exact gap in L2(mu) lies in the interval of the realised one."""
    found = square(cell[interface]["realised"]["products"])
    exact = cell[interface]["predicted"]["rms"] ** 2
    if found.low is None or found.high is None:
        return False
    return bool(found.low <= exact <= found.high)


def excess(cell: Output, interface: str) -> float:
    """Square of the realised gap less that of the exact one."""
    found = cell[interface]
    return float(square(found["realised"]["products"]).value - found["predicted"]["rms"] ** 2)


def monotone(cell: Output, measure: str) -> bool:
    """Whether the exact figure grows, or stays, from each interface to the next coarser one."""
    values = [cell[interface]["predicted"][measure] for interface in INTERFACES]
    return bool((np.diff(values) >= -ROUNDING).all())
