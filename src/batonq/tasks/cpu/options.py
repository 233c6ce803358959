"""What can be asked of the CPU experiment, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.study.options import check_seeds, repetitions_of

SHARED: Final = "shared"
SUITE: Final = "suite"
SCENARIOS: Final = (SHARED, SUITE)
SEEDS: Final = 5
QUICK_SEEDS: Final = 2


@dataclass(frozen=True)
class CpuOptions:
    """The settings of a run.

    Attributes:
        scenario: one of `SCENARIOS`.
        programs: tasks of the suite by name, or paths of specification files; empty takes the
            whole suite. For the scenario "suite".
        seeds: independent repetitions, at least 1; None takes 5, or 2 with `quick`.
        seed: of all that is drawn.
        quick: fewer tasks, seeds and handoffs, for a look.

    Raises:
        ModelError: naming the first setting that cannot be right.
    """

    scenario: str = SHARED
    programs: tuple[str, ...] = ()
    seeds: int | None = None
    seed: int = 0
    quick: bool = False

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ModelError(
                f"scenario: '{self.scenario}' is unknown; choose one of {', '.join(SCENARIOS)}"
            )
        if self.programs and self.scenario != SUITE:
            raise ModelError(
                f"program: scenario '{self.scenario}' learns all of its tasks at once; leave it "
                "out, or choose scenario 'suite'"
            )
        check_seeds(self.repetitions, self.seed)

    @property
    def repetitions(self) -> int:
        """Number of seeds."""
        return repetitions_of(self.seeds, self.quick, SEEDS, QUICK_SEEDS)

    def to_json(self) -> dict[str, Json]:
        """What the results depend on, but for what specification files say."""
        return {
            "scenario": self.scenario,
            "seeds": self.repetitions,
            "seed": self.seed,
            "quick": self.quick,
        }
