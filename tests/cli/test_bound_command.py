"""`batonq bound` and `batonq refine` on files that batonq saved."""

import json
from dataclasses import replace

import numpy as np
import pytest

from batonq.cli.main import main
from batonq.icq.observe import observe
from batonq.icq.train import train
from batonq.smdp.exact import aggregated
from batonq.smdp.families import leak
from batonq.smdp.policies import uniform


def call(*words):
    """Run the command here; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model whose actor does not see the bit it has to name, a run on it, and a log."""
    folder = tmp_path_factory.mktemp("bound")
    model = replace(
        leak().model, fields={"bit": np.array([0, 1, 0, 1]), "idle": np.array([0, 0, 1, 1])}
    )
    model.save(folder / "model.npz")
    train(model, handoffs=20_000, seeds=3).save(folder / "run")
    q = aggregated(model, uniform(model)).q
    observe(model, q, handoffs=20_000, seed=1)["actor"].save(folder / "log")
    return folder


def test_a_model_and_its_run_are_bounded(files, capsys):
    assert call("bound", files / "model.npz", "--run", files / "run.npz") == 0
    shown = capsys.readouterr().out
    assert "interface gap" in shown
    assert "refused" in shown  # no h was declared
    assert call("bound", files / "model.npz", "--run", files / "run.npz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    gap = next(one for one in found["terms"] if one["term"] == "interface gap")
    assert gap["measured"]["value"] > 0.1
    assert gap["certificate"]["value"] >= gap["measured"]["value"]


def test_a_declared_oscillation_gives_a_certificate(files, capsys):
    arguments = ("bound", files / "model.npz", "--oscillation", 12, "--handoffs", 100_000, "--json")
    assert call(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    total = next(one for one in found["terms"] if one["term"] == "total")
    assert total["certificate"]["value"] > 0
    assert any("h = 12" in one["note"] for one in found["assumptions"])


def test_a_run_and_a_log_are_bounded(files, capsys):
    assert call("bound", files / "run.npz") == 0
    assert "over 3 seeds" in capsys.readouterr().out
    assert call("bound", files / "log.npz") == 0
    assert "field 'bit' explains" in capsys.readouterr().out


def test_refine_names_the_bit(files, capsys):
    for source in ("model.npz", "log.npz"):
        assert call("refine", files / source, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["best"] == "bit"
    assert call("refine", files / "log.npz", "--field", "idle") == 0
    assert "none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bound", "nowhere.npz"), "no such file"),
        (("bound", "log.npz", "--run", "run.npz"), "not a model"),
        (("refine", "run.npz"), "a run has no fields"),
        (("refine", "model.npz", "--field", "tier"), "no field 'tier'"),
        (("refine", "log.npz", "--field", "tier"), "no field 'tier'"),
        (("bound", "model.npz", "--delta", "2"), "delta"),
        (("bound", "model.npz", "--handoffs", "0"), "handoffs"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(files, capsys, arguments, message):
    words = [files / word if word.endswith(".npz") else word for word in arguments]
    assert call(*words) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out
