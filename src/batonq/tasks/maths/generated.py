"""Simulated solvers of known skill answer generated word problems: a board without any files.

A solver goes through a problem step by step. At each step it errs if the step's hidden difficulty
(partly shared by all solvers, partly its own) exceeds its skill at that kind of arithmetic; an
error is one of the usual misreadings, and solvers tend to fall for the same one. So answers that
agree are often right but not always, and solvers differ in what they can do, in how much they
write and in their price. A solver that is unsure is likelier to write its sum out twice: something
only it knows. Nothing here is a measurement of a real model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from batonq.base.seeds import generator
from batonq.tasks.maths.board import Attempt, Board, make_board, numeric_attempt
from batonq.tasks.maths.extract import extract
from batonq.tasks.maths.prices import load_prices
from batonq.tasks.maths.problems import Kind, Problem, mistakes, number, result, write_problem

QUESTIONS = 1_000
_SAME_TRAP = 0.85  # probability that a solver falls for the misreading that tempts the others
_SYMBOLS: dict[Kind, str] = {
    "add": "{x} + {a}",
    "subtract": "{x} - {a}",
    "times": "{x} * {a}",
    "share": "{x} / {a}",
    "percent": "{x} - {x} * {a} / 100",
    "part": "{x} - {x} * {a} / {b}",
    "groups": "{x} + {a} * {b}",
    "both": "{x} + {x} + {a}",
    "idle": "{x}",
}


@dataclass(frozen=True)
class Solver:
    """A simulated model under one prompt.

    Attributes:
        model: its name in the price file.
        prompt: its prompt in the price file.
        skill: of each kind of step, in standard deviations of difficulty above the mean; "idle"
            is the skill to leave out what does not matter.
        shared: share of the difficulty's variance common to all solvers, in [0, 1].
        gives_up: probability that it says so when it meets a step it cannot do.
        doubts: probability that it writes its last step twice when it erred; a fifth of it
            when it did not.
        style: how it ends: "prose", "box", "hashes" or "program".
    """

    model: str
    prompt: str
    skill: Mapping[Kind, float]
    shared: float
    gives_up: float
    doubts: float
    style: str


def _skill(common: float, **other: float) -> dict[Kind, float]:
    kinds: tuple[Kind, ...] = tuple(_SYMBOLS)
    return {kind: other.get(kind, common) for kind in kinds}


SOLVERS = (
    Solver(
        "simulated-small", "direct", _skill(2.0, percent=0.9, part=0.8), 0.8, 0.02, 0.5, "hashes"
    ),
    Solver("simulated-small", "careful", _skill(2.2, percent=1.1, both=1.0), 0.8, 0.02, 0.5, "box"),
    Solver(
        "simulated-program", "direct", _skill(2.3, idle=0.6, both=0.8), 0.6, 0.3, 0.0, "program"
    ),
    Solver("simulated-medium", "direct", _skill(2.1, groups=1.1, share=1.2), 0.7, 0.05, 0.6, "box"),
    Solver("simulated-large", "direct", _skill(2.3, both=1.7), 0.7, 0.0, 0.6, "prose"),
)


def generated_board(
    *,
    parse: str = "extracted",
    seed: int = 0,
    questions: int = QUESTIONS,
    solvers: Sequence[Solver] = SOLVERS,
) -> Board:
    """Return the board of `solvers` on newly written problems.

    Args:
        parse: "extracted" reads the solvers' texts; "source" takes the number each had in mind.
        seed: of the problems and of the solvers' difficulties; the same seed gives the same board.
        questions: how many problems.
        solvers: who answers; default: two prompts of a small model, one that writes programs, a
            medium and a large one.
    """
    problems = [write_problem(generator(seed, 0, index)) for index in range(questions)]
    attempts = []
    for index, problem in enumerate(problems):
        rng = generator(seed, 1, index)
        common = rng.standard_normal(len(problem.steps))
        trap = float(rng.random())
        attempts.append([_attempt(problem, solver, common, trap, rng, parse) for solver in solvers])
    prices = load_prices()
    return make_board(
        "generated",
        parse,
        [(prices.model(solver.model), prices.prompt(solver.prompt)) for solver in solvers],
        [problem.text for problem in problems],
        [f"{problem.length} steps" for problem in problems],
        np.array([float(problem.answer) for problem in problems]),
        attempts,
    )


def solve(
    problem: Problem,
    solver: Solver,
    common: Float[np.ndarray, " step"],
    trap: float,
    rng: np.random.Generator,
) -> tuple[str, float | None]:
    """Let a solver answer a problem.

    Args:
        problem: what is asked.
        solver: who answers.
        common: the shared part of each step's difficulty, standard normal.
        trap: in [0, 1), which misreading is tempting here; the same for all solvers.
        rng: the solver's own luck.

    Returns:
        Its text, and the number it states (None if it gives up).
    """
    amount, erred = problem.start, False
    lines: list[str] = []
    for step, difficulty in zip(problem.steps, common, strict=True):
        own = float(rng.standard_normal())
        total = solver.shared**0.5 * difficulty + (1.0 - solver.shared) ** 0.5 * own
        fails = total > solver.skill[step.kind]
        if fails and rng.random() < solver.gives_up:
            return _given_up(solver, lines), None
        options = mistakes(step, amount)
        chosen = trap if rng.random() < _SAME_TRAP else float(rng.random())
        wrong = options[int(chosen * len(options))]
        after = wrong if fails else result(step.kind, amount, step.a, step.b)
        erred = erred or fails
        if step.kind != "idle" or fails:
            sum_ = _SYMBOLS[step.kind].format(x=number(amount), a=step.a, b=step.b)
            if fails:
                sum_ = f"{number(amount)} changed by {step.a}"
            lines.append(f"{sum_} = {number(after)}")
        amount = after
    if rng.random() < solver.doubts * (1.0 if erred else 0.2) and lines:
        lines.append(f"Let me do this again: {lines[-1]}")
    return _written(problem, solver, lines, amount), float(number(amount))


def _attempt(
    problem: Problem,
    solver: Solver,
    common: Float[np.ndarray, " step"],
    trap: float,
    rng: np.random.Generator,
    parse: str,
) -> Attempt:
    text, stated = solve(problem, solver, common, trap, rng)
    return numeric_attempt(text, extract(text, problem.text) if parse == "extracted" else stated)


def _written(problem: Problem, solver: Solver, lines: Sequence[str], amount: Fraction) -> str:
    """Write a solution in the solver's style."""
    value = number(amount)
    if solver.style == "program":
        code = "\n".join(line.split(" = ")[0] for line in lines)
        return f"```python\n{code}\n```\n```output\n{value}\n```\nThere are {value} of them."
    body = "\n".join(f"{line}." for line in lines)
    if solver.style == "hashes":
        return f"{body}\n#### {value}"
    if solver.style == "box":
        return f"First, I go through it in order.\n{body}\nThe answer is \\boxed{{{value}}}."
    return (
        f"Let us think step by step. {problem.name} starts with {number(problem.start)} "
        f"{problem.things}.\n{body}\nTherefore, {problem.name} has {value} {problem.things} "
        f"after starting with {number(problem.start)}."
    )


def _given_up(solver: Solver, lines: Sequence[str]) -> str:
    if solver.style == "program":
        return "```python\nraise ValueError\n```\nThe program failed."
    body = "\n".join(f"{line}." for line in lines)
    return f"{body}\nI cannot determine the answer from this."
