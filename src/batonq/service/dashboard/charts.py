"""Where the marks of a chart go; the templates draw them, so that every text is escaped there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batonq.node.overview.view import Edge

WIDTH: Final = 360.0  # of every drawing, as wide as a phone: text keeps its size there
SIDE: Final = 96.0  # for the names left and right of the graph
BAND: Final = 64.0  # height of all that one agent hands on
GAP: Final = 14.0
BLOCK: Final = 6.0  # width of a node
MOST_AGENTS: Final = 10  # drawn; all are in the table
MOST_TARGETS: Final = 12
LONGEST: Final = 14  # characters of a drawn name
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 8.0, 18.0  # margins of a line chart
TICKS: Final = 3


@dataclass(frozen=True)
class Node:
    """A block of the graph with its name."""

    name: str
    label: str
    x: float
    y: float
    height: float
    colour: int


@dataclass(frozen=True)
class Ribbon:
    """What one agent hands to one target, as a band from left to right."""

    edge: Edge
    path: str
    width: float
    x: float
    y: float
    colour: int
    text: str


@dataclass(frozen=True)
class Graph:
    """The handoff graph: who decides to the left, whom it leads to to the right."""

    height: float
    sources: tuple[Node, ...]
    targets: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]
    left_out: int


@dataclass(frozen=True)
class Line:
    """One line chart: `path` and dots in a drawing `WIDTH` wide, with its ticks (place, text)."""

    height: float
    path: str
    dots: tuple[tuple[float, float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = 0.0


def graph(edges: Sequence[Edge]) -> Graph | None:
    """Lay out the handoff graph; None without edges. Agents with most decisions first."""
    weight: dict[str, int] = {}
    incoming: dict[str, float] = {}
    for edge in edges:
        weight[edge.agent] = weight.get(edge.agent, 0) + edge.count
        incoming[edge.target] = incoming.get(edge.target, 0.0) + edge.share
    agents = sorted(weight, key=lambda one: -weight[one])[:MOST_AGENTS]
    targets = sorted(incoming, key=lambda one: -incoming[one])[:MOST_TARGETS]
    drawn = [e for e in edges if e.agent in agents and e.target in targets and e.share > 0]
    if not drawn:
        return None
    # A target stands where its senders are on average, so that fewer bands cross.
    place = {
        name: _mean([(agents.index(e.agent), e.share) for e in drawn if e.target == name])
        for name in {e.target for e in drawn}
    }
    targets = sorted(place, key=lambda one: (place[one], one))
    height = len(agents) * (BAND + GAP) + GAP
    into = {one: sum(e.share for e in drawn if e.target == one) * BAND for one in targets}
    free = height - sum(into.values())
    gap = free / (len(targets) + 1)
    sources, ends, ribbons = [], [], []
    to_y, y = {}, gap
    for name in targets:
        ends.append(Node(name, _short(name), WIDTH - SIDE, y, max(into[name], 1.0), 0))
        to_y[name] = y
        y += into[name] + gap
    for k, name in enumerate(agents):
        y = GAP + k * (BAND + GAP)
        sources.append(Node(name, _short(name), SIDE - BLOCK, y, BAND, k % 8))
        mine = [e for e in drawn if e.agent == name]
        for edge in sorted(mine, key=lambda one: targets.index(one.target)):
            ribbons.append(_ribbon(edge, y, to_y[edge.target], k % 8))
            y += edge.share * BAND
            to_y[edge.target] += edge.share * BAND
    return Graph(height, tuple(sources), tuple(ends), tuple(ribbons), len(edges) - len(drawn))


def _ribbon(edge: Edge, start: float, stop: float, colour: int) -> Ribbon:
    width = edge.share * BAND
    a, b, middle = start + width / 2, stop + width / 2, WIDTH / 2
    text = f"{edge.share:.0%}"
    if edge.value is not None:
        text += f"  Q {edge.value:.3g}"
    return Ribbon(
        edge,
        f"M{SIDE:.1f} {a:.1f}C{middle:.1f} {a:.1f} {middle:.1f} {b:.1f} {WIDTH - SIDE:.1f} {b:.1f}",
        max(width, 1.0),
        SIDE + 4,
        a + 3.5,
        colour,
        text if width >= 11 else "",
    )


def _mean(pairs: Sequence[tuple[int, float]]) -> float:
    return sum(k * share for k, share in pairs) / sum(share for _, share in pairs)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def line(
    xs: Sequence[float], ys: Sequence[float | None], unit: str, height: float = 110.0
) -> Line | None:
    """A line through the points whose y is known; None if there are none.

    Args:
        xs: not decreasing.
        ys: None where there is nothing to show.
        unit: of x, for the words on each point.
        height: of the drawing.
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None and math.isfinite(y)]
    if not points:
        return None
    x_low, x_high = 0.0, max(x for x, _ in points) or 1.0
    marks = ticks(min(y for _, y in points), max(y for _, y in points))
    y_low, y_high = marks[0], marks[-1]

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - x_low) / (x_high - x_low)

    def up(y: float) -> float:
        return height - BOTTOM - (height - TOP - BOTTOM) * (y - y_low) / (y_high - y_low)

    places = [(across(x), up(y)) for x, y in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    told = [f"{y:.4g} at {x:,.0f} {unit}" for x, y in points]
    return Line(
        height,
        path,
        tuple((x, y, text) for (x, y), text in zip(places, told, strict=True)),
        tuple((across(x), compact(x)) for x in (0.0, x_high / 2, x_high)),
        tuple((up(y), f"{y:.10g}") for y in marks),
        bottom=height - BOTTOM,
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly spaced, the first at most `low` and the last at least `high`."""
    if high - low < 1e-9 * max(1.0, abs(high)):
        margin = abs(high) / 2 or 1.0
        low, high = low - margin, high + margin
    raw = (high - low) / TICKS
    size = 10.0 ** math.floor(math.log10(raw))
    step = size * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def compact(number: float) -> str:
    """A count with k or M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
