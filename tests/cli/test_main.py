import re
import subprocess
import sys

import pytest

from batonq import __version__
from batonq.base.errors import DataError
from batonq.cli import main as cli


def test_version(batonq):
    done = batonq("--version")
    assert (done.returncode, done.stdout) == (0, f"batonq {__version__}\n")


@pytest.mark.parametrize("words", [(), ("run",), ("run", "maths"), ("report",), ("data",)])
def test_help_is_printed(batonq, words):
    done = batonq(*words, "--help")
    assert done.returncode == 0
    assert "Usage: batonq" in done.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from batonq.cli.main import main\n"
        "try:\n    main(['run', 'maths', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--lambda" in done.stdout
    modules = set(done.stderr.split())
    assert "batonq.cli.run" in modules
    assert not modules & {"numpy", "scipy", "numba", "matplotlib", "jinja2", "httpx", "jaxtyping"}


@pytest.mark.parametrize("words", [("nope",), ("run", "chess"), ("run", "maths", "--folds", "x")])
def test_a_wrong_usage_ends_with_2(batonq, words):
    done = batonq(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def ending(monkeypatch, capsys, error, *words):
    """Let the program fail with `error` and return (exit code, stderr)."""

    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code, capsys.readouterr().err


def test_the_three_endings(monkeypatch, capsys):
    assert ending(monkeypatch, capsys, DataError("a: missing;\ngive it")) == (
        2,
        "batonq: a: missing; give it\n",
    )
    assert ending(monkeypatch, capsys, ZeroDivisionError("by 0")) == (
        1,
        "batonq: failed: ZeroDivisionError: by 0; --debug shows where\n",
    )
    assert ending(monkeypatch, capsys, KeyboardInterrupt()) == (130, "")


def test_debug_shows_the_traceback_wherever_it_stands(batonq, tmp_path):
    plain = batonq("report", tmp_path / "nowhere")
    assert plain.returncode == 2
    assert re.fullmatch(r"batonq: .*nowhere: no run there .*\n", plain.stderr)
    for words in (("--debug", "report", "nowhere"), ("report", "nowhere", "--debug")):
        done = batonq(*words)
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback")
        assert "no run there" in done.stderr
