"""observe: let agents act on frozen values and record, each agent its own log.

Estimates of the bound need records in which nothing moved: the residual of a handoff then tells
about the interface and not about learning.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numba.typed import List

from batonq.base.errors import DataError, ModelError
from batonq.base.seeds import generator
from batonq.icq import clocks
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import Behaviour, check_behaviour, uniform
from batonq.icq.environment import Environment, Turn, check_agents, checked
from batonq.icq.episodes import Step, take
from batonq.icq.finite import layout
from batonq.icq.floor import Floor, Seat, as_it_is
from batonq.icq.kernels import dynamics, first_state, play
from batonq.icq.log import Field, Log
from batonq.icq.record import ENDS, TRACE
from batonq.icq.run import Run
from batonq.icq.tabular import TabularQ
from batonq.smdp.interface import from_labels
from batonq.smdp.model import FiniteICSMDP

Fields = Mapping[str, Int[np.ndarray, " state"]]


def values_of(run: Run, model: FiniteICSMDP, seed: int = 0) -> Float[np.ndarray, "cell action"]:
    """What all agents of a run have learnt, as one table over cells, for exact comparison.

    Raises:
        ModelError: if the run is of another model or its learner has no table per agent.
    """
    q = np.zeros((model.n_cells, model.n_actions))
    if set(run.tables[seed]) != set(model.agents):
        raise ModelError(f"run: '{run.learner}' has no table for each agent of this model")
    for table in run.tables[seed].values():
        q[np.array(table.observations, np.int64)] = table.q
    return q


def observe(
    model: FiniteICSMDP,
    q: Float[np.ndarray, "cell action"],
    *,
    handoffs: int,
    behaviour: Behaviour | None = None,
    seed: int = 0,
    fields: Fields | None = None,
) -> dict[str, Log]:
    """Play a finite model with frozen values and return every agent's own log.

    Args:
        model: the model.
        q: the values all act on and quote from.
        handoffs: decision epochs to play, at least 1.
        behaviour: how actions are drawn; uniform by default.
        seed: the same seed gives the same records.
        fields: by name, what the holder may log but does not act on: a whole number per state;
            the model's own by default.

    Returns:
        By agent, its log; observations are cells of the model. An agent that never held control
        has a log of no rows.

    Raises:
        ModelError: for values that are not finite or of another shape, or a field that has not one
            number a state.
    """
    if not isinstance(model, FiniteICSMDP):
        raise ModelError(
            f"observe: got a {type(model).__name__}; give a finite model, or call "
            "icq.observe.observe_environment for an environment"
        )
    wanted = (model.n_cells, model.n_actions)
    if not isinstance(q, np.ndarray) or q.shape != wanted:
        given = q.shape if isinstance(q, np.ndarray) else type(q).__name__
        raise ModelError(
            f"observe: values are {given}; give an array of shape {wanted}, one number for each "
            "cell and action (values_of makes it from a run)"
        )
    if not np.isfinite(q[model.cell_mask]).all():
        raise ModelError("observe: a value of a permitted action is not finite; give finite values")
    _check_play(handoffs, seed, behaviour)
    named = model.fields if fields is None else fields
    label = from_labels(model.cell, *named.values())
    trace = _trace(model, q, label, handoffs, behaviour or uniform(), seed)
    return {name: _log(model, q, label, named, trace, k) for k, name in enumerate(model.agents)}


def observe_environment(
    environment: Environment,
    run: Run,
    *,
    handoffs: int,
    behaviour: Behaviour | None = None,
    seed: int = 0,
    number: int = 0,
) -> dict[str, Log]:
    """Play a Python environment with what a run has learnt, frozen; returns each agent's log.

    Args:
        environment: the environment the run was trained on; the `fields` of its turns are logged.
        run: a run with a table per agent; a new information state counts as its initial value.
        handoffs: decisions to play, at least 1.
        behaviour: how actions are drawn; uniform by default.
        seed: of the play.
        number: which of the run's seeds acts.

    Raises:
        ModelError: if the run has no table for each agent, or the environment breaks its contract.
        DataError: if an agent's turns do not all have the same fields.
    """
    check_agents(environment)
    _check_play(handoffs, seed, behaviour)
    missing = [name for name in environment.agents if name not in run.tables[number]]
    if missing:
        raise ModelError(f"run: '{run.learner}' has no table of agent '{missing[0]}'")
    held = {name: _held(run, name, number) for name in environment.agents}
    floor = Floor(environment, learner_named("icq"), lambda name, _: held[name], as_it_is)
    kept: dict[str, list[_Kept]] = {name: [] for name in environment.agents}
    rng = generator(seed)
    turn = checked(environment.reset(rng), environment.agents, start=True)
    seat = floor.sit(turn)
    for _ in range(handoffs):
        step = take(environment, floor, seat, behaviour or uniform(), rng)
        quote = 0.0 if step.following is None else floor.ask(step.following, seat)
        kept[seat.agent].append(_Kept(turn, seat, step, quote))
        turn = step.turn
        if turn.end is not None or step.following is None:
            turn = checked(environment.reset(rng), environment.agents, start=True)
            seat = floor.sit(turn)
        else:
            seat = step.following
    return {name: _kept_log(environment, name, rows, held[name]) for name, rows in kept.items()}


def _check_play(handoffs: int, seed: int, behaviour: Behaviour | None) -> None:
    if handoffs < 1 or seed < 0:
        raise ModelError(f"observe: {handoffs} handoffs, seed {seed}; give at least 1 and 0")
    check_behaviour(behaviour)


class _Kept(NamedTuple):
    """One decision: the turn and seat it was made from, what came of it, the quote received."""

    turn: Turn
    seat: Seat
    step: Step
    quote: float


def _held(run: Run, agent: str, number: int) -> TabularQ:
    """The Q-function of one of a run's tables."""
    table = run.tables[number][agent]
    q = TabularQ(table.q.shape[1], clocks.sample_mean(), float(run.settings["initial"]))
    q.rows = dict(zip(table.observations, table.q, strict=True))
    return q


def _kept_log(environment: Environment, agent: str, rows: Sequence[_Kept], q: TabularQ) -> Log:
    agents = tuple(environment.agents)
    names = tuple(rows[0].turn.fields) if rows else ()
    for row in rows:
        if tuple(row.turn.fields) != names:
            raise DataError(
                f"observe: agent '{agent}' had the fields {names} once and "
                f"{tuple(row.turn.fields)} later; give each of its turns the same"
            )
    seen: dict[Hashable, Seat] = {}
    for row in rows:
        seen.setdefault(row.seat.observation, row.seat)
    order = {observation: k for k, observation in enumerate(seen)}
    shape = (len(seen), environment.agents[agent])
    receivers = [row.step.following for row in rows]
    return Log(
        agent=agent,
        agents=agents,
        gamma=environment.gamma,
        observations=tuple(seen),
        mask=np.array([seat.mask for seat in seen.values()], np.bool_).reshape(shape),
        values=np.array([q.values(y, seat.mask) for y, seat in seen.items()]).reshape(shape),
        y=np.array([order[row.seat.observation] for row in rows], np.int64),
        action=np.array([row.step.action for row in rows], np.int64),
        receiver=np.array([-1 if r is None else agents.index(r.agent) for r in receivers], int),
        end=np.array([ENDS.index(row.step.turn.end) for row in rows], np.int64),
        propensity=np.array([row.step.propensity for row in rows], np.float64),
        reward=np.array([row.step.turn.reward for row in rows], np.float64),
        duration=np.array([row.step.turn.duration for row in rows], np.float64),
        quote=np.array([row.quote for row in rows], np.float64),
        fields={name: _coded([row.turn.fields[name] for row in rows]) for name in names},
    )


def _coded(values: Sequence[Hashable]) -> Field:
    """Number values in the order in which they first came."""
    number = {value: k for k, value in enumerate(dict.fromkeys(values))}
    return Field(tuple(number), np.array([number[value] for value in values], np.int64))


def _trace(
    model: FiniteICSMDP,
    q: Float[np.ndarray, "cell action"],
    label: Int[np.ndarray, " state"],
    handoffs: int,
    behaviour: Behaviour,
    seed: int,
) -> np.ndarray:
    """A `TRACE` whose "cell" is the label: the cell and all fields in one number."""
    rng = generator(seed)
    plan = layout(model, learner_named("icq"))
    prepared = dynamics(model)
    tables = List([np.ascontiguousarray(q[cells]) for cells in plan.keys])
    trace = np.zeros(handoffs, TRACE)
    play(
        prepared._replace(cell=label),
        plan.sight,
        tables,
        tables,
        np.zeros((model.n_cells, model.n_actions), np.int64),
        clocks.sample_mean(),
        behaviour,
        False,  # frozen answers would be these same tables
        False,  # nothing is learnt
        False,  # quotes cross
        first_state(prepared.initial_cumulative, rng),
        handoffs,
        trace,
        rng,
    )
    return trace


def _log(
    model: FiniteICSMDP,
    q: Float[np.ndarray, "cell action"],
    label: Int[np.ndarray, " state"],
    fields: Fields,
    trace: np.ndarray,
    agent: int,
) -> Log:
    mine = trace[trace["agent"] == agent]
    _, example = np.unique(label, return_index=True)  # a state of each label
    state = example[mine["cell"]]
    cells = np.flatnonzero(model.cell_agent == agent)
    number = np.zeros(model.n_cells, np.int64)
    number[cells] = np.arange(len(cells))
    logged = {}
    for name, of_state in fields.items():
        levels, code = np.unique(of_state, return_inverse=True)
        logged[name] = Field(tuple(levels.tolist()), code.reshape(-1)[state])
    return Log(
        agent=model.agents[agent],
        agents=model.agents,
        gamma=model.gamma,
        observations=tuple(cells.tolist()),
        mask=model.cell_mask[cells],
        values=np.where(model.cell_mask, q, 0.0)[cells],
        y=number[model.cell[state]],
        fields=logged,
        **{name: mine[name].astype(np.int64) for name in ("action", "receiver", "end")},
        **{
            name: mine[name].astype(np.float64)
            for name in ("propensity", "reward", "duration", "quote")
        },
    )
