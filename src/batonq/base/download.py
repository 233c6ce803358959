"""Downloads one large file whose size and checksum are known; a later call goes on where one ended.

What has arrived lies in `<file>.part`. The final name appears only when the size and the SHA-256
are as stated. A server's strong ETag is kept beside it, in `<file>.part.etag`, so that the rest is
asked for only of the same file. A server that gives none, or that answers with the whole file, does
no harm: the checksum decides.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import httpx

from batonq.base.data import content_sha256
from batonq.base.errors import DataError
from batonq.base.files import make_folder, write_text
from batonq.base.proxies import proxies_named

_PATIENCE = 60.0  # seconds without a byte
_STRONG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_RANGE = re.compile(r"bytes (\d{1,18})-\d*/(\d{1,18}|\*)")

Watch = Callable[[int], None]  # told how many bytes are there


def download(
    url: str,
    path: Path,
    size: int,
    sha256: str,
    client: httpx.Client | None = None,
    watch: Watch | None = None,
) -> None:
    """Make `path` the file that `url` serves, unless it is that already.

    Args:
        url: where it is served.
        path: the file; its folder is made if need be.
        size: bytes it must have.
        sha256: checksum it must have.
        client: what to download with; None: one of its own, which follows redirects and gives up
            after 60 s without a byte.
        watch: called with the number of bytes that are there, first with those of earlier calls.

    Raises:
        DataError: if another process is downloading it, there is no room, the server fails, what
            it serves is not the file stated, `path` holds something else, or a proxy of the
            environment cannot be used. What has arrived of the file is kept; bytes of another file
            are not.
    """
    if client is None:
        with proxies_named():
            own = httpx.Client(timeout=_PATIENCE, follow_redirects=True)
        with own:
            return download(url, path, size, sha256, own, watch)
    make_folder(path.parent)
    with _alone(path), _on_disk(path):
        if path.exists():
            if content_sha256(path) != sha256:
                raise DataError(f"{path}: is another file; move it away, then fetch again")
            return None
        part = path.with_name(f"{path.name}.part")
        there = part.stat().st_size if part.exists() else 0
        if there != size:
            there = there if there < size else 0  # longer: no part of this file
            _check_room(part, size - there)
            _stream(client, url, part, there, size, watch)
        found = content_sha256(part)
        if found != sha256:
            _discard(part)
            raise DataError(
                f"{path.name}: fetched SHA-256 {found[:12]}..., stated {sha256[:12]}...; it is "
                "deleted, fetch it again, and if it comes the same way from another host"
            )
        part.replace(path)
        _discard(part)
    return None


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DataError(
            f"{part.stem}: needs {needed / 1e6:,.0f} MB more, {part.parent} has "
            f"{free / 1e6:,.0f} MB free; make room or give another folder with --data DIR"
        )


def _stream(
    client: httpx.Client, url: str, part: Path, there: int, size: int, watch: Watch | None
) -> None:
    """Make the `there` bytes of `part` the `size` bytes that `url` serves.

    Raises:
        DataError: if the server fails or offers another number of bytes.
    """
    asked = _headers(part, there)
    with _on_network(part, url), client.stream("GET", url, headers=asked) as answer:
        if there and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise DataError(
                f"{part.stem}: the server's file ends before the {there:,} bytes that are here; "
                f"delete {part} and fetch again"
            )
        answer.raise_for_status()
        there = _start(answer, part, there, size)
        with part.open("ab" if there else "wb") as out:
            _keep_tag(answer, part)
            for block in chain((b"",), answer.iter_raw()):
                there += len(block)
                if there > size:
                    break
                out.write(block)
                if watch is not None:
                    watch(there)
            out.flush()
            os.fsync(out.fileno())
    if there > size:
        _discard(part)
        raise DataError(f"{part.stem}: the server sends more than {size:,} bytes; try another host")
    if there < size:
        raise _broken_off(part, "the server ended early")


def _headers(part: Path, there: int) -> dict[str, str]:
    """Return what to ask with: the rest only, of the same file, and not packed on the way."""
    asked = {"Accept-Encoding": "identity"}
    if there:
        asked["Range"] = f"bytes={there}-"
        tag = _tag_of(part)
        text = tag.read_text(encoding="utf-8", errors="replace") if tag.exists() else ""
        if _STRONG.fullmatch(text):
            asked["If-Range"] = text
    return asked


def _start(answer: httpx.Response, part: Path, there: int, size: int) -> int:
    """Return with which byte the answer begins: `there`, or 0 where the server sends it all."""
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        told = answer.headers.get("Content-Range", "no range")
    else:
        told = f"bytes 0-/{answer.headers.get('Content-Length', '*')}"
    found = _RANGE.fullmatch(told)
    if found is None or int(found[1]) not in (0, there) or found[2] not in ("*", str(size)):
        raise DataError(
            f"{part.stem}: the server offers '{told[:80]}', wanted bytes {there}- of {size}; "
            "it has another file, try another host"
        )
    return int(found[1])


def _tag_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _keep_tag(answer: httpx.Response, part: Path) -> None:
    """Keep the server's tag; only once nothing of a file with another tag is left in `part`."""
    tag = answer.headers.get("ETag", "")
    if _STRONG.fullmatch(tag):
        write_text(_tag_of(part), tag)
    else:
        _tag_of(part).unlink(missing_ok=True)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_of(part).unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process or thread at a time download `path`.

    The lock is SQLite's, which every system has and which ends with its process. Its file stays:
    to delete it would let two processes hold it.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        connection = sqlite3.connect(lock, timeout=0.0, isolation_level=None)
    except sqlite3.Error as error:
        raise DataError(f"{lock}: cannot be opened ({error})") from error
    with closing(connection):
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise DataError(
                f"{path}: cannot be fetched now ({error}); if another process is fetching it, "
                f"wait for that one, else delete {lock}"
            ) from error
        yield


@contextmanager
def _on_disk(path: Path) -> Iterator[None]:
    """Tell what the disk refused."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); what has arrived is kept"
        ) from error


@contextmanager
def _on_network(part: Path, url: str) -> Iterator[None]:
    """Tell what the network did, where, and how to go on."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _broken_off(part, f"{_shown(url)} answered {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _broken_off(part, f"{_shown(url)}: {error or type(error).__name__}") from error


def _broken_off(part: Path, what: str) -> DataError:
    there = part.stat().st_size if part.exists() else 0
    if there:
        way = f"{there:,} bytes are here, the same command goes on from there"
    else:
        way = f"try again later, or put the file at {part.with_suffix('')}"
    return DataError(f"{part.stem}: {what}; {way}")


def _shown(url: str) -> str:
    """Return `url` without a user's name and password."""
    try:
        return str(httpx.URL(url).copy_with(username=None, password=None))
    except httpx.InvalidURL:
        return "the address"
