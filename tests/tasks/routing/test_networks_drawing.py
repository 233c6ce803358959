import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon

from batonq.study.figures import PALETTE, files, inline
from batonq.tasks.routing.networks import drawing
from batonq.tasks.routing.networks.demand import next_links
from batonq.tasks.routing.networks.drawing import network_map
from batonq.tasks.routing.networks.generated import random_network
from batonq.tasks.routing.networks.network import network
from batonq.tasks.routing.networks.nsfnet import nsfnet

NSF = nsfnet()
TOWARD_HOUSTON = next_links(NSF)[:, 5]


def collections(figure):
    return [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]


def words(figure):
    return [one.get_text() for one in figure.axes[0].texts]


def said(figure):
    return [one.get_text() for one in figure.legends[0].get_texts()]


def test_a_plain_network_has_each_link_once_and_every_name():
    figure = network_map(NSF)
    assert [len(one.get_segments()) for one in collections(figure)] == [21]
    assert sorted(words(figure)) == sorted(NSF.routers)
    assert figure.legends == []


def test_next_hops_are_arrows_that_point_at_the_next_router():
    figure = network_map(NSF, None, TOWARD_HOUSTON, 5)
    arrows = [one for one in figure.axes[0].patches if isinstance(one, Polygon)]
    assert len(arrows) == 13
    assert said(figure) == ["next hop to Houston", "destination"]
    bold = [one.get_text() for one in figure.axes[0].texts if one.get_fontweight() == "bold"]
    assert bold == ["Houston"]
    spot = figure.axes[0].lines[0].get_xydata()  # where the routers are drawn
    links = TOWARD_HOUSTON[TOWARD_HOUSTON >= 0]
    for arrow, link in zip(arrows, links, strict=True):
        tip, *barbs = arrow.get_xy()[:3]
        ahead = tip - np.mean(barbs, axis=0)
        along = spot[NSF.head[link]] - spot[NSF.tail[link]]
        assert ahead @ along == pytest.approx(np.linalg.norm(ahead) * np.linalg.norm(along))


def test_loads_are_as_wide_as_they_are_high_and_lie_to_the_right():
    load = np.linspace(0, 1.2, NSF.n_links)
    figure = network_map(NSF, load)
    bands = collections(figure)
    counts = [(load < 0.5).sum(), ((load >= 0.5) & (load < 0.9)).sum(), (load >= 0.9).sum()]
    assert [len(one.get_segments()) for one in bands] == counts
    widths = np.concatenate([one.get_linewidths() for one in bands])
    assert (np.diff(widths) >= 0).all()
    assert widths[0] == pytest.approx(0.4)
    assert widths[-1] == widths[load >= 1].min()  # overload is no wider than full
    segment = bands[0].get_segments()[0]
    spot = figure.axes[0].lines[0].get_xydata()
    along = spot[NSF.head[0]] - spot[NSF.tail[0]]
    aside = segment[0] - spot[NSF.tail[0]]
    assert along[0] * aside[1] - along[1] * aside[0] < 0
    assert said(figure) == ["utilisation below .5", ".5 to .9", ".9 and above"]


def test_the_same_network_gives_the_same_bytes_in_the_pages_colours():
    load = np.full(NSF.n_links, 0.95)
    one, other = (network_map(NSF, load, TOWARD_HOUSTON, 5) for _ in range(2))
    assert files(one) == files(other)
    page = inline(one, "map", "alt")
    assert not any(colour in page for colour in PALETTE)


@pytest.mark.parametrize("count", [40, 149])
def test_names_lie_on_no_router_no_other_name_and_no_link(count):
    built = random_network(count)
    figure = network_map(built)
    figure.canvas.draw()
    spot = figure.axes[0].transData.transform(figure.axes[0].lines[0].get_xydata())
    points = figure.dpi / 72
    assert np.linalg.norm(spot[1] - spot[0]) / points == pytest.approx(
        np.linalg.norm(np.diff(figure.axes[0].lines[0].get_xydata()[:2], axis=0)), rel=0.01
    )
    shown = figure.axes[0].texts
    assert len(shown) > 10
    boxes = np.array([one.get_window_extent().extents for one in shown])
    boxes += np.array([1, 1, -1, -1]) * points  # the width of a letter is known on average only
    assert drawing._overlap(boxes, boxes).sum() == len(shown)  # each with itself
    assert not drawing._overlap(boxes, np.concatenate([spot, spot], axis=1)).any()
    ends = np.stack([spot[built.tail], spot[built.head]], axis=1)
    assert drawing._crossings(boxes, ends).sum() == 0


def test_routers_in_one_place_are_drawn_apart():
    ends = np.array([[0, 1], [0, 2], [0, 3], [3, 4]])
    place = np.array([[50.0, 8.0]] * 4 + [[52.0, 13.0]])
    figure = network_map(network("t", tuple("abcde"), ends, np.ones(4), place))
    spot = figure.axes[0].lines[0].get_xydata()
    apart = np.linalg.norm(spot[:, None] - spot[None], axis=2) + 100 * np.eye(5)
    assert apart.min() > 12


def test_a_network_across_the_date_line_is_cut_where_nobody_is():
    place = np.array([[0.0, 170.0], [0.0, -170.0], [0.0, -160.0]])
    ends = np.array([[0, 1], [1, 2]])
    figure = network_map(network("t", tuple("abc"), ends, np.ones(2), place))
    x = figure.axes[0].lines[0].get_xydata()[:, 0]
    assert x[0] < x[1] < x[2]


def test_segments_cut_boxes_by_hand():
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    segments = np.array(
        [
            [[-50.0, 5.0], [50.0, 5.0]],  # through the first
            [[5.0, 5.0], [6.0, 6.0]],  # within the first
            [[-50.0, -50.0], [50.0, 50.0]],  # through both
            [[25.0, 40.0], [25.0, 100.0]],  # above the second
            [[-50.0, 15.0], [15.0, 80.0]],  # past both
        ]
    )
    assert drawing._crossings(boxes, segments).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((np.ones(41),), "load: shape"),
        ((np.full(42, -0.1),), "negative"),
        ((np.full(42, np.nan),), "not finite"),
        ((None, np.zeros(13, int)), "next_link: shape"),
    ],
)
def test_arrays_of_another_network_are_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        network_map(NSF, *arguments)
