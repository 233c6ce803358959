from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.base.files import (
    load_arrays,
    make_folder,
    read_json,
    save_arrays,
    write_json,
    write_text,
)


def test_text_and_json_come_back(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "ä\n")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "ä\n"
    write_json(tmp_path / "b.json", {"x": [1, None, 0.1]})
    assert read_json(tmp_path / "b.json") == {"x": [1, None, 0.1]}
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_replacing_keeps_no_leftovers(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_text(tmp_path / "a.txt", text)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert read_json(path) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none/a\.txt: cannot write there \(No such file"):
        write_text(tmp_path / "none" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    with pytest.raises(DataError, match="folder: cannot write"):
        write_text(tmp_path / "folder", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_unreadable_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")
    bad = tmp_path / "bad.json"
    bad.write_text('{"a": ')
    with pytest.raises(DataError, match=r"bad\.json: not readable as JSON \(.*line 1"):
        read_json(bad)
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not readable as JSON"):
        read_json(bad)
    with pytest.raises(DataError, match="not readable as JSON"):
        read_json(tmp_path)


def test_arrays_come_back_to_the_bit(tmp_path: Path) -> None:
    arrays = {
        "a": np.array([[0.1, -0.0], [np.inf, np.nan]]),
        "b": np.arange(3, dtype=np.int8),
        "c": np.array([True, False]),
        "d": np.zeros((0, 4), np.float32),
    }
    save_arrays(tmp_path / "x", "thing", 3, {"name": "n"}, arrays)
    header, loaded = load_arrays(tmp_path / "x", "thing", 3, ["a", "d"])
    assert header == {"schema": "thing", "version": 3, "name": "n"}
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


def test_pickles_are_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_arrays(tmp_path / "x", "thing", 1, {}, {"a": np.array([object()])})
    header = np.frombuffer(json.dumps({"schema": "thing", "version": 1}).encode(), np.uint8)
    np.savez(tmp_path / "y.npz", header=header, a=np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"y\.npz: not a batonq file or damaged \(Object arrays"):
        load_arrays(tmp_path / "y.npz", "thing", 1, ["a"])


def test_a_header_that_is_no_object_is_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", header=np.frombuffer(b"[1, 2]", np.uint8))
    with pytest.raises(DataError, match="not a batonq file or damaged"):
        load_arrays(tmp_path / "x.npz", "thing", 1, [])
    np.savez(tmp_path / "x.npz", a=np.ones(2))
    with pytest.raises(DataError, match="not a batonq file or damaged"):
        load_arrays(tmp_path / "x.npz", "thing", 1, [])


def test_folders(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert list(make_folder(tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: cannot write there .* --out"):
        make_folder(tmp_path / "file")
    with pytest.raises(DataError, match="cannot write there"):
        make_folder(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Permission denied"):
        make_folder(tmp_path)
    with pytest.raises(DataError, match="Permission denied"):
        write_text(tmp_path / "a", "x")
