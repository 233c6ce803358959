import numpy as np
import pytest

from batonq.bound.gap import gap
from batonq.smdp.design import Dials
from batonq.smdp.policies import uniform
from batonq.tasks.synthetic import network
from batonq.tasks.synthetic.axes import Setting

DIALS = Dials(n_agents=2, contraction=0.5, kappa=0.2, spread=0.05, persistence=0.9)


def test_the_smooth_model_hides_nothing_and_is_smooth():
    model, features = network.smooth_model(0)
    assert gap(model, uniform(model)).exact
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(len(features)))
    found = gap(model, uniform(model)).optimal.q
    own = np.flatnonzero(model.cell_agent == 0)
    order = own[np.argsort(np.arctan2(*features[own].T))]
    assert np.abs(np.diff(found[order], axis=0)).max() < 0.1 * np.ptp(found[own])


def test_a_width_is_measured(monkeypatch):
    monkeypatch.setattr(network, "CELLS", 40)
    monkeypatch.setattr(network, "STEPS", 20)
    narrow, wide = (network.width_seed(0, 0, width) for width in (4, 16))
    assert wide["rms"] < narrow["rms"]
    assert 0 < wide["flips"] < narrow["flips"] < 0.5
    assert narrow["half"] >= narrow["rms"] * 0.99
    assert 0 < narrow["used"] <= 1 + 1e-9
    assert network.width_seed(0, 0, 4) == narrow
    assert network.width_seed(0, 1, 4) != narrow


def test_networks_on_line_scatter_as_their_linearisation_says():
    setting = Setting("mode", 1.0, DIALS, 200_000, step=0.04, twin=True)
    found = network.neural_seed(setting, 0, 0)
    # Gates move and the step is not small; a factor of a wrong kernel would be 2 in squares.
    assert np.sqrt(found["residual"]) == pytest.approx(np.sqrt(found["estimate"]), rel=0.25)
    assert 0 < found["twin"] < found["residual"] < found["error"]
