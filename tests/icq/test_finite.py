"""Training on finite models: known values, a slow plain reference, identities."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from models import small_model

import batonq as bq
from batonq.base.errors import ModelError
from batonq.base.seeds import generators
from batonq.icq import behaviour, clocks
from batonq.icq.run import Run
from batonq.smdp import durations
from batonq.smdp.durations import Law
from batonq.smdp.model import FiniteICSMDP, from_entries


def cell_table(run: Run, model: FiniteICSMDP, seed: int = 0) -> np.ndarray:
    """Values by cell, put together from every agent's own table."""
    q = np.full((model.n_cells, model.n_actions), np.nan)
    for table in run.tables[seed].values():
        q[list(table.observations)] = table.q
    return q


def plain_icq(  # noqa: C901 - one plain loop, to be read beside the definition
    model: FiniteICSMDP, handoffs: int, seed: int, epsilon: float, clock: clocks.Clock
) -> list[dict[tuple[int, int], float]]:
    """IC-Q written out slowly from its definition, drawing in the kernel's order."""
    rng = generators(seed, 1)[0]
    tables: list[dict[tuple[int, int], float]] = [{} for _ in model.agents]
    count: dict[tuple[int, int], int] = {}

    def permitted(state: int) -> list[int]:
        return [a for a in range(model.n_actions) if model.mask[state, a]]

    def value(state: int, action: int) -> float:
        return tables[model.holder[state]].get((int(model.cell[state]), action), 0.0)

    def start() -> int:
        u, total = rng.random(), 0.0
        for s in range(model.n_states):
            total += model.initial[s]
            if u < total:
                return s
        return model.n_states - 1

    def length(k: int) -> int:
        law, parameter = model.durations.law[k], model.durations.parameter[k]
        if law == Law.FIXED:
            return int(parameter)
        if law == Law.GEOMETRIC:  # P(E >= -n log(1 - p)) = (1 - p)**n
            return 1 + int(rng.standard_exponential() / -math.log1p(-parameter))
        u = rng.random()
        row, total = int(parameter), 0.0
        first, last = model.durations.pmf_indptr[row : row + 2]
        for j in range(first, last):
            total += model.durations.pmf_probability[j]
            if u < total:
                return int(model.durations.pmf_duration[j])
        return int(model.durations.pmf_duration[last - 1])

    state = start()
    for _ in range(handoffs):
        options = permitted(state)
        u = rng.random()
        if u < epsilon:
            action = options[min(int(u / (epsilon / len(options))), len(options) - 1)]
        else:
            action = max(options, key=lambda a: (value(state, a), -a))
        row = state * model.n_actions + action
        u, total, following, tau = rng.random(), 0.0, None, 1
        for k in range(model.indptr[row], model.indptr[row + 1]):
            total += model.probability[k]
            if u < total:
                following, tau = int(model.successor[k]), length(k)
                break
        quote = 0.0
        if following is not None:
            quote = max(value(following, b) for b in permitted(following))
        worth = model.reward[state, action] + model.gamma**tau * quote
        key = (int(model.cell[state]), action)
        count[key] = count.get(key, 0) + 1
        size = clocks.size(clock, count[key])
        old = value(state, action)
        tables[model.holder[state]][key] = old + size * (worth - old)
        state = start() if following is None else following
    return tables


@pytest.mark.parametrize("law", ["fixed", "geometric", "finite"])
def test_the_kernel_does_what_the_definition_says(law: str) -> None:
    model = small_model(5, law=law)
    clock = clocks.rescaled_linear(0.8)
    run = bq.train(
        model, handoffs=3_000, seed=11, behaviour=behaviour.epsilon_greedy(0.4), clock=clock
    )
    reference = plain_icq(model, 3_000, 11, 0.4, clock)
    q = cell_table(run, model)
    for agent, table in enumerate(reference):
        for (cell, action), wanted in table.items():
            assert model.cell_agent[cell] == agent
            assert math.isclose(q[cell, action], wanted, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("seed", range(5))
def test_lossless_interface_separate_tables_equal_one_central_table_bit_for_bit(seed: int) -> None:
    model = small_model(seed, n_agents=4, n_states=12, law="geometric")
    settings = {"handoffs": 1_000_000, "seed": seed, "points": 1}
    apart = bq.train(model, behaviour=behaviour.epsilon_greedy(0.2), **settings)
    central = bq.train(
        model,
        learner="centralised",
        sight="joint",
        behaviour=behaviour.epsilon_greedy(0.2),
        **settings,
    )
    addresses = {table.q.ctypes.data for table in apart.tables[0].values()}
    assert len(addresses) == model.n_agents
    assert np.array_equal(cell_table(apart, model), central.tables[0]["central"].q)


def test_same_identity_on_a_small_run() -> None:
    model = small_model(2)
    one = bq.train(model, handoffs=2_000, points=2)
    other = bq.train(model, learner="centralised", handoffs=2_000, points=2)
    assert np.array_equal(cell_table(one, model), other.tables[0]["central"].q)
    assert one.quotes_crossed[0] > 0
    assert other.quotes_crossed[0] == 0


@pytest.mark.compiled
@pytest.mark.parametrize("learner", ["icq", "icq_phased", "centralised"])
def test_learners_reach_the_oracle_through_a_lossless_interface(learner: str) -> None:
    model = small_model(1)
    oracle = bq.solve(model)
    run = bq.train(model, learner=learner, handoffs=600_000, seeds=4, points=4)
    best = float(model.initial @ oracle.value)
    assert np.allclose(run.final, best, atol=1e-9)
    if learner != "centralised":
        errors = [np.abs(cell_table(run, model, s) - oracle.q)[model.mask].max() for s in range(4)]
        # 27 pairs at most, 600,000 updates of range about 10: root-mean-square error near .02.
        assert max(errors) < 0.15


def test_without_the_scalar_agents_are_myopic_about_others() -> None:
    # Agent 0: action 0 ends with reward 1; action 1 hands to agent 1, who ends with reward 10.
    model = from_entries(
        agents=["first", "second"],
        holder=np.array([0, 1]),
        reward=np.array([[1.0, 0.0], [10.0, 10.0]]),
        state=np.array([0]),
        action=np.array([1]),
        successor=np.array([1]),
        probability=np.array([1.0]),
        durations=durations.fixed(np.array([2])),
        gamma=0.9,
        initial=np.array([1.0, 0.0]),
    )
    icq = bq.train(model, handoffs=2_000)
    silent = bq.train(model, learner="no_scalar", handoffs=2_000)
    monte_carlo = bq.train(model, learner="monte_carlo", handoffs=2_000)
    random = bq.train(model, learner="random", handoffs=2_000)
    assert math.isclose(icq.final[0], 0.81 * 10)
    assert silent.final[0] == 1.0
    assert silent.quotes_crossed[0] == 0
    assert math.isclose(monte_carlo.final[0], 0.81 * 10)
    assert math.isclose(random.final[0], 0.5 * 1 + 0.5 * 0.81 * 10)
    assert math.isclose(monte_carlo.tables[0]["first"].q[0, 1], 8.1)


def test_no_scalar_still_learns_across_its_own_steps() -> None:
    # One agent that works (keeps control) and then ends: it bootstraps on its own table.
    model = from_entries(
        agents=["only"],
        holder=np.array([0, 0]),
        reward=np.array([[0.0], [5.0]]),
        state=np.array([0]),
        action=np.array([0]),
        successor=np.array([1]),
        probability=np.array([1.0]),
        durations=durations.fixed(np.array([1])),
        gamma=0.5,
        initial=np.array([1.0, 0.0]),
    )
    run = bq.train(model, learner="no_scalar", handoffs=3_000, clock=clocks.power(0.6))
    assert math.isclose(run.tables[0]["only"].q[0, 0], 2.5, rel_tol=1e-3)
    assert run.quotes_crossed[0] == 0


@pytest.mark.parametrize("learner", ["icq", "icq_phased", "monte_carlo", "no_scalar", "random"])
def test_seeds_do_not_depend_on_threads_or_on_their_number(learner: str) -> None:
    model = small_model(3)
    runs = [
        bq.train(model, learner=learner, handoffs=3_000, seeds=seeds, workers=workers, points=3)
        for seeds, workers in ((3, 1), (3, 3), (2, 2))
    ]
    for run, seed in itertools.product(runs[1:], range(2)):
        assert np.array_equal(
            cell_table(runs[0], model, seed), cell_table(run, model, seed), equal_nan=True
        )
    assert np.array_equal(runs[0].curve, runs[1].curve, equal_nan=True)
    assert learner == "random" or not np.array_equal(
        cell_table(runs[0], model, 0), cell_table(runs[0], model, 1), equal_nan=True
    )


def test_a_phase_is_the_mean_of_its_targets() -> None:
    model = small_model(4, law="one")
    run = bq.train(model, learner="icq_phased", handoffs=900, phases=1, initial=2.0, record=True)
    trace = run.traces[0]
    q = cell_table(run, model)
    for cell, action in np.argwhere(model.cell_mask):
        mine = trace[(trace["cell"] == cell) & (trace["action"] == action)]
        if not len(mine):
            assert q[cell, action] == 2.0
            continue
        bootstrapped = mine["receiver"] >= 0
        assert (mine["quote"][bootstrapped] == 2.0).all()  # frozen answers do not move
        worth = mine["reward"] + model.gamma ** mine["duration"] * mine["quote"]
        assert math.isclose(q[cell, action], worth.mean(), rel_tol=1e-9)


def test_longer_phases_come_last_and_all_handoffs_are_used() -> None:
    run = bq.train(small_model(0), learner="icq_phased", handoffs=1_000, phases=5)
    lengths = np.diff(np.concatenate([[0], run.points]))
    assert lengths.sum() == 1_000
    assert (np.diff(lengths) >= 0).all()


def test_records_hold_only_what_their_agent_knows() -> None:
    model = small_model(6, ending=0.3)
    run = bq.train(model, handoffs=500, record=True)
    records = [run.handoffs(agent) for agent in model.agents]
    assert sum(len(mine) for mine in records) == 500
    for agent, mine in zip(model.agents, records, strict=True):
        for one in mine:
            assert one.agent == agent
            assert model.agents[model.cell_agent[one.observation]] == agent
            assert 0 < one.propensity <= 1
            assert (one.quote is None) == (one.end == "terminal") == (one.receiver is None)
    assert len({one.handoff_id for mine in records for one in mine}) == 500
    crossing = [one for mine in records for one in mine if one.receiver not in (None, one.agent)]
    assert len(crossing) == run.quotes_crossed[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"handoffs": 0}, "handoffs: 0"),
        ({"seeds": 0}, "seeds: 0"),
        ({"points": 0}, "points: 0"),
        ({"workers": 0}, "workers: 0"),
        ({"seed": -1}, "seed: -1"),
        ({"phases": 101}, "phases: 101"),
        ({"initial": math.inf}, "initial: inf"),
        ({"learner": "sarsa"}, "'sarsa' is unknown"),
        ({"sight": "joint"}, "does not go with learner 'icq'"),
        ({"learner": "centralised", "record": True}, "record"),
        ({"exchange": float}, "exchange are for environments"),
    ],
)
def test_bad_settings_are_named(arguments: dict[str, object], said: str) -> None:
    settings = {"handoffs": 100, **arguments}
    with pytest.raises(ModelError, match=said):
        bq.train(small_model(0), **settings)  # type: ignore[arg-type]


def test_records_must_have_been_asked_for() -> None:
    run = bq.train(small_model(0), handoffs=50)
    with pytest.raises(ModelError, match="record=True"):
        run.handoffs("agent0")
    recorded = bq.train(small_model(0), handoffs=50, record=True)
    with pytest.raises(ModelError, match="agent 'nobody' is unknown"):
        recorded.handoffs("nobody")


def test_a_policy_that_never_ends_has_no_value_without_discount() -> None:
    # Action 0 stays for ever at a cost; before anything is learnt it is the greedy one.
    model = from_entries(
        agents=["a"],
        holder=np.array([0]),
        reward=np.array([[-1.0, -5.0]]),
        state=np.array([0]),
        action=np.array([0]),
        successor=np.array([0]),
        probability=np.array([1.0]),
        durations=durations.fixed(np.array([1])),
        gamma=1.0,
    )
    run = bq.train(model, handoffs=400, points=100, clock=clocks.constant(0.5))
    assert math.isnan(run.curve[0, 0])
    assert run.final[0] == -5.0


def test_going_on_from_a_run_keeps_values_and_clocks() -> None:
    model = small_model(3)
    first = bq.train(model, handoffs=500, seeds=2, points=1)
    more = bq.train(model, handoffs=300, seeds=2, points=1, seed=9, start=first)
    for seed in range(2):
        for name, table in more.tables[seed].items():
            before = first.tables[seed][name]
            assert (table.counts >= before.counts).all()
            still = table.counts == before.counts
            assert np.array_equal(table.q[still], before.q[still])
        assert sum(t.counts.sum() for t in more.tables[seed].values()) == 800
    assert not np.array_equal(cell_table(first, model), cell_table(more, model))


def test_a_central_learner_can_go_on_too() -> None:
    model = small_model(3)
    settings = {"learner": "centralised", "handoffs": 200, "points": 1}
    more = bq.train(model, start=bq.train(model, **settings), seed=1, **settings)
    assert more.tables[0]["central"].counts.sum() == 400


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learner": "no_scalar"}, "cannot go on as 'no_scalar'"),
        ({"seeds": 2}, "has 1 seeds, 2 were asked for"),
        ({"source": small_model(3, n_states=12)}, "does not fit the cells"),
        ({"source": small_model(3, n_agents=2)}, "does not fit the cells"),
    ],
)
def test_runs_that_cannot_be_gone_on_from_are_named(change: dict[str, object], said: str) -> None:
    start = bq.train(small_model(3), handoffs=50)
    settings = {"source": small_model(3), "handoffs": 50, "start": start, **change}
    with pytest.raises(ModelError, match=said):
        bq.train(**settings)  # type: ignore[arg-type]
