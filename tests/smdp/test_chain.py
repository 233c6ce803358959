from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import dense_step, models, random_behaviour

from batonq.base.errors import ModelError
from batonq.smdp import durations
from batonq.smdp.chain import ACCURACY, behaviour_chain, mixing_time, stationary
from batonq.smdp.families import leak, random_model, ring, terminal_chain
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import uniform


def chain_of(step: np.ndarray, initial: np.ndarray | None = None) -> FiniteICSMDP:
    """One agent, one action: the behaviour chain goes on as `step` says and restarts else."""
    state, successor = np.nonzero(step)
    n = len(step)
    return from_entries(
        agents=("only",),
        holder=np.zeros(n, np.int64),
        reward=np.zeros((n, 1)),
        state=state,
        action=np.zeros(len(state), np.int64),
        successor=successor,
        probability=step[state, successor],
        durations=durations.fixed(np.ones(len(state), np.int64)),
        gamma=0.9,
        initial=initial,
    )


def mix(model: FiniteICSMDP) -> int:
    return mixing_time(model, uniform(model))


def law_of(model: FiniteICSMDP) -> np.ndarray:
    return stationary(model, uniform(model))


@given(models(), st.integers(0, 10**6))
def test_matrix_and_restarts_make_the_chain(model: FiniteICSMDP, seed: int) -> None:
    behaviour = random_behaviour(model, seed)
    chain = behaviour_chain(model, behaviour)
    step = chain.matrix.toarray() + np.outer(chain.restart, chain.initial)
    np.testing.assert_allclose(step, dense_step(model, behaviour), atol=1e-12)


@given(models(), st.integers(0, 10**6))
def test_stationary_law_is_a_law_and_stays(model: FiniteICSMDP, seed: int) -> None:
    behaviour = random_behaviour(model, seed)
    law = stationary(model, behaviour)
    assert np.isclose(law.sum(), 1)
    assert (law > 0).all()
    np.testing.assert_allclose(law @ dense_step(model, behaviour), law, atol=1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_two_states_in_closed_form(there: float, back: float) -> None:
    """TV from state s to d after t epochs is d(other) |1 - a - b|^t."""
    model = chain_of(np.array([[1 - there, there], [back, 1 - back]]))
    law = np.array([back, there]) / (there + back)
    np.testing.assert_allclose(law_of(model), law, rtol=1e-9)
    rate = abs(1 - there - back)
    exact = math.log(4 * law.max()) / -math.log(rate) if rate > 1e-9 else 1.0
    found = mix(model)
    assert found == max(1, math.ceil(exact)) or abs(exact - round(exact)) < 1e-6


@given(models(), st.integers(0, 10**6))
@settings(max_examples=40)
def test_mixing_time_is_the_first_epoch_close_to_the_law(model: FiniteICSMDP, seed: int) -> None:
    behaviour = random_behaviour(model, seed)
    step, law = dense_step(model, behaviour), stationary(model, behaviour)
    power, epochs = step, 1
    while np.abs(power - law).sum(axis=1).max() / 2 > 1 / 4:
        power, epochs = power @ step, epochs + 1
    assert mixing_time(model, behaviour) == epochs


def test_slow_chain_mixes_after_as_many_epochs_as_the_formula_says() -> None:
    a = 1e-6
    expected = math.ceil(math.log(2) / -math.log1p(-2 * a))  # TV = (1 - 2a)^t / 2
    assert abs(mix(chain_of(np.array([[1 - a, a], [a, 1 - a]]))) - expected) <= 1


def test_restarts_by_hand() -> None:
    """0 goes to 1, 1 ends; restarts in 0 with 3/4: d = (4/7, 3/7) x ... by balance."""
    model = chain_of(np.array([[0.0, 1.0], [0.0, 0.0]]), initial=np.array([0.75, 0.25]))
    # d1 = d0 + d1 / 4 and d0 = 3 d1 / 4.
    np.testing.assert_allclose(law_of(model), [3 / 7, 4 / 7])


def test_a_line_that_restarts_at_its_first_agent_is_periodic_only_if_sure() -> None:
    sure = terminal_chain(n_agents=4, success=1.0)
    only_going = np.tile([1.0, 0.0], (4, 1))
    np.testing.assert_allclose(stationary(sure.model, only_going), np.full(4, 1 / 4))
    with pytest.raises(ModelError, match="period 4"):
        mixing_time(sure.model, only_going)
    assert mixing_time(sure.model, uniform(sure.model)) >= 1


def test_one_state_mixes_at_once() -> None:
    assert mix(chain_of(np.array([[1.0]]))) == 1
    assert law_of(chain_of(np.array([[1.0]]))).tolist() == [1.0]


def test_a_ring_has_a_law_and_no_mixing_time() -> None:
    model = ring().model
    np.testing.assert_allclose(law_of(model), [0.5, 0.5])
    with pytest.raises(ModelError, match="has period 2 and never mixes"):
        mix(model)


def test_what_is_hidden_has_its_prior_as_weight() -> None:
    law = law_of(leak(chance=0.7).model)
    np.testing.assert_allclose(law, [0.15, 0.35, 0.15, 0.35])


@pytest.mark.parametrize(
    ("step", "initial", "message"),
    [
        (np.eye(2), None, r"states 0 and 1 do not reach each other \(2 classes\)"),
        (np.array([[1.0, 0.0], [0.5, 0.5]]), None, "states 0 and 1 do not reach"),
        (np.array([[0.5, 0.0], [0.5, 0.5]]), np.array([1.0, 0.0]), "states 0 and 1 do not reach"),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([1.0, 0.0]), "states 0 and 1 do not reach"),
    ],
)
def test_reducible_chains_are_refused(
    step: np.ndarray, initial: np.ndarray | None, message: str
) -> None:
    for wanted in (law_of, mix):
        with pytest.raises(ModelError, match=message):
            wanted(chain_of(step, initial))


def test_chains_that_do_not_mix_in_reach_are_refused() -> None:
    a = 1e-14
    with pytest.raises(ModelError, match="not mixed after 1099511627776 epochs"):
        mix(chain_of(np.array([[1 - a, a], [a, 1 - a]])))


class TestLarge:
    """Above the size up to which matrices are dense."""

    def test_law_is_the_same_as_by_stepping_on(self) -> None:
        rng = np.random.default_rng(0)
        model = random_model(rng, n_cells=2_500, termination=0.2)
        behaviour = uniform(model)
        chain = behaviour_chain(model, behaviour)
        law = np.full(2_500, 1 / 2_500)
        for _ in range(200):
            law = law @ chain.matrix + (law @ chain.restart) * chain.initial
        np.testing.assert_allclose(stationary(model, behaviour), law, atol=ACCURACY)

    def test_mixing_time_is_refused(self) -> None:
        model = random_model(np.random.default_rng(0), n_cells=2_500)
        with pytest.raises(ModelError, match="2500 states; it is computed for up to 2000"):
            mix(model)

    def test_a_law_out_of_reach_is_refused(self) -> None:
        n = 2_200
        step = np.zeros((n, n))
        right = np.random.default_rng(0).uniform(0.2, 0.8, size=n)
        at = np.arange(n)
        step[at, np.minimum(at + 1, n - 1)] = right
        step[at, np.maximum(at - 1, 0)] += 1 - right
        with pytest.raises(ModelError, match="no stationary law to 1e-09 for 2200 states"):
            law_of(chain_of(step))
