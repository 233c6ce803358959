"""The run folder: config.json, written first, and one JSON-lines file per finished cell.

A cell's file has two lines: a header with the cell's key, its seconds and the SHA-256 of the
second line, which is the cell's output. So a file cut short or changed is noticed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from batonq._version import __version__
from batonq.base.errors import DataError
from batonq.base.files import Json, make_folder, read_json, write_json, write_text
from batonq.study.experiment import Config, Experiment
from batonq.study.rows import SCHEMA

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """What the results of a folder belong to: number of workers and paths are no part of it."""

    experiment: str
    config: Config
    cells: tuple[str, ...]

    @classmethod
    def of(cls, experiment: Experiment) -> Identity:
        """Return the identity of `experiment`, in plain JSON types."""
        config = json.loads(canonical(experiment.config))
        return cls(experiment.name, config, tuple(cell.key for cell in experiment.cells))

    def digest(self) -> str:
        """Return eight hexadecimal digits that differ between configurations."""
        text = canonical([SCHEMA, self.experiment, self.config, self.cells])
        return sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Finished:
    """A finished cell: its key, its output as JSON text, and how many seconds it took."""

    key: str
    output: str
    seconds: float


def canonical(value: Json) -> str:
    """Return `value` as JSON text that is the same on every machine.

    Raises:
        ValueError: for NaN and infinities.
        TypeError: for what JSON cannot hold.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def open_run(folder: Path, identity: Identity) -> None:
    """Make `folder` the run folder of `identity`; a folder of the same identity is kept as it is.

    Raises:
        DataError: if the folder cannot be written, or holds anything else; it is left untouched.
    """
    if (folder / "config.json").exists():
        _refuse_other(folder, identity)
        make_folder(folder / "cells")
        return
    if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise DataError(
            f"{folder}: holds files but no config.json, so it is no run; "
            "choose another folder with --out"
        )
    make_folder(folder)
    write_json(
        folder / "config.json",
        {
            "schema": SCHEMA,
            "batonq": __version__,
            "experiment": identity.experiment,
            "config": identity.config,
            "cells": identity.cells,
        },
    )
    make_folder(folder / "cells")


def read_identity(folder: Path) -> Identity:
    """Read whose results `folder` holds.

    Raises:
        DataError: if config.json is missing, damaged, or of another schema.
    """
    path = folder / "config.json"
    if not path.exists():
        raise DataError(f"{folder}: no run there (config.json is missing); give the folder of one")
    stored = read_json(path)
    try:
        schema = stored["schema"]
        identity = Identity(stored["experiment"], dict(stored["config"]), tuple(stored["cells"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: damaged, not the file of a run ({type(error).__name__}: {error}); "
            "restore it, or choose another folder with --out"
        ) from error
    if schema != SCHEMA:
        raise DataError(
            f"{path}: schema {schema} there, {SCHEMA} in this batonq; "
            "use the release that wrote it, or choose another folder with --out"
        )
    return identity


def save_cell(folder: Path, cell: Finished) -> None:
    """Store a finished cell in one step."""
    header = {"schema": SCHEMA, "cell": cell.key, "seconds": cell.seconds}
    header["sha256"] = sha256(cell.output.encode()).hexdigest()
    write_text(cell_path(folder, cell.key), f"{canonical(header)}\n{cell.output}\n")


def load_cell(folder: Path, key: str) -> Finished | None:
    """Read a finished cell; None if it has not been stored.

    Raises:
        DataError: if its file is damaged.
    """
    path = cell_path(folder, key)
    try:
        return _parse_cell(key, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error}); run the same command again to redo this cell"
        ) from error


def _parse_cell(key: str, text: str) -> Finished:
    lines = text.splitlines()
    if len(lines) != 2:
        raise ValueError(f"{len(lines)} lines, not 2")
    header = json.loads(lines[0])
    if (header["schema"], header["cell"]) != (SCHEMA, key):
        raise ValueError(f"it is of cell {header['cell']}, schema {header['schema']}")
    if header["sha256"] != sha256(lines[1].encode()).hexdigest():
        raise ValueError("its checksum does not fit")
    return Finished(key, lines[1], float(header["seconds"]))


def load_finished(folder: Path, keys: Sequence[str]) -> dict[str, Finished]:
    """Read all stored cells; a damaged file is set aside as .bad with a note, its cell left out."""
    finished = {}
    for key in keys:
        try:
            cell = load_cell(folder, key)
        except DataError as error:
            path = cell_path(folder, key)
            path.replace(path.with_name(path.name + ".bad"))
            logger.warning("%s; doing it again, the old file is kept as %s.bad", error, path.name)
            continue
        if cell is not None:
            finished[key] = cell
    return finished


def cell_path(folder: Path, key: str) -> Path:
    """Return the file of cell `key`."""
    return folder / "cells" / f"{key}.jsonl"


def first_difference(there: Json, asked: Json, name: str = "") -> tuple[str, Json, Json] | None:
    """Return (key, value there, value asked) of the first place where two JSON values differ.

    What is missing on one side counts as different from all, and is given as None.
    """
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in sorted({*there, *asked}):
            path = f"{name}.{key}" if name else key
            if (key in there) != (key in asked):
                return path, there.get(key), asked.get(key)
            found = first_difference(there[key], asked[key], path)
            if found:
                return found
        return None
    return None if canonical(there) == canonical(asked) else (name, there, asked)


def _refuse_other(folder: Path, identity: Identity) -> None:
    stored = read_identity(folder)
    found = (
        first_difference(stored.experiment, identity.experiment, "experiment")
        or first_difference(stored.config, identity.config)
        or first_difference(stored.cells, identity.cells, "cells")
    )
    if found:
        name, there, asked = found
        raise DataError(
            f"{folder}: holds results of another configuration: {name} is {_short(there)} there, "
            f"{_short(asked)} was asked for; choose another folder with --out"
        )


def _short(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
