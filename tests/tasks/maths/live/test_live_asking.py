"""Prompts, requests and questions: versions, what is filled in, a fixed order, no right answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from batonq.base.errors import DataError
from batonq.tasks.maths.live.asking import CHECK, SOLVERS, Call, request
from batonq.tasks.maths.live.prompts import prompt
from batonq.tasks.maths.live.questions import DATASETS, Question, load_questions

OPEN = Question("gsm8k", 1, "s", "What is {attempt} and {options}?", (), 987654.0)
CHOICE = Question("mmlu", 2, "t", "How many?", ("4", "6", "8", "10"), 1.0)


def test_every_prompt_is_there_and_an_unknown_one_is_named() -> None:
    for name in (*SOLVERS, CHECK, "system"):
        assert prompt(name).version >= 1
        assert prompt(name, 1).text
    with pytest.raises(DataError, match=r"no 'poem'.*program\.v1"):
        prompt("poem")
    with pytest.raises(DataError, match=r"no 'step\.v99'"):
        prompt("step", 99)


@pytest.mark.parametrize("name", [*SOLVERS, CHECK])
def test_a_request_begins_with_the_question_and_holds_no_right_answer(name: str) -> None:
    call = Call("m", name, "m/program" if name == CHECK else "")
    asked = request(call, "m", OPEN, "my attempt {question}")
    assert asked.prompt.startswith(OPEN.text)  # braces in a question stay as they are
    assert "987654" not in asked.prompt
    assert ("my attempt {question}" in asked.prompt) == (name == CHECK)
    assert asked.key() == request(call, "m", OPEN, "my attempt {question}").key()
    assert asked.key() != request(call, "n", OPEN, "my attempt {question}").key()


def test_options_are_shown_to_those_who_name_a_letter() -> None:
    for name in ("direct", "step", "reread"):
        assert "A) 4\nB) 6\nC) 8\nD) 10" in request(Call("m", name), "m", CHOICE).prompt
    assert "A) 4" not in request(Call("m", "program"), "m", CHOICE).prompt


def test_questions_come_in_one_fixed_order(data_dir: Path) -> None:
    for dataset in DATASETS:
        questions = load_questions(dataset, data_dir)
        assert len({question.key for question in questions}) == len(questions)
        assert questions == load_questions(dataset, data_dir)
        assert all(0 <= one.gold < len(one.options) for one in questions if one.options)
    subjects = [one.subject for one in load_questions("mmlu", data_dir)[:4]]
    assert subjects == ["elementary_mathematics", "high_school_mathematics"] * 2
    assert len(load_questions("mathqa", data_dir)) == 2_985
    assert len(load_questions("gsm8k", data_dir)) == 1_319


def test_generated_questions_need_no_data() -> None:
    questions = load_questions("generated")
    assert questions[0].text.endswith("?")
    assert questions[0].gold > 0


def test_unknown_data_is_named(data_dir: Path) -> None:
    with pytest.raises(DataError, match=r"'poems'.*gsm8k"):
        load_questions("poems")
    with pytest.raises(DataError, match="no questions of the split 'nowhere'"):
        load_questions("mathqa", data_dir, "nowhere")
