"""Writes school-mathematics word problems whose answers are known exactly.

A problem is a chain of two to five steps on an amount of something. Every step is one sentence
that does one kind of arithmetic; sometimes a sentence is added that does not matter. Amounts are
rational numbers with few decimals, so an answer can be compared without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

Kind = Literal["add", "subtract", "times", "share", "percent", "part", "groups", "both", "idle"]
KINDS: tuple[Kind, ...] = ("add", "subtract", "times", "share", "percent", "part", "groups", "both")

_NAMES = ("Ada", "Bela", "Chidi", "Dara", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun")
_THINGS = (
    *("apples", "stamps", "marbles", "pencils", "shells", "cards", "tickets", "buttons"),
    *("litres of juice", "kilograms of rice", "metres of rope", "cups of flour"),
)
_FIRST_MEASURED = 8  # things from here on come in parts
_TEMPLATES: dict[Kind, tuple[str, ...]] = {
    "add": (
        "{name} buys {a} more.",
        "A neighbour gives {name} another {a}.",
        "On Monday {name} gets {a} more {things}.",
        "{name} finds {a} more in the cellar.",
    ),
    "subtract": (
        "{name} gives {a} of them to a friend.",
        "Then {a} are lost on the way.",
        "{name} uses up {a} before lunch.",
        "After that {name} sells {a}.",
    ),
    "times": (
        "A week later {name} has {a} times as much as that.",
        "With a lucky trade the amount becomes {a} times what it was.",
        "{name} works hard until there is {a} times as much.",
    ),
    "share": (
        "{name} shares everything equally among {a} people and takes one of the shares.",
        "All of it is divided into {a} equal boxes, and {name} keeps one box.",
        "{name} splits it evenly over {a} days and now looks at one day's amount.",
    ),
    "percent": (
        "Then {a}% of it is spoilt and thrown away.",
        "{name} sells {a}% of what there is.",
        "A storm destroys {a}% of it.",
    ),
    "part": (
        "{name} eats {a}/{b} of what is there.",
        "The school takes {a}/{b} of it.",
        "Of this, {a}/{b} goes to charity.",
    ),
    "groups": (
        "Then {name} buys {a} boxes with {b} {things} in each.",
        "{a} friends each bring {name} {b} more.",
        "For {a} days {name} collects {b} a day and adds them.",
    ),
    "both": (
        "{other} has {a} more than {name} has now, and they put everything together.",
        "{other}, who has {a} more than {name}, adds everything to {name}'s.",
    ),
    "idle": (
        "{name} is {a} years old.",
        "The shop is {a} kilometres away.",
        "It is the {a}th time this year.",
    ),
}


@dataclass(frozen=True)
class Step:
    """One sentence of a problem.

    Attributes:
        kind: the arithmetic it asks for; "idle" asks for none.
        a: its first number.
        b: its second number; 1 where there is none.
        before: the amount before it.
        after: the amount after it.
    """

    kind: Kind
    a: int
    b: int
    before: Fraction
    after: Fraction


@dataclass(frozen=True)
class Problem:
    """A word problem.

    Attributes:
        text: the question as it is asked.
        name: who it is about.
        things: what is counted or measured.
        start: the amount at first.
        steps: its sentences in order, idle ones included.
        answer: the right answer.
    """

    text: str
    name: str
    things: str
    start: Fraction
    steps: tuple[Step, ...]
    answer: Fraction

    @property
    def length(self) -> int:
        """The number of steps that do arithmetic."""
        return sum(step.kind != "idle" for step in self.steps)


def write_problem(rng: np.random.Generator) -> Problem:
    """Write a problem of two to five steps, drawn with `rng`."""
    name, other = (str(_NAMES[i]) for i in rng.choice(len(_NAMES), 2, replace=False))
    thing = int(rng.integers(len(_THINGS)))
    things, measured = _THINGS[thing], thing >= _FIRST_MEASURED
    start = Fraction(int(rng.integers(6, 60)))
    if measured and rng.random() < 0.5:
        start += Fraction(1, 2)
    length = int(rng.integers(2, 6))
    steps: list[Step] = []
    sentences, amount = [f"{name} has {number(start)} {things}."], start
    while sum(step.kind != "idle" for step in steps) < length:
        last = sum(step.kind != "idle" for step in steps) == length - 1
        step = _draw_step(rng, amount, measured, last)
        template = _pick(rng, _TEMPLATES[step.kind])
        sentences.append(template.format(name=name, other=other, things=things, a=step.a, b=step.b))
        steps.append(step)
        amount = step.after
    sentences.append(_ask(rng, name, things, steps[-1].kind))
    return Problem(" ".join(sentences), name, things, start, tuple(steps), amount)


def number(value: Fraction) -> str:
    """Write an amount: whole, or with as many decimals as it needs, four at most."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.4f}".rstrip("0").rstrip(".")


def result(kind: Kind, amount: Fraction, a: int, b: int) -> Fraction:
    """Return what is left of `amount` after a step."""
    outcome: dict[Kind, Callable[[], Fraction]] = {
        "add": lambda: amount + a,
        "subtract": lambda: amount - a,
        "times": lambda: amount * a,
        "share": lambda: amount / a,
        "percent": lambda: amount * Fraction(100 - a, 100),
        "part": lambda: amount * Fraction(b - a, b),
        "groups": lambda: amount + a * b,
        "both": lambda: 2 * amount + a,
        "idle": lambda: amount,
    }
    return outcome[kind]()


def mistakes(step: Step, amount: Fraction) -> tuple[Fraction, ...]:
    """Return the amounts that usual misreadings of a step give instead of the right one.

    The first is the commonest; those that equal the right result are left out.
    """
    a, b = step.a, step.b
    usual: dict[Kind, tuple[Fraction, ...]] = {
        "add": (amount - a, amount),
        "subtract": (amount + a, amount),
        "times": (amount + a, amount * (a + 1)),
        "share": (amount - amount / a, amount - a),
        "percent": (amount * Fraction(a, 100), amount - a),
        "part": (amount * Fraction(a, b), amount / b),
        "groups": (amount + a + b, amount + b, Fraction(a * b)),
        "both": (amount + a, 2 * amount),
        "idle": (amount + a, amount * 2),
    }
    right = result(step.kind, amount, a, b)
    return tuple(value for value in usual[step.kind] if value != right) or (amount + 1,)


def _draw_step(rng: np.random.Generator, amount: Fraction, measured: bool, last: bool) -> Step:
    """Draw a step that leaves a positive amount with at most two decimals."""
    while True:
        kind: Kind = "idle" if rng.random() < 0.12 else KINDS[int(rng.integers(len(KINDS)))]
        if kind == "both" and not last:
            continue
        a, b = _draw_numbers(rng, kind)
        after = result(kind, amount, a, b)
        finest = 4 if measured else 1
        if 0 < after < 20_000 and finest % after.denominator == 0:
            return Step(kind, a, b, amount, after)


def _draw_numbers(rng: np.random.Generator, kind: Kind) -> tuple[int, int]:
    if kind == "percent":
        return int(_pick(rng, ("10", "20", "25", "40", "50", "75"))), 1
    if kind == "part":
        b = int(rng.integers(3, 7))
        return int(rng.integers(1, b)), b
    if kind == "groups":
        return int(rng.integers(2, 9)), int(rng.integers(3, 13))
    if kind in ("times", "share"):
        return int(rng.integers(2, 7)), 1
    return int(rng.integers(2, 40)), 1


def _ask(rng: np.random.Generator, name: str, things: str, kind: Kind) -> str:
    if kind == "both":
        return f"How many {things} do they have together?"
    return _pick(
        rng,
        (
            f"How many {things} does {name} have now?",
            f"How many {things} are there in the end?",
            f"What amount of {things} does {name} end up with?",
        ),
    )


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
