"""Paired replay: exact enumeration, known residuals, environments, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from field_logs import two_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import DataError, ModelError
from batonq.bound import replay
from batonq.bound.replay import (
    Pairs,
    paired_replay,
    replay_decisions,
    replay_environment,
    replay_model,
)
from batonq.icq import clocks
from batonq.icq.environment import ModelEnvironment, Turn
from batonq.icq.qfunction import QFunction
from batonq.icq.tabular import TabularQ
from batonq.smdp.exact import aggregated
from batonq.smdp.policies import uniform


class Restorable(ModelEnvironment):
    """A finite model whose decisions can be run again."""

    def snapshot(self) -> int:
        return self._state

    def restore(self, snapshot: int, rng: np.random.Generator) -> None:
        self._state, self._rng = snapshot, rng


def frozen(q: np.ndarray) -> Mapping[str, QFunction]:
    """One agent's table over cells as its Q-function."""
    table = TabularQ(q.shape[1], clocks.sample_mean())
    table.rows = dict(enumerate(q))
    return {"desk": table}


def test_no_bias_over_every_outcome_of_three_pairs(monkeypatch: pytest.MonkeyPatch):
    """One decision, states of residual mean 1 and -2/3, noise +-1: |eta|^2 = E mean^2 - (E mean)^2.

    Every outcome of three independent pairs has its probability; the expectation is exact.
    """
    monkeypatch.setattr(replay, "FEWEST_PAIRS", 3)
    means, chance = np.array([1.0, -2 / 3]), np.array([0.25, 0.75])
    one = [(m, e1, e2) for m in (0, 1) for e1, e2 in itertools.product([-1.0, 1.0], repeat=2)]
    total = 0.0
    for three in itertools.product(one, repeat=3):
        probability = np.prod([chance[m] / 4 for m, _, _ in three])
        first = np.array([means[m] + e for m, e, _ in three])
        second = np.array([means[m] + e for m, _, e in three])
        found = paired_replay(Pairs(np.zeros(3, np.int64), first, second, True))
        total += probability * found.residual.value
    wanted = chance @ means**2 - (chance @ means) ** 2
    assert total == pytest.approx(wanted)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_against_the_double_loop_over_different_pairs(seed: int):
    rng = np.random.default_rng(seed)
    decision = rng.integers(0, 4, 120)
    first, second = rng.normal(size=(2, 120))
    found = paired_replay(Pairs(decision, first, second, True))
    total = 0.0
    for p in range(4):
        rows = np.flatnonzero(decision == p)
        mid = (first[rows] + second[rows]) / 2
        apart = sum(mid[i] * mid[j] for i in range(len(rows)) for j in range(len(rows)) if i != j)
        products = (first[rows] * second[rows]).mean()
        total += len(rows) * (products - apart / (len(rows) * (len(rows) - 1)))
    assert found.residual.value == pytest.approx(total / 120)
    shifted = Pairs(decision, first + decision, second + decision, True)
    assert paired_replay(shifted).residual.value == pytest.approx(found.residual.value)


def test_the_residual_of_a_model_under_other_values_than_its_own():
    """Moving Q by a constant per pair moves m but not eta: |eta|^2 = 1/8, see `two_bits`.

    40 replications of 4,000 pairs: mean within 4 standard errors, at least 33 covered (4 sd).
    """
    model = two_bits()
    q = aggregated(model, uniform(model)).q
    values, covered = [], 0
    for seed in range(40):
        found = paired_replay(replay_model(model, q + 0.5, pairs=4_000, seed=seed)).residual
        values.append(found.value)
        covered += found.low <= 1 / 8 <= found.high
    assert abs(np.mean(values) - 1 / 8) <= 4 * np.std(values) / np.sqrt(40)
    assert covered >= 33


def test_replays_of_one_agent_and_a_behaviour():
    model = two_bits()
    q = aggregated(model, uniform(model)).q
    behaviour = np.array([[0.9, 0.1], [0.5, 0.5]])
    pairs = replay_model(model, q, pairs=20_000, behaviour=behaviour, agent="desk", seed=3)
    shares = np.bincount(pairs.decision, minlength=4) / 20_000
    assert shares == pytest.approx([0.45, 0.05, 0.25, 0.25], abs=0.02)
    assert np.array_equal(
        pairs.first,
        replay_model(model, q, pairs=20_000, behaviour=behaviour, seed=3).first,
    )


def test_an_environment_gives_what_the_model_gives():
    """Pairs along a chain, in blocks of time; the interval holds |eta|^2 = 1/8."""
    model = two_bits()
    q = aggregated(model, uniform(model)).q
    environment = Restorable(model)
    pairs = replay_environment(environment, frozen(q), pairs=3_000, every=2, seed=1)
    assert not pairs.independent
    found = paired_replay(pairs)
    assert found.covered == 1.0
    assert found.residual.low <= 1 / 8 <= found.residual.high
    assert found.residual.n_blocks <= 64
    assert np.corrcoef(pairs.first, pairs.second)[0, 1] < 0.99


def test_pairs_along_a_chain_are_covered_over_100_plays():
    """A sticky mode of +-1/2 moves one decision's residual: |eta|^2 = 1/4. 95 % less 4 sd."""
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        mode = np.cumprod(np.where(rng.random(4_000) < 0.1, -1.0, 1.0)) / 2
        first, second = mode + 0.3 * rng.normal(size=(2, 4_000))
        found = paired_replay(Pairs(np.zeros(4_000, np.int64), first, second, False)).residual
        covered += found.low <= 1 / 4 <= found.high
    assert covered >= 95 - 4 * np.sqrt(100 * 0.95 * 0.05)


def test_bad_input_is_refused():
    model = two_bits()
    q = aggregated(model, uniform(model)).q
    with pytest.raises(ModelError, match="has no snapshot"):
        replay_environment(ModelEnvironment(model), frozen(q), pairs=5)
    with pytest.raises(ModelError, match=r"agents without a Q-function: \['desk'\]"):
        replay_environment(Restorable(model), {}, pairs=5)
    with pytest.raises(ModelError, match="agent 'x' is none of desk"):
        replay_environment(Restorable(model), frozen(q), pairs=5, agent="x")
    with pytest.raises(ModelError, match="values of shape"):
        replay_model(model, q[:1], pairs=5)
    with pytest.raises(ModelError, match="0 pairs"):
        replay_model(model, q, pairs=0)
    one = np.ones(200)
    with pytest.raises(DataError, match="pair 3 is not finite"):
        paired_replay(
            Pairs(np.zeros(200, np.int64), np.where(np.arange(200) == 3, np.nan, 1), one, True)
        )
    with pytest.raises(DataError, match="0 pairs whose decision was replayed before"):
        paired_replay(Pairs(np.arange(200), one, one, True))
    with pytest.raises(DataError, match=r"columns of \[199, 200\] pairs"):
        paired_replay(Pairs(np.zeros(200, np.int64), one, one[1:], True))
    with pytest.raises(ModelError, match="agent 'idle' never decides"):
        replay_model(replace(model, agents=("desk", "idle")), q, pairs=5, agent="idle")
    for state, action in (([8], [0]), ([-1], [0]), ([0, 1], [0]), ([0], [2]), ([0], [-1])):
        with pytest.raises(ModelError, match=r"replay: .*give"):
            replay_decisions(model, q, np.array(state), np.array(action), independent=True)


def test_an_agent_that_never_decides_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay, "PATIENCE", 20)
    environment = Restorable(replace(two_bits(), agents=("desk", "idle")))
    tables = {name: frozen(np.zeros((2, 2)))["desk"] for name in ("desk", "idle")}
    with pytest.raises(ModelError, match="agent 'idle' has not decided in 20 decisions"):
        replay_environment(environment, tables, pairs=5, agent="idle")


def test_decisions_replayed_once_say_nothing_and_are_told():
    rng = np.random.default_rng(0)
    decision = np.append(np.zeros(300, np.int64), np.arange(1, 101))
    first, second = rng.normal(size=(2, 400))
    assert paired_replay(Pairs(decision, first, second, True)).covered == 0.75


class Ending(Restorable):
    """The same, but every decision ends the workflow."""

    def step(self, action: int) -> Turn:
        return Turn(reward=super().step(action).reward, end="terminal")


def test_workflows_that_end_are_started_again():
    """With nothing to follow d is the reward less Q: eta = +-1/2 in cell 0, hence 1/8 again."""
    model = two_bits()
    pairs = replay_environment(Ending(model), frozen(np.zeros((2, 2))), pairs=500, seed=2)
    assert np.array_equal(pairs.first, pairs.second)  # rewards are certain, given the state
    found = paired_replay(pairs).residual
    assert found.low <= 1 / 8 <= found.high
