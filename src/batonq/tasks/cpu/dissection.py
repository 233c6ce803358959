"""One program of a finished run, looked at closely: lines and writers, proof, emulator's trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.study.experiment import Table
from batonq.study.folder import load_cell, read_identity
from batonq.tasks.cpu.experiment import NAME, programs
from batonq.tasks.cpu.files import from_table
from batonq.tasks.cpu.listing import Listed
from batonq.tasks.cpu.machine.emulator import CODE_ADDRESS, Step, trace
from batonq.tasks.cpu.machine.encoding import machine_code
from batonq.tasks.cpu.machine.program import Program, parse
from batonq.tasks.cpu.machine.words import (
    CARRY,
    FLAGS,
    OVERFLOW,
    SIGN,
    VALID,
    WORDS,
    ZERO,
)
from batonq.tasks.cpu.prover import SECONDS, prove
from batonq.tasks.cpu.task import Task

EXAMPLE: Final = (0xFFFF_FFF4, 10, 7, 3)  # inputs of the trace where none are given: -12, 10, ...
_FLAGS: Final = ((CARRY, "CF"), (ZERO, "ZF"), (SIGN, "SF"), (OVERFLOW, "OF"))
_SIGN_BIT: Final = 2**31


def found_in(folder: Path) -> list[Listed]:
    """What learners and peers came to in the finished cells of a run of the CPU experiment.

    Raises:
        DataError: `folder` is no such run, or a file of it is damaged.
    """
    identity = read_identity(folder)
    if identity.experiment != NAME:
        raise DataError(
            f"{folder}: a run of '{identity.experiment}', which has no programs; "
            "give the folder of a run of 'cpu', or leave --program out"
        )
    cells = [cell for key in identity.cells if (cell := load_cell(folder, key)) is not None]
    return programs(identity.config, [json.loads(cell.output) for cell in cells])


def dissect(found: Listed, inputs: Sequence[int] = (), seconds: float = SECONDS) -> dict[str, Json]:
    """Encode, prove and emulate a program again.

    Args:
        found: whose program is not None.
        inputs: values to trace it on, in [-2^31, 2^32), in the order of the task's inputs; none:
            the first of the task's examples, else `EXAMPLE`.
        seconds: time limit of the proof.

    Returns:
        JSON: what `Listed` has, ``lines`` (address, bytes, text and writer of each), ``proof``
        (verdict, reason, counterexample by input), and ``trace`` (inputs, steps with what each
        changed, outputs left and wanted).

    Raises:
        DataError: the inputs do not fit the task, or a judge is not installed.
    """
    task, program = from_table(found.task, found.name), parse(found.program or "")
    vector = _vector(task, inputs)
    return {
        "program": found.name,
        "title": task.title,
        "scenario": found.scenario,
        "where": found.where,
        "learner": found.learner,
        "seed_number": found.seed,
        "handoffs": found.handoffs,
        "verdict_of_run": found.verdict,
        "options": [list(one) for one in found.options],
        "lines": _lines(program, found.writers),
        "proof": _proof(program, task, seconds),
        "trace": _trace(program, task, vector),
    }


def tables(dissected: dict[str, Any]) -> tuple[Table, ...]:
    """A dissected program as tables: its lines, and its trace."""
    lines = tuple(
        (f"{one['address']:#x}", one["bytes"], one["text"], one["writer"])
        for one in dissected["lines"]
    )
    traced = dissected["trace"]
    given = ", ".join(f"{name} = {_said(value)}" for name, value in traced["inputs"].items())
    steps = tuple(
        (f"{one['address']:#x}", one["bytes"], one["text"], _changes(one["changed"]))
        for one in traced["steps"]
    )
    return (
        Table("Program, and who wrote each line", ("address", "bytes", "line", "writer"), lines),
        Table(f"Run in Unicorn on {given}", ("address", "bytes", "line", "changed"), steps),
    )


def told(dissected: dict[str, Any]) -> tuple[str, ...]:
    """The rest of a dissected program, as lines of text."""
    proof, traced = dissected["proof"], dissected["trace"]
    said = [f"Proof by Z3, made now: {proof['verdict']}"]
    if proof["reason"]:
        said[0] += f" ({proof['reason']})"
    if proof["counterexample"]:
        values = proof["counterexample"].items()
        said.append(
            "Counterexample: " + ", ".join(f"{name} = {_said(value)}" for name, value in values)
        )
    for word, value in traced["outputs"].items():
        wanted = traced["wanted"]
        aim = f"wanted {_said(wanted[word])}" if wanted else traced["note"]
        said.append(f"Left in {word}: {_said(value)}; {aim}")
    return tuple(said)


def _vector(task: Task, inputs: Sequence[int]) -> UInt32[np.ndarray, "input 1"]:
    count = len(task.inputs)
    if not inputs:
        given = task.examples[0].inputs if task.examples else EXAMPLE
        inputs = [given[k % len(given)] for k in range(count)]
    if len(inputs) != count:
        names = ", ".join(one.name for one in task.inputs)
        raise DataError(f"input: {len(inputs)} values; '{task.name}' takes {count}: {names}")
    for value in inputs:
        if not -_SIGN_BIT <= value < 2 * _SIGN_BIT:
            raise DataError(f"input: {value} is no word; give a number from -2^31 to 2^32 - 1")
    return np.array([[value % (2 * _SIGN_BIT)] for value in inputs], np.uint32)


def _lines(program: Program, writers: Sequence[str]) -> list[Json]:
    found, address = [], CODE_ADDRESS
    for number, code in enumerate(machine_code(program, CODE_ADDRESS)):
        writer = writers[number] if writers else None
        line = {"address": address, "bytes": code.hex(" "), "text": program[number].text}
        found.append({**line, "writer": writer})
        address += len(code)
    return found


def _proof(program: Program, task: Task, seconds: float) -> dict[str, Json]:
    verdict = prove(program, task, seconds)
    wrong = verdict.counterexample
    return {
        "verdict": verdict.outcome,
        "reason": verdict.reason,
        "counterexample": None if wrong is None else _named(task, wrong.tolist()),
    }


def _trace(program: Program, task: Task, vector: UInt32[np.ndarray, "input 1"]) -> dict[str, Json]:
    words = np.ascontiguousarray(task.start(vector)[:, 0])
    steps = []
    for step in trace(program, words):
        steps.append(_step(step, words))
        words = step.words
    places = [output.word for output in task.outputs]
    try:
        wanted, note = task.wanted(vector)[:, 0].tolist(), ""
    except DataError as error:  # examples only, and this is none of theirs
        wanted, note = None, f"not available: {error}"
    return {
        "inputs": _named(task, vector[:, 0].tolist()),
        "steps": steps,
        "outputs": {WORDS[word]: int(words[word]) for word in places},
        "wanted": wanted and dict(zip([WORDS[word] for word in places], wanted, strict=True)),
        "note": note,
    }


def _step(step: Step, before: UInt32[np.ndarray, " word"]) -> dict[str, Json]:
    changed = np.flatnonzero(step.words != before)
    return {
        "address": step.address,
        "bytes": step.code.hex(" "),
        "text": step.text,
        "changed": {
            WORDS[word]: _flags(int(step.words[word])) if word == FLAGS else int(step.words[word])
            for word in changed
        },
    }


def _flags(word: int) -> str:
    """The flags that are set, by name."""
    if not word & VALID:
        return "not valid"
    return " ".join(name for flag, name in _FLAGS if word & flag) or "none set"


def _named(task: Task, values: Sequence[int]) -> dict[str, int]:
    return {one.name: value for one, value in zip(task.inputs, values, strict=True)}


def _changes(changed: dict[str, int | str]) -> str:
    """What a step changed, in words."""
    parts = [f"{word} = {_said(value)}" for word, value in changed.items()]
    return ", ".join(parts) or "nothing"


def _said(value: int | str) -> str:
    """A word as a signed number, and in hexadecimal where that tells more; flags as they are."""
    if isinstance(value, str):
        return value
    signed = value - 2 * _SIGN_BIT if value >= _SIGN_BIT else value
    return f"{signed} ({value:#x})" if not 0 <= signed < 10 else str(signed)
