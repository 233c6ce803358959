"""The work of one cell: train one crew's networks, then set them tasks they were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from batonq.base.files import Json
from batonq.icq.behaviour import epsilon_greedy, uniform
from batonq.tasks.cpu.heldout.learn import Learners, Settings, narrowed
from batonq.tasks.cpu.heldout.split import Set, Split, split
from batonq.tasks.cpu.learning.learn import Apprentices
from batonq.tasks.cpu.learning.learn import Settings as TableSettings
from batonq.tasks.cpu.machine.program import Program
from batonq.tasks.cpu.machine.words import EAX
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.shared.workshop import SHOPS, VECTORS, workshop

TRIES: Final = 10  # attempts at a task: the first greedily, the others with `WANDERING`
WANDERING: Final = 0.2  # chance of any action instead of the best one
SECONDS: Final = 2.0  # longest proof
TRAINED: Final = 4  # most instructions of functions trained on
LONGEST: Final = 5  # most instructions of functions held out
PER_LENGTH: Final = 4  # held-out tasks of each length on which learning goes on
CHUNK: Final = 250  # handoffs between two looks whether a task is solved
# What a value is a network of: neurons (0: linear), and whether two steps are looked at.
NETWORKS: Final[Mapping[str, Settings]] = {
    "32 neurons": Settings(),
    "linear": Settings(width=0),
    "one step": Settings(far=False),
}


def posed(shop: str, seed: int, sizes: tuple[int, int]) -> Split:
    """The jobs of one of the workshop's crews, drawn from `seed`; named are those of the workshop.

    Named ones are those with one output, in eax, as all drawn ones are.
    """
    number = next(k for k, one in enumerate(SHOPS) if one.name == shop)
    jobs = workshop()
    named = [
        one.task
        for one in jobs.jobs
        if one.crew == number and [output.word for output in one.task.outputs] == [EAX]
    ]
    placements = tuple(SHOPS[number].placements.values())
    return split(
        jobs.crews[number],
        SHOPS[number].program,
        named,
        placements,
        VECTORS[: max(map(len, placements))],
        TRAINED,
        LONGEST,
        sizes,
        seed,
    )


def compute(config: Mapping[str, Json]) -> dict[str, Json]:
    """Train, then judge on all three sets, and let learning go on with held-out tasks."""
    shop, network, view, seed = (config[key] for key in ("shop", "network", "vectors", "number"))
    sizes = (config["training"], config["held_out"])
    drawn = posed(str(shop), int(seed), sizes)
    learners = Learners(drawn.training.jobs, int(view), NETWORKS[str(network)], int(seed))
    learners.train(int(config["handoffs"]))
    kept = _some(drawn.training, int(config["held_out"]))
    sets = {"training": kept, "held_out": drawn.held_out, "named": drawn.named}
    return {
        **{key: config[key] for key in ("kind", "shop", "network", "vectors", "number")},
        "handoffs": learners.handoffs,
        "sets": {name: judged(learners, one, int(seed)) for name, one in sets.items()},
        "functions": len(set(drawn.training.keys)),
        "transfer": transferred(learners, drawn.held_out, int(config["goes_on"]), int(seed)),
    }


def _some(whole: Set, most: int) -> Set:
    """At most so many jobs of each length, every function once in it."""
    kept: list[int] = []
    for length in np.unique(whole.shortest).tolist():
        first = {whole.keys[n]: n for n in np.flatnonzero(whole.shortest == length)[::-1].tolist()}
        kept += sorted(first.values())[:most]
    return Set(narrowed(whole.jobs, kept), tuple(whole.keys[n] for n in kept), whole.shortest[kept])


def judged(learners: Learners, one: Set, seed: int) -> dict[str, Json]:
    """Which jobs are proved: by attempt 1, and by the best of `TRIES`, of three kinds of agents."""
    trained = learners.again(one.jobs, seed)
    untrained, chance = trained.scrambled(seed + 1), uniform()
    verdicts: dict[tuple[int, Program], bool] = {}

    def proved(job: int, write: Callable[[int, int], tuple[Program, bool]]) -> list[bool]:
        found = []
        for number in range(TRIES):
            program, right = write(job, number)
            if right and (job, program) not in verdicts:
                task = one.jobs.jobs[job].task
                verdicts[job, program] = prove(program, task, SECONDS).proved
            found.append(right and verdicts[job, program])
            if found[-1]:
                break
        return [found[0], any(found)]

    def attempts(who: Learners) -> Callable[[int, int], tuple[Program, bool]]:
        return lambda job, n: who.write(job, epsilon_greedy(WANDERING) if n else None)

    ways: dict[str, Callable[[int, int], tuple[Program, bool]]] = {
        "trained": attempts(trained),
        "untrained": attempts(untrained),
        "random": lambda job, _: trained.write(job, chance),
    }
    jobs = range(len(one.jobs.jobs))
    found: dict[str, Any] = {name: [proved(job, way) for job in jobs] for name, way in ways.items()}
    names = [job.task.name for job in one.jobs.jobs]
    return {"shortest": one.shortest.tolist(), "names": names, **found}


def transferred(learners: Learners, one: Set, budget: int, seed: int) -> dict[str, Json]:
    """Handoffs until a held-out task is first solved while learning it alone, `budget` if never.

    "trained" goes on from the networks, "scratch" begins with new ones, "table" is tabular IC-Q,
    "random" acts at random. All are judged by the same tests.
    """
    found: dict[str, list[int]] = {
        name: [] for name in ("shortest", "trained", "scratch", "table", "random")
    }
    for length in np.unique(one.shortest[one.shortest > 1]).tolist():
        for job in np.flatnonzero(one.shortest == length)[:PER_LENGTH].tolist():
            alone = narrowed(one.jobs, [job])
            at = seed + 1000 * job
            found["shortest"].append(length)
            found["trained"].append(_until_solved(learners.again(alone, at), budget))
            scratch = Learners(alone, learners.view, learners.settings, at)
            found["scratch"].append(_until_solved(scratch, budget))
            for name, learner in (("table", "icq"), ("random", "random")):
                tables = Apprentices(alone, learners.view, TableSettings(learner), at)
                found[name].append(_until_solved(tables, budget))
    return dict(found)


def _until_solved(who: Learners | Apprentices, budget: int) -> int:
    while who.handoffs < budget:
        who.learn(CHUNK)
        if who.first[0] >= 0:
            return min(int(who.first[0]), budget)
    return budget
