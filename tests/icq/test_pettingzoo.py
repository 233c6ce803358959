"""PettingZoo's turns, both ways: its own tests, round trips, games of known value, bad input."""

from __future__ import annotations

import functools
import os
import warnings

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from models import small_model
from pettingzoo import AECEnv
from wrapped import Walk, desk, quickly, same_tables

import batonq as bq
from batonq.base.errors import ModelError
from batonq.icq import behaviour, clocks
from batonq.icq.environment import ModelEnvironment
from batonq.icq.fold import at_random, folded, greedy
from batonq.icq.pettingzoo import (
    common,
    from_pettingzoo,
    of,
    opposed,
    to_pettingzoo,
    total,
    zero_sum,
)
from batonq.testing import check_environment

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
with warnings.catch_warnings():  # it still imports games by a way it deprecates itself
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import api_test, seed_test

ADVICE = (  # api_test's opinions on names and spaces; what must hold it asserts
    "Observation is not a NumPy array",
    "Observation space for each agent probably should be gymnasium.spaces.box",
    "We recommend agents to be named in the format",
    "Agents have different observation space sizes",
    "Environment has not defined a render() method",
)


def model() -> ModelEnvironment:
    return ModelEnvironment(small_model(7, ending=0.2))


@pytest.mark.parametrize("make", [desk, Walk, model])
def test_pettingzoos_own_tests_pass(make) -> None:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        encoding = quickly(make())
        api_test(to_pettingzoo(make(), encoding), num_cycles=100)
        seed_test(lambda: to_pettingzoo(make(), encoding), num_cycles=50)
    assert [one for one in met if not str(one.message).startswith(ADVICE)] == []


def with_rng(env, rng):  # type: ignore[no-untyped-def]
    env.reset(options={"rng": rng})


@pytest.mark.parametrize("learner", ["icq", "no_scalar"])
@pytest.mark.parametrize("make", [desk, model])
def test_there_and_back_gives_the_same_numbers(make, learner: str) -> None:  # type: ignore[no-untyped-def]
    turns = to_pettingzoo(make(), quickly(make()))
    back = from_pettingzoo(turns, gamma=make().gamma, start=with_rng)
    settings = {"learner": learner, "handoffs": 2_000, "seeds": 2, "points": 2}
    there, direct = bq.train(back, **settings), bq.train(make(), **settings)
    same_tables(there, direct)
    assert np.array_equal(there.quotes_crossed, direct.quotes_crossed)


def test_there_and_back_with_its_own_seeds_reaches_the_same_value() -> None:
    back = from_pettingzoo(to_pettingzoo(desk()), gamma=0.95)
    check_environment(back, steps=300)
    run = bq.train(back, handoffs=4_000, points=1)
    assert run.final[0] == pytest.approx(0.95, abs=1e-12)


def test_infos_discount_since_ones_own_last_decision() -> None:
    walk = Walk(limit=3)
    env = to_pettingzoo(walk)
    env.reset(seed=1)
    assert env.observe("a")["action_mask"].tolist() == [0, 1, 1]
    assert env.observe("b")["action_mask"].tolist() == [0, 0]
    assert env.observe("b")["observation"] == 3  # has not held control yet
    with pytest.raises(ModelError, match="action 0 is not permitted to agent 'a'"):
        env.step(0)
    with pytest.raises(ModelError, match="action None is not permitted"):
        env.step(None)
    env.step(1)
    assert env.rewards == {"a": 0.25, "b": 0.25}
    env.step(2)
    assert env.agent_selection == "b"
    assert env.infos["a"] == {"reward": 1.0, "duration": 3, "discount": 0.5**3}
    assert env.infos["b"] == {"reward": 0.25 + 0.5 * 1.0, "duration": 4, "discount": 0.5**4}
    assert env.last()[1] == 1.25  # PettingZoo's own sum is not discounted
    assert env.observe("b")["observation"] < 3
    env.step(np.int32(0))
    assert env.infos["a"] == {"reward": 1.0 + 0.5**3 * 3.0, "duration": 5, "discount": 0.5**5}
    assert env.truncations == {"a": True, "b": True} and env.agent_selection == "a"
    env.step(None)
    assert env.agents == ["b"]
    env.step(None)
    assert env.agents == []
    env.close()
    assert walk.closed


class Nim(AECEnv):
    """One or two of `stones` are taken in turn; whoever takes the last wins."""

    metadata = {"name": "nim", "render_modes": []}

    def __init__(self, stones: int) -> None:
        self.stones = stones
        self.possible_agents = ["left", "right"]

    def observation_space(self, agent):  # type: ignore[no-untyped-def]
        return Discrete(self.stones + 1)

    def action_space(self, agent):  # type: ignore[no-untyped-def]
        return Discrete(2, start=1)

    def reset(self, seed=None, options=None):  # type: ignore[no-untyped-def]
        self.agents = self.possible_agents[:]
        self.left = self.stones
        self.agent_selection = "left"
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {name: self._mask() for name in self.agents}

    def _mask(self):  # type: ignore[no-untyped-def]
        return {"action_mask": np.array([1, self.left >= 2], np.int8)}

    def observe(self, agent):  # type: ignore[no-untyped-def]
        return np.int64(self.left)

    def step(self, action):  # type: ignore[no-untyped-def]
        mover = self.agent_selection
        other = "right" if mover == "left" else "left"
        self.left -= action
        if self.left == 0:
            self.rewards = {mover: 1, other: -1}
            self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = other
        self.infos = {name: self._mask() for name in self.agents}


def test_two_opponents_learn_the_exact_values_of_nim() -> None:
    @functools.cache
    def worth(left: int, take: int) -> float:
        return 1.0 if take == left else -0.9 * best(left - take)

    def best(left: int) -> float:
        return max(worth(left, take) for take in (1, 2) if take <= left)

    run = bq.train(
        from_pettingzoo(Nim(8), gamma=0.9, payoff=zero_sum),
        handoffs=6_000,
        points=1,
        clock=clocks.constant(1.0),
        exchange=opposed,
    )
    met = 0
    for table in run.tables[0].values():
        for left, values, counts in zip(table.observations, table.q, table.counts, strict=True):
            for take in (1, 2):
                if counts[take - 1]:
                    assert values[take - 1] == pytest.approx(worth(left, take), abs=1e-12)
                    met += 1
    assert met == 13 + 13  # of 8, 6, 5 ... 1 and of 7, 6, 5 ... 1 stones; one move of the last


def tic_tac_toe():  # type: ignore[no-untyped-def]
    from pettingzoo import make

    return make("aec", "classic/tictactoe-v3")


def opening(env, rng):  # type: ignore[no-untyped-def]
    """X in a corner, O beside it, X in the middle: won for X, and small enough to search."""
    env.reset(seed=0)
    for move in (0, 1, 4):
        env.step(move)


LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


@functools.cache
def negamax(mine: frozenset[int], theirs: frozenset[int], move: int) -> float:
    """Value of a move to who makes it, discounted by 0.9 a move."""
    after = mine | {move}
    if any(after.issuperset(line) for line in LINES):
        return 1.0
    free = set(range(9)) - after - theirs
    return -0.9 * max(negamax(theirs, after, one) for one in free) if free else 0.0


@pytest.mark.compiled
def test_tic_tac_toe_is_solved_by_self_play_from_an_opening() -> None:
    run = bq.train(
        from_pettingzoo(tic_tac_toe().unwrapped, gamma=0.9, payoff=zero_sum, start=opening),
        handoffs=10_000,
        points=1,
        clock=clocks.constant(1.0),
        exchange=opposed,
    )
    met = 0
    for table in run.tables[0].values():
        for seen, values, counts in zip(table.observations, table.q, table.counts, strict=True):
            planes = np.array(seen).reshape(9, 2)
            mine, theirs = (frozenset(np.flatnonzero(planes[:, side]).tolist()) for side in (0, 1))
            for move in np.flatnonzero(counts):
                assert values[move] == pytest.approx(negamax(mine, theirs, int(move)), abs=1e-12)
                met += 1
    assert met == MOVES


def moves_below(mine: frozenset[int], theirs: frozenset[int], known: set[object]) -> int:
    """Number of moves in distinct positions that play can reach."""
    if (mine, theirs) in known:
        return 0
    known.add((mine, theirs))
    free = set(range(9)) - mine - theirs
    over = [move for move in free if any((mine | {move}).issuperset(line) for line in LINES)]
    return len(free) + sum(
        moves_below(theirs, mine | {move}, known) for move in free if move not in over
    )


MOVES = moves_below(frozenset({1}), frozenset({0, 4}), set())


@pytest.mark.compiled
def test_tic_tac_toe_against_a_random_opponent() -> None:
    game = folded(
        from_pettingzoo(tic_tac_toe(), gamma=0.9, payoff=of("player_1")), {"player_2": at_random}
    )
    check_environment(game, steps=200)
    run = bq.train(
        game,
        handoffs=7_000,
        points=1,
        clock=clocks.power(0.7),
        behaviour=behaviour.epsilon_greedy(0.3),
    )
    won, lost = result(game, greedy(run.tables[0]["player_1"]))
    before, _ = result(game, at_random)
    # Standard errors of 300 games are below .03; X at random wins .585 of its games.
    assert 0.5 < before < 0.68 and won > 0.85 and lost < 0.1


def result(game, policy, games=300):  # type: ignore[no-untyped-def]
    rng, got = np.random.default_rng(3), []
    for _ in range(games):
        turn = game.reset(rng)
        while turn.end is None:
            turn = game.step(policy(turn.observation, np.asarray(turn.mask), rng))
        got.append(np.sign(turn.reward))
    return got.count(1) / games, got.count(-1) / games


class Script(AECEnv):
    """Plays a list of (next agent, rewards, terminated, truncated), whatever is done."""

    metadata = {"name": "script", "render_modes": []}

    def __init__(self, *steps) -> None:  # type: ignore[no-untyped-def]
        self.steps, self.possible_agents = steps, ["a", "b", "c"]

    def observation_space(self, agent):  # type: ignore[no-untyped-def]
        return Dict({"observation": Box(0, 9, (1,), np.int8)})

    def action_space(self, agent):  # type: ignore[no-untyped-def]
        return Discrete(2)

    def reset(self, seed=None, options=None):  # type: ignore[no-untyped-def]
        self.agents, self.agent_selection, self.k = self.possible_agents[:], "a", 0
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {name: {} for name in self.agents}

    def observe(self, agent):  # type: ignore[no-untyped-def]
        return {"observation": np.array([self.k], np.int8)}

    def step(self, action):  # type: ignore[no-untyped-def]
        if self.terminations[self.agent_selection] or self.truncations[self.agent_selection]:
            self._was_dead_step(action)
            return
        following, rewards, terminated, truncated = self.steps[self.k]
        self.k += 1
        self.rewards = {name: rewards.get(name, 0) for name in self.agents}
        for name in terminated:
            self.terminations[name] = True
        for name in truncated:
            self.truncations[name] = True
        self.agent_selection = following
        self._deads_step_first()


def test_dead_agents_are_stepped_over() -> None:
    env = Script(("c", {"a": 1}, "b", ""), ("a", {"c": 2, "a": 1}, "", ""), ("a", {}, "ac", ""))
    game = from_pettingzoo(env, gamma=0.9, payoff=total)
    assert game.reset(np.random.default_rng(0)).agent == "a"
    first = game.step(0)
    assert (first.agent, first.reward, first.end) == ("c", 1.0, None)
    assert env.agents == ["a", "c"]
    second = game.step(1)
    assert (second.agent, second.reward, second.observation) == ("a", 3.0, (("observation", (2,)),))
    assert game.step(0).end == "terminal"


@pytest.mark.parametrize(
    ("terminated", "truncated", "agent", "end"),
    [
        ("", "abc", "a", "truncated"),
        ("a", "bc", "b", "truncated"),
        ("abc", "", None, "terminal"),
        ("abc", "abc", None, "terminal"),  # as an illegal move ends a game
    ],
)
def test_how_a_workflow_ends(terminated: str, truncated: str, agent: str, end: str) -> None:
    game = from_pettingzoo(Script(("a", {}, terminated, truncated)), gamma=0.9)
    game.reset(np.random.default_rng(0))
    turn = game.step(0)
    assert (turn.agent, turn.end) == (agent, end)


def test_payoffs_fit_or_say_so() -> None:
    assert common("a", {"a": 2, "b": 2}) == 2.0
    assert total("a", {"a": 2, "b": -1}) == 1.0
    assert of("b")("a", {"a": 2, "b": -1}) == -1.0
    assert zero_sum("b", {"a": 2, "b": -2}) == -2.0
    with pytest.raises(ModelError, match=r"'common': rewards .* differ"):
        common("a", {"a": 1, "b": -1})
    for rewards in ({"a": 1, "b": 1}, {"a": 1, "b": -1, "c": 0}):
        with pytest.raises(ModelError, match="'zero_sum': rewards"):
            zero_sum("a", rewards)
    game = from_pettingzoo(Nim(2), gamma=0.9)
    with pytest.raises(ModelError, match="'common'"):
        bq.train(game, handoffs=50)


def test_what_cannot_be_wrapped_is_refused() -> None:
    class Arm(Script):
        def action_space(self, agent):  # type: ignore[no-untyped-def]
            return Box(-1, 1, (2,), np.float32)

    with pytest.raises(ModelError, match="agent 'a': action space"):
        from_pettingzoo(Arm(), gamma=0.9)
    with pytest.raises(ModelError, match="gamma is 0"):
        from_pettingzoo(Script(), gamma=0)
    with pytest.raises(ModelError, match="parallel_to_aec"):
        from_pettingzoo(object(), gamma=0.9)  # type: ignore[arg-type]
    game = from_pettingzoo(Script(), gamma=0.9)
    game.close()  # type: ignore[attr-defined]
