import math

import pytest

from batonq.base.errors import ModelError
from batonq.tasks.routing.options import SCENARIOS, RoutingOptions


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scenario": "flood"}, "scenario: 'flood' is unknown; choose one of triage, static, jit"),
        ({"scenario": "load", "rhos": (0.5, 0.0)}, "rho: 0 is not a number from 0.001 to 100"),
        ({"scenario": "load", "rhos": (-1.0,)}, "rho: -1 is not a number"),
        ({"scenario": "shift", "rhos": (math.nan,)}, "rho: nan is not a number"),
        ({"scenario": "failure", "rhos": (math.inf,)}, "rho: inf is not a number"),
        ({"scenario": "load", "rhos": (1e-300,)}, "rho: 1e-300 is not a number"),
        ({"scenario": "triage", "graphs": ("NSFNET",)}, "graph: scenario 'triage' has none"),
        ({"scenario": "triage", "rhos": (0.5,)}, "rho: scenario 'triage' has none; leave it out"),
        ({"scenario": "static", "rhos": (0.5,)}, "rho: scenario 'static' has none; leave it out"),
        ({"scenario": "jitter", "rhos": (0.5,)}, "rho: scenario 'jitter' has none; leave it out"),
        ({"seeds": 0}, "seeds: 0 is too small; give at least 1"),
        ({"seeds": -3}, "seeds: -3 is too small; give at least 1"),
        ({"seed": -1}, "seed: -1 is too small; give at least 0"),
    ],
)
def test_what_cannot_be_right_gets_one_clear_message(settings, said):
    with pytest.raises(ModelError) as caught:
        RoutingOptions(**settings)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_has_usual_settings(scenario):
    assert RoutingOptions(scenario).repetitions == 5
    assert RoutingOptions(scenario, quick=True).repetitions == 2
    assert RoutingOptions(scenario, quick=True, seeds=7).repetitions == 7


def test_results_depend_on_the_seeds_that_are_run():
    quick = RoutingOptions("load", quick=True)
    asked = RoutingOptions("load", quick=True, seeds=2)
    assert quick.to_json() == asked.to_json()
    assert quick.to_json() == {"scenario": "load", "seeds": 2, "seed": 0, "quick": True}
