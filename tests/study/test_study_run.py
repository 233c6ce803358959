import logging
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import coin_experiment
import pytest

from batonq.base.errors import BatonqError, DataError
from batonq.study.pool import CellError
from batonq.study.run import rebuild, run

SCRIPT = """
import sys
from pathlib import Path
import coin_experiment
from batonq.study.run import run
if __name__ == "__main__":
    log, out = map(Path, sys.argv[1:])
    run(coin_experiment.experiment(log=log, wait=0.4), out, workers=2, show_progress=True)
"""


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def find_coin(name):
    assert name == "coin"
    return coin_experiment.summarise


@pytest.fixture
def copy(coin_result, tmp_path):
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(coin_result.path.parent, tmp_path / "coin"))


def started(log):
    return Counter(log.read_text().split()) if log.exists() else Counter()


def stored(out):
    return {path.stem.replace("-seed=", "-") for path in out.glob("cells/*.jsonl")}


def start(log, out, stderr=subprocess.PIPE):
    """Start the run in a process of its own."""
    here = str(Path(__file__).parent)
    log.with_name("script.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, log.with_name("script.py"), log, out],
        env={**os.environ, "PYTHONPATH": here, "TERM": "xterm"},
        stderr=stderr,
        text=True,
    )


def begin(log, out):
    """Start the run and wait until some cells are done, some are not."""
    process = start(log, out)
    deadline = time.monotonic() + 60
    while len(stored(out)) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_progress_is_shown_on_a_terminal_and_a_pipe_stays_quiet(tmp_path):
    log, out = tmp_path / "log", tmp_path / "out"
    ours, theirs = pty.openpty()
    process = start(log, out, theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a closed terminal ends on Linux
        while some := os.read(ours, 4096):
            shown += some
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"12/12" in shown
    again = start(log, out)
    assert again.communicate(timeout=60)[1] == ""
    assert again.returncode == 0


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was(stop, tmp_path, coin_result):
    log, out = tmp_path / "log", tmp_path / "out"
    process = begin(log, out)
    process.send_signal(stop)
    _, said = process.communicate(timeout=30)  # workers hold stderr: so they have ended too
    assert process.returncode == -stop
    if stop == signal.SIGINT:
        assert "the same command goes on from there" in said
    finished, before = stored(out), started(log)
    assert 3 <= len(finished) < 12
    result = run(coin_experiment.experiment(log=log), out, workers=2)
    again = started(log) - before
    assert (
        set(again)
        == {f"{name}-{seed}" for name in coin_experiment.LEARNERS for seed in range(3)} - finished
    )
    assert set(again.values()) == {1}
    assert result.rows == coin_result.rows
    csv = result.path.with_name("results.csv").read_bytes()
    assert csv == coin_result.path.with_name("results.csv").read_bytes()


def test_a_finished_run_runs_nothing_again(copy, tmp_path, coin_result):
    log = tmp_path / "log"
    result = run(coin_experiment.experiment(log=log), copy)
    assert not log.exists()
    assert result.document() == coin_result.document()


def test_the_number_of_workers_changes_no_number(tmp_path, coin_result):
    assert run(coin_experiment.experiment(), tmp_path / "one", workers=1).rows == coin_result.rows


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tosses": 100}, "tosses is 200 there, 100 was asked for; .*--out"),
        ({"seeds": 2}, "seeds is 3 there, 2 was asked for"),
    ],
)
def test_a_folder_of_another_configuration_is_refused_and_left_alone(copy, options, said):
    before = contents(copy)
    with pytest.raises(DataError, match=said):
        run(coin_experiment.experiment(**options), copy)
    assert contents(copy) == before


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="holds files but no config"):
        run(coin_experiment.experiment(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not readable as JSON"),
        ("[]", "damaged"),
        ('{"schema": 1}', "damaged.*KeyError: 'experiment'"),
        ('{"schema": 9, "experiment": "coin", "config": {}, "cells": []}', "schema 9 there, 1 in"),
    ],
)
def test_a_damaged_config_is_refused_and_left_alone(copy, text, said):
    (copy / "config.json").write_text(text)
    before = contents(copy)
    with pytest.raises(DataError, match=said):
        run(coin_experiment.experiment(), copy)
    with pytest.raises(DataError, match=said):
        rebuild(copy, find_coin)
    assert contents(copy) == before


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/out: cannot write there .*--out"):
        run(coin_experiment.experiment(), tmp_path / "file" / "out")


def test_a_damaged_cell_is_done_again_with_a_note(copy, tmp_path, caplog, coin_result):
    damaged = copy / "cells" / "majority-seed=1.jsonl"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DataError, match=r"majority-seed=1.jsonl: damaged .* run the same command"):
        rebuild(copy, find_coin)
    log = tmp_path / "log"
    with caplog.at_level(logging.WARNING, logger="batonq"):
        result = run(coin_experiment.experiment(log=log), copy)
    assert "kept as majority-seed=1.jsonl.bad" in caplog.text
    assert started(log) == {"majority-1": 1}
    assert damaged.with_name("majority-seed=1.jsonl.bad").stat().st_size == 100
    assert result.rows == coin_result.rows


def test_a_report_is_made_again_from_the_cells_alone(copy, coin_result):
    (copy / "report.html").unlink()
    result = rebuild(copy, find_coin)
    assert result.document() == coin_result.document()
    assert result.path.read_text() == coin_result.path.read_text()


def test_a_report_of_an_unfinished_or_absent_run_is_refused(copy, tmp_path):
    (copy / "cells" / "icq-seed=0.jsonl").unlink()
    with pytest.raises(DataError, match="1 of 12 cells are not done; finish it"):
        rebuild(copy, find_coin)
    with pytest.raises(DataError, match="no run there"):
        rebuild(tmp_path / "nowhere", find_coin)


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        ("input", BatonqError, r"coin.csv: no such file; give --data \(in cell majority-seed=1\)"),
        ("bug", CellError, "cell majority-seed=1 failed: ZeroDivisionError: the coin fell"),
        ("killed", CellError, "a worker process died.* in cell .*majority-seed=1"),
    ],
)
def test_a_failing_cell_is_named_and_the_finished_ones_are_kept(tmp_path, trouble, kind, said):
    log, out = tmp_path / "log", tmp_path / "out"
    broken = coin_experiment.experiment(log=log, trouble=f"{trouble}:majority-1")
    with pytest.raises(kind, match=said):
        run(broken, out, workers=1)
    assert stored(out) == {"icq-0", "icq-1", "icq-2", "majority-0"}
    run(coin_experiment.experiment(log=log), out, workers=1)
    assert started(log)["icq-0"] == 1
    assert started(log)["majority-1"] == 2


def test_the_traceback_of_a_failing_cell_can_be_seen(tmp_path):
    with pytest.raises(CellError) as caught:
        run(coin_experiment.experiment(trouble="bug:icq-0"), tmp_path / "out")
    assert 'raise ZeroDivisionError("the coin' in caught.value.__notes__[0]


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(DataError, match="workers: 0 given; use 1 or more"):
        run(coin_experiment.experiment(), tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()
