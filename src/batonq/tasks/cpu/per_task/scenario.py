"""The scenario "suite" as the CPU experiment runs it: cells, their work, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.study.experiment import Cell, Summary
from batonq.tasks.cpu import files
from batonq.tasks.cpu.listing import PROVED, Listed
from batonq.tasks.cpu.options import SUITE, CpuOptions
from batonq.tasks.cpu.per_task import settings, summary
from batonq.tasks.cpu.per_task.settings import EXACT, GIVEN, WIDENED
from batonq.tasks.cpu.per_task.trials import described, trials
from batonq.tasks.cpu.suite import named, suite
from batonq.tasks.cpu.task import Task, exact, widened


def cells(options: CpuOptions) -> list[Cell]:
    """One cell per task, set of instructions and learner or peer; the longest tasks go first.

    Raises:
        DataError: a program is neither of the suite nor a specification file, or given twice.
    """
    work = [
        (program, task, menu, who)
        for program, task in _tasks(options)
        for menu in ((EXACT, WIDENED) if program == task.name else (GIVEN,))
        for who in (*settings.LEARNERS, *settings.PEERS)
        if who != "sygus" or menu != WIDENED
    ]
    work.sort(key=lambda one: -one[1].length)
    return [
        Cell(
            f"{task.name}-{menu}-{who}",
            {
                "scenario": options.scenario,
                "program": program,
                "set": menu,
                "who": who,
                "seeds": options.repetitions,
                "seed": options.seed,
                "quick": options.quick,
            },
        )
        for program, task, menu, who in work
    ]


def identity(options: CpuOptions) -> dict[str, Json]:
    """The tasks and digests of all that is said of them, and the budget."""
    plan = settings.plan(options.quick)
    return {
        "programs": [
            [task.name, sha256(repr(task).encode()).hexdigest()] for _, task in _tasks(options)
        ],
        "budget": plan.budget,
        "sygus_seconds": plan.sygus_seconds,
    }


def run_cell(config: Mapping[str, Json]) -> Json:
    """Let one learner or peer try one task with one set of instructions."""
    task = _find(config["program"])
    if config["set"] != GIVEN:
        task = {EXACT: exact, WIDENED: widened}[config["set"]](task)
        task = replace(task, length=len(task.reference) + settings.SPARE)
    plan = settings.plan(config["quick"])
    return {
        "task": described(task),
        "set": config["set"],
        "who": config["who"],
        "trials": trials(task, config["who"], config["seeds"], config["seed"], plan),
    }


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return summary.summarise(config, outputs)


def programs(outputs: Sequence[Json]) -> list[Listed]:
    """What every learner and peer came to, in the order of the cells."""
    return [
        Listed(
            name=cell["task"]["name"],
            scenario=SUITE,
            where=cell["set"],
            learner=cell["who"],
            seed=number,
            task=cell["task"]["table"],
            program=trial["program"],
            options=tuple((agent, what) for agent, what in trial.get("options", ())),
            verdict=PROVED if trial["proved"] else trial["note"],
            handoffs=trial["spent"],
        )
        for cell in outputs
        for number, trial in enumerate(cell["trials"])
        if "program" in trial
    ]


def _tasks(options: CpuOptions) -> list[tuple[str, Task]]:
    """What is to be done: how it was asked for, and the task."""
    asked = options.programs or settings.plan(options.quick).tasks
    found = [(program, _find(program)) for program in asked]
    name, count = Counter(task.name for _, task in found).most_common(1)[0]
    if count > 1:
        raise DataError(f"program: {count} tasks are called '{name}'; give each name once")
    return found


def _find(program: str) -> Task:
    """A task of the suite, or of a specification file.

    Raises:
        DataError: there is neither, or the file is no task.
    """
    known = [task.name for task in suite()]
    if program in known:
        return named(program)
    if program.endswith(".toml") or Path(program).exists():
        task = files.read(Path(program))
        if task.name in known:
            raise DataError(f"{program}: the suite has a task '{task.name}'; choose another name")
        return task
    raise DataError(
        f"program: '{program}' is neither a task of the suite nor a specification file (.toml); "
        f"the suite has {', '.join(known)}"
    )
