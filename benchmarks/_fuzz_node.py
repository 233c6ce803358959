"""What is fuzzed of a node: its configuration, a damaged store, logs of others."""

from __future__ import annotations

import json
import math
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from batonq.base.errors import BatonqError
from batonq.node import config
from batonq.node.logs import importing
from batonq.node.store.memory import MemoryStore
from batonq.node.store.sqlite import SqliteStore
from batonq.node.team import Team
from batonq.wire import chain
from benchmarks._fuzz_recipes import Reader, document_of

CONFIG: Final[dict[str, Any]] = {
    "name": "desk",
    "units": {"gamma": 0.95, "reward_unit": "points", "reward_range": [-1.0, 1.0], "bits": 8},
    "explore": {"epsilon": 0.1, "per_hour": 100, "canary": 0.5},
    "limits": {"hops": 8, "visits": 2, "budget": {"usd": 1.5}},
    "agents": {
        "intake": {"fields": ["kind"], "text": ["body"], "to": ["search", "code"]},
        "search": {"to": {"answer": "end", "ask": "intake"}, "steps": {"constant": 0.1}},
    },
    "peers": {"code": {"url": "https://code.example", "leak_bits": 800, "seconds": 2.0}},
    "serve": {"host": "127.0.0.1", "port": 0},
}


@cache
def folder() -> Path:
    """Where fuzzed nodes keep their files; gone with the process's temporary folder."""
    return Path(tempfile.mkdtemp(prefix="batonq-fuzz-node-"))


def toml(value: Any) -> str:
    """A JSON value as TOML, as far as it has one."""
    if isinstance(value, dict):
        inside = (f"{json.dumps(str(key))} = {toml(one)}" for key, one in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    return json.dumps(value)


def read_config(data: bytes) -> None:
    """What is accepted opens a team, unless it is refused then."""
    body = document_of(data, [CONFIG])
    with suppress(BatonqError, ValueError):
        document = json.loads(body)
        if isinstance(document, dict):
            lines = (f"{json.dumps(key)} = {toml(value)}" for key, value in document.items())
            body = "\n".join(lines).encode("utf-8", "replace")
    with suppress(BatonqError):
        read = config.parse_config(body)
        for peer in read.peers.values():  # never read a file that the fuzzer names
            peer.token_file = peer.accepts_file = None
        read.store = "config.db"
        _clean("config.db")
        config.open_team(read, folder()).close()


def _clean(name: str) -> None:
    for file in folder().glob(f"{name}*"):
        file.unlink()


@cache
def valid_store() -> bytes:
    """A small store with decisions, outcomes, quotes, open handoffs and kept states."""
    path = folder() / "valid.db"
    with suppress(FileNotFoundError):
        path.unlink()
    with _team(path) as team:
        for k in range(6):
            made = team["intake"].decide({"kind": "bug" if k % 2 else "idea"}, handoff_id=f"h-{k}")
            if k < 4:
                team.settle(made.id, -0.1, 1.0, artifact={"kind": "bug"})
        team["search"].receive("h-0", {"kind": "bug"}, "intake")
        team.checkpoint()
    return path.read_bytes()


def _team(path: Path | None) -> Team:
    team = Team.open(path, gamma=0.95, mode="apply", seed=1)
    team.add("intake", lambda s: {"kind": s["kind"]}, to=["search", "end"])
    team.add("search", lambda s: {"kind": s["kind"]}, to=["search", "end"])
    return team


def damage_store(data: bytes) -> None:
    """A store with bytes changed opens, or says what is wrong; reading it does too."""
    reader, content = Reader(data), bytearray(valid_store())
    for _ in range(1 + reader.below(8)):
        at = reader.below(len(content))
        part = reader.take(1 + reader.below(16))
        content[at : at + len(part)] = part
    if reader.below(8) == 1:
        del content[reader.below(len(content)) :]
    _clean("damaged.db")
    path = folder() / "damaged.db"
    path.write_bytes(content)
    with suppress(BatonqError):
        store = SqliteStore.open(path)
        try:
            _read_all(store)
        finally:
            store.close()
    with suppress(BatonqError), _team(path) as team:
        team["intake"].decide({"kind": "bug"})


def _read_all(store: SqliteStore) -> None:
    with suppress(BatonqError):
        chain.verify(store.rows())
    with suppress(BatonqError):
        for event in store.events():
            store.find(event.once)
    with suppress(BatonqError):
        store.unsent(10)
        store.open_before(math.inf, 10)
        store.revisions("h-0")
    for name in store.states(""):
        store.state(name)


LOG: Final[list[Any]] = [
    {"agent": "intake", "action": "code", "reward": -0.1, "observation": {"kind": "bug"}},
    {"agent": "code", "action": "done", "target": "end", "reward": 1.0, "y": '{"kind":"bug"}',
     "propensity": 0.5, "duration": 2.0, "end": "terminal", "handoff_id": "h-1", "workflow": "w",
     "permitted": ["done", "back"], "default": "back", "at": 12.5},
    {"agent": "code", "action": "back", "target": "intake", "reward": 0, "quote": 0.3,
     "observation": ["a", 1, None], "end": "truncated"},
]  # fmt: skip
TABLE: Final = (
    b"agent,action,reward,observation.kind,propensity,end\nintake,code,-0.1,bug,0.5,\n"
    b'code,end,1,"a ""b""",,terminal\n'
)


def import_log(data: bytes) -> None:
    """What is accepted is imported once, and again not at all."""
    tabular = data[:1] > b"\x7f"
    path = folder() / ("log.csv" if tabular else "log.jsonl")
    body = data[1:] if tabular else document_of(data, [LOG])
    with suppress(BatonqError, ValueError):
        records = json.loads(body) if not tabular else None
        if isinstance(records, list):
            body = b"\n".join(json.dumps(one).encode() for one in records)
    path.write_bytes(body)
    with suppress(BatonqError):
        traces = importing.read_traces(path)
        store = MemoryStore()
        first = importing.import_into(store, traces, 1.0)
        again = importing.import_into(store, traces, 2.0)
        assert first.added + first.repeated == again.repeated == len(traces)
        assert again.added == 0
