"""Late answers and the other variants: by hand, against plain Python, and what crosses."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import small_model

import batonq as bq
from batonq.base.errors import ModelError
from batonq.base.seeds import generators
from batonq.icq import behaviour, clocks
from batonq.icq.environment import ModelEnvironment
from batonq.icq.kernels import draw, dynamics, first_state
from batonq.icq.run import Run
from batonq.icq.variants import Variant
from batonq.smdp import durations
from batonq.smdp.families import leak, terminal_chain
from batonq.smdp.model import FiniteICSMDP, from_entries

PLAIN = Variant(wait=1, average=None)


def cell_table(run: Run, model: FiniteICSMDP, seed: int = 0) -> np.ndarray:
    q = np.full((model.n_cells, model.n_actions), np.nan)
    for table in run.tables[seed].values():
        q[list(table.observations)] = table.q
    return q


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_answered_at_once_it_is_plain_icq_bit_for_bit(decay: float) -> None:
    model = small_model(3, ending=0.2)
    options = {"handoffs": 5_000, "seeds": 2, "behaviour": behaviour.epsilon_greedy(0.3)}
    plain = bq.train(model, **options, record=True)
    late = bq.train(
        model, learner="icq_late", variant=replace(PLAIN, decay=decay), **options, record=True
    )
    for seed in range(2):
        assert np.array_equal(cell_table(plain, model, seed), cell_table(late, model, seed))
        assert np.array_equal(plain.traces[seed], late.traces[seed])
    assert np.array_equal(plain.curve, late.curve)
    assert np.array_equal(plain.quotes_crossed, late.quotes_crossed)


def line(n: int, gamma: float = 0.5) -> FiniteICSMDP:
    """Agents in a line with one action each; the last ends it and is paid 1."""
    return from_entries(
        agents=[f"agent {k}" for k in range(n)],
        holder=np.arange(n),
        reward=np.eye(n)[n - 1][:, None],
        state=np.arange(n - 1),
        action=np.zeros(n - 1, np.int64),
        successor=np.arange(1, n),
        probability=np.ones(n - 1),
        durations=durations.fixed(np.full(n - 1, 1)),
        gamma=gamma,
        initial=np.eye(n)[0],
    )


def test_one_workflow_tells_everybody_what_the_last_found_out() -> None:
    # Step 1/2: the last learns 1/2 and answers 1/2; each before it learns half of half of that.
    options = {"handoffs": 4, "points": 1, "clock": clocks.constant(0.5)}
    late = bq.train(
        line(4), learner="icq_late", variant=Variant(average=None), record=True, **options
    )
    assert cell_table(late, line(4)).ravel().tolist() == [1 / 128, 1 / 32, 1 / 8, 1 / 2]
    assert late.traces[0]["quote"].tolist() == [1 / 32, 1 / 8, 1 / 2, 0.0]
    assert late.quotes_crossed.tolist() == [3]
    plain = bq.train(line(4), **options)
    assert cell_table(plain, line(4)).ravel().tolist() == [0.0, 0.0, 0.0, 1 / 2]


def test_a_round_closes_when_it_is_full() -> None:
    # Rounds of 2: agents 0 and 1, answered 0 by agent 2; then 2 and 3.
    late = bq.train(
        line(4),
        learner="icq_late",
        variant=Variant(wait=2, average=None),
        handoffs=4,
        points=1,
        clock=clocks.constant(0.5),
    )
    assert cell_table(late, line(4)).ravel().tolist() == [0.0, 0.0, 1 / 8, 1 / 2]


def test_returns_in_full_are_monte_carlo_where_all_is_greedy() -> None:
    # Both hear of the whole return of every workflow, if the last round ends with a workflow.
    model = terminal_chain(4, success=1.0, cost=0.0, gamma=0.9).model
    options = {
        "handoffs": 400,
        "points": 1,
        "behaviour": behaviour.epsilon_greedy(0.0),
        "clock": clocks.sample_mean(),
    }
    late = bq.train(model, learner="icq_late", variant=Variant(decay=1.0, average=None), **options)
    returns = bq.train(model, learner="monte_carlo", **options)
    assert np.array_equal(cell_table(late, model), cell_table(returns, model))
    assert late.tables[0]["agent 0"].counts[0, 0] == 100
    assert math.isclose(late.tables[0]["agent 0"].q[0, 0], 0.9**6)


def test_a_return_is_cut_at_an_action_that_was_not_greedy() -> None:
    # The last is offered 1 by action 0 and 8 by action 1. It takes action 0 although action 1 is
    # known to be better: what it then earns does not count for whoever handed to it.
    model = from_entries(
        agents=["first", "last"],
        holder=np.array([0, 1]),
        reward=np.array([[0.0, 0.0], [1.0, 8.0]]),
        mask=np.array([[True, False], [True, True]]),
        state=np.array([0]),
        action=np.array([0]),
        successor=np.array([1]),
        probability=np.ones(1),
        durations=durations.fixed(np.array([1])),
        gamma=0.5,
        initial=np.array([1.0, 0.0]),
    )
    run = bq.train(
        model,
        learner="icq_late",
        variant=Variant(decay=1.0, average=None),
        handoffs=200,
        clock=clocks.constant(1.0),
        record=True,
    )
    first, last = run.traces[0][::2], run.traces[0][1::2]
    known = np.maximum.accumulate(np.where(last["action"] == 1, 8.0, 1.0))
    assert set(last["action"]) == {0, 1}
    assert np.array_equal(first["quote"], known)


def plain_late(
    model: FiniteICSMDP, variant: Variant, handoffs: int, seed: int, epsilon: float
) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], float], int]:
    """Late answers from their definition, recursively, every answer asked for by name."""
    rng = generators(seed, 1)[0]
    d = dynamics(model)
    clock = clocks.rescaled_linear(model.contraction)
    q: dict[tuple[int, int], float] = {}
    n: dict[tuple[int, int], int] = {}
    means: dict[tuple[int, int], float] = {}
    crossed = 0

    def acted_on(cell: int, action: int) -> float:
        return q.get((cell, action), 0.0) + variant.bonus / math.sqrt(1 + n.get((cell, action), 0))

    def best(state: int) -> float:
        cell = int(model.cell[state])
        return max(acted_on(cell, b) for b in range(model.n_actions) if model.mask[state, b])

    def learn(waiting: list[tuple[int, int, int, int]]) -> float:
        """The first of `waiting` is answered, learns, and says what it answers its sender."""
        nonlocal crossed
        (state, action, following, duration), *others = waiting
        if following < 0:
            answer = 0.0
        else:
            answer = learn(others) if others else best(following)
            crossed += model.holder[following] != model.holder[state]
        worth = model.reward[state, action] + model.gamma**duration * answer
        key = (int(model.cell[state]), action)
        greedy = acted_on(*key) >= best(state)
        n[key] = n.get(key, 0) + 1
        q[key] = q.get(key, 0.0) + clocks.size(clock, n[key]) * (worth - q.get(key, 0.0))
        s = variant.average or 0.0
        old = means.get(key, 0.0)
        means[key] = old + (1 + s) / (n[key] + s) * (q[key] - old)
        share = variant.decay if greedy else 0.0
        return (1 - share) * best(state) + share * worth

    state, waiting = first_state(d.initial_cumulative, rng), []
    for k in range(handoffs):
        options = [a for a in range(model.n_actions) if model.mask[state, a]]
        u, cell = rng.random(), int(model.cell[state])
        if u < epsilon:
            action = options[min(int(u / (epsilon / len(options))), len(options) - 1)]
        else:
            action = max(options, key=lambda a: (acted_on(cell, a), -a))
        following, duration = draw(*d.sampler, state * model.n_actions + action, rng)
        waiting.append((state, action, following, duration))
        state = first_state(d.initial_cumulative, rng) if following < 0 else following
        if following < 0 or len(waiting) == variant.wait or k == handoffs - 1:
            learn(waiting)
            waiting.clear()
    return q, means, crossed


@pytest.mark.parametrize(
    "variant",
    [
        Variant(average=None),
        Variant(wait=7, decay=0.6, average=None),
        Variant(wait=5, decay=0.3, bonus=0.4, average=1.5),
    ],
)
def test_the_kernel_does_what_the_definition_says(variant: Variant) -> None:
    model = small_model(5)
    run = bq.train(
        model,
        learner="icq_late",
        variant=variant,
        handoffs=2_000,
        points=1,
        seed=4,
        behaviour=behaviour.epsilon_greedy(0.3),
    )
    q, means, crossed = plain_late(model, variant, 2_000, 4, 0.3)
    got = cell_table(run, model)
    wanted = q if variant.average is None else means
    assert len(wanted) > 10
    for key, value in wanted.items():
        assert math.isclose(got[key], value, rel_tol=1e-9, abs_tol=1e-9)
    assert run.quotes_crossed.tolist() == [crossed]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    wait=st.integers(1, 40),
    decay=st.sampled_from([0.0, 0.5, 1.0]),
    bonus=st.sampled_from([0.0, 1.0]),
    average=st.sampled_from([None, 2.0]),
)
def test_one_number_crosses_for_each_handoff_between_agents(
    seed: int, wait: int, decay: float, bonus: float, average: float | None
) -> None:
    run = bq.train(
        small_model(seed % 7),
        learner="icq_late",
        variant=Variant(wait, decay, bonus, average),
        handoffs=5_000,
        points=3,
        seed=seed,
        record=True,
        workers=1,
    )
    trace = run.traces[0]
    between = (trace["receiver"] >= 0) & (trace["receiver"] != trace["agent"])
    assert run.quotes_crossed.tolist() == [between.sum()]
    assert (trace["quote"][trace["receiver"] < 0] == 0).all()


@pytest.mark.compiled
def test_without_returns_the_limit_is_that_of_icq_and_with_them_it_is_not() -> None:
    # The reader sees the bit, the actor does not: in IC-Q the bit is worth nothing to the reader.
    # Returns pass it on. The actor's greedy action names the likelier bit; it takes it half of the
    # time, and then decay times the reward, 1 or 0, reaches the reader, discounted by h.
    probe = leak(gamma=0.9, chance=0.7)
    runs = {
        decay: bq.train(
            probe.model, learner="icq_late", variant=Variant(decay=decay), handoffs=400_000, seeds=2
        )
        for decay in (0.0, 0.9)
    }
    mask = probe.model.cell_mask
    for seed in range(2):
        found = cell_table(runs[0.0], probe.model, seed)
        # Standard deviation of a target about 1/2, 60,000 averaged updates a pair, over 1 - beta.
        assert np.abs(found - probe.aggregated)[mask].max() < 0.05
        other = cell_table(runs[0.9], probe.model, seed)
        h = 0.9 / (2 - 0.9)
        assert math.isclose(other[1, 0] - other[0, 0], h * 0.5 * 0.9, abs_tol=0.05)


def test_seeds_do_not_depend_on_threads_and_records_change_nothing() -> None:
    model = small_model(2)
    options = {"learner": "icq_late", "handoffs": 9_000, "points": 2}
    runs = [
        bq.train(model, seeds=3, workers=1, **options),
        bq.train(model, seeds=3, workers=3, record=True, **options),
    ]
    for seed in range(3):
        assert np.array_equal(*(cell_table(run, model, seed) for run in runs))
    assert runs[0].settings["variant"] == {
        "wait": 16,
        "decay": 0.0,
        "bonus": 0.0,
        "average": 2.0,
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wait": 0}, "wait 0 is not in 1..4096"),
        ({"wait": 5_000}, "wait 5000"),
        ({"decay": 1.1}, "decay 1.1"),
        ({"decay": math.nan}, "decay nan"),
        ({"bonus": -1.0}, "bonus -1"),
        ({"bonus": math.inf}, "bonus inf"),
        ({"average": -0.5}, "average -0.5"),
        ({"average": math.nan}, "average nan"),
    ],
)
def test_bad_variants_are_named(change: dict[str, float], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Variant(**change)


def test_what_does_not_go_together_is_named() -> None:
    model = small_model(1)
    with pytest.raises(ModelError, match="learner 'icq' has none; use 'icq_late'"):
        bq.train(model, handoffs=10, variant=Variant())
    with pytest.raises(ModelError, match="'icq_late' is for finite models"):
        bq.train(ModelEnvironment(model), learner="icq_late", handoffs=10)
    with pytest.raises(ModelError, match="'icq_late' cannot go on"):
        bq.train(model, learner="icq_late", handoffs=10, start=bq.train(model, handoffs=10))


@pytest.fixture(scope="module")
def pairs() -> ModuleType:
    """The kernel of the variants that did not win, which lives with the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        return import_module("benchmarks._pairs")


def test_double_q_one_table_chooses_and_the_other_says_what_it_is_worth(pairs: ModuleType) -> None:
    model = small_model(0, law="one")
    d = dynamics(model)
    sides = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        tables = rng.normal(size=(5, model.n_cells, model.n_actions))
        before, counts = tables.copy(), np.zeros((2, *tables.shape[1:]), np.int64)
        following, crossed = pairs.play_pair(
            d,
            pairs.DOUBLE,
            tables,
            counts,
            clocks.constant(1.0),
            behaviour.uniform(),
            0.0,
            0,
            1,
            rng,
        )
        ((side, _, action),) = np.argwhere(counts)
        allowed = np.where(model.mask[following], 0.0, -np.inf)
        best = (before[side, following] + allowed).argmax()
        quote = before[1 - side, following, best]
        worth = model.reward[0, action] + model.gamma * quote
        ended = model.reward[0, action]
        assert tables[side, 0, action] in (pytest.approx(worth), pytest.approx(ended))
        assert np.array_equal(tables[1 - side], before[1 - side])
        assert tables[4, 0, action] == tables[:2, 0, action].mean()
        assert crossed in (0, 1)
        sides.add(int(side))
    assert sides == {0, 1}


@pytest.mark.parametrize("rule", ["DOUBLE", "RICHARDSON", "CENTRED"])
def test_pairs_send_one_number_and_find_what_is_certain(pairs: ModuleType, rule: str) -> None:
    model = line(4)
    play_on = pairs.pair_learner(
        dynamics(model),
        4,
        getattr(pairs, rule),
        clocks.constant(0.3),
        behaviour.uniform(),
        np.random.default_rng(0),
        first=200,
        growth=1.0,
    )
    q, crossed = play_on(4_000)
    assert crossed == 3_000
    assert np.allclose(q.ravel(), [1 / 8, 1 / 4, 1 / 2, 1])
