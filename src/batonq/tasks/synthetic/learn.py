"""On-line IC-Q on a finite model, its tables noted on the way: what `train` does, kept in sight.

`train` leaves the last table of a run. Errors at stationarity are means over time, so here the
same kernel stops at checkpoints and goes on from the same state, tables and clocks.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numba.typed import List

from batonq.icq.baselines import LEARNERS
from batonq.icq.behaviour import uniform
from batonq.icq.clocks import Clock
from batonq.icq.finite import layout
from batonq.icq.kernels import dynamics, first_state, play
from batonq.icq.record import TRACE
from batonq.smdp.model import FiniteICSMDP


def trajectory(
    model: FiniteICSMDP,
    clock: Clock,
    stops: Int[np.ndarray, " stop"],
    rng: np.random.Generator,
    start: Float[np.ndarray, "cell action"],
) -> Float[np.ndarray, "stop cell action"]:
    """The values of all agents after each of `stops` (rising) handoffs, under uniform behaviour.

    Tables begin as `start`. The same generator gives the same draws on models that differ in
    rewards only.
    """
    prepared, plan = dynamics(model), layout(model, LEARNERS["icq"])
    shape = (model.n_cells, model.n_actions)
    tables = List([start[cells] for cells in plan.keys])
    counts = np.zeros(shape, np.int64)
    cells = np.concatenate(plan.keys)
    state, done = first_state(prepared.initial_cumulative, rng), 0
    noted = np.empty((len(stops), *shape))
    for number, stop in enumerate(stops):
        state, _ = play(
            prepared,
            plan.sight,
            tables,
            tables,
            counts,
            clock,
            uniform(),
            False,
            True,
            False,
            state,
            int(stop) - done,
            np.zeros(0, TRACE),
            rng,
        )
        done = int(stop)
        noted[number, cells] = np.concatenate(list(tables))
    return noted
