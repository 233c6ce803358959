"""How control went round, drawn: who wrote what, in which order.

All is in the figures' own ink and palette, so a page can show it light and dark. An agent has one
colour everywhere, and its name stands in every cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from batonq.study.figures import INK, PALETTE, PAPER, SETTINGS, blank
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
            at least one program. One without options has its name only.
    """
    rows = [
        (name if start == 0 else "", options[start : start + BESIDE], start > 0)
        for name, options in programs.items()
        for start in range(0, max(len(options), 1), BESIDE)
    ]
    wide = max(1, *(len(row) for _, row, _ in rows))
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
            before = rows[height - 1][1][-1:] if continued else row[:1]
            pairs = zip([*(agent for agent, _ in before), *agents], agents, strict=False)
            for place, (one, other) in enumerate(pairs):
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
