from dataclasses import replace

import numpy as np
import pytest

from batonq.smdp.chain import mixing_time
from batonq.smdp.policies import uniform
from batonq.tasks.synthetic.axes import MODELS, axis_named, persistence
from batonq.tasks.synthetic.point import point_of


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("quick", [False, True])
def test_an_axis_has_two_points_or_more_to_fit(name, quick):
    axis = axis_named(name, 3, quick)
    assert axis.name == name
    cells = [one.cell for one in axis.settings]
    assert len(set(cells)) == len(cells)
    fitted = {one.x for one in axis.settings if one.fitted}
    assert len(fitted) >= 2
    assert {one.dials.seed for one in axis.settings} == {3}
    assert all(one.twin for one in axis.settings) == (axis.of == "excess")


def test_the_ranges_are_those_that_are_named():
    def ends(name):
        points = [one.x for one in axis_named(name, 0, False).settings if one.fitted]
        return min(points), max(points)

    assert ends("gap") == (0.03, 1.0)
    assert ends("reveal") == (1.0, 8.0)
    assert ends("mixing") == ends("mixing_zero_gap") == (69.0, 2080.0)
    assert ends("horizon") == (1e5, 1e7)
    assert ends("agents") == (2.0, 1000.0)
    assert ends("durations") == pytest.approx((2.0, 1 / 0.03))


@pytest.mark.parametrize("name", ["mixing", "mixing_zero_gap", "horizon", "durations"])
def test_only_the_dial_of_the_axis_moves(name):
    points = [point_of(one) for one in axis_named(name, 0, False).settings]
    for one in points[1:]:
        assert np.array_equal(one.gap.optimal.policy, points[0].gap.optimal.policy)
        assert one.gap.optimal.q == pytest.approx(points[0].gap.optimal.q, abs=1e-8)
        assert one.gap.rms == pytest.approx(points[0].gap.rms, abs=1e-8)


def test_the_exact_gap_is_linear_in_kappa():
    points = [point_of(one) for one in axis_named("gap", 0, False).settings]
    for one in points:
        if one.setting.fitted:
            assert one.gap.rms / one.setting.x == pytest.approx(points[0].gap.rms / 0.03)


def test_the_mixing_time_is_what_the_point_says():
    for setting in axis_named("mixing", 0, False).settings[:2]:
        model = point_of(setting).model
        assert mixing_time(model, uniform(model)) == setting.x
    assert persistence(1) == pytest.approx(0.5)


def test_slow_modes_are_not_tracked_where_that_is_claimed():
    from batonq.tasks.synthetic.known import exact

    slowest = axis_named("mixing", 0, False).settings[-1]
    found = exact(replace(slowest, handoffs=1_000_000), certified=False)
    assert 0.05 < found["last_step"] * found["relaxation"] <= 0.1
