"""Answers of real models as they are kept: one row a call, in files of fifty questions.

A row holds what came out of the model and what the call took, never what is right. Each file
starts with a line that names the models by their checksums and the prompts by their versions.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any, Final

from batonq.base.errors import DataError
from batonq.base.files import Json, make_folder, write_bytes
from batonq.llm.request import Reply
from batonq.tasks.maths.live.asking import CHECK, Call, prompt_of
from batonq.tasks.maths.live.questions import Question

SCHEMA: Final = "batonq-answers"
VERSION: Final = 1
CHUNK: Final = 50  # questions in one file
_FILE: Final = re.compile(r"([a-z0-9]+)-(\d{4})\.jsonl\.gz")
_BEFORE_WORDS: Final = re.compile(r"^\W+")
_SHORT: Final = 1e4  # probabilities and log-probabilities are kept to this many parts

AnswerKey = tuple[tuple[str, int], str]  # of its question, and the name of its call


@dataclass(frozen=True)
class Answer:
    """What one call wrote.

    Attributes:
        subject: of the question.
        index: of the question, within its subject.
        call: who was asked, and how.
        version: of the prompt.
        text: what was written.
        finish: "stop", or "length" where it was cut.
        tokens_in: tokens read.
        tokens_out: tokens written.
        seconds: what the call took, measured.
        logprob: mean log-probability of the tokens written; None where it is not told.
        least: the smallest of them; None likewise.
        yes: of a check, the chance of yes against no in the first token; None else.
    """

    subject: str
    index: int
    call: Call
    version: int
    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    seconds: float
    logprob: float | None
    least: float | None
    yes: float | None

    @property
    def question(self) -> tuple[str, int]:
        """`Question.key` of the question it answers."""
        return (self.subject, self.index)

    @property
    def key(self) -> AnswerKey:
        """Names it within its data set."""
        return (self.question, self.call.name)


@dataclass(frozen=True)
class Model:
    """A model that answered.

    Attributes:
        label: its short name.
        identity: `gguf-` and a checksum, or what the endpoint calls it.
        parameters: in billions; None where nobody tells.
        url: where it is asked; "" where it runs here.
    """

    label: str
    identity: str
    parameters: float | None
    url: str = ""

    @property
    def where(self) -> str:
        """Its identity, and where it is asked if it is served."""
        return f"{self.identity} at {self.url}" if self.url else self.identity


def answer_of(call: Call, question: Question, reply: Reply) -> Answer:
    """What is kept of a reply."""
    told = reply.logprobs
    return Answer(
        subject=question.subject,
        index=question.index,
        call=call,
        version=prompt_of(call, question).version,
        text=reply.text,
        finish=reply.finish,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        seconds=round(reply.seconds, 3),
        logprob=_short(sum(told) / len(told)) if told else None,
        least=_short(min(told)) if told else None,
        yes=_chance_of_yes(reply) if call.prompt == CHECK else None,
    )


def write_chunk(
    folder: Path,
    dataset: str,
    first: int,
    models: Iterable[Model],
    prompts: Mapping[str, Json],
    answers: Iterable[Answer],
    longest: int | None = None,
) -> Path:
    """Write the answers to `CHUNK` questions as one packed file, whole or not at all.

    Args:
        folder: where; made if need be.
        dataset: whose questions.
        first: place of the first question in the order in which they are asked.
        models: who answered.
        prompts: by name and version, the checksum of each prompt used.
        answers: the rows.
        longest: tokens of the longest reply to any prompt; None: each prompt had its own.
    """
    header: dict[str, Json] = {
        "schema": SCHEMA,
        "version": VERSION,
        "dataset": dataset,
        "first": first,
        "models": {one.label: _told(one) for one in models},
        "prompts": dict(prompts),
        **({} if longest is None else {"max_tokens": longest}),
    }
    lines = [header, *(_row(answer) for answer in answers)]
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    make_folder(folder)
    path = folder / f"{dataset}-{first:04d}.jsonl.gz"
    write_bytes(path, gzip.compress(text.encode(), mtime=0))
    return path


def chunks(folder: Path, dataset: str) -> list[Path]:
    """The files of a data set in a folder, in order."""
    if not folder.is_dir():
        return []
    named = [(path, _FILE.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    return [path for path, match in named if match is not None and match[1] == dataset]


def read_chunks(paths: Sequence[Path]) -> tuple[dict[str, Model], list[Answer]]:
    """Read files of answers: the models that answered by label, and all rows.

    Raises:
        DataError: if one is missing, damaged, of another schema, or two disagree on a model.
    """
    models: dict[str, Model] = {}
    answers: list[Answer] = []
    for path in paths:
        header, rows = _read(path)
        try:
            for label, told in header["models"].items():
                model = Model(label, told["identity"], told["parameters"], told.get("url", ""))
                if models.setdefault(label, model) != model:
                    raise DataError(f"{path}: another model is called '{label}' than elsewhere")
            answers += [_answer(row) for row in rows]
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: a row is not complete ({error}); restore the file") from error
    return models, answers


def longest_in(path: Path) -> int | None:
    """Tokens of the longest reply that the answers of a file could have; None: each prompt's own.

    Raises:
        DataError: as `read_chunks`.
    """
    longest: int | None = _read(path)[0].get("max_tokens")
    return longest


def _told(model: Model) -> Json:
    served = {"url": model.url} if model.url else {}
    return {"identity": model.identity, "parameters": model.parameters, **served}


def _row(answer: Answer) -> Json:
    told = {**vars(answer), "model": answer.call.model, "prompt": answer.call.prompt}
    told["checks"] = answer.call.checks or None
    del told["call"]
    return {name: value for name, value in told.items() if value is not None}


def _answer(row: dict[str, Json]) -> Answer:
    call = Call(row.pop("model"), row.pop("prompt"), row.pop("checks", ""))
    empty: dict[str, Any] = {"logprob": None, "least": None, "yes": None}
    return Answer(call=call, **{**empty, **row})


def _read(path: Path) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            header, *rows = [json.loads(line) for line in stream]
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: damaged or cut short ({error}); restore the file") from error
    if not isinstance(header, dict) or (header.get("schema"), header.get("version")) != (
        SCHEMA,
        VERSION,
    ):
        raise DataError(f"{path}: is not a file of answers that this version reads")
    return header, rows


def _short(value: float) -> float:
    return round(value * _SHORT) / _SHORT


def _chance_of_yes(reply: Reply) -> float | None:
    """Of the first token: yes against no; where no probability is told, 1 or 0 by the text."""
    chance = {"yes": 0.0, "no": 0.0}
    for token, logprob in reply.first:
        word = token.strip().lower()
        if word in chance:
            chance[word] += exp(min(logprob, 0.0))  # a server may tell anything
    total = sum(chance.values())
    if total > 0:
        return _short(chance["yes"] / total)
    words = _BEFORE_WORDS.sub("", reply.text.lower())
    return 1.0 if words.startswith("yes") else 0.0 if words.startswith("no") else None
