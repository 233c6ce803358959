"""`batonq node`, `batonq decide`: as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from batonq.cli.main import main


def output(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert ended.value.code in (0, None), told.err
    return told.out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.err.startswith("batonq: ")
    assert told.err.count("\n") == 1
    return told.err


@pytest.fixture
def node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    output(capsys, "node", "init", str(tmp_path / "n"), "--agent", "intake", "--agent", "code")
    return str(tmp_path / "n")


def test_decide_dry_explains_and_stores_nothing(
    node: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("decide", node, "--agent", "intake", "--state", '{"kind": "bug"}')
    told = output(capsys, *words, "--dry-run", "--explain")
    assert told.startswith("code\nwhy: dry run: observe mode")
    assert not (Path(node) / "node.db").exists()
    made = json.loads(output(capsys, *words, "--json"))
    assert made["logged"] is True
    assert made["counts"] == {"code": 0, "end": 0}
    assert json.loads(output(capsys, "audit", "verify", f"{node}/node.db", "--json"))


def test_bad_input_is_one_line(node: str, capsys: pytest.CaptureFixture[str]) -> None:
    decide = ("decide", node, "--agent", "intake", "--state")
    assert "not JSON at column" in refused(capsys, *decide, "{")
    assert "agent 'x'" in refused(capsys, "decide", node, "--agent", "x", "--state", "1")
    assert "default 'x'" in refused(capsys, *decide, "1", "--default", "x")
    assert "batonq node init" in refused(capsys, "node", "peers", f"{node}/none.toml")
    assert "is there already" in refused(capsys, "node", "init", node)
    assert "gamma" in refused(capsys, "node", "init", f"{node}/2", "--gamma", "1")


def test_peers_are_listed_and_checked(node: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(node) / "node.toml"
    path.write_text(path.read_text() + '\n[peers.review]\nurl = "http://127.0.0.1:9"\n')
    (row,) = json.loads(output(capsys, "node", "peers", node, "--check", "--json"))
    assert (row["peer"], row["quotes_in"], row["standing"]) == ("review", 0, "new")
    assert "cannot be reached" in row["declaration"]
    assert "review" in output(capsys, "node", "peers", node)


def test_serve_answers_until_it_is_told_to_stop(node: str) -> None:
    token = (Path(node) / "control.token").read_text().strip()
    command = [sys.executable, "-m", "batonq", "node", "serve", node, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert token not in line
            url = json.loads(line)["url"]
            headers = {"authorization": f"Bearer {token}"}
            call = {"agent": "intake", "state": {"kind": "bug"}}
            assert httpx.post(f"{url}/v1/decide", json=call).status_code == 401
            made = httpx.post(f"{url}/v1/decide", json=call, headers=headers).json()
            assert made["target"] == "code"
        finally:
            process.terminate()
        assert process.wait(10) in (0, -15)


def test_doctor_says_what_is_wrong_and_what_to_do(
    node: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(node) / "node.toml"
    path.write_text(path.read_text() + '\n[peers.review]\nurl = "http://review.example"\n')
    told = output(capsys, "node", "doctor", node)
    assert "review" in told
    assert "-> " in told
    found = json.loads(output(capsys, "node", "doctor", node, "--json"))
    assert {"level", "what", "remedy"} <= set(found[0])
    assert any("https" in one["what"] + one["remedy"] for one in found)
    assert not (Path(node) / "node.db").exists()
    assert "half" in refused(capsys, "node", "doctor", node, "--half-width", "0")


def test_older_logs_are_imported_once(node: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {
            "agent": "intake",
            "observation": {"kind": "bug"},
            "action": "code",
            "target": "code",
            "reward": 1.0,
        }
        for _ in range(3)
    ]
    path = Path(node) / "old.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    first = json.loads(output(capsys, "node", "import", str(path), node, "--json"))
    second = json.loads(output(capsys, "node", "import", str(path), node, "--json"))
    assert first != second
    assert "3 had been imported before" in output(capsys, "node", "import", str(path), node)
    path.write_text(json.dumps({**lines[0], "reward": 2.0}) + "\n")
    assert "propensit" in output(capsys, "node", "import", str(path), node).lower()
    path.write_text("{")
    assert "old.jsonl" in refused(capsys, "node", "import", str(path), node)
