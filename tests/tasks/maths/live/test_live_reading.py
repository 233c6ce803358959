"""Reading what models wrote: numbers, letters, programs' values, checks, abstentions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from batonq.tasks.maths.board import Attempt
from batonq.tasks.maths.live.answers import Answer
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.questions import Question
from batonq.tasks.maths.live.reading import letter_of, option_of, read

OPEN = Question("gsm8k", 1, "s", "Ann has 2 boxes of 3 pens. How many pens?", (), 6.0)
CHOICE = Question("mmlu", 2, "t", "How many pens?", ("4", "6", "8", "10"), 1.0)


def _answer(
    prompt: str,
    text: str,
    question: Question,
    checks: str = "",
    yes: float | None = None,
    model: str = "m",
) -> Answer:
    call = Call(model, prompt, checks)
    return Answer(
        question.subject, question.index, call, 1, text, "stop", 1, 1, 0.1, None, None, yes
    )


def _read(*answers: Answer, values: Sequence[float | None] = ()) -> list[Attempt]:
    asked = {OPEN.key: OPEN, CHOICE.key: CHOICE}
    ran: list[Sequence[str]] = []

    def run(texts: Sequence[str]) -> Sequence[float | None]:
        ran.append(texts)
        return values

    found = read(answers, asked, run)
    programs = [one.text for one in answers if one.call.prompt == "program"]
    assert ran == [programs]  # all programs at once, in order
    return found


def test_numbers() -> None:
    found = _read(
        _answer("step", "2 * 3 = 6\n#### 6", OPEN),
        _answer("direct", "6", OPEN),
        _answer("program", "code", OPEN),
        _answer("program", "worse code", OPEN, model="n"),
        _answer("step", "I cannot determine the answer.", OPEN, model="n"),
        values=(6.5, None),
    )
    assert [one.value for one in found] == [6.0, 6.0, 6.5, None, None]
    assert [one.plain for one in found] == [True, True, False, False, False]


def test_a_program_chooses_the_option_of_its_value_or_abstains() -> None:
    code = [_answer("program", f"code {k}", CHOICE, model=f"m{k}") for k in range(3)]
    found = _read(*code, values=(6.0, 7.0, None))
    assert [one.value for one in found] == [1.0, None, None]


@pytest.mark.parametrize(
    ("value", "options", "place"),
    [
        (38.0, ("38", "27.675", "30", "data inadequate", "none of these"), 0),
        (27.7, ("38", "27.675", "30"), 1),  # rounded
        (0.25, ("25 %", "50 %"), 0),
        (25.0, ("25 %", "50 %"), 0),
        (0.75, ("1/2", "3/4"), 1),
        (5.0, ("5", "5.0", "6"), None),  # two say the same
        (5.0, ("between 5 and 6", "7"), None),  # two numbers are not one value
        (-3.0, ("3", "-3"), 1),
        (0.0, ("0", "1"), 0),
        (None, ("0", "1"), None),
    ],
)
def test_option_of(value: float | None, options: tuple[str, ...], place: int | None) -> None:
    assert option_of(value, options) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("2 * 3 = 6\n#### B", 1),
        ("#### (c)", 2),
        (r"so \(\boxed{D}\)", 3),
        ("B", 1),
        ("B) 6", 1),
        ("The right option is B.", 1),
        ("The answer is A pen, so the answer is C.", 2),
        ("There are 2 * 3 = 6 pens.\n#### 6", 1),  # by its number
        ("Answer: B", 1),
        ("**Final Answer:** C", 2),
        ("The Answer is (b)", 1),
        ("Option D", 3),
        ("B) none of these", 1),
        (r"\boxed{\text{B}}", 1),
        (r"#### \textbf{(C)}", 2),
        ("The answer is 12 apples. Option A is too low.", None),
        ("#### E", None),  # no such option
        ("There are 2 * 3 = 7 pens.", None),
        ("", None),
    ],
)
def test_letter_of(text: str, place: int | None) -> None:
    assert letter_of(text, CHOICE) == place


def test_a_check_repeats_what_it_approves_and_abstains_else() -> None:
    found = _read(
        _answer("program", "code", OPEN),
        _answer("check", "Yes", OPEN, "m/program", 0.5),
        _answer("check", "No", OPEN, "m/program", 0.49),
        _answer("check", "Hm", OPEN, "m/program", None),
        values=(6.0,),
    )
    assert [one.value for one in found] == [6.0, 6.0, None, None]
    assert [one.plain for one in found] == [True, True, False, False]


def test_a_check_of_an_abstention_abstains() -> None:
    found = _read(
        _answer("program", "code", OPEN),
        _answer("check", "Yes", OPEN, "m/program", 0.9),
        values=(None,),
    )
    assert [one.value for one in found] == [None, None]
