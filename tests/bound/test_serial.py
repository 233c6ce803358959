"""Memory of residuals: closed-form long-run variances, levels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from field_logs import made_log, plain_log, sticky
from scipy import signal

from batonq.base.errors import DataError
from batonq.bound import serial


def hidden_mode(seed: int, n: int, stay: float, size: float = 1.0) -> np.ndarray:
    """Noise of variance 1 plus a mode of +-size with lag-one correlation 2 stay - 1."""
    rng = np.random.default_rng([seed, 1])
    return size * sticky(seed, n, stay) + rng.normal(size=n)


def log_of(residual: np.ndarray, seed: int = 0):
    """The residuals spread at random over two information states and two actions."""
    y, action = np.random.default_rng([seed, 2]).integers(0, 2, size=(2, len(residual)))
    return made_log(residual, y, action)


def test_long_run_variance_of_a_hidden_mode():
    """1 + (1 + r) / (1 - r) with r = 2 stay - 1 = .9: 20 of a variance of 2."""
    run = serial.long_run(hidden_mode(0, 60_000, 0.95))
    assert run.variance_low <= 20 <= run.variance_high
    assert run.inflation_low <= 10 <= run.inflation_high
    assert run.mean_low <= 0 <= run.mean_high
    assert run.length >= 8 * 19  # several relaxation times, 1 / (1 - .9) = 10


def test_long_run_variance_of_independent_values_is_the_variance():
    run = serial.long_run(np.random.default_rng(0).normal(size=4_000))
    assert run.n_batches == serial.BATCHES
    assert run.inflation_low <= 1 <= run.inflation_high


def test_intervals_cover_over_200_sequences():
    """Nominal 95 %, less 4 standard deviations of 200 trials."""
    variance, mean = 0, 0
    for seed in range(200):
        run = serial.long_run(hidden_mode(seed, 8_000, 0.75))  # r = .5: 1 + 3 = 4
        variance += run.variance_low <= 4 <= run.variance_high
        mean += run.mean_low <= 0 <= run.mean_high
    assert min(variance, mean) >= 190 - 4 * np.sqrt(200 * 0.95 * 0.05)


def test_a_mode_slower_than_the_records_can_tell_is_not_given_a_number():
    with pytest.raises(DataError, match="not stable: longer records needed"):
        serial.long_run(hidden_mode(3, 6_000, 0.999))


def test_moving_the_values_of_a_cell_leaves_the_memory():
    log = log_of(hidden_mode(4, 20_000, 0.9))
    moved = made_log(log.residual() + 3.0 * log.y, log.y, log.action)
    assert serial.residual_memory(moved).variance == pytest.approx(
        serial.residual_memory(log).variance
    )


def test_the_serial_test_finds_a_mode_and_keeps_its_level():
    """Level .1: over 400 logs of martingale differences whose variance changes with the past.

    Holm over correlated looks may be conservative, hence one-sided: at most .1 + 4 sd.
    """
    assert serial.serial_test(log_of(hidden_mode(5, 5_000, 0.9))).p < 1e-6
    small = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=2_000)
        scale = 1 + np.abs(np.append(0.0, noise[:-1]))
        small += serial.serial_test(log_of(noise * scale, seed)).p <= 0.1
    assert small <= 40 + 4 * np.sqrt(400 * 0.1 * 0.9)


def test_a_mode_whose_sign_changes_with_the_decision_is_found_by_looking_at_the_same_one():
    n = 8_000
    y = np.random.default_rng(1).integers(0, 2, n)
    residual = sticky(6, n, 0.95) * np.where(y == 0, 1.0, -1.0)
    residual = residual + np.random.default_rng(2).normal(size=n)
    found = serial.serial_test(made_log(residual, y, np.zeros(n, np.int64)))
    assert found.p < 1e-6
    assert found.strongest[0] == "same decision"


def test_weighted_past_against_the_plain_loop():
    values = np.random.default_rng(3).normal(size=50)
    pair = np.random.default_rng(4).integers(0, 3, 50)
    keep, past, square = 1 - 1 / 8, {}, {}
    total, scale, back = 0.0, 0.0, 0.0
    counts = np.bincount(pair)
    for value, p in zip(values, pair, strict=True):
        z, s = past.get(p, 0.0), square.get(p, 0.0)
        total, scale, back = total + value * z, scale + (value * z) ** 2, back + s / counts[p]
        past[p], square[p] = keep * z + value, keep * s + value**2
    assert serial._correlation(values, pair, 8, same=True) == pytest.approx(
        (total + back) / np.sqrt(scale)
    )
    lagged = signal.lfilter([0.0, 1.0], [1.0, -keep], values)
    assert serial._correlation(values, pair, 8, same=False) == pytest.approx(
        (values * lagged).sum() / np.sqrt(((values * lagged) ** 2).sum())
    )


def chain_of(seed: int, n: int, step: np.ndarray) -> np.ndarray:
    """A path of a small chain."""
    rng = np.random.default_rng(seed)
    path = np.zeros(n, np.int64)
    draws, running = rng.random(n), step.cumsum(axis=1)
    for k in range(1, n):
        path[k] = np.searchsorted(running[path[k - 1]], draws[k])
    return path


def test_the_visible_chain_has_its_second_eigenvalue_in_the_interval():
    """Two states, stay .9 and .8: eigenvalue .7. At least 95 % less 4 sd of 60."""
    step = np.array([[0.9, 0.1], [0.2, 0.8]])
    covered = 0
    for seed in range(60):
        y = chain_of(seed, 6_000, step)
        found = serial.visible_relaxation(made_log(np.zeros(len(y)), y, np.zeros_like(y)))
        covered += found.low <= 0.7 <= found.high
        assert found.relaxation_low <= found.relaxation <= found.relaxation_high
        assert "visible only" in found.status
    assert covered >= 57 - 4 * np.sqrt(60 * 0.95 * 0.05)


def test_what_is_visible_is_blind_to_a_hidden_mode():
    log = log_of(hidden_mode(7, 20_000, 0.99), 7)
    assert serial.visible_relaxation(log).relaxation < 1.2
    assert serial.residual_memory(log).inflation > 5


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="50 records are too few; at least 128"):
        serial.serial_test(plain_log(0, n=50))
    with pytest.raises(DataError, match="value 2 is not finite"):
        serial.long_run(np.array([0.0, 1.0, np.inf]))
    with pytest.raises(DataError, match="no values"):
        serial.long_run(np.zeros(0))
    with pytest.raises(DataError, match="all equal"):
        serial.long_run(np.ones(1_000))
    zero = np.zeros(1_000, np.int64)
    with pytest.raises(DataError, match="sees one information state only"):
        serial.visible_relaxation(made_log(np.zeros(1_000), zero, zero))
    with pytest.raises(DataError, match="leaves nothing to chance"):
        turns = np.arange(1_000) % 2
        serial.visible_relaxation(made_log(np.zeros(1_000), turns, zero))
