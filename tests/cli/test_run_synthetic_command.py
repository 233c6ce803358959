import json

import pytest

from batonq.study.rows import Row

SMALL = ("run", "synthetic", "--quick", "--axis", "horizon", "--seeds", "1")


def test_a_small_run_prints_rows_and_can_be_reported_again(batonq, tmp_path):
    done = batonq(*SMALL, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert (found["schema"], found["experiment"]) == (1, "synthetic")
    rows = [Row(**row) for row in found["rows"]]
    slope = next(row for row in rows if row.setting == {"axis": "horizon"})
    assert slope.metric == "slope"
    assert slope.value == pytest.approx(-0.5, abs=0.2)
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("synthetic-")
    shown = batonq("report", run)
    assert shown.stdout.splitlines()[-1] == str(run / "report.html")
    assert "Lines to reach" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--axis", "depth"), "axis: 'depth' is unknown; choose one of gap, reveal, mixing"),
        (("--seeds", "0"), "seeds: 0 is too small"),
        (("--workers", "0"), "workers: 0 given; use 1 or more"),
    ],
)
def test_bad_input_gets_one_line_and_2(batonq, tmp_path, words, said):
    done = batonq("run", "synthetic", "--quick", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
