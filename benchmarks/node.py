"""What a node costs: against bare commits of the same rows, in memory, with many handoffs open.

- `sqlite`: decide + settle, against two commits of the very rows they left, written by plain
  sqlite3 into a file of the same schema with the same settings. In the first case the handoff
  stays in the process (an agent hands to another of the team), in the second it ends the workflow.
- `memory`: the same without a store.
- `open`: a process that opens handoffs and settles none: how much it grows, and what a few of them
  cost then.
- `import` and `first`: what importing the team costs against importing NumPy, each in a process of
  its own, and whether a first handoff brings the compiler in.

Times are processor seconds (another process on the core does not count), medians over rounds in
which both sides take turns; the fastest round is beside them. What a disk makes them wait for is
not counted, on either side: a node with durability "normal" does not wait for it.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, Final

from batonq.node import schema
from batonq.node.team import Team

ROOT: Final = Path(__file__).parents[1]
GAMMA: Final = 0.9
KINDS: Final = ("bug", "question", "idea", "praise")
COLUMNS: Final = "seq, at, open, kind, agent, handoff_id, once, digest, link, salt, body"
SELECT: Final = f"SELECT {COLUMNS} FROM event WHERE seq>? ORDER BY seq"  # noqa: S608 - a constant
INSERT: Final = f"INSERT INTO event({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Row = tuple[Any, ...]


def desk(path: Path | None) -> Team:
    """A team of two agents that hand to each other."""
    team = Team.open(path, gamma=GAMMA, mode="apply", seed=0)
    team.add("intake", to=["search", "end"])
    team.add("search", to=["intake", "end"])
    return team


def work(team: Team, first: int, handoffs: int, ends: bool) -> float:
    """Seconds per handoff, over a number of them, each decided and then settled."""
    intake = team["intake"]
    to = ["end"] if ends else ["search"]
    begun = time.process_time()
    for n in range(first, first + handoffs):
        artifact = {"kind": KINDS[n % 4], "tier": n % 3}
        decision = intake.decide(artifact, to)
        team.settle(decision.id, reward=0.5, duration=2.0, artifact=artifact)
    return (time.process_time() - begun) / handoffs


def commits(path: Path, after: int) -> list[list[Row]]:
    """Rows of a store's events by commit: each decision, then all that settling it left."""
    with closing(sqlite3.connect(path)) as store:
        rows: list[Row] = store.execute(SELECT, (after,)).fetchall()
    groups: list[list[Row]] = []
    for row in rows:
        if row[3] in ("decision", "outcome"):
            groups.append([])
        groups[-1].append(row)
    return groups


class Bare:
    """Plain sqlite3 that writes rows of events, in a file with a store's schema and settings."""

    def __init__(self, path: Path) -> None:
        self._file = schema.connect(path, read_only=False, create=True)
        schema.prepare(self._file, path, "normal", read_only=False, create=True)

    def write(self, groups: list[list[Row]]) -> float:
        """Seconds that so many commits take."""
        execute = self._file.execute
        begun = time.process_time()
        for rows in groups:
            execute("BEGIN IMMEDIATE")
            for row in rows:
                execute(INSERT, row)
            execute("COMMIT")
        return time.process_time() - begun

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def on_disk(ends: bool, handoffs: int, rounds: int, folder: Path) -> dict[str, Any]:
    """One row: a node on SQLite against bare commits of its rows, round by round."""
    path = folder / f"{'ends' if ends else 'hands'}.db"
    bare = Bare(path.with_suffix(".bare"))
    ours, theirs, after = [], [], 0
    with desk(path) as team:
        for number in range(rounds):
            ours.append(work(team, number * handoffs, handoffs, ends))
            groups = commits(path, after)
            assert len(groups) == 2 * handoffs
            theirs.append(bare.write(groups) / handoffs)
            after = team.store.last()
    bare.close()
    return {
        "what": f"sqlite, {'ends' if ends else 'hands on'}",
        "us": 1e6 * median(ours),
        "us_min": 1e6 * min(ours),
        "commits_us": 1e6 * median(theirs),
        "commits_us_min": 1e6 * min(theirs),
        "ratio": median(a / b for a, b in zip(ours, theirs, strict=True)),
        "goal": "ratio <= 2",
    }


def in_memory(ends: bool, handoffs: int, rounds: int) -> dict[str, Any]:
    """One row: a node without a file."""
    with desk(None) as team:
        each = [work(team, number * handoffs, handoffs, ends) for number in range(rounds)]
    return {
        "what": f"memory, {'ends' if ends else 'hands on'}",
        "us": 1e6 * median(each),
        "us_min": 1e6 * min(each),
        "goal": "us <= 30",
    }


def many_open(small: int, large: int, folder: Path) -> dict[str, Any]:
    """One row: resident memory with few and with many handoffs open, and what they cost then."""
    told = _told("open", str(small), str(large), str(folder / "open.db"))
    growth = told["mib"][1] - told["mib"][0]
    cache = schema.CACHE_KIB / 1024
    return {"what": f"open, {large}", **told, "growth_mib": growth, "goal": f"growth <= {cache:g}"}


def _open(small: int, large: int, path: Path) -> dict[str, Any]:
    """In a process of its own: open handoffs, settle a sample, expire the rest."""
    mib, opened = [], 0
    with desk(path) as team:
        intake = team["intake"]
        ids = []
        for goal in (small, large):
            for n in range(opened, goal):
                decision = intake.decide({"kind": KINDS[n % 4], "tier": n % 3}, ["search"])
                if n % (large // 1000) == 0:
                    ids.append(decision.id)
            opened = goal
            mib.append(_resident())
        begun = time.process_time()
        for one in ids:
            team.settle(one, reward=0.5, duration=2.0, artifact={"kind": "bug", "tier": 0})
        settled = (time.process_time() - begun) / len(ids)
        begun = time.process_time()
        assert team.store.count_open() == large - len(ids)
        counted = time.process_time() - begun
        begun = time.process_time()
        expired = team.expire(time.time() + 7200.0)
        closed = (time.process_time() - begun) / expired
        mib.append(_resident())
    return {
        "mib": mib,
        "settle_us": 1e6 * settled,
        "count_us": 1e6 * counted,
        "expire_us": 1e6 * closed,
    }


def _resident() -> float:
    """Resident memory of this process in MiB."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _first() -> dict[str, Any]:
    """In a process of its own: does a first handoff bring the compiler in?"""
    begun = time.process_time()
    with desk(None) as team:
        work(team, 0, 1, ends=False)
        first = time.process_time() - begun
        second = work(team, 1, 1, ends=False)
    return {"first_us": 1e6 * first, "second_us": 1e6 * second, "numba": "numba" in sys.modules}


def _told(*arguments: str) -> dict[str, Any]:
    """What a part of this benchmark says that runs as a process of its own."""
    found: dict[str, Any] = json.loads(_python("-m", "benchmarks.node", *arguments))
    return found


def _python(*arguments: str) -> str:
    """What a Python of its own says."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout


def imports(rounds: int) -> dict[str, Any]:
    """One row: seconds that importing the team takes beyond importing NumPy."""

    def seconds(module: str) -> float:
        code = (
            f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
        )
        return float(_python("-c", code))

    modules = ("numpy", "batonq.node.team")
    taken = [[seconds(module) for module in modules] for _ in range(rounds)]
    numpy, team = (median(each) for each in zip(*taken, strict=True))
    return {"what": "import", "s": team, "numpy_s": numpy, "more_s": team - numpy}


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows of all parts."""
    handoffs, rounds = (200, 3) if quick else (2_000, 31)
    small, large = (2_000, 20_000) if quick else (100_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="batonq-node-") as made:
        folder = Path(made)
        return [
            *(on_disk(ends, handoffs, rounds, folder) for ends in (False, True)),
            *(in_memory(ends, handoffs, rounds) for ends in (False, True)),
            {"what": "first", **_told("first")},
            imports(3 if quick else 9),
            many_open(small, large, folder),
        ]


if __name__ == "__main__":
    if sys.argv[1] == "open":
        print(json.dumps(_open(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
    else:
        print(json.dumps(_first()))
