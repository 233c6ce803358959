"""Training on a finite model: Numba kernels, one seed per thread, no Python per update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numba.typed import List

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.base.seeds import generators
from batonq.icq.baselines import NEGLIGIBLE, RETURN_BLOCK, Learner
from batonq.icq.clocks import Clock
from batonq.icq.kernels import Dynamics, Sight, dynamics, first_state, learn_returns, play
from batonq.icq.record import TRACE
from batonq.icq.run import CENTRAL, Run, Table
from batonq.icq.settings import Settings
from batonq.smdp.durations import SLACK
from batonq.smdp.exact import evaluate
from batonq.smdp.model import FiniteICSMDP

Tables = Sequence[Float[np.ndarray, "_ action"]]  # a numba.typed.List of arrays


@dataclass(frozen=True, eq=False)
class Layout:
    """Which tables there are, and which row of which table serves each state.

    Attributes:
        names: owner of each table.
        sight: per state, its table, row, and row of the local counts.
        keys: per table, the cell (for joint sight, the state) each row stands for.
    """

    names: tuple[str, ...]
    sight: Sight
    keys: tuple[Int[np.ndarray, " _"], ...]


def layout(model: FiniteICSMDP, learner: Learner) -> Layout:
    """Lay out the tables: one per agent over its own cells, or a central one."""
    if learner.sight == "own":
        keys = tuple(np.flatnonzero(model.cell_agent == agent) for agent in range(model.n_agents))
        row = np.zeros(model.n_cells, np.int64)
        for cells in keys:
            row[cells] = np.arange(len(cells))
        return Layout(model.agents, _sight(model.holder, row[model.cell], model.cell), keys)
    place = model.cell if learner.sight == "features" else np.arange(model.n_states)
    sight = _sight(np.zeros(model.n_states, np.int64), place, place)
    return Layout((CENTRAL,), sight, (np.arange(int(place.max()) + 1),))


def _sight(*per_state: Int[np.ndarray, " state"]) -> Sight:
    """Unsigned numbers, so that no look-up has to consider counting from the end."""
    return Sight(*(numbers.astype(np.uint32) for numbers in per_state))


def train_finite(
    model: FiniteICSMDP,
    learner: Learner,
    settings: Settings,
    progress: Callable[[int], None],
    start: Run | None = None,
) -> Run:
    """Train on a finite model; see `batonq.icq.train.train` for the arguments."""
    if settings.record and learner.sight != "own":
        raise ModelError("record: a central learner keeps no agent's own records")
    prepared, plan = dynamics(model), layout(model, learner)
    if start is not None:
        _check_start(start, learner, settings, plan, model.n_actions)

    def make(number: int, rng: np.random.Generator) -> _Seed:
        seed = _Seed(model, prepared, plan, settings, rng)
        if start is not None:
            seed.adopt(start.tables[number], plan)
        return seed

    return run_seeds(model, learner, settings, plan, make, progress)[0]


@runtime_checkable
class Learning(Protocol):
    """One seed that learns: its tables, its records, and how far it has come."""

    tables: Tables
    trace: np.ndarray
    done: int
    crossed: int

    def advance(self, learner: Learner, settings: Settings, clock: Clock, stop: int) -> None:
        """Train until `stop` handoffs are done; a phased learner takes this as one phase."""
        ...

    def named(self, plan: Layout) -> dict[str, Table]:
        """The tables by owner, with what each row stands for."""
        ...


AnySeed = TypeVar("AnySeed", bound=Learning)


def run_seeds(
    model: FiniteICSMDP,
    learner: Learner,
    settings: Settings,
    plan: Layout,
    make: Callable[[int, np.random.Generator], AnySeed],
    progress: Callable[[int], None],
    more: Mapping[str, Json] = MappingProxyType({}),
) -> tuple[Run, Sequence[AnySeed]]:
    """Train every seed that `make` makes of (number, generator), in threads, and evaluate it.

    `more` joins the settings that the run remembers.
    """
    clock = settings.clock_for(learner, model.contraction)
    stops = settings.stops(learner, model.contraction)

    def one_seed(number: int, rng: np.random.Generator) -> tuple[AnySeed, list[float]]:
        seed = make(number, rng)
        curve = []
        for stop in stops:
            before = seed.done
            seed.advance(learner, settings, clock, int(stop))
            curve.append(_value_of_greedy(model, learner, plan, seed.tables))
            progress(seed.done - before)
        return seed, curve

    with ThreadPoolExecutor(settings.workers) as pool:
        sources = generators(settings.seed, settings.seeds)
        seeds, curves = zip(*pool.map(one_seed, range(settings.seeds), sources), strict=True)
    run = Run(
        learner=learner.name,
        settings={
            "sight": learner.sight,
            "model": model.digest,
            **settings.to_json(),
            **more,
        },
        agents=model.agents,
        tables=tuple(seed.named(plan) for seed in seeds),
        points=stops,
        curve=np.array(curves),
        quotes_crossed=np.array([seed.crossed for seed in seeds]),
        traces=tuple(seed.trace for seed in seeds) if settings.record else (),
        trace_observations=tuple(range(model.n_cells)) if settings.record else (),
    )
    return run, seeds


def _check_start(
    start: Run, learner: Learner, settings: Settings, plan: Layout, n_actions: int
) -> None:
    """Raise a ModelError unless a run can be gone on from."""
    if (start.learner, start.settings["sight"]) != (learner.name, learner.sight):
        raise ModelError(f"start: a run of '{start.learner}' cannot go on as '{learner.name}'")
    if start.seeds != settings.seeds:
        raise ModelError(f"start: has {start.seeds} seeds, {settings.seeds} were asked for")
    for name, keys in zip(plan.names, plan.keys, strict=True):
        table = start.tables[0].get(name)
        wanted = (len(keys), n_actions)
        if table is None or table.q.shape != wanted or table.observations != tuple(keys.tolist()):
            raise ModelError(f"start: its table of '{name}' does not fit the cells of this model")


class _Seed:
    """One seed's tables, clocks and place in the model."""

    def __init__(
        self,
        model: FiniteICSMDP,
        prepared: Dynamics,
        plan: Layout,
        settings: Settings,
        rng: np.random.Generator,
    ) -> None:
        shape = (model.n_cells if plan.names != (CENTRAL,) else len(plan.keys[0]), model.n_actions)
        self.tables = listed(
            np.full((len(keys), model.n_actions), settings.initial) for keys in plan.keys
        )
        self.counts = np.zeros(shape, np.int64)
        self.trace = np.zeros(settings.handoffs if settings.record else 0, TRACE)
        self.done = 0
        self.crossed = 0
        self._prepared = prepared
        self._sight = plan.sight
        self._rng = rng
        self._state = first_state(prepared.initial_cumulative, rng)

    def adopt(self, tables: Mapping[str, Table], plan: Layout) -> None:
        """Go on from stored tables and their local clocks."""
        for name, values, rows in zip(plan.names, self.tables, self._count_rows(plan), strict=True):
            values[:] = tables[name].q
            self.counts[rows] = tables[name].counts

    def advance(self, learner: Learner, settings: Settings, clock: Clock, stop: int) -> None:
        """Train until `stop` handoffs are done; a phased learner takes this as one phase."""
        if learner.returns:
            while self.done < stop:
                block = self._room(settings, min(RETURN_BLOCK, stop - self.done), always=True)
                self._play(self.tables, clock, settings, learner, block, len(block))
                learn_returns(
                    self._prepared, self.tables, self._rows, self.counts, clock, block, NEGLIGIBLE
                )
            return
        answers = self.tables
        if learner.phased:
            answers = listed(table.copy() for table in self.tables)
            self.counts[:] = 0
        block = self._room(settings, stop - self.done, always=False)
        self._play(answers, clock, settings, learner, block, stop - self.done)

    def named(self, plan: Layout) -> dict[str, Table]:
        """The tables by owner, with what each row stands for."""
        return {
            name: Table(tuple(keys.tolist()), np.asarray(table), self.counts[rows])
            for name, keys, table, rows in zip(
                plan.names, plan.keys, self.tables, self._count_rows(plan), strict=True
            )
        }

    def _count_rows(self, plan: Layout) -> Sequence[Int[np.ndarray, " _"]]:
        """Rows of the local counts that belong to each table."""
        return plan.keys if plan.names != (CENTRAL,) else (np.arange(len(self.counts)),)

    @property
    def _rows(self) -> Int[np.ndarray, " cell"]:
        rows = np.zeros(len(self.counts), np.int64)
        rows[self._sight.clock_row] = self._sight.row
        return rows

    def _room(self, settings: Settings, size: int, always: bool) -> np.ndarray:
        """The stretch of the trace to fill next; scratch space if nothing is recorded."""
        if settings.record:
            return self.trace[self.done : self.done + size]
        return np.zeros(size if always else 0, TRACE)

    def _play(
        self,
        answers: Tables,
        clock: Clock,
        settings: Settings,
        learner: Learner,
        block: np.ndarray,
        handoffs: int,
    ) -> None:
        self._state, crossed = play(
            self._prepared,
            self._sight,
            self.tables,
            answers,
            self.counts,
            clock,
            settings.behaviour,
            answers is not self.tables,
            learner.learns and not learner.returns,
            learner.silent,
            self._state,
            handoffs,
            block,
            self._rng,
        )
        self.done += handoffs
        self.crossed += crossed


def listed(tables: Iterable[np.ndarray]) -> Tables:
    """Separately allocated arrays, in the list the kernels take."""
    return cast(Tables, List(list(tables)))


def greedy_policy(model: FiniteICSMDP, sight: Sight, tables: Tables) -> Int[np.ndarray, " state"]:
    """Best permitted action in every state, as its holder's table has it."""
    policy = np.zeros(model.n_states, np.int64)
    for number, table in enumerate(tables):
        held = np.flatnonzero(sight.table == number)
        policy[held] = np.where(model.mask[held], table[sight.row[held]], -np.inf).argmax(axis=1)
    return policy


def _value_of_greedy(model: FiniteICSMDP, learner: Learner, plan: Layout, tables: Tables) -> float:
    """Exact value, from the initial law, of the policy greedy in the tables; NaN if it is endless.

    Only without discount can a policy go on for ever and have no value.
    """
    policy: np.ndarray = model.mask / model.mask.sum(axis=1, keepdims=True)
    if learner.learns:
        policy = greedy_policy(model, plan.sight, tables)
    try:
        return float(model.initial @ evaluate(model, policy).value)
    except ModelError:
        if model.contraction < 1 - SLACK:
            raise
        return math.nan
