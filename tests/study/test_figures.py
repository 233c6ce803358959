import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

from batonq.study.figures import Curve, curves, files, frontier, inline
from batonq.study.graph import handoff_graph
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval

POINTS = {
    "icq": [
        (Interval(2.0, 1.5, 2.25), Interval(0.9, 0.8, 0.95)),
        (Interval(1.0), Interval(0.7)),
    ],
    "majority": [(Interval(3.0), Interval(0.8, 0.7, 0.85))],
}
FLOW = np.array([[0.3, 0.5, 0.7], [0.004, 0.0, 0.5]])


def curve():
    rng = np.random.default_rng(0)
    return Curve(np.arange(5), rng.random((4, 5)))


def drawings():
    return [
        frontier(POINTS, "cost", "accuracy"),
        curves({"icq": curve()}, "handoffs", "utility", {"optimum": 0.9}, {"change": 2.0}),
        handoff_graph(["one", "two"], FLOW, np.array([1.0, 0.0])),
    ]


def test_a_frontier_shows_points_in_the_order_of_cost_with_their_intervals():
    (axes,) = frontier(POINTS, "cost", "accuracy").axes
    line, _, (bars_x, bars_y) = axes.containers[0]
    assert line.get_xydata().tolist() == [[1.0, 0.7], [2.0, 0.9]]
    assert bars_x.get_segments()[1].tolist() == [[1.5, 0.9], [2.25, 0.9]]
    assert bars_y.get_segments()[1].tolist() == [[2.0, 0.8], [2.0, 0.95]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cost", "accuracy")


def test_a_wide_range_of_costs_is_shown_on_a_logarithmic_scale_in_plain_numbers():
    points = {"icq": [(Interval(0.01), Interval(0.5)), (Interval(2.0), Interval(0.9))]}
    figure = frontier(points, "cost", "accuracy", log_cost=True)
    (axes,) = figure.axes
    figure.canvas.draw()
    assert axes.get_xscale() == "log"
    assert {"0.01", "0.1", "1"} <= {label.get_text() for label in axes.get_xticklabels()}


def test_a_curve_shows_the_mean_and_its_band():
    one = curve()
    (axes,) = curves({"icq": one}, "handoffs", "utility").axes
    assert axes.lines[0].get_ydata() == pytest.approx(one.values.mean(axis=0))
    interval = over_seeds(one.values[:, 3])
    corners = axes.collections[0].get_paths()[0].vertices
    assert sorted(set(corners[corners[:, 0] == 3, 1])) == pytest.approx(
        [interval.low, interval.high]
    )


def test_a_graph_has_one_arrow_per_handoff_as_wide_as_its_share():
    (axes,) = handoff_graph(["one", "two"], FLOW).axes
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    shown = sorted(share for share in FLOW.flat if share >= 0.005)
    assert len(arrows) == len(shown) == 4  # .004 is too small to draw
    widths = np.array(sorted(arrow.get_linewidth() for arrow in arrows))
    assert np.diff(widths) == pytest.approx(5 * np.diff(shown))
    words = {text.get_text() for text in axes.texts}
    assert words >= {"one", "two", "end", "30%", "50%", "70%"}


@pytest.mark.parametrize(
    ("flow", "said"),
    [(np.ones((2, 2)), "shape"), (-FLOW, "negative"), (np.full((2, 3), np.nan), "not finite")],
)
def test_a_graph_refuses_what_is_no_flow(flow, said):
    with pytest.raises(ValueError, match=said):
        handoff_graph(["one", "two"], flow)


def test_the_same_data_give_the_same_bytes():
    for one, two in zip(drawings(), drawings(), strict=True):
        assert files(one) == files(two)
        assert inline(one, "a", "b") == inline(two, "a", "b")


def test_an_inline_figure_is_whole_named_and_coloured_by_the_page():
    for index, figure in enumerate(drawings()):
        svg = inline(figure, f"fig{index}", 'a "b" & <c>')
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
        assert root.get("role") == "img"
        assert root.get("aria-label") == 'a "b" & <c>'
        names = re.findall(r'\sid="([^"]+)"', svg)
        assert len(names) == len(set(names))
        assert all(name.startswith(f"fig{index}-") for name in names)
        used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
        assert {one or two for one, two in used} <= set(names)
        assert "currentColor" in svg
        assert "var(--series-0)" in svg
        assert not re.search(r'(fill|stroke)="[^"]*var', svg)  # there var() would not work
