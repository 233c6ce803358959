"""One session with live models: a call at a question becomes an attempt, whoever runs the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from batonq.base.errors import CallError, DataError, RequestError
from batonq.llm.calls import Calls
from batonq.llm.request import Reply
from batonq.tasks.maths.board import Attempt, same_answer
from batonq.tasks.maths.live import reading
from batonq.tasks.maths.live.answers import Answer, Model, answer_of
from batonq.tasks.maths.live.asking import Call, request
from batonq.tasks.maths.live.program.run import run_programs
from batonq.tasks.maths.live.questions import Question

REFUSED: Final = "refused"  # `Answer.finish` of a call that the model would not take
_MOST_REFUSED: Final = 3  # questions in a row that a model refuses: then it is not the questions


@dataclass(frozen=True)
class Told:
    """What came of one call at one question.

    Attributes:
        answer: what was written; nothing if the request was refused.
        cost: in the unit of the prices; of a call from the cache, what it cost when it was made.
        cached: whether it was made before.
        refused: why the model would not take the request; "" if it took it.
    """

    answer: Answer
    cost: float
    cached: bool
    refused: str = ""


class Session:
    """Models that answer questions.

    Args:
        calls: asks them, from the cache where it can.
        models: who answers there; labels differ.
        longest: tokens of the longest reply to any prompt; None: each prompt has its own.

    Attributes:
        models: as given.
        calls: as given.
        longest: as given.

    Raises:
        DataError: if two models have one label.
    """

    def __init__(self, calls: Calls, models: Sequence[Model], longest: int | None = None) -> None:
        self.calls = calls
        self.longest = longest
        self.models = tuple(models)
        self._identity = {model.label: model.identity for model in models}
        # Questions that each model has refused since it last answered.
        self._refused: dict[str, set[tuple[str, int]]] = {label: set() for label in self._identity}
        if len(self._identity) < len(models):
            labels = [model.label for model in models]
            twice = next(label for label in labels if labels.count(label) > 1)
            raise DataError(f"two models are called '{twice}'; rename a file, or leave one out")

    def ask(self, call: Call, question: Question, checked: str = "") -> Told:
        """Make one call.

        A request that the model refuses for what it says is an abstention: a row without text. A
        model that refuses one question after the other is taken to refuse whatever is asked, for
        want of credit, say.

        Args:
            call: whom to ask, and how.
            question: what is asked.
            checked: for a check, the text of the attempt.

        Raises:
            CallError: if no usable answer came, and would not for another question either.
            SpentError: if the call could cost more than is left.
        """
        asked = request(call, self._identity[call.model], question, checked, self.longest)
        try:
            kept = self.calls.ask(asked)
        except RequestError as error:
            self._count_refusal(call.model, question, error)
            nothing = Reply("", REFUSED, 0, 0, 0.0)
            return Told(answer_of(call, question, nothing), 0.0, False, str(error))
        self.answered(call.model)
        return Told(answer_of(call, question, kept.reply), kept.cost, kept.cached)

    def answered(self, label: str) -> None:
        """A model has answered, now or before: what it refused until then was not all it is asked.

        Args:
            label: the model's.
        """
        self._refused[label].clear()

    def _count_refusal(self, label: str, question: Question, error: RequestError) -> None:
        refused = self._refused[label]
        refused.add(question.key)
        if len(refused) >= _MOST_REFUSED:
            raise CallError(f"{error}; so it said at {len(refused)} questions in a row") from error


def attempt_of(told: Told, question: Question, checked: Attempt | None = None) -> Attempt:
    """Read one answer, at once; `reading.read` reads many.

    Args:
        told: what was written.
        question: which it answers.
        checked: for a check, the attempt that was checked.
    """
    if checked is not None:
        return reading.check(told.answer, checked)
    return reading.read([told.answer], {question.key: question}, values)[0]


def same(value: float | None, other: float | None) -> bool:
    """Whether two answers are the same; an abstention is the same as nothing."""
    numbers = (np.array(np.nan if one is None else one) for one in (value, other))
    return bool(same_answer(*numbers))


def values(texts: Sequence[str]) -> list[float | None]:
    """The value of each program, None where it has none."""
    return [ran.value for ran in run_programs(texts)] if texts else []
