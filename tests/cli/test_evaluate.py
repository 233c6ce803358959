"""`batonq evaluate` on a log and on a node's store."""

import json
import random

import numpy as np
import pytest

from batonq.cli.main import main
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.observe import observe
from batonq.node.team import END, Team
from batonq.smdp.families import keeps_control


def call(*words):
    """Run the command here; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A worker that may work on before it hands over: its log, and a desk that is a node."""
    folder = tmp_path_factory.mktemp("evaluate")
    probe = keeps_control()
    q = np.where(np.isfinite(probe.optimal), probe.optimal, 0.0)
    play = {"handoffs": 3_000, "behaviour": epsilon_greedy(0.5), "seed": 1}
    observe(probe.model, q, **play)["worker"].save(folder / "log")
    rng = random.Random(3)
    with Team.open(folder / "desk.db", gamma=0.9, mode="observe", explore=0.5, seed=1) as team:
        team.add("intake", lambda s: s, to={"hand": "search", "stop": END})
        team.add("search", lambda s: s, to=[END])
        for k in range(600):
            if k == 100:
                team.set_mode("apply")
            kind = {"kind": rng.choice(["bug", "idea"])}
            choice = team["intake"].decide(kind, default="stop")
            worth = 0.5 if choice.action == "stop" else float(kind["kind"] == "bug")
            team.settle(choice.id, worth, rng.choice([1.0, 2.0]))
    return folder


def test_a_log_is_evaluated(files, capsys):
    assert call("evaluate", files / "log.npz", "--policy", "greedy", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agent"] == "worker"
    dr = found["lines"][0]
    assert dr["estimator"] == "dr"
    arriving = keeps_control().optimal[0].max()  # greedy in Q* earns the optimum, known exactly
    assert dr["value"]["low"] <= arriving <= dr["value"]["high"]
    assert dr["difference"]["low"] > 0
    assert call("evaluate", files / "log.npz", "--policy", "uniform", "--estimator", "snips") == 0
    shown = capsys.readouterr().out
    assert "agent 'worker'" in shown
    assert "fqe" not in shown


def test_a_store_is_evaluated_where_chance_decided(files, capsys):
    arguments = ("evaluate", files / "desk.db", "--policy", "fixed:hand")
    assert call(*arguments) == 2
    assert "the propensity was 1" in capsys.readouterr().err
    assert call(*arguments, "--drawn", "--agent", "intake", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 500
    for line in found["lines"]:
        # Handing on is worth 1 for a bug, 0 for an idea; quotes of "search" are 0 throughout.
        assert line["value"]["low"] <= 0.5 <= line["value"]["high"]
    assert (
        call("evaluate", files / "desk.db", "--policy", "default", "--drawn", "--gamma", 0.9) == 0
    )
    assert "0.5" in capsys.readouterr().out


def test_a_policy_may_be_a_file(files, tmp_path, capsys):
    path = tmp_path / "policy.json"
    path.write_text('{"{ \\"kind\\": \\"bug\\" }": "hand", "*": {"stop": 0.75, "hand": 0.25}}')
    assert call("evaluate", files / "desk.db", "--policy", path, "--drawn", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    value = found["lines"][0]["value"]
    assert value["low"] <= 0.5 * 1.0 + 0.5 * 0.75 * 0.5 <= value["high"]
    path.write_text('{"0": 1, "1": {"1": 1.0}}')  # cells and actions of a log are numbers
    assert call("evaluate", files / "log.npz", "--policy", path) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.npz", "--policy", "uniform"), "no such file"),
        (("log.npz", "--policy", "best"), "policy 'best': is no file"),
        (("log.npz", "--policy", "fixed:7"), "action '7' is none of the records': 0, 1"),
        (("log.npz", "--policy", "fixed:"), "is no file"),
        (("log.npz", "--policy", "default"), "name no default"),
        (("log.npz", "--policy", "uniform", "--agent", "closer"), "log of agent 'worker'"),
        (("log.npz", "--policy", "uniform", "--gamma", "0.5"), "the records have 0.95"),
        (("log.npz", "--policy", "uniform", "--estimator", "ips"), "give one of dr, snips, fqe"),
        (("desk.db", "--policy", "uniform", "--agent", "nobody"), "'nobody' is none of them"),
        (("bad.json", "--policy", "uniform"), "not a batonq file"),
        (("log.npz", "--policy", "bad.json"), "not readable as JSON"),
        (("log.npz", "--policy", "list.json"), "holds no policy"),
        (("log.npz", "--policy", "word.json"), "'often' is no chance"),
        (("log.npz", "--policy", "part.json"), "says nothing of observation 1"),
        (("log.npz", "--policy", "sum.json"), "do not sum to 1"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(files, capsys, arguments, message):
    (files / "bad.json").write_text("{")
    (files / "list.json").write_text("[1]")
    (files / "word.json").write_text('{"0": {"1": "often"}}')
    (files / "part.json").write_text('{"0": 1}')
    (files / "sum.json").write_text('{"*": {"1": 0.5}}')
    words = [files / word if "." in word and word[0].isalpha() else word for word in arguments]
    assert call("evaluate", *words) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out
