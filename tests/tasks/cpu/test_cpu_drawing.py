"""Drawings: every option is there, an agent has one colour, passes and handoffs are marked."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from batonq.study.figures import PALETTE, files
from batonq.tasks.cpu.drawing import BESIDE, handoffs
from batonq.tasks.cpu.listing import PASSING

PROGRAMS = {
    "first": (("MOV", "mov ecx, eax"), ("ARITH", "dec ecx"), ("LOGIC", "and eax, ecx")),
    "second": (("MOV", PASSING), ("ARITH", "neg eax"), ("ARITH", "inc eax")),
}


def cells(figure: Figure) -> list[Rectangle]:
    return [one for one in figure.axes[0].patches if isinstance(one, Rectangle)]


def words(figure: Figure) -> list[str]:
    return [one.get_text() for one in figure.axes[0].texts]


def said(figure: Figure) -> list[str]:
    return [one.get_text() for one in figure.legends[0].get_texts()]


def heads(figure: Figure) -> list[tuple[float, float]]:
    return [tuple(one.get_xydata()[0]) for one in figure.axes[0].lines if one.get_marker() == ">"]


def test_every_option_is_a_cell_with_its_agent() -> None:
    figure = handoffs(PROGRAMS)
    assert len(cells(figure)) == 6
    options = [word for options in PROGRAMS.values() for option in options for word in option]
    assert sorted(words(figure)) == sorted([*PROGRAMS, *options])
    assert said(figure) == ["MOV", "ARITH", "LOGIC", "a pass"]


def test_an_agent_has_one_colour_and_a_pass_is_not_filled() -> None:
    figure = handoffs(PROGRAMS)
    shown = [(to_hex(one.get_edgecolor()), one.get_facecolor()[3]) for one in cells(figure)]
    mov, arith, logic = PALETTE[:3]
    assert shown == [(mov, 1), (arith, 1), (logic, 1), (mov, 0), (arith, 1), (arith, 1)]


def test_arrow_heads_stand_where_another_agent_takes_over() -> None:
    assert heads(handoffs(PROGRAMS)) == [(1, 0.5), (2, 0.5), (1, 1.5)]  # not within ARITH


def test_a_long_program_goes_on_below_and_its_handoffs_too() -> None:
    options = [("MOV", f"mov eax, {k}") for k in range(BESIDE)] + [("ALL", "inc eax")]
    figure = handoffs({"long": options})
    assert cells(figure)[-1].get_xy() == pytest.approx((0.05, 1.06))
    assert heads(figure) == [(0, 1.5)]
    assert to_hex(cells(figure)[-1].get_facecolor()) == PALETTE[-1]


def test_it_becomes_a_file_with_text_that_can_be_read() -> None:
    svg, pdf = files(handoffs(PROGRAMS))
    assert "and eax, ecx" in svg
    assert pdf.startswith(b"%PDF")


def test_what_nobody_began_has_its_name_only() -> None:
    figure = handoffs({"empty": (), **PROGRAMS})
    assert words(figure)[0] == "empty"
    assert len(cells(figure)) == 6
    assert cells(handoffs({"empty": ()})) == []
