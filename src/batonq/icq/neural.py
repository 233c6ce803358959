"""Neural IC-Q: training of networks, one per agent and action, without autodiff.

An update adds step size times temporal difference times the gradient, b_r x m^-1/2 where
w_r . x > 0 (the semi-gradient: the quote counts as fixed), and projects every neuron to its ball.
Theory, section 10; the networks are in `batonq.icq.networks`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numba.typed import List

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.base.machine import cores
from batonq.base.seeds import generator
from batonq.icq import clocks, update
from batonq.icq.baselines import Learner, learner_named
from batonq.icq.behaviour import Behaviour, uniform
from batonq.icq.clocks import Clock
from batonq.icq.finite import Layout, layout, listed, run_seeds
from batonq.icq.kernels import Dynamics, dynamics, first_state
from batonq.icq.linear import Features
from batonq.icq.networks import (
    ByAgent,
    Inputs,
    Net,
    Networks,
    check_clock,
    check_net,
    inputs_of,
    new_networks,
    unit,
)
from batonq.icq.neural_kernels import fill_all, learn, play_nets
from batonq.icq.record import TRACE
from batonq.icq.run import Run, Table
from batonq.icq.settings import Settings
from batonq.smdp.model import FiniteICSMDP

STEP: Final = Clock(1.0, 1.0, 0.02, 0.5)  # (1 + n / 50)^-1/2, n counting a network's updates


@dataclass(frozen=True, eq=False)
class Trained:
    """What neural training on a finite model leaves.

    Attributes:
        run: as of any learner; its tables are the networks' values at every cell.
        networks: per seed, the networks of each agent by name.
        inputs: per agent by name, the input of each of its cells in their order.
        path: values at `run.points`, in the order of cells.
    """

    run: Run
    networks: tuple[Mapping[str, Networks], ...]
    inputs: ByAgent
    path: Float[np.ndarray, "seed point cell action"]


def train_nets(
    model: FiniteICSMDP,
    net: Net | None = None,
    *,
    phased: bool = False,
    handoffs: int,
    seeds: int = 1,
    seed: int = 0,
    behaviour: Behaviour | None = None,
    clock: Clock | None = None,
    phases: int | None = None,
    initial: float = 0.0,
    points: int = 20,
    workers: int | None = None,
) -> Trained:
    """Neural IC-Q on a finite model, the networks returned: `batonq.train` returns the run only.

    Args:
        model: the model.
        net: width, radius and features of the networks.
        phased: act and quote from values frozen during a phase; a phase is one stream of
            stochastic gradient steps toward its targets. Else on-line.
        handoffs: decision epochs per seed.
        seeds: independent repetitions; networks and stream both differ.
        seed: the same seed gives the same numbers, whatever `workers` is.
        behaviour: uniform by default.
        clock: step sizes by a network's own count of updates, restarted in each phase; `STEP` by
            default.
        phases: number of phases.
        initial: value of everything at the start.
        points: how often values are kept and the greedy policy is evaluated.
        workers: threads for the seeds.

    Raises:
        ModelError: for a setting or features that cannot be right.
    """
    settings = Settings(
        handoffs=handoffs,
        seeds=seeds,
        seed=seed,
        behaviour=uniform() if behaviour is None else behaviour,
        clock=clock,
        phases=phases,
        initial=initial,
        points=points,
        record=False,
        workers=cores() if workers is None else workers,
    )
    learner = learner_named("icq_neural_phased" if phased else "icq_neural")
    return train_networks(model, learner, settings, net or Net(), lambda _handoffs: None)


def train_networks(
    model: FiniteICSMDP,
    learner: Learner,
    settings: Settings,
    net: Net,
    progress: Callable[[int], None],
) -> Trained:
    """Train networks on a finite model; see `train_nets` for the arguments."""
    prepared, plan, inputs = dynamics(model), layout(model, learner), inputs_of(model, net)
    settings = replace(settings, clock=STEP if settings.clock is None else settings.clock)
    check_clock(settings.clock_for(learner, model.contraction))

    def make(number: int, rng: np.random.Generator) -> _NetSeed:
        networks = [
            new_networks(
                generator(settings.seed, number, agent),
                model.n_actions,
                inputs[agent].shape[1],
                net.width,
                net.radius,
            )
            for agent in range(model.n_agents)
        ]
        return _NetSeed(model, prepared, plan, settings, networks, inputs, rng)

    made: dict[str, Json] = {"width": net.width, "radius": net.radius}
    run, seeds = run_seeds(model, learner, settings, plan, make, progress, made)
    cells = np.argsort(np.concatenate(plan.keys))
    return Trained(
        run,
        tuple(dict(zip(plan.names, seed.networks, strict=True)) for seed in seeds),
        dict(zip(plan.names, inputs, strict=True)),
        np.array([seed.path for seed in seeds])[:, :, cells],
    )


class _NetSeed:
    """One seed's networks, clocks and place in the model."""

    def __init__(
        self,
        model: FiniteICSMDP,
        prepared: Dynamics,
        plan: Layout,
        settings: Settings,
        networks: list[Networks],
        inputs: tuple[Inputs, ...],
        rng: np.random.Generator,
    ) -> None:
        self.networks = networks
        self.trace = np.zeros(settings.handoffs if settings.record else 0, TRACE)
        self.done = 0
        self.crossed = 0
        self.path: list[np.ndarray] = []
        self._prepared = prepared
        self._plan = plan
        self._counts = np.zeros((model.n_cells, model.n_actions), np.int64)
        self._updates = np.zeros((model.n_agents, model.n_actions), np.int64)
        self._offsets = listed(
            one.offset(seen, settings.initial) for one, seen in zip(networks, inputs, strict=True)
        )
        self._weights, self._starts, self._signs = (
            List([getattr(one, name) for one in networks]) for name in ("weights", "start", "signs")
        )
        self._inputs = listed(inputs)
        self.tables = listed(offset.copy() for offset in self._offsets)
        self._rng = rng
        self._refresh()
        self._state = first_state(prepared.initial_cumulative, rng)

    def advance(self, learner: Learner, settings: Settings, clock: Clock, stop: int) -> None:
        """Train until `stop` handoffs are done; a phased learner takes this as one phase."""
        if learner.phased:
            self._counts[:] = 0
            self._updates[:] = 0
        self._state, crossed = play_nets(
            self._prepared,
            self._plan.sight,
            self.tables,
            self._offsets,
            self._weights,
            self._starts,
            self._signs,
            self._inputs,
            self._counts,
            self._updates,
            clock,
            self.networks[0].ball,
            settings.behaviour,
            learner.phased,
            self._state,
            stop - self.done,
            self.trace[self.done : stop],
            self._rng,
        )
        self.done = stop
        self.crossed += crossed
        self._refresh()
        self.path.append(np.concatenate(list(self.tables)))

    def named(self, plan: Layout) -> dict[str, Table]:
        """The values at every cell by owner."""
        return {
            name: Table(tuple(keys.tolist()), np.asarray(table), self._counts[keys])
            for name, keys, table in zip(plan.names, plan.keys, self.tables, strict=True)
        }

    def _refresh(self) -> None:
        """Bring the tables up to date: what everyone quotes if a phase starts now."""
        for one in zip(
            self.tables, self._offsets, self._weights, self._signs, self._inputs, strict=True
        ):
            fill_all(*one)


class NeuralQ:
    """Q(y, a) = f_a(x), x being features(y) of length 1: the Q-function of one agent.

    Attributes:
        networks: one network per action.
        updates: updates per action.
    """

    def __init__(
        self,
        n_actions: int,
        n_features: int,
        features: Features,
        *,
        width: int = 256,
        radius: float = 8.0,
        constant: bool = True,
        clock: Clock = STEP,
        rng: np.random.Generator | None = None,
    ) -> None:
        """Make networks at their start.

        Args:
            n_actions: number of actions.
            n_features: length of what `features` returns.
            features: features of an information state.
            width: neurons of each network, m >= 1.
            radius: omega > 0; |f| <= omega.
            constant: whether features get a last entry of 1, before they are scaled to length 1.
            clock: step sizes by a network's own count of updates.
            rng: draws the weights at the start; by default that of seed 0.

        Raises:
            ModelError: for a width, radius or clock out of range.
        """
        check_net(width, radius)
        check_clock(clock)
        rng = generator(0) if rng is None else rng
        self.networks = new_networks(rng, n_actions, n_features + constant, width, radius)
        self.updates = [0] * n_actions
        self._n_features = n_features
        self._features = features
        self._constant = constant
        self._clock = clock
        self._reach, self._length = np.empty((2, width))

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Value of every action at `y`."""
        del mask
        one: np.ndarray = self.networks.values(self.seen(y))[0]
        return one

    def quote(self, y: Hashable, mask: Bool[np.ndarray, " action"]) -> float:
        """Largest value over the permitted actions."""
        return float(update.quote(self.values(y, mask)[None], 0, mask[None], 0))

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Move the value of one action at `y` toward `target` by one semi-gradient step."""
        x, nets = self.seen(y), self.networks
        self.updates[action] += 1
        size = clocks.size(self._clock, self.updates[action])
        learn(
            nets.offset(x),
            nets.weights,
            nets.start,
            nets.signs,
            action,
            x,
            0,
            target,
            size,
            nets.ball,
            self._reach,
            self._length,
        )

    def frozen(self) -> NeuralQ:
        """A copy that answers in the phase that starts now; the counts here start again."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.networks = self.networks.copy()
        copy.updates = [0] * len(self.updates)
        self.updates = [0] * len(self.updates)
        return copy

    def seen(self, y: Hashable) -> Inputs:
        """The input for `y`, one row of length 1.

        Raises:
            ModelError: if its features have another length than declared, or are not finite, or
                zero without a constant.
        """
        features = np.asarray(self._features(y), np.float64)
        if features.shape != (self._n_features,):
            raise ModelError(
                f"features: of {y!r} are {features!r}; give {self._n_features} finite numbers"
            )
        return unit(features[None], self._constant)
