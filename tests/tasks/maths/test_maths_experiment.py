"""Cells of the experiment, outcomes as JSON and back, and the summary of two small folds."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer_boards import random_board

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.study.rows import LEARNERS, METRICS
from batonq.tasks.maths.experiment import experiment, summarise
from batonq.tasks.maths.learners import (
    FEASIBLE,
    FEATURES,
    ICQ,
    JOINT,
    MONTE_CARLO,
    NO_SCALAR,
    Penalties,
    learn,
    prepare,
)
from batonq.tasks.maths.lines import BUDGET, Pooled, all_lines, recovered, within_budget
from batonq.tasks.maths.options import MathsOptions, folds
from batonq.tasks.maths.peers import PEERS
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.pools import Pool
from batonq.tasks.maths.records import Key, gather, pack, pack_all, unpack
from batonq.tasks.maths.replay import compile_replay
from batonq.tasks.maths.rollout import flow, play, random_moves
from batonq.tasks.maths.statistics import means
from batonq.tasks.maths.summary import SHOWN, figures
from batonq.tasks.maths.table import train_tables
from batonq.tasks.maths.terms import fold_terms

PRICES = (0.02, 0.2)
COUNT, CALLS = 90, 3
MAIN = "answers"
CONFIG = {
    "dataset": "generated",
    "scenario": "static",
    "interface": MAIN,
    "lambda": list(PRICES),
    "reported": list(PRICES),
    "folds": 2,
    "seeds": 1,
    "seed": 0,
}
CENTRALISED = ("centralised_features", "centralised_joint")
LEARNT = {
    ("icq", MAIN): ICQ,
    ("icq", "own"): ICQ,
    ("feasible", MAIN): FEASIBLE,
    ("feasible", "own"): FEASIBLE,
    ("no_scalar", MAIN): NO_SCALAR,
    ("monte_carlo", MAIN): MONTE_CARLO,
    ("centralised_features", "board"): FEATURES,
    ("centralised_joint", "board"): JOINT,
}


@cache
def cells_of_two_folds() -> list[Json]:
    """What two folds of a small board hand back, read back from JSON."""
    board = random_board(0, COUNT, CALLS, skill=[0.5, 0.7, 0.8])
    replay = compile_replay(board, Pool("all", (), ""))
    parts = folds(COUNT, 2, 0)
    found = []
    for number, test in enumerate(parts):
        train = parts[1 - number]
        outcomes, trained = {}, []
        for (name, interface), method in LEARNT.items():
            shown = MAIN if interface == "board" else interface
            student = prepare(replay, shown, method, train, Penalties())
            for price in PRICES:
                policy = learn(student, price)
                outcomes[Key(name, interface, price)] = play(replay, policy.move, test)
                earned = play(replay, policy.move, train)
                trained.append(
                    {
                        "learner": name,
                        "interface": interface,
                        "price": price,
                        "utility": float(earned.utility(price).mean()),
                        "cost": float(earned.cost.mean()),
                        "value": float(policy.value[0, train].mean()),
                    }
                )
        for name, fit in PEERS.items():
            chooser = fit(board, train)
            for price in (*PRICES, 0.0):
                outcomes[Key(name, "board", price)] = chooser(price).play(board, test)
                cost = float(chooser(price).play(board, train).cost.mean())
                trained.append(
                    {"learner": name, "interface": "board", "price": price, "cost": cost}
                )
        moves = random_moves(replay, generator(0, 1, number))
        for price in PRICES:
            outcomes[Key("random", MAIN, price)] = play(replay, moves, test)
        found.append(
            {
                "pool": "all",
                "parse": "extracted",
                "fold": number,
                "questions": test.tolist(),
                "subjects": ["s" if question % 2 else "t" for question in test],
                "agents": list(replay.agents),
                "calls": list(replay.calls),
                "outcomes": pack_all(outcomes),
                "trained": trained,
                "tables": [],
                "terms": fold_terms(replay, CONFIG, train, [MAIN, "own"], Penalties()),
                "flow": flow(replay, moves, test).tolist(),
            }
        )
    read: list[Json] = json.loads(json.dumps(found))
    return read


@given(seed=st.integers(0, 99), count=st.integers(1, 20))
def test_outcomes_survive_json(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    outcome = Outcome(
        rng.random(count) < 0.5,
        rng.integers(0, 10**7, count) / 1e6,
        rng.integers(0, 5, count),
        rng.integers(0, 5_000, count),
    )
    back = unpack(json.loads(json.dumps(pack(outcome))))
    for name in ("right", "cost", "calls", "tokens"):
        assert np.array_equal(getattr(back, name), getattr(outcome, name))


def test_folds_are_put_back_in_the_order_of_the_questions() -> None:
    board = random_board(1, 20, CALLS)
    whole = PEERS["majority"](board, np.arange(20))(0.1).play(board, np.arange(20))
    cells = []
    for test in folds(20, 3, 0):
        part = PEERS["majority"](board, np.arange(20))(0.1).play(board, test)
        packed = pack_all({Key("majority", "board", 0.1): part})
        cells.append({"questions": test.tolist(), "outcomes": packed})
    found = gather(cells)["majority", "board", 0.1]
    assert np.array_equal(found.right, whole.right)
    assert np.allclose(found.cost, whole.cost, atol=1e-6)


def test_the_summary_has_every_learner_at_every_price() -> None:
    cells = cells_of_two_folds()
    summary = summarise(CONFIG, cells)
    assert "Pool all, answers extracted: IC-Q is right on" in summary.headline
    places = {(r.learner, r.setting["lambda"], r.metric): r for r in summary.rows}
    for price in PRICES:
        for learner in SHOWN:
            for metric in ("accuracy", "cost", "calls", "utility", "tokens"):
                assert (learner, price, metric) in places
    assert {row.learner for row in summary.rows} <= LEARNERS
    assert {row.metric for row in summary.rows} <= METRICS
    for row in summary.rows:
        if row.value is not None and row.low is not None and row.high is not None:
            assert row.low <= row.value + 1e-6
            assert row.value <= row.high + 1e-6
    assert [section.title for section in summary.sections][-1] == "Subjects"
    for section in summary.sections:
        for drawing in section.drawings:
            if not drawing.name.startswith("training"):
                assert drawing.draw().axes


def test_figures_of_the_summary_are_those_of_the_outcomes() -> None:
    cells = cells_of_two_folds()
    outcomes = gather(cells)
    icq = outcomes["icq", MAIN, PRICES[1]]
    found = figures(icq, PRICES[1])
    assert found["accuracy"].value == pytest.approx(icq.right.mean())
    assert found["utility"].value == pytest.approx((icq.right - PRICES[1] * icq.cost).mean())
    rows = [
        row
        for row in summarise(CONFIG, cells).rows
        if (row.learner, row.metric) == ("icq", "utility")
        and (row.setting["interface"], row.setting["lambda"]) == (MAIN, PRICES[1])
    ]
    assert [row.value for row in rows] == [found["utility"].value]


def test_lines_compare_what_they_say() -> None:
    cells = cells_of_two_folds()
    pooled = Pooled(gather(cells), cells, MAIN)
    lines = all_lines(pooled, PRICES, PRICES)
    same = [line for line in lines if line.kind == "same price"]
    assert [line.price for line in same] == list(PRICES)
    for line in same:
        mine, rule = (pooled.of(name, line.price) for name in ("icq", "agreement"))
        gap = mine.utility(line.price).mean() - rule.utility(line.price).mean()
        assert line.figure.value == pytest.approx(gap)
        assert line.reached == (line.figure.low > -0.01)
    for price in PRICES:
        best = pooled.reference(price)
        values = {n: pooled.utility(n, price).value for n in CENTRALISED}
        assert values[best] == max(values.values())
        ratio, gap = recovered(pooled, price, MAIN)
        single = pooled.utility("best_single", price).value
        assert ratio.value * (values[best] - single) == pytest.approx(
            pooled.utility("icq", price).value - single
        )
        assert gap.value == pytest.approx(pooled.utility("icq", price).value - values[best])


def test_the_budget_is_read_from_training_alone() -> None:
    cells = json.loads(json.dumps(cells_of_two_folds()))
    for cell in cells:
        for one in cell["trained"]:
            if one["learner"] == "icq" and one["interface"] == MAIN:
                one["cost"] = 3.0 if one["price"] == PRICES[0] else 1.0
            if one["learner"] == "agreement":
                one["cost"] = 3.0 / BUDGET + 0.01 if one["price"] == 0 else 2.0
    pooled = Pooled({}, cells, MAIN)  # no held-out outcome is there to be looked at
    assert within_budget(pooled, PRICES, 0.0) == PRICES[0]
    assert within_budget(pooled, PRICES, PRICES[0]) == PRICES[1]
    assert within_budget(pooled, PRICES[:1], PRICES[0]) == PRICES[0]  # the dearest there is


def test_nobody_beats_hindsight() -> None:
    outcomes = gather(cells_of_two_folds())
    for key, outcome in outcomes.items():
        if key.price in PRICES:
            oracle = outcomes["oracle", "board", key.price]
            assert means(outcome.utility(key.price)).value <= (
                means(oracle.utility(key.price)).value + 1e-6
            )


@pytest.mark.compiled
def test_trained_tables_come_near_the_exact_optimum() -> None:
    replay = compile_replay(random_board(2, 12, 2), Pool("all", (), ""))
    train, test = np.arange(8), np.arange(8, 12)
    config = {"reported": [0.1], "fold": 1, "quick": True, "seeds": 1, "seed": 0}
    (found,) = train_tables(replay, MAIN, train, test, config)
    exact = learn(prepare(replay, MAIN, FEASIBLE, train, Penalties()), 0.1)
    optimum = play(replay, exact.move, train).utility(0.1).mean()
    assert found["learner"] == "icq"
    assert found["trained"] == [pytest.approx(optimum, abs=0.005)]
    assert len(found["held_out"]) == 1


def test_cells_of_a_run() -> None:
    static = experiment(MathsOptions(folds=3))
    assert [cell.key for cell in static.cells] == [f"all-extracted-fold{k}" for k in range(3)]
    assert static.config["files"] == {}
    assert "data" not in static.config
    drift = experiment(MathsOptions(scenario="drift", seeds=2, prices=(0.5,)))
    assert len({cell.key for cell in drift.cells}) == len(drift.cells)
    assert {cell.config["price"] for cell in drift.cells} == {0.5}


def test_missing_data_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match="gsm8k"):
        experiment(MathsOptions(dataset="gsm8k", data=tmp_path))
