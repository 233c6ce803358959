"""Routes of the service against an empty validated POST on the same server and client.

Two processes serve with the same settings of uvicorn: a FastAPI application whose one route
validates a small body and does nothing, and a node with its store on disk, with tokens, checks and
metrics as always. A third is the client: 8 keep-alive connections, each with one call under way.
Rounds of all routes take turns; a ratio is the median over rounds of empty / route, of wall-clock
time per call and of the server's processor time per call. `batch` is 50 handoffs a call, each
decide and settle; its times are per handoff, and `per_second` is handoffs per second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from batonq.node.team import Team
from benchmarks._service_client import exchange, request
from benchmarks._service_server import PEER, TOKEN

Body = dict[str, Any]
PAIRS: Final = 50  # handoffs of a batch
CELLS: Final = 40
FEWEST: Final = 1_500  # handoffs per second of the batch route that were asked for
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A process that serves."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """That it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def started(*arguments: str) -> Iterator[Server]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks._service_server", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        yield Server(int(url.rsplit(":", 1)[1]), process.pid)
    finally:
        process.terminate()
        process.wait()


def decide(name: str, k: int, agent: str = "intake") -> Body:
    """A decision with a name of ours, so that it can be settled."""
    to = {"intake": {"ask": "search", "stop": "end"}, "search": {"code": "code"}}[agent]
    return {"agent": agent, "state": {"cell": k % CELLS}, "to": to, "handoff_id": name}


def settle(name: str, k: int) -> Body:
    """Its outcome, with what the receiver gets."""
    artifact = {"cell": (k + 7) % CELLS}
    return {"handoff_id": name, "reward": -0.125, "duration": 3, "artifact": artifact}


def prepare(server: Server, calls: Sequence[Body]) -> None:
    """Make calls in batches, untimed."""
    parts = [{"calls": calls[at : at + 500]} for at in range(0, len(calls), 500)]
    for answer in exchange(server.port, [request("/v1/batch", one, TOKEN) for one in parts], 1):
        assert all("status" not in one for one in answer["results"]), answer


def timed(server: Server, requests: Sequence[bytes], units: int) -> tuple[float, float]:
    """Wall-clock and processor seconds of the server per unit."""
    begin, used = time.perf_counter(), server.processor_seconds()
    exchange(server.port, requests)
    wall, used = time.perf_counter() - begin, server.processor_seconds() - used
    return wall / units, used / units


def a_round(
    empty: Server, node: Server, number: int, size: int, digest: str
) -> dict[str, tuple[float, float]]:
    """Every route in turn, with handoffs of this round."""
    names = [f"h-{number}-{k}" for k in range(size)]
    small = [{"handoff_id": one, "reward": 0.5, "duration": 2} for one in names]
    bodies: dict[str, list[Body]] = {
        "decide": [decide(one, k) for k, one in enumerate(names)],
        "settle": [settle(one, k) for k, one in enumerate(names)],
        "outcomes": [{"handoff_id": one, "key": "k", "reward": 0.25} for one in names],
        "finish": [{"handoff_id": f"{one}-f", "reward": 1.0} for one in names],
        "receive": [
            {
                "handoff_id": f"{one}-r",
                "sender": "code",
                "receiver": "search",
                "artifact": {"cell": k % CELLS},
                "declaration": digest,
            }
            for k, one in enumerate(names)
        ],
    }
    prepare(node, [{"do": "decide", **decide(f"{one}-f", k)} for k, one in enumerate(names)])
    found = {"empty": timed(empty, [request("/empty", one, TOKEN) for one in small], size)}
    for route, told in bodies.items():
        token = PEER if route == "receive" else TOKEN
        found[route] = timed(node, [request(f"/v1/{route}", one, token) for one in told], size)
    pairs = [
        call
        for k, one in enumerate(names)
        for call in (
            {"do": "decide", **decide(f"{one}-b", k)},
            {"do": "settle", **settle(f"{one}-b", k)},
        )
    ]
    step = 2 * PAIRS
    batches = [{"calls": pairs[at : at + step]} for at in range(0, len(pairs), step)]
    found["batch"] = timed(node, [request("/v1/batch", one, TOKEN) for one in batches], size)
    return found


def run(quick: bool) -> list[Body]:
    """Each route beside the empty one."""
    rounds, size = (2, 100) if quick else (9, 1_000)
    with tempfile.TemporaryDirectory() as folder:
        with Team.open(None, gamma=0.95) as team:
            digest = team.declaration.digest()
        with started("empty") as empty, started("node", folder) as node:
            a_round(empty, node, 0, size, digest)  # warm
            found = [a_round(empty, node, 1 + k, size, digest) for k in range(rounds)]
    rows = []
    for route in found[0]:
        wall = median(one[route][0] for one in found)
        rows.append(
            {
                "what": f"POST /v1/{route}" if route != "empty" else "empty validated POST",
                "per_second": 1 / wall,
                "seconds": wall,
                "theirs": median(one["empty"][0] for one in found),
                "ratio": median(one["empty"][0] / one[route][0] for one in found),
                "processor_ratio": median(
                    one["empty"][1] / max(one[route][1], 1e-9) for one in found
                ),
            }
        )
    return rows
