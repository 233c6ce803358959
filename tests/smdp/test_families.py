from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.smdp.chain import stationary
from batonq.smdp.durations import Law
from batonq.smdp.exact import aggregated, optimal
from batonq.smdp.families import (
    Probe,
    crossover,
    keeps_control,
    leak,
    long_or_short,
    random_model,
    ring,
    terminal_chain,
)
from batonq.smdp.policies import uniform

gammas = st.floats(0.3, 0.98)
probes = st.one_of(
    st.builds(
        ring,
        gammas,
        st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
        st.tuples(st.floats(1, 9), st.floats(1, 9)),
    ),
    st.builds(long_or_short, gammas, st.integers(1, 6), st.floats(0, 2), st.floats(0, 5)),
    st.builds(
        terminal_chain,
        st.integers(1, 12),
        st.floats(0.3, 1),
        st.integers(1, 5),
        st.floats(0, 1),
        st.floats(0, 0.5),
        st.floats(0, 2),
    ),
    st.builds(leak, gammas, st.floats(0.05, 0.95), st.floats(1, 9), st.booleans()),
    st.builds(
        keeps_control,
        gammas,
        st.floats(0, 0.5),
        st.floats(0, 1),
        st.floats(1, 9),
        st.floats(-1, 2),
        st.floats(0, 2),
    ),
)


@given(probes)
def test_closed_form_solves_the_bellman_equation(probe: Probe) -> None:
    """Written out entry by entry, apart from every solver."""
    model, known = probe.model, probe.optimal
    for s, a in np.argwhere(model.mask):
        row = s * model.n_actions + a
        backed_up = model.reward[s, a]
        for k in range(model.indptr[row], model.indptr[row + 1]):
            backed_up += model.discounted[k] * known[model.successor[k]].max()
        assert np.isclose(known[s, a], backed_up, rtol=1e-9, atol=1e-9)
    assert (known[~model.mask] == -np.inf).all()


@given(probes)
def test_solver_finds_the_closed_form(probe: Probe) -> None:
    mask = probe.model.mask
    found = optimal(probe.model)
    np.testing.assert_allclose(found.q[mask], probe.optimal[mask], rtol=1e-9, atol=1e-9)


@given(gammas, st.floats(0.05, 0.95), st.floats(1, 9), st.booleans())
def test_the_leak_is_as_wide_as_known(
    gamma: float, chance: float, mean: float, shown: bool
) -> None:
    probe = leak(gamma, chance, mean, shown)
    found = aggregated(probe.model, uniform(probe.model))
    mask = probe.model.cell_mask
    np.testing.assert_allclose(found.q[mask], probe.aggregated[mask], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("probe", [ring(), terminal_chain(), keeps_control()])
def test_without_a_leak_the_aggregated_is_the_optimal(probe: Probe) -> None:
    found = aggregated(probe.model, uniform(probe.model))
    mask = probe.model.mask
    np.testing.assert_allclose(found.q[mask], probe.aggregated[mask], atol=1e-9)


def test_long_against_short_crosses_where_known() -> None:
    gamma = crossover(short=3, prize=1.0, long_prize=3.0)
    assert np.isclose(gamma, 0.5 ** (1 / 3))
    below = optimal(long_or_short(gamma - 0.01).model).policy[0]
    above = optimal(long_or_short(gamma + 0.01).model).policy[0]
    assert (below, above) == (1, 0)
    at = long_or_short(gamma).optimal[0]
    assert np.isclose(at[0], at[1])


def test_keeping_control_pays_until_the_cost_is_too_high() -> None:
    work, hand = 0, 1
    assert optimal(keeps_control(cost=0.05).model).policy[0] == work
    assert optimal(keeps_control(cost=0.5).model).policy[0] == hand


def test_giving_up_starts_where_the_way_is_too_long() -> None:
    probe = terminal_chain(n_agents=30, cost=0.1)
    policy = optimal(probe.model).policy
    assert policy[-1] == 0
    assert policy[0] == 1
    assert (np.diff(policy) <= 0).all()


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))
def test_random_models_are_what_they_are_said_to_be(
    seed: int, n_agents: int, n_hidden: int, n_successors: int
) -> None:
    model = random_model(
        np.random.default_rng(seed),
        n_agents=n_agents,
        n_cells=6,
        n_hidden=n_hidden,
        n_actions=3,
        n_successors=n_successors,
        termination=0.25,
    )
    assert (model.n_agents, model.n_cells, model.n_states) == (n_agents, 6, 6 * n_hidden)
    np.testing.assert_allclose(model.row_mass, 0.75)
    assert (np.diff(model.indptr) == n_successors).all()
    rows = np.split(model.successor, model.indptr[1:-1])
    assert all(len(set(row)) == n_successors for row in rows)
    assert (model.durations.law == Law.GEOMETRIC).all()
    assert (model.durations.mean() >= 1).all() and (model.durations.mean() <= 8).all()
    assert (model.cell_agent == np.arange(6) % n_agents).all()
    again = random_model(
        np.random.default_rng(seed),
        n_agents=n_agents,
        n_cells=6,
        n_hidden=n_hidden,
        n_actions=3,
        n_successors=n_successors,
        termination=0.25,
    )
    assert again.probability.tobytes() == model.probability.tobytes()


@given(st.integers(0, 10**6), st.integers(2, 5))
def test_random_models_without_ends_meet_every_state_again(seed: int, n_successors: int) -> None:
    model = random_model(
        np.random.default_rng(seed), n_agents=2, n_cells=7, n_successors=n_successors
    )
    assert (stationary(model, uniform(model)) > 0).all()


def test_default_random_model_is_that_of_the_benchmarks() -> None:
    model = random_model(np.random.default_rng(0))
    assert (model.n_agents, model.n_cells, model.n_actions) == (10, 40, 2)
    assert len(model.successor) == 40 * 2 * 5


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ModelError, match="random model: 3 cells for 10 agents"):
        random_model(rng, n_cells=3)
    with pytest.raises(ModelError, match="4 states for 5 successors"):
        random_model(rng, n_agents=1, n_cells=4)
