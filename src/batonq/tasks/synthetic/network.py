"""Networks in place of tables: the floor that their width sets, and the memory of a hidden mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_continuous_lyapunov

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.bound.asymptotic import asymptotic
from batonq.icq.networks import Inputs, Net, Networks
from batonq.icq.neural import Trained, train_nets
from batonq.icq.population import population
from batonq.smdp.design import Dials, design, with_optimal
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform
from batonq.tasks.synthetic.axes import CHECKPOINTS, SETTLED, Setting
from batonq.tasks.synthetic.point import Point, mean_square, point_of

WIDTHS: Final = (8, 16, 32, 64, 128, 256, 512)
CELLS: Final = 640  # of each of two agents: more than networks up to m = 256 can interpolate
HARMONICS: Final = (1, *range(2, 21, 2))  # those that networks on a circle can represent
SIZE, DECAY = 0.6, 3  # of the coefficients of Q*: of the order of SIZE k^-DECAY
STEPS: Final = 90  # of damped Gauss-Newton; the floor is noted at half of them as well
RADIUS: Final = 10.0  # omega on the width axes
NEURAL_NET: Final[Mapping[str, Any]] = {"width": 64, "radius": 20.0}
FEATURES: Final = 4  # random features of a cell on the axis neural_mixing
TARGET, NETWORKS, INPUTS = 20, 21, 22  # branches of the seeds, beside those of the model


def widths(quick: bool) -> tuple[int, ...]:
    """The widths to run."""
    return WIDTHS[1:6:2] if quick else WIDTHS


def smooth_model(seed: int) -> tuple[FiniteICSMDP, Float[np.ndarray, "cell feature"]]:
    """Two agents whose cells lie on a circle, and a Q* that is smooth along it.

    Q* of each agent and action is a sum of harmonics k with coefficients of the order of k^-2.
    There is nothing hidden, so Qhat* = Q*.
    """
    rng = generator(seed, TARGET)
    dials = Dials(n_agents=2, cells_per_agent=CELLS, n_hidden=1, seed=seed)
    model = design(dials).model
    angle = rng.uniform(0, 2 * np.pi, size=model.n_cells)
    optimal = np.zeros(model.mask.shape)
    for agent in range(2):
        own = np.flatnonzero(model.cell_agent == agent)
        for action in range(model.n_actions):
            for k in HARMONICS:
                a, b = SIZE * rng.normal(size=2) / k**DECAY
                optimal[own, action] += a * np.cos(k * angle[own]) + b * np.sin(k * angle[own])
    return with_optimal(model, optimal), np.stack([np.cos(angle), np.sin(angle)], axis=1)


def width_seed(seed: int, number: int, width: int) -> dict[str, Json]:
    """The floor of networks of one width, from one start of their weights.

    Returns:
        rms: ||f - Q*|| in L2(mu) at the end of the budget; half: at half of it; flips: share of
        (neuron, cell) whose gate is another than at the start; used: largest displacement of a
        neuron over the radius of its ball.
    """
    model, features = smooth_model(seed)
    net = Net(width=width, radius=RADIUS, features=features, constant=False)
    start = int(generator(seed, NETWORKS, number).integers(2**31))
    found = population(model, net, steps=STEPS, seed=start)
    agents = [(found.networks[name], found.inputs[name]) for name in model.agents]
    return {
        "rms": float(found.rms[-1]),
        "half": float(found.rms[STEPS // 2]),
        "flips": float(np.mean([_flips(*one) for one in agents])),
        "used": max(_used(nets) for nets, _ in agents),
    }


def _flips(nets: Networks, inputs: Inputs) -> float:
    now, then = (np.einsum("pf,afn->apn", inputs, w) > 0 for w in (nets.weights, nets.start))
    return float((now != then).mean())


def _used(nets: Networks) -> float:
    return float(np.linalg.norm(nets.weights - nets.start, axis=1).max() / nets.ball)


def neural_seed(setting: Setting, seed: int, number: int) -> dict[str, Json]:
    """What one seed of on-line networks measures. Squares are in L2(mu).

    Returns:
        error, residual, twin: as of tables; estimate: square of the residual that the central
        limit estimate gives for the networks linearised at their start.
    """
    point = point_of(setting)
    trained = _train(point, seed, number)
    plain = point_of(replace(setting, dials=replace(setting.dials, kappa=0.0)))
    twin = _train(plain, seed, number)
    away = _settled(trained)[:, point.model.cell] - point.gap.optimal.q
    return {
        "error": mean_square(away, point.gap.visits),
        "residual": _residual(point, trained),
        "twin": _residual(plain, twin),
        "estimate": _linearised(point, trained),
    }


def _train(point: Point, seed: int, number: int) -> Trained:
    """The same networks and draws for the same number, whatever the rewards."""
    shape = (point.model.n_cells, FEATURES)
    net = Net(features=generator(seed, INPUTS).normal(size=shape), **NEURAL_NET)
    return train_nets(
        point.model,
        net,
        handoffs=point.setting.handoffs,
        seed=int(generator(seed, NETWORKS, number).integers(2**31)),
        clock=point.clock,
        points=CHECKPOINTS,
        workers=1,
    )


def _settled(trained: Trained) -> Float[np.ndarray, "stop cell action"]:
    path: np.ndarray = trained.path[0, int(SETTLED * CHECKPOINTS) :]
    return path


def _residual(point: Point, trained: Trained) -> float:
    away = (_settled(trained) - point.gap.aggregated.q)[:, point.model.cell]
    return mean_square(away, point.gap.visits)


def _linearised(point: Point, trained: Trained) -> float:
    """Square of the residual in L2(mu), were the gates those of the start.

    An update at p then moves q by step K(q, p) (noise - A Delta), with K the tangent kernel: that
    of a table, which has the identity in its place.
    """
    model = point.model
    found = asymptotic(model, uniform(model), point.gap)
    kernel = np.zeros((model.cell_mask.size,) * 2)
    for agent, name in enumerate(model.agents):
        cells = np.flatnonzero(model.cell_agent == agent)
        nets, inputs = trained.networks[0][name], trained.inputs[name]
        for action in range(model.n_actions):
            open_ = (inputs @ nets.start[action] > 0).astype(np.float64)
            shared = open_ @ open_.T / open_.shape[1]
            pairs = cells * model.n_actions + action
            kernel[np.ix_(pairs, pairs)] = (inputs @ inputs.T) * shared
    kernel = kernel[np.ix_(model.cell_mask.ravel(), model.cell_mask.ravel())]
    step = float(point.setting.step or 0.0)
    covariance = solve_continuous_lyapunov(
        kernel @ found.drift, step * kernel @ found.noise @ kernel
    )
    return float(found.visits @ np.diagonal(covariance))
