"""Two-layer ReLU networks in the layout of the kernels, and the inputs they are given.

Theory, section 10. On x with |x| = 1 and m neurons, a network is

    f(x; W) = m^-1/2 sum_r b_r [relu(w_r . x) - relu(w_r(0) . x)],

b_r = +1 or -1 fixed, w_r(0) standard normal, so that f = 0 at the start. Every w_r stays in the
ball of radius omega m^-1/2 about w_r(0), hence |f| <= omega: choose omega well above the largest
value to be learnt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.errors import ModelError
from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.icq.neural_kernels import GROUP, fill_all
from batonq.smdp.model import FiniteICSMDP

LONGEST: Final = 1e100  # features beyond which their length would overflow

Inputs = Float[np.ndarray, "row feature"]
ByAgent = Mapping[str, Float[np.ndarray, "_ _"]]  # inputs of each agent's cells


@dataclass(frozen=True, eq=False)
class Net:
    """How the networks of a finite model are made.

    Attributes:
        width: neurons of each network, m >= 1.
        radius: omega > 0; every neuron stays within omega / sqrt(m) of its start, so |f| <= omega.
        features: what an agent makes of each cell; None gives every cell of an agent a feature of
            its own (one 1 among zeros).
        constant: whether given features get a last entry of 1. Rows are then scaled to length 1.

    Raises:
        ModelError: for a width or radius out of range, or features that are not finite or zero.
    """

    width: int = 256
    radius: float = 8.0
    features: Float[np.ndarray, "cell feature"] | None = None
    constant: bool = True

    def __post_init__(self) -> None:
        check_net(self.width, self.radius)
        if self.features is not None:
            unit(self.features, self.constant)


def check_net(width: int, radius: float) -> None:
    """Raise a ModelError unless a network can have this width and radius."""
    if not width >= 1:
        raise ModelError(f"net: width {width} is too small; give at least 1 neuron")
    if not 0 < radius < math.inf:
        raise ModelError(f"net: radius {radius:g} is not positive and finite")


def check_clock(clock: Clock) -> None:
    """Raise a ModelError unless the first step is in (0, 1], and with it all that shrink.

    `clocks` makes clocks that are right; a `Clock` made by hand may not be.
    """
    first = clocks.size(clock, 1)
    if not 0 < first <= 1:
        raise ModelError(f"clock: the first step of a network is {first:g}, not in (0, 1]")


def unit(features: Float[np.ndarray, "row given"], constant: bool) -> Inputs:
    """Append a 1 to every row if `constant`, scale every row to length 1, pad it with zeros.

    Zeros make the number of features a multiple of `GROUP`, as the kernels want it.

    Raises:
        ModelError: for a row that is not finite, too long, or zero.
    """
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or not np.abs(rows).max(initial=0.0) < LONGEST:
        raise ModelError(
            f"features: of shape {rows.shape}, largest {np.abs(rows).max(initial=0.0):g}; give "
            f"one row of finite numbers below {LONGEST:g} a cell"
        )
    if constant:
        rows = np.hstack([rows, np.ones((len(rows), 1))])
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if not length.all():
        raise ModelError(
            f"features: row {int(np.argmin(length))} is zero and has no direction; "
            "append a constant"
        )
    missing = padded(rows.shape[1]) - rows.shape[1]
    return np.ascontiguousarray(np.pad(rows / length, ((0, 0), (0, missing))))


def padded(n_features: int) -> int:
    """The next multiple of `GROUP`."""
    return -(-n_features // GROUP) * GROUP


def inputs_of(model: FiniteICSMDP, net: Net) -> tuple[Inputs, ...]:
    """Inputs of every agent's networks: a row of length 1 for each of its cells, in their order.

    Raises:
        ModelError: if there is not one row of features a cell.
    """
    cells = [np.flatnonzero(model.cell_agent == agent) for agent in range(model.n_agents)]
    if net.features is None:
        return tuple(unit(np.eye(len(own)), constant=False) for own in cells)
    if len(net.features) != model.n_cells:
        raise ModelError(
            f"features: {len(net.features)} rows for {model.n_cells} cells; give one row a cell"
        )
    rows = unit(net.features, net.constant)
    return tuple(np.ascontiguousarray(rows[own]) for own in cells)


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of one agent, one per action.

    Attributes:
        weights: w, learnt in place.
        start: w(0).
        signs: b.
        radius: omega.
    """

    weights: Float[np.ndarray, "action feature neuron"]
    start: Float[np.ndarray, "action feature neuron"]
    signs: Float[np.ndarray, "action neuron"]
    radius: float

    @property
    def ball(self) -> float:
        """Radius of each neuron's ball, omega / sqrt(m)."""
        return self.radius / math.sqrt(self.signs.shape[1])

    def values(self, inputs: Inputs) -> Float[np.ndarray, "row action"]:
        """Outputs f at rows of inputs of length 1, for every action."""
        centred: np.ndarray = self._at(self.weights, inputs) - self._at(self.start, inputs)
        return centred

    def offset(self, inputs: Inputs, initial: float = 0.0) -> Float[np.ndarray, "row action"]:
        """What to add to the outputs so that the values are `initial` at the start."""
        centred: np.ndarray = initial - self._at(self.start, inputs)
        return centred

    def copy(self) -> Networks:
        """The same networks with weights of their own."""
        return replace(self, weights=self.weights.copy())

    def _at(
        self, weights: Float[np.ndarray, "action feature neuron"], inputs: Inputs
    ) -> Float[np.ndarray, "row action"]:
        table = np.empty((len(inputs), len(weights)))
        fill_all(table, np.zeros_like(table), weights, self.signs, inputs)
        return table


def new_networks(
    rng: np.random.Generator, n_actions: int, n_features: int, width: int, radius: float
) -> Networks:
    """Networks at their start: standard normal weights, also of padded features, fair signs."""
    start = rng.standard_normal((n_actions, padded(n_features), width))
    signs = rng.integers(0, 2, (n_actions, width)) * 2.0 - 1.0
    return Networks(start.copy(), start, signs, float(radius))
