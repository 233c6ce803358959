"""Files with a schema version: JSON and npz, written whole or not at all, never pickled."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batonq.base.errors import DataError

Json = Any  # what json.loads returns


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one step: a reader sees the old file or the new one.

    Raises:
        DataError: if the folder cannot be written.
    """
    _replace(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step, as `write_text` does."""
    _replace(path, content)


def write_json(path: Path, value: Json) -> None:
    """Write `value` as JSON (NaN and infinities refused) in one step."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Json:
    """Read a JSON file.

    Raises:
        DataError: if it is missing or not JSON; the message names the file and the place.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not readable as JSON ({error}); restore or delete it") from error


def save_arrays(
    path: Path,
    schema: str,
    version: int,
    header: Mapping[str, Json],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write arrays as npz, with a JSON header (schema name, version) inside."""
    text = json.dumps({"schema": schema, "version": version, **header}, allow_nan=False)
    with tempfile.SpooledTemporaryFile(max_size=1 << 26) as buffer:
        np.savez_compressed(
            buffer, allow_pickle=False, header=np.frombuffer(text.encode(), np.uint8), **arrays
        )
        buffer.seek(0)
        _replace(path, buffer.read())


def schema_of(path: Path) -> str:
    """The schema of a file that `save_arrays` wrote.

    Raises:
        DataError: if it is missing, damaged, or not one of batonq's.
    """
    return str(_stored(path)[0].get("schema"))


def load_arrays(
    path: Path, schema: str, version: int, names: Iterable[str]
) -> tuple[dict[str, Json], dict[str, np.ndarray]]:
    """Read what `save_arrays` wrote; returns (header, arrays), the arrays having all `names`.

    Raises:
        DataError: if the file is missing, damaged, of another schema or version, or lacks a name.
    """
    header, arrays = _stored(path)
    if header.get("schema") != schema:
        raise DataError(f"{path}: holds '{header.get('schema')}', wanted '{schema}'")
    if header.get("version") != version:
        raise DataError(
            f"{path}: schema version {header.get('version')}, this batonq reads {version}; "
            "use the release that wrote it"
        )
    missing = sorted(set(names) - set(arrays))
    if missing:
        raise DataError(f"{path}: lacks the array '{missing[0]}'; restore the file")
    return header, arrays


def _stored(path: Path) -> tuple[dict[str, Json], dict[str, np.ndarray]]:
    try:
        # The file is opened here because np.load leaves one it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return dict(json.loads(arrays.pop("header").tobytes())), arrays
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds on damaged files
        reason = str(error).partition(". ")[0]  # numpy's advice goes on to unsafe loading
        raise DataError(
            f"{path}: not a batonq file or damaged ({reason}); give what model.save, run.save or "
            "log.save wrote, or restore it"
        ) from error


def plain(observations: Sequence[Hashable], owner: str) -> list[Json]:
    """What agents have seen, as JSON; `hashable` reads each back.

    Args:
        observations: numbers, strings and tuples of them.
        owner: who keeps them, for the message.

    Raises:
        DataError: if one is anything else.
    """
    try:
        text: list[Json] = json.loads(json.dumps(observations, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{owner}: observations can be saved if they are numbers, strings and tuples ({error})"
        ) from error
    return text


def hashable(value: Json) -> Hashable:
    """One of the observations that `plain` wrote; lists are tuples again."""
    return tuple(hashable(one) for one in value) if isinstance(value, list) else value


def read_private(path: Path) -> str:
    """The text of a file that nobody but its owner may read.

    Raises:
        DataError: if it cannot be read, is no ASCII text, or others may read it.
    """
    try:
        text = path.read_text(encoding="ascii")
        loose = os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not ASCII text"
        raise DataError(f"{path}: cannot be read ({reason})") from error
    if loose:
        raise DataError(f"{path}: others may read it; run: chmod 600 {path}")
    return text


def make_folder(path: Path) -> Path:
    """Create `path` and check that files can be written in it.

    Raises:
        DataError: if it is a file, or cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise DataError(
            f"{path}: cannot write there ({error.strerror}); choose another folder with --out"
        ) from error
    return path


def _replace(path: Path, content: bytes) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise DataError(f"{path}: cannot write there ({error.strerror})") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot write ({error.strerror})") from error
