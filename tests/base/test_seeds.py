from __future__ import annotations

import numpy as np
import pytest

from batonq.base.seeds import generator, generators


def test_the_kth_generator_does_not_depend_on_how_many_there_are() -> None:
    few = [rng.random() for rng in generators(7, 2)]
    many = [rng.random() for rng in generators(7, 5)]
    assert few == many[:2]
    assert len(set(many)) == 5


def test_other_seeds_and_paths_give_other_numbers() -> None:
    drawn = {
        generator(7).random(),
        generator(8).random(),
        generator(7, 1).random(),
        generator(7, 1, 0).random(),
        generator(7, 0, 1).random(),
    }
    assert len(drawn) == 5
    assert generator(7, 1).random() == generator(7, 1).random()


def test_paths_name_the_spawned_generators() -> None:
    assert generator(3, 2).random() == generators(3, 4)[2].random()


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        generators(-1, 1)
    with pytest.raises(ValueError, match="non-negative"):
        generator(-1)


def test_streams_are_not_correlated() -> None:
    one, other = (rng.standard_normal(100_000) for rng in generators(0, 2))
    # Standard error of the correlation is 1 / sqrt(n); five of them.
    assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(100_000)
