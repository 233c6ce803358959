"""Settings of the maths experiment: what is refused, what is filled in, and the folds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import DataError, ModelError
from batonq.tasks.maths.options import PRICES, REPORTED, MathsOptions, folds


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"dataset": "math500"}, "dataset: 'math500' is unknown; choose one of gsm8k"),
        ({"scenario": "still"}, "scenario: 'still' is unknown; choose one of static, drift"),
        ({"parses": ("extracted", "guessed")}, "parse: 'guessed' is unknown"),
        ({"interface": "all"}, "interface: 'all' is unknown; choose one of board"),
        ({"prices": (0.1, -1.0)}, "lambda: -1 is not a price"),
        ({"prices": (math.inf,)}, "lambda: inf is not a price"),
        ({"prices": (math.nan,)}, "lambda: nan is not a price"),
        ({"folds": 1}, "folds: 1 is too small; give at least 2"),
        ({"seeds": 0}, "seeds: 0 is too small; give at least 1"),
        ({"seed": -1}, "seed: -1 is too small"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        MathsOptions(**setting)
    assert "\n" not in str(caught.value)


def test_an_unknown_pool_is_named() -> None:
    with pytest.raises(DataError, match="'gsm8k' has no pool 'most'; choose one of all, no4omini"):
        MathsOptions(dataset="gsm8k", pools=("most",))


def test_what_is_left_open_is_filled_in() -> None:
    usual = MathsOptions(dataset="gsm8k")
    assert usual.pool_names == ("all", "no4omini")
    assert len(usual.parse_names) == 2
    assert (usual.main_interface, usual.grid, usual.reported) == ("board", PRICES, REPORTED)
    quick = MathsOptions(dataset="gsm8k", quick=True)
    assert (quick.parse_names, quick.grid) == (usual.parse_names[:1], REPORTED)
    assert MathsOptions(scenario="drift").main_interface == "answers"
    assert MathsOptions(scenario="drift", interface="own").main_interface == "own"
    assert len(MathsOptions(dataset="mmlu").parse_names) == 1  # letters read alike
    given = MathsOptions(prices=(0.1, 0.2, 0.3, 0.4), quick=True)
    assert (given.grid, given.reported) == ((0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3))


def test_the_place_of_the_data_is_no_part_of_the_results(tmp_path) -> None:
    here, there = MathsOptions(data=tmp_path), MathsOptions(data=tmp_path / "other")
    assert here.to_json() == there.to_json() == MathsOptions().to_json()
    assert MathsOptions(seed=1).to_json() != MathsOptions().to_json()


@given(count=st.integers(2, 9), more=st.integers(0, 60), seed=st.integers(0, 5))
def test_folds_partition_the_questions(count: int, more: int, seed: int) -> None:
    parts = folds(count + more, count, seed)
    assert len(parts) == count
    assert sorted(np.concatenate(parts).tolist()) == list(range(count + more))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        assert (np.diff(part) > 0).all()


def test_folds_depend_on_the_seed_alone() -> None:
    one, same, other = (np.concatenate(folds(100, 5, seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    with pytest.raises(ModelError, match="folds: 5 for 4 questions"):
        folds(4, 5, 0)
