"""The process that programs run in: what the system keeps from it, and what its parent believes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from batonq.base.errors import DataError
from batonq.tasks.maths.live.program import sandbox
from batonq.tasks.maths.live.program.child import Command, Ran, confined, converse
from batonq.tasks.maths.live.program.run import Limits, run_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")

FOLDER = str(Path(sandbox.__file__).parents[1])
HONEST = "def solve():\n    return 42"
ENDLESS = "def solve():\n    while True:\n        pass"
LIMITS = Limits()

# -- the system's limits, as if every other guard had failed ---------------------------------------
CONFINED = """
import os, socket, subprocess, sys, threading
sys.path.insert(0, sys.argv[1])
from sandbox.confine import confine, resource
from sandbox.limits import Limits
confine(Limits(), 1)
try:
    {attempt}
except BaseException as error:
    print(type(error).__name__)
else:
    print("it was done")
"""
ATTEMPTS = {
    "read a file": ("open(sys.executable, 'rb')", "OSError"),
    "write a file": ("open('mark', 'w')", "OSError"),
    "look into a folder": ("os.open('.', os.O_RDONLY)", "OSError"),
    "open a connection": ("socket.socket()", "OSError"),
    "make a pipe": ("os.pipe()", "OSError"),
    "start a process": ("os.fork()", "BlockingIOError"),
    "start a thread": ("threading.Thread(target=print).start()", "RuntimeError"),
    "run a command": ("subprocess.run(['/bin/true'])", "OSError|BlockingIOError"),
    "take much memory": ("bytearray(10 ** 9)", "MemoryError"),
    "lift the limit of processes": (
        "resource.setrlimit(resource.RLIMIT_NPROC, (10, 10))",
        "ValueError",
    ),
    "lift the limit of memory": (
        "resource.setrlimit(resource.RLIMIT_AS, (10 ** 10, 10 ** 10))",
        "ValueError",
    ),
    "be root": ("assert os.getuid() != 0 and os.geteuid() != 0; os.setuid(0)", "PermissionError"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_system_does_not_let_the_process(name: str, tmp_path: Path) -> None:
    attempt, error = ATTEMPTS[name]
    code = CONFINED.format(attempt=attempt)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, FOLDER],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() in error.split("|"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_confinement_the_same_is_done() -> None:
    code = CONFINED.replace("confine(Limits(), 1)", "").format(attempt="open(sys.executable, 'rb')")
    command = [sys.executable, "-I", "-S", "-c", code, FOLDER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "it was done"


def test_a_program_that_uses_up_its_time_is_ended_and_the_others_go_on() -> None:
    generous = Limits(steps=10**12, seconds=0.2)
    first, ended, last = converse([HONEST, ENDLESS, HONEST], generous)
    assert ended == Ran(None, "the program needs more than 0.2 s of the processor")
    assert first == last == Ran(42.0)


def test_a_program_that_wants_too_much_memory_is_refused_and_the_others_go_on() -> None:
    generous = Limits(steps=10**12, items=10**12)
    large = "def solve():\n    return len([0] * 10 ** 8)"
    first, refused, last = converse([HONEST, large, HONEST], generous)
    assert refused == Ran(None, "the program needs too much memory")
    assert first == last == Ran(42.0)


def test_nothing_of_batonq_and_no_installed_package_is_in_the_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import sandbox.serve, sandbox.confine; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, FOLDER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    known = set(sys.stdlib_module_names) | {"sandbox", "__main__"}
    assert {name for name in done.stdout.split() if name not in known} == set()


# -- a process that does not keep to the rules -----------------------------------------------------
READY = '{"ready": true, "reason": ""}'


def saying(code: str) -> Command:
    """A process that says it is ready, and then runs this for each program, called `line`."""
    script = f"import json, os, sys, time\nprint('{READY}', flush=True)\nfor line in sys.stdin:\n"
    script += "".join(f"    {one}\n" for one in code.splitlines())

    def command(limits: Limits, programs: int) -> Sequence[str]:
        return (sys.executable, "-I", "-S", "-c", script)

    return command


def answering(text: str) -> Command:
    return saying(f"print({text!r}, flush=True)")


NO_RESULT = "the program gives no result, or none within 30 s"
UNTRUE = {
    "no JSON": "hello",
    "nothing": "",
    "a list": "[1.0]",
    "a number alone": "1.0",
    "infinity": '{"value": 1e999, "reason": ""}',
    "not a number": '{"value": NaN, "reason": ""}',
    "a truth value": '{"value": true, "reason": ""}',
    "a string": '{"value": "42", "reason": ""}',
    "a number and a reason": '{"value": 1.0, "reason": "but"}',
    "neither number nor reason": '{"value": null, "reason": ""}',
    "a reason that is a list": '{"value": null, "reason": ["x"]}',
    "something more": '{"value": 1.0, "reason": "", "more": 1}',
    "something less": '{"value": 1.0}',
    "depth": "[" * 4000,
    "length": '{"value": 1.0, "reason": "' + "x" * 5000 + '"}',
    "not text": '"\\ud800"',
}


@pytest.mark.parametrize("name", UNTRUE)
def test_what_is_no_result_is_not_believed(name: str) -> None:
    assert converse([HONEST], LIMITS, answering(UNTRUE[name])) == [Ran(None, NO_RESULT)]


def test_a_reason_is_one_short_line_that_can_be_shown() -> None:
    said = json.dumps({"value": None, "reason": "\x1b[2J\nred\u202e" + "x" * 999})
    (ran,) = converse([HONEST], LIMITS, answering(said))
    assert ran == Ran(None, "?[2J?red?" + "x" * 191)


def test_output_without_end_is_not_kept() -> None:
    endless = saying("while True: sys.stdout.write('x' * 100_000)")
    assert converse([HONEST], LIMITS, endless) == [Ran(None, NO_RESULT)]


def test_a_process_that_stalls_is_ended() -> None:
    stalled = converse([HONEST, HONEST], Limits(wall=0.3), saying("time.sleep(600)"))
    assert stalled == [Ran(None, "the program gives no result, or none within 0.3 s")] * 2


def test_a_process_that_ends_costs_its_own_program_only() -> None:
    good = json.dumps({"value": 1.0, "reason": ""})
    code = f"if 'end' in line: os._exit(3)\nprint({good!r}, flush=True)"
    ended = Ran(None, "the program ended the process that ran it (status 3)")
    assert converse(["a", "end", "b", "end", "end", "c"], LIMITS, saying(code)) == [
        *(Ran(1.0), ended, Ran(1.0), ended, ended, Ran(1.0))
    ]


def test_a_long_program_is_not_sent_whole() -> None:
    code = "print(json.dumps({'value': float(len(json.loads(line))), 'reason': ''}), flush=True)"
    assert converse(["x" * 10**6], Limits(characters=50), saying(code)) == [Ran(51.0)]


NOT_READY = {
    "a reason": ('print(\'{"ready": false, "reason": "no such limit"}\')', "no such limit"),
    "nothing": ("pass", "it did not start"),
    "something else": ("print('[]')", "it did not start"),
}


@pytest.mark.parametrize("name", NOT_READY)
def test_a_process_that_is_not_confined_gets_no_program(name: str) -> None:
    code, why = NOT_READY[name]
    with pytest.raises(DataError, match=f"does not confine the process .*{why}"):
        converse([HONEST], LIMITS, lambda *_: (sys.executable, "-I", "-S", "-c", code))


def test_a_limit_the_system_refuses_is_told() -> None:
    with pytest.raises(DataError, match="does not confine the process"):
        run_programs([HONEST], Limits(memory=2**70))


def test_a_process_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"programs: cannot start .*No such file"):
        converse([HONEST], LIMITS, lambda *_: (str(tmp_path / "python"),))


def test_the_process_starts_with_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", "of the parent")
    found = "[sorted(os.environ), os.listdir('.'), len(os.listdir('/proc/self/fd'))]"
    code = f"print(json.dumps({{'value': None, 'reason': repr({found})}}), flush=True)"
    with Path(os.devnull).open() as another:
        os.set_inheritable(another.fileno(), True)
        (ran,) = converse([HONEST], LIMITS, saying(code))
    # Python itself may set LC_CTYPE; the fourth open file is the folder being looked at.
    assert ran.reason.replace("'LC_CTYPE'", "") == "[[], [], 4]"
    converse([HONEST], LIMITS, saying("os._exit(3)"))
    converse([HONEST], LIMITS, answering("hello"))
    assert run_programs([HONEST]) == [Ran(42.0)]
    assert list(tmp_path.iterdir()) == []
    assert _ended_and_not_waited_for() is None


def _ended_and_not_waited_for() -> object:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are no processes at all
        return None


def test_the_command_is_this_python_isolated() -> None:
    command = confined(LIMITS, 3)
    assert command[0] == sys.executable
    assert {"-I", "-S"} <= set(command)
