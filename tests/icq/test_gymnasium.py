"""Gymnasium, both ways: its own checker, round trips, its toy problems, bad input."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text import FrozenLakeEnv, TaxiEnv
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from models import small_model
from wrapped import Walk, desk, quickly, same_tables

import batonq as bq
from batonq.base.errors import ModelError
from batonq.icq import spaces
from batonq.icq.environment import ModelEnvironment, Turn
from batonq.icq.fold import at_random, folded
from batonq.icq.gymnasium import from_gymnasium, to_gymnasium
from batonq.icq.spaces import Encoding
from batonq.testing import check_environment


def model() -> ModelEnvironment:
    return ModelEnvironment(small_model(7, ending=0.2))


@pytest.mark.parametrize("make", [desk, lambda: Walk(limit=10**6), model])
@pytest.mark.parametrize("fold", [False, True])
def test_gymnasiums_own_checker_passes(make, fold: bool) -> None:  # type: ignore[no-untyped-def]
    source = make()
    if fold:
        source = folded(source, dict.fromkeys(list(source.agents)[1:], at_random))
    check_env(to_gymnasium(source, quickly(source)), skip_render_check=True)


@pytest.mark.parametrize("make", [desk, model])
def test_there_and_back_is_the_centralised_learner_bit_for_bit(make) -> None:  # type: ignore[no-untyped-def]
    there = to_gymnasium(make(), quickly(make()))
    back = from_gymnasium(there, gamma=make().gamma, start=with_rng)
    settings = {"handoffs": 2_000, "seeds": 2, "points": 2}
    run = bq.train(back, **settings)
    same_tables(run, bq.train(make(), learner="centralised", **settings), {"agent": "central"})
    assert (run.quotes_crossed == 0).all()


def with_rng(env, rng):  # type: ignore[no-untyped-def]
    return env.reset(options={"rng": rng})


def test_there_and_back_with_its_own_seeds_reaches_the_same_value() -> None:
    back = from_gymnasium(to_gymnasium(desk()), gamma=0.95)
    check_environment(back, steps=300)
    run = bq.train(back, handoffs=4_000, points=1)
    # All know best: bugs go to code at once, questions to search; each is worth 1.
    assert run.final[0] == pytest.approx(0.95, abs=1e-12)


def test_steps_carry_durations_masks_and_what_was_done() -> None:
    walk = Walk(limit=3)
    env = to_gymnasium(walk)
    assert isinstance(env.observation_space, Discrete)
    assert env.observation_space.n == (3 + 1) + (3 + 1)  # each with "has not held control yet"
    assert env.action_space == Discrete(3)
    seen, info = env.reset(seed=1)
    assert info["agent"] == "a" and info["action_mask"].tolist() == [0, 1, 1]
    seen, reward, terminated, truncated, info = env.step(0)  # not permitted: rank 0 of (1, 2)
    assert (reward, terminated, truncated) == (0.25, False, False)
    assert (info["action"], info["duration"], info["discount"]) == (1, 1, 0.5)
    seen, reward, terminated, truncated, info = env.step(2)
    assert (reward, info["agent"], info["duration"], info["discount"]) == (1.0, "b", 3, 0.125)
    assert info["action_mask"].tolist() == [1, 0, 0] and seen >= 4
    seen, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated, info["agent"]) == (3.0, False, True, "a")
    with pytest.raises(ModelError, match="call reset first"):
        env.step(1)
    env.reset(seed=1)
    with pytest.raises(ModelError, match="action 7 is not in 0 to 2"):
        env.step(7)
    env.close()
    assert walk.closed


def test_after_termination_the_last_observation_is_repeated() -> None:
    env = to_gymnasium(desk())
    seen, _ = env.reset(seed=0)
    last, *_ = env.step(1)
    over, _, terminated, truncated, info = env.step(0)
    assert terminated and not truncated and over == last and over != seen
    assert set(info) == {"action", "duration", "discount"}


def shown(agent, observation):  # type: ignore[no-untyped-def]
    return np.array([agent == "a", hash(observation) % 7], np.float32)


def test_an_encoding_of_ones_own_is_used() -> None:
    box = Box(0, 7, (2,), np.float32)
    env = to_gymnasium(Walk(), Encoding({"a": box, "b": box}, shown))
    check_env(env, skip_render_check=True)
    assert env.observation_space == box
    with pytest.raises(ModelError, match="one policy needs one space"):
        to_gymnasium(Walk(), Encoding({"a": box, "b": Discrete(3)}, shown))
    with pytest.raises(ModelError, match="no space for b"):
        to_gymnasium(Walk(), Encoding({"a": box}, shown))


def test_observations_that_were_not_listed_are_named() -> None:
    env = to_gymnasium(Walk(), spaces.enumerated({"a": [0, 1, 2], "b": [("from", 0)]}))
    with pytest.raises(ModelError, match=r"agent 'b' sees \('from', .*spaces.enumerated"):
        for seed in range(20):
            env.reset(seed=seed)
            env.step(2)


def test_discovery_meets_what_random_play_meets() -> None:
    found = spaces.discovered(Walk(limit=1), steps=200)
    assert sorted(found["a"]) == [0, 1, 2]
    assert sorted(found["b"]) == [("from", 0), ("from", 1), ("from", 2)]  # met when truncated only


@pytest.mark.compiled
def test_frozen_lake_trains_to_its_known_value() -> None:
    lake = TimeLimit(FrozenLakeEnv(is_slippery=False), 100)
    source = from_gymnasium(lake, gamma=0.9, agent="walker")
    check_environment(source, steps=300)
    run = bq.train(source, handoffs=20_000, points=1)
    assert run.final[0] == pytest.approx(0.9**5, abs=1e-12)  # six steps to the goal, which pays 1
    source.close()  # type: ignore[attr-defined]


def test_taxi_has_its_mask_read() -> None:
    source = from_gymnasium(TaxiEnv(), gamma=0.9)
    turn = source.reset(np.random.default_rng(0))
    assert isinstance(turn.observation, int) and turn.mask is not None
    assert len(turn.mask) == 6 and any(turn.mask) and not all(turn.mask)


class Counter(gymnasium.Env):  # type: ignore[type-arg]
    """Actions 5 and 6; shows a dict with its mask; ends as it is told."""

    observation_space = Dict({"observation": Box(0, 9, (2, 2), np.int8), "action_mask": Box(0, 1)})
    action_space = Discrete(2, start=5)

    def __init__(self, terminated: bool, truncated: bool) -> None:
        self.ends, self.taken = (terminated, truncated), []

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        self.taken.append(action)
        return self._seen(), np.float32(0.5), *self.ends, {"duration": 4}

    def _seen(self):  # type: ignore[no-untyped-def]
        board = np.arange(4, dtype=np.int8).reshape(2, 2)
        return {"observation": board, "action_mask": np.array([0, 1], np.int8)}


@pytest.mark.parametrize(
    ("terminated", "truncated", "end"),
    [
        (False, False, None),
        (False, True, "truncated"),
        (True, False, "terminal"),
        (True, True, "terminal"),
    ],
)
def test_ends_offsets_durations_and_masks(terminated: bool, truncated: bool, end: str) -> None:
    env = Counter(terminated, truncated)
    source = from_gymnasium(env, gamma=0.9)
    expected = Turn("agent", (0, 1, 2, 3), [False, True])
    assert source.reset(np.random.default_rng(0)) == expected
    turn = source.step(1)
    assert env.taken == [6]
    assert (turn.reward, turn.duration, turn.end) == (0.5, 4.0, end)
    assert turn.agent == (None if terminated else "agent")


def test_hashable_keeps_what_is_shown() -> None:
    raw = {"b": [np.int64(1), "x"], "a": np.array([[1.5], [2.0]]), "c": (np.array(3), None)}
    assert spaces.hashable(raw) == (("a", (1.5, 2.0)), ("b", (1, "x")), ("c", (3, None)))


def test_what_cannot_be_wrapped_is_refused() -> None:
    class Arm(Counter):
        action_space = Box(-1, 1, (2,), np.float32)  # type: ignore[assignment]

    with pytest.raises(ModelError, match=r"agent 'agent': action space Box.*is not Discrete"):
        from_gymnasium(Arm(False, False), gamma=0.9)
    with pytest.raises(ModelError, match=r"gamma is 1\.5"):
        from_gymnasium(Counter(False, False), gamma=1.5)


@pytest.mark.parametrize("package", ["gymnasium", "pettingzoo"])
def test_a_missing_package_names_its_extra_and_batonq_needs_neither(package: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules['{package}'] = None\n"  # so that importing it fails
        "import batonq, batonq.icq.train\n"
        "assert not {'gymnasium', 'pettingzoo'} - {'PACKAGE'} & set(sys.modules)\n"
        "try:\n"
        f"    import batonq.icq.{package}\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    ).replace("PACKAGE", package)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install 'batonq[{package}]'" in done.stdout
