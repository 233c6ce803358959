"""Files of answers made by hand, for the tests of what replays them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from batonq.tasks.maths.live.answers import Answer, Model, write_chunk
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.questions import Question, load_questions

SMALL, LARGE = Model("small", "gguf-01", 0.5), Model("large", "gguf-02", 2.0)
SMALL_PROGRAM, LARGE_STEP = Call("small", "program"), Call("large", "step")
CHECK = Call("large", "check", SMALL_PROGRAM.name)


def answer(question: Question, call: Call, text: str, **told: object) -> Answer:
    """An answer of 90 tokens read and 10 written in half a second, unless told otherwise."""
    plain = Answer(
        subject=question.subject,
        index=question.index,
        call=call,
        version=1,
        text=text,
        finish="stop",
        tokens_in=90,
        tokens_out=10,
        seconds=0.5,
        logprob=None,
        least=None,
        yes=None,
    )
    return replace(plain, **told)  # type: ignore[arg-type]


def program(value: object) -> str:
    """A reply with a program that returns a value."""
    return f"```python\ndef solve():\n    return {value}\n```"


def check(question: Question, chance: float) -> Answer:
    """The check of the small model's program."""
    return answer(question, CHECK, "Yes" if chance >= 0.5 else "No", tokens_out=1, yes=chance)


def generated(count: int) -> list[Question]:
    """The first of the generated questions, which need no file."""
    return load_questions("generated")[:count]


def record(
    folder: Path,
    answers: Iterable[Answer],
    dataset: str = "generated",
    models: Iterable[Model] = (SMALL, LARGE),
    first: int = 0,
    prompts: Mapping[str, str] | None = None,
) -> Path:
    """Write a file of answers; the folder."""
    write_chunk(folder, dataset, first, models, dict(prompts or {}), answers)
    return folder
