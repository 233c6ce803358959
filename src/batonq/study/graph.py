"""The handoff graph: who hands to whom under a policy, drawn on a circle."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from batonq.study.figures import INK, PALETTE, PAPER, SETTINGS, blank

NODE = 16.0  # radius of a node in points
LEAST = 0.005  # smaller shares are left out
SAID = 0.05  # smaller shares go without their number
BEND = 0.16  # of arrows, so that the two directions between agents lie apart
SIDE = 2.1  # half the width of the drawing; the circle's radius is 1


def handoff_graph(
    agents: Sequence[str],
    flow: Float[np.ndarray, "agent receiver"],
    start: Float[np.ndarray, " agent"] | None = None,
) -> Figure:
    """Draw the handoffs of a policy.

    Nodes are agents and the end, on a circle; an arrow's width and percentage are
    its mean number per episode, a loop keeps control. Arrows below half a
    per cent are left out, and numbers below 5 %.

    Args:
        agents: names.
        flow: mean number of decisions per episode by which each agent hands to each agent; the
            diagonal keeps control, the last column ends the episode. Shape (agents, agents + 1).
        start: share of episodes that begin at each agent, shown in its node.

    Raises:
        ValueError: if `flow` has another shape, or a number in it is negative or not finite.
    """
    flow = np.asarray(flow, float)
    count = len(agents)
    if flow.shape != (count, count + 1):
        raise ValueError(f"flow: shape {flow.shape}; {count} agents need {(count, count + 1)}")
    if not (np.isfinite(flow).all() and (flow >= 0).all()):
        raise ValueError("flow: holds a negative number or one that is not finite")
    angles = np.pi / 2 - 2 * np.pi * np.arange(count + 1) / (count + 1)
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    bottom, top = places[:, 1].min() - 0.6, places[:, 1].max() + 0.6
    figure, axes = blank(4.5, 4.5 / (2 * SIDE) * (top - bottom))
    with mpl.rc_context(SETTINGS):
        axes.set(xlim=(-SIDE, SIDE), ylim=(bottom, top), aspect="equal")
        axes.axis("off")
        for giver, receiver in np.argwhere(flow >= LEAST):
            share = float(flow[giver, receiver])
            if giver == receiver:
                _loop(axes, places[giver], share)
            else:
                _arrow(axes, places[giver], places[receiver], share)
        for index, name in enumerate(agents):
            first = "" if start is None else f"{start[index]:.0%}"
            _node(axes, places[index], first, PALETTE[index % len(PALETTE)], "o")
            _name(axes, places[index], name)
        _node(axes, places[count], "end", INK, "s")
    return figure


def _arrow(
    axes: Axes,
    tail: Float[np.ndarray, " xy"],
    head: Float[np.ndarray, " xy"],
    share: float,
) -> None:
    width = _width(share)
    axes.add_patch(
        FancyArrowPatch(
            (tail[0], tail[1]),
            (head[0], head[1]),
            connectionstyle=f"arc3,rad={BEND}",
            arrowstyle="-|>",
            mutation_scale=8 + 1.5 * width,
            shrinkA=NODE,
            shrinkB=NODE,
            linewidth=width,
            color=INK,
            alpha=0.65,
        )
    )
    along = head - tail
    middle = tail + 0.42 * along + 0.5 * BEND * np.array([along[1], -along[0]])
    _percent(axes, middle, share)


def _loop(axes: Axes, place: Float[np.ndarray, " xy"], share: float) -> None:
    """Draw a loop beside the node, between its name (outside) and its arrows (inside)."""
    turn = np.deg2rad(70)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    towards = rotation @ (place / np.linalg.norm(place))
    side = np.array([-towards[1], towards[0]])
    tail, head = place + 0.2 * towards + 0.1 * side, place + 0.2 * towards - 0.1 * side
    axes.add_patch(
        FancyArrowPatch(
            (tail[0], tail[1]),
            (head[0], head[1]),
            connectionstyle="arc3,rad=-1.8",
            arrowstyle="-|>",
            mutation_scale=8 + _width(share),
            shrinkA=0,
            shrinkB=0,
            linewidth=_width(share),
            color=INK,
            alpha=0.65,
        )
    )
    _percent(axes, place + 0.58 * towards, share)


def _node(
    axes: Axes, place: Float[np.ndarray, " xy"], inside: str, colour: str, marker: str
) -> None:
    axes.plot(*place, marker=marker, markersize=1.6 * NODE, color=colour, zorder=3)
    where = (place[0], place[1])
    axes.annotate(inside, where, ha="center", va="center", color=PAPER, fontsize=9, zorder=4)


def _name(axes: Axes, place: Float[np.ndarray, " xy"], name: str) -> None:
    """Write an agent's name outside its node."""
    where = place * (1 + 0.3 / np.linalg.norm(place))
    if abs(place[0]) < 0.3:
        across, along = "center", "bottom" if place[1] > 0 else "top"
    else:
        across, along = "left" if place[0] > 0 else "right", "center"
    axes.annotate(name, (where[0], where[1]), ha=across, va=along, fontsize=9, zorder=4)


def _percent(axes: Axes, place: Float[np.ndarray, " xy"], share: float) -> None:
    if share < SAID:
        return
    box = {"boxstyle": "round,pad=0.12", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.85}
    where = (place[0], place[1])
    axes.annotate(f"{share:.0%}", where, ha="center", va="center", fontsize=8, bbox=box, zorder=5)


def _width(share: float) -> float:
    return 0.6 + 5.0 * min(share, 1.0)
