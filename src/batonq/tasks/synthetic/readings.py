"""The outputs of the cells, gathered by axis and point, and the figures they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval
from batonq.tasks.synthetic.axes import MODELS, Axis, Setting, Wanted, axis_named
from batonq.tasks.synthetic.slopes import fit, root, slope

SLOW: Final = 0.1  # step times slowest watched relaxation up to which slow modes are not tracked
LONG: Final = 0.9  # contraction up to which the estimate is expected to hold
ROUNDING: Final = 1e-9
NEAR: Final = 0.1  # by how much the estimate may then be off


@dataclass(frozen=True, eq=False)
class Reading:
    """A point of an axis with what was computed and measured there.

    Attributes:
        setting: the point.
        exact: what `tabular.exact` returned.
        seeds: what `tabular.one_seed` returned, by seed.
    """

    setting: Setting
    exact: Mapping[str, Json]
    seeds: Sequence[Mapping[str, Json]]

    def each(self, name: str) -> Float[np.ndarray, " seed"]:
        """One figure of every seed."""
        return np.array([seed[name] for seed in self.seeds], float)

    def over(self, name: str) -> Interval:
        """The mean of one figure over seeds."""
        return over_seeds(self.each(name))

    def squares(self, of: str) -> Float[np.ndarray, " seed"]:
        """Squares of "error", "residual", or "excess": the residual less that of the twin."""
        if of == "excess":
            excess: np.ndarray = self.each("residual") - self.each("twin")
            return excess
        return self.each(of)

    def measured(self, of: str) -> Interval:
        """Root mean square in L2(mu)."""
        return root(self.squares(of))

    @property
    def residual_estimate(self) -> float | None:
        """The asymptotic estimate of the residual; of networks, over those of all seeds."""
        if "estimate" in self.seeds[0]:
            return root(self.each("estimate")).value
        found: float | None = self.exact["estimate"]
        return found

    @property
    def gap(self) -> float:
        """The exact gap in L2(mu)."""
        return float(self.exact["gap"])

    @property
    def estimate(self) -> float | None:
        """The estimate of the error: exact gap and estimated residual, which are orthogonal."""
        residual = self.residual_estimate
        return None if residual is None else float(np.hypot(self.gap, residual))

    @property
    def load(self) -> float | None:
        """Last step times slowest watched relaxation: above .1 slow modes are tracked."""
        relaxation = self.exact["relaxation"]
        return None if relaxation is None else float(self.exact["last_step"] * relaxation)

    @property
    def ratio(self) -> Interval | None:
        """Estimated over measured residual."""
        if self.residual_estimate is None:
            return None
        found = self.measured("residual")
        estimate = self.residual_estimate
        low = None if found.high is None else estimate / found.high
        high = None if not found.low else estimate / found.low
        if low is None or high is None:
            low = high = None
        return Interval(estimate / found.value, low, high, found.n, found.n_kind)

    @property
    def qualifies(self) -> bool:
        """Whether the estimate is expected to be near: small load, contraction not long."""
        return (
            self.residual_estimate is not None
            and self.load is not None
            and self.load <= SLOW
            and self.exact["contraction"] <= LONG + ROUNDING
        )

    @property
    def certified(self) -> bool:
        """Whether there are certificates: those here are for tables."""
        return "certificate" in self.seeds[0]

    def vacuous(self, name: str = "certificate") -> Bool[np.ndarray, " seed"]:
        """Per seed, whether the certificate is no less than the span of Q*."""
        wide: np.ndarray = self.each(name) >= self.exact["span"]
        return wide

    @property
    def broken(self) -> Bool[np.ndarray, " seed"]:
        """Per seed, whether the measured error or loss exceeds what was certified."""
        error = self.each("sup") > np.minimum(self.each("certificate"), self.each("two_scalars"))
        loss = self.each("loss") > self.each("certified_loss") + ROUNDING
        either: np.ndarray = error | loss
        return either


@dataclass(frozen=True, eq=False)
class Measured:
    """An axis with its readings."""

    axis: Axis
    readings: tuple[Reading, ...]

    def slope_of(self, of: str, fitted: bool = True) -> Interval | None:
        """Slope over the points that take part in it (or those that do not).

        None where it is not available: too few points, or a square that is not positive.
        """
        points = [one for one in self.readings if one.setting.fitted == fitted]
        x = np.array([one.setting.x for one in points])
        try:
            squares = np.array([one.squares(of) for one in points]).T
            return slope(x, np.sqrt(np.maximum(squares, 0.0)))
        except DataError:
            return None

    def known_slope(self, name: str) -> float | None:
        """Slope of a figure without seeds, such as "residual_estimate", over the same points."""
        points = [one for one in self.readings if one.setting.fitted]
        x = np.array([one.setting.x for one in points])
        y = np.array([getattr(one, name) or 0.0 for one in points])
        try:
            return fit(x, y)
        except DataError:
            return None

    @property
    def slope(self) -> Interval | None:
        """Slope of the error that the axis is about."""
        return self.slope_of(self.axis.of)

    def share(self, name: str = "certificate") -> float:
        """Share of runs whose certificate is not vacuous."""
        return float(1 - np.concatenate([one.vacuous(name) for one in self.readings]).mean())


def gather(config: Mapping[str, Json], cells: Sequence[Json]) -> list[Measured]:
    """Put the outputs of the cells where they belong, those of the widths left out."""
    found = []
    for name in config["axes"]:
        if name in MODELS:
            outputs = [cell for cell in cells if cell["axis"] == name]
            axis = axis_named(name, config["seed"], config["quick"])
            found.append(Measured(axis, tuple(_reading(one, outputs) for one in axis.settings)))
    return found


def _reading(setting: Setting, outputs: Sequence[Json]) -> Reading:
    here = [output for output in outputs if output["cell"] == setting.cell]
    seeds = sorted((one for one in here if one["number"] is not None), key=lambda o: o["number"])
    return Reading(setting, next(one for one in here if one["number"] is None), seeds)


def reached(found: Interval | None, wanted: Wanted) -> bool:
    """Whether a slope lies in the wanted band."""
    return found is not None and wanted.low <= found.value <= wanted.high


def inside(found: Interval, wanted: Wanted) -> bool:
    """Whether its whole interval does; not without an interval."""
    if found.low is None or found.high is None:
        return False
    return wanted.low <= found.low and found.high <= wanted.high
