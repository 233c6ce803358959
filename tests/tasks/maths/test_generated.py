from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from batonq.base.seeds import generator
from batonq.tasks.maths.board import load_board
from batonq.tasks.maths.generated import SOLVERS, Solver, generated_board, solve
from batonq.tasks.maths.problems import KINDS, mistakes, number, result, write_problem

PROBLEMS = [write_problem(generator(5, index)) for index in range(400)]


@pytest.mark.parametrize(
    ("kind", "a", "b", "after"),
    [
        ("add", 3, 1, 15),
        ("subtract", 3, 1, 9),
        ("times", 3, 1, 36),
        ("share", 3, 1, 4),
        ("percent", 25, 1, 9),
        ("part", 2, 3, 4),
        ("groups", 2, 5, 22),
        ("both", 3, 1, 27),
        ("idle", 3, 1, 12),
    ],
)
def test_each_step_of_twelve_by_hand(kind: str, a: int, b: int, after: int) -> None:
    assert result(kind, Fraction(12), a, b) == after  # type: ignore[arg-type]


def test_problems_are_chains_whose_numbers_are_all_in_the_text() -> None:
    for problem in PROBLEMS:
        assert 2 <= problem.length <= 5
        amount = problem.start
        for step in problem.steps:
            assert step.before == amount
            amount = result(step.kind, amount, step.a, step.b)
            assert step.after == amount > 0
            assert str(step.a) in problem.text
        assert problem.answer == amount
        assert Fraction(number(problem.answer)) == problem.answer  # written without rounding
        assert problem.text.endswith("?")


def test_problems_use_every_kind_and_differ() -> None:
    assert {step.kind for problem in PROBLEMS for step in problem.steps} == {*KINDS, "idle"}
    assert len({problem.text for problem in PROBLEMS}) > 0.99 * len(PROBLEMS)


def test_mistakes_are_never_the_right_result() -> None:
    for problem in PROBLEMS:
        for step in problem.steps:
            right = result(step.kind, step.before, step.a, step.b)
            wrong = mistakes(step, step.before)
            assert wrong
            assert right not in wrong


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: f"{solver.model}-{solver.prompt}")
def test_a_solver_without_limits_is_always_right(solver: Solver) -> None:
    able = Solver(
        solver.model,
        solver.prompt,
        dict.fromkeys(solver.skill, 1e9),
        solver.shared,
        solver.gives_up,
        solver.doubts,
        solver.style,
    )
    rng = generator(0)
    for problem in PROBLEMS[:50]:
        _, stated = solve(problem, able, np.zeros(len(problem.steps)), 0.5, rng)
        assert stated == float(problem.answer)


def test_what_is_read_is_what_was_meant() -> None:
    read = generated_board(seed=7, questions=600)
    meant = generated_board(seed=7, questions=600, parse="source")
    np.testing.assert_array_equal(read.right, meant.right)
    np.testing.assert_array_equal(read.answer, meant.answer)


def test_same_seed_same_board_other_seed_another() -> None:
    first, again = (generated_board(seed=3, questions=40) for _ in range(2))
    assert first.questions == again.questions
    np.testing.assert_array_equal(first.answer, again.answer)
    np.testing.assert_array_equal(first.private, again.private)
    longer = generated_board(seed=3, questions=60)
    assert longer.questions[:40] == first.questions
    np.testing.assert_array_equal(longer.right[:40], first.right)
    assert generated_board(seed=4, questions=40).questions != first.questions


def test_handing_off_can_pay() -> None:
    board = load_board("generated", seed=0)
    assert board.answer.shape == (1000, 5)
    right, cost = board.right.mean(0), board.cost.mean(0)
    # half widths of 95 % intervals here are at most .031 for an accuracy of n = 1,000
    assert right[4] > right[:4].max() + 0.031
    assert cost[4] > 10 * cost[:4].max()
    small, program = board.call("small", "careful"), board.call("program", "direct")
    agree = (board.answer[:, small] == board.answer[:, program]) & (board.answer[:, small] >= 0)
    assert 0.5 < agree.mean() < 0.9
    assert board.right[agree, small].mean() > right[small] + 0.031
    assert board.right.any(1).mean() > right.max() + 0.01
    wrong = ~board.right[:, :2]
    assert np.corrcoef(wrong.T)[0, 1] > 0.1  # the same model twice errs together
    assert (board.answer[:, program] < 0).mean() > 0.03  # programs that fail abstain


def test_doubt_shows_in_what_only_the_solver_knows() -> None:
    board = load_board("generated", seed=1)
    steps = np.array([int(subject[0]) for subject in board.subjects])
    length = board.private[:, 4, board.private_names.index("length")]
    adjusted = length - np.array([length[steps == s].mean() for s in steps])
    large = board.right[:, 4]
    assert adjusted[~large].mean() > adjusted[large].mean()
