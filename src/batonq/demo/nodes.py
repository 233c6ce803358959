"""The four nodes of the demo: their folders, their processes, and how to call them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from batonq.base.errors import BatonqError
from batonq.base.files import Json
from batonq.base.machine import free_ports
from batonq.demo import desk
from batonq.demo.desk import ACTIONS, AGENTS, FIELDS
from batonq.demo.proxy import HOST

BITS: Final = 8
EXPLORE: Final = 0.2
INITIAL: Final = 0.5  # a new action is thought worth trying
STEP: Final = 0.06  # constant: what a receiver quotes moves while it learns
QUOTES: Final = (-1.0, 1.0)
SECONDS: Final = 30.0  # to come up
GRACE: Final = 10.0  # seconds to stop
IMPATIENT: Final = 1.0  # seconds for an answer while it comes up
PAUSE: Final = 0.02  # seconds between two looks whether it is up


# Agents on this machine are not reached through somebody's web proxy.
DIRECT: Final = {"NO_PROXY": HOST, "no_proxy": HOST}


class NodeError(BatonqError):
    """A node of the demo that does not come up, went away by itself, or refuses a call."""


@dataclass
class Node:
    """One agent's node.

    Attributes:
        agent: its only agent.
        folder: where its configuration, store, tokens and log lie.
        port: where it listens.
        token: of the pipeline, which may do everything there.
        process: what runs it, once started.
    """

    agent: str
    folder: Path
    port: int
    token: str = field(repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> Path:
        """Its SQLite file."""
        return self.folder / "node.db"

    @property
    def log(self) -> Path:
        """What it wrote to standard error."""
        return self.folder / "log.txt"

    def start(self) -> None:
        """Start its process; `wait` waits until it answers."""
        command = [sys.executable, "-m", "batonq.demo.process", str(self.folder / "node.toml")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we stop it
                env=os.environ | DIRECT,
            )

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            NodeError: if it ends before, or takes longer than `SECONDS`.
        """
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            self.check()
            if self._answers():
                return
            time.sleep(PAUSE)
        raise NodeError(f"agent '{self.agent}': its node did not answer in {SECONDS:g} s")

    def _answers(self) -> bool:
        """Whether it answers, and not somebody else who had the port before."""
        with Line(self, IMPATIENT) as line, suppress(OSError, HTTPException, ValueError, NodeError):
            health = line.call("GET", "/v1/health")
            return isinstance(health, dict) and health.get("name") == self.agent
        return False

    def check(self) -> None:
        """Raise a NodeError if its process has ended by itself."""
        if self.process is None or self.process.poll() is None:
            return
        said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = said[-1] if said else "it said nothing"
        raise NodeError(
            f"agent '{self.agent}': its node ended with code {self.process.returncode}: {why}"
        )

    def kill(self) -> None:
        """Kill it with signal 9: it gets no chance to store or close anything."""
        assert self.process is not None  # noqa: S101 - it runs
        self.process.send_signal(signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        """Stop its process, gently at first; nothing happens if there is none."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._gone()

    def _gone(self) -> None:
        assert self.process is not None  # noqa: S101 - it ran
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None


class Line:
    """A connection to a node, kept open between calls. Not for several threads at once."""

    def __init__(self, node: Node, seconds: float = 10.0) -> None:
        self._node = node
        self._headers = {
            "authorization": f"Bearer {node.token}",
            "content-type": "application/json",
        }
        self._connection = HTTPConnection(HOST, node.port, timeout=seconds)

    def call(self, method: str, path: str, body: Json = None) -> Json:
        """Make a call and return its answer.

        Raises:
            OSError, HTTPException: if the node is not there, or goes away meanwhile.
            ValueError: if the answer is no JSON.
            NodeError: if it refuses.
        """
        try:
            sent = None if body is None else json.dumps(body)
            self._connection.request(method, path, sent, self._headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self._connection.close()
            raise
        answer = json.loads(content)
        if response.status != 200:
            told = f"{response.status} {answer.get('detail', '')}"
            raise NodeError(f"agent '{self._node.agent}': {path} answered {told}")
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def prepared(folder: Path) -> dict[str, Node]:
    """Make a folder for each node, with tokens, and choose free ports; configurations come later.

    Args:
        folder: an empty one.
    """
    ports = free_ports(len(AGENTS))
    nodes = {}
    for agent, port in zip(AGENTS, ports, strict=True):
        own = folder / agent
        own.mkdir()
        nodes[agent] = Node(agent, own, port, _token(own / "control.token"))
    for agent in AGENTS:
        for peer in AGENTS:
            if agent != peer:  # what `agent` shows `peer`, and `peer` knows it by
                token = _token(folder / agent / f"for-{peer}.token")
                _keep(folder / peer / f"of-{agent}.token", token)
    return nodes


def configure(nodes: Mapping[str, Node], urls: Mapping[tuple[str, str], str], seed: int) -> None:
    """Write node.toml of every node.

    Args:
        nodes: by agent.
        urls: by (sender, receiver): where the sender finds the receiver.
        seed: of exploration.
    """
    for number, (agent, node) in enumerate(nodes.items()):
        lines = [
            f"name = {_text(agent)}",
            'mode = "apply"',
            f"seed = {seed * len(nodes) + number}",
            "[units]",
            f"gamma = {desk.GAMMA}",
            'time_unit = "minute"',
            'reward_unit = "request"',
            f"quote_range = [{QUOTES[0]}, {QUOTES[1]}]",
            f"bits = {BITS}",
            "[explore]",
            f"epsilon = {EXPLORE}",
            f"[agents.{agent}]",
            f"fields = {json.dumps(FIELDS[agent])}",
            'learner = "table"',
            f"initial = {INITIAL}",
            f"steps.constant = {STEP}",
            f"[agents.{agent}.to]",
            *(f"{_text(action)} = {_text(target)}" for action, target in ACTIONS[agent].items()),
        ]
        for peer in nodes:
            if peer != agent:
                lines += [
                    f"[peers.{peer}]",
                    f"url = {_text(urls[agent, peer])}",
                    f'token_file = "for-{peer}.token"',
                    f'accepts_file = "of-{peer}.token"',
                ]
        lines += ["[serve]", f"port = {node.port}", 'token_file = "control.token"']
        (node.folder / "node.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def stopped_at_the_end(nodes: Mapping[str, Node]) -> Iterator[None]:
    """Whatever happens, no process of a node is left."""
    try:
        yield
    finally:
        for node in nodes.values():
            if node.process is not None:
                node.process.terminate()  # all at once, so that the time to stop passes once
        for node in nodes.values():
            node.stop()


def _token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    _keep(path, token)
    return token


def _keep(path: Path, token: str) -> None:
    path.touch(mode=0o600)
    path.write_text(token, encoding="ascii")


def _text(words: str) -> str:
    return json.dumps(words)
