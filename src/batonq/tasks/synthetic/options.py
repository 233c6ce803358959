"""What can be asked of the synthetic experiment, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.study.options import check_seeds, repetitions_of
from batonq.tasks.synthetic.axes import NEURAL, TABULAR

WIDTH: Final = "width"  # the cells behind both of the next
WIDTHS: Final = ("width_flips", "width_rms")
AXES: Final = (*TABULAR, *WIDTHS, NEURAL)
SEEDS: Final = 10
QUICK_SEEDS: Final = 3


@dataclass(frozen=True)
class SyntheticOptions:
    """The settings of a run.

    Attributes:
        axes: names of axes; empty takes all.
        seeds: independent repetitions, at least 1; None takes 10, or 3 with `quick`.
        seed: of the model and of all that is drawn.
        quick: fewer points, seeds and handoffs, for a look: slopes then have wide intervals.

    Raises:
        ModelError: naming the first setting that cannot be right.
    """

    axes: tuple[str, ...] = ()
    seeds: int | None = None
    seed: int = 0
    quick: bool = False

    def __post_init__(self) -> None:
        for axis in self.axes:
            if axis not in AXES:
                raise ModelError(f"axis: '{axis}' is unknown; choose one of {', '.join(AXES)}")
        check_seeds(self.repetitions, self.seed)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The axes to run, each once, in the usual order."""
        return tuple(axis for axis in AXES if not self.axes or axis in self.axes)

    @property
    def parts(self) -> tuple[str, ...]:
        """What to compute for them: both readings of a width come from the same networks."""
        return tuple(dict.fromkeys(WIDTH if axis in WIDTHS else axis for axis in self.chosen))

    @property
    def repetitions(self) -> int:
        """Number of seeds."""
        return repetitions_of(self.seeds, self.quick, SEEDS, QUICK_SEEDS)

    def to_json(self) -> dict[str, Json]:
        """What the results depend on."""
        return {
            "axes": list(self.chosen),
            "seeds": self.repetitions,
            "seed": self.seed,
            "quick": self.quick,
        }
