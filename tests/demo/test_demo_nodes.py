"""Processes of nodes: they come up, say why not, survive kill -9 and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batonq.demo.desk import AGENTS
from batonq.demo.nodes import (
    HOST,
    Line,
    Node,
    NodeError,
    configure,
    prepared,
    stopped_at_the_end,
)
from batonq.node.config import read_config

NOWHERE = "http://127.0.0.1:9"
URLS = {(one, other): NOWHERE for one in AGENTS for other in AGENTS}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Node]]:
    made = prepared(tmp_path)
    configure(made, URLS, seed=0)
    with stopped_at_the_end(made):
        yield made


def gone(pid: int) -> bool:
    """Whether a process has ended, within ten seconds."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_configurations_are_those_of_nodes_and_no_one_else_reads_the_tokens(
    nodes: dict[str, Node],
) -> None:
    for agent, node in nodes.items():
        config = read_config(node.folder)
        assert list(config.agents) == [agent]
        assert set(config.peers) == set(AGENTS) - {agent}
        assert config.units.bits == 8
        assert config.serve.port == node.port
        for token in node.folder.glob("*.token"):
            assert token.stat().st_mode & 0o077 == 0
        for peer in config.peers:
            shown = (node.folder / f"for-{peer}.token").read_text()
            assert shown == (nodes[peer].folder / f"of-{agent}.token").read_text()
        assert node.token not in repr(node)
    assert len({node.port for node in nodes.values()}) == len(AGENTS)


def test_a_node_killed_with_9_goes_on_where_it_was(nodes: dict[str, Node]) -> None:
    node = nodes["search"]
    node.start()
    node.wait()
    with Line(node) as line:
        asked = {"agent": "search", "state": {"note": "new"}, "handoff_id": "h1"}
        decided = line.call("POST", "/v1/decide", asked)
        assert node.process is not None
        pid = node.process.pid
        node.kill()
        assert gone(pid)
        with pytest.raises(OSError):
            line.call("POST", "/v1/decide", asked)
        node.start()
        node.wait()
        assert line.call("POST", "/v1/decide", asked) == decided
        told = {"handoff_id": "h1", "reward": -0.04, "duration": 2, "end": "terminal"}
        assert line.call("POST", "/v1/settle", told)["learnt"]
        with pytest.raises(NodeError, match=r"agent 'search': /v1/decide answered 404 .*'code'"):
            line.call("POST", "/v1/decide", {"agent": "code", "state": {}})
    pid = node.process.pid
    node.stop()
    assert gone(pid)


def test_a_port_in_use_is_told_in_one_line(nodes: dict[str, Node]) -> None:
    node = nodes["code"]
    with socket.create_server((HOST, node.port)):
        node.start()
        with pytest.raises(NodeError) as refused:
            node.wait()
    assert "\n" not in str(refused.value)
    assert f"agent 'code': its node ended with code 2: host 127.0.0.1, port {node.port}" in str(
        refused.value
    )


def test_a_configuration_that_cannot_be_is_told(nodes: dict[str, Node]) -> None:
    node = nodes["intake"]
    node.folder.joinpath("node.toml").write_text("[units]\ngamma = 7\n")
    node.start()
    with pytest.raises(NodeError, match=r"ended with code 2: .*node.toml: units.gamma: "):
        node.wait()


def test_a_node_that_goes_away_by_itself_is_noticed(nodes: dict[str, Node]) -> None:
    node = nodes["review"]
    node.start()
    node.wait()
    node.check()
    assert node.process is not None
    os.kill(node.process.pid, signal.SIGKILL)
    node.process.wait()
    with pytest.raises(NodeError, match="ended with code -9"):
        node.check()


def test_no_node_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    """Which is killed with 9, so that it cannot stop anything itself."""
    code = f"""
import time
from pathlib import Path
from batonq.demo.nodes import configure, prepared
from batonq.demo.desk import AGENTS
nodes = prepared(Path({str(tmp_path)!r}))
urls = {{(one, other): {NOWHERE!r} for one in AGENTS for other in AGENTS}}
configure(nodes, urls, seed=0)
nodes["search"].start()
nodes["search"].wait()
print(nodes["search"].process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert gone(pid)
