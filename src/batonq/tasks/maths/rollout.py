"""Exact evaluation: play a policy on recorded questions and add up what it did."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from batonq.tasks.maths.game import Stage
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.replay import Replay


def play(
    replay: Replay, move: Int[np.ndarray, "position question"], rows: Int[np.ndarray, " row"]
) -> Outcome:
    """Play the moves of a policy on questions `rows`, all at once."""
    layout = replay.game
    closing = np.array([p.stage == Stage.CLOSE for p in layout.positions])
    outcome = _nothing(len(rows))
    at, playing = np.zeros(len(rows), np.int64), np.ones(len(rows), np.bool_)
    while playing.any():
        here = np.flatnonzero(playing)
        position, question = at[here], rows[here]
        action = move[position, question]
        submits = closing[position] & (action < replay.n_calls)
        outcome.right[here[submits]] = replay.right[question[submits], action[submits]]
        asks = ~closing[position] & (action < replay.n_calls)
        who, what = here[asks], (question[asks], action[asks])
        outcome.cost[who] += replay.cost[what]
        outcome.tokens[who] += replay.tokens[what]
        outcome.calls[who] += 1
        at[here] = layout.following[position, action]
        playing[here] = at[here] >= 0
    return outcome


def random_moves(replay: Replay, rng: np.random.Generator) -> Int[np.ndarray, "position question"]:
    """A move drawn with equal chance from the permitted ones, at every position and question."""
    layout = replay.game
    moves = np.zeros((len(layout.positions), replay.n_questions), np.int64)
    for k in range(len(layout.positions)):
        draw = rng.random((replay.n_questions, layout.n_actions))
        moves[k] = np.where(replay.permitted(k), draw, -1.0).argmax(axis=1)
    return moves


def _nothing(count: int) -> Outcome:
    return Outcome(
        np.zeros(count, np.bool_),
        np.zeros(count),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )


def flow(
    replay: Replay, move: Int[np.ndarray, "position question"], rows: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "agent receiver"]:
    """Who hands to whom: mean number of decisions per question, shape (agents, agents + 1).

    The diagonal keeps control (a model at work), the last column ends.
    """
    layout, n_agents = replay.game, len(replay.agents)
    agent = np.array([position.agent for position in layout.positions] + [n_agents])
    count = np.zeros((n_agents, n_agents + 1))
    at = np.zeros(len(rows), np.int64)
    question = np.asarray(rows)
    while len(at):
        after = layout.following[at, move[at, question]]
        np.add.at(count, (agent[at], agent[after]), 1.0)
        at, question = after[after >= 0], question[after >= 0]
    return np.asarray(count / len(rows))
