"""What can be asked of a live run, checked; and which agents and calls it has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batonq.base.errors import DataError, ModelError
from batonq.tasks.maths.interfaces import check_interface
from batonq.tasks.maths.live.answers import Model
from batonq.tasks.maths.live.asking import CHECK, SOLVERS, Call
from batonq.tasks.maths.live.questions import DATASETS, Question, load_questions
from batonq.tasks.maths.live.recorded import CHECKER
from batonq.tasks.maths.replay import CLOSER

CHECKED: Final = "program"  # whose attempts are checked
QUESTIONS: Final = 200
QUICK: Final = 20
PRICE: Final = 0.1  # lambda, if none is given
LEAST: Final = 2  # questions: one to learn from, one to be judged on
HOW_TO: Final = (
    "--live needs models: --models PATH.gguf for one that runs here (`batonq data fetch "
    "qwen2.5-coder-0.5b` gets one, and prints its path), or --models NAME --base-url "
    "https://HOST/v1 --key-env VARIABLE for one that is served; several as "
    "--models A --models B or A,B"
)


@dataclass(frozen=True)
class LiveOptions:
    """The settings of a live run; what it learns depends on nothing else, and on its models.

    Attributes:
        dataset: one of `questions.DATASETS`.
        questions: how many are asked, at least 2; None: 200, or 20 if `quick`.
        split: of the data set.
        subjects: only questions of these; empty takes all.
        prompts: the work actions of every model, of `asking.SOLVERS`.
        checker: label of the model that checks; None: the strongest.
        max_tokens: of the longest reply to any prompt, at least 1; None: each prompt has its own,
            enough for small models that do not reason at length.
        interface: what the holder sees: "answers", "counts" or "own".
        price: lambda, accuracy given for one unit of cost.
        seed: of what is drawn while exploring.
        data: the data folder; None: the variable BATONQ_DATA says.
        quick: few questions.

    Raises:
        ModelError: naming the first setting that cannot be right.
    """

    dataset: str = "generated"
    questions: int | None = None
    split: str = "test"
    subjects: tuple[str, ...] = ()
    prompts: tuple[str, ...] = SOLVERS
    checker: str | None = None
    max_tokens: int | None = None
    interface: str = "answers"
    price: float = PRICE
    seed: int = 0
    data: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        for name, value, words in (
            ("dataset", self.dataset, DATASETS),
            *(("prompt", prompt, SOLVERS) for prompt in self.prompts),
        ):
            if value not in words:
                raise ModelError(f"{name}: '{value}' is unknown; choose one of {', '.join(words)}")
        if not self.prompts or len(set(self.prompts)) < len(self.prompts):
            raise ModelError("prompt: give at least one, and each once")
        check_interface(self.interface)
        if self.interface == "board":
            raise ModelError(
                "interface: 'board' shows texts, too much for tables that learn from a few "
                "questions; choose one of answers, counts, own"
            )
        if not 0 <= self.price < math.inf:
            raise ModelError(f"lambda: {self.price:g} is not a price >= 0")
        if self.count < LEAST:
            raise ModelError(f"questions: {self.count} is too few; give at least {LEAST}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ModelError(f"max-tokens: {self.max_tokens} is too few; give at least 1")
        if self.seed < 0:
            raise ModelError(f"seed: {self.seed} is too small; give at least 0")

    @property
    def count(self) -> int:
        """How many questions are wanted."""
        return self.questions if self.questions is not None else QUICK if self.quick else QUESTIONS

    def load(self) -> list[Question]:
        """All questions there are, in the order of asking; the first `count` are asked.

        Raises:
            DataError: if a file is missing or damaged, or there are too few.
        """
        every = load_questions(self.dataset, self.data, self.split)
        found = [one for one in every if not self.subjects or one.subject in self.subjects]
        if len(found) < LEAST:
            there = ", ".join(sorted({one.subject for one in every}))
            raise DataError(
                f"subject: {len(found)} questions are of {', '.join(self.subjects)}; there are: "
                f"{there}"
            )
        return found


@dataclass(frozen=True)
class Team:
    """Who takes part: every model with its prompts, a checker, and the closer.

    Attributes:
        agents: the models' labels, then `CHECKER`; the closer comes after them.
        calls: the work actions, in the order in which ties are settled.
        owner: the agent of each call.
        needs: of each check, the call it checks; -1 for a solver's.
    """

    agents: tuple[str, ...]
    calls: tuple[Call, ...]
    owner: tuple[int, ...]
    needs: tuple[int, ...]


def team(models: Sequence[Model], prompts: Sequence[str], checker: str) -> Team:
    """Lay out agents and calls: the checker checks programs, or the last prompt if none is one.

    Args:
        models: in the order of their agents.
        prompts: of every model.
        checker: label of the model that checks.

    Raises:
        DataError: if a model has the name of another agent.
    """
    labels = [model.label for model in models]
    for name in (CHECKER, CLOSER):
        if name in labels:
            raise DataError(f"a model is called '{name}', as an agent of the game is; rename it")
    checked = CHECKED if CHECKED in prompts else prompts[-1]
    solvers = [Call(label, prompt) for label in labels for prompt in prompts]
    needed = [k for k, call in enumerate(solvers) if call.prompt == checked]
    checks = [Call(checker, CHECK, solvers[k].name) for k in needed]
    return Team(
        agents=(*labels, CHECKER),
        calls=(*solvers, *checks),
        owner=(*(labels.index(call.model) for call in solvers), *[len(labels)] * len(checks)),
        needs=(*[-1] * len(solvers), *needed),
    )


def strongest(models: Sequence[Model], costs: Sequence[float], wanted: str | None = None) -> str:
    """Label of the model that checks: the one wanted, else the largest, else the dearest.

    Args:
        models: to choose from.
        costs: of a token written, of each.
        wanted: its label.

    Raises:
        DataError: if none is called so.
    """
    labels = [model.label for model in models]
    if wanted is not None:
        if wanted not in labels:
            raise DataError(f"--checker: no model is called '{wanted}'; there are: {labels}")
        return wanted
    sizes = [model.parameters for model in models]
    known = [size for size in sizes if size is not None]
    rank = known if len(known) == len(models) else list(costs)
    return labels[max(range(len(models)), key=rank.__getitem__)]
