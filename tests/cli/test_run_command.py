import gzip
import json
import os
import signal
import subprocess
import time

import pytest
from command_line import PROGRAM

from batonq.study.rows import Row

SMALL = ("run", "maths", "--quick", "--folds", "2", "--seeds", "1", "--lambda", "0.03")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A finished small run, as JSON, in the default folder below `small.folder`."""
    folder = tmp_path_factory.mktemp("small")
    environment = {k: v for k, v in os.environ.items() if k != "BATONQ_DATA"}
    done = subprocess.run(
        [*PROGRAM, *SMALL, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )
    done.folder = folder
    return done


def test_json_is_one_object_of_the_published_schema(small):
    assert small.returncode == 0, small.stderr
    found = json.loads(small.stdout)
    assert set(found) == {"schema", "experiment", "config", "seconds", "rows"}
    assert (found["schema"], found["experiment"]) == (1, "maths")
    rows = [Row(**row) for row in found["rows"]]
    assert {row.setting["dataset"] for row in rows} == {"generated"}
    assert {"icq", "centralised", "agreement"} <= {row.learner for row in rows}
    assert {"accuracy", "cost", "calls", "utility"} <= {row.metric for row in rows}
    assert small.stderr.startswith("Data: word problems from batonq's own generator")
    assert small.stderr.count("\n") == 1


def test_the_same_command_reuses_its_results_and_ends_with_the_report(small, batonq, tmp_path):
    (run,) = (small.folder / "runs").iterdir()
    assert run.name.startswith("maths-generated-static-")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = batonq(*SMALL, "--out", run)
    assert done.returncode == 0
    assert done.stderr == f"batonq: {run}: 2 of 2 cells are done\n"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Data: word problems from batonq's own generator")
    assert lines[-1] == str(run / "report.html")
    assert any("icq" in line and "[" in line for line in lines)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_report_prints_what_run_printed(small, batonq):
    (run,) = (small.folder / "runs").iterdir()
    assert batonq("report", run, "--json").stdout == small.stdout
    assert batonq("report", run).stdout.splitlines()[-1] == str(run / "report.html")


def test_another_configuration_is_refused_with_2(small, batonq):
    (run,) = (small.folder / "runs").iterdir()
    done = batonq(*SMALL, "--seed", "7", "--out", run)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "seed is 0 there, 7 was asked for; choose another folder with --out" in done.stderr


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        [*PROGRAM, *SMALL, "--out", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "cells").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped with 0 of 2 cells done" in said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dataset", "aime"), "'aime' is unknown; choose one of gsm8k, mmlu, generated"),
        (("--dataset", "mathqa"), "mathqa: no data folder was given"),
        (("--scenario", "storm"), "'storm' is unknown; choose one of static, drift"),
        (("--pool", "none"), "has no pool 'none'; choose one of all"),
        (("--parse", "guess"), "'guess' is unknown; choose one of extracted, source"),
        (("--interface", "mind"), "'mind' is unknown; choose one of board, answers, counts, own"),
        (("--lambda", "-0.5"), "lambda: -0.5 is not a price >= 0"),
        (("--lambda", "nan"), "lambda: nan is not a price >= 0"),
        (("--folds", "1"), "folds: 1 is too small; give at least 2"),
        (("--seeds", "0"), "seeds: 0 is too small; give at least 1"),
        (("--seed", "-1"), "seed: -1 is too small; give at least 0"),
        (("--workers", "0"), "workers: 0 given; use 1 or more"),
        (("--dataset", "gsm8k"), "no data folder was given"),
        (("--data", "nowhere"), "nowhere (from --data) holds no maths/"),
        (("--out", "file/run"), "file/run: cannot write there"),
    ],
)
def test_bad_input_gets_one_line_and_2_and_nothing_is_written(batonq, tmp_path, words, said):
    (tmp_path / "file").write_text("mine")
    done = batonq("run", "maths", "--quick", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("batonq: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_truncated_data_file_gets_one_line_and_2(batonq, tmp_path):
    whole = gzip.compress(b'{"idx": 0}\n' * 1000)
    (tmp_path / "gsm8k.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = batonq("run", "maths", "--data", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gsm8k.jsonl.gz: damaged or cut short" in done.stderr
    assert "restore the file from its source" in done.stderr
    assert not (tmp_path / "runs").exists()
