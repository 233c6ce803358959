"""observe: let agents act on frozen values and record, each agent its own log.

Estimates of the bound need records in which nothing moved: the residual of a handoff then tells
about the interface and not about learning.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from numba.typed import List

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.icq import clocks
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import Behaviour, uniform
from batonq.icq.finite import layout
from batonq.icq.kernels import dynamics, first_state, play
from batonq.icq.log import Field, Log
from batonq.icq.record import TRACE
from batonq.icq.run import Run
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
        fields: by name, what the holder may log but does not act on: a whole number per state.

    Returns:
        By agent, its log; observations are cells of the model. An agent that never held control
        has a log of no rows.

    Raises:
        ModelError: for values that are not finite or of another shape, or a field that has not one
            number a state.
    """
    if q.shape != (model.n_cells, model.n_actions) or not np.isfinite(q[model.cell_mask]).all():
        raise ModelError(
            f"observe: values of shape {q.shape}; give a finite number for each permitted of "
            f"{model.n_cells} cells and {model.n_actions} actions"
        )
    if handoffs < 1:
        raise ModelError(f"observe: {handoffs} handoffs; give at least 1")
    named = {} if fields is None else fields
    label = from_labels(model.cell, *named.values())
    trace = _trace(model, q, label, handoffs, behaviour or uniform(), seed)
    return {name: _log(model, q, label, named, trace, k) for k, name in enumerate(model.agents)}


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
