"""What a node costs: against bare commits of the same rows, in memory, with many handoffs open.

- `sqlite`: decide + settle, against two commits of the rows that the same handoffs left earlier,
  written by plain sqlite3 into a file of the same schema with the same settings. They take turns
  handoff by handoff: a commit costs less in a tight loop of nothing else, which `loop` times, and
  no pipeline is one. In the first case the handoff stays in the process (an agent hands to another
  of the team), in the second it ends the workflow.
- `memory`: the same without a store.
- `open`: a process that opens handoffs and settles none: how much it grows, and what a few of them
  cost then.
- `import` and `first`: what importing the team costs against importing NumPy, each in a process of
  its own, and whether a first handoff brings the compiler in.

Times are by the clock, medians over rounds; `_min` is the fastest round and `_cpu` processor time,
where neither another process on the core nor the disk counts.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final, NamedTuple

from batonq.node.store import schema
from batonq.node.team import Team

ROOT: Final = Path(__file__).parents[1]
GAMMA: Final = 0.9
KINDS: Final = ("bug", "question", "idea", "praise")
COLUMNS: Final = "seq, at, open, kind, agent, handoff_id, once, digest, link, salt, body"
SELECT: Final = f"SELECT {COLUMNS} FROM event ORDER BY seq"  # noqa: S608 - a constant
INSERT: Final = f"INSERT INTO event({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

Row = tuple[Any, ...]


def desk(path: Path | None) -> Team:
    """A team of two agents that hand to each other."""
    team = Team.open(path, gamma=GAMMA, mode="apply", seed=0)
    team.add("intake", to=["search", "end"])
    team.add("search", to=["intake", "end"])
    return team


class Seconds(NamedTuple):
    """By the clock and of the processor."""

    wall: float
    cpu: float

    @staticmethod
    def now() -> Seconds:
        """Since some moment."""
        return Seconds(time.perf_counter(), time.process_time())

    def since(self, begun: Seconds, count: int) -> Seconds:
        """For each of `count` things done since `begun`."""
        return Seconds((self.wall - begun.wall) / count, (self.cpu - begun.cpu) / count)

    @staticmethod
    def mean(each: Iterable[Seconds]) -> Seconds:
        """Of several."""
        walls, cpus = zip(*each, strict=True)
        return Seconds(fmean(walls), fmean(cpus))


def work(team: Team, first: int, handoffs: int, ends: bool) -> Seconds:
    """For each handoff, of a number of them: decided, then settled."""
    intake = team["intake"]
    to = ["end"] if ends else ["search"]
    begun = Seconds.now()
    for n in range(first, first + handoffs):
        artifact = {"kind": KINDS[n % 4], "tier": n % 3}
        decision = intake.decide(artifact, to)
        team.settle(decision.id, reward=0.5, duration=2.0, artifact=artifact)
    return Seconds.now().since(begun, handoffs)


def times(each: list[Seconds], name: str) -> dict[str, float]:
    """Columns of a row, in microseconds."""
    walls = [1e6 * one.wall for one in each]
    cpu = median(1e6 * one.cpu for one in each)
    return {f"{name}_us": median(walls), f"{name}_us_min": min(walls), f"{name}_us_cpu": cpu}


def commits(path: Path) -> list[list[Row]]:
    """Rows of a store's events by commit: each decision, then all that settling it left."""
    with closing(sqlite3.connect(path)) as store:
        rows: list[Row] = store.execute(SELECT).fetchall()
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

    def write(self, groups: list[list[Row]]) -> Seconds:
        """For each handoff, of two commits."""
        execute = self._file.execute
        begun = Seconds.now()
        for rows in groups:
            execute("BEGIN IMMEDIATE")
            for row in rows:
                execute(INSERT, row)
            execute("COMMIT")
        return Seconds.now().since(begun, len(groups) // 2)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def on_disk(ends: bool, handoffs: int, rounds: int, folder: Path) -> dict[str, Any]:
    """One row: a node on SQLite against bare commits of the rows that such a node left."""
    path = folder / f"{'ends' if ends else 'hands'}.db"
    with desk(path) as team:
        work(team, 0, rounds * handoffs, ends)
        groups = commits(path)
    ours, theirs = [], []
    bare = Bare(path.with_suffix(".bare"))
    with desk(path.with_suffix(".again")) as team:
        for first in range(0, rounds * handoffs, handoffs):
            turns = [
                (work(team, n, 1, ends), bare.write(groups[2 * n : 2 * n + 2]))
                for n in range(first, first + handoffs)
            ]
            ours.append(Seconds.mean(mine for mine, _ in turns))
            theirs.append(Seconds.mean(other for _, other in turns))
    bare.close()
    alone = Bare(path.with_suffix(".alone"))
    loop = [alone.write(groups[k : k + 2 * handoffs]) for k in range(0, len(groups), 2 * handoffs)]
    alone.close()
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "what": f"sqlite, {'ends' if ends else 'hands on'}",
        **times(ours, "node"),
        **times(theirs, "commits"),
        "ratio": median(a.wall / b.wall for a, b in pairs),
        "ratio_cpu": median(a.cpu / b.cpu for a, b in pairs),
        "goal": "ratio <= 2",
        "loop_us": 1e6 * median(one.wall for one in loop),
        "loop_us_cpu": 1e6 * median(one.cpu for one in loop),
    }


def in_memory(ends: bool, handoffs: int, rounds: int) -> dict[str, Any]:
    """One row: a node without a file."""
    with desk(None) as team:
        each = [work(team, number * handoffs, handoffs, ends) for number in range(rounds)]
    what = f"memory, {'ends' if ends else 'hands on'}"
    return {"what": what, **times(each, "node"), "goal": "node_us <= 30"}


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
        begun = Seconds.now()
        for one in ids:
            team.settle(one, reward=0.5, duration=2.0, artifact={"kind": "bug", "tier": 0})
        settled = Seconds.now().since(begun, len(ids))
        begun = Seconds.now()
        assert team.store.count_open() == large - len(ids)
        counted = Seconds.now().since(begun, 1)
        begun = Seconds.now()
        expired = team.expire(time.time() + 7200.0)
        closed = Seconds.now().since(begun, expired)
        mib.append(_resident())
    return {
        "mib": mib,
        "settle_us": 1e6 * settled.wall,
        "count_us": 1e6 * counted.wall,
        "expire_us": 1e6 * closed.wall,
    }


def _resident() -> float:
    """Resident memory of this process in MiB."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _first() -> dict[str, Any]:
    """In a process of its own: does a first handoff bring the compiler in?"""
    with desk(None) as team:
        first, second = (work(team, n, 1, ends=False).wall for n in range(2))
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
    """One row: processor seconds that importing the team takes beyond importing NumPy."""

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
