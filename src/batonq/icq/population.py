"""Neural IC-Q without noise: the expected semi-gradient under the behaviour, run to its end.

Where the on-line learner would settle with infinitely many handoffs and vanishing steps, hence
the floor that the width of the networks sets. On a finite model only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy import linalg

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.icq.networks import ByAgent, Inputs, Net, Networks, inputs_of, new_networks
from batonq.smdp import policies
from batonq.smdp.exact import Aggregated, aggregated
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.sweeps import back_up

Displacement = Float[np.ndarray, "feature neuron"]
FIRST_DAMPING: Final = 1e-2  # of the weighted mean square gradient
LEAST_DAMPING: Final = 1e-12
MOST_DAMPING: Final = 1e12
TRIES: Final = 8  # dampings tried in one step
TINY: Final = 1e-300


@dataclass(frozen=True, eq=False)
class Tangent:
    """The linear map J of one network at fixed gates: J v = m^-1/2 sum_r b_r 1{on} v_r . x.

    Attributes:
        inputs: x of each row, of length 1.
        gates: b_r where w_r . x > 0, else 0.
    """

    inputs: Inputs
    gates: Float[np.ndarray, "row neuron"]

    def __call__(self, v: Displacement) -> Float[np.ndarray, " row"]:
        """J v."""
        out: np.ndarray = (self.inputs @ v * self.gates).sum(axis=1) / self.root
        return out

    def transposed(self, u: Float[np.ndarray, " row"]) -> Displacement:
        """J' u."""
        out: np.ndarray = self.inputs.T @ (u[:, None] * self.gates) / self.root
        return out

    @property
    def gram(self) -> Float[np.ndarray, "row row"]:
        """J J'."""
        out: np.ndarray = (self.inputs @ self.inputs.T) * (self.gates @ self.gates.T) / self.root**2
        return out

    @property
    def root(self) -> float:
        """Square root of the width."""
        return math.sqrt(self.gates.shape[1])


def tangent(weights: Displacement, signs: Float[np.ndarray, " neuron"], inputs: Inputs) -> Tangent:
    """The tangent of one network at its weights."""
    return Tangent(inputs, np.where(inputs @ weights > 0, signs, 0.0))


def project(v: Displacement, ball: float) -> Displacement:
    """The nearest displacement with every neuron in its ball."""
    length = np.linalg.norm(v, axis=0)
    out: np.ndarray = v * np.minimum(1.0, ball / np.maximum(length, ball))
    return out


@dataclass(frozen=True, eq=False)
class Population:
    """Where the expected semi-gradient has led.

    Attributes:
        networks: of each agent by name.
        inputs: of each agent's cells by name.
        values: f at every cell.
        target: Qhat*, the fixed point over cells; -inf where not permitted.
        weight: mu, the stationary law of (cell, action).
        rms: per step, ||f - Qhat*|| in L2(mu), before the first step and after each.
        stationarity: per step, the length of the projected expected semi-gradient over the
            L2(mu) length of the temporal difference, in [0, 1]; 0 where nothing is left to do.
    """

    networks: Mapping[str, Networks]
    inputs: ByAgent
    values: Float[np.ndarray, "cell action"]
    target: Float[np.ndarray, "cell action"]
    weight: Float[np.ndarray, "cell action"]
    rms: Float[np.ndarray, " step"]
    stationarity: Float[np.ndarray, " taken"]


def population(
    model: FiniteICSMDP,
    net: Net | None = None,
    *,
    behaviour: Float[np.ndarray, "cell action"] | None = None,
    steps: int = 200,
    seed: int = 0,
) -> Population:
    """Follow the expected semi-gradient by damped Gauss-Newton steps.

    A step moves every network toward what the Bellman operator over cells makes of all values so
    far. Its fixed points are those of the projected expected semi-gradient.

    Args:
        model: the model.
        net: width, radius and features.
        behaviour: law of the actions of every cell, fixed; uniform by default.
        steps: how many; each applies the operator once, so take several times 1 / (1 - beta), and
            compare `rms` along the way to see that they do not bind.
        seed: of the networks' start; seed k is that of `train_nets(seed=k)`'s first seed.

    Raises:
        ModelError: for a setting, features or a behaviour that cannot be right.
    """
    if steps < 1:
        raise ModelError(f"population: {steps} steps are too few; give at least 1")
    net = net or Net()
    law = policies.uniform(model) if behaviour is None else behaviour
    fixed = aggregated(model, law)
    weight = pair_law(model, fixed, law)
    inputs = inputs_of(model, net)
    networks = [
        new_networks(
            generator(seed, 0, agent), model.n_actions, seen.shape[1], net.width, net.radius
        )
        for agent, seen in enumerate(inputs)
    ]
    cells = [np.flatnonzero(model.cell_agent == agent) for agent in range(model.n_agents)]
    mask, values = model.cell_mask, np.zeros((model.n_cells, model.n_actions))
    descents = [
        (
            own[permitted],
            action,
            _Descent(one, action, seen[permitted], weight[own, action][permitted]),
        )
        for own, one, seen in zip(cells, networks, inputs, strict=True)
        for action in range(model.n_actions)
        if (permitted := mask[own, action]).any()
    ]
    wanted = np.where(mask, fixed.q, 0.0)
    rms, stationarity = [rms_of(values - wanted, weight)], []
    for _ in range(steps):
        difference = np.where(mask, backed_up(fixed, mask, values) - values, 0.0)
        square = sum(one.step(difference[own, action]) for own, action, one in descents)
        for own, nets, seen in zip(cells, networks, inputs, strict=True):
            values[own] = nets.values(seen)
        rms.append(rms_of(values - wanted, weight))
        stationarity.append(math.sqrt(square) / max(rms_of(difference, weight), TINY))
    names = model.agents
    return Population(
        dict(zip(names, networks, strict=True)),
        dict(zip(names, inputs, strict=True)),
        values,
        fixed.q,
        weight,
        np.array(rms),
        np.array(stationarity),
    )


class _Descent:
    """Damped Gauss-Newton (Levenberg-Marquardt) for one network, its damping kept between steps."""

    def __init__(
        self,
        networks: Networks,
        action: int,
        inputs: Inputs,
        weight: Float[np.ndarray, " row"],
    ) -> None:
        self._networks = networks
        self._action = action
        self._inputs = inputs
        self._weight = weight
        self._damping = FIRST_DAMPING

    def step(self, difference: Float[np.ndarray, " row"]) -> float:
        """Bring f nearer to f + difference; returns the square of the projected semi-gradient.

        A step is taken only if it lessens the weighted square distance to this fixed target. As
        the damping grows, a step becomes one of the projected semi-gradient, which does.
        """
        one, action = self._networks, self._action
        signs, start = one.signs[action], one.start[action]
        at = tangent(one.weights[action], signs, self._inputs)
        v = one.weights[action] - start
        slope = at.transposed(self._weight * difference)
        gram, before = at.gram, float(self._weight @ difference**2)
        scale = float(self._weight @ np.diag(gram)) / np.maximum(self._weight, TINY)
        value = _output(one.weights[action], signs, self._inputs)
        for _ in range(TRIES):
            system = gram + np.diag(self._damping * scale)
            move = at.transposed(linalg.solve(system, difference, assume_a="pos"))
            tried = start + project(v + move, one.ball)
            left = difference - (_output(tried, signs, self._inputs) - value)
            if float(self._weight @ left**2) < before:
                one.weights[action] = tried
                self._damping = max(self._damping / 3, LEAST_DAMPING)
                break
            self._damping = min(4 * self._damping, MOST_DAMPING)
        return float(np.square(project(v + slope, one.ball) - v).sum())


def _output(
    weights: Displacement, signs: Float[np.ndarray, " neuron"], inputs: Inputs
) -> Float[np.ndarray, " row"]:
    out: np.ndarray = np.maximum(inputs @ weights, 0.0) @ signs / math.sqrt(len(signs))
    return out


def pair_law(
    model: FiniteICSMDP, fixed: Aggregated, behaviour: Float[np.ndarray, "cell action"]
) -> Float[np.ndarray, "cell action"]:
    """The stationary law mu of (cell, action) under a behaviour; 0 where not permitted."""
    law = policies.as_table(model.cell_mask, behaviour, "cell")
    out: np.ndarray = np.bincount(model.cell, fixed.stationary, model.n_cells)[:, None] * law
    return out


def backed_up(
    fixed: Aggregated,
    mask: Bool[np.ndarray, "cell action"],
    values: Float[np.ndarray, "cell action"],
) -> Float[np.ndarray, "cell action"]:
    """T^ of values over cells."""
    kernel = fixed.kernel
    best = np.where(mask, values, -np.inf).max(axis=1)
    out = np.empty_like(values)
    back_up(kernel.indptr, kernel.successor, kernel.weight, kernel.reward, best, out)
    return out


def rms_of(
    error: Float[np.ndarray, "cell action"], weight: Float[np.ndarray, "cell action"]
) -> float:
    """Length of an error in L2(weight)."""
    return math.sqrt(float((weight * error**2).sum()))
