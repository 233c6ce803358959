"""Fetching is tested against a real HTTP server with small files in the sources' own formats."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from batonq.base.data import FILES, locate, read_jsonl
from batonq.base.errors import DataError
from batonq.base.fetch import MANIFEST, fetch

GSM8K = {
    "question": "Zoë has 3 bags of 400 nuts. How many nuts?",
    "answer": "3*400=1200\n#### 1,200",
}
MATHQA = {
    "Problem": "what is 1 , 000 divided by 8 ?",
    "Rationale": '"1000 / 8 = 125 answer b"',
    "options": "a ) 1 , 2 or 5 , b ) 125 , c ) rs . 13 , d ) 7 / 2 , e ) none of these",
    "correct": "b",
    "annotated_formula": "divide(1000, 8)",
    "linear_formula": "divide(n0,n1)|",
    "category": "general",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "server"


@pytest.fixture
def host(root: Path) -> Iterator[str]:
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def put(root: Path, name: str, path: str, content: str) -> None:
    place = root / FILES[name].sources[0].replace("@", "/") / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content, encoding="utf-8")


def put_gsm8k(root: Path, answer: str = GSM8K["answer"]) -> None:
    line = json.dumps(GSM8K | {"answer": answer}) + "\n"
    put(root, "gsm8k", "grade_school_math/data/test.jsonl", line)
    put(root, "gsm8k", "grade_school_math/data/train.jsonl", line + line)


def test_gsm8k_is_converted_and_found_again(root: Path, host: str, tmp_path: Path) -> None:
    put_gsm8k(root)
    fetched = fetch("gsm8k", tmp_path / "data", host=host)
    assert fetched.rows == 3
    assert not fetched.verified  # three rows are not the project's 8,792
    assert locate("gsm8k", tmp_path / "data") == fetched.path
    rows = read_jsonl(fetched.path, {"question": str, "answer": str, "idx": int, "split": str})
    assert [(row["split"], row["idx"]) for row in rows] == [("test", 0), ("train", 0), ("train", 1)]
    assert rows[0]["question"] == GSM8K["question"]
    assert rows[0]["answer"] == "1200"


def test_mmlu_is_converted(root: Path, host: str, tmp_path: Path) -> None:
    for subject in (
        "elementary_mathematics",
        "high_school_mathematics",
        "college_mathematics",
        "abstract_algebra",
    ):
        for split in ("test", "val", "dev"):
            line = f'"In {subject}, 1 + 1?",1,2,"3, or so",4,B\n'
            put(root, "mmlu_math", f"data/{split}/{subject}_{split}.csv", line)
    rows = read_jsonl(fetch("mmlu_math", tmp_path / "data", host=host).path, {"choices": list})
    assert len(rows) == 12
    assert rows[0] == {
        "dataset": "mmlu",
        "subject": "elementary_mathematics",
        "split": "test",
        "idx": 0,
        "question": "In elementary_mathematics, 1 + 1?",
        "choices": ["1", "2", "3, or so", "4"],
        "answer": "B",
    }


def test_mathqa_choices_are_split_at_their_letters(root: Path, host: str, tmp_path: Path) -> None:
    listed = "['a ) 1', 'b ) 2', 'c ) 3', 'd ) 4', 'e ) 5']"
    for split in ("test", "dev", "challenge_test"):
        rows = [MATHQA, MATHQA | {"options": listed}]
        put(root, "mathqa", f"data/MathQA/{split}.json", json.dumps(rows))
    rows = read_jsonl(fetch("mathqa", tmp_path / "data", host=host).path, {"choices": list})
    assert rows[0]["choices"] == ["1 , 2 or 5", "125", "rs . 13", "7 / 2", "none of these"]
    assert rows[0]["answer"] == "B"
    assert rows[1]["choices"] == ["1", "2", "3", "4", "5"]
    assert [row["split"] for row in rows[::2]] == ["test", "dev", "challenge_test"]


def test_graph_with_the_stated_bytes_is_taken(
    root: Path, host: str, tmp_path: Path, data_dir: Path
) -> None:
    content = locate("Abilene", data_dir).read_text(encoding="utf-8")
    put(root, "Abilene", "graphml/Abilene.graphml", content)
    fetched = fetch("Abilene", tmp_path / "data", host=host)
    assert fetched.verified
    assert fetched.rows is None
    assert fetched.path.read_text(encoding="utf-8") == content


def test_graph_with_other_bytes_is_refused(root: Path, host: str, tmp_path: Path) -> None:
    put(root, "Abilene", "graphml/Abilene.graphml", "<graphml/>")
    with pytest.raises(DataError, match=r"Abilene: fetched SHA-256 .*, stated 8cd694280d98"):
        fetch("Abilene", tmp_path / "data", host=host)
    assert not list((tmp_path / "data").rglob("*.graphml"))


def test_a_changed_source_is_refused_and_the_earlier_file_kept(
    root: Path, host: str, tmp_path: Path
) -> None:
    put_gsm8k(root)
    path = fetch("gsm8k", tmp_path / "data", host=host).path
    before = path.read_bytes()
    fetch("gsm8k", tmp_path / "data", host=host)  # the same again is no trouble
    assert path.read_bytes() == before
    put_gsm8k(root, "#### 7")
    with pytest.raises(DataError, match=r"test\.jsonl has SHA-256 .* delete .*FETCHED\.json"):
        fetch("gsm8k", tmp_path / "data", host=host)
    assert path.read_bytes() == before
    (tmp_path / "data" / MANIFEST).unlink()
    fetch("gsm8k", tmp_path / "data", host=host)
    assert path.read_bytes() != before


@pytest.mark.parametrize("line", ["{", '{"question": "q"}', '{"question": "q", "answer": "7"}'])
def test_another_format_is_refused(root: Path, host: str, tmp_path: Path, line: str) -> None:
    put(root, "gsm8k", "grade_school_math/data/test.jsonl", line)
    put(root, "gsm8k", "grade_school_math/data/train.jsonl", line)
    with pytest.raises(DataError, match=r"test\.jsonl is not in the expected format"):
        fetch("gsm8k", tmp_path / "data", host=host)
    assert not (tmp_path / "data" / "maths").exists()


def test_server_errors_and_no_server_are_told(host: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the server answered 404"):
        fetch("gsm8k", tmp_path / "data", host=host)
    with pytest.raises(DataError, match=r"cannot be fetched .*--data DIR"):
        fetch("gsm8k", tmp_path / "data", host="http://127.0.0.1:9")


def test_recorded_answers_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"recorded_gsm8k: no public source .*--data DIR"):
        fetch("recorded_gsm8k", tmp_path)
