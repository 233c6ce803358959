"""What a run leaves: saving, loading, comparing, printing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models import small_model
from scipy import stats

import batonq as bq
from batonq.base.errors import DataError, ModelError
from batonq.base.files import load_arrays, save_arrays
from batonq.icq.environment import ModelEnvironment, Turn
from batonq.icq.run import SCHEMA, VERSION, Run


def test_a_saved_run_comes_back_to_the_bit(tmp_path: Path) -> None:
    run = bq.train(small_model(0), handoffs=500, seeds=2, points=3)
    path = run.save(tmp_path / "desk")
    assert path == tmp_path / "desk.npz"
    back = Run.load(tmp_path / "desk")
    assert (back.learner, back.agents, back.settings) == (run.learner, run.agents, run.settings)
    assert np.array_equal(back.curve, run.curve)
    for mine, theirs in zip(run.tables, back.tables, strict=True):
        for name, table in mine.items():
            assert theirs[name].observations == table.observations
            assert np.array_equal(theirs[name].q, table.q)
            assert np.array_equal(theirs[name].counts, table.counts)


class Tuples:
    agents = {"a": 1}
    gamma = 0.9

    def __init__(self, observation: object) -> None:
        self.observation = observation

    def reset(self, rng):  # type: ignore[no-untyped-def]
        return Turn("a", observation=self.observation)

    def step(self, action):  # type: ignore[no-untyped-def]
        return Turn(reward=1.0, end="terminal")


def test_tuples_within_tuples_come_back_as_tuples(tmp_path: Path) -> None:
    run = bq.train(Tuples(("kind", (1, None), True)), handoffs=5)
    run.save(tmp_path / "run.npz")
    assert Run.load(tmp_path / "run.npz").tables[0]["a"].observations == (
        ("kind", (1, None), True),
    )


def test_observations_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    run = bq.train(Tuples(frozenset([1])), handoffs=5)
    with pytest.raises(DataError, match="numbers, strings and tuples"):
        run.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_damaged_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Run.load(tmp_path / "none")
    path = bq.train(small_model(0), handoffs=50).save(tmp_path / "run")
    header, arrays = load_arrays(path, SCHEMA, VERSION, ())
    del arrays["q/0/agent1"]
    del header["schema"], header["version"]
    save_arrays(path, SCHEMA, VERSION, header, arrays)
    with pytest.raises(DataError, match="lacks 'q/0/agent1'"):
        Run.load(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        Run.load(path)


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    run = bq.train(small_model(0), handoffs=50)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        run.save(tmp_path / "file" / "run")


def test_compare_is_the_paired_t_interval() -> None:
    model = small_model(1)
    first = bq.train(model, handoffs=60, seeds=6, points=1)
    second = bq.train(model, learner="no_scalar", handoffs=60, seeds=6, points=1)
    found = bq.compare(first, second)
    differences = first.final - second.final
    wanted = stats.t.interval(
        0.95, 5, loc=differences.mean(), scale=differences.std(ddof=1) / math.sqrt(6)
    )
    assert math.isclose(found.difference, differences.mean())
    assert np.allclose((found.low, found.high), wanted)
    assert found.p is not None
    assert "6 seeds" in str(found)
    assert "icq" in str(first)


def test_compare_without_spread_or_with_one_seed() -> None:
    model = small_model(1)
    run = bq.train(model, handoffs=100, seeds=2)
    same = bq.compare(run, run)
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    shifted = bq.compare(
        replace(run, curve=run.curve + 0.5 - run.curve), replace(run, curve=run.curve * 0)
    )
    assert (shifted.difference, shifted.p) == (0.5, 0.0)
    one = bq.train(model, handoffs=100)
    assert bq.compare(one, one).low is None
    assert "no interval" in str(bq.compare(one, one))


def test_runs_that_do_not_pair_are_refused() -> None:
    model = small_model(1)
    with pytest.raises(ModelError, match="'handoffs' is 100 in one run and 200"):
        bq.compare(bq.train(model, handoffs=100), bq.train(model, handoffs=200))


def test_progress_counts_every_handoff() -> None:
    for source in (small_model(1), ModelEnvironment(small_model(1))):
        seen: list[int] = []
        bq.train(source, handoffs=70, seeds=2, points=4, progress=seen.append)
        assert sum(seen) == 140


def test_the_public_face() -> None:
    assert set(bq.__all__) <= set(dir(bq))
    for name in bq.__all__:
        assert getattr(bq, name) is not None
    with pytest.raises(AttributeError, match="Baton"):
        _ = bq.Baton  # type: ignore[attr-defined]
