"""How to read the report, what was chosen, and what the figures do not show."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lines": "Agents write one program together, each task by itself. Solved means that Z3 "
        "proved the program for all inputs, and that Unicorn found it right on 256 fresh inputs. "
        'An answer "unknown" of the prover counts as unsolved. Learners are judged by what the '
        "agents write greedily; of random agents every program counts that a workflow happened "
        "to write. Intervals are over seeds. A learner spends handoffs, breadth_first instructions "
        "executed; mcmc may execute as many as two million programs of full length take, the more "
        "generous of two readings; sygus has seconds, and spends none of these.",
        "curve": "Share of tasks proved within a number of handoffs; of breadth_first and mcmc, "
        "of instructions executed.",
        "lengths": "By the number of instructions of the reference.",
        "programs": "The fastest proved program that IC-Q came to, beside the reference, and who "
        "wrote each line. Durations are sums of cycles of latency.",
        "tasks": "Seeds with a proof, of those run. For IC-Q and random also the median, over "
        "seeds with a proof, of handoffs spent.",
    }
)
CHOICES: Final = (
    "24 test vectors at first, drawn for each task and seed; every counterexample is one more, and "
    "learning begins anew with what is left of the budget, as no information state stays the same.",
    "A program may have one instruction more than the reference (a specification file says how "
    "many), for everybody. A workflow is broken off after the primitive steps of the reference "
    "(without one, of the slowest program of that length) and one more, in which the first holder "
    "may pass; that of random agents also after as many instructions as a program may have.",
    "Learners: constant step 1, as machine and durations are deterministic; epsilon-greedy with "
    "epsilon .02; Monte Carlo, which does better so, step .1 and epsilon .3. Untried actions are "
    "hoped to lead to a program that takes all the steps, so "
    "that one that is found is written at once. One setting for all tasks and sets. Handoffs of "
    "greedy writing count.",
    "icq is the on-line learner: a receiver answers at once. In icq_late it answers when it has "
    "been answered itself, hop by hop back from the workflow's end, so that what the last one "
    "found reaches all of them at once; it is still one number per handoff. "
    "centralised answers at once.",
    "exact: the distinct instructions of the reference. widened: every row of the reference over "
    "all its registers, words of memory, and values.",
    "mcmc is given 2 million times the program's length of executed instructions, so that it can "
    "propose at least 2 million programs. sygus searches for an expression and not a program, with "
    "the operations of the exact set, once for each task.",
    "centralised is one agent with all instructions that sees what each of them sees; nothing is "
    "handed on, so it has fewer actions and one row of values a state, not one per agent.",
)
LIMITS: Final = (
    "Breadth-first search is the better tool at this size. The claim is that agents learn to write "
    "a program without joint values, by one scalar per handoff, and not that this is a good "
    "superoptimiser.",
    "The start is the same in all workflows of a task, so an open-loop sequence would do: nothing "
    "is said of interfaces here.",
    "The exact set is made of a known solution's instructions; the widened set of its mnemonics.",
    "Random agents find most of the short programs within the budget, which leaves little to be "
    "better by; look at the curve against handoffs.",
    "The margin over random agents depends on how long a program may be: with 8 primitive steps to "
    "spare instead of one and no limit on instructions, random agents came close to IC-Q on the "
    "widened set in a trial of two seeds.",
    "Settings of IC-Q (exploration, hope, late answers) were chosen by trials on these same tasks, "
    "with other seeds; random agents have nothing to be set but the length.",
)
