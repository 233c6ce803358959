"""Change half-way: what changes, what is compared, and how it is summed up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batonq.tasks.maths import drift, drift_summary
from batonq.tasks.maths.board import Board, load_board
from batonq.tasks.maths.options import MathsOptions
from batonq.tasks.maths.peers.agreement import Rule


@pytest.fixture(scope="module")
def board() -> Board:
    return load_board("generated", seed=3)


def test_a_degraded_model_answers_like_a_weaker_one_from_outside_the_pool(board: Board) -> None:
    pool_board = board.only([1, 2, 4])
    changed = drift.after_change(board, pool_board, board.models[1], "degraded")
    outside = [
        call for call in range(len(board.models)) if board.models[call] not in pool_board.models
    ]
    weakest = min(outside, key=lambda call: board.right[:, call].mean())
    assert np.array_equal(changed.right[:, 0], board.right[:, weakest])
    assert np.array_equal(changed.answer[:, 0], board.answer[:, weakest])
    assert np.array_equal(changed.cost, pool_board.cost)
    assert np.array_equal(changed.right[:, 1:], pool_board.right[:, 1:])


def test_a_replacement_speaks_under_the_same_prompts_where_one_does(board: Board) -> None:
    from dataclasses import replace

    named = replace(
        board,
        models=("a", "a", "b", "b", "c"),
        prompts=("long", "short", "long", "short", "other"),
    )
    changed = drift.after_change(named, named.only([0, 1]), "a", "degraded")
    assert np.array_equal(changed.right, named.right[:, [2, 3]])


def test_a_dearer_model_costs_ten_times_as_much_and_answers_alike(board: Board) -> None:
    changed = drift.after_change(board, board, board.models[2], "dearer")
    assert np.array_equal(changed.right, board.right)
    assert np.allclose(changed.cost[:, 2], 10 * board.cost[:, 2])
    others = [0, 1, 3, 4]
    assert np.array_equal(changed.cost[:, others], board.cost[:, others])


def test_stacked_boards_keep_their_questions_apart(board: Board) -> None:
    changed = drift.after_change(board, board, board.models[0], "dearer")
    both = drift.stacked(board, changed)
    count = len(board.questions)
    rule = Rule((0, 1, 2), plain_only=False, trusted=0)
    rows = np.arange(count)
    before, after = rule.play(both, rows), rule.play(both, rows + count)
    assert np.array_equal(before.right, rule.play(board, rows).right)
    assert np.array_equal(after.cost, rule.play(changed, rows).cost)


def part(gaps: list[float], icq: float, rule: float) -> dict[str, object]:
    return {
        "points": [100, 200, 300],
        "curve": [0.9 - gap for gap in gaps],
        "optimum": 0.9,
        "feasible": 0.91,
        "icq": icq,
        "agreement": rule,
        "questions": 50,
    }


def cell(number: int, shift: float) -> dict[str, object]:
    parts = {
        "before": part([0.02, 0.005, 0.02], 0.85, 0.87),
        "changed": part([0.2, 0.1, 0.05], 0.8 + shift, 0.7),
        "restored": part([0.009, 0.0, 0.0], 0.86, 0.87),
    }
    bandit = {name: {"0.99": 0.5, "1.0": 0.6 + shift} for name in parts}
    return {
        "pool": "all",
        "change": "degraded",
        "number": number,
        "price": 0.03,
        "model": "small",
        "parts": parts,
        "bandit": bandit,
    }


def test_recovery_is_the_first_point_within_the_margin() -> None:
    one = cell(0, 0.0)
    assert drift_summary.recovery(one, "before") == 200
    assert drift_summary.recovery(one, "changed") is None
    assert drift_summary.recovery(one, "restored") == 100


def test_the_summary_shows_gain_recovery_and_who_never_recovered() -> None:
    cells = [cell(0, 0.0), cell(1, 0.02)]
    gained = drift_summary.gain(cells, "changed")
    assert math.isclose(gained.value, 0.11)
    assert gained.n_kind == "seeds"
    config = MathsOptions(scenario="drift", seeds=2).to_json()
    summary = drift_summary.summarise(config, cells)
    assert "does not surely beat" in summary.headline  # two seeds .02 apart: a wide interval
    assert "in no seed" in summary.headline
    rows = {(row.setting["part"], row.learner, row.metric): row for row in summary.rows}
    assert rows["changed", "icq", "recovery"].value is None
    assert rows["changed", "icq", "recovery"].setting["never"] == 2
    assert rows["before", "icq", "recovery"].value == 200
    bandit = rows["changed", "bandit", "utility"]
    assert bandit.value is not None
    assert math.isclose(bandit.value, 0.61)
    for section in summary.sections:
        for drawing in section.drawings:
            assert drawing.draw().axes


@pytest.mark.compiled
def test_icq_follows_a_change_that_the_fixed_rule_does_not(board: Board) -> None:
    config = {
        **MathsOptions(scenario="drift").to_json(),
        "pool": "all",
        "change": "dearer",
        "number": 0,
        "price": 0.3,
        "quick": True,
    }
    few = board.only([0, 1, 2, 4], range(100))
    found = drift.through_change(few, few, config)
    changed = found["parts"]["changed"]
    assert changed["icq"] > changed["agreement"]
    assert changed["optimum"] < found["parts"]["before"]["optimum"]
    for one in found["parts"].values():
        assert max(one["curve"]) <= one["optimum"] + 1e-9
        assert one["points"][-1] == drift.QUICK_HANDOFFS
