"""The network drawn: routers at their places, the load of each link, next hops to one destination.

Places are longitude and latitude. Where routers crowd, empty regions are drawn narrower, and
routers still too close to tell apart are moved just far enough; a map that would be flat or slim
is stretched a little. All is in the figures' own ink and palette, so a page can show it light and
dark.
"""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from batonq.study.figures import INK, PALETTE, PAPER, SETTINGS, blank
from batonq.tasks.routing.networks.network import Network

WIDTH: Final = 7.0  # inches
HEIGHTS: Final = (3.0, 6.5)  # lowest and highest figure, without the legend
MARGIN: Final = 26.0  # points around the routers, for names
LINE: Final = 2.0  # points a name keeps from the middle of a link
LETTER: Final = 0.58  # width of a letter in heights of the font, on average
BANDS: Final = (  # utilisation from which a colour holds, and what the legend says
    (0.0, PALETTE[6], "utilisation below .5"),
    (0.5, PALETTE[3], ".5 to .9"),
    (0.9, PALETTE[1], ".9 and above"),
)
STRETCH: Final = 1.5  # of one axis against the other, at most
EVEN: Final = 0.7  # how far the map of a wholly crowded network goes by ranks, not degrees
FEW: Final = 25  # routers up to which every name is written, even across a link
_ROUNDS: Final = 200  # of moving routers apart


def network_map(
    network: Network,
    load: Float[np.ndarray, " link"] | None = None,
    next_link: Int[np.ndarray, " router"] | None = None,
    destination: int | None = None,
) -> Figure:
    """Draw a network.

    Args:
        network: what to draw.
        load: utilisation of each directed link, 0 or more; the two directions of a link lie side
            by side, each to the right of who travels it.
        next_link: the link by which each router sends on what is bound for `destination`; -1
            where there is none. Drawn as arrow heads.
        destination: a router, marked and named.

    Raises:
        ValueError: if an array has another length, or a load is negative or not finite.
    """
    _check(network, load, next_link)
    flat, height = _flattened(network.place)
    spot = _apart(flat)
    figure, axes = blank(WIDTH + 0.1, height + 0.6)  # room for the legend, so a point is a point
    with mpl.rc_context(SETTINGS):
        axes.set(xlim=(0, 72 * WIDTH), ylim=(0, 72 * height), aspect="equal")
        axes.axis("off")
        size = _dot(network.n_routers)
        shown: list[Line2D] = []
        if load is None:
            _plain_links(axes, network, spot, next_link)
        else:
            shown += _loads(axes, network, spot, load)
        if next_link is not None:
            heads = PALETTE[0] if load is None else INK
            _heads(axes, network, spot, next_link, heads, size)
            said = "" if destination is None else f" to {network.routers[destination]}"
            shown.append(Line2D([], [], color=heads, marker=">", ls="", label=f"next hop{said}"))
        shown += _routers(axes, spot, destination, size)
        _names(axes, network, spot, destination, size)
        if shown:
            figure.legend(handles=shown, loc="outside lower center", ncols=3)
    return figure


def _check(
    network: Network,
    load: Float[np.ndarray, " link"] | None,
    next_link: Int[np.ndarray, " router"] | None,
) -> None:
    if load is not None and load.shape != (network.n_links,):
        raise ValueError(f"load: shape {load.shape}; the network has {network.n_links} links")
    if load is not None and not (np.isfinite(load) & (load >= 0)).all():
        raise ValueError("load: holds a negative number or one that is not finite")
    if next_link is not None and next_link.shape != (network.n_routers,):
        raise ValueError(
            f"next_link: shape {next_link.shape}; the network has {network.n_routers} routers"
        )


def _flattened(place: Float[np.ndarray, "router 2"]) -> tuple[Float[np.ndarray, "router 2"], float]:
    """Places in points from the lower left corner, and the height of the map in inches."""
    latitude, longitude = place.T
    around = np.sort(longitude)
    gaps = np.diff(np.append(around, around[0] + 360))
    east = (longitude - around[(gaps.argmax() + 1) % len(around)]) % 360  # cut where nobody is
    x = east * np.cos(np.radians((latitude.min() + latitude.max()) / 2))
    flat, height = _fitted(np.stack([x, latitude], axis=1))
    nearest = np.asarray(cKDTree(flat).query(flat, k=2)[0])[:, 1]
    even = EVEN * float((nearest < _wanted(len(flat))).mean())
    ranks = rankdata(flat, axis=0) / len(flat) * np.ptp(flat, axis=0)
    return _fitted((1 - even) * flat + even * ranks) if even > 0 else (flat, height)


def _fitted(flat: Float[np.ndarray, "router 2"]) -> tuple[Float[np.ndarray, "router 2"], float]:
    """The places scaled and moved to fill the figure, whose height follows from them."""
    low, span = flat.min(axis=0), np.maximum(np.ptp(flat, axis=0), 1e-6)
    fills = (72 * np.array([WIDTH, HEIGHTS[1]]) - 2 * MARGIN) / span
    scale = np.minimum(fills, STRETCH * fills.min())
    height = float(np.clip((scale[1] * span[1] + 2 * MARGIN) / 72, *HEIGHTS))
    return (flat - low - span / 2) * scale + 36 * np.array([WIDTH, height]), height


def _apart(flat: Float[np.ndarray, "router 2"]) -> Float[np.ndarray, "router 2"]:
    """The places with routers nearer than a dot moved apart, each by half of what is missing."""
    wanted = _wanted(len(flat))
    # Routers in one place need a direction to part in: a spiral of a tenth of a point.
    turn = 2.4 * np.arange(len(flat))
    spot = flat + 0.1 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(_ROUNDS):
        pairs = cKDTree(spot).query_pairs(0.99 * wanted, output_type="ndarray")
        if len(pairs) == 0:
            break
        between = spot[pairs[:, 1]] - spot[pairs[:, 0]]
        distance = np.linalg.norm(between, axis=1, keepdims=True)
        push = 0.25 * (wanted - distance) * between / np.maximum(distance, 1e-9)
        np.add.at(spot, pairs[:, 1], push)
        np.subtract.at(spot, pairs[:, 0], push)
    return spot


def _wanted(count: int) -> float:
    """Points between two routers, where there is room."""
    return float(min(14.0, 150 / np.sqrt(count)))


def _dot(count: int) -> float:
    """Diameter of a router in points."""
    return float(np.clip(30 / np.sqrt(count), 1.5, 7.0))


def _plain_links(
    axes: Axes,
    network: Network,
    spot: Float[np.ndarray, "router 2"],
    next_link: Int[np.ndarray, " router"] | None,
) -> None:
    ends = np.stack([spot[network.tail], spot[network.head]], axis=1)
    once = network.tail < network.head
    axes.add_collection(LineCollection(list(ends[once]), colors=INK, linewidths=0.7, alpha=0.4))
    if next_link is not None:
        taken = ends[next_link[next_link >= 0]]
        axes.add_collection(LineCollection(list(taken), colors=PALETTE[0], linewidths=1.3))


def _loads(
    axes: Axes,
    network: Network,
    spot: Float[np.ndarray, "router 2"],
    load: Float[np.ndarray, " link"],
) -> list[Line2D]:
    """Draw each direction of each link to its right, wider and warmer with load."""
    widths = _width(network, load)
    tail, head = spot[network.tail], spot[network.head]
    along = (head - tail) / np.linalg.norm(head - tail, axis=1, keepdims=True)
    right = np.stack([along[:, 1], -along[:, 0]], axis=1) * (0.3 + widths[:, None] / 2)
    ends = np.stack([tail + right, head + right], axis=1)
    handles = []
    band = np.searchsorted([low for low, _, _ in BANDS], load, side="right") - 1
    for number, (low, colour, label) in enumerate(BANDS):
        chosen = band == number
        lines = LineCollection(
            list(ends[chosen]), colors=colour, linewidths=widths[chosen], zorder=1 + number / 10
        )
        axes.add_collection(lines)
        width = _width(network, np.array([low + 0.2]))[0]
        handles.append(Line2D([], [], color=colour, linewidth=width, label=label))
    return handles


def _width(network: Network, load: Float[np.ndarray, " link"]) -> Float[np.ndarray, " link"]:
    """Of lines in points, by utilisation; overloaded links are no wider than full ones."""
    most = np.clip(30 / np.sqrt(network.n_routers), 2.5, 4.5)
    width: Float[np.ndarray, " link"] = 0.4 + (most - 0.4) * np.minimum(load, 1.0)
    return width


def _heads(
    axes: Axes,
    network: Network,
    spot: Float[np.ndarray, "router 2"],
    next_link: Int[np.ndarray, " router"],
    colour: str,
    size: float,
) -> None:
    """Put an arrow head behind the middle of every link that is a next hop."""
    long = 1.3 * max(size, 3.0)
    shape = long * np.array([[0.6, 0.0], [-0.4, 0.42], [-0.4, -0.42]])
    for link in next_link[next_link >= 0]:
        tail, head = spot[network.tail[link]], spot[network.head[link]]
        along = (head - tail) / np.linalg.norm(head - tail)
        turned = shape @ np.array([along, [-along[1], along[0]]])
        middle = tail + 0.58 * (head - tail)
        axes.add_patch(
            Polygon(turned + middle, facecolor=colour, edgecolor=PAPER, linewidth=0.4, zorder=3)
        )


def _routers(
    axes: Axes,
    spot: Float[np.ndarray, "router 2"],
    destination: int | None,
    size: float,
) -> list[Line2D]:
    axes.plot(*spot.T, "o", color=INK, markersize=size, markeredgecolor=PAPER, mew=0.5, zorder=4)
    if destination is None:
        return []
    (mark,) = axes.plot(
        *spot[destination],
        "s",
        color=PALETTE[4],
        markersize=1.5 * size + 3,
        markeredgecolor=PAPER,
        zorder=5,
        label="destination",
    )
    return [mark]


def _names(
    axes: Axes,
    network: Network,
    spot: Float[np.ndarray, "router 2"],
    destination: int | None,
    size: float,
) -> None:
    """Write the names that fit: the destination's first, then those of routers with many links."""
    font = 8.0 if network.n_routers <= 60 else 6.5
    degrees = np.diff(network.indptr).astype(float)
    if destination is not None:
        degrees[destination] = np.inf
    segments = np.stack([spot[network.tail], spot[network.head]], axis=1)
    dots = np.concatenate([spot - size / 2, spot + size / 2], axis=1)
    taken = [dots]
    ends = np.array([*axes.get_xlim(), *axes.get_ylim()])[[0, 2, 1, 3]]
    for router in np.argsort(-degrees, kind="stable"):
        name, first = network.routers[router], bool(router == destination)
        boxes = _beside(spot[router], font * LETTER * (len(name) + 0.4), 1.15 * font, size)
        inside = (boxes[:, :2] >= ends[:2]).all(axis=1) & (boxes[:, 2:] <= ends[2:]).all(axis=1)
        free = inside & ~_overlap(boxes, np.concatenate(taken)).any(axis=1)
        crossed = _crossings(boxes, segments) + np.where(free, 0, network.n_links + 1)
        best = int(crossed.argmin())
        if not first and crossed[best] > (network.n_links if network.n_routers <= FEW else 0):
            continue
        box = boxes[best]
        taken.append(box[None])
        axes.annotate(
            name,
            (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2),
            ha="center",
            va="center",
            fontsize=font,
            fontweight="bold" if first else "normal",
            bbox={
                "boxstyle": "square,pad=0",
                "facecolor": PAPER,
                "edgecolor": "none",
                "alpha": 0.75,
            },
            zorder=6,
        )


def _beside(
    spot: Float[np.ndarray, " xy"], width: float, height: float, size: float
) -> Float[np.ndarray, "candidate 4"]:
    """Where a router's name could go around its dot: left, lower, right, upper end in points."""
    turn = np.arange(0, 2 * np.pi, np.pi / 8)
    away = size / 2 + 1.5
    middle = np.stack(
        [(away + width / 2) * np.cos(turn), (away + height / 2) * np.sin(turn)], axis=1
    )
    half = np.array([width / 2, height / 2])
    return np.concatenate([spot + middle - half, spot + middle + half], axis=1)


def _overlap(
    boxes: Float[np.ndarray, "candidate 4"], taken: Float[np.ndarray, "taken 4"]
) -> Bool[np.ndarray, "candidate taken"]:
    below, above = boxes[:, None, :2], boxes[:, None, 2:]
    each = (above > taken[None, :, :2]) & (below < taken[None, :, 2:])
    return np.asarray(each.all(axis=2))


def _crossings(
    boxes: Float[np.ndarray, "candidate 4"], segments: Float[np.ndarray, "segment 2 xy"]
) -> Int[np.ndarray, " candidate"]:
    """How many segments each box cuts: those whose part within its four sides is not empty."""
    boxes = boxes + LINE * np.array([-1, -1, 1, 1])
    start, along = segments[None, :, 0], segments[None, :, 1] - segments[None, :, 0]
    along = np.where(np.abs(along) < 1e-9, 1e-9, along)
    one = (boxes[:, None, :2] - start) / along
    other = (boxes[:, None, 2:] - start) / along
    enters = np.minimum(one, other).max(axis=2)
    leaves = np.maximum(one, other).min(axis=2)
    counted: Int[np.ndarray, " candidate"] = (
        np.maximum(enters, 0.0) < np.minimum(leaves, 1.0)
    ).sum(axis=1)
    return counted
