from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from batonq.base import data
from batonq.base.errors import DataError


def pack(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content))
    return path


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(data.VARIABLE, raising=False)


def test_registry_names_files_once_with_whole_checksums() -> None:
    paths = [file.path for file in data.FILES.values()]
    assert len(set(paths)) == len(paths) == 14
    for file in data.FILES.values():
        assert len(file.sha256) == len(file.content_sha256) == 64
        assert file.sources and file.licence and file.holds
        assert all("@" in source and "/" in source for source in file.sources)


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(DataError, match=r"'gsm9k'; there are: gsm8k, .*Tinet"):
        data.locate("gsm9k")


def test_nothing_given_says_how_to_give_it() -> None:
    with pytest.raises(DataError) as fetchable:
        data.locate("gsm8k")
    for way in ("--data DIR", "BATONQ_DATA", "batonq data fetch gsm8k"):
        assert way in str(fetchable.value)
    with pytest.raises(DataError) as kept:
        data.locate("recorded_gsm8k")
    assert "--data DIR" in str(kept.value)
    assert "fetch" not in str(kept.value)
    assert "\n" not in str(kept.value)


@pytest.mark.parametrize("given", [".", "maths", "maths/gsm8k.jsonl.gz"])
def test_folder_subfolder_and_file_are_all_accepted(tmp_path: Path, given: str) -> None:
    path = pack(tmp_path / "maths" / "gsm8k.jsonl.gz", b"{}\n")
    assert data.locate("gsm8k", tmp_path / given).samefile(path)


def test_option_comes_before_variable_and_is_not_replaced_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "full" / "maths" / "gsm8k.jsonl.gz", b"{}\n")
    monkeypatch.setenv(data.VARIABLE, str(tmp_path / "full"))
    assert data.locate("gsm8k") == path
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty \(from --data\) holds no maths/gsm8k"):
        data.locate("gsm8k", tmp_path / "empty")
    monkeypatch.setenv(data.VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(DataError, match="from BATONQ_DATA"):
        data.locate("gsm8k")


def test_listing_tells_missing_published_other_and_damaged(tmp_path: Path) -> None:
    pack(tmp_path / "maths" / "gsm8k.jsonl.gz", b'{"other": 1}\n')
    (tmp_path / "maths" / "mathqa.jsonl.gz").write_bytes(b"not packed")
    states = {line.file.name: line.state for line in data.listing(tmp_path)}
    assert states["gsm8k"] == "other content"
    assert states["mathqa"] == "damaged"
    assert states["Abilene"] == "missing"
    assert {line.state for line in data.listing()} == {"missing"}


def test_listing_of_the_real_folder_is_as_published(data_dir: Path) -> None:
    listed = data.listing(data_dir)
    assert {line.state for line in listed} == {"as published"}
    for line in listed:
        assert line.found is not None
        assert hashlib.sha256(line.found.read_bytes()).hexdigest() == line.file.sha256
        if line.found.name.endswith(".jsonl.gz"):
            assert len(data.read_jsonl(line.found, {})) == line.file.rows
        if line.found.name.endswith(".csv.gz"):
            assert len(data.read_csv(line.found, ())) == line.file.rows


def test_jsonl_rows_come_back_as_written(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.jsonl.gz", '{"q": "Zoë", "n": 3}\n{"q": "", "n": -1}\n'.encode())
    rows = data.read_jsonl(path, {"q": str, "n": int})
    assert rows == [{"q": "Zoë", "n": 3}, {"q": "", "n": -1}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"n": 1}\n{"n": \n', r"line 2: is not JSON"),
        (b'{"n": 1}\n[1]\n', r"line 2: is not a JSON object"),
        (b'{"n": 1}\n{"m": 1}\n', r"line 2: has no 'n'"),
        (b'{"n": 1}\n{"n": "1"}\n', r"line 2: has a str as 'n', not a int"),
        (b'{"n": 1}\n{"n": 1, "q": "\xff"}\n', r"line 2: is not UTF-8"),
        (b"", r"has no rows"),
    ],
)
def test_bad_jsonl_is_one_line_naming_file_and_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = pack(tmp_path / "bad.jsonl.gz", content)
    with pytest.raises(DataError, match=message) as caught:
        data.read_jsonl(path, {"n": int})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [4, 15, -8, -1])
def test_cut_short_files_are_refused(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(b'{"n": 1}\n' * 100)
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz: damaged or cut short .*; restore"):
        data.read_jsonl(path, {})
    with pytest.raises(DataError, match="damaged or cut short"):
        data.content_sha256(path)


def test_changed_bytes_are_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b'{"n": 1}\n' * 100))
    packed[-6] ^= 0xFF  # inside the stored CRC
    path = tmp_path / "changed.jsonl.gz"
    path.write_bytes(packed)
    with pytest.raises(DataError, match="damaged or cut short"):
        data.read_jsonl(path, {})


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl\.gz: no such file"):
        data.read_jsonl(tmp_path / "none.jsonl.gz", {})


def test_csv_is_read_and_checked(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.csv.gz", b'a,b\n1,"x, y"\n')
    assert data.read_csv(path, ("a", "b")) == [{"a": "1", "b": "x, y"}]
    with pytest.raises(DataError, match=r"line 1: has no column 'c'"):
        data.read_csv(path, ("a", "c"))
    with pytest.raises(DataError, match=r"line 3: has 1 cells, the header 2"):
        data.read_csv(pack(tmp_path / "b.csv.gz", b"a,b\n1,2\n3\n"), ("a",))
    with pytest.raises(DataError, match="has no rows"):
        data.read_csv(pack(tmp_path / "c.csv.gz", b"a,b\n"), ("a",))
