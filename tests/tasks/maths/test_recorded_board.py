"""Recorded answers of local models as a board: what is read, what it costs, what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from answer_files import (
    LARGE,
    LARGE_STEP,
    SMALL,
    SMALL_PROGRAM,
    answer,
    check,
    generated,
    program,
    record,
)

from batonq.base.errors import DataError
from batonq.tasks.maths.features import NAMES
from batonq.tasks.maths.live.answers import Answer, Model
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.recorded import RECORDED_NAMES, UNIT, recorded_board, recorded_files

NOTHING = Path("nowhere")
CERTAIN, DOUBTFUL, CUT, RAN, APPROVAL = range(len(NAMES), len(RECORDED_NAMES))


def three_questions() -> list[Answer]:
    """Right and approved; wrong and rejected; a program that fails, and a text that is cut."""
    first, second, third = generated(3)
    return [
        answer(first, LARGE_STEP, f"#### {first.gold:g}", logprob=-0.25, least=-3.0, seconds=2.0),
        answer(
            first,
            SMALL_PROGRAM,
            program(first.gold),
            tokens_out=110,
            logprob=-0.25,
            least=-3.0,
        ),
        check(first, 0.75),
        answer(second, SMALL_PROGRAM, program(second.gold + 1)),
        answer(second, LARGE_STEP, f"#### {second.gold:g}"),
        check(second, 0.25),
        answer(third, SMALL_PROGRAM, program("1 / 0")),
        answer(third, LARGE_STEP, "Let me think", finish="length"),
        check(third, 0.5),
    ]


def test_a_board_by_hand(tmp_path: Path) -> None:
    board = recorded_board("generated", folder=record(tmp_path, three_questions()))
    assert board.models == ("small", "large", "checker")
    assert board.prompts == ("program", "step", "check of small/program")
    assert board.needs == (-1, -1, 0)
    assert board.solvers == (0, 1)
    assert board.questions == tuple(one.text for one in generated(3))
    assert board.answer.tolist() == [[0, 0, 0], [0, 1, -1], [-1, -1, -1]]
    assert board.right.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert board.tokens.tolist() == [[200, 100, 91], [100, 100, 91], [100, 100, 91]]
    # Billions of parameters x tokens / 1000: .5 for the small model, 2 for the large one.
    assert board.cost[0].tolist() == pytest.approx([0.1, 0.2, 0.182])
    assert (board.unit, board.seconds[0].tolist()) == (UNIT, [0.5, 2.0, 0.5])


def test_what_only_the_asked_agent_knows(tmp_path: Path) -> None:
    board = recorded_board("generated", folder=record(tmp_path, three_questions()))
    assert board.private_names == RECORDED_NAMES
    assert board.private[0, 0, [CERTAIN, DOUBTFUL]].tolist() == pytest.approx([-2.5, -1.5])
    assert board.private[1, 0, [CERTAIN, DOUBTFUL]].tolist() == [0, 0]  # not told
    assert board.private[0, 1, [CERTAIN, DOUBTFUL]].tolist() == [0, 0]  # no program
    assert board.private[:, 1, CUT].tolist() == [0, 0, 1]
    assert board.private[:, :, RAN].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert board.private[:, 2, APPROVAL].tolist() == [2.5, -2.5, 0]
    assert not board.private[:, 2, : len(NAMES)].any()
    assert board.private[0, 1, NAMES.index("marked")] == 1


def test_only_whole_questions_are_kept_in_the_order_of_asking(tmp_path: Path) -> None:
    questions = generated(4)
    answers = [
        answer(question, call, "#### 1")
        for question in reversed(questions)
        for call in (LARGE_STEP, SMALL_PROGRAM)
        if (question, call) != (questions[1], LARGE_STEP)
    ]
    record(tmp_path, answers[:4], first=0)
    record(tmp_path, answers[4:], first=50)
    board = recorded_board("generated", folder=tmp_path)
    assert board.questions == tuple(questions[k].text for k in (0, 2, 3))
    assert board.needs == (-1, -1)


def test_options_are_answered_by_their_place(tmp_path: Path) -> None:
    row = {
        "dataset": "mathqa",
        "split": "test",
        "idx": 0,
        "question": "What is half of 8?",
        "choices": ["2", "4", "8", "16", "none"],
        "answer": "B",
        "category": "general",
    }
    (tmp_path / "maths").mkdir()
    packed = gzip.compress(json.dumps(row).encode())
    (tmp_path / "maths" / "mathqa.jsonl.gz").write_bytes(packed)
    told = {"subject": "general", "index": 0}
    (question,) = generated(1)
    folder = record(
        tmp_path / "answers",
        [
            answer(question, SMALL_PROGRAM, program(8 / 2), **told),
            answer(question, Call("small", "step"), "8 = 8, so it is 8. #### A", **told),
            answer(question, LARGE_STEP, "#### C", **told),
            answer(question, Call("large", "program"), program(5), **told),  # no option's value
        ],
        "mathqa",
    )
    board = recorded_board("mathqa", tmp_path, folder)
    assert board.prompts == ("step", "program", "step", "program")
    assert board.answer.tolist() == [[0, 1, 2, -1]]
    assert board.right.tolist() == [[False, True, False, False]]
    assert board.plain.tolist() == [[True, True, True, False]]
    assert board.private[0, :, RAN].tolist() == [0, 1, 0, 1]  # it ran, and fits no option
    flags = [NAMES.index(name) for name in ("echo", "supported")]
    assert not board.private[0][:, flags].any()  # a place is no number of the question
    assert board.questions[0].splitlines() == [row["question"], *row["choices"]]


def test_where_nothing_was_recorded_it_says_how_to(tmp_path: Path) -> None:
    record(tmp_path, three_questions())
    with pytest.raises(DataError, match="no recorded answers to 'mmlu'; record some with") as error:
        recorded_files("mmlu", tmp_path)
    assert "batonq run maths --dataset mmlu --live --record" in str(error.value)
    with pytest.raises(DataError, match="nowhere: holds no recorded answers"):
        recorded_board("generated", folder=NOTHING)


@pytest.mark.parametrize(
    ("answers", "models", "said"),
    [
        (
            lambda one: [answer(one, LARGE_STEP, "1", index=99_999)],
            (LARGE,),
            "an answer to question .*99999.*which the data set does not have",
        ),
        (
            lambda one: [answer(one, LARGE_STEP, text) for text in ("1", "2")],
            (LARGE,),
            "a second answer of large/step to question",
        ),
        (
            lambda one: [answer(one, LARGE_STEP, "1")],
            (Model("large", "gguf-02", None),),
            "does not tell how many parameters 'large' has",
        ),
        (
            lambda one: [answer(one, LARGE_STEP, "1")],
            (SMALL,),
            "does not tell how many parameters 'large' has",
        ),
        (
            lambda one: [answer(one, Call("large", "guess"), "1")],
            (LARGE,),
            "'large/guess' is no call of this version",
        ),
        (
            lambda one: [check(one, 0.5)],
            (LARGE,),
            "'large/check of small/program' is no call of this version",
        ),
    ],
)
def test_answers_that_cannot_be_used_are_named(tmp_path: Path, answers, models, said) -> None:
    (question,) = generated(1)
    folder = record(tmp_path, answers(question), models=models)
    with pytest.raises(DataError, match=said):
        recorded_board("generated", folder=folder)


def test_no_question_that_all_answered_is_said(tmp_path: Path) -> None:
    first, second = generated(2)
    answers = [answer(first, LARGE_STEP, "1"), answer(second, SMALL_PROGRAM, "1")]
    with pytest.raises(DataError, match="no question was answered by every call"):
        recorded_board("generated", folder=record(tmp_path, answers))


def test_every_figure_is_finite(tmp_path: Path) -> None:
    board = recorded_board("generated", folder=record(tmp_path, three_questions()))
    assert np.isfinite(board.private).all()
    assert np.abs(board.private).max() < 10  # of the order of 1
