from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.maths.board import answer_classes, load_board, numeric_attempt
from batonq.tasks.maths.features import NAMES, private_features

MINI, GPT4 = "gpt-4o-mini-2024-07-18", "gpt-4-1106-preview"
QUESTIONS = ("Ann has 5 nuts and eats 2. How many?", "2 * 3?", "How cold is it at -4?")


def pack(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))


def recorded(model: str, prompt: str, texts: Sequence[str | None]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for index, text in enumerate(texts):
        row: dict[str, object] = {"idx": index, "model": model, "prompt": prompt}
        rows.append(row if text is None else row | {"text": text, "pred": 4.0})
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    asked = [
        {"split": "test", "idx": index, "question": question, "answer": answer}
        for index, (question, answer) in enumerate(zip(QUESTIONS, ("3", "6", "-4"), strict=True))
    ]
    train = {"split": "train", "idx": 0, "question": "not asked", "answer": "1"}
    pack(tmp_path / "maths" / "gsm8k.jsonl.gz", [train, *reversed(asked)])
    rows = recorded(GPT4, "8-shot CoT", ["5 - 2 = 3", "#### 7", "It is -4."])
    rows += recorded(MINI, "cot-read1", ["So \\boxed{3}", "\\boxed{6.0000001}", None])
    rows += recorded(MINI, "cot-read2", ["So \\boxed{3}", "\\boxed{6}"])  # one is not recorded
    pack(tmp_path / "maths" / "recorded_gsm8k.jsonl.gz", rows)
    return tmp_path


def test_board_of_three_questions_by_hand(folder: Path) -> None:
    board = load_board("gsm8k", data=folder)
    assert board.models == ("gpt-4o-mini", "gpt-4")  # as the price file orders them
    assert board.prompts == ("cot-read1", "8-shot")
    assert board.questions == QUESTIONS
    np.testing.assert_array_equal(board.answer, [[0, 0], [0, 1], [-1, 0]])
    np.testing.assert_array_equal(board.right, [[True, True], [True, False], [False, True]])
    np.testing.assert_array_equal(board.plain, [[True, True], [True, True], [False, False]])
    characters = 175 + len(QUESTIONS[0])
    tokens_in, tokens_out = -(-characters // 4), 3
    assert board.tokens[0, 0] == tokens_in + tokens_out
    assert board.cost[0, 0] == pytest.approx((15 * tokens_in + 60 * tokens_out) / 1e6)
    assert board.private.shape == (3, 2, len(board.private_names))


def test_source_parse_takes_the_files_own_number(folder: Path) -> None:
    board = load_board("gsm8k", data=folder, parse="source")
    np.testing.assert_array_equal(board.answer, [[0, 0], [0, 0], [-1, 0]])
    assert not board.right.any()


def test_parts_of_a_board_keep_their_order(folder: Path) -> None:
    board = load_board("gsm8k", data=folder)
    part = board.only(calls=[1, 0], questions=[2, 0])
    assert part.models == ("gpt-4", "gpt-4o-mini")
    assert part.questions == (QUESTIONS[2], QUESTIONS[0])
    np.testing.assert_array_equal(part.answer, [[0, -1], [0, 0]])
    np.testing.assert_array_equal(part.private[1, 0], board.private[0, 1])
    assert board.call("gpt-4", "8-shot") == 1
    with pytest.raises(DataError, match="no call gpt-4/x; there are: gpt-4o-mini/cot-read1, "):
        board.call("gpt-4", "x")


def test_answer_classes_count_from_zero_and_join_equal_answers() -> None:
    nan = np.nan
    values = np.array(
        [[3.0, 3.000001, 4.0, nan, 3.0], [nan, nan, 0.0, -0.0, 1e-9], [7.0, 8.0, 7.0, 9.0, 8.0]]
    )
    expected = [[0, 0, 1, -1, 0], [-1, -1, 0, 0, 1], [0, 1, 0, 2, 1]]
    np.testing.assert_array_equal(answer_classes(values), expected)


@pytest.mark.parametrize(
    ("value", "plain"), [(3.0, True), (0.0, False), (-3.0, False), (2.5, False), (None, False)]
)
def test_plain_answers_are_positive_integers(value: float | None, plain: bool) -> None:
    assert numeric_attempt("text", value).plain is plain


def test_private_features_by_hand() -> None:
    text = "5 - 2 = 3, and $3 * 2 = $6.\n#### 6"
    found = dict(zip(NAMES, private_features(text, (5.0, 2.0, 9.0), 6.0), strict=True))
    assert found == pytest.approx(
        {
            "length": 0.09,
            "results": 0.2,
            "parsed": 1.0,
            "marked": 1.0,
            "echo": 0.0,
            "supported": 1.0,
            "used": 2 / 3,
            "asked": 0.3,
        }
    )
    empty = dict(zip(NAMES, private_features("", (5.0,), None), strict=True))
    assert empty == {**dict.fromkeys(NAMES, 0.0), "asked": 0.1}


def test_unknown_names_are_told(folder: Path) -> None:
    with pytest.raises(DataError, match="no data set is called 'x'; there are: gsm8k, mmlu"):
        load_board("x", data=folder)
    with pytest.raises(DataError, match="no parse is called 'x'; there are: extracted, source"):
        load_board("gsm8k", data=folder, parse="x")


def test_incomplete_and_doubtful_files_are_told(folder: Path) -> None:
    path = folder / "maths" / "recorded_gsm8k.jsonl.gz"
    pack(path, recorded(MINI, "cot-read1", ["4"]))
    with pytest.raises(DataError, match="no model answered every question"):
        load_board("gsm8k", data=folder)
    twice = recorded(MINI, "cot-read1", ["4", "5", "6"])
    pack(path, [*twice, twice[1]])
    with pytest.raises(DataError, match=r"line 4: a second answer of gpt-4o-mini.* to question 1"):
        load_board("gsm8k", data=folder)
    pack(path, recorded("unpriced", "cot-read1", ["4", "5", "6"]))
    with pytest.raises(DataError, match="no model 'unpriced'"):
        load_board("gsm8k", data=folder)
    asked = [{"split": "test", "idx": 1, "question": "q", "answer": "1"}]
    pack(folder / "maths" / "gsm8k.jsonl.gz", asked)
    with pytest.raises(DataError, match="test questions are not 0, 1, 2"):
        load_board("gsm8k", data=folder)


def test_recorded_gsm8k_is_whole_and_read_as_frozen(data_dir: Path) -> None:
    start = time.perf_counter()
    board = load_board("gsm8k", data=data_dir)
    seconds = time.perf_counter() - start
    assert board.answer.shape == (1319, 20)
    assert seconds < 60  # some 5 s on one free core
    read = dict(zip(zip(board.models, board.prompts, strict=True), board.right.sum(0), strict=True))
    assert read["gpt-4", "8-shot"] == 1243  # 94.2 %; the file's own reading gives 88.9 %
    assert read["gpt-4o-mini", "cot-read2"] == 1243
    source = load_board("gsm8k", data=data_dir, parse="source")
    assert source.right[:, board.call("gpt-4", "8-shot")].sum() == 1172
    # a class is right or wrong as a whole
    for q in range(1319):
        for answer in range(board.answer[q].max() + 1):
            assert len(set(board.right[q][board.answer[q] == answer])) == 1
    assert not board.right[board.answer < 0].any()
    assert not board.plain[board.answer < 0].any()


def test_recorded_mmlu_has_letters_of_eight_models(data_dir: Path) -> None:
    board = load_board("mmlu", data=data_dir)
    assert board.answer.shape == (848, 8)
    counts = {subject: board.subjects.count(subject) for subject in set(board.subjects)}
    assert counts == {
        "elementary_mathematics": 378,
        "high_school_mathematics": 270,
        "college_mathematics": 100,
        "abstract_algebra": 100,
    }
    assert "gpt-4-1106" not in " ".join(board.models)
    elementary = np.array(board.subjects) == "elementary_mathematics"
    best = board.right[elementary].sum(0)
    assert board.models[int(best.argmax())] == "gemini-1.5-pro"
    assert best.max() == 334  # 88.4 %
    assert board.right[elementary].any(1).sum() == 373  # 98.7 %
    assert (board.answer < 0).sum() == 1  # one answer is not a letter
    hidden = [board.private_names.index(n) for n in NAMES if n not in ("parsed", "asked")]
    assert not board.private[..., hidden].any()
