"""The replay as a Python environment: the same as the compiled model, move by move and trained."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from copy import deepcopy

import numpy as np
import pytest
from maths_replays import random_replay

import batonq as bq
from batonq.base.errors import ModelError
from batonq.icq import behaviour, clocks
from batonq.icq.environment import Turn
from batonq.tasks.maths.environment import MathsEnvironment
from batonq.tasks.maths.interfaces import cells
from batonq.tasks.maths.replay import Replay, finite_model, rewards
from batonq.testing import check_environment

PRICE = 0.1
FINITE = ("answers", "counts", "own")


def walk(replay: Replay, interface: str, question: int) -> Iterator[tuple[int, Turn]]:
    """Every (position, turn) of a question, by every path; steps are checked on the way."""
    environment = MathsEnvironment(replay, PRICE, np.array([question]), interface)
    reward = rewards(replay, PRICE).reshape(-1, replay.n_questions, replay.game.n_actions)
    waiting = [(0, environment.reset(np.random.default_rng(0)), environment)]
    while waiting:
        k, turn, at = waiting.pop()
        yield k, turn
        for action in np.flatnonzero(turn.mask):
            there = deepcopy(at)
            after = there.step(int(action))
            following = replay.game.following[k, action]
            assert after.reward == reward[k, question, action]
            assert (after.end == "terminal") == (following < 0)
            if following >= 0:
                asks = action < replay.n_calls
                assert after.duration == (replay.ticks[question, action] if asks else 1)
                waiting.append((int(following), after, there))


@pytest.mark.parametrize("interface", FINITE)
def test_turns_are_those_of_the_compiled_positions(interface: str) -> None:
    replay = random_replay(0, 6)
    met: dict[tuple[str, Hashable], set[int]] = {}
    seen_in: dict[int, set[tuple[str, Hashable]]] = {}
    cell = cells(replay, interface).reshape(-1, replay.n_questions)
    for question in range(replay.n_questions):
        reached = set()
        for k, turn in walk(replay, interface, question):
            reached.add(k)
            position = replay.game.positions[k]
            assert turn.agent == replay.agents[position.agent]
            assert turn.mask == replay.permitted(k)[question].tolist()
            assert turn.agent is not None
            key = (turn.agent, turn.observation)
            met.setdefault(key, set()).add(int(cell[k, question]))
            seen_in.setdefault(int(cell[k, question]), set()).add(key)
        assert reached == set(range(len(replay.game.positions)))
    # Observations and cells name each other one to one.
    assert {len(some) for some in met.values()} == {1}
    assert {len(some) for some in seen_in.values()} == {1}
    assert len(met) == cell.max() + 1


@pytest.mark.parametrize("interface", FINITE)
@pytest.mark.parametrize("learner", ["icq", "no_scalar", "monte_carlo"])
def test_environment_and_kernel_agree_bit_for_bit(learner: str, interface: str) -> None:
    replay = random_replay(1, 5)
    train = np.array([0, 2, 3])
    settings = {
        "learner": learner,
        "handoffs": 1_500,
        "seeds": 2,
        "points": 2,
        "behaviour": behaviour.epsilon_greedy(0.5),
        "clock": None if learner == "monte_carlo" else clocks.power(0.7),
        "record": True,
    }
    cell = cells(replay, interface)
    kernel = bq.train(finite_model(replay, PRICE, train, cell), **settings)
    slow = bq.train(MathsEnvironment(replay, PRICE, train, interface), **settings)
    by_place = cell.reshape(-1, replay.n_questions)
    name_of = {
        (turn.agent, turn.observation): int(by_place[k, question])
        for question in train
        for k, turn in walk(replay, interface, int(question))
    }
    assert np.array_equal(kernel.quotes_crossed, slow.quotes_crossed)
    for seed in range(2):
        for field in ("agent", "action", "receiver", "end", "reward", "duration", "quote"):
            assert np.array_equal(kernel.traces[seed][field], slow.traces[seed][field])
        updates = 0
        for agent, table in slow.tables[seed].items():
            fast = kernel.tables[seed][agent]
            row_of = {y: row for row, y in enumerate(fast.observations)}
            for y, values, counts in zip(table.observations, table.q, table.counts, strict=True):
                row = row_of[name_of[agent, y]]
                assert np.array_equal(fast.q[row], values)
                assert np.array_equal(fast.counts[row], counts)
                updates += int(counts.sum())
        assert updates > 1_000


def test_it_passes_the_checks_for_environments() -> None:
    replay = random_replay(2, 5)
    check_environment(MathsEnvironment(replay, PRICE, np.arange(5), "answers"))


def test_only_the_given_questions_are_drawn() -> None:
    replay = random_replay(3, 8)
    environment = MathsEnvironment(replay, PRICE, np.array([1, 6]), "own")
    rng, drawn = np.random.default_rng(0), []
    for _ in range(60):
        environment.reset(rng)
        environment.step(replay.n_calls)  # hand to m0
        drawn.append(environment.step(0).reward)
    costs = -PRICE * replay.cost[[1, 6], 0]
    assert set(drawn) == set(costs.tolist())


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(ModelError, match="interface: 'all' is unknown"):
        MathsEnvironment(random_replay(0, 2), PRICE, np.arange(2), "all")


def test_the_board_is_refused() -> None:
    with pytest.raises(ModelError, match="'board' shows texts"):
        MathsEnvironment(random_replay(0, 2), PRICE, np.arange(2), "board")
