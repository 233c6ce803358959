"""Fuzzers on every parser: only a BatonqError may come out, and what is accepted keeps its word.

Guided by coverage with atheris where that is installed, by blind mutation otherwise. Every target
gets the same time in a process of its own.

`python -m benchmarks.fuzz --minutes M --target NAME ...` for other times and some targets; its exit
status is 1 if there was a finding.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

MINUTES: Final = 30.0
QUICK_SECONDS: Final = 1.0  # of each target
LONGEST: Final = 4096  # bytes of an input
GRACE: Final = 120.0  # seconds for a child to start and to end
SEED: Final = 1


def run(quick: bool, minutes: float = MINUTES, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A row for each target: executions, seconds, findings and the first of them."""
    names = only or _listed()
    seconds = QUICK_SECONDS if quick else 60 * minutes / len(names)
    engine = "atheris" if importlib.util.find_spec("atheris") else "random"
    return [_fuzz(name, engine, seconds) for name in names]


def _listed() -> list[str]:
    """The targets, asked of a child: atheris must instrument batonq before it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--list"],
        capture_output=True, text=True, check=True, timeout=GRACE,
    )  # fmt: skip
    return done.stdout.split()


def _fuzz(name: str, engine: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="batonq-fuzz-") as place:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--child", engine, "--target", name]
        command += ["--seconds", f"{seconds:g}", "--place", place]
        begin = time.perf_counter()
        try:
            done = subprocess.run(  # noqa: S603
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds + GRACE,
                env={**os.environ, "TMPDIR": place},  # what targets write goes with it
            )
            status, told = done.returncode, done.stderr
        except subprocess.TimeoutExpired as error:
            status, told = -1, str(error)
        spent = time.perf_counter() - begin
        file = Path(place) / "findings.jsonl"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = [json.loads(line) for line in text.splitlines()]
    if status:
        found.append({"error": f"the process ended with {status}: {told[-2000:]}", "input": ""})
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", told)
    edges = re.findall(r"cov: (\d+)", told)
    row = {
        "target": name,
        "engine": engine,
        "executions": int(executions[1]) if executions else 0,
        "seconds": spent,
        "edges": int(edges[-1]) if edges else None,
        "findings": len(found),
    }
    if not found:
        return row
    return row | {"kinds": [one["error"][:200] for one in found], "first": found[0]}


class Recorder:
    """Runs a target and keeps what is found, each place of our code once."""

    def __init__(self, run: Callable[[bytes], None], file: Path) -> None:
        self._run = run
        self._file = file
        self._seen: set[str] = set()

    def __call__(self, data: bytes) -> None:
        """Run it on one input."""
        try:
            self._run(data)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = (
                f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
            )
            if where not in self._seen:
                self._seen.add(where)
                told = "".join(traceback.format_exception(error)[-6:])
                with self._file.open("a", encoding="utf-8") as file:
                    json.dump({"error": where, "input": data.hex(), "trace": told}, file)
                    file.write("\n")


def _child_atheris(name: str, seconds: float, place: Path) -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(
        include=["batonq", "json", "tomllib", "benchmarks._fuzz_recipes"],
        exclude=["batonq.icq", "batonq.bound", "batonq.smdp"],
    ):
        target = importlib.import_module("benchmarks._fuzz_targets").TARGETS[name]()
    corpus = place / "corpus"
    corpus.mkdir()
    for k, start in enumerate(target.starts):
        (corpus / str(k)).write_bytes(start)
    options = {
        "max_total_time": max(1, round(seconds)), "max_len": LONGEST, "timeout": 20,
        "rss_limit_mb": 4096, "seed": SEED, "print_final_stats": 1, "artifact_prefix": f"{place}/",
    }  # fmt: skip
    flags = [f"-{key}={value}" for key, value in options.items()]
    atheris.Setup(["fuzz", *flags, str(corpus)], Recorder(target.run, place / "findings.jsonl"))
    atheris.Fuzz()  # ends the process


def _child_random(name: str, seconds: float, place: Path) -> None:
    target = importlib.import_module("benchmarks._fuzz_targets").TARGETS[name]()
    record = Recorder(target.run, place / "findings.jsonl")
    rng = random.Random(SEED)
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        record(mutated(rng, target.starts) if count >= len(target.starts) else target.starts[count])
        count += 1
    sys.stderr.write(f"stat::number_of_executed_units: {count}\n")


def mutated(rng: random.Random, starts: tuple[bytes, ...]) -> bytes:
    """One of the starts with a few bytes changed, put in, taken out, or copied from another."""
    data = bytearray(rng.choice(starts))
    for _ in range(rng.randint(1, 12)):
        at = rng.randint(0, len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 1:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 2:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 3:
            data[at:at] = rng.choice(starts)[rng.randint(0, 40) :][: rng.randint(1, 40)]
        else:
            data += rng.randbytes(rng.randint(1, 16))
    return bytes(data[:LONGEST])


def main() -> int:
    """Fuzz as asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second for each: does it run?")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of all targets together")
    parser.add_argument("--target", nargs="+", default=(), help="some of them; without, all")
    parser.add_argument("--list", action="store_true", help="name the targets and stop")
    for name in ("--child", "--seconds", "--place"):  # how it starts itself
        parser.add_argument(name, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.list:
        targets = importlib.import_module("benchmarks._fuzz_targets").TARGETS
        sys.stdout.writelines(f"{name}\n" for name in targets)
        return 0
    if chosen.child:
        child = _child_atheris if chosen.child == "atheris" else _child_random
        child(chosen.target[0], float(chosen.seconds), Path(chosen.place))
        return 0
    rows = run(chosen.quick, chosen.minutes, chosen.target)
    sys.stdout.writelines(f"{json.dumps(row)}\n" for row in rows)
    return int(any(row["findings"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
