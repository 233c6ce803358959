"""From what a model wrote to an attempt: its answer, or an abstention; what is right is not seen.

A program's answer is what it returns; where the question has options, the option of that value,
and if none has it (or several do) the program abstains. A check repeats the checked answer if the
checker says yes, and abstains if not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from batonq.tasks.maths.board import Attempt, numeric_attempt
from batonq.tasks.maths.extract import extract, numbers_in
from batonq.tasks.maths.live.answers import Answer
from batonq.tasks.maths.live.asking import CHECK
from batonq.tasks.maths.live.questions import Question

RunPrograms = Callable[[Sequence[str]], Sequence[float | None]]
SURE: Final = 0.5  # a checker's chance of yes from which on it approves
_NEAR: Final = 5e-3  # relative: a program's value is the option it rounds to
_MARKED: Final = re.compile(r"####[^A-Za-z0-9]*([A-Ea-e])\b")
_LETTER: Final = r"[^A-Za-z0-9]*(?:(?i:is)\b)?[^A-Za-z0-9]*?(?:\(([a-e])\)|([A-E])\b(?![a-z']))"
_SAID: Final = (
    re.compile(r"\b(?i:answer)\b" + _LETTER),
    re.compile(r"\b(?i:option|choice)\b" + _LETTER),  # where no answer is spoken of
)
_STYLE: Final = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_LISTED: Final = re.compile(r"^\W*([A-E])[).:]\s[^\n]*$")  # one line, as an option is written
_ALONE: Final = re.compile(r"^\W*([A-Ea-e])(?:\W|$)")


def read(
    answers: Sequence[Answer], questions: dict[tuple[str, int], Question], run: RunPrograms
) -> list[Attempt]:
    """Read many answers, programs all at once.

    Args:
        answers: solvers' answers, then or among them checks; a checked call's own answer to the
            same question must be among them.
        questions: by `Question.key`.
        run: runs programs; a value for each, None where there is none.
    """
    programs = [answer for answer in answers if answer.call.prompt == "program"]
    values = dict(zip(map(id, programs), run([one.text for one in programs]), strict=True))
    solved = {
        answer.key: _solver(answer, questions[answer.question], values.get(id(answer)))
        for answer in answers
        if answer.call.prompt != CHECK
    }
    return [
        check(answer, solved[answer.question, answer.call.checks])
        if answer.call.prompt == CHECK
        else solved[answer.key]
        for answer in answers
    ]


def check(answer: Answer, checked: Attempt) -> Attempt:
    """A checker's attempt: the checked answer where it says yes, an abstention else."""
    approved = answer.yes is not None and answer.yes >= SURE
    return Attempt(answer.text, checked.value if approved else None, approved and checked.plain)


def _solver(answer: Answer, question: Question, value: float | None) -> Attempt:
    if question.options:
        place = (
            option_of(value, question.options)
            if answer.call.prompt == "program"
            else letter_of(answer.text, question)
        )
        return Attempt(answer.text, None if place is None else float(place), place is not None)
    if answer.call.prompt != "program":
        value = extract(answer.text, question.text)
    return numeric_attempt(answer.text, value)


def option_of(value: float | None, options: Sequence[str]) -> int | None:
    """The one option that a program's value rounds to; None if there is none or several are."""
    if value is None:
        return None
    found = [
        place
        for place, text in enumerate(options)
        if any(abs(value - one) <= _NEAR * max(abs(one), abs(value)) for one in _values(text))
    ]
    return found[0] if len(found) == 1 else None


def letter_of(text: str, question: Question) -> int | None:
    """The option a text names: after ####, in a box, after "answer", alone; else by its number."""
    text = _STYLE.sub(r"\1", text)
    boxed = [inner.strip() for inner in re.findall(r"\\boxed\{([^{}]*)\}", text)]
    for inner in reversed(boxed):
        found = _ALONE.match(inner)
        if found:
            return _place(found[1], question)
    marked = _MARKED.findall(text)
    if marked:
        return _place(marked[-1], question)
    said = _SAID[0].findall(text)
    if not said and "answer" not in text.lower():
        said = _SAID[1].findall(text)
    if said:
        return _place("".join(said[-1]), question)
    short = len(text.strip()) <= len("A) ") + 1
    alone = (_ALONE if short else _LISTED).match(text.strip())
    if alone:
        return _place(alone[1], question)
    return option_of(extract(text, question.text), question.options)


def _place(letter: str, question: Question) -> int | None:
    place = question.letters.find(letter.upper())
    return None if place < 0 else place


def _values(option: str) -> tuple[float, ...]:
    """The number an option states, if it states one; a percentage also as its share."""
    numbers = numbers_in(option)
    if len(numbers) != 1:
        return ()
    (number,) = numbers
    return (number, number / 100) if "%" in option else (number,)
