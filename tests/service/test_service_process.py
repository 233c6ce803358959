"""The server as a process of its own: where it listens, how it stops, what it refuses to do."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest
from served import CODE, TOKEN, decide, desk

from batonq.base.errors import ModelError
from batonq.service.run import is_loopback, serve, serving
from batonq.service.settings import Settings

EVERY = "0.0.0.0"  # noqa: S104
PROGRAM = textwrap.dedent(
    """
    import logging, sys
    from served import CODE, TOKEN, desk
    from batonq.service import run
    from batonq.service.settings import Settings
    logging.basicConfig(level=logging.DEBUG)
    run._GRACE = int(sys.argv[3])
    run.serve(desk(sys.argv[1]), port=int(sys.argv[2]), settings=Settings(token=TOKEN))
    """
)


def start(path, port=0, grace=5):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), str(port), str(grace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return process, json.loads(line)


def post(url, route, body):
    return httpx.post(f"{url}/v1/{route}", json=body, headers={"authorization": f"Bearer {TOKEN}"})


def test_it_says_where_and_keeps_what_it_learnt_when_told_to_stop(tmp_path):
    process, line = start(tmp_path / "desk.db")
    assert line["event"] == "serving"
    assert line["url"].startswith("http://127.0.0.1:")
    assert (line["name"], line["agents"], line["peers"]) == ("desk", ["intake", "search"], ["code"])
    assert line["token"] is True
    assert post(line["url"], "decide", decide("h-1")).status_code == 200
    body = {"handoff_id": "h-1", "reward": 1, "artifact": {"hits": 1}}
    assert post(line["url"], "settle", body).json()["value"] == 1.0
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    for secret in (TOKEN, CODE):
        assert secret not in json.dumps(line) + out + err
    assert "Traceback" not in err
    with desk(tmp_path / "desk.db") as team:
        assert team.store.state("agent/intake")[0] == team.store.last()  # kept at the end
        assert team["intake"].table()['{"kind":"bug"}']["search"] == (1.0, 1)


def test_a_killed_one_goes_on_where_it_was(tmp_path):
    process, line = start(tmp_path / "desk.db")
    first = post(line["url"], "decide", decide("h-1")).json()
    process.kill()
    process.communicate()
    process, line = start(tmp_path / "desk.db", port=int(line["url"].rsplit(":", 1)[1]))
    try:
        assert post(line["url"], "decide", decide("h-1")).json() == first
        body = {"handoff_id": "h-1", "reward": 1, "artifact": {"hits": 1}}
        assert post(line["url"], "settle", body).json()["value"] == 1.0
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_page_that_is_open_does_not_hold_it_up(tmp_path):
    process, line = start(tmp_path / "desk.db", grace=120)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.stream("GET", f"{line['url']}/events", headers=headers) as stream:
        assert next(stream.iter_lines())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)  # less than the grace for calls under way
    assert process.returncode == 0


def test_told_to_stop_as_soon_as_it_says_where_it_stops(tmp_path):
    process, _ = start(tmp_path / "desk.db")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("host", [EVERY, "::", "", "10.0.0.1", "node.example"])
def test_beyond_the_loopback_a_token_is_needed(host):
    with desk() as team, pytest.raises(ModelError, match="token is needed"), serving(team, host):
        raise AssertionError


def test_serve_closes_the_team_whatever_happens(tmp_path):
    with pytest.raises(ModelError, match="token is needed"):
        serve(desk(tmp_path / "desk.db"), EVERY)
    desk(tmp_path / "desk.db").close()  # its lock was let go


def test_a_port_that_is_taken_is_told():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        with (
            desk() as team,
            pytest.raises(ModelError, match=f"{port}: cannot listen"),
            serving(team, port=port),
        ):
            raise AssertionError


@pytest.mark.parametrize("port", [-1, 65_536, 10**9])
def test_a_port_that_cannot_be_is_told(port):
    with (
        desk() as team,
        pytest.raises(ModelError, match="give 1 to 65535"),
        serving(team, port=port),
    ):
        raise AssertionError


def test_an_address_of_this_machine_with_a_token():
    settings = Settings(token=TOKEN, hosts=("node.example",))
    with desk() as team, serving(team, EVERY, settings=settings) as url:
        port = url.rsplit(":", 1)[1]
        headers = {"authorization": f"Bearer {TOKEN}", "host": "node.example"}
        assert httpx.get(f"http://127.0.0.1:{port}/v1/health", headers=headers).status_code == 200
        headers["host"] = "other.example"
        assert httpx.get(f"http://127.0.0.1:{port}/v1/health", headers=headers).status_code == 421


def test_what_counts_as_loopback():
    assert [host for host in LOCAL if not is_loopback(host)] == []
    assert [host for host in REMOTE if is_loopback(host)] == []


LOCAL = ("localhost", "127.0.0.1", "127.8.9.10", "::1")
REMOTE = (
    "",
    EVERY,
    "::",
    "10.0.0.1",
    "128.0.0.1",
    "localhost.example",
    "node",
    "::ffff:8.8.8.8",
)
