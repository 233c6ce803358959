"""What can be asked of the maths experiment, checked, and how questions fall into folds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.tasks.maths.board import PARSES
from batonq.tasks.maths.interfaces import check_interface
from batonq.tasks.maths.pools import POOLS, pool_named, usual_pools

# lambda, accuracy per US cent
PRICES: Final = (0.0003, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 1.0)
REPORTED: Final = (0.003, 0.03, 0.3)
# lambda, accuracy per weighted kilotoken, of which a local model's call takes .1 to .5
LOCAL_PRICES: Final = (0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
LOCAL_REPORTED: Final = (0.03, 0.3, 1.0)
SCENARIOS: Final = ("static", "drift")


@dataclass(frozen=True)
class MathsOptions:
    """The settings of a run.

    Attributes:
        dataset: "gsm8k", "mmlu", "generated" or "mathqa".
        scenario: "static" or "drift".
        pools: names of pools; empty takes all of the data set but `local`, if there are others.
        parses: "extracted", "source"; empty takes both where they differ.
        interface: what the holder sees, see `interfaces`; None takes "board" and, for drift,
            "answers", whose tables are small enough to learn on-line.
        prices: values of lambda (accuracy per US cent, or weighted kilotoken in the pool
            `local`); empty takes the usual grid.
        folds: parts the questions fall into, at least 2.
        seeds: repetitions of what is drawn at random, at least 1.
        seed: of all that is drawn.
        data: the data folder; None: the variable BATONQ_DATA says.
        recorded: the folder of recorded answers of the pool `local`; None: the package's own.
        quick: a smaller run: one parse, the reported prices, fewer interfaces and handoffs. Runs
            on generated data and of local models are always so, to be done in a minute or two,
            but have all prices of the pool `local`.

    Raises:
        ModelError: naming the first setting that cannot be right.
        DataError: for an unknown pool.
    """

    dataset: str = "generated"
    scenario: str = "static"
    pools: tuple[str, ...] = ()
    parses: tuple[str, ...] = ()
    interface: str | None = None
    prices: tuple[float, ...] = ()
    folds: int = 5
    seeds: int = 5
    seed: int = 0
    data: Path | None = None
    recorded: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        for name, value, words in (
            ("dataset", self.dataset, tuple(POOLS)),
            ("scenario", self.scenario, SCENARIOS),
            *(("parse", parse, PARSES) for parse in self.parses),
        ):
            if value not in words:
                raise ModelError(f"{name}: '{value}' is unknown; choose one of {', '.join(words)}")
        for pool in self.pools:
            pool_named(self.dataset, pool)
        self._check_local()
        check_interface(self.main_interface)
        for price in self.prices:
            if not 0 <= price < math.inf:
                raise ModelError(
                    f"lambda: {price:g} is not a price >= 0; give accuracy per unit of cost"
                )
        for name, number, least in (
            ("folds", self.folds, 2),
            ("seeds", self.seeds, 1),
            ("seed", self.seed, 0),
        ):
            if number < least:
                raise ModelError(f"{name}: {number} is too small; give at least {least}")

    def _check_local(self) -> None:
        if not self.local:
            return
        for name, refused, remedy in (
            ("pool", len(self.pool_names) > 1, "run it by itself: it counts another unit of cost"),
            ("scenario", self.scenario != "static", "choose static"),
            ("parse", "source" in self.parses, "choose extracted"),
        ):
            if refused:
                raise ModelError(f"{name}: is not for pool 'local' as given; {remedy}")

    @property
    def local(self) -> bool:
        """Whether recorded answers of local models are replayed."""
        return any(pool_named(self.dataset, name).local for name in self.pool_names)

    @property
    def light(self) -> bool:
        """Whether to run less of everything."""
        return self.quick or self.local or self.dataset == "generated"

    @property
    def main_interface(self) -> str:
        """What the holder sees in the main comparison."""
        return self.interface or ("answers" if self.scenario == "drift" else "board")

    @property
    def pool_names(self) -> tuple[str, ...]:
        """The pools to run."""
        return self.pools or usual_pools(self.dataset)

    @property
    def parse_names(self) -> tuple[str, ...]:
        """The readings of the answers to run; letters read alike in both."""
        one = self.dataset != "gsm8k" or self.quick or self.scenario == "drift" or self.local
        return self.parses or (PARSES[:1] if one else PARSES)

    @property
    def grid(self) -> tuple[float, ...]:
        """The values of lambda to run."""
        if self.local and not self.quick:
            return self.prices or LOCAL_PRICES
        return self.prices or (self.reported if self.light else PRICES)

    @property
    def reported(self) -> tuple[float, ...]:
        """The values of lambda shown in the first table."""
        return self.prices[:3] or (LOCAL_REPORTED if self.local else REPORTED)

    def to_json(self) -> dict[str, Json]:
        """What the results depend on, without the place of the data."""
        return {
            "dataset": self.dataset,
            "scenario": self.scenario,
            "pools": list(self.pool_names),
            "parses": list(self.parse_names),
            "interface": self.main_interface,
            "lambda": list(self.grid),
            "reported": list(self.reported),
            "folds": self.folds,
            "seeds": self.seeds,
            "seed": self.seed,
            "quick": self.light,
        }


def folds(n_questions: int, count: int, seed: int) -> list[Int[np.ndarray, " row"]]:
    """Deal the questions into `count` folds at random, each in rising order.

    Raises:
        ModelError: if there are fewer questions than folds.
    """
    if count > n_questions:
        raise ModelError(f"folds: {count} for {n_questions} questions; give fewer")
    order = generator(seed, 0).permutation(n_questions)
    return [np.sort(order[part::count]) for part in range(count)]
