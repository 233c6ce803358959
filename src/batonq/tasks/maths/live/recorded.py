"""The board of recorded answers of local models: what it takes to replay them in seconds.

The files of answers hold what came out of the models. Here they are read, programs are run, and
answers are graded against the questions' own right answers. Cost counts work, whoever pays for it:
billions of parameters x tokens (in and out) / 1000, by the tokens that the runtime counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.errors import DataError
from batonq.llm.request import CUT
from batonq.tasks.maths.board import Attempt, Board, answer_classes, same_answer
from batonq.tasks.maths.extract import numbers_in
from batonq.tasks.maths.features import NAMES, private_features
from batonq.tasks.maths.live.answers import Answer, AnswerKey, Model, chunks, read_chunks
from batonq.tasks.maths.live.asking import CHECK, SOLVERS, Call
from batonq.tasks.maths.live.program.run import run_programs
from batonq.tasks.maths.live.questions import Question, load_questions
from batonq.tasks.maths.live.reading import SURE, read

UNIT: Final = "weighted kilotokens"
CHECKER: Final = "checker"  # the agent that makes the checks, with the checking model's own weights
FOLDER: Final = Path(__file__).with_name("recorded")
RECORDED_NAMES: Final = (
    *NAMES,
    "certain",  # of a program, mean log-probability of its tokens, in tenths; 0 if not told
    "doubtful",  # the least of those log-probabilities, in twos; 0 likewise
    "cut",  # 1 if the text was cut at its longest
    "ran",  # 1 if a program returned a number
    "approval",  # of a check, the chance of yes less one half, in tenths
)
_NOT_OF_OPTIONS: Final = [NAMES.index(name) for name in ("echo", "supported")]


def recorded_files(dataset: str, folder: Path | None = None) -> list[Path]:
    """The files of recorded answers to a data set.

    Args:
        dataset: its name.
        folder: where they lie; None: those that come with the package.

    Raises:
        DataError: if there are none.
    """
    found = chunks(folder or FOLDER, dataset)
    if not found:
        raise DataError(
            f"{folder or FOLDER}: holds no recorded answers to '{dataset}'; record some with "
            f"batonq run maths --dataset {dataset} --live --record"
        )
    return found


def recorded_board(dataset: str, data: Path | None = None, folder: Path | None = None) -> Board:
    """Load the recorded answers of local models to a data set.

    Only questions that every recorded call answered are kept, in the order of asking; solvers come
    first, models with fewer parameters before others, then the checks.

    Args:
        dataset: one of `questions.DATASETS`.
        data: the data folder; None: the variable BATONQ_DATA says. Not used for "generated".
        folder: of the files of answers; None: those that come with the package.

    Raises:
        DataError: if a name is unknown, there are no answers, or a file is missing or damaged.
    """
    files = recorded_files(dataset, folder)
    models, answers = read_chunks(files)
    known = {question.key: question for question in load_questions(dataset, data)}
    where = files[0].parent
    by_key = _by_key(answers, known, where)
    calls = _in_order({answer.call for answer in answers}, models, where)
    questions = [
        question
        for key, question in known.items()
        if all((key, call.name) in by_key for call in calls)
    ]
    if not questions:
        raise DataError(f"{where}: no question was answered by every call; record them anew")
    rows = [[by_key[question.key, call.name] for call in calls] for question in questions]
    return _board(dataset, models, calls, questions, rows)


def work(model: Model, answer: Answer) -> float:
    """What an answer cost, in `UNIT`; 0 of a model whose parameters nobody tells."""
    return (model.parameters or 0.0) * (answer.tokens_in + answer.tokens_out) / 1000


def _by_key(
    answers: Sequence[Answer], known: Mapping[tuple[str, int], Question], where: Path
) -> dict[AnswerKey, Answer]:
    found: dict[AnswerKey, Answer] = {}
    for answer in answers:
        if answer.question not in known:
            raise DataError(
                f"{where}: an answer to question {answer.question}, which the data set does not "
                "have; restore the file"
            )
        if found.setdefault(answer.key, answer) is not answer:
            raise DataError(
                f"{where}: a second answer of {answer.call.name} to question {answer.question}; "
                "restore the file"
            )
    return found


def _in_order(calls: set[Call], models: Mapping[str, Model], where: Path) -> list[Call]:
    """Solvers before checks, then by parameters, prompt and name."""
    names = {call.name for call in calls}
    for call in calls:
        model = models.get(call.model)
        if model is None or not model.parameters:
            raise DataError(
                f"{where}: does not tell how many parameters '{call.model}' has, which is what "
                "its answers cost; record them anew"
            )
        known = call.checks in names if call.prompt == CHECK else call.prompt in SOLVERS
        if not known:
            raise DataError(f"{where}: '{call.name}' is no call of this version; record them anew")

    def place(call: Call) -> tuple[bool, float, int, str]:
        solver = SOLVERS.index(call.prompt) if call.prompt in SOLVERS else 0
        return call.prompt == CHECK, models[call.model].parameters or 0.0, solver, call.name

    return sorted(calls, key=place)


def _board(
    dataset: str,
    models: Mapping[str, Model],
    calls: Sequence[Call],
    questions: Sequence[Question],
    rows: Sequence[Sequence[Answer]],
) -> Board:
    """Read, grade and price the answers: for each question, that of each call."""
    ran = _run([answer for row in rows for answer in row])
    flat = [answer for row in rows for answer in row]
    attempts = read(
        flat,
        {question.key: question for question in questions},
        lambda texts: [ran[text] for text in texts],
    )
    shape = (len(questions), len(calls))
    values = np.array([_number(attempt.value) for attempt in attempts]).reshape(shape)
    gold = np.array([question.gold for question in questions])
    tokens = np.array([a.tokens_in + a.tokens_out for a in flat], np.int64).reshape(shape)
    names = [call.name for call in calls]
    private = [
        _private(answer, attempt, questions[k // len(calls)], ran)
        for k, (answer, attempt) in enumerate(zip(flat, attempts, strict=True))
    ]
    return Board(
        dataset=dataset,
        parse="extracted",
        models=tuple(CHECKER if call.checks else call.model for call in calls),
        prompts=tuple(call.work for call in calls),
        questions=tuple(_shown(question) for question in questions),
        subjects=tuple(question.subject for question in questions),
        answer=answer_classes(values),
        plain=np.array([attempt.plain for attempt in attempts]).reshape(shape),
        right=same_answer(values, np.broadcast_to(gold[:, None], shape)),
        cost=np.array([work(models[a.call.model], a) for a in flat]).reshape(shape),
        tokens=tokens,
        private=np.array(private).reshape(*shape, len(RECORDED_NAMES)),
        private_names=RECORDED_NAMES,
        unit=UNIT,
        seconds=np.array([answer.seconds for answer in flat]).reshape(shape),
        needs=tuple(names.index(call.checks) if call.checks else -1 for call in calls),
    )


def _run(answers: Sequence[Answer]) -> dict[str, float | None]:
    """What each program among the answers returns; each text is run once."""
    texts = list(dict.fromkeys(one.text for one in answers if one.call.prompt == "program"))
    return dict(zip(texts, (ran.value for ran in run_programs(texts)), strict=True))


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _shown(question: Question) -> str:
    """The question with its options, for peers that read it."""
    return "\n".join((question.text, *question.options))


def _private(
    answer: Answer, attempt: Attempt, question: Question, ran: Mapping[str, float | None]
) -> Float[np.ndarray, " feature"]:
    """The features named in `RECORDED_NAMES`; a check's own text tells its approval only."""
    told = np.zeros(len(RECORDED_NAMES))
    if answer.call.prompt == CHECK:
        told[-1] = 0.0 if answer.yes is None else (answer.yes - SURE) * 10.0
        return told
    told[: len(NAMES)] = private_features(answer.text, numbers_in(question.text), attempt.value)
    if question.options:  # an option's place is no number of the question
        told[_NOT_OF_OPTIONS] = 0.0
    program = answer.call.prompt == "program"
    if program and answer.logprob is not None and answer.least is not None:
        told[len(NAMES)] = answer.logprob * 10.0
        told[len(NAMES) + 1] = answer.least / 2.0
    told[len(NAMES) + 2] = answer.finish == CUT
    told[len(NAMES) + 3] = program and ran[answer.text] is not None
    return told
