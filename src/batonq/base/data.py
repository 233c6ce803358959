"""The data files the experiments read: what they are, where they come from, where they lie.

No data file is part of the package. A reader is told where they lie (`locate`), or fetches those
that a public source serves (`batonq.base.fetch`). `content_sha256` is that of the file's content
after decompression, so that the same rows packed again still count as the same.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from batonq.base.errors import DataError
from batonq.base.files import Json

VARIABLE = "BATONQ_DATA"
_MANY = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class DataFile:
    """One file of the registry.

    Attributes:
        name: how commands and messages call it.
        path: where it lies below the data folder, with forward slashes.
        sha256: of the packed file as the project packed it.
        content_sha256: of its content after decompression (equal to `sha256` where not packed).
        rows: lines of data, without a header; None for a graph.
        sources: "owner/name@commit" of each public repository it was taken from.
        licence: as its sources state it.
        holds: what is in it, in a sentence.
        fetchable: whether `batonq.base.fetch` can make it from its source.
    """

    name: str
    path: str
    sha256: str
    content_sha256: str
    rows: int | None
    sources: tuple[str, ...]
    licence: str
    holds: str
    fetchable: bool


@dataclass(frozen=True)
class Listed:
    """One line of `listing`: a file, where it was found (None: nowhere) and whether it is intact.

    `state` is "as published" (same content as the project's), "other content" (readable for the
    user to judge: fetched anew, or changed), or "missing".
    """

    file: DataFile
    found: Path | None
    state: str


def _graph(name: str, sha256: str) -> DataFile:
    return DataFile(
        name=name,
        path=f"topologies/{name}.graphml",
        sha256=sha256,
        content_sha256=sha256,
        rows=None,
        sources=("mroughan/InternetTopologyZoo@a725bbc4763bf1d0eaea64089ba00c2fe9427fe3",),
        licence="CC-BY-4.0",
        holds="a network of the Internet Topology Zoo (Knight et al., IEEE JSAC 29(9), 2011)",
        fetchable=True,
    )


_ALL = (
    DataFile(
        name="gsm8k",
        path="maths/gsm8k.jsonl.gz",
        sha256="2b609080f5db34f563d26fb98c68a07e8c9e9c8f4cd7185ef2973cd5721d5148",
        content_sha256="8fa8ab7c61cb045435280796a21e47433da51e17fee73a4369b2d4c6a0014abb",
        rows=8792,
        sources=("openai/grade-school-math@3101c7d5072418e28b9008a6636bde82a006892c",),
        licence="MIT",
        holds="GSM8K: 1,319 test and 7,473 training questions with their answers",
        fetchable=True,
    ),
    DataFile(
        name="mmlu_math",
        path="maths/mmlu_math.jsonl.gz",
        sha256="e8dbeb8cb618b6494dfe617165277c245d2b8259863bbe7d100cdcd4f0da4c36",
        content_sha256="216b0961090dbe4a38e3e4cfec0f388a487b2d6efe4597aceca86ff7183f7bb5",
        rows=960,
        sources=("hendrycks/test@785eba57b455b9f9be12a0d3c1106d67274fea0e",),
        licence="MIT",
        holds="MMLU's four mathematics subjects: 848 test, 92 validation and 20 example questions",
        fetchable=True,
    ),
    DataFile(
        name="mathqa",
        path="maths/mathqa.jsonl.gz",
        sha256="8f5e8831dfefcacf4b9fcd6d261b530a70aea1d37a235aa4b7b8cc481c47e8a6",
        content_sha256="28739b2677f68407046710ba77580a45f824880f89db60a37555028f1241513b",
        rows=8064,
        sources=("shaigue/mathqa@175079e579ae1948a80a948c4b00c43d082ddb2e",),
        licence="Apache-2.0",
        holds="MathQA: 2,985 test, 4,475 development and 604 challenge questions of five choices",
        fetchable=True,
    ),
    DataFile(
        name="recorded_gsm8k",
        path="maths/recorded_gsm8k.jsonl.gz",
        sha256="45d3a524a9d1c74f839182f04cc90745ef769ecace343de550606678d3604586",
        content_sha256="99857ae699f037863e43c9c54a6780d7a533dcf1ead732e1d034d20079e768dd",
        rows=27030,
        sources=(
            "Tebmer/Rereading-LLM-Reasoning@0dbad50b",
            "lm-sys/RouteLLM@0b64fdaf",
            "microsoft/ToRA@213c1c99",
            "openai/grade-school-math@3101c7d5072418e28b9008a6636bde82a006892c",
            "ashita-ai/conduit-benchmark@48ac41ca",
        ),
        licence="Apache-2.0 and MIT, by source",
        holds="full texts of recorded answers to GSM8K's test questions; 20 pairs are whole",
        fetchable=False,
    ),
    DataFile(
        name="recorded_mmlu_math",
        path="maths/recorded_mmlu_math.csv.gz",
        sha256="7eb0b409f633f78f832929a5da48193ee92c64a22e84d12969cb2394c8b82cc4",
        content_sha256="19a098068bebcf54cfb175487a3f3bd373a3c55953e3e6247e35473b6ff1ccb6",
        rows=848,
        sources=("aryopg/mmlu-redux@4563cfa7", "lm-sys/RouteLLM@0b64fdaf"),
        licence="CC-BY-4.0 and Apache-2.0, by source",
        holds="answer letters of nine models to MMLU's mathematics test questions, no reasoning",
        fetchable=False,
    ),
    _graph("Abilene", "8cd694280d98b336bb9b51fc3b2129a514f1b1b1ac80f2022aca02a57ef1e371"),
    _graph("AttMpls", "c32c3aeb985ee1cf197e016c02bd7b9a271c5d951598733ad3ddc0c5ed63e394"),
    _graph("Bellcanada", "483bca149f53d469b9cffa03231337ea1584c607e19d74021477ac809db31c2b"),
    _graph("Geant2012", "8487b2fb091d53f1317035162df0d8ef436c9e1d10727e26865b0ecd89d4786e"),
    _graph("GtsCe", "f04e777acee85df006eb2118647638350337a31a0ed668a9aab381e94797df76"),
    _graph("Interoute", "052b4575b5312372f5bda1dcbb519db5c9ce399e2a3e3eb5182d5a7bd9979b88"),
    _graph("Nsfnet", "6519ef6b77e683fdc516a4b517f8b26987e9e18fa3cd556ebe90ab51d890545a"),
    _graph("Sprint", "0aad2938a806575b9f4f6efea8278d54e0156131ba0a4a2bdf767644e65f4904"),
    _graph("Tinet", "98099bb670efacc9999add214223d70c0f087a56830c265aa863bb7f83401eeb"),
)
FILES: Mapping[str, DataFile] = MappingProxyType({file.name: file for file in _ALL})


def named(name: str) -> DataFile:
    """Return the registry's entry of that name.

    Raises:
        DataError: if there is none; the message lists the names there are.
    """
    try:
        return FILES[name]
    except KeyError:
        raise DataError(f"no data file is called '{name}'; there are: {', '.join(FILES)}") from None


def given_folder(explicit: Path | None = None) -> Path | None:
    """Return the data folder the user gave: `explicit`, else the variable BATONQ_DATA, or None."""
    value = os.environ.get(VARIABLE, "")
    return explicit if explicit is not None else Path(value) if value else None


def locate(name: str, explicit: Path | None = None) -> Path:
    """Return where the data file called `name` lies.

    Args:
        name: a name of the registry.
        explicit: what the user gave with --data: a folder laid out like the registry's paths, the
            subfolder that holds the file, or the file itself. None: the variable BATONQ_DATA says.

    Raises:
        DataError: if the name is unknown, or the file is not there; says how to give it.
    """
    return place(named(name), explicit)


def place(file: DataFile, explicit: Path | None = None) -> Path:
    """Return where a file lies, of this registry or of another; see `locate`.

    Raises:
        DataError: if it is not there; says how to give it.
    """
    given = given_folder(explicit)
    if given is None:
        raise DataError(f"{file.name}: no data folder was given; {_remedy(file)}")
    found = below(file, given)
    if found is None:
        said = "--data" if explicit is not None else VARIABLE
        raise DataError(f"{file.name}: {given} (from {said}) holds no {file.path}; {_remedy(file)}")
    return found


def listing(explicit: Path | None = None) -> tuple[Listed, ...]:
    """Return every file of the registry with where it lies and whether its content is intact.

    Unlike `locate` it raises nothing: what is not there is listed as missing.
    """
    given = given_folder(explicit)
    lines = []
    for file in FILES.values():
        found = below(file, given)
        lines.append(Listed(file, found, "missing" if found is None else _state(file, found)))
    return tuple(lines)


def read_jsonl(path: Path, columns: Mapping[str, type]) -> list[dict[str, Json]]:
    """Read a packed file of JSON lines and check the columns that will be used.

    Args:
        path: a `.jsonl.gz` file.
        columns: name and type (str, int, float, list) of each column every row must have.

    Raises:
        DataError: if the file is missing, damaged or cut short, or a row is not as stated; one
            line that names the file, the line and the remedy.
    """
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _bad(path, number, f"is not JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise _bad(path, number, "is not a JSON object")
        for column, kind in columns.items():
            if column not in row:
                raise _bad(path, number, f"has no '{column}'")
            if not isinstance(row[column], kind):
                found = type(row[column]).__name__
                raise _bad(path, number, f"has a {found} as '{column}', not a {kind.__name__}")
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: has no rows; give the whole file")
    return rows


def read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a packed CSV file with a header line and check that it has `columns`.

    Raises:
        DataError: as `read_jsonl`.
    """
    lines = _lines(path)
    reader = csv.reader(lines)
    try:
        header = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise _bad(path, 1, f"has no column '{missing[0]}'")
        rows = []
        for number, cells in enumerate(reader, start=2):
            if len(cells) != len(header):
                raise _bad(path, number, f"has {len(cells)} cells, the header {len(header)}")
            rows.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error}); give the whole file") from error
    if not rows:
        raise DataError(f"{path}: has no rows; give the whole file")
    return rows


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, unpacked first where its name ends in `.gz`.

    Raises:
        DataError: if it is missing or damaged.
    """
    digest = hashlib.sha256()
    try:
        with _opened(path) as stream:
            while block := stream.read(_MANY):
                digest.update(block)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error
    return digest.hexdigest()


def below(file: DataFile, given: Path | None) -> Path | None:
    """Return where a file lies below a folder, or None; the folder may be the file itself."""
    if given is None:
        return None
    if given.is_file():
        return given if given.name == Path(file.path).name else None
    places = (given / file.path, given / Path(file.path).name)
    return next((place for place in places if place.is_file()), None)


def _remedy(file: DataFile) -> str:
    ways = f"give the folder that holds it with --data DIR or {VARIABLE}=DIR"
    return f"{ways}, or run: batonq data fetch {file.name}" if file.fetchable else ways


def _state(file: DataFile, found: Path) -> str:
    try:
        same = content_sha256(found) == file.content_sha256
    except DataError:
        return "damaged"
    return "as published" if same else "other content"


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a packed text file without their ends."""
    number = 0
    try:
        with _opened(path) as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007 (used in the messages)
                yield line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise _bad(path, number, "is not UTF-8 text") from error
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error


def _bad(path: Path, number: int, what: str) -> DataError:
    return DataError(f"{path}, line {number}: {what}; restore the file from its source")


def _damaged(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such file; give its folder with --data or {VARIABLE}")
    reason = str(error).rstrip(".") or type(error).__name__
    return DataError(f"{path}: damaged or cut short ({reason}); restore the file from its source")
