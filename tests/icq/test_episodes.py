"""Training on Python environments: equality with the kernel, what crosses, bad environments."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from models import small_model

import batonq as bq
from batonq.base.errors import ModelError
from batonq.icq import behaviour, clocks
from batonq.icq.environment import ModelEnvironment, Turn
from batonq.icq.linear import LinearQ, RidgeQ
from batonq.icq.tabular import TabularQ


class Desk:
    """Intake sees what came in; only search sees whether the answer is on file."""

    agents = {"intake": 3, "search": 2, "code": 2}
    gamma = 0.95

    def reset(self, rng):  # type: ignore[no-untyped-def]
        self.rng = rng
        self.kind = "bug" if rng.random() < 0.5 else "question"
        return Turn("intake", observation=(self.kind,))

    def step(self, action):  # type: ignore[no-untyped-def]
        if action == 2:
            return Turn(reward=0.3, duration=1, end="terminal")
        if self.kind == "done":
            raise AssertionError("stepped after the end")
        holder = ("search", "code")[action]
        good = (holder == "code") == (self.kind == "bug")
        self.kind = "bug" if good else "question"
        self.step = self.finish  # type: ignore[method-assign]
        return Turn(holder, observation=good, reward=-0.1, duration=4)

    def finish(self, action):  # type: ignore[no-untyped-def]
        del self.step
        good = self.kind == "bug"
        return Turn(
            reward=(1.0 if good else 0.0) if action == 0 else 0.1, duration=2, end="terminal"
        )


@pytest.mark.parametrize("law", ["one", "geometric"])
@pytest.mark.parametrize(
    "learner", ["icq", "icq_phased", "centralised", "no_scalar", "monte_carlo"]
)
def test_environment_and_kernel_agree_bit_for_bit(learner: str, law: str) -> None:
    model = small_model(7, law=law, ending=0.2)
    settings = {
        "learner": learner,
        "handoffs": 4_000,
        "seeds": 2,
        "points": 4,
        "behaviour": behaviour.epsilon_greedy(0.3),
        "record": learner != "centralised",
    }
    if learner in ("icq", "centralised", "no_scalar"):
        settings["clock"] = clocks.rescaled_linear(0.8)
    if learner == "icq_phased":
        settings["phases"] = 1  # more than one would depend on the contraction, known to one only
    kernel = bq.train(model, **settings)
    slow = bq.train(ModelEnvironment(model), **settings)
    assert np.array_equal(kernel.quotes_crossed, slow.quotes_crossed)
    for seed in range(2):
        met = 0
        for name, table in slow.tables[seed].items():
            fast = kernel.tables[seed][name]
            row_of = {y: row for row, y in enumerate(fast.observations)}
            for y, values, counts in zip(table.observations, table.q, table.counts, strict=True):
                row = row_of[y[1] if name == "central" else y]
                assert np.array_equal(fast.q[row], values)
                assert np.array_equal(fast.counts[row], counts)
                met += int(counts.sum())
        assert met > 3_000
        if kernel.traces:
            for field in ("agent", "action", "receiver", "end", "reward", "duration", "quote"):
                assert np.array_equal(kernel.traces[seed][field], slow.traces[seed][field])


def test_evaluation_does_not_disturb_training() -> None:
    runs = [bq.train(Desk(), handoffs=500, points=points) for points in (1, 10)]
    for name in Desk.agents:
        assert np.array_equal(runs[0].tables[0][name].q, runs[1].tables[0][name].q)


def test_desk_is_learnt() -> None:
    icq = bq.train(Desk(), handoffs=6_000, seeds=3, points=2)
    silent = bq.train(Desk(), learner="no_scalar", handoffs=6_000, seeds=3, points=2)
    # Hand over to the right desk: -0.1 + 0.95**4 * 1; without the scalar -0.1 < 0.3 never pays.
    assert np.allclose(icq.final, -0.1 + 0.95**4)
    assert np.allclose(silent.final, 0.3)
    difference = bq.compare(icq, silent)
    assert math.isclose(difference.difference, -0.4 + 0.95**4)
    assert bq.train(Desk(), learner="random", handoffs=10, points=1).final[0] < icq.final[0]


def test_exactly_one_float_crosses_per_handoff_between_agents() -> None:
    crossed: list[object] = []

    def wire(quote: float) -> float:
        crossed.append(quote)
        return quote

    model = small_model(8)
    run = bq.train(ModelEnvironment(model), handoffs=800, exchange=wire, record=True)
    trace = run.traces[0]
    handoffs = (trace["receiver"] >= 0) & (trace["receiver"] != trace["agent"])
    assert [type(one) for one in crossed] == [float] * int(handoffs.sum())
    assert crossed == trace["quote"][handoffs].tolist()
    assert len(crossed) == run.quotes_crossed[0]
    kept = (trace["receiver"] == trace["agent"]).sum()
    assert kept > 0  # an agent that keeps control sends nothing


def test_what_the_exchange_does_to_the_scalar_is_what_the_sender_learns_from() -> None:
    coarse = bq.train(Desk(), handoffs=2_000, exchange=lambda quote: round(quote, 1), record=True)
    handed = coarse.traces[0]["receiver"] > 0
    quotes = coarse.traces[0]["quote"][handed]
    assert np.array_equal(quotes, quotes.round(1))


def test_joint_sight_is_asked_for_only_by_the_centralised_learner() -> None:
    class Blind(ModelEnvironment):
        def joint(self) -> int:
            raise AssertionError("somebody looked")

    model = small_model(9)
    for learner in ("icq", "icq_phased", "no_scalar", "monte_carlo", "random"):
        bq.train(Blind(model), learner=learner, handoffs=300, points=1)
    with pytest.raises(AssertionError, match="looked"):
        bq.train(Blind(model), learner="centralised", sight="joint", handoffs=10)
    joint = bq.train(
        ModelEnvironment(model), learner="centralised", sight="joint", handoffs=300, points=1
    )
    states = {y[1] for y in joint.tables[0]["central"].observations}  # type: ignore[index]
    assert states <= set(range(model.n_states))
    with pytest.raises(ModelError, match="has no joint"):
        bq.train(Desk(), learner="centralised", sight="joint", handoffs=10)


def test_truncation_bootstraps_and_starts_again() -> None:
    class Clipped:
        agents = {"a": 1, "b": 1}
        gamma = 0.5

        def reset(self, rng):  # type: ignore[no-untyped-def]
            return Turn("a", observation=0)

        def step(self, action):  # type: ignore[no-untyped-def]
            return Turn("b", observation=1, reward=1.0, end="truncated")

    q = bq.train(Clipped(), handoffs=50, initial=4.0, record=True, clock=clocks.constant(1.0))
    assert q.tables[0]["a"].q[0, 0] == 1.0 + 0.5 * 4.0
    assert not q.tables[0]["b"].observations
    assert {one.end for one in q.handoffs("a")} == {"truncated"}
    returns = bq.train(Clipped(), learner="monte_carlo", handoffs=50)
    assert not returns.tables[0]["a"].observations  # a workflow broken off has no return


class Wrong(Desk):
    """An environment that returns one wrong turn from step."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn

    def step(self, action):  # type: ignore[no-untyped-def, override]
        return self.turn


GOOD = Turn("code", observation=1)


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (replace(GOOD, agent="nobody"), "agent 'nobody' is unknown"),
        (replace(GOOD, agent=None), "agent None is unknown"),
        (replace(GOOD, reward=math.nan), "reward is nan"),
        (replace(GOOD, duration=0), "duration is 0"),
        (replace(GOOD, duration=math.inf), "duration is inf"),
        (replace(GOOD, mask=[True]), "must have 2 entries"),
        (replace(GOOD, mask=[False, False]), "at least one of them true"),
        (replace(GOOD, observation=[1]), "not hashable"),
        (replace(GOOD, end="over"), "end is 'over'"),
    ],
)
def test_wrong_turns_are_named(turn: Turn, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        bq.train(Wrong(turn), handoffs=5)


def test_a_workflow_cannot_end_before_it_starts() -> None:
    class Stillborn(Desk):
        def reset(self, rng):  # type: ignore[no-untyped-def]
            return Turn(end="terminal")

    with pytest.raises(ModelError, match="end is 'terminal'"):
        bq.train(Stillborn(), handoffs=5)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("agents", {}, "'agents' must map"),
        ("agents", {"intake": 0}, "agent 'intake' has 0 actions"),
        ("gamma", 1.2, "gamma is 1.2"),
        ("gamma", None, "gamma is None"),
    ],
)
def test_wrong_environments_are_named(name: str, value: object, said: str) -> None:
    environment = Desk()
    setattr(environment, name, value)
    with pytest.raises(ModelError, match=said):
        bq.train(environment, handoffs=5)


def test_an_environment_cannot_go_on_from_a_run() -> None:
    run = bq.train(Desk(), handoffs=20)
    with pytest.raises(ModelError, match="only training on a finite model"):
        bq.train(Desk(), handoffs=20, start=run)


def test_an_environment_that_cannot_be_copied_is_refused() -> None:
    class Single(Desk):
        def __deepcopy__(self, memo: object) -> Desk:
            raise RuntimeError("only one of me")

    with pytest.raises(ModelError, match="only one of me"):
        bq.train(Single(), handoffs=5)


def one_hot(y: object) -> np.ndarray:
    """Desk's observations as features; any lossless coding will do."""
    known = [("bug",), ("question",), True, False]
    return np.array([float(y == one) for one in known])


def test_linear_q_on_a_lossless_coding_is_the_table() -> None:
    settings = {"handoffs": 3_000, "points": 1, "clock": clocks.constant(0.2)}
    table = bq.train(Desk(), **settings)
    made: dict[str, LinearQ] = {}

    def make(name: str, n_actions: int) -> LinearQ:
        made[name] = LinearQ(n_actions, 4, one_hot, clocks.constant(0.2))
        return made[name]

    linear = bq.train(Desk(), make_q=make, **settings)
    assert np.array_equal(linear.final, table.final)
    for name, learnt in table.tables[0].items():
        for y, values in zip(learnt.observations, learnt.q, strict=True):
            assert np.allclose(made[name].weights @ one_hot(y), values, atol=1e-12)


def test_ridge_q_in_phases_fits_each_phase_exactly() -> None:
    made: dict[str, RidgeQ] = {}

    def make(name: str, n_actions: int) -> RidgeQ:
        made[name] = RidgeQ(n_actions, 4, one_hot, penalty=1e-6)
        return made[name]

    settings = {"learner": "icq_phased", "handoffs": 3_000, "phases": 3}
    ridge = bq.train(Desk(), make_q=make, **settings)
    table = bq.train(Desk(), **settings)
    permitted = np.ones(3, np.bool_)
    learnt = table.tables[0]["intake"]
    for y, values in zip(learnt.observations, learnt.q, strict=True):
        assert np.allclose(made["intake"].values(y, permitted), values, atol=1e-4)
    assert np.allclose(ridge.final, table.final)


def test_features_of_wrong_shape_are_named() -> None:
    q = LinearQ(2, 3, lambda _y: np.array([1.0, math.nan, 0.0]), clocks.constant(0.1))
    with pytest.raises(ModelError, match="3 finite numbers"):
        q.quote("x", np.array([True, True]))
    with pytest.raises(ModelError, match="penalty: 0"):
        RidgeQ(2, 3, one_hot, penalty=0.0)


def test_features_of_zero_teach_nothing() -> None:
    q = LinearQ(1, 2, lambda _y: np.zeros(2), clocks.constant(0.1))
    q.update("x", 0, 1.0)
    assert q.counts == [0]


def test_an_answer_that_is_no_number_is_refused() -> None:
    class Broken(TabularQ):
        def quote(self, y, mask):  # type: ignore[no-untyped-def]
            return math.nan

    with pytest.raises(ModelError, match="answered nan"):
        bq.train(Desk(), handoffs=50, make_q=lambda _n, count: Broken(count, clocks.constant(0.1)))
