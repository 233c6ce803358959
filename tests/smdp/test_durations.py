from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import some_durations

from batonq.base.errors import ModelError
from batonq.smdp.durations import Durations, Law, check_durations, finite, fixed, geometric


def one_of_each() -> Durations:
    return Durations(
        law=np.array([Law.FIXED, Law.GEOMETRIC, Law.PMF, Law.PMF]),
        parameter=np.array([3.0, 0.25, 0.0, 1.0]),
        pmf_indptr=np.array([0, 2, 3]),
        pmf_duration=np.array([1, 3, 5]),
        pmf_probability=np.array([0.5, 0.5, 1.0]),
    )


def test_by_hand() -> None:
    durations = one_of_each()
    np.testing.assert_allclose(durations.mean(), [3, 4, 2, 5])
    geometric_sum = 0.25 * 0.5 / (1 - 0.75 * 0.5)
    expected = [0.125, geometric_sum, 0.5 * 0.5 + 0.5 * 0.125, 0.5**5]
    np.testing.assert_allclose(durations.mean_discount(0.5), expected)


@given(st.floats(1, 20), st.floats(0.05, 0.99))
def test_geometric_is_the_sum_over_its_durations(mean: float, gamma: float) -> None:
    tau = np.arange(1, 4_000)
    probability = (1 / mean) * (1 - 1 / mean) ** (tau - 1)
    law = geometric(np.array([mean]))
    np.testing.assert_allclose(law.mean_discount(gamma), [(probability * gamma**tau).sum()])
    np.testing.assert_allclose(law.mean(), [(probability * tau).sum()])


@given(st.integers(0, 10**6), st.floats(0.01, 1))
def test_discount_lies_between_gamma_of_the_mean_and_gamma(seed: int, gamma: float) -> None:
    durations = some_durations(np.random.default_rng(seed), 20)
    discount = durations.mean_discount(gamma)
    assert (discount <= gamma * (1 + 1e-12)).all()
    # gamma**tau is convex in tau (Jensen).
    assert (discount >= gamma ** durations.mean() * (1 - 1e-12)).all()


def test_without_discount_is_exactly_one() -> None:
    assert (some_durations(np.random.default_rng(0), 50).mean_discount(1.0) == 1.0).all()


def test_constructors_give_checked_durations() -> None:
    for durations in (
        fixed(np.array([1, 2])),
        geometric(np.array([1.0, 7.5])),
        finite(np.array([1, 0]), [np.array([1, 2]), np.array([4])], [np.full(2, 0.5), np.ones(1)]),
    ):
        check_durations(durations, 2)
    assert fixed(np.array([4])).mean_discount(0.5)[0] == 0.5**4
    assert finite(np.array([0]), [np.array([2])], [np.ones(1)]).mean()[0] == 2


def test_huge_durations_discount_to_nothing() -> None:
    assert fixed(np.array([10**9])).mean_discount(0.5)[0] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"law": np.array([0, 1])}, "2 laws and 4 parameters for 4 kernel entries"),
        ({"law": np.array([0, 7, 2, 2])}, r"entry 1 \(law 7\) .* no known law"),
        ({"parameter": np.array([2.5, 0.5, 0, 0])}, "entry 0 .* no whole number of steps"),
        ({"parameter": np.array([0.0, 0.5, 0, 0])}, "entry 0 .* no whole number of steps"),
        ({"parameter": np.array([np.inf, 0.5, 0, 0])}, "entry 0 .* no whole number of steps"),
        ({"parameter": np.array([1, 0.0, 0, 0])}, r"entry 1 .* no chance in \(0, 1\]"),
        ({"parameter": np.array([1, np.nan, 0, 0])}, r"entry 1 .* no chance in \(0, 1\]"),
        ({"parameter": np.array([1, 0.5, 2, 0])}, "entry 2 .* no row of the 2 finite laws"),
        ({"pmf_indptr": np.array([0, 2, 2])}, "pmf_indptr must rise"),
        ({"pmf_indptr": np.array([1, 2, 3])}, "pmf_indptr must rise"),
        ({"pmf_indptr": np.array([], dtype=np.int64)}, "pmf_indptr must rise"),
        ({"pmf_indptr": np.array([0, 2])}, "pmf_indptr must rise"),
        ({"pmf_probability": np.array([0.5, 0.5])}, "pmf_indptr must rise"),
        ({"pmf_duration": np.array([1, 0, 5])}, "finite law 0 holds 0 steps"),
        ({"pmf_probability": np.array([0.5, 0.4, 1.0])}, "finite law 0 .* sum to 0.9"),
        ({"pmf_probability": np.array([1.5, -0.5, 1.0])}, "finite law 0 .* non-negative"),
        ({"pmf_probability": np.array([0.5, 0.5, np.nan])}, "finite law 1 .* sum to nan"),
    ],
)
def test_refusals_name_the_entry(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_durations(replace(one_of_each(), **change), 4)


def test_a_mean_of_zero_steps_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"entry 1 .* no chance"):
        check_durations(geometric(np.array([1.0, 0.0])), 2)
