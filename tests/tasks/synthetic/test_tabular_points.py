import math

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.smdp.design import Dials
from batonq.tasks.synthetic.axes import Setting
from batonq.tasks.synthetic.known import exact
from batonq.tasks.synthetic.point import mean_square, point_of
from batonq.tasks.synthetic.tabular import one_seed

DIALS = Dials(n_agents=2, cells_per_agent=2, contraction=0.5, kappa=0.1, persistence=0.9)
STEADY = Setting("steady", 1.0, DIALS, 200_000, step=0.02, twin=True)
FALLING = Setting("falling", 1.0, DIALS, 100_000, streams=3)


def test_a_mean_square_by_hand():
    errors = np.array([[[1.0, 2.0]], [[3.0, 0.0]]])
    assert mean_square(errors, np.array([[0.25, 0.75]])) == pytest.approx((3.25 + 2.25) / 2)


def test_what_is_exact_is_all_there():
    found = exact(STEADY)
    assert found["reasons"].keys() <= {"theorem_1"}
    assert found["pairs"] == 8
    assert found["contraction"] == pytest.approx(0.5)
    assert found["last_step"] == 0.02
    assert found["gap"] == pytest.approx(point_of(STEADY).gap.rms)
    assert 0 < found["gap"] < found["gap_sup"] < found["span"]
    assert found["relaxation"] > 1
    assert found["theorem_2"] > found["gap_sup"]
    assert found["theorem_1"] > found["theorem_2"]


def test_what_is_not_available_says_why(monkeypatch):
    from batonq.tasks.synthetic import known

    def refuse(*_):
        raise ModelError("mixing time: 4000 states; it is computed for up to 2000")

    monkeypatch.setattr(known, "mixing_time", refuse)
    found = exact(STEADY)
    assert found["mixing_time"] is None
    assert found["theorem_1"] is None
    assert found["reasons"]["mixing_time"].startswith("mixing time: 4000 states")
    assert exact(STEADY, certified=False)["theorem_2"] is None


def test_a_seed_measures_what_the_estimate_says():
    known = exact(STEADY, certified=False)
    seeds = [one_seed(STEADY, 0, number) for number in range(4)]
    squares = np.array([seed["residual"] for seed in seeds])
    # About 200,000 / (8 / (.02 * .5)) = 250 relaxations a seed: some 5 % of a mean of four.
    assert math.sqrt(squares.mean()) == pytest.approx(known["estimate"], rel=0.15)
    for seed in seeds:
        assert seed["error"] == pytest.approx(seed["residual"] + known["gap"] ** 2, rel=0.05)
        assert 0 < seed["twin"] < seed["residual"]
        assert known["gap_sup"] / 2 < seed["sup"] < seed["two_scalars"] < seed["certificate"]
        assert -1e-9 <= seed["loss"] <= seed["certified_loss"]


def test_a_seed_gives_the_same_numbers_again_and_another_gives_others():
    assert one_seed(FALLING, 0, 1) == one_seed(FALLING, 0, 1)
    assert one_seed(FALLING, 0, 1)["residual"] != one_seed(FALLING, 0, 2)["residual"]
    assert one_seed(FALLING, 0, 1)["twin"] is None


def test_no_oscillation_is_declared_behind_an_exact_interface():
    assert point_of(Setting("shown", 1.0, DIALS, 1, blocks=2)).oscillation is None
    assert point_of(STEADY).oscillation > 0
