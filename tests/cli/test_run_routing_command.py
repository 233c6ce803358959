"""`batonq run routing`: bad input ends in one line and leaves nothing; a small run end to end."""

import json

import pytest
from typer.testing import CliRunner

from batonq.cli.main import app, main
from batonq.study.rows import LEARNERS, Row

TREE = (("a", "b"), ("b", "c"), ("b", "d"))
CYCLE = (("a", "b"), ("b", "c"), ("c", "a"))
BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE graphml [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<graphml><graph edgedefault="undirected"><node id="a"/><node id="b"/>
<edge source="a" target="b"/><data key="x">&b;</data></graph></graphml>
"""


def graphml(links):
    """A file without coordinates."""
    routers = sorted({end for link in links for end in link} or {"a", "b"})
    nodes = "".join(f'<node id="{router}"/>' for router in routers)
    edges = "".join(f'<edge source="{one}" target="{other}"/>' for one, other in links)
    return f'<graphml><graph edgedefault="undirected">{nodes}{edges}</graph></graphml>'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, and no data folder; the files a test needs lie beside it."""
    monkeypatch.delenv("BATONQ_DATA", raising=False)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def call(capsys, *words):
    """Run the command in this process: exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "routing", *map(str, words)])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scenario", "flood"), "scenario: 'flood' is unknown; choose one of triage, static"),
        (("--scenario", "load", "--rho", "0"), "rho: 0 is not a number from 0.001 to 100"),
        (("--scenario", "load", "--rho", "nan"), "rho: nan is not a number"),
        (("--scenario", "shift", "--rho", "inf"), "rho: inf is not a number"),
        (("--graph", "NSFNET"), "graph: scenario 'triage' has none; leave it out"),
        (("--scenario", "static", "--rho", ".5"), "rho: scenario 'static' has none"),
        (("--seeds", "0"), "seeds: 0 is too small; give at least 1"),
        (("--seed", "-1"), "seed: -1 is too small; give at least 0"),
        (("--scenario", "load", "--graph", "Nowhere"), "no network is called 'Nowhere'; give NSF"),
        (("--scenario", "static", "--graph", "random-2"), "give a number of routers from 3 to"),
        (("--scenario", "load", "--graph", "x/none.graphml"), "none.graphml: no such file"),
        (("--scenario", "load", "--graph", "Abilene"), "Abilene: no data folder was given"),
        (
            ("--scenario", "load", "--graph", "Abilene", "--data", "none"),
            "holds no topologies/Abilene.graphml; give the folder",
        ),
        (("--scenario", "load", "--graph", "NSFNET", "--workers", "0"), "workers: 0 given"),
        (("--scenario", "failure", "--graph", "random-201"), "201 routers; the all-seeing refere"),
    ],
)
def test_bad_settings_get_one_line_and_2(folder, capsys, words, said):
    code, out, err = call(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("batonq: ")
    assert said in err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("scenario", "content", "said"),
    [
        ("load", "<graphml><graph>", "not well-formed XML"),
        ("shift", "<gml/>", "not GraphML"),
        ("load", graphml(()), "no link joins two routers"),
        ("static", BILLION_LAUGHS, "has a document type or entities, which can exhaust memory"),
        (
            "failure",
            graphml(TREE),
            "the failure of any link cuts routers off; give one with a seco",
        ),
        ("failure", graphml((("a", "b"),)), "the failure of any link"),
    ],
)
def test_bad_files_get_one_line_and_2(folder, capsys, scenario, content, said):
    path = folder.parent / "given.graphml"
    path.write_text(content)
    code, out, err = call(capsys, "--scenario", scenario, "--graph", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert "given" in err
    assert list(folder.iterdir()) == []


def test_two_networks_of_one_name_are_told_apart_or_refused(folder, capsys):
    path = folder.parent / "NSFNET.graphml"
    path.write_text(graphml(CYCLE))
    code, _, err = call(capsys, "--scenario", "load", "--graph", "NSFNET", "--graph", path)
    assert (code, err.count("\n")) == (2, 1)
    assert "both called NSFNET" in err
    assert list(folder.iterdir()) == []


def test_the_help_names_the_scenarios():
    said = CliRunner().invoke(app, ["run", "routing", "--help"]).output
    for word in ("triage", "static", "jitter", "load", "failure", "shift", "--rho", "--graph"):
        assert word in said


@pytest.mark.compiled
def test_a_small_run_prints_rows_and_can_be_reported_again(batonq, tmp_path):
    small = ("--scenario", "load", "--quick", "--graph", "NSFNET", "--rho", "0.5", "--seeds", "1")
    done = batonq("run", "routing", *small, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["schema"], found["experiment"]) == (1, "routing")
    rows = [Row(**row) for row in found["rows"]]
    assert {row.learner for row in rows} == LEARNERS & {
        *("replan", "icq", "shortest_path", "q_routing", "q_routing_queue"),
        *("predictive_q_routing", "dual_q_routing"),
    }
    assert {row.metric for row in rows} == {"delay", "delay_ratio", "drops"}
    assert all(row.setting == {"scenario": "load", "graph": "NSFNET", "rho": 0.5} for row in rows)
    ratio = next(row for row in rows if (row.learner, row.metric) == ("icq", "delay_ratio"))
    assert 0.9 < ratio.value < 1.1
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("routing-load-")
    before = (run / "results.csv").read_bytes()
    (run / "results.csv").unlink()
    shown = batonq("report", run)
    assert shown.stdout.splitlines()[-1] == str(run / "report.html")
    assert "Lines to reach" in shown.stdout
    assert (run / "results.csv").read_bytes() == before
