"""What the widths of networks come to: gate flips, floor, and whether the budget binds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.intervals import over_seeds
from batonq.study.lines import Line
from batonq.study.rows import Interval, Row
from batonq.tasks.synthetic.axes import around
from batonq.tasks.synthetic.lines import slope_line
from batonq.tasks.synthetic.notes import READ
from batonq.tasks.synthetic.options import WIDTH, WIDTHS
from batonq.tasks.synthetic.slopes import slope

NARROWEST: Final = 16  # width from which the flips are fitted
BUDGET: Final = 1.25  # by how much the floor may be higher at half the budget
FLIPS: Final = around(-0.5, 0.07)


@dataclass(frozen=True, eq=False)
class Widths:
    """Figures of every width, by seed.

    Attributes:
        width: m.
        rms: floor ||f - Q*|| in L2(mu).
        half: the same at half of the optimiser's budget.
        flips: share of gates that are another than at the start.
        used: largest displacement of a neuron over the radius of its ball.
        shown: axes asked for.
    """

    width: Float[np.ndarray, " width"]
    rms: Float[np.ndarray, "seed width"]
    half: Float[np.ndarray, "seed width"]
    flips: Float[np.ndarray, "seed width"]
    used: Float[np.ndarray, "seed width"]
    shown: tuple[str, ...]

    @property
    def binding(self) -> Float[np.ndarray, " width"]:
        """Floor at half the budget over that at all of it, root mean squares over seeds."""
        ratio: np.ndarray = np.sqrt((self.half**2).mean(axis=0) / (self.rms**2).mean(axis=0))
        return ratio

    @property
    def falls(self) -> bool:
        """Whether the mean floor is lower at each next width."""
        return all(a > b for a, b in pairwise(self.rms.mean(axis=0)))

    def slope(self, name: str) -> Interval | None:
        """Slope of the flips or of the floor; None where it is not available.

        Where networks are narrow, neurons move so far that flips no longer go with the distance.
        """
        fitted = self.width >= (NARROWEST if name == "flips" else 0)
        try:
            return slope(self.width[fitted], getattr(self, name)[:, fitted])
        except DataError:
            return None


def gather_widths(config: Mapping[str, Json], cells: Sequence[Json]) -> Widths | None:
    """Put the outputs of the width cells where they belong; None if there are none."""
    outputs = [cell for cell in cells if cell["axis"] == WIDTH]
    if not outputs:
        return None
    by_place = {(int(one["cell"].split("=")[1]), one["number"]): one for one in outputs}
    width = sorted({place[0] for place in by_place})
    numbers = sorted({place[1] for place in by_place})

    def each(name: str) -> Float[np.ndarray, "seed width"]:
        return np.array([[by_place[m, k][name] for m in width] for k in numbers], float)

    shown = tuple(axis for axis in WIDTHS if axis in config["axes"])
    return Widths(
        width=np.array(width, float),
        rms=each("rms"),
        half=each("half"),
        flips=each("flips"),
        used=each("used"),
        shown=shown,
    )


def lines(found: Widths | None) -> list[Line]:
    """The lines to reach."""
    if found is None:
        return []
    extent = f"m = {found.width[0]:g} to {found.width[-1]:g}, {len(found.width)} points"
    fitted = f"m = {max(found.width[0], NARROWEST):g} to {found.width[-1]:g}"
    told = []
    if "width_flips" in found.shown:
        flips = found.slope("flips")
        told.append(slope_line("width_flips", "slope of the gate flips", flips, FLIPS, fitted))
    if "width_rms" in found.shown:
        worst = float(found.binding.max())
        told.append(
            Line(
                "width_rms",
                "floor at half the budget over the floor, largest over widths",
                worst,
                f"floor falls at each width, ratio at most {BUDGET:g}",
                found.falls and worst <= BUDGET,
                f"{extent}; mean floor {found.rms.mean(axis=0)[0]:.3g} to "
                f"{found.rms.mean(axis=0)[-1]:.3g}; largest use of the ball "
                f"{found.used.max():.2f}",
            )
        )
    return told


def rows(found: Widths | None) -> Iterator[Row]:
    """Every figure; neither estimate nor certificate is available for the floor."""
    if found is None:
        return
    for axis, name in (("width_flips", "flips"), ("width_rms", "rms")):
        if axis not in found.shown:
            continue
        for k, width in enumerate(found.width):
            setting = {"axis": axis, "cell": f"m={width:g}"}
            yield over_seeds(getattr(found, name)[:, k]).row(setting, "icq_neural", "measured")
            for metric in ("estimate", "certificate"):
                yield Row(setting, "icq_neural", metric, None)
            if name == "rms":
                half = over_seeds(found.half[:, k])
                yield half.row({**setting, "of": "half budget"}, "icq_neural", "measured")
        fitted = found.slope(name)
        setting = {"axis": axis}
        yield (
            Row(setting, "icq_neural", "slope", None)
            if fitted is None
            else fitted.row(setting, "icq_neural", "slope")
        )


def sections(found: Widths | None) -> list[Section]:
    """One part: every width, and the figure."""
    if found is None:
        return []
    columns = ("width", "gate flips", "floor", "at half the budget", "ratio", "use of the ball")
    table = tuple(
        (
            f"m={width:g}",
            over_seeds(found.flips[:, k]),
            over_seeds(found.rms[:, k]),
            over_seeds(found.half[:, k]),
            float(found.binding[k]),
            float(found.used[:, k].max()),
        )
        for k, width in enumerate(found.width)
    )
    drawing = Drawing(
        "axis-width",
        "Gate flips and floor of networks by width, where the expected semi-gradient leads.",
        "Shares of flipped gates and floors on two logarithmic scales against the width.",
        partial(_figure, found),
    )
    return [Section("Width of the networks", READ[WIDTH], (Table("", columns, table),), (drawing,))]


def _figure(found: Widths) -> Figure:
    groups = {
        label: [(x, over_seeds(values[:, k])) for k, x in enumerate(found.width)]
        for label, values in (("gate flips", found.flips), ("floor", found.rms))
    }
    slopes = {"gate flips": found.slope("flips"), "floor": found.slope("rms")}
    return figures.loglog(
        groups,
        "width m",
        "share of gates; error in L2(mu)",
        slopes={name: one.value for name, one in slopes.items() if one is not None},
        predicted=FLIPS.predicted,
    )
