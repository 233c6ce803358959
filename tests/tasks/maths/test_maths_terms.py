"""The three terms on the maths task's own data."""

import numpy as np
import pytest
from maths_replays import random_replay

from batonq.tasks.maths.learners import FEASIBLE, ICQ, Penalties, learn, prepare
from batonq.tasks.maths.rollout import play
from batonq.tasks.maths.term_summary import intervals, term_rows
from batonq.tasks.maths.terms import Shares, fold_terms, gathered, middle, shares

PRICE = 0.05
COUNT = 60


@pytest.fixture(scope="module")
def replay():
    return random_replay(4, COUNT)


def test_gap_shrinks_as_the_interface_shows_more(replay):
    rows = np.arange(COUNT)
    gaps = [
        shares(replay, interface, PRICE, rows, Penalties(), 0).gap.mean()
        for interface in ("board", "answers", "own")
    ]
    assert gaps == sorted(gaps)
    assert gaps[0] > 0


def test_loss_is_what_the_cells_policy_earns_less_than_hindsight(replay):
    # Without discount the loss is a difference of utilities, which the rollout counts by itself.
    rows = np.arange(0, COUNT, 2)
    known = replay.only(rows)
    found = shares(known, "answers", PRICE, np.arange(len(rows)), Penalties(), 0)
    policy = learn(prepare(known, "answers", FEASIBLE, np.arange(len(rows)), Penalties()), PRICE)
    earned = play(known, policy.move, np.arange(len(rows))).utility(PRICE)
    right = known.right & known.parsed
    # Hindsight asks for the cheapest right call, if that pays, and else for the cheapest call.
    cheapest = np.where(right, 1.0 - PRICE * known.cost, -PRICE * known.cost)
    assert found.loss.mean() == pytest.approx((cheapest.max(axis=1) - earned).mean(), abs=0.02)
    assert (found.loss >= -1e-9).all()
    assert (found.loss_upper >= found.loss - 1e-9).all()


def test_only_keeps_the_rows(replay):
    some = replay.only(np.array([3, 5]))
    assert some.n_questions == 2
    assert np.array_equal(some.cost, replay.cost[[3, 5]])
    assert np.array_equal(some.private, replay.private[[3, 5]])


def test_approximation_is_zero_for_a_learner_that_is_the_table(replay):
    # Without penalties and private features one column a cell makes the regression a table of
    # means; where nothing is submitted by regression either, that is the exact solution.
    rows = np.arange(COUNT)
    free = Penalties(dense=1e4, cell=1e-4, private=1e5, attempt=1e4, attempt_cell=1e-4)
    found = shares(replay, "answers", PRICE, rows, free, 0)
    assert np.sqrt(found.approximation.mean()) < 0.01
    shrunk = shares(replay, "answers", PRICE, rows, Penalties(), 0)
    assert np.sqrt(shrunk.approximation.mean()) > 0.02


def test_folds_are_averaged_over_those_that_learnt_from_a_question(replay):
    parts = np.array_split(np.arange(COUNT), 3)
    config = {"reported": [0.01, PRICE, 0.5], "seed": 0}
    cells = []
    for k, test in enumerate(parts):
        train = np.concatenate([part for j, part in enumerate(parts) if j != k])
        terms = fold_terms(replay, config, train, ["answers"], Penalties())
        cells.append({"questions": test.tolist(), "terms": terms})
    whole = gathered(cells, "answers")
    first = cells[1]["terms"][0]["gap"][0]  # question 0 is learnt from in folds 1 and 2
    second = cells[2]["terms"][0]["gap"][0]
    assert whole.gap[0] == pytest.approx((first + second) / 2)
    assert whole.gap.shape == (COUNT,)
    rows = list(term_rows({"pool": "all"}, cells))
    assert {row.setting["term"] for row in rows} == {"approximation", "gap", "residual", "loss"}
    assert {row.setting["lambda"] for row in rows} == {middle(config["reported"])}
    for row in rows:
        assert row.low <= row.value <= row.high


def test_roots_are_taken_of_squares_only():
    values = np.array([0.04, 0.04, 0.04])
    found = intervals(Shares(values, values, values, values, values))
    assert found["gap"].value == pytest.approx(0.2)
    assert found["gap"].low == pytest.approx(0.2)
    assert found["loss"].value == pytest.approx(0.04)


def test_residual_is_the_standard_error_of_what_is_learnt():
    # Over fresh draws of questions the learnt first value spreads about as much as halves tell.
    drawn = [random_replay(seed, 120) for seed in range(24)]
    rows = np.arange(120)
    first = [learn(prepare(one, "own", ICQ, rows, Penalties()), PRICE).value[0, 0] for one in drawn]
    told = [
        np.sqrt(shares(one, "own", PRICE, rows, Penalties(), 0).residual.mean()) for one in drawn
    ]
    assert 0.4 < np.mean(told) / np.std(first) < 2.5
