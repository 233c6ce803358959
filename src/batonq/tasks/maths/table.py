"""IC-Q as a table over the cells, trained by the kernel on the replay as a finite model.

It shows that training reaches the exact optimum of what the agents can see, and how fast, over
seeds. The price of a call and the questions are those of the cell; nothing here is tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Int

from batonq.base.files import Json
from batonq.icq import clocks
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.run import Run
from batonq.icq.train import train as train_icq
from batonq.smdp.model import FiniteICSMDP
from batonq.tasks.maths.interfaces import cells
from batonq.tasks.maths.replay import Replay, finite_model
from batonq.tasks.maths.rollout import play

HANDOFFS: Final = 4_000_000
POINTS: Final = 12  # of the learning curve
EXPLORATION: Final = 0.5
POWER: Final = 0.7  # step n**-0.7 at the n-th update of a cell and action
LEARNERS: Final = ("icq", "no_scalar", "monte_carlo")


def train_tables(
    replay: Replay,
    interface: str,
    train: Int[np.ndarray, " row"],
    test: Int[np.ndarray, " row"],
    config: Mapping[str, Json],
) -> Json:
    """Train tables at the reported prices; all learners and seeds on the first fold only."""
    cell = cells(replay, interface)
    found = []
    for price in config["reported"]:
        model = finite_model(replay, price, train, cell)
        first = config["fold"] == 0 and price == config["reported"][0]
        for learner in LEARNERS if first else LEARNERS[:1]:
            run = train_icq(
                model,
                learner=learner,
                handoffs=HANDOFFS // (4 if config["quick"] else 1),
                seeds=config["seeds"] if first else 1,
                behaviour=epsilon_greedy(EXPLORATION),
                clock=clocks.power(POWER),
                seed=config["seed"],
                points=POINTS if first else 1,
                workers=1,
            )
            found.append(
                {"interface": interface} | _summed_up(replay, model, run, price, train, test)
            )
    return found


def _summed_up(
    replay: Replay,
    model: FiniteICSMDP,
    run: Run,
    price: float,
    train: Int[np.ndarray, " row"],
    test: Int[np.ndarray, " row"],
) -> dict[str, Json]:
    moves = [greedy_moves(replay, model, run, seed) for seed in range(run.seeds)]
    return {
        "learner": run.learner,
        "price": price,
        "points": run.points.tolist(),
        "curve": run.curve.tolist(),
        "trained": [float(play(replay, m, train).utility(price).mean()) for m in moves],
        "held_out": [float(play(replay, m, test).utility(price).mean()) for m in moves],
    }


def greedy_moves(
    replay: Replay, model: FiniteICSMDP, run: Run, seed: int
) -> Int[np.ndarray, "position question"]:
    """The best permitted move of a run's tables at every position of every question."""
    values = np.zeros((model.n_cells, model.n_actions))
    for held in run.tables[seed].values():
        values[np.array(held.observations, np.int64)] = held.q
    moves = np.where(model.mask, values[model.cell], -np.inf).argmax(axis=1)
    return np.asarray(moves.reshape(len(replay.game.positions), replay.n_questions))
