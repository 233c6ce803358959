"""Figures of a report: frontier, curves, power laws; and how they become files.

Figures are built without pyplot, so nothing is kept between them, and the same data give the same
bytes. In a report the ink and the palette follow the page's light or dark colours.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter

from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval

INK: Final = "#1b1f24"
PAPER: Final = "#fefefe"
PALETTE: Final = (  # each at least 4.5:1 against white; the page has a twin of each for dark
    "#0b62a8",
    "#c2410c",
    "#047857",
    "#7c3aed",
    "#be185d",
    "#854d0e",
    "#0e7490",
    "#525252",
)
MARKERS: Final = "osD^vPX*<>ph"
DASHES: Final = ("-", "--", "-.", ":")
FINE: Final = 60  # ratio of the ends of a logarithmic axis up to which 2 and 5 get labels too
SETTINGS: Final[Any] = {  # the stubs' key type is a list of literals that varies by release
    "svg.hashsalt": "batonq",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and selected
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@dataclass(frozen=True)
class Curve:
    """One learner over time: `x`, and a value per seed at each x."""

    x: Float[np.ndarray, " point"]
    values: Float[np.ndarray, "seed point"]


def blank(width: float = 4.5, height: float = 3.6) -> tuple[Figure, Axes]:
    """Return an empty figure in the house style and its axes; sizes in inches."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.add_subplot()


def frontier(
    groups: Mapping[str, Sequence[tuple[Interval, Interval]]],
    x_label: str,
    y_label: str,
    log_cost: bool = False,
) -> Figure:
    """Draw accuracy against cost.

    Args:
        groups: per learner its points (cost, accuracy), each with its interval; several points
            of one learner are joined in the order of cost.
        x_label: name and unit of the cost.
        y_label: name and unit of the accuracy.
        log_cost: show cost on a logarithmic scale.
    """
    figure, axes = blank(height=3.4 + 0.1 * len(groups))
    with mpl.rc_context(SETTINGS):
        for index, (name, points) in enumerate(groups.items()):
            ordered = sorted(points, key=lambda point: point[0].value)
            xs, ys = ([point[axis] for point in ordered] for axis in (0, 1))
            axes.errorbar(
                [x.value for x in xs],
                [y.value for y in ys],
                xerr=_reach(xs),
                yerr=_reach(ys),
                label=name,
                color=PALETTE[index % len(PALETTE)],
                marker=MARKERS[index % len(MARKERS)],
                linestyle=DASHES[index // len(PALETTE) % len(DASHES)],
                markersize=5,
                linewidth=1.4,
                elinewidth=0.7,
                zorder=10 - min(index, 8),
            )
        if log_cost:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        _label(figure, axes, x_label, y_label)
    return figure


def curves(
    learners: Mapping[str, Curve],
    x_label: str,
    y_label: str,
    levels: Mapping[str, float] | None = None,
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """Draw learning curves: the mean over seeds with its 95 % band.

    Args:
        learners: per learner its curve.
        x_label: name and unit of x.
        y_label: name and unit of y.
        levels: named horizontal lines, such as an optimum.
        marks: named vertical lines, such as the moment of a change.
    """
    figure, axes = blank(height=3.4 + 0.1 * len(learners))
    shown = [np.fromiter((levels or {}).values(), float)]
    with mpl.rc_context(SETTINGS):
        for index, (name, curve) in enumerate(learners.items()):
            means = [over_seeds(column) for column in np.asarray(curve.values).T]
            middle = np.array([mean.value for mean in means])
            below, above = _reach(means)
            colour = PALETTE[index % len(PALETTE)]
            dash = DASHES[index % len(DASHES)]
            axes.plot(curve.x, middle, dash, color=colour, label=name, linewidth=1.6)
            axes.fill_between(curve.x, middle - below, middle + above, color=colour, alpha=0.18)
            ends = np.concatenate([middle - below, middle + above])
            shown += [middle, np.quantile(ends, (0.05, 0.95))]
        low, high = np.concatenate(shown).min(), np.concatenate(shown).max()
        margin = 0.05 * (high - low) or 0.01
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_ylim(low - margin, high + margin)  # a few seeds' first bands may lie outside
        for name, level in (levels or {}).items():
            axes.axhline(level, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), label=name)
        for name, place in (marks or {}).items():
            axes.axvline(place, color=INK, linewidth=0.9)
            axes.annotate(
                name,
                (place, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, 0),
                textcoords="offset points",
                va="bottom",
                fontsize=9,
            )
        _label(figure, axes, x_label, y_label)
    return figure


def loglog(
    groups: Mapping[str, Sequence[tuple[float, Interval]]],
    x_label: str,
    y_label: str,
    slopes: Mapping[str, float] | None = None,
    predicted: float | None = None,
) -> Figure:
    """Draw power laws: points with intervals on two logarithmic scales, their fits, a slope.

    Args:
        groups: per series its points (x, y), both positive; joined where no fit is given.
        x_label: name and unit of x.
        y_label: name and unit of y.
        slopes: fitted exponents by series; each line goes through the middle of its series.
        predicted: exponent of a dotted line through the middle of the first series.
    """
    figure, axes = blank(height=3.4 + 0.1 * len(groups))
    fitted = slopes or {}
    with mpl.rc_context(SETTINGS):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for index, (name, points) in enumerate(groups.items()):
            xs = np.array([x for x, _ in points])
            ys = [y for _, y in points]
            colour = PALETTE[index % len(PALETTE)]
            axes.errorbar(
                xs,
                [y.value for y in ys],
                yerr=_reach(ys),
                label=f"{name}, slope {fitted[name]:.2f}" if name in fitted else name,
                color=colour,
                marker=MARKERS[index % len(MARKERS)],
                linestyle="none" if name in fitted else DASHES[index % len(DASHES)],
                markersize=5,
                linewidth=1.2,
                elinewidth=0.7,
                zorder=10 - min(index, 7),
            )
            if name in fitted:
                axes.plot(xs, _power(xs, ys, fitted[name]), color=colour, linewidth=1.4)
            if index == 0 and predicted is not None:
                line = _power(xs, ys, predicted)
                label = f"predicted slope {predicted:g}"
                axes.plot(xs, line, color=INK, linewidth=1, linestyle=(0, (1, 2)), label=label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < FINE * low else (1,)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        _label(figure, axes, x_label, y_label)
    return figure


def gaps(
    exact: Sequence[Sequence[float]],
    found: Sequence[Sequence[Interval]],
    names: Sequence[str],
    label: str,
) -> Figure:
    """Draw gaps of models behind ever coarser interfaces: exact as lines, realised as points.

    Args:
        exact: by model and interface.
        found: the same, with intervals.
        names: of the interfaces, the finest first.
        label: what they are called.
    """
    figure, axes = blank()
    with mpl.rc_context(SETTINGS):
        for index, (line, points) in enumerate(zip(exact, found, strict=True)):
            colour = PALETTE[index % len(PALETTE)]
            places = np.arange(len(names)) + 0.04 * (index - len(exact) / 2)
            axes.plot(places, line, color=colour, linewidth=0.8)
            axes.errorbar(
                places,
                [one.value for one in points],
                yerr=_reach(points),
                color=colour,
                marker="o",
                markersize=3,
                linestyle="none",
                elinewidth=0.8,
            )
        axes.set_xticks(range(len(names)), names)
        axes.set_xlabel(label)
        axes.set_ylabel("gap in L2(mu)")
    return figure


def _power(
    xs: Float[np.ndarray, " point"], ys: Sequence[Interval], slope: float
) -> Float[np.ndarray, " point"]:
    """The power law of a given exponent through the points' geometric mean."""
    along = np.log(xs)
    level = np.mean([np.log(y.value) for y in ys])
    line: np.ndarray = np.exp(level + slope * (along - along.mean()))
    return line


def files(figure: Figure) -> tuple[str, bytes]:
    """Return the figure as (SVG text, PDF bytes), the same bytes for the same figure."""
    pdf = io.BytesIO()
    with mpl.rc_context(SETTINGS):
        svg = _svg(figure, PAPER)
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None}, facecolor=PAPER)
    return svg, pdf.getvalue()


def inline(figure: Figure, name: str, alt: str) -> str:
    """Return the figure as an SVG element for a page: own identifiers, the page's colours.

    Args:
        figure: what to draw.
        name: prefix of its identifiers, so that several figures fit in one page.
        alt: what it tells, for a reader who cannot see it; plain text without markup.
    """
    with mpl.rc_context(SETTINGS):
        text = _svg(figure, "none")
    text = text[text.index("<svg") :]
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    for index, colour in enumerate(PALETTE):
        text = text.replace(colour, f"var(--series-{index})")
    quoted = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{quoted}"', 1).strip()


def _svg(figure: Figure, paper: str) -> str:
    text = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=metadata, facecolor=paper)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _reach(points: Sequence[Interval]) -> Float[np.ndarray, "2 point"]:
    """Return how far each interval reaches below and above its value; 0 where there is none."""
    below = [0.0 if p.low is None else max(0.0, p.value - p.low) for p in points]
    above = [0.0 if p.high is None else max(0.0, p.high - p.value) for p in points]
    return np.array([below, above])


def _label(figure: Figure, axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.legend(loc="outside lower center", ncols=2)
