"""Drawings of the CPU experiment: who wrote what in which order, learning, and the gap.

All is in the figures' own ink and palette, so a page can show it light and dark. An agent has one
colour everywhere, and its name stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from batonq.study import figures
from batonq.study.figures import INK, PALETTE, PAPER, SETTINGS, Curve, blank
from batonq.study.rows import Interval
from batonq.tasks.cpu.listing import PASSING
from batonq.tasks.cpu.machine.table import AGENTS

Options = Sequence[tuple[str, str]]

ALONE: Final = len(PALETTE) - 1  # colour of an agent that writes everything itself
BESIDE: Final = 6  # options in one line of a drawing; more go on in the line below
CELL: Final = (1.12, 0.36)  # inches
NAMES: Final = 1.5  # inches for the programs' names
LONGEST_NAME: Final = 22  # letters of a program's name that are drawn


def handoffs(programs: Mapping[str, Options]) -> Figure:
    """Draw how control went round while programs were written.

    One row a program, one cell an option: the agent in control and what it wrote. A pass has a
    dashed frame and no filling; an arrow head stands where control went to another agent.

    Args:
        programs: per name (agent, instruction or "pass") of every option, as in `Listed.options`;
            at least one program with at least one option.
    """
    rows = [
        (name if start == 0 else "", options[start : start + BESIDE], start > 0)
        for name, options in programs.items()
        for start in range(0, len(options), BESIDE)
    ]
    wide = max(len(row) for _, row, _ in rows)
    figure, axes = blank(NAMES + CELL[0] * wide, CELL[1] * len(rows) + 0.6)
    with mpl.rc_context(SETTINGS):
        axes.set(xlim=(-NAMES / CELL[0], wide), ylim=(len(rows), 0))
        axes.axis("off")
        for height, (name, row, continued) in enumerate(rows):
            shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
            axes.text(-0.15, height + 0.5, shown, ha="right", va="center", fontsize=8)
            for place, (agent, what) in enumerate(row):
                _cell(axes, place, height, agent, what)
            agents = [agent for agent, _ in row]
            before = rows[height - 1][1][-1][0] if continued else agents[0]
            for place, (one, other) in enumerate(zip([before, *agents], agents, strict=False)):
                if one != other:
                    axes.plot([place], [height + 0.5], ">", color=INK, markersize=4, zorder=3)
        used = {agent for options in programs.values() for agent, _ in options}
        legend = [Patch(color=_colour(agent), label=agent) for agent in (*AGENTS, "ALL")]
        own = [one for one in legend if one.get_label() in used]
        frame = Patch(facecolor="none", edgecolor=INK, linestyle="--", label="a pass")
        if any(what == PASSING for options in programs.values() for _, what in options):
            own.append(frame)
        figure.legend(handles=own, loc="outside lower center", ncols=len(own))
    return figure


def learning(
    learners: Mapping[str, Curve], y_label: str, levels: Mapping[str, float] | None = None
) -> Figure:
    """Draw shares over handoffs, these on a logarithmic scale: mean over seeds, 95 % bands.

    Args:
        learners: per learner its curve; handoffs are above 0.
        y_label: of what it is the share.
        levels: named horizontal lines, such as what is feasible.
    """
    figure = figures.curves(learners, "handoffs", y_label, levels)
    figure.axes[0].set_xscale("log")
    return figure


def gap(
    measured: Mapping[str, Sequence[tuple[int, Interval]]],
    predicted: Sequence[tuple[int, float]] = (),
    y_label: str = "share proved",
) -> Figure:
    """Draw what is lost behind an interface: shares against the number of vectors agents see.

    Args:
        measured: per learner (visible vectors, at least 1; share with its interval).
        predicted: (visible vectors, share) as the gap of the interface foretells it.
        y_label: of what it is the share.
    """
    groups = dict(measured)
    if predicted:
        groups["predicted"] = [(count, Interval(share)) for count, share in predicted]
    figure = figures.frontier(
        {
            name: [(Interval(float(count)), share) for count, share in points]
            for name, points in groups.items()
        },
        "test vectors that agents see",
        y_label,
        log_cost=True,
    )
    counts = sorted({count for points in groups.values() for count, _ in points})
    axes = figure.axes[0]
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylim(-0.03, 1.03)
    return figure


def _cell(axes: Axes, place: int, height: int, agent: str, what: str) -> None:
    """One option: the agent's name above what it wrote."""
    passed = what == PASSING
    axes.add_patch(
        Rectangle(
            (place + 0.05, height + 0.06),
            0.9,
            0.88,
            facecolor="none" if passed else _colour(agent),
            edgecolor=_colour(agent),
            linestyle="--" if passed else "-",
        )
    )
    ink = _colour(agent) if passed else PAPER
    middle = place + 0.5
    axes.text(middle, height + 0.3, agent, ha="center", va="center", fontsize=5.5, color=ink)
    size = min(7.0, 112 / max(len(what), 1))  # the longest instructions still fit
    axes.text(middle, height + 0.66, what, ha="center", va="center", fontsize=size, color=ink)


def _colour(agent: str) -> str:
    return PALETTE[AGENTS.index(agent) if agent in AGENTS else ALONE]
