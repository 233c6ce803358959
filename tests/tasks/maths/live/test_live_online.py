"""Learning on-line: what is asked, what crosses, what is learnt, and what a replay says to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_models import BILLIONS, STRONG, WEAK, asked, cost, generated, models, session
from openai_server import Server, status

from batonq.base.errors import CallError, SpentError
from batonq.bound.terms import bound
from batonq.icq.environment import Turn
from batonq.icq.log import Log
from batonq.tasks.maths.environment import MathsEnvironment
from batonq.tasks.maths.game import Stage, game
from batonq.tasks.maths.live.answers import Model
from batonq.tasks.maths.live.environment import LiveEnvironment, hearing
from batonq.tasks.maths.live.online import Played, exploration, play
from batonq.tasks.maths.live.record import record
from batonq.tasks.maths.live.recorded import recorded_board
from batonq.tasks.maths.live.session import Session
from batonq.tasks.maths.live.settings import team
from batonq.tasks.maths.pools import pool_named
from batonq.tasks.maths.replay import Replay, compile_replay

MODELS = [Model(name, name, size) for name, size in BILLIONS.items()]
PRICE = 1.0  # a call of the strong model costs .02, of the weak one .005


def environment(
    made: Session, count: int = 12, prompts: tuple[str, ...] = ("step",), interface: str = "answers"
) -> LiveEnvironment:
    members = team(MODELS, prompts, STRONG)
    return LiveEnvironment(generated(count), members, hearing(made), PRICE, interface)


@pytest.fixture(scope="module")
def open_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Session]]:
    with models() as server, session(server, tmp_path_factory.mktemp("online")) as made:
        yield server, made


def between(played: Played) -> int:
    return sum(a != b and b >= 0 for one in played.episodes for a, b in one.moves)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), prompts=st.sampled_from([("step",), ("direct", "step")]))
def test_one_scalar_crosses_with_each_handoff_between_agents(
    open_session: tuple[Server, Session], seed: int, prompts: tuple[str, ...]
) -> None:
    played = play(environment(open_session[1], 8, prompts), seed)
    assert played.stopped is None
    assert played.crossed == between(played) > 0
    assert played.crossed == played.run.quotes_crossed[0]
    # Nobody is asked one thing twice, and what is submitted was asked for.
    for one in played.episodes:
        assert len(set(one.asked)) == len(one.asked)
        assert one.submitted in (-1, *one.asked)


def test_only_calls_that_are_taken_are_made(tmp_path: Path) -> None:
    with models() as server, session(server, tmp_path) as made:
        at = environment(made, 10, ("direct", "step"))
        played = play(at, 3)
        taken = sum(len(one.asked) for one in played.episodes)
        assert len(server.bodies) == taken == sum(len(heard) for heard in at.heard)
        assert max(asked(server).values()) == 1
        assert taken < 10 * len(at.record.owner)  # there was something not to ask


def test_it_learns_whom_to_ask(open_session: tuple[Server, Session]) -> None:
    """The weak model fails at every other question, so the strong one is worth its price."""
    played = play(environment(open_session[1], 60), 0)
    judged = played.episodes[played.learning :]
    assert [one.epsilon for one in judged] == [0.0] * 30
    assert np.mean([one.right for one in judged]) >= 0.9
    # Its value of a question is what was earned: 1 for a right answer less what was asked.
    costs = [cost(WEAK), cost(STRONG), *[cost(STRONG)] * 2]
    for one in judged:
        spent = PRICE * sum(costs[call] for call in one.asked)
        assert one.value == pytest.approx(float(one.right) - spent, abs=0.01)


def test_values_stand_still_in_the_judged_half(open_session: tuple[Server, Session]) -> None:
    at = environment(open_session[1], 20)
    whole = play(at, 5)
    half = play(environment(open_session[1], 20), 5)
    assert whole.learning == 10
    for name, table in whole.run.tables[0].items():
        assert table.counts.sum() <= sum(len(one.moves) for one in whole.episodes[:10])
        assert np.array_equal(table.q, half.run.tables[0][name].q)


def test_logs_are_of_the_judged_half_and_take_no_call(
    open_session: tuple[Server, Session], tmp_path: Path
) -> None:
    server, made = open_session
    at = environment(made, 40)
    played = play(at, 1)
    before = len(server.bodies)
    judged = played.episodes[played.learning :]
    assert sum(len(log) for log in played.logs.values()) == sum(len(one.moves) for one in judged)
    names = list(at.agents)
    for name, log in played.logs.items():
        mine = [move for one in judged for move in one.moves if names[move[0]] == name]
        assert log.receiver.tolist() == [receiver for _, receiver in mine]
        assert set(log.fields) == ({"subject", "numbers"} if mine else set())
        assert (log.propensity == 1).all()
        again = Log.open(log.save(tmp_path / name), name)
        assert str(bound(again)) == str(bound(log))
    assert len(server.bodies) == before


def test_a_finished_question_counts_where_another_is_cut_off(tmp_path: Path) -> None:
    limit = 1.65  # a call is reserved at its worst, up to 1.63 of the strong model
    with models() as server:
        with session(server, tmp_path, limit) as made:
            played = play(environment(made), 0)
            assert isinstance(played.stopped, SpentError)
            assert "raise --max-cost" in str(played.stopped)
            assert made.calls.spent() <= limit
            assert 0 < len(played.episodes) < 12
        with session(server, tmp_path) as made:
            finished = play(environment(made), 0)
        assert finished.episodes[: len(played.episodes)] == played.episodes
        assert len(finished.episodes) == 12
        taken = sum(len(one.asked) for one in finished.episodes)
        assert len(server.bodies) == taken


def test_a_request_refused_for_what_it_says_is_an_abstention(tmp_path: Path) -> None:
    bad = generated(4)[1]

    def script(body: dict[str, object], nth: int) -> object:
        refuse = bad.text in str(body["messages"])
        return status(400, "content management policy") if refuse else None

    with models(script) as server, session(server, tmp_path) as made:
        at = environment(made, 4)
        played = play(at, 0)
        assert played.stopped is None
        heard = list(at.heard[1].values())
        assert heard
        for one in heard:
            assert (one.attempt.value, one.right, one.told.cost) == (None, False, 0.0)
            assert "content management policy" in one.told.refused
        assert not played.episodes[1].right
        assert not any(one.told.refused for k in (0, 2, 3) for one in at.heard[k].values())


@pytest.mark.parametrize("code", [401, 404])
def test_an_endpoint_that_answers_nobody_ends_the_run(tmp_path: Path, code: int) -> None:
    def script(body: dict[str, object], nth: int) -> object:
        return status(code, "gone") if len(server.bodies) > 5 else None

    with models(script) as server, session(server, tmp_path) as made:
        played = play(environment(made), 0)
        assert isinstance(played.stopped, CallError)
        assert len(played.episodes) < 12
        assert len(server.bodies) == 6  # nobody else was asked after that


def test_a_model_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    with (
        models(lambda body, nth: status(400, "no such thing")) as server,
        session(server, tmp_path) as made,
    ):
        played = play(environment(made), 0)
        assert isinstance(played.stopped, CallError)
        assert "no such thing" in str(played.stopped)
        assert "at 3 questions in a row" in str(played.stopped)
        refused = {(body["model"], question_in(body)) for body in server.bodies}
        assert max(Counter(model for model, _ in refused).values()) == 3


def question_in(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"]).partition("\n")[0]


def test_credit_that_ends_in_the_middle_stops_the_run_and_new_credit_goes_on(
    tmp_path: Path,
) -> None:
    """Some say so with a 400, as of a bad request."""
    paid = [10]

    def script(body: dict[str, object], nth: int) -> object:
        return status(400, "no more of that") if len(server.bodies) > paid[0] else None

    with models(script) as server:
        with session(server, tmp_path) as made:
            played = play(environment(made, 40), 0)
            assert isinstance(played.stopped, CallError)
            assert made.calls.report()[0].calls + made.calls.report()[1].calls == 10
            assert len(played.episodes) < 40
        paid[0] = 10_000
        with session(server, tmp_path) as made:
            at = environment(made, 40)
            assert play(at, 0).stopped is None
            assert sum(one.cached for one in made.calls.report()) == 10
            assert not any(one.told.refused for heard in at.heard for one in heard.values())


def test_exploration_falls_in_a_line_to_its_least() -> None:
    assert [exploration(k, 10) for k in (0, 5, 8, 9)] == pytest.approx([1.0, 0.5, 0.2, 0.1])
    assert exploration(99, 100) == 0.1


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, Replay, dict[str, LiveEnvironment]]]:
    """Everything in the cache, its replay, and the live game behind each interface."""
    folder = tmp_path_factory.mktemp("recorded")
    prompts = ("step", "program")
    with models() as server, session(server, folder) as made:
        record("generated", generated(2), MODELS, made, folder / "answers")
        board = recorded_board("generated", folder=folder / "answers")
        replay = compile_replay(board, pool_named("generated", "local"))
        games = {name: environment(made, 2, prompts, name) for name in ("answers", "counts", "own")}
        yield server, replay, games


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), interface=st.sampled_from(["answers", "counts", "own"]))
def test_with_everything_in_the_cache_it_is_the_replay(
    both: tuple[Server, Replay, dict[str, LiveEnvironment]], seed: int, interface: str
) -> None:
    """Turn by turn, whatever is done: holder, sight, mask, reward and duration are the same."""
    server, replay, games = both
    at = games[interface]
    assert replay.agents == tuple(at.agents)
    rng = np.random.default_rng(seed)
    at.goto(0)
    for place in range(2):
        other = MathsEnvironment(replay, PRICE, np.array([place]), interface)
        turn, expected = (one.reset(np.random.default_rng(0)) for one in (at, other))
        while True:
            assert same_turn(turn, expected)
            if turn.end is not None:
                break
            action = int(rng.choice(np.flatnonzero(turn.mask)))
            turn, expected = at.step(action), other.step(action)
    assert len(server.bodies) == 2 * 6  # those of the recording


def same_turn(turn: Turn, other: Turn) -> bool:
    names = ("agent", "observation", "mask", "reward", "duration", "end")
    return all(getattr(turn, name) == getattr(other, name) for name in names)


def test_the_rules_are_those_of_the_game(open_session: tuple[Server, Session]) -> None:
    """Every position that can be reached, and no other, with the moves the game permits."""
    members = team(MODELS, ("step",), STRONG)
    layout = game(members.owner, members.needs)
    number = {
        (p.agent, tuple(sorted(p.asked)), int(p.stage)): k for k, p in enumerate(layout.positions)
    }
    at = environment(open_session[1], 1)
    reached = set()
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        path = waiting.pop()
        turn = at.reset(np.random.default_rng(0))
        for action in path:
            turn = at.step(action)
        if turn.end is not None:
            continue
        stage, done, _ = turn.observation  # type: ignore[misc]
        k = number[list(at.agents).index(str(turn.agent)), done, stage]
        reached.add(k)
        allowed = np.array(turn.mask)
        if stage == Stage.CLOSE:  # there an answer must have been read, too
            assert not (allowed[:4] & ~layout.mask[k][:4]).any()
        else:
            assert (allowed == layout.mask[k]).all()
        waiting += [(*path, int(action)) for action in np.flatnonzero(allowed)]
    assert reached == set(range(len(layout.positions)))
