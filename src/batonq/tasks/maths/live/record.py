"""Recording: every agent answers every question once, so that anyone can replay it.

Each model solves by program and step by step, and one model checks every program. What was
recorded before is taken from the files, what was asked before from the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.study.experiment import Table
from batonq.study.intervals import over_questions
from batonq.tasks.maths.board import Attempt
from batonq.tasks.maths.live.answers import (
    CHUNK,
    Answer,
    AnswerKey,
    Model,
    chunks,
    longest_in,
    read_chunks,
    write_chunk,
)
from batonq.tasks.maths.live.asking import CHECK, Call, prompt_of
from batonq.tasks.maths.live.prompts import prompt
from batonq.tasks.maths.live.questions import Question
from batonq.tasks.maths.live.reading import read
from batonq.tasks.maths.live.session import REFUSED, Session, same, values
from batonq.tasks.maths.live.settings import CHECKED, strongest
from batonq.tasks.maths.live.shares import share

PROMPTS: Final = (CHECKED, "step")
COLUMNS: Final = ("call", "right", "abstained", "right when answered", "cost", "seconds", "refused")

Rows = dict[AnswerKey, Answer]


def recorded_calls(models: Sequence[Model], checker: str) -> list[Call]:
    """The calls that every question is put to, in order: checks last, of the checker's own first.

    Args:
        models: who answers.
        checker: label of the model that checks.
    """
    labels = [model.label for model in models]
    solvers = [Call(label, name) for label in labels for name in PROMPTS]
    checked = [checker, *(label for label in labels if label != checker)]
    return [*solvers, *(Call(checker, CHECK, Call(label, CHECKED).name) for label in checked)]


def record(
    dataset: str,
    questions: Sequence[Question],
    models: Sequence[Model],
    session: Session,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
    checker: str | None = None,
) -> list[Answer]:
    """Record the answers to the first questions of a data set, fifty in a file.

    Whatever ends it, the questions that were finished are written; the same call goes on from
    there.

    Args:
        dataset: whose questions.
        questions: from the first one in the order of asking.
        models: who answers.
        session: makes the calls.
        folder: of the files.
        progress: called after each question.
        checker: label of the model that checks; None: the one with most parameters.

    Returns:
        All rows, question by question.

    Raises:
        DataError: if the folder holds answers of other models, to other prompts or of another
            longest reply.
        CallError: if a call cannot be made.
        SpentError: if the next call could cost more than is left.
    """
    calls = recorded_calls(models, checker or strongest(models, range(len(models))))
    _check_longest(folder, dataset, session.longest)
    there = _recorded(folder, dataset, questions, models)
    for first in range(0, len(questions), CHUNK):
        part = questions[first : first + CHUNK]
        before = len(there)
        try:
            for question in part:
                there |= _answers(question, calls, session, there)
                progress()
        finally:
            if len(there) > before:
                rows = [there[key] for key in _keys(part, calls, there)]
                rows += _others(folder, dataset, first, rows)
                prompts = _prompts(calls, part)
                write_chunk(folder, dataset, first, models, prompts, rows, session.longest)
    return [there[key] for key in _keys(questions, calls, there)]


def standing(
    answers: Sequence[Answer],
    questions: Sequence[Question],
    cost: Callable[[Answer], float],
    unit: str,
) -> Table:
    """How each call did: right, abstaining, cost and seconds, with 95 % intervals.

    Args:
        answers: all rows of some calls.
        questions: what they answer.
        cost: of an answer.
        unit: of the cost.
    """
    known = {question.key: question for question in questions}
    groups: dict[str, list[tuple[Answer, Attempt]]] = {}
    for answer, attempt in zip(answers, read(answers, known, values), strict=True):
        groups.setdefault(answer.call.name, []).append((answer, attempt))
    lines = []
    for name, some in groups.items():
        right = [same(attempt.value, known[answer.question].gold) for answer, attempt in some]
        answered = [attempt.value is not None for _, attempt in some]
        lines.append(
            (
                name,
                share(right),
                share(not one for one in answered),
                share(hit for hit, one in zip(right, answered, strict=True) if one),
                over_questions(np.array([cost(answer) for answer, _ in some])),
                over_questions(np.array([answer.seconds for answer, _ in some])),
                sum(answer.finish == REFUSED for answer, _ in some),
            )
        )
    caption = f"Each call by itself, {len(questions)} questions; cost in {unit}"
    return Table(caption, COLUMNS, tuple(lines))


def _answers(question: Question, calls: Sequence[Call], session: Session, there: Rows) -> Rows:
    """The answers to one question: those that are there, and what is asked now."""
    rows: Rows = {}
    for call in calls:
        key = (question.key, call.name)
        if key in there:
            rows[key] = there[key]
            session.answered(call.model)
            continue
        checked = rows[question.key, call.checks].text if call.checks else ""
        rows[key] = session.ask(call, question, checked).answer
    return rows


def _recorded(
    folder: Path, dataset: str, questions: Sequence[Question], models: Sequence[Model]
) -> Rows:
    """The rows that are in the folder, checked to be of these models and of today's prompts.

    What a model refused is asked again, and what checked it: it may have been for want of credit.
    """
    found, answers = read_chunks(chunks(folder, dataset))
    known = {question.key: question for question in questions}
    given = {model.label: model for model in models}
    for label, model in found.items():
        if given.get(label) != model:
            raise DataError(
                f"{folder}: holds answers of '{label}' ({model.where}), which is not among "
                "the models given; choose another folder with --record"
            )
    for answer in answers:
        question = known.get(answer.question)
        if question is not None and answer.version != prompt_of(answer.call, question).version:
            raise DataError(
                f"{folder}: holds answers to '{answer.call.prompt}' in version {answer.version}, "
                "which is not today's; choose another folder with --record"
            )
    refused = {answer.key for answer in answers if answer.finish == REFUSED}
    return {
        answer.key: answer
        for answer in answers
        if answer.key not in refused and (answer.question, answer.call.checks) not in refused
    }


def _check_longest(folder: Path, dataset: str, longest: int | None) -> None:
    for path in chunks(folder, dataset):
        theirs = longest_in(path)
        if theirs != longest:
            how = "without --max-tokens" if theirs is None else f"with --max-tokens {theirs}"
            raise DataError(
                f"{path}: was recorded {how}; do so again, or choose another folder with --record"
            )


def _others(folder: Path, dataset: str, first: int, rows: Sequence[Answer]) -> list[Answer]:
    """What the file about to be written holds beside these rows: of more questions, say."""
    written = {row.key for row in rows}
    paths = [path for path in chunks(folder, dataset) if f"-{first:04d}." in path.name]
    there = read_chunks(paths)[1]
    return [one for one in there if one.key not in written]


def _keys(questions: Sequence[Question], calls: Sequence[Call], there: Rows) -> list[AnswerKey]:
    """The rows to write of these questions, as far as they are there, question by question."""
    wanted = [(question.key, call.name) for question in questions for call in calls]
    return [key for key in wanted if key in there]


def _prompts(calls: Sequence[Call], questions: Sequence[Question]) -> Mapping[str, Json]:
    """By name and version, the checksum of each prompt used."""
    used = {
        prompt_of(call, question).name: prompt_of(call, question)
        for call in calls
        for question in questions
    }
    used["system"] = prompt("system")
    return {f"{name}.v{one.version}": one.sha256 for name, one in sorted(used.items())}
