"""Neural IC-Q: kernels against plain NumPy, gradients, projection, known solutions, identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import small_model

import batonq as bq
from batonq.base.errors import ModelError
from batonq.base.seeds import generator, generators
from batonq.icq import clocks, update
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.environment import ModelEnvironment
from batonq.icq.networks import Net, Networks, inputs_of, new_networks, unit
from batonq.icq.neural import STEP, NeuralQ, train_nets
from batonq.icq.neural_kernels import learn, output
from batonq.icq.observe import values_of
from batonq.icq.population import population
from batonq.smdp import policies
from batonq.smdp.exact import aggregated, optimal
from batonq.smdp.families import leak, terminal_chain


def plain_value(nets: Networks, action: int, x: np.ndarray) -> float:
    """f, from its definition."""
    total, m = 0.0, nets.signs.shape[1]
    for r in range(m):
        now, then = nets.weights[action, :, r] @ x, nets.start[action, :, r] @ x
        total += nets.signs[action, r] * (max(now, 0.0) - max(then, 0.0))
    return total / math.sqrt(m)


def plain_update(nets: Networks, action: int, x: np.ndarray, target: float, size: float) -> None:
    """One projected semi-gradient step, neuron by neuron, from its definition."""
    m = nets.signs.shape[1]
    move = size * (target - plain_value(nets, action, x))
    for r in range(m):
        w, start = nets.weights[action, :, r], nets.start[action, :, r]
        if w @ x > 0:
            w += move * nets.signs[action, r] / math.sqrt(m) * x
        length = math.sqrt(((w - start) ** 2).sum())
        if length > nets.radius / math.sqrt(m):
            w[:] = start + (w - start) * nets.radius / math.sqrt(m) / length


def networks(seed: int, width: int, features: int, radius: float, actions: int = 2) -> Networks:
    return new_networks(np.random.default_rng(seed), actions, features, width, radius)


def updated(nets: Networks, action: int, x: np.ndarray, target: float, size: float) -> None:
    """One step by the kernel."""
    rooms = np.empty((2, nets.signs.shape[1]))
    learn(
        nets.offset(x[None]),
        nets.weights,
        nets.start,
        nets.signs,
        action,
        x[None],
        0,
        target,
        size,
        nets.ball,
        rooms[0],
        rooms[1],
    )


def directions(rng: np.random.Generator, rows: int, features: int) -> np.ndarray:
    return unit(rng.standard_normal((rows, features)), constant=False)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 70), st.integers(1, 9), st.floats(0.05, 20))
def test_updates_are_those_of_the_definition(
    seed: int, width: int, features: int, radius: float
) -> None:
    rng = np.random.default_rng(seed)
    ours, plain = networks(seed, width, features, radius), networks(seed, width, features, radius)
    for x in directions(rng, 6, features):
        action, target, size = int(rng.integers(2)), float(rng.normal() * 5), float(rng.random())
        updated(ours, action, x, target, size)
        plain_update(plain, action, x, target, size)
        assert ours.values(x[None])[0, action] == pytest.approx(
            plain_value(plain, action, x), rel=1e-9, abs=1e-9
        )
    assert ours.weights == pytest.approx(plain.weights, rel=1e-9, abs=1e-9)
    length = np.linalg.norm(ours.weights - ours.start, axis=1)
    assert length.max() <= ours.ball * (1 + 1e-12)
    assert np.abs(ours.values(directions(rng, 20, features))).max() <= radius * (1 + 1e-12)


def test_a_step_follows_the_gradient() -> None:
    nets, rng = networks(1, 40, 5, 1e6), np.random.default_rng(2)
    x = directions(rng, 1, 5)[0]
    before, value = nets.weights.copy(), plain_value(nets, 1, x)
    updated(nets, 1, x, value + 1.0, 1.0)
    step = nets.weights - before
    assert not step[0].any(), "the other action's network must stay"
    slope = np.zeros_like(before[1])
    for i, r in np.ndindex(slope.shape):
        for sign in (1, -1):
            moved = Networks(before.copy(), nets.start, nets.signs, nets.radius)
            moved.weights[1, i, r] += sign * 1e-6
            slope[i, r] += sign * plain_value(moved, 1, x) / 2e-6
    assert step[1] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("width", [1, 3, 64, 257])
def test_values_are_zero_at_the_start_to_the_last_bit(width: int) -> None:
    nets = networks(0, width, 6, 4.0)
    x = directions(np.random.default_rng(1), 50, 6)
    assert not nets.values(x).any()
    reach = np.empty(width)
    plain = np.maximum(x @ nets.start[0], 0) @ nets.signs[0] / math.sqrt(width)
    assert [output(nets.start, nets.signs, 0, x, p, reach) for p in range(50)] == pytest.approx(
        plain.tolist(), abs=1e-12
    )


def test_inputs_have_length_one_and_a_constant_if_wanted() -> None:
    rows = unit(np.array([[3.0, 4.0], [0.0, 0.0]]), constant=True)
    assert rows == pytest.approx(np.array([[3, 4, 1, 0], [0, 0, math.sqrt(26), 0]]) / math.sqrt(26))
    model = small_model(3)
    for x in inputs_of(model, Net()):
        assert x @ x.T == pytest.approx(np.eye(len(x)))


def test_training_is_that_of_the_definition_on_an_environment() -> None:
    model = small_model(4)
    cells = np.random.default_rng(0).standard_normal((model.n_cells, 3))
    net = Net(width=16, radius=3.0, features=cells)
    run = bq.train(
        model,
        learner="icq_neural",
        net=net,
        handoffs=400,
        seed=9,
        behaviour=epsilon_greedy(0.5),
        record=True,
    )
    made: dict[str, NeuralQ] = {}

    def make(name: str, count: int) -> NeuralQ:
        rng = generator(9, 0, model.agents.index(name))
        made[name] = NeuralQ(count, 3, lambda y: cells[y], width=16, radius=3.0, rng=rng)
        return made[name]

    slow = bq.train(
        ModelEnvironment(model),
        handoffs=400,
        seed=9,
        behaviour=epsilon_greedy(0.5),
        make_q=make,
        points=1,
    )
    assert slow.quotes_crossed.tolist() == run.quotes_crossed.tolist()
    q = values_of(run, model)
    for y in range(model.n_cells):
        own = made[model.agents[model.cell_agent[y]]]
        assert own.values(y, model.cell_mask[y]) == pytest.approx(q[y], abs=1e-9)
    agents = [record for name in model.agents for record in run.handoffs(name)]
    assert len(agents) == 400
    crossed = sum(r.receiver is not None and r.receiver != r.agent for r in agents)
    assert crossed == run.quotes_crossed[0]


@pytest.mark.parametrize("phased", [False, True])
def test_the_same_seed_gives_the_same_numbers(phased: bool) -> None:
    model, net = small_model(5), Net(width=32)
    one = train_nets(model, net, phased=phased, handoffs=600, seeds=3, seed=1, workers=1)
    two = train_nets(model, net, phased=phased, handoffs=600, seeds=3, seed=1, workers=2)
    assert np.array_equal(one.path, two.path)
    assert not np.array_equal(one.path[0], one.path[1])
    assert np.array_equal(one.path[2, -1], values_of(one.run, model, 2))
    name = model.agents[1]
    cells = np.flatnonzero(model.cell_agent == 1)
    assert np.array_equal(one.networks[2][name].values(one.inputs[name]), one.path[2, -1, cells])


def test_in_a_phase_quotes_are_those_of_its_start() -> None:
    model = small_model(6, law="one")
    run = bq.train(
        model, learner="icq_neural_phased", net=Net(width=8), handoffs=300, phases=1, record=True
    )
    assert {r.quote for name in model.agents for r in run.handoffs(name)} <= {0.0, None}, (
        "all networks start at 0, so every quote of the first phase is 0"
    )
    assert np.abs(values_of(run, model)).max() > 0


@pytest.mark.compiled
@pytest.mark.parametrize("phased", [False, True])
def test_it_reaches_the_optimum(phased: bool) -> None:
    # One input a cell, none shared: a value moves by a share a = alpha |gradient|^2 of the way to
    # its target, |gradient|^2 being the share of gates open, near 1/2, and settles with variance
    # a / (2 - a) < alpha / 3 that of a target. A target here is -cost + gamma^2 V with chance .9,
    # V <= 1, else -cost, so its variance is at most .09; the last agent's is certain, so errors of
    # two agents add up at most. Four standard deviations.
    model = terminal_chain(n_agents=3).model
    step = clocks.constant(0.005)
    trained = train_nets(
        model,
        Net(width=64, radius=10.0),
        phased=phased,
        phases=6,
        handoffs=400_000,
        seeds=2,
        clock=step,
    )
    tolerance = 4 * 2 * math.sqrt(step.scale / 3 * 0.09)
    wanted = optimal(model).q
    for path in trained.path:
        off = np.abs(path[-1] - wanted)[model.cell_mask].max()
        assert off < tolerance < np.abs(wanted).max() / 3, f"{off:.3g}"
    assert trained.run.final == pytest.approx(model.initial @ wanted.max(axis=1), abs=1e-9)


def test_a_neural_q_keeps_the_contract() -> None:
    seen = {"a": np.array([1.0, 0.0]), "b": np.array([0.2, -3.0])}
    bq.testing.check_qfunction(
        lambda: NeuralQ(3, 2, lambda y: seen[str(y)], width=32), ["a", "b"], 3
    )


def test_the_clock_restarts_with_a_phase() -> None:
    q = NeuralQ(1, 1, lambda _y: np.ones(1), width=4)
    for _ in range(3):
        q.update(0, 0, 1.0)
    copy = q.frozen()
    assert (q.updates, copy.updates) == ([0], [0])
    size = clocks.size(STEP, 1)
    before = float(q.values(0, np.ones(1, np.bool_))[0])
    assert 0 < update.step(before, 1.0, size) - before < 1


def test_without_noise_it_comes_to_a_fixed_point() -> None:
    model = leak().model
    found = population(model, Net(width=32, radius=20.0), steps=150)
    fixed = aggregated(model, policies.uniform(model))
    mask = model.cell_mask
    assert found.values[mask] == pytest.approx(fixed.q[mask], abs=1e-6)
    assert found.rms[-1] < 1e-6 < found.rms[0]
    again = population(model, Net(width=32, radius=20.0), steps=150)
    assert np.array_equal(found.values, again.values)


def test_without_noise_small_balls_hold() -> None:
    model = leak().model
    found = population(model, Net(width=32, radius=0.3), steps=40)
    for nets in found.networks.values():
        length = np.linalg.norm(nets.weights - nets.start, axis=1)
        assert length.max() <= nets.ball * (1 + 1e-12)
    assert np.abs(found.values).max() <= 0.3 + 1e-12
    assert found.rms[-1] > 0.1, "values of about 2 are out of reach"


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({"width": 0}, "width 0"),
        ({"radius": 0.0}, "radius 0"),
        ({"radius": math.nan}, "radius nan"),
        ({"features": np.full((9, 2), np.inf)}, "largest inf"),
        ({"features": np.full((9, 2), np.nan)}, "largest nan"),
        ({"features": np.zeros((9, 2)), "constant": False}, "row 0 is zero"),
        ({"features": np.ones((4, 2))}, "4 rows for 9 cells"),
    ],
)
def test_wrong_networks_are_refused(net: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        bq.train(small_model(1), learner="icq_neural", net=Net(**net), handoffs=10)  # type: ignore[arg-type]


def test_wrong_uses_are_refused() -> None:
    model = small_model(1)
    with pytest.raises(ModelError, match="has no networks"):
        bq.train(model, net=Net(), handoffs=10)
    with pytest.raises(ModelError, match="for finite models"):
        bq.train(ModelEnvironment(model), learner="icq_neural", handoffs=10)
    with pytest.raises(ModelError, match="cannot go on"):
        start = bq.train(model, handoffs=10)
        bq.train(model, learner="icq_neural", handoffs=10, start=start)
    with pytest.raises(ModelError, match="0 steps"):
        population(model, steps=0)
    with pytest.raises(ModelError, match="of 'y' are"):
        NeuralQ(2, 3, lambda _y: np.ones(2)).values("y", np.ones(2, np.bool_))
    for scale in (0.0, 1.5, math.nan):
        wrong = clocks.Clock(scale, 1.0, 0.0, 1.0)
        with pytest.raises(ModelError, match="first step"):
            bq.train(model, learner="icq_neural", handoffs=10, clock=wrong)
        with pytest.raises(ModelError, match="first step"):
            NeuralQ(2, 3, lambda _y: np.ones(3), clock=wrong)


def test_seeds_draw_networks_of_their_own() -> None:
    first, second = generators(0, 2)
    assert first.random() != second.random()
    model = small_model(2)
    trained = train_nets(model, Net(width=4), handoffs=5, seeds=2)
    name = model.agents[0]
    assert not np.array_equal(trained.networks[0][name].start, trained.networks[1][name].start)
