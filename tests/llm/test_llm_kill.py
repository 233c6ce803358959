"""kill -9 in the middle of a batch: a resume repeats no call whose answer had arrived."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from llm_parts import request
from openai_server import hold, serving

from batonq.llm.cache import Cache

PROMPTS = [f"question {n}" for n in range(10)]
BATCH = """
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from batonq.llm.cache import Cache
from batonq.llm.calls import Calls
from llm_parts import CENTS, MODEL, request
from batonq.llm.endpoint import Endpoint

url, path, threads, *prompts = sys.argv[1:]
with (
    Cache(Path(path)) as cache,
    Calls([Endpoint(url, MODEL)], cache, {MODEL: CENTS}, limit=1.0) as calls,
    ThreadPoolExecutor(int(threads)) as pool,
):
    asked = {pool.submit(calls.ask, request(prompt)): prompt for prompt in prompts}
    for one in as_completed(asked):
        print(asked[one], one.result().reply.text, sep="|", flush=True)
    print("cached", calls.report()[0].cached, sep="|", flush=True)
"""


def text(body):
    return "answer to " + body["messages"][-1]["content"]


@contextmanager
def batch(url: str, path: Path, threads: int) -> Iterator[subprocess.Popen[str]]:
    """The batch in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", BATCH, url, str(path), str(threads), *PROMPTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def resumed(url: str, path: Path, threads: int) -> dict[str, str]:
    """What a run of the batch to its end prints."""
    with batch(url, path, threads) as process:
        out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    return dict(line.split("|") for line in out.splitlines())


def kept(cache: Cache, url: str) -> set[str]:
    """The prompts whose answers are kept."""
    asked = {one: request(one, url=f"{url}/chat/completions") for one in PROMPTS}
    return {prompt for prompt, one in asked.items() if cache.find(one)}


@pytest.mark.parametrize("threads", [1, 4])
def test_only_the_call_that_was_under_way_is_made_again(tmp_path, threads):
    path, stuck = tmp_path / "calls.db", PROMPTS[5]

    def script(body, nth):
        return hold() if body["messages"][-1]["content"] == stuck and nth == 1 else None

    arrived = PROMPTS[:5] if threads == 1 else [one for one in PROMPTS if one != stuck]
    with serving(text, script) as server:
        with batch(server.url, path, threads) as process:
            server.held.acquire()
            seen = {process.stdout.readline().split("|")[0] for _ in arrived}
            process.kill()
        assert seen == set(arrived)
        with Cache(path) as cache:
            assert kept(cache, server.url) == set(arrived)
        told = resumed(server.url, path, threads)
        assert dict(server.asked) == {one: 1 + (one == stuck) for one in PROMPTS}
        assert dict(server.answered) == dict.fromkeys(PROMPTS, 1)
    assert told == {one: f"answer to {one}" for one in PROMPTS} | {"cached": str(len(arrived))}


@pytest.mark.parametrize("lines", [1, 4])
def test_killed_at_any_moment_nothing_is_lost_or_answered_twice(tmp_path, lines):
    path = tmp_path / "calls.db"
    with serving(text) as server:
        with batch(server.url, path, 3) as process:
            seen = [process.stdout.readline().split("|")[0] for _ in range(lines)]
            process.kill()
        with Cache(path) as cache:
            there = kept(cache, server.url)
        assert set(seen) <= there
        told = resumed(server.url, path, 3)
        assert {one for one in PROMPTS if server.asked[one] > 1}.isdisjoint(there)
        assert max(server.asked.values()) <= 2
    assert told == {one: f"answer to {one}" for one in PROMPTS} | {"cached": str(len(there))}
