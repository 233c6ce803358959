"""The interpreter of CPU programs: instructions a second, against NumPy and Unicorn; agreement.

Random legal programs of 8 instructions, drawn from all rows of the table, on 24 test vectors; an
instruction counts once, whatever the number of vectors. All sides run the same programs, each from
where the one before ended, and must end with the same words. Times are processor seconds per
instruction, on one core; `ours` and `theirs` are medians over rounds in which all take turns, and
the rate is of ours at its least.

NumPy computes each instruction on all vectors at once, by the functions that ours is compiled from.
Unicorn runs machine code once for each vector: as a judge, program by program, with encoding and
with its limits (that of time starts a thread for each run); and at its best, all programs in one,
translated once, without limits and without setting or reading words (so there is nothing to check).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.extras import need
from batonq.tasks.cpu.machine import interpreter
from batonq.tasks.cpu.machine.differential import differential, random_program, random_state
from batonq.tasks.cpu.machine.emulator import emulate
from batonq.tasks.cpu.machine.encoding import machine_code
from batonq.tasks.cpu.machine.program import Program, encode

VECTORS: Final = 24
LENGTH: Final = 8
WANTED_RATE: Final = 43e6  # instructions a second
WANTED_RATIO: Final = 50.0  # NumPy's time over ours
CODE: Final = 0x10_0000

Row = dict[str, Any]
State = UInt32[np.ndarray, "word vector"]
Side = Callable[[], State]  # runs all its programs; returns the words they end with


def run(quick: bool) -> list[Row]:
    """Rows on speed, then on agreement."""
    return [*speeds(quick), agreement(quick)]


def speeds(quick: bool) -> list[Row]:
    """Seconds an instruction on 24 vectors: a row for each peer.

    Raises:
        SystemExit: if somebody ends with other words.
    """
    rng = np.random.default_rng(0)
    programs = [random_program(rng, LENGTH) for _ in range(1_000 if quick else 10_000)]
    start = random_state(rng, VECTORS)
    few = {"NumPy": 500, "Unicorn as judge": 50, "Unicorn at its best": 500}
    makers = {"NumPy": by_numpy, "Unicorn as judge": judged, "Unicorn at its best": bare}
    sides = {name: make(programs[: few[name]], start) for name, make in makers.items()}
    for name in ("NumPy", "Unicorn as judge"):
        if not np.array_equal(sides[name](), compiled(programs[: few[name]], start)()):
            raise SystemExit(f"cpu: {name} ends with other words")
    ours = compiled(programs, start)
    spent: dict[str, list[float]] = {name: [] for name in ("ours", *sides)}
    for _ in range(3 if quick else 9):
        spent["ours"].append(seconds(ours) / (LENGTH * len(programs)))
        for name, side in sides.items():
            spent[name].append(seconds(side) / (LENGTH * few[name]))
    return [against(name, spent["ours"], spent[name]) for name in sides]


def seconds(side: Side) -> float:
    """Processor seconds of one call."""
    began = time.process_time()
    side()
    return time.process_time() - began


def against(name: str, ours: list[float], theirs: list[float]) -> Row:
    """One row of `speeds`."""
    row: Row = {"what": "speed", "peer": name, "ours": median(ours), "theirs": median(theirs)}
    row |= {"ratio": median(theirs) / median(ours)}
    row |= {"wanted_ratio": WANTED_RATIO} if name == "NumPy" else {}
    return row | {"instructions_per_second": 1 / min(ours), "wanted_rate": WANTED_RATE}


def compiled(programs: list[Program], start: State) -> Side:
    """The interpreter."""
    steps = encode([instruction for program in programs for instruction in program])

    def side() -> State:
        state = start.copy()
        if not interpreter.run(steps, state):
            raise SystemExit("cpu: a random program is not legal")
        return state

    side()  # compiles
    return side


def by_numpy(programs: list[Program], start: State) -> Side:
    """The same table by NumPy."""
    steps = encode([instruction for program in programs for instruction in program]).tolist()

    def side() -> State:
        state = start.copy()
        for op, dst, src in steps:
            interpreter.execute_plain(op, dst, src, state)
        return state

    return side


def judged(programs: list[Program], start: State) -> Side:
    """Unicorn as programs are judged."""

    def side() -> State:
        state = start
        for program in programs:
            state = emulate(program, state)
        return state

    return side


def bare(programs: list[Program], start: State) -> Side:
    """Unicorn's own loop over one long program; what it is given and returns does not matter."""
    code = b"".join(machine_code([instruction for one in programs for instruction in one], CODE))
    unicorn, names = need("unicorn"), need("unicorn.x86_const")
    processor = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    processor.mem_map(CODE, 1 << 16, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
    processor.mem_map(2 * CODE, 1 << 16)
    processor.reg_write(names.UC_X86_REG_RDI, 2 * CODE)
    processor.mem_write(CODE, code)

    def side() -> State:
        for _ in range(VECTORS):
            processor.emu_start(CODE, CODE + len(code))
        return start

    side()  # translates
    return side


def agreement(quick: bool) -> Row:
    """Programs that Unicorn, or Z3's terms, end otherwise than the interpreter."""
    number, inputs = (1_000 if quick else 10_000), 8
    began = time.process_time()
    found = differential(number, seed=1, length=LENGTH, vectors=inputs)
    row: Row = {"what": "agreement", "programs": found.programs, "inputs": inputs}
    row |= {"unicorn_differs": found.emulator, "z3_differs": found.prover, "first": found.first}
    return row | {"seconds": time.process_time() - began}
