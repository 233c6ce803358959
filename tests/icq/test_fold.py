"""Folding fixed policies into an environment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models import small_model
from wrapped import Walk, desk

from batonq.base.errors import ModelError
from batonq.icq.environment import ModelEnvironment, Turn
from batonq.icq.fold import at_random, folded, greedy
from batonq.icq.run import Table
from batonq.testing import check_environment


def first_permitted(observation, mask, rng):  # type: ignore[no-untyped-def]
    return int(np.flatnonzero(mask)[0])


def test_an_option_gathers_what_the_others_earn_discounted_to_its_start() -> None:
    game = folded(Walk(), {"b": first_permitted})
    start = game.reset(np.random.default_rng(0))
    turn = game.step(2)
    assert dict(game.agents) == {"a": 3}
    assert turn.agent == "a" and turn.observation == start.observation and turn.end is None
    assert turn.reward == 1.0 + 0.5**3 * 3.0
    assert turn.duration == 5


def value_of(game, policies, seed, workflows=50):  # type: ignore[no-untyped-def]
    """Discounted returns, by our own loop; neither policy draws."""
    rng, returns = np.random.default_rng(seed), []
    for _ in range(workflows):
        turn, discount, total = game.reset(rng), 1.0, 0.0
        while turn.end is None:
            mask = np.asarray(turn.mask)
            turn = game.step(policies[turn.agent](turn.observation, mask, None))
            total += discount * turn.reward
            discount *= game.gamma**turn.duration
        returns.append(total)
    return np.array(returns)


def test_folding_a_policy_in_leaves_every_return_as_it_is() -> None:
    model = small_model(3, ending=0.3, n_agents=2)
    initial = np.where(model.holder == 0, 1.0, 0.0)  # agent0 starts, so that nothing comes before
    model = replace(model, initial=initial / initial.sum())
    policies = {
        "agent0": first_permitted,
        "agent1": lambda y, mask, rng: int(mask.nonzero()[0][-1]),
    }
    whole = ModelEnvironment(model)
    rest = folded(whole, {"agent1": policies["agent1"]})
    check_environment(rest, steps=200)
    assert value_of(rest, policies, 5) == pytest.approx(value_of(whole, policies, 5), rel=1e-12)


def test_greedy_takes_the_best_permitted_action_and_draws_where_it_knows_nothing() -> None:
    table = Table(("x",), np.array([[3.0, 2.0, 2.0]]), np.ones((1, 3), np.int64))
    policy, rng = greedy(table), np.random.default_rng(0)
    assert policy("x", np.array([True, True, True]), rng) == 0
    assert policy("x", np.array([False, True, True]), rng) == 1
    drawn = {policy("new", np.array([True, False, True]), rng) for _ in range(64)}
    assert drawn == {0, 2}  # one of them is missed with chance 2**-63


def test_workflows_that_end_before_an_agent_holds_control_are_drawn_anew() -> None:
    game = folded(desk(), {"intake": at_random, "search": at_random})
    rng = np.random.default_rng(0)
    assert {game.reset(rng).agent for _ in range(20)} == {"code"}
    assert game.step(0).end == "terminal"


class Pair:
    """Two agents; b's options are as the test wants them."""

    agents, gamma = {"a": 1, "b": 1}, 0.9

    def __init__(self, first: str, second: Turn) -> None:
        self.first, self.second = first, second

    def reset(self, rng: np.random.Generator) -> Turn:
        return Turn(self.first)

    def step(self, action: int) -> Turn:
        return self.second


def test_bad_foldings_are_refused() -> None:
    with pytest.raises(ModelError, match="some, not all, of intake, search, code"):
        folded(desk(), {"nobody": at_random})
    with pytest.raises(ModelError, match="some, not all"):
        folded(desk(), dict.fromkeys(("intake", "search", "code"), at_random))
    rng = np.random.default_rng(0)
    game = folded(Pair("a", Turn("b", end="truncated")), {"b": at_random})
    game.reset(rng)
    with pytest.raises(ModelError, match="truncated when 'b' held control"):
        game.step(0)
    with pytest.raises(ModelError, match="kept control for 10000 moves"):
        folded(Pair("b", Turn("b")), {"b": at_random}).reset(rng)
    with pytest.raises(ModelError, match="ended before a held control"):
        folded(Pair("b", Turn(end="terminal")), {"b": at_random}).reset(rng)


def test_joint_sight_and_closing_are_passed_on() -> None:
    model = ModelEnvironment(small_model(1))
    game = folded(model, {"agent1": at_random})
    game.reset(np.random.default_rng(0))
    assert game.joint() == model.joint()  # type: ignore[attr-defined]
    walk = Walk()
    game = folded(walk, {"b": at_random})
    game.close()  # type: ignore[attr-defined]
    assert walk.closed
    with pytest.raises(ModelError, match="has no joint"):
        game.joint()  # type: ignore[attr-defined]
    folded(Pair("a", Turn("a")), {"b": at_random}).close()  # type: ignore[attr-defined]
