"""The board: every recorded attempt at every question, as arrays.

A call is one model under one prompt. Only calls recorded for every question are kept, so that any
order of asking can be replayed. A recorded model solves each question anew: it never reads what
another wrote before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.data import locate, read_csv, read_jsonl
from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.tasks.maths.extract import extract, numbers_in
from batonq.tasks.maths.features import NAMES, private_features
from batonq.tasks.maths.prices import Price, Prices, Prompt, call_cost, call_tokens, load_prices

CENTS = "US cents"
PARSES = ("extracted", "source")
DATASETS = ("gsm8k", "mmlu", "generated")
LETTERS = "ABCD"
_TOLERANCE = 1e-6  # relative: two answers nearer than this are the same
_LEFT_OUT = "openai_gpt-4-1106-preview"  # often answered without a letter: a fault of format


@dataclass(frozen=True)
class Board:
    """Recorded attempts: Q questions by C calls.

    Attributes:
        dataset: "gsm8k", "mmlu", "mathqa" or "generated".
        parse: "extracted" (the project's reader, which never sees the right answer) or "source"
            (what the source's own crude reading gave).
        models: short model name of each call.
        prompts: prompt name of each call.
        questions: the questions' texts.
        subjects: the subject of each question.
        answer: class of the answer within its question: equal exactly where answers agree
            (relative 1e-6), counted from 0; -1 where no answer was read (an abstention).
        plain: whether the answer is a positive integer (of a letter: always).
        right: whether the answer is the right one (relative 1e-6).
        cost: of the call, in `unit`; cents are from the price file.
        tokens: that went in and came out; of answers recorded by others, estimated.
        private: what only the asked agent knows, named in `private_names`; see `features`.
        private_names: names of the private features.
        unit: of the cost.
        seconds: what each call took, measured; None where nobody measured it.
        needs: of each call, the call whose attempt it checks; -1 for none. Empty: no checks.
    """

    dataset: str
    parse: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    questions: tuple[str, ...]
    subjects: tuple[str, ...]
    answer: Int[np.ndarray, "question call"]
    plain: Bool[np.ndarray, "question call"]
    right: Bool[np.ndarray, "question call"]
    cost: Float[np.ndarray, "question call"]
    tokens: Int[np.ndarray, "question call"]
    private: Float[np.ndarray, "question call feature"]
    private_names: tuple[str, ...]
    unit: str = CENTS
    seconds: Float[np.ndarray, "question call"] | None = None
    needs: tuple[int, ...] = ()

    def only(
        self, calls: Sequence[int] | None = None, questions: Sequence[int] | None = None
    ) -> Board:
        """Return the board of some calls and questions, in the order given (None: all).

        Raises:
            DataError: if a check is taken without the call it checks.
        """
        c = np.arange(len(self.models)) if calls is None else np.asarray(calls, dtype=np.intp)
        q = np.arange(len(self.questions)) if questions is None else np.asarray(questions, np.intp)
        grid = np.ix_(q, c)
        return replace(
            self,
            models=tuple(self.models[i] for i in c),
            prompts=tuple(self.prompts[i] for i in c),
            questions=tuple(self.questions[i] for i in q),
            subjects=tuple(self.subjects[i] for i in q),
            answer=self.answer[grid],
            plain=self.plain[grid],
            right=self.right[grid],
            cost=self.cost[grid],
            tokens=self.tokens[grid],
            private=self.private[grid],
            seconds=None if self.seconds is None else self.seconds[grid],
            needs=self._renumbered(c.tolist()),
        )

    @property
    def solvers(self) -> tuple[int, ...]:
        """The calls that solve: all but the checks."""
        calls = range(len(self.models))
        return tuple(call for call in calls if not self.needs or self.needs[call] < 0)

    def _renumbered(self, calls: list[int]) -> tuple[int, ...]:
        """What each of these calls needs, by its place among them."""
        needed = [self.needs[call] for call in calls] if self.needs else []
        missing = [call for call in needed if call >= 0 and call not in calls]
        if missing:
            name = f"{self.models[missing[0]]}/{self.prompts[missing[0]]}"
            raise DataError(f"{self.dataset}: a check of {name} is taken without that call; add it")
        return tuple(-1 if call < 0 else calls.index(call) for call in needed)

    def call(self, model: str, prompt: str) -> int:
        """Return the index of a call.

        Raises:
            DataError: if the board has no such call.
        """
        for index, pair in enumerate(zip(self.models, self.prompts, strict=True)):
            if pair == (model, prompt):
                return index
        there = ", ".join(f"{m}/{p}" for m, p in zip(self.models, self.prompts, strict=True))
        raise DataError(f"{self.dataset} has no call {model}/{prompt}; there are: {there}")


@dataclass(frozen=True)
class Attempt:
    """One recorded answer, before it is put on the board.

    Attributes:
        text: what the model wrote; "" if nothing was recorded.
        value: the answer read from it as a number (a letter by its index); None: an abstention.
        plain: whether it is a positive integer, or a letter.
    """

    text: str
    value: float | None
    plain: bool


def load_board(
    dataset: str, *, data: Path | None = None, parse: str = "extracted", seed: int = 0
) -> Board:
    """Load a data set's recorded attempts.

    Args:
        dataset: "gsm8k", "mmlu" (letters; the two readings are the same) or "generated".
        data: the data folder; None: the variable BATONQ_DATA says. Not used for "generated".
        parse: "extracted" or "source".
        seed: of the generator; used for "generated" only.

    Raises:
        DataError: if a name is unknown, or a file is missing, damaged or not complete.
    """
    if parse not in PARSES:
        raise DataError(f"no parse is called '{parse}'; there are: {', '.join(PARSES)}")
    if dataset == "gsm8k":
        return _gsm8k(data, parse)
    if dataset == "mmlu":
        return _mmlu(data, parse)
    if dataset == "generated":
        from batonq.tasks.maths.generated import generated_board  # it imports this module

        return generated_board(parse=parse, seed=seed)
    raise DataError(f"no data set is called '{dataset}'; there are: {', '.join(DATASETS)}")


def numeric_attempt(text: str, value: float | None) -> Attempt:
    """Return the attempt of a text whose answer was read as the number `value`."""
    plain = value is not None and value > 0 and abs(value - round(value)) <= _TOLERANCE * value
    return Attempt(text, value, plain)


def make_board(
    dataset: str,
    parse: str,
    calls: Sequence[tuple[Price, Prompt]],
    questions: Sequence[str],
    subjects: Sequence[str],
    gold: Float[np.ndarray, " question"],
    attempts: Sequence[Sequence[Attempt]],
    frames: Sequence[int] | None = None,
) -> Board:
    """Put attempts on a board.

    Args:
        dataset: the data set's name.
        parse: how the answers were read.
        calls: price and prompt of each call.
        questions: the questions' texts.
        subjects: the subject of each question.
        gold: the right answers, as numbers.
        attempts: for each question, the attempt of each call.
        frames: characters the prompt adds to each question beside its frame; None: none.
    """
    shape = (len(questions), len(calls))
    values = np.full(shape, np.nan)
    plain = np.zeros(shape, bool)
    cost = np.zeros(shape)
    count = np.zeros(shape, np.int64)
    private = np.zeros((*shape, len(NAMES)))
    for q, (question, row) in enumerate(zip(questions, attempts, strict=True)):
        known = numbers_in(question)
        length = len(question) + (0 if frames is None else frames[q])
        for c, ((price, prompt), attempt) in enumerate(zip(calls, row, strict=True)):
            if attempt.value is not None:
                values[q, c] = attempt.value
            plain[q, c] = attempt.plain
            tokens_in, tokens_out = call_tokens(prompt, length, len(attempt.text))
            count[q, c] = tokens_in + tokens_out
            cost[q, c] = call_cost(price, tokens_in, tokens_out)
            private[q, c] = private_features(attempt.text, known, attempt.value)
    return Board(
        dataset=dataset,
        parse=parse,
        models=tuple(price.name for price, _ in calls),
        prompts=tuple(prompt.name for _, prompt in calls),
        questions=tuple(questions),
        subjects=tuple(subjects),
        answer=answer_classes(values),
        plain=plain,
        right=same_answer(values, np.broadcast_to(gold[:, None], shape)),
        cost=cost,
        tokens=count,
        private=private,
        private_names=NAMES,
    )


def answer_classes(values: Float[np.ndarray, "question call"]) -> Int[np.ndarray, "question call"]:
    """Number the different answers of each question from 0 in order of the calls; NaN gives -1."""
    classes = np.full(values.shape, -1, np.int64)
    fresh = np.zeros(values.shape[0], np.int64)
    for call in range(values.shape[1]):
        column = values[:, call]
        for earlier in range(call):
            same = same_answer(column, values[:, earlier]) & (classes[:, call] < 0)
            classes[same, call] = classes[same, earlier]
        new = (classes[:, call] < 0) & ~np.isnan(column)
        classes[new, call] = fresh[new]
        fresh += new
    return classes


def same_answer(
    first: Float[np.ndarray, "*shape"], second: Float[np.ndarray, "*shape"]
) -> Bool[np.ndarray, "*shape"]:
    """Return where two answers are the same (relative 1e-6); NaN is the same as nothing."""
    scale = np.maximum(np.abs(first), np.abs(second))
    return np.asarray(np.abs(first - second) <= _TOLERANCE * scale)


def _gsm8k(data: Path | None, parse: str) -> Board:
    questions_path, path = locate("gsm8k", data), locate("recorded_gsm8k", data)
    columns = {"split": str, "idx": int, "question": str, "answer": str}
    test = [row for row in read_jsonl(questions_path, columns) if row["split"] == "test"]
    test.sort(key=lambda row: row["idx"])
    if not test or [row["idx"] for row in test] != list(range(len(test))):
        raise DataError(f"{questions_path}: its test questions are not 0, 1, 2, ...; restore it")
    rows = read_jsonl(path, {"idx": int, "model": str, "prompt": str})
    prices = load_prices()
    recorded = _whole_calls(rows, len(test), path)
    calls = _in_price_order(prices, recorded)
    if not calls:
        raise DataError(f"{path}: no model answered every question; restore the file")
    attempts = [
        [_read_attempt(recorded[call][q], test[q]["question"], parse) for call in calls]
        for q in range(len(test))
    ]
    return make_board(
        "gsm8k",
        parse,
        [(prices.model(model), prices.prompt(prompt)) for model, prompt in calls],
        [row["question"] for row in test],
        ["grade-school"] * len(test),
        _gold([row["answer"] for row in test], questions_path),
        attempts,
    )


def _whole_calls(
    rows: Sequence[Mapping[str, Json]], count: int, path: Path
) -> dict[tuple[str, str], list[Mapping[str, Json]]]:
    """Return the rows of each call that has one for each of `count` questions, by question."""
    by_call: dict[tuple[str, str], dict[int, Mapping[str, Json]]] = {}
    for number, row in enumerate(rows, start=1):
        call = by_call.setdefault((row["model"], row["prompt"]), {})
        if row["idx"] in call:
            raise DataError(
                f"{path}, line {number}: a second answer of {row['model']} to question "
                f"{row['idx']}; restore the file"
            )
        call[row["idx"]] = row
    return {
        name: [call[index] for index in range(count)]
        for name, call in by_call.items()
        if call.keys() == set(range(count))
    }


def _in_price_order(
    prices: Prices, recorded: Mapping[tuple[str, str], object]
) -> list[tuple[str, str]]:
    models, prompts = list(prices.models), list(prices.prompts)
    for model, prompt in recorded:
        prices.model(model)
        prices.prompt(prompt)
    return sorted(recorded, key=lambda call: (models.index(call[0]), prompts.index(call[1])))


def _read_attempt(row: Mapping[str, Json], question: str, parse: str) -> Attempt:
    text = row.get("text") or ""
    if parse == "extracted":
        return numeric_attempt(text, extract(text, question))
    value = row.get("pred")
    return numeric_attempt(text, None if value is None else float(value))


def _gold(answers: Sequence[str], path: Path) -> Float[np.ndarray, " question"]:
    try:
        return np.array([float(answer.replace(",", "")) for answer in answers])
    except ValueError as error:
        raise DataError(f"{path}: an answer is not a number ({error}); restore it") from error


def _mmlu(data: Path | None, parse: str) -> Board:
    questions_path, path = locate("mmlu_math", data), locate("recorded_mmlu_math", data)
    columns = {"subject": str, "split": str, "idx": int, "question": str, "choices": list}
    asked = read_jsonl(questions_path, {**columns, "answer": str})
    examples = _example_lengths(asked)
    by_key = {(row["subject"], row["idx"]): row for row in asked if row["split"] == "test"}
    rows = read_csv(path, ("subject", "split", "idx", "gold"))
    prices = load_prices()
    columns_of = {
        model: column
        for model in prices.models
        for column in rows[0]
        if column == f"helm5:{model}" and model != _LEFT_OUT
    }
    whole = [row for row in rows if all(row[column] for column in columns_of.values())]
    try:
        questions = [by_key[row["subject"], int(row["idx"])] for row in whole]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: a row's question {error} is not in {questions_path}") from error
    attempts = [[_letter(row[column]) for column in columns_of.values()] for row in whole]
    prompt = prices.prompt("5-shot letter")
    board = make_board(
        "mmlu",
        parse,
        [(prices.model(model), prompt) for model in columns_of],
        [_with_choices(row) for row in questions],
        [row["subject"] for row in questions],
        np.array([float(LETTERS.index(row["answer"])) for row in questions]),
        attempts,
        [examples[row["subject"]] for row in questions],
    )
    known = np.isin(NAMES, ("parsed", "asked"))  # a bare letter tells nothing else
    return replace(board, private=np.where(known, board.private, 0.0))


def _letter(cell: str) -> Attempt:
    cell = cell.strip()
    if len(cell) == 1 and cell in LETTERS:
        return Attempt(cell, float(LETTERS.index(cell)), True)
    return Attempt(cell, None, False)


def _with_choices(row: Mapping[str, Json]) -> str:
    """Return the question in HELM's layout, its choices below it."""
    choices = "".join(f"{a}. {b}\n" for a, b in zip(LETTERS, row["choices"], strict=True))
    return f"Question: {row['question']}\n{choices}Answer:"


def _example_lengths(rows: Sequence[Mapping[str, Json]]) -> dict[str, int]:
    """Return the characters that come before a question: the task's line and five examples."""
    lengths: dict[str, int] = {}
    for row in rows:
        subject = row["subject"]
        line = "The following are multiple choice questions (with answers) about "
        lengths.setdefault(subject, len(f"{line}{subject.replace('_', ' ')}.\n\n"))
        if row["split"] == "dev":
            lengths[subject] += len(f"{_with_choices(row)} {row['answer']}\n\n")
    return lengths
