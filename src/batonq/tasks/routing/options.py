"""What can be asked of the routing experiment, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.study.options import check_seeds, repetitions_of

TRIAGE: Final = "triage"
STATIC: Final = "static"
JITTER: Final = "jitter"
LOAD: Final = "load"
FAILURE: Final = "failure"
SHIFT: Final = "shift"
SCENARIOS: Final = (TRIAGE, STATIC, JITTER, LOAD, FAILURE, SHIFT)
RHOS: Final = (0.5, 0.9, 1.2)
RHO_RANGE: Final = (0.001, 100.0)  # beyond it no packet meets another, or hardly one arrives
SEEDS: Final = 5
QUICK_SEEDS: Final = 2


@dataclass(frozen=True)
class RoutingOptions:
    """The settings of a run.

    Attributes:
        scenario: one of `SCENARIOS`.
        graphs: networks by name or path; empty takes the usual ones of the scenario.
        rhos: utilisations of the busiest link under shortest path, each from .001 to 100; empty
            takes the usual ones of the scenario. For the scenarios with traffic.
        seeds: independent repetitions, at least 1; None takes 5, or 2 with `quick`.
        seed: of all that is drawn.
        data: the data folder; None: the variable BATONQ_DATA says.
        quick: fewer networks or instances, seeds and handoffs, for a look.

    Raises:
        ModelError: naming the first setting that cannot be right.
    """

    scenario: str = TRIAGE
    graphs: tuple[str, ...] = ()
    rhos: tuple[float, ...] = ()
    seeds: int | None = None
    seed: int = 0
    data: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ModelError(
                f"scenario: '{self.scenario}' is unknown; choose one of {', '.join(SCENARIOS)}"
            )
        for name, given, takers in (
            ("graph", self.graphs, (STATIC, JITTER, LOAD, FAILURE, SHIFT)),
            ("rho", self.rhos, (LOAD, FAILURE, SHIFT)),
        ):
            if given and self.scenario not in takers:
                raise ModelError(f"{name}: scenario '{self.scenario}' has none; leave it out")
        for rho in self.rhos:
            if not RHO_RANGE[0] <= rho <= RHO_RANGE[1]:
                raise ModelError(
                    f"rho: {rho:g} is not a number from {RHO_RANGE[0]:g} to {RHO_RANGE[1]:g}; give "
                    "the utilisation of the busiest link under shortest path, such as 0.9"
                )
        check_seeds(self.repetitions, self.seed)

    @property
    def repetitions(self) -> int:
        """Number of seeds."""
        return repetitions_of(self.seeds, self.quick, SEEDS, QUICK_SEEDS)

    def to_json(self) -> dict[str, Json]:
        """What the results depend on, but for the networks themselves."""
        return {
            "scenario": self.scenario,
            "seeds": self.repetitions,
            "seed": self.seed,
            "quick": self.quick,
        }
