"""Fetches a data file from its public source and packs it as the readers expect it.

Sources are repositories at a fixed commit. A graph's bytes are checked against the registry and
refused if they differ. A question set is converted row by row; its content is compared with the
project's own copy and the outcome is reported, because nobody has published checksums of the
source files. The SHA-256 of every source file is written to `FETCHED.json` at the first fetch,
and a later fetch that finds another one is refused.
"""

from __future__ import annotations

import ast
import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from batonq.base.data import DataFile, content_sha256, named
from batonq.base.errors import DataError
from batonq.base.files import Json, make_folder, read_json, write_bytes, write_json
from batonq.base.proxies import proxies_named

HOST = "https://raw.githubusercontent.com"
MANIFEST = "FETCHED.json"
_SUBJECTS = (
    "elementary_mathematics",
    "high_school_mathematics",
    "college_mathematics",
    "abstract_algebra",
)
_OPTION = re.compile(r"([a-e]) \) (.*?)(?= , [a-e] \) |$)", re.S)
_Source = tuple[str, str]  # path in the repository, text
_Row = dict[str, Json]


@dataclass(frozen=True)
class Fetched:
    """What a fetch made.

    Attributes:
        path: the file written.
        rows: its rows; None for a graph.
        verified: whether its content is that of the project's own copy.
    """

    path: Path
    rows: int | None
    verified: bool


def fetch(name: str, into: Path, client: httpx.Client | None = None, host: str = HOST) -> Fetched:
    """Fetch the data file called `name` below the folder `into`, laid out like the registry.

    Args:
        name: a name of the registry whose entry is fetchable.
        into: the data folder; made if need be.
        client: what to fetch with; None: a client of its own, 60 s a file.
        host: where repositories are served, as `HOST`/owner/name/commit/path.

    Raises:
        DataError: if the file cannot be fetched, differs from what was stated or fetched before,
            or is not in the source's format. Nothing is written then.
    """
    file = named(name)
    if not file.fetchable:
        raise DataError(f"{name}: no public source serves it whole; give the file with --data DIR")
    if client is None:
        with proxies_named():
            own = httpx.Client(timeout=60.0, follow_redirects=True)
        with own:
            return fetch(name, into, own, host)
    make_folder(into)
    downloads = {
        path: _download(client, f"{host}/{_base(file)}/{path}") for path in _source_paths(file)
    }
    manifest = _checked_manifest(into, file, downloads)
    packed, rows = _packed(file, downloads)
    path = into / file.path
    make_folder(path.parent)
    write_bytes(path, packed)
    write_json(into / MANIFEST, manifest)
    return Fetched(path, rows, content_sha256(path) == file.content_sha256)


def _base(file: DataFile) -> str:
    return file.sources[0].replace("@", "/")


def _source_paths(file: DataFile) -> tuple[str, ...]:
    if file.name == "gsm8k":
        return tuple(f"grade_school_math/data/{split}.jsonl" for split in ("test", "train"))
    if file.name == "mmlu_math":
        return tuple(
            f"data/{split}/{subject}_{split}.csv"
            for subject in _SUBJECTS
            for split in ("test", "val", "dev")
        )
    if file.name == "mathqa":
        return tuple(f"data/MathQA/{split}.json" for split in ("test", "dev", "challenge_test"))
    return (f"graphml/{file.name}.graphml",)


def _download(client: httpx.Client, url: str) -> bytes:
    try:
        answer = client.get(url)
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise DataError(
            f"{url}: the server answered {error.response.status_code}; "
            "try again later or give the file with --data DIR"
        ) from error
    except httpx.HTTPError as error:
        raise DataError(
            f"{url}: cannot be fetched ({error}); check the network or give the file with "
            "--data DIR"
        ) from error
    return answer.content


def _checked_manifest(into: Path, file: DataFile, downloads: Mapping[str, bytes]) -> Json:
    """Return the manifest with this fetch in it, having compared it with an earlier fetch."""
    path = into / MANIFEST
    manifest = read_json(path) if path.exists() else {}
    if not isinstance(manifest, dict):
        raise DataError(f"{path}: not a list of fetched files; delete it and fetch again")
    sums = {place: hashlib.sha256(content).hexdigest() for place, content in downloads.items()}
    earlier = manifest.get(file.name, {}).get("sha256", {})
    for place, digest in sums.items():
        if earlier.get(place, digest) != digest:
            raise DataError(
                f"{file.name}: {place} has SHA-256 {digest[:12]}..., at an earlier fetch it had "
                f"{earlier[place][:12]}...; if that is expected, delete {path}"
            )
    return {**manifest, file.name: {"source": file.sources[0], "sha256": sums}}


def _packed(file: DataFile, downloads: Mapping[str, bytes]) -> tuple[bytes, int | None]:
    """Return the bytes to write and the number of rows in them."""
    if file.name not in _CONVERTERS:
        (content,) = downloads.values()
        digest = hashlib.sha256(content).hexdigest()
        if digest != file.sha256:
            raise DataError(
                f"{file.name}: fetched SHA-256 {digest[:12]}..., stated {file.sha256[:12]}...; "
                "the source has changed, give the file with --data DIR"
            )
        return content, None
    rows: list[_Row] = []
    for place, content in downloads.items():
        try:
            rows += _CONVERTERS[file.name](place, content.decode("utf-8"))
        except (
            ValueError,
            SyntaxError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            csv.Error,
        ) as error:
            raise DataError(
                f"{file.name}: {place} is not in the expected format ({error}); "
                "give the file with --data DIR"
            ) from error
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return gzip.compress(text.encode(), mtime=0), len(rows)


def _gsm8k(place: str, text: str) -> list[_Row]:
    rows = []
    for index, line in enumerate(line for line in text.splitlines() if line.strip()):
        row = json.loads(line)
        rows.append(
            {
                "dataset": "gsm8k",
                "split": Path(place).stem,
                "idx": index,
                "question": row["question"],
                "answer": row["answer"].split("####")[1].strip().replace(",", ""),
            }
        )
    return rows


def _mmlu(place: str, text: str) -> list[_Row]:
    subject, split = Path(place).stem.rsplit("_", 1)
    rows = []
    for index, cells in enumerate(csv.reader(io.StringIO(text, newline=""))):
        question, *choices, answer = cells
        if len(choices) != 4 or answer not in {"A", "B", "C", "D"}:
            raise ValueError(f"row {index + 1} has not four choices and a letter")
        rows.append(
            {
                "dataset": "mmlu",
                "subject": subject,
                "split": split,
                "idx": index,
                "question": question,
                "choices": choices,
                "answer": answer,
            }
        )
    return rows


def _mathqa(place: str, text: str) -> list[_Row]:
    rows = []
    for index, row in enumerate(json.loads(text)):
        text_of = row["options"]
        if text_of.startswith("["):  # some rows hold a written-out list instead
            text_of = " , ".join(ast.literal_eval(text_of))
        options = dict(_OPTION.findall(text_of))
        if len(options) != 5:
            raise ValueError(f"question {index} has {len(options)} choices, not five")
        rows.append(
            {
                "dataset": "mathqa",
                "split": Path(place).stem,
                "idx": index,
                "question": row["Problem"],
                "choices": [options[letter].strip() for letter in "abcde"],
                "answer": row["correct"].upper(),
                "category": row["category"],
                "annotated_formula": row["annotated_formula"],
                "linear_formula": row["linear_formula"],
                "rationale": row["Rationale"],
            }
        )
    return rows


_CONVERTERS: dict[str, Callable[[str, str], list[_Row]]] = {
    "gsm8k": _gsm8k,
    "mmlu_math": _mmlu,
    "mathqa": _mathqa,
}
