"""Log and observe: what one agent keeps while nothing moves."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from batonq.base.errors import DataError, ModelError
from batonq.icq.environment import Turn
from batonq.icq.log import Field, Log
from batonq.icq.observe import observe, observe_environment, values_of
from batonq.icq.record import TERMINAL
from batonq.icq.train import train
from batonq.smdp.exact import aggregated, optimal
from batonq.smdp.families import leak, random_model
from batonq.smdp.policies import uniform

HANDOFFS = 4_000


@pytest.fixture(scope="module")
def model():
    return random_model(
        np.random.default_rng(3), n_agents=3, n_cells=6, n_hidden=2, termination=0.1
    )


@pytest.fixture(scope="module")
def logs(model):
    hidden = np.arange(model.n_states) % 2
    q = aggregated(model, uniform(model)).q
    return observe(model, q, handoffs=HANDOFFS, seed=5, fields={"hidden": hidden})


def test_every_decision_is_in_its_own_agents_log_only(model, logs):
    assert sum(len(log) for log in logs.values()) == HANDOFFS
    for number, (name, log) in enumerate(logs.items()):
        assert log.agent == name
        assert all(model.cell_agent[cell] == number for cell in log.observations)


def test_residuals_are_those_of_the_frozen_values():
    probe = leak()  # all its rewards are known
    log = observe(probe.model, probe.aggregated, handoffs=500, fields={"bit": np.arange(4) % 2})[
        "actor"
    ]
    bit = log.fields["bit"].code
    reward = (log.action == bit).astype(float)
    quote = probe.aggregated[0, 0]  # one option of a single step leads back to the reader
    value = probe.aggregated[2][log.action]
    assert np.allclose(log.residual(), reward + probe.model.gamma * quote - value)


def test_mean_residual_at_the_aggregated_fixed_point_is_zero(logs):
    for log in logs.values():
        residual = log.residual()
        # Durations and successors are drawn anew, but the hidden part lingers: 6 errors are ample.
        assert abs(residual.mean()) < 6 * residual.std() / np.sqrt(len(log))


def test_quote_is_zero_after_an_end(logs):
    log = logs["agent 0"]
    ended = log.end == TERMINAL
    assert ended.any()
    assert (log.quote[ended] == 0).all()
    assert (log.receiver[ended] == -1).all()
    assert (log.receiver[~ended] >= 0).all()


def test_same_seed_same_log(model, logs):
    hidden = np.arange(model.n_states) % 2
    q = aggregated(model, uniform(model)).q
    again = observe(model, q, handoffs=HANDOFFS, seed=5, fields={"hidden": hidden})
    assert np.array_equal(again["agent 1"].reward, logs["agent 1"].reward)
    other = observe(model, q, handoffs=HANDOFFS, seed=6)
    assert not np.array_equal(other["agent 1"].reward, logs["agent 1"].reward)


def test_a_saved_log_comes_back(logs, tmp_path):
    log = logs["agent 2"]
    back = Log.open(log.save(tmp_path / "log"), agent="agent 2")
    assert back.observations == log.observations
    assert back.fields["hidden"].levels == (0, 1)
    assert np.array_equal(back.fields["hidden"].code, log.fields["hidden"].code)
    assert np.array_equal(back.residual(), log.residual())


def test_anothers_log_is_refused(logs, tmp_path):
    path = logs["agent 2"].save(tmp_path / "log")
    with pytest.raises(DataError, match="log of agent 'agent 2', not of 'agent 0'"):
        Log.open(path, agent="agent 0")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("reward", np.nan, "row 3: reward is nan"),
        ("quote", np.inf, "row 3: quote is inf"),
        ("duration", 0.0, "row 3: duration is 0"),
        ("propensity", 0.0, "row 3: propensity is 0"),
        ("y", 99, "row 3: y is 99"),
        ("action", 7, "row 3: action is 7"),
        ("receiver", -2, "row 3: receiver is -2"),
        ("end", 3, "row 3: end is 3"),
    ],
)
def test_a_wrong_row_is_named(logs, name, value, message):
    log = logs["agent 0"]
    column = getattr(log, name).copy()
    column[3] = value
    with pytest.raises(DataError, match=message):
        replace(log, **{name: column})


def test_a_short_column_or_field_is_refused(logs):
    log = logs["agent 0"]
    with pytest.raises(DataError, match="reward has shape"):
        replace(log, reward=log.reward[1:])
    with pytest.raises(DataError, match="field 'tier'"):
        replace(log, fields={"tier": Field((0,), log.y[1:] * 0)})


def test_values_that_cannot_be_are_refused(model):
    with pytest.raises(ModelError, match="give an array of shape"):
        observe(model, np.zeros((2, 2)), handoffs=10)
    with pytest.raises(ModelError, match="at least 1"):
        observe(model, optimal(model).q[: model.n_cells] * 0, handoffs=0)


def test_values_of_a_run_lie_at_their_cells(model):
    run = train(model, handoffs=2_000, seeds=2)
    q = values_of(run, model, seed=1)
    for table in run.tables[1].values():
        for cell, row in zip(table.observations, table.q, strict=True):
            assert np.array_equal(q[cell], row)
    with pytest.raises(ModelError, match="no table for each agent"):
        values_of(train(model, learner="centralised", handoffs=100), model)


class Desk:
    """A bug or a question, in one of three languages, which matters to nobody."""

    agents: ClassVar = {"intake": 2, "search": 2, "code": 1}
    gamma = 0.95

    def reset(self, rng):
        self.bug, self.language = bool(rng.random() < 0.5), str(rng.choice(["en", "de", "fr"]))
        self.rng, self.holder = rng, "intake"
        return self._turn()

    def step(self, action):
        if self.holder == "intake":
            self.holder = ("search", "code")[action]
            return self._turn()
        if self.holder == "search" and action == 1:
            self.holder = "code"
            return self._turn(reward=-0.1, duration=4)
        return Turn(reward=self.bug == (self.holder == "code"), duration=2, end="terminal")

    def _turn(self, **more):
        fields = {"language": self.language, "kind": self.bug} if self.holder == "intake" else {}
        return Turn(self.holder, observation=self.holder, fields=fields, **more)


def test_an_environment_is_observed_with_its_fields():
    run = train(Desk(), handoffs=2_000, seeds=2)
    logs = observe_environment(Desk(), run, handoffs=600, seed=3, number=1)
    assert sum(len(log) for log in logs.values()) == 600
    intake = logs["intake"]
    assert set(intake.fields["language"].levels) == {"en", "de", "fr"}
    assert intake.observations == ("intake",)
    # Intake is paid nothing itself: it is quoted the receiver's value of what it received.
    values = run.tables[1]["search"].q[0]
    sent = intake.receiver == intake.agents.index("search")
    assert np.allclose(intake.quote[sent], values.max())
    assert np.array_equal(intake.values[0], run.tables[1]["intake"].q[0])
    code = logs["code"]
    assert (code.end == TERMINAL).all()
    assert not code.fields


def test_fields_that_come_and_go_are_refused():
    class Moody(Desk):
        def _turn(self, **more):
            fields = {"language": 1} if self.rng.random() < 0.5 else {}
            return Turn(self.holder, observation=0, fields=fields, **more)

    run = train(Desk(), handoffs=100)
    with pytest.raises(DataError, match="had the fields"):
        observe_environment(Moody(), run, handoffs=100)
    with pytest.raises(ModelError, match="no table of agent 'intake'"):
        observe_environment(Desk(), train(Desk(), learner="centralised", handoffs=9), handoffs=9)
