"""What cannot be a setting is named before anything runs."""

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.icq.observe import observe
from batonq.icq.train import train
from batonq.smdp.families import random_model

MODEL = random_model(np.random.default_rng(0), n_agents=2, n_cells=6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"behaviour": "greedy"}, "behaviour: 'greedy' is none; give behaviour.uniform"),
        ({"behaviour": 0.1}, "behaviour: 0.1 is none"),
        ({"clock": "fast"}, "clock: 'fast' is none; give one of icq.clocks"),
        ({"handoffs": 10.5}, "handoffs: 10.5 is not a whole number"),
        ({"seeds": 1.5}, "seeds: 1.5 is not a whole number"),
    ],
)
def test_a_setting_of_another_kind_is_named(wrong, message):
    with pytest.raises(ModelError, match=message):
        train(MODEL, **{"handoffs": 10, **wrong})


def test_observe_names_what_it_was_given():
    q = np.zeros((6, 2))
    for arguments, options, message in (
        (("model", q), {}, "got a str; give a finite model"),
        ((MODEL, q.tolist()), {}, "values are list"),
        ((MODEL, q * np.nan), {}, "not finite"),
        ((MODEL, q), {"seed": -1}, "seed -1"),
        ((MODEL, q), {"behaviour": "x"}, "behaviour: 'x' is none"),
    ):
        with pytest.raises(ModelError, match=message):
            observe(*arguments, **{"handoffs": 10, **options})


def test_a_models_digest_tells_it_from_others():
    other = random_model(np.random.default_rng(1), n_agents=2, n_cells=6)
    again = random_model(np.random.default_rng(0), n_agents=2, n_cells=6)
    coarse = MODEL.seen_as(np.array([0, 1, 0, 1, 2, 3]))
    assert MODEL.digest == again.digest
    assert len({MODEL.digest, other.digest, coarse.digest}) == 3
    assert train(MODEL, handoffs=10).settings["model"] == MODEL.digest
