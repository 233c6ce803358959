"""Answers of real models: kept as they came, read back equal, refused when damaged."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.llm.request import Reply
from batonq.tasks.maths.live.answers import (
    Answer,
    Model,
    answer_of,
    chunks,
    read_chunks,
    write_chunk,
)
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.questions import Question

SMALL = Model("small", "gguf-0123", 0.5)
QUESTION = Question("gsm8k", 7, "grade-school", "What is 2 + 3?", (), 5.0)

texts = st.text(st.characters(codec="utf-8"), max_size=40)
chances = st.none() | st.floats(0, 1)
rows = st.builds(
    Answer,
    subject=texts,
    index=st.integers(0, 10_000),
    call=st.builds(Call, texts, st.sampled_from(["direct", "step", "program", "check"]), texts),
    version=st.integers(1, 9),
    text=texts,
    finish=st.sampled_from(["stop", "length"]),
    tokens_in=st.integers(0, 4096),
    tokens_out=st.integers(0, 4096),
    seconds=st.floats(0, 1e4),
    logprob=st.none() | st.floats(-1e4, 0),
    least=st.none() | st.floats(-1e4, 0),
    yes=chances,
)


@given(answers=st.lists(rows, max_size=5))
def test_what_is_written_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, answers: list[Answer]
) -> None:
    folder = tmp_path_factory.mktemp("answers")
    path = write_chunk(folder, "gsm8k", 50, [SMALL], {"step.v1": "ab"}, answers)
    assert chunks(folder, "gsm8k") == [path]
    assert chunks(folder, "mmlu") == []
    models, found = read_chunks([path])
    assert models == {"small": SMALL}
    assert found == answers


def test_the_same_answers_make_the_same_bytes(tmp_path: Path) -> None:
    answer = answer_of(Call("small", "step"), QUESTION, Reply("#### 5", "stop", 9, 4, 0.25))
    first = write_chunk(tmp_path / "a", "gsm8k", 0, [SMALL], {}, [answer])
    again = write_chunk(tmp_path / "b", "gsm8k", 0, [SMALL], {}, [answer])
    assert first.read_bytes() == again.read_bytes()


def test_what_is_kept_of_a_reply() -> None:
    reply = Reply("#### 5", "stop", 9, 4, 0.25004, (-0.1, -0.5), ())
    kept = answer_of(Call("small", "step"), QUESTION, reply)
    assert (kept.logprob, kept.least, kept.yes) == (-0.3, -0.5, None)
    assert (kept.seconds, kept.version, kept.question) == (0.25, 1, ("grade-school", 7))
    silent = answer_of(Call("small", "step"), QUESTION, Reply("#### 5", "stop", 9, 4, 0.25))
    assert (silent.logprob, silent.least) == (None, None)


@pytest.mark.parametrize(
    ("text", "first", "yes"),
    [
        ("Yes", (("Yes", math.log(0.6)), (" no", math.log(0.2)), ("So", math.log(0.2))), 0.75),
        ("Yes", (("yes", math.log(0.3)), ("Yes", math.log(0.3)), ("No", math.log(0.2))), 0.75),
        ("yes, it is", (), 1.0),
        (" No.", (), 0.0),
        ("**Yes**", (), 1.0),
        ("Well", (("Well", -0.1),), None),
    ],
)
def test_the_chance_of_yes(text: str, first: tuple[tuple[str, float], ...], yes: float) -> None:
    reply = Reply(text, "length", 9, 1, 0.1, (), first)
    assert answer_of(Call("m", "check", "m/program"), QUESTION, reply).yes == yes


def _packed(path: Path, *lines: object) -> Path:
    path.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in lines).encode()))
    return path


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    whole = write_chunk(tmp_path, "gsm8k", 0, [SMALL], {}, [])
    cut = tmp_path / "gsm8k-0050.jsonl.gz"
    cut.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"gsm8k-0050.*cut short"):
        read_chunks([whole, cut])
    with pytest.raises(DataError, match="not a file of answers"):
        read_chunks([_packed(tmp_path / "gsm8k-0100.jsonl.gz", {"schema": "other"})])
    header = {"schema": "batonq-answers", "version": 1, "models": {}}
    with pytest.raises(DataError, match="not complete"):
        read_chunks([_packed(tmp_path / "gsm8k-0150.jsonl.gz", header, {"model": "m"})])
    with pytest.raises(DataError, match="damaged"):
        read_chunks([_packed(tmp_path / "gsm8k-0200.jsonl.gz")])


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    first = write_chunk(tmp_path, "gsm8k", 0, [SMALL], {}, [])
    other = write_chunk(tmp_path, "gsm8k", 50, [Model("small", "gguf-9999", 0.5)], {}, [])
    with pytest.raises(DataError, match="another model is called 'small'"):
        read_chunks([first, other])
