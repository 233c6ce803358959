"""The questions that live models are asked, in a fixed random order: any first N are a sample.

The right answer stands beside the question for grading only; no request is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batonq.base.data import locate, read_jsonl
from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.tasks.maths.board import LETTERS
from batonq.tasks.maths.problems import write_problem

DATASETS: Final = ("generated", "gsm8k", "mathqa", "mmlu")
SUBJECTS: Final = ("elementary_mathematics", "high_school_mathematics")  # of MMLU, by turns
_ORDER: Final = 7  # spawn key of the order of questions
_GENERATED: Final = 1_000  # problems there are; more could be written
_LETTERS: Final = LETTERS + "E"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        dataset: where it is from.
        index: its number there, within its subject; names it in records.
        subject: what it is about.
        text: what is asked, without the options.
        options: what can be chosen; none where a number is asked for.
        gold: the right answer: a number, or the place of the right option from 0.
    """

    dataset: str
    index: int
    subject: str
    text: str
    options: tuple[str, ...]
    gold: float

    @property
    def letters(self) -> str:
        """The letters of the options."""
        return _LETTERS[: len(self.options)]

    @property
    def key(self) -> tuple[str, int]:
        """Names it within its data set."""
        return (self.subject, self.index)


def load_questions(dataset: str, data: Path | None = None, split: str = "test") -> list[Question]:
    """All questions of a data set, in the order in which they are asked.

    The order is drawn once for all, with seed 0; MMLU's subjects take turns.

    Args:
        dataset: one of `DATASETS`.
        data: the data folder; None: the variable BATONQ_DATA says. Not used for "generated".
        split: "test", or another one of the data set's own.

    Raises:
        DataError: if the name is unknown, or a file is missing or damaged.
    """
    if dataset == "generated":
        return [_generated(index) for index in range(_GENERATED)]
    if dataset == "gsm8k":
        rows = _rows("gsm8k", data, split, {"answer": str})
        return _shuffled([_numeric(row) for row in rows])
    if dataset == "mathqa":
        rows = _rows("mathqa", data, split, {"choices": list, "answer": str, "category": str})
        return _shuffled([_with_options(row, str(row["category"])) for row in rows])
    if dataset == "mmlu":
        columns = {"choices": list, "answer": str, "subject": str}
        rows = _rows("mmlu_math", data, split, columns)
        by_subject = [
            _shuffled([_with_options(row, name) for row in rows if row["subject"] == name])
            for name in SUBJECTS
        ]
        return _in_turns(by_subject)
    raise DataError(f"no data set is called '{dataset}'; there are: {', '.join(DATASETS)}")


def _rows(
    name: str, data: Path | None, split: str, columns: Mapping[str, type]
) -> list[dict[str, Json]]:
    path = locate(name, data)
    wanted = {"split": str, "idx": int, "question": str, **columns}
    rows = [row for row in read_jsonl(path, wanted) if row["split"] == split]
    if not rows:
        raise DataError(f"{path}: has no questions of the split '{split}'")
    return rows


def _generated(index: int) -> Question:
    problem = write_problem(generator(0, 0, index))
    subject = f"{problem.length} steps"
    return Question("generated", index, subject, problem.text, (), float(problem.answer))


def _numeric(row: dict[str, Json]) -> Question:
    gold = float(row["answer"].replace(",", ""))
    return Question("gsm8k", row["idx"], "grade-school", row["question"], (), gold)


def _with_options(row: dict[str, Json], subject: str) -> Question:
    options = tuple(str(one) for one in row["choices"])
    gold = float(_LETTERS.index(row["answer"]))
    return Question(row["dataset"], row["idx"], subject, row["question"], options, gold)


def _shuffled(questions: Sequence[Question]) -> list[Question]:
    order = generator(0, _ORDER).permutation(len(questions))
    return [questions[k] for k in order]


def _in_turns(groups: Sequence[Sequence[Question]]) -> list[Question]:
    longest = max(len(group) for group in groups)
    return [group[k] for k in range(longest) for group in groups if k < len(group)]
