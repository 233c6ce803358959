import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.synthetic.slopes import fit, root, slope


def test_a_power_law_has_its_exponent():
    x = np.array([1.0, 3.0, 10.0, 40.0])
    assert fit(x, 7 * x**-0.5) == pytest.approx(-0.5)


def test_a_fit_by_hand():
    # log2: x 0, 1, 2 and y 0, 1, 3; mean 1 and 4/3; slope (1 * 4/3 + 1 * 5/3) / 2 = 3/2.
    assert fit(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 8.0])) == pytest.approx(1.5)


def test_slopes_are_fitted_per_seed_and_averaged():
    x = np.array([1.0, 10.0])
    found = slope(x, np.array([x**0.4, x**0.6]))
    assert found.value == pytest.approx(0.5)
    # Two seeds: t with 1 degree of freedom, 12.706, times the standard error .1.
    assert found.high == pytest.approx(0.5 + 12.7062 * 0.1, rel=1e-4)
    assert (found.n, found.n_kind) == (2, "seeds")
    assert slope(x, np.array([x**0.4])).low is None


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([1.0], [1.0], "two or more places"),
        ([2.0, 2.0], [1.0, 2.0], "two or more places"),
        ([1.0, 2.0], [1.0, 0.0], "not positive"),
        ([1.0, 2.0], [1.0, np.nan], "not positive"),
    ],
)
def test_what_has_no_slope_is_refused(x, y, said):
    with pytest.raises(DataError, match=said):
        fit(np.array(x), np.array(y))


def test_a_root_mean_square_over_seeds():
    found = root(np.array([1.0, 3.0]))
    assert found.value == pytest.approx(np.sqrt(2))
    assert found.low == 0  # 2 - 12.706 < 0
    assert found.high == pytest.approx(np.sqrt(2 + 12.7062), rel=1e-4)
    assert root(np.array([-1.0])).value == 0
