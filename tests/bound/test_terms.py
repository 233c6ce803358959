"""The three terms together: what is exact, what is estimated, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import batonq as bq
from batonq.base.errors import ModelError
from batonq.bound.lines import NAMES
from batonq.bound.terms import bound
from batonq.icq import clocks
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.networks import Net
from batonq.icq.neural import train_nets
from batonq.icq.observe import observe
from batonq.icq.train import train
from batonq.smdp.exact import aggregated
from batonq.smdp.families import leak, random_model
from batonq.smdp.policies import uniform

HANDOFFS = 100_000


@pytest.fixture(scope="module")
def exact():
    model = random_model(np.random.default_rng(0), n_agents=3, n_cells=6)
    return model, train(model, handoffs=HANDOFFS, seeds=6)


def test_one_line_a_term_and_every_figure_says_what_it_is(exact):
    found = bound(exact[0], run=exact[1], handoffs=HANDOFFS)
    assert tuple(term.name for term in found.terms) == NAMES
    for term in found.terms:
        for figure in (term.measured, term.estimate, term.certificate):
            assert figure.value is not None or figure.note.startswith("not available")
    for name in NAMES:
        assert name in str(found)


def test_behind_an_exact_interface_all_error_is_residual(exact):
    found = bound(exact[0], run=exact[1], handoffs=HANDOFFS)
    assert found["interface gap"].measured.value == pytest.approx(0, abs=1e-9)
    assert found["residual"].measured.value == pytest.approx(found["total"].measured.value)


def test_the_estimate_is_near_what_was_measured(exact):
    # The root mean square over 12 pairs and 6 seeds scatters by some 20 %; biases are of that size.
    found = bound(exact[0], run=exact[1], handoffs=HANDOFFS)["residual"]
    assert 0.5 < found.estimate.value / found.measured.value < 2


def test_the_certificate_holds(exact):
    found = bound(exact[0], run=exact[1], handoffs=HANDOFFS)
    assert found["policy loss"].measured.value <= found["policy loss"].certificate.value
    assert all(one.status == "met" for one in found.assumptions)


def test_with_a_gap_nothing_is_certified_unless_h_is_declared():
    model = leak().model
    refused = bound(model)
    assert refused["total"].certificate.value is None
    assert "refused" in refused["total"].certificate.note
    declared = bound(model, oscillation=20.0, handoffs=10_000)
    assert declared["total"].certificate.value is not None
    assert any("h = 20" in one.note for one in declared.assumptions)
    assert refused["interface gap"].measured.value > 0
    assert refused["interface gap"].certificate.value >= refused["interface gap"].measured.value


def test_the_policy_loss_of_a_run_is_that_of_its_greedy_policy():
    probe = leak()
    run = train(probe.model, handoffs=20_000, seeds=2)
    lost = bound(probe.model, run=run)["policy loss"].measured
    oracle = probe.model.initial @ np.where(probe.model.mask, probe.optimal, -np.inf).max(axis=1)
    assert lost.value == pytest.approx(oracle - run.final.mean())


def test_a_run_alone_tells_its_spread(exact):
    found = bound(exact[1])
    q = np.array([np.concatenate([t.q.ravel() for t in one.values()]) for one in exact[1].tables])
    spread = found["residual"].estimate.value
    assert q.std(axis=0, ddof=1).min() <= spread <= q.std(axis=0, ddof=1).max()
    assert found["total"].certificate.value is None
    alone = bound(train(exact[0], handoffs=1_000))["residual"].estimate
    assert alone.value is None
    assert "seeds >= 2" in alone.note


def test_a_log_tells_what_its_fields_explain():
    model = replace(leak().model, fields={"bit": np.array([0, 1, 0, 1])})
    q = aggregated(model, uniform(model)).q
    log = observe(model, q, handoffs=20_000)["actor"]
    found = bound(log)
    gap = found["interface gap"].estimate
    # The actor's residual is 1{a = bit} less its mean: its variance is .7 x .3.
    assert gap.low < 0.21 < gap.high
    assert found["total"].certificate.value is None


def test_the_package_is_called_by_its_name(exact):
    assert str(bq.bound(exact[1])) == str(bound(exact[1]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"delta": 0.0},
        {"delta": 1.0},
        {"handoffs": 0},
        {"scalars": 3},
        {"seed": -1},
        {"oscillation": -1.0},
        {"oscillation": np.nan},
    ],
)
def test_options_that_cannot_be_are_refused(exact, wrong):
    with pytest.raises(ModelError, match=f"bound: {next(iter(wrong))} is .*; give"):
        bound(exact[0], **wrong)


def test_what_is_neither_model_run_nor_log_is_refused(exact):
    for source in ("model.npz", None, observe(exact[0], np.zeros((6, 2)), handoffs=10)):
        with pytest.raises(ModelError, match="give a finite model, a run, or the log"):
            bound(source)
    with pytest.raises(ModelError, match="give what train returned"):
        bound(exact[0], run="run.npz")


def test_another_models_run_is_refused(exact):
    for other in (
        leak().model,
        random_model(np.random.default_rng(1), n_agents=3, n_cells=6),  # of the same shape
    ):
        with pytest.raises(ModelError, match="trained on another model"):
            bound(other, run=exact[1])


def test_networks_are_measured_apart_from_their_training():
    model = random_model(np.random.default_rng(2), n_agents=2, n_cells=6, gamma=0.5)
    nets = train_nets(
        model, Net(width=16), handoffs=20_000, seeds=2, clock=clocks.constant(0.05), points=1
    )
    found = bound(model, run=nets)["approximation"]
    assert 0 < found.measured.value < 1
    assert "gates flipped" in found.measured.note
    # beta gamma < .25, and uniform behaviour gives both actions 1/2: the theorem is printed.
    assert found.certificate.value >= found.measured.value
    assert "Theorem 3" in found.certificate.note
    alone = bound(model, run=nets.run)["approximation"]
    assert "train_nets" in alone.measured.note


def test_theorem_3_is_refused_where_its_condition_fails_or_steps_fall():
    model = random_model(np.random.default_rng(2), n_agents=2, n_cells=6, mean_duration=(1, 1.1))
    for clock, reason in ((clocks.constant(0.05), "drift condition"), (None, "constant step")):
        nets = train_nets(model, Net(width=8), handoffs=2_000, clock=clock, points=1)
        certificate = bound(model, run=nets)["approximation"].certificate
        assert certificate.value is None
        assert reason in certificate.note


def test_theorems_of_a_fixed_behaviour_are_refused_for_another():
    model = random_model(np.random.default_rng(2), n_agents=2, n_cells=6, gamma=0.5)
    greedy = epsilon_greedy(0.1)
    nets = train_nets(
        model, Net(width=8), handoffs=2_000, clock=clocks.constant(0.05), behaviour=greedy, points=1
    )
    assert bound(model, run=nets)["approximation"].certificate.value is None
    run = train(model, handoffs=2_000, behaviour=greedy, record=True)
    even = train(model, handoffs=2_000, record=True)
    skewed = np.tile([0.7, 0.3], (6, 1))
    for found in (bound(model, run=run), bound(model, run=even, behaviour=skewed)):
        for figure in (found["residual"].certificate, found["residual"].estimate):
            assert figure.value is None
            assert "uniform behaviour" in figure.note
    assert bound(model, run=even)["residual"].certificate.value is not None
