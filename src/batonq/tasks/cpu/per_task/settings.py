"""What is run: budgets, sets of instructions, and how agents act and step while they learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.icq.behaviour import Behaviour, epsilon_greedy
from batonq.icq.clocks import Clock, constant
from batonq.tasks.cpu.learning.jobs import PASS_DURATION
from batonq.tasks.cpu.learning.learn import GAMMA, Settings
from batonq.tasks.cpu.learning.play import LONGEST
from batonq.tasks.cpu.suite import suite
from batonq.tasks.cpu.task import Task

ICQ: Final = ("icq", "icq_late")  # which have lines to reach
LEARNERS: Final = (*ICQ, "centralised", "no_scalar", "monte_carlo", "random")
PEERS: Final = ("breadth_first", "mcmc", "sygus")
EXACT: Final = "exact"
WIDENED: Final = "widened"
GIVEN: Final = "given"  # the menu of a specification file, the only set of such a task
SETS: Final = (EXACT, WIDENED, GIVEN)

SPARE: Final = 1  # instructions by which a program may be longer than its task's reference
N_VECTORS: Final = 24  # at first; every counterexample is one more
PROOF_SECONDS: Final = 10.0
LOOKS: Final = (100, 2000)  # least and most handoffs between two looks at what agents write
SYGUS_SECONDS: Final = 10
QUICK_SYGUS_SECONDS: Final = 2

# The machine and its durations are deterministic, so a quote is to be taken whole; but not what
# came of a workflow, which depends on what was tried later in it.
CLOCK: Final[Clock] = constant(1.0)
BEHAVIOUR: Final[Behaviour] = epsilon_greedy(0.02)
RETURNS_CLOCK: Final[Clock] = constant(0.1)  # of Monte Carlo
RETURNS_BEHAVIOUR: Final[Behaviour] = epsilon_greedy(0.3)

BUDGET: Final = 2_000_000
QUICK_BUDGET: Final = 200_000
QUICK_TASKS: Final = (
    "p01",
    "p09",
    "p10",
    "p13",
    "p17",
    "p19",
    "sort2",
    "clamp",
    "difference",
    "memory_swap",
    "memory_max",
    "add_saturated",
)


@dataclass(frozen=True)
class Plan:
    """How much a run does.

    Attributes:
        budget: handoffs of a learner, and instructions executed by a peer, for a task and seed.
        sygus_seconds: what the solver of SyGuS may take on a task.
        tasks: names of the suite's tasks.
    """

    budget: int
    sygus_seconds: int
    tasks: tuple[str, ...]


def plan(quick: bool) -> Plan:
    """The plan of a full or a quick run."""
    if quick:
        return Plan(QUICK_BUDGET, QUICK_SYGUS_SECONDS, QUICK_TASKS)
    return Plan(BUDGET, SYGUS_SECONDS, tuple(task.name for task in suite()))


def most_steps(task: Task) -> int:
    """Primitive steps after which a workflow is broken off.

    Those of the reference; without a reference as many as any program of the task's
    length can take. One more is for an instruction to spare or a pass, by which
    the first holder may leave the first instruction to another.
    """
    slowest = max(instruction.duration for instruction in task.menu)
    taken = sum(instruction.duration for instruction in task.reference)
    return min((taken or task.length * slowest) + PASS_DURATION, LONGEST)


def hope(task: Task) -> float:
    """What an action never tried is taken to be worth: a program that takes all the steps."""
    return GAMMA ** most_steps(task)


def chunk(spent: int) -> int:
    """Handoffs until the next look, an eighth of those spent within `LOOKS`."""
    least, most = LOOKS
    return max(least, min(most, spent // 8))


def how(task: Task, learner: str) -> Settings:
    """How the agents of a learner learn a task; those of "random" do not."""
    if learner == "monte_carlo":
        return Settings(learner, RETURNS_CLOCK, RETURNS_BEHAVIOUR, hope(task))
    name = "icq" if learner == "centralised" else learner
    return Settings(name, CLOCK, BEHAVIOUR, hope(task))
