import numpy as np
import pytest

from batonq.study.figures import PALETTE, files, inline, loglog
from batonq.study.rows import Interval

XS = np.array([1.0, 10.0, 100.0])
GROUPS = {
    "floor": [(x, Interval(2 * x**0.5, 1.8 * x**0.5, 2.2 * x**0.5)) for x in XS],
    "bound": [(x, Interval(9.0)) for x in XS],
}


def drawn():
    return loglog(GROUPS, "mixing time", "error", slopes={"floor": 0.5}, predicted=0.25)


def test_a_power_law_shows_points_fit_and_prediction():
    (axes,) = drawn().axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.containers[0].get_label() == "floor, slope 0.50"
    (predicted,) = (one for one in axes.lines if one.get_label() == "predicted slope 0.25")
    assert axes.lines[1].get_ydata() == pytest.approx(2 * XS**0.5)
    middle = np.exp(np.log(2 * XS**0.5).mean())
    assert predicted.get_ydata() == pytest.approx(middle * (XS / 10) ** 0.25)
    assert axes.containers[0][0].get_xydata() == pytest.approx(np.stack([XS, 2 * XS**0.5], axis=1))
    assert axes.containers[0][2][0].get_segments()[0].tolist() == [[1.0, 1.8], [1.0, 2.2]]


def test_series_without_a_fit_are_joined():
    (axes,) = drawn().axes
    points, joined = (container[0] for container in axes.containers)
    assert points.get_linestyle() == "None"
    assert joined.get_linestyle() != "None"


def test_the_page_colours_it_and_the_bytes_stay():
    assert files(drawn()) == files(drawn())
    svg = inline(drawn(), "fig", "alt")
    assert "var(--series-0)" in svg
    assert "currentColor" in svg
    assert PALETTE[0] not in svg
