"""Agents that write programs together: handoffs a second on one core, against the same uncompiled.

The tasks of the suite with up to two inputs, each with a crew of its reference's instructions, are
posed at once; agents see 16, 4 or 1 of 16 test vectors. A handoff is one option: an agent writes an
instruction or passes, the test bench looks at all vectors, and the receiver's value crosses. Rates
are of processor time, at first, where most of what is seen is new, and later, where most is known.
The peer is the same code run by Python, in a process of its own, over the same first handoffs; it
must end with as many information states met.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any, Final

import numpy as np

from batonq.base.seeds import generator
from batonq.tasks.cpu.learning.jobs import Job, Jobs, crew
from batonq.tasks.cpu.learning.learn import Apprentices
from batonq.tasks.cpu.suite import suite
from batonq.tasks.cpu.vectors import vectors

VECTORS: Final = 16
VIEWS: Final = (16, 4, 1)
FEW: Final = 3_000  # handoffs of the peer
UNCOMPILED: Final = f"""
import json, time
from benchmarks.cpu_learner import learning
rows = []
for view in {VIEWS}:
    one = learning(view)
    began = time.process_time()
    one.learn({FEW})
    rows.append([(time.process_time() - began) / one.handoffs, one.rows])
print(json.dumps(rows))
"""

Row = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """A row for each number of vectors that agents see.

    Raises:
        SystemExit: if the peer meets other information states.
    """
    found = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", UNCOMPILED],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        against(view, seconds, rows, quick)
        for view, (seconds, rows) in zip(VIEWS, json.loads(found.stdout), strict=True)
    ]


def jobs() -> Jobs:
    """The tasks, on common vectors."""
    tasks = [task for task in suite() if len(task.inputs) <= 2]
    widest = next(task for task in tasks if len(task.inputs) == 2)
    return Jobs(
        tuple(crew(task.name, task.menu) for task in tasks),
        tuple(Job(task, number, 12) for number, task in enumerate(tasks)),
        vectors(widest, VECTORS, generator(0)),
    )


def learning(view: int) -> Apprentices:
    """Agents at the start."""
    return Apprentices(jobs(), view, seed=0)


def against(view: int, theirs: float, rows: int, quick: bool) -> Row:
    """One row."""
    learning(view).learn(1)  # compiles
    one = learning(view)
    one.learn(FEW)
    if one.rows != rows:
        raise SystemExit(f"cpu_learner: {one.rows} information states met, uncompiled {rows}")
    early, late = (100_000, 400_000) if quick else (1_000_000, 4_000_000)
    one = learning(view)
    first, again = seconds(one, early), seconds(one, late)
    return {
        "what": f"learner, {view} of {VECTORS} vectors seen",
        "peer": "the same uncompiled",
        "ours": first,
        "theirs": theirs,
        "ratio": theirs / first,
        "handoffs_per_second_early": 1 / first,
        "handoffs_per_second_late": 1 / again,
        "information_states": one.rows,
        "megabytes": sum(np.asarray(part).nbytes for part in one.memory) / 1e6,
    }


def seconds(one: Apprentices, handoffs: int) -> float:
    """Processor seconds a handoff."""
    before, began = one.handoffs, time.process_time()
    one.learn(handoffs)
    return (time.process_time() - began) / (one.handoffs - before)
