"""Weights are fetched from a real HTTP server that can do what servers and networks do wrong."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base import weights
from batonq.base.data import VARIABLE, DataFile
from batonq.base.errors import DataError
from batonq.base.weights import RIGHT_SIZE, WEIGHTS, Weights, fetch

CONTENT = random.Random(7).randbytes(300_000)
PATH = "/publisher/model/resolve/main/model.gguf"
CHILD = """
import sys
from pathlib import Path
from batonq.base.download import download
url, path, size, sha256 = sys.argv[1:]
download(url, Path(path), int(size), sha256)
"""


@dataclass
class Publisher:
    """What the server serves, how it misbehaves, and what it was asked."""

    content: bytes = CONTENT
    tag: str | None = '"one"'
    ranges: bool = True
    range_told: str | None = None  # instead of the right Content-Range
    length_told: bool = True
    status: int | None = None  # instead of an answer
    redirect: str | None = None
    cut: int | None = None  # bytes sent before the connection is closed
    hold: threading.Event | None = None  # waited for when half is sent
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    sent: int = 0

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        span, condition = handler.headers["Range"], handler.headers["If-Range"]
        assert handler.headers["Accept-Encoding"] == "identity"
        if self.redirect is not None and handler.path == PATH:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.end_headers()
            return
        self.asked.append((span, condition))
        if self.status is not None:
            handler.send_error(self.status)
            return
        start = 0
        if span is not None and self.ranges and condition in (None, self.tag):
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                handler.send_error(416)
                return
        body, end = self.content[start:], len(self.content) - 1
        handler.send_response(206 if start else 200)
        if start:
            told = self.range_told or f"bytes {start}-{end}/{len(self.content)}"
            handler.send_header("Content-Range", told)
        if self.length_told:
            handler.send_header("Content-Length", str(len(body)))
        if self.tag is not None:
            handler.send_header("ETag", self.tag)
        handler.end_headers()
        self.write(handler, body[: len(body) // 2] if self.hold else body[: self.cut])
        if self.hold is not None:
            self.hold.wait(60)
            self.write(handler, body[len(body) // 2 :])

    def write(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.sent += len(body)  # first, or the reader could have it all before it is counted
        handler.wfile.write(body)
        handler.wfile.flush()


class Server(ThreadingHTTPServer):
    publisher = Publisher()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
            self.server.publisher.handle(self)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60.0) as client:
        yield client


@pytest.fixture
def publisher(server: Server) -> Publisher:
    server.publisher = Publisher()
    return server.publisher


@pytest.fixture
def host(server: Server) -> str:
    return server.host


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def model_of(content: bytes, size: int | None = None, fetchable: bool = True) -> Weights:
    sha256 = hashlib.sha256(content).hexdigest()
    file = DataFile(
        name="model",
        path="models/model.gguf",
        sha256=sha256,
        content_sha256=sha256,
        rows=None,
        sources=("publisher/model",),
        licence="Apache-2.0",
        holds="a model",
        fetchable=fetchable,
    )
    return Weights(file, "publisher/model", len(content) if size is None else size, 0.1)


MODEL = model_of(CONTENT)


def visible(folder: Path) -> dict[str, bytes]:
    """Names and contents of what a user sees in the models' folder."""
    files = (folder / "models").glob("*")
    return {file.name: file.read_bytes() for file in files if not file.name.startswith(".")}


def wait_for(path: Path, size: int) -> None:
    until = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < until, f"{path} has not got {size} bytes"
        time.sleep(0.005)


# ---- the registry


def test_registry_names_models_once_with_whole_checksums() -> None:
    assert len({one.file.path for one in WEIGHTS.values()}) == len(WEIGHTS) == 3
    for name, one in WEIGHTS.items():
        assert one.file.name == name
        assert one.file.path.startswith("models/") and one.file.path.endswith(".gguf")
        assert one.file.sha256 == one.file.content_sha256
        assert len(bytes.fromhex(one.file.sha256)) == 32
        assert one.size > 90_000_000 * one.parameters
        assert one.repository.count("/") == 1
        assert one.file.licence == "Apache-2.0"
    assert [name for name, one in WEIGHTS.items() if not one.file.fetchable] == ["smollm2-135m"]


def test_a_sparse_file_of_the_right_size_is_told_from_the_published_one(tmp_path: Path) -> None:
    """The size costs nothing to compare; the checksum is compared when asked for."""
    small = WEIGHTS["smollm2-135m"]
    path = tmp_path / small.file.path
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(small.size)
    other = tmp_path / WEIGHTS["qwen2.5-coder-0.5b"].file.path
    other.write_bytes(b"GGUF")

    def states(check: bool) -> dict[str, str]:
        return {line.file.name: line.state for line in weights.listing(tmp_path, check)}

    rest = {"qwen2.5-coder-0.5b": "other content", "qwen2.5-coder-1.5b": "missing"}
    assert states(check=False) == rest | {"smollm2-135m": RIGHT_SIZE}
    assert states(check=True) == rest | {"smollm2-135m": "other content"}
    assert {line.state for line in weights.listing()} == {"missing"}


@pytest.mark.parametrize("given", [".", "models", "models/SmolLM2-135M-Instruct.Q4_1.gguf"])
def test_folder_subfolder_and_file_are_all_accepted(
    tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / WEIGHTS["smollm2-135m"].file.path
    path.parent.mkdir()
    path.write_bytes(b"GGUF")
    assert weights.locate("smollm2-135m", tmp_path / given).samefile(path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / given))
    assert weights.locate("smollm2-135m").samefile(path)


def test_what_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'qwen3'; there are: qwen2.5-coder-0.5b, .*smollm2-135m"):
        weights.locate("qwen3")
    with pytest.raises(DataError, match=r"no data folder was given; .*batonq data fetch qwen2.5-"):
        weights.locate("qwen2.5-coder-1.5b")
    with pytest.raises(DataError, match=r"holds no models/SmolLM2.*--data DIR") as kept:
        weights.locate("smollm2-135m", tmp_path)
    assert "fetch" not in str(kept.value)


# ---- fetching


def test_the_stated_bytes_are_taken_and_nothing_else_is_left(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    seen: list[int] = []
    path = fetch(MODEL, tmp_path / "data", host=f"{host}/", watch=seen.append)
    assert path == tmp_path / "data" / "models" / "model.gguf"
    assert visible(tmp_path / "data") == {"model.gguf": CONTENT}
    assert seen[0] == 0 and seen[-1] == len(CONTENT) and seen == sorted(seen)
    assert publisher.asked == [(None, None)]
    fetch(MODEL, tmp_path / "data", host=host)  # the same again asks for nothing
    assert publisher.asked == [(None, None)]


@pytest.mark.parametrize("elsewhere", ["/store/model", "{host}/store/model"])
def test_redirects_are_followed(
    publisher: Publisher, host: str, tmp_path: Path, elsewhere: str
) -> None:
    publisher.redirect, publisher.cut = elsewhere.format(host=host), 1000
    with pytest.raises(DataError, match="1,000 bytes are here"):
        fetch(MODEL, tmp_path, host=host)
    publisher.cut = None
    fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked == [(None, None), ("bytes=1000-", '"one"')]


def test_a_redirect_to_itself_ends(publisher: Publisher, host: str, tmp_path: Path) -> None:
    publisher.redirect = PATH
    with pytest.raises(DataError, match=r"redirects.*put the file at .*models/model\.gguf$"):
        fetch(MODEL, tmp_path, host=host)


@pytest.mark.parametrize("tag", ['"one"', 'W/"weak"', "not quoted", '"' + "x" * 300 + '"', None])
def test_a_broken_connection_is_gone_on_from(
    publisher: Publisher, host: str, tmp_path: Path, tag: str | None
) -> None:
    publisher.tag, publisher.cut = tag, 70_000
    with pytest.raises(DataError, match=r"model\.gguf: .*70,000 bytes are here, the same command"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path)["model.gguf.part"] == CONTENT[:70_000]
    publisher.cut = None
    seen: list[int] = []
    fetch(MODEL, tmp_path, host=host, watch=seen.append)
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked[1] == ("bytes=70000-", tag if tag == '"one"' else None)
    assert publisher.sent == len(CONTENT)
    assert seen[0] == 70_000


def test_another_tag_begins_anew(publisher: Publisher, host: str, tmp_path: Path) -> None:
    """What was there came from another file, so its bytes must not be mixed with these."""
    publisher.content, publisher.cut = bytes(len(CONTENT)), 1000
    with pytest.raises(DataError, match="1,000 bytes are here"):
        fetch(MODEL, tmp_path, host=host)
    publisher.content, publisher.cut, publisher.tag = CONTENT, 500, '"two"'
    with pytest.raises(DataError, match="500 bytes are here"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path)["model.gguf.part"] == CONTENT[:500]
    publisher.cut = None
    fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked[1:] == [("bytes=1000-", '"one"'), ("bytes=500-", '"two"')]


def test_a_tag_is_forgotten_with_the_bytes_it_named(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.cut = 1000
    for publisher.ranges, publisher.tag in ((True, '"one"'), (False, None), (True, '"one"')):
        with pytest.raises(DataError, match="bytes are here"):
            fetch(MODEL, tmp_path, host=host)
    assert publisher.asked == [(None, None), ("bytes=1000-", '"one"'), ("bytes=1000-", None)]


def test_an_answer_of_unknown_length_that_ends_early_is_kept(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.length_told, publisher.cut = False, 1000
    with pytest.raises(DataError, match="the server ended early; 1,000 bytes are here"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path)["model.gguf.part"] == CONTENT[:1000]


def test_a_server_without_ranges_begins_anew(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.ranges, publisher.cut = False, 100_000
    for _ in range(2):
        with pytest.raises(DataError, match="100,000 bytes are here"):
            fetch(MODEL, tmp_path, host=host)
    publisher.cut = None
    fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": CONTENT}


FEW = CONTENT[:4000]
FAULTS = st.builds(
    Publisher,
    content=st.just(FEW),
    cut=st.sampled_from([0, 1, 700, 1999, 3999]),  # bytes of each answer
    ranges=st.booleans(),
    length_told=st.booleans(),
    tag=st.sampled_from([None, '"one"', '"two"']),
)


@settings(max_examples=40, deadline=None)
@given(faults=st.lists(FAULTS, min_size=1, max_size=6))
def test_however_often_it_breaks_off_the_file_is_whole_or_absent(
    server: Server, client: httpx.Client, faults: list[Publisher]
) -> None:
    """And what has arrived of it is not sent again by a server that can send the rest."""
    model = model_of(FEW)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for server.publisher in faults:
            with suppress(DataError):
                fetch(model, folder, client, server.host)
            assert visible(folder).get("model.gguf", FEW) == FEW
        there = visible(folder)
        had = len(there.get("model.gguf", there.get("model.gguf.part", b"")))
        tag = there.get("model.gguf.part.etag")
        last = Publisher(FEW, tag=None if tag is None else tag.decode())
        server.publisher = last
        fetch(model, folder, client, server.host)
        assert visible(folder) == {"model.gguf": FEW}
        assert last.sent == len(FEW) - had


# ---- what is refused


@pytest.mark.parametrize("told", [True, False])
def test_other_bytes_are_refused_and_not_kept(
    publisher: Publisher, host: str, tmp_path: Path, told: bool
) -> None:
    publisher.content, publisher.length_told = bytes(len(CONTENT)), told
    stated = MODEL.file.sha256[:12]
    with pytest.raises(DataError, match=rf"fetched SHA-256 [0-9a-f]{{12}}\.\.\., stated {stated}"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {}
    publisher.content = CONTENT
    fetch(MODEL, tmp_path, host=host)
    assert publisher.asked == [(None, None)] * 2
    assert visible(tmp_path) == {"model.gguf": CONTENT}


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!", b"<html>no such page</html>"])
def test_another_size_is_refused_before_it_is_sent(
    publisher: Publisher, host: str, tmp_path: Path, content: bytes
) -> None:
    publisher.content = content
    with pytest.raises(DataError, match=f"offers 'bytes 0-/{len(content)}', wanted .* of 300000;"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {}


def test_more_than_stated_is_refused_while_it_comes(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.content, publisher.length_told = CONTENT + b"!", False
    seen: list[int] = []
    with pytest.raises(DataError, match="sends more than 300,000 bytes"):
        fetch(MODEL, tmp_path, host=host, watch=seen.append)
    assert visible(tmp_path) == {}
    assert max(seen) <= len(CONTENT)  # the byte too many was not written


@pytest.mark.parametrize(
    "told",
    ["bytes 7-299999/300000", "bytes 1000-299999/300001", "none", "bytes " + "9" * 5000 + "-1/2"],
)
def test_a_range_that_was_not_asked_for_is_refused(
    publisher: Publisher, host: str, tmp_path: Path, told: str
) -> None:
    publisher.cut = 1000
    with pytest.raises(DataError, match="1,000 bytes are here"):
        fetch(MODEL, tmp_path, host=host)
    publisher.cut, publisher.range_told = None, told
    with pytest.raises(DataError, match=r"offers '.*', wanted bytes 1000- of 300000"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path)["model.gguf.part"] == CONTENT[:1000]
    publisher.range_told = None
    fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": CONTENT}


def test_a_file_shorter_than_what_has_arrived_is_told(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.cut = 1000
    with pytest.raises(DataError, match="1,000 bytes are here"):
        fetch(MODEL, tmp_path, host=host)
    publisher.cut, publisher.content = None, CONTENT[:10]
    with pytest.raises(DataError, match=r"ends before the 1,000 bytes .*delete .*\.gguf\.part"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path)["model.gguf.part"] == CONTENT[:1000]


@pytest.mark.parametrize(("extra", "asks"), [(b"", False), (b"too long", True)])
def test_a_whole_part_is_checked_and_a_longer_one_begun_anew(
    publisher: Publisher, host: str, tmp_path: Path, extra: bytes, asks: bool
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.gguf.part").write_bytes(CONTENT + extra)
    fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked == [(None, None)] * asks


def test_another_file_of_that_name_is_left_alone(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.gguf").write_bytes(b"the user's own")
    with pytest.raises(DataError, match=r"model\.gguf: is another file; move it away"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": b"the user's own"}
    assert publisher.asked == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_server_errors_are_told(
    publisher: Publisher, host: str, tmp_path: Path, status: int
) -> None:
    publisher.status = status
    with pytest.raises(DataError, match=rf"{PATH} answered {status}; try again later, or put"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {}


@pytest.mark.parametrize(
    "wrong", ["http://127.0.0.1:9", "ftp://127.0.0.1", "nowhere", "", "http://a:b", "http://[::"]
)
def test_no_server_is_told(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(DataError, match=r"model\.gguf: .*try again later, or put the file at"):
        fetch(MODEL, tmp_path, host=wrong)
    assert visible(tmp_path) == {}


def test_a_server_that_falls_silent_is_given_up(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.hold = threading.Event()
    try:
        with (
            httpx.Client(timeout=httpx.Timeout(60.0, read=0.5)) as client,
            pytest.raises(DataError, match=r"timed out; (150,000 bytes are here|try again later)"),
        ):
            fetch(MODEL, tmp_path, client, host)
    finally:
        publisher.hold.set()
    assert "model.gguf" not in visible(tmp_path)


def test_a_password_in_the_address_is_not_told(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    publisher.status = 403
    with pytest.raises(DataError, match="answered 403") as refused:
        fetch(MODEL, tmp_path, host=host.replace("//", "//someone:secret@"))
    assert "secret" not in str(refused.value)
    assert "someone" not in str(refused.value)


def test_no_room_is_told_before_anything_is_asked(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"needs 1,000,000,000,000 MB more, .* MB free; make room"):
        fetch(model_of(CONTENT, size=10**18), tmp_path, host=host)
    assert publisher.asked == []


def test_a_folder_that_is_a_file_is_told(publisher: Publisher, host: str, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(DataError, match="models: cannot write there"):
        fetch(MODEL, tmp_path, host=host)
    (tmp_path / "data" / "models" / "model.gguf.part").mkdir(parents=True)
    with pytest.raises(DataError, match=r"model\.gguf: cannot be written"):
        fetch(MODEL, tmp_path / "data", host=host)


def test_what_nobody_serves_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"smollm2-135m: its publisher does not serve it; put it"):
        fetch(WEIGHTS["smollm2-135m"], tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- killed, and two at once


@pytest.fixture
def held(publisher: Publisher, host: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that fetches, and has got half of the file."""
    go_on = publisher.hold = threading.Event()
    path = tmp_path / MODEL.file.path
    given = (f"{host}{PATH}", str(path), str(MODEL.size), MODEL.file.sha256)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *given], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(path.with_name("model.gguf.part"), len(CONTENT) // 2)
            yield process
        finally:
            go_on.set()
            process.kill()


def test_killed_half_way_it_goes_on(
    held: subprocess.Popen[str], publisher: Publisher, host: str, tmp_path: Path
) -> None:
    held.kill()
    held.wait()
    assert publisher.hold is not None
    publisher.hold.set()
    publisher.hold = None
    assert set(visible(tmp_path)) == {"model.gguf.part", "model.gguf.part.etag"}
    fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked == [(None, None), (f"bytes={len(CONTENT) // 2}-", '"one"')]


def test_a_second_process_is_refused_and_spoils_nothing(
    held: subprocess.Popen[str], publisher: Publisher, host: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"model\.gguf: cannot be fetched now \(database is locked"):
        fetch(MODEL, tmp_path, host=host)
    assert visible(tmp_path)["model.gguf.part"] == CONTENT[: len(CONTENT) // 2]
    assert publisher.hold is not None
    publisher.hold.set()
    assert (held.wait(), held.communicate()[1]) == (0, "")
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked == [(None, None)]


def test_of_many_at_once_each_has_the_file_or_is_refused(
    publisher: Publisher, host: str, tmp_path: Path
) -> None:
    refused: list[DataError] = []

    def one() -> None:
        try:
            assert fetch(MODEL, tmp_path, host=host).read_bytes() == CONTENT
        except DataError as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) < len(threads)
    assert all("cannot be fetched now" in str(error) for error in refused)
    assert visible(tmp_path) == {"model.gguf": CONTENT}
    assert publisher.asked == [(None, None)]
