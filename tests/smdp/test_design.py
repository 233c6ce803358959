from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import small_model

from batonq.base.errors import ModelError
from batonq.smdp import aggregated, behaviour_chain, mixing_time, optimal, stationary, uniform
from batonq.smdp.design import Dials, design, with_optimal

DIALS = Dials(kappa=0.3, persistence=0.5)


def gap(made):
    """Root mean square of Q* - Qhat* over the pairs the uniform behaviour visits."""
    found = aggregated(made.model, uniform(made.model), 1e-12)
    weight = np.repeat(found.stationary[:, None], 2, axis=1) / 2
    return np.sqrt((weight * (made.optimal - found.q[made.model.cell]) ** 2).sum())


@given(
    kappa=st.floats(0, 3),
    persistence=st.floats(0, 0.999),
    contraction=st.floats(0.3, 0.95),
    tilt=st.floats(0, 0.9),
    n_hidden=st.sampled_from([1, 2, 8]),
    aligned=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_the_solver_finds_the_chosen_values(**dials):
    made = design(Dials(gamma=0.95, n_agents=4, **dials))
    assert np.abs(optimal(made.model, 1e-12).q - made.optimal).max() <= 1e-10
    assert made.model.contraction == pytest.approx(dials["contraction"], rel=1e-12)


def test_neither_mixing_nor_durations_move_the_values_or_the_gap():
    first = design(DIALS)
    for moved in (
        replace(DIALS, persistence=0.999),
        replace(DIALS, contraction=0.5),
        replace(DIALS, contraction=0.97, gamma=0.98),
    ):
        made = design(moved)
        assert np.array_equal(made.optimal, first.optimal)
        assert gap(made) == pytest.approx(gap(first), rel=1e-9)


def test_without_tilt_the_aggregated_solution_is_what_the_cells_show():
    found = aggregated(design(DIALS).model, uniform(design(DIALS).model), 1e-12)
    assert found.q == pytest.approx(design(replace(DIALS, kappa=0.0)).optimal[::2], abs=1e-10)


def test_the_gap_is_kappa_times_the_root_mean_square_of_c():
    first = design(DIALS)
    c = (first.optimal[1::2] - first.optimal[::2]) / 2 / DIALS.kappa  # levels -1 and 1
    assert (c**2).mean() == pytest.approx(1)
    law = stationary(first.model, uniform(first.model)).reshape(-1, 2).sum(axis=1)
    assert gap(first) == pytest.approx(0.3 * np.sqrt((law[:, None] / 2 * c**2).sum()))
    assert gap(design(replace(DIALS, kappa=0.03))) == pytest.approx(gap(first) / 10)
    assert gap(design(replace(DIALS, kappa=0.0))) < 1e-9


def test_a_tilt_makes_kernel_and_durations_depend_on_the_hidden_mode():
    model = design(replace(DIALS, kappa=0.0, tilt=0.5)).model
    law = behaviour_chain(model, uniform(model)).matrix.toarray().reshape(20, 2, 20, 2).sum(axis=3)
    assert np.abs(law[:, 0] - law[:, 1]).max() > 0.02
    assert np.abs(np.diff(model.sum_rows(model.discounted).reshape(20, 2, 2), axis=1)).max() > 0.01
    assert gap(design(replace(DIALS, kappa=0.0, tilt=0.5))) < 1e-9  # equivalent in value


def test_the_hidden_mode_sets_the_mixing_time():
    # A mode of two levels has TV lambda**t / 2, so it has mixed after log 2 / -log lambda epochs.
    for persistence, epochs in ((0.99, 69), (0.999, 693)):
        model = design(replace(DIALS, persistence=persistence)).model
        assert mixing_time(model, uniform(model)) == epochs


def test_the_visible_path_is_one_whatever_the_hidden_mode_does():
    one, other = (design(replace(DIALS, persistence=p)).model for p in (0.0, 0.9))
    probability = (m.probability.reshape(20, 2, 2, 3, 2).sum(axis=4) for m in (one, other))
    assert np.allclose(*probability)
    assert np.array_equal(one.successor, other.successor)
    assert np.array_equal(one.durations.parameter, other.durations.parameter)


def test_blocks_reveal_the_level_step_by_step():
    made = design(replace(DIALS, n_hidden=8))
    gaps = []
    for blocks in (1, 2, 4, 8):
        model = made.reveal(blocks)
        assert model.n_cells == 20 * blocks
        gaps.append(gap(replace(made, model=model)))
    assert gaps[0] == pytest.approx(gap(made))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-9
    for blocks in (0, 3):
        with pytest.raises(ModelError, match=f"blocks: {blocks} do not divide the 8 hidden levels"):
            made.reveal(blocks)


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"n_agents": 1}, "n_agents: 1 is too small; give at least 2"),
        ({"n_hidden": 0}, "n_hidden: 0 is too small"),
        ({"n_successors": 21}, "n_successors: 21 of 20 cells"),
        ({"kappa": -1.0}, "kappa: -1.0 is not a number >= 0"),
        ({"spread": np.inf}, "spread: inf is not a number >= 0"),
        ({"margin": np.nan}, "margin: nan is not a number >= 0"),
        ({"persistence": 1.0}, r"persistence: 1.0 is not in \[0, 1\)"),
        ({"tilt": -0.1}, r"tilt: -0.1 is not in \[0, 1\)"),
        ({"gamma": 1.0}, r"gamma: 1.0 is not in \(0, 1\)"),
        ({"contraction": 0.95}, r"contraction: 0.95 is not in \(0, gamma = 0.9\]"),
    ],
)
def test_a_dial_that_cannot_be_right_is_named(dials, said):
    with pytest.raises(ModelError, match=said):
        Dials(**dials)


def test_any_model_can_be_given_its_solution():
    model = small_model(0)
    wanted = np.random.default_rng(1).normal(size=model.mask.shape)
    found = optimal(with_optimal(model, np.where(model.mask, wanted, np.nan)), 1e-12)
    assert found.q[model.mask] == pytest.approx(wanted[model.mask], abs=1e-10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda q: q[:-1], r"optimal: shape \(.*\), wanted"),
        (lambda q: q * np.nan, "optimal: a permitted value is not finite"),
    ],
)
def test_a_solution_that_cannot_be_right_is_refused(change, said):
    model = small_model(0)
    with pytest.raises(ModelError, match=said):
        with_optimal(model, change(np.zeros(model.mask.shape)))


def test_a_model_that_neither_discounts_nor_ends_has_no_one_solution():
    model = design(DIALS).model
    with pytest.raises(ModelError, match="does not discount"):
        with_optimal(replace(model, gamma=1.0), np.zeros(model.mask.shape))
