import gzip
import json
import os
import pty
import re
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from command_line import PROGRAM

from batonq.base.weights import WEIGHTS

MODEL = WEIGHTS["qwen2.5-coder-0.5b"]
FIRST = 1 << 20  # bytes of a model that the publisher sends before it breaks off


@pytest.fixture
def folder(tmp_path):
    """A data folder with one file, of other content than the project's."""
    path = tmp_path / "data" / "maths" / "gsm8k.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b'{"idx": 0}\n'))
    return tmp_path / "data"


def test_list_shows_every_file_and_whether_it_is_there(batonq, folder):
    done = batonq("data", "list", "--json", "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    files = {line["name"]: line for line in json.loads(done.stdout)}
    assert files["gsm8k"]["state"] == "other content"
    assert files["gsm8k"]["path"] == str(folder / "maths" / "gsm8k.jsonl.gz")
    assert files["mathqa"]["state"] == "missing"
    assert all(line["licence"] and line["sources"] and line["sha256"] for line in files.values())
    table = batonq("data", "list", BATONQ_DATA=str(folder))
    assert table.returncode == 0
    assert all(name in table.stdout for name in files)
    assert "other content" in table.stdout


def test_list_compares_sizes_of_models_and_their_content_when_asked_to(batonq, folder):
    small = WEIGHTS["smollm2-135m"]
    path = folder / small.file.path
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(small.size)  # zeros, which take no room
    for words, state in (((), "size as published"), (("--check",), "other content")):
        done = batonq("data", "list", "--json", *words, "--data", folder)
        assert (done.returncode, done.stderr) == (0, "")
        files = {line["name"]: line for line in json.loads(done.stdout)}
        assert files["smollm2-135m"]["state"] == state
        assert files["smollm2-135m"]["path"] == str(path)
        assert not files["smollm2-135m"]["fetchable"]
        assert files["qwen2.5-coder-0.5b"]["state"] == "missing"
        assert files["qwen2.5-coder-0.5b"]["fetchable"]
    done = batonq("data", "path", "smollm2-135m", BATONQ_DATA=str(folder))
    assert (done.returncode, done.stdout) == (0, f"{path}\n")


def test_path_prints_where_a_file_lies(batonq, folder):
    done = batonq("data", "path", "gsm8k", "--data", folder)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'maths' / 'gsm8k.jsonl.gz'}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("path", "gsm9k"), "no data file is called 'gsm9k'; there are: gsm8k, "),
        (("fetch", "gemma"), "Tinet, qwen2.5-coder-0.5b, qwen2.5-coder-1.5b, smollm2-135m"),
        (("path", "qwen2.5-coder-0.5b"), "or run: batonq data fetch qwen2.5-coder-0.5b"),
        (("path", "mathqa"), "no data folder was given"),
        (("fetch", "mathqa"), "no folder to put it in"),
        (("fetch", "recorded_gsm8k", "--data", "there"), "give the file with --data"),
        (("fetch", "smollm2-135m"), "no folder to put it in"),
        (("fetch", "smollm2-135m", "--data", "there"), "its publisher does not serve it"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(batonq, words, said):
    done = batonq("data", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def publisher():
    """A server that offers a model of the right size, sends 1 MiB of zeros a time, and breaks off.

    Yields its address and the list of what it was asked: path and range.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Range"]))
            start = int(re.sub(r"\D", "", self.headers["Range"] or "0"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{MODEL.size - 1}/{MODEL.size}")
            self.send_header("Content-Length", str(MODEL.size - start))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(bytes(FIRST))

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetching_a_model_goes_on_where_it_was_broken_off(batonq, publisher, tmp_path):
    host, asked = publisher
    for there in ("1,048,576", "2,097,152"):
        done = batonq("data", "fetch", MODEL.file.name, "--data", tmp_path / "d", "--host", host)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{there} bytes are here, the same command goes on from there" in done.stderr
        assert done.stderr.count("\n") == 1
    path = f"/{MODEL.repository}/resolve/main/{MODEL.file.path.removeprefix('models/')}"
    assert asked == [(path, None), (path, f"bytes={FIRST}-")]
    part = tmp_path / "d" / f"{MODEL.file.path}.part"
    assert part.stat().st_size == 2 * FIRST
    done = batonq("data", "path", MODEL.file.name, "--data", tmp_path / "d")
    assert done.returncode == 2  # a part of a file is not the file


def test_fetching_a_model_shows_how_far_it_is_on_a_terminal(publisher, tmp_path):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "data", "fetch", MODEL.file.name, "--data", tmp_path, "--host", publisher[0]],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # what Linux says when the other end is closed
            while block := os.read(ours, 4096):
                shown += block
        assert process.stdout.read() == b""
    os.close(ours)
    assert process.returncode == 2
    assert MODEL.file.name.encode() in shown
    assert b"1.0/491.4 MB" in shown
    assert b"goes on from there" in shown


@pytest.mark.parametrize("name", ["mathqa", MODEL.file.name])
def test_a_host_that_is_not_there_is_told(batonq, tmp_path, name):
    nowhere = "http://127.0.0.1:9"
    done = batonq("data", "fetch", name, "--data", tmp_path / "d", "--host", nowhere)
    assert (done.returncode, done.stdout) == (2, "")
    assert nowhere in done.stderr
    assert done.stderr.count("\n") == 1
