"""The confined process as its parent sees it; what it says is trusted no more than a program."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.tasks.maths.live.program.sandbox.limits import Limits

_FOLDER: Final = str(Path(__file__).parent)
_MAIN: Final = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from sandbox.serve import main; main(sys.argv[2], int(sys.argv[3]))"
)
_LONGEST: Final = 4096  # bytes of a line that it writes
_REASON: Final = 200  # characters
_START: Final = 60.0  # seconds on the wall clock for Python to start, on a loaded machine


Command = Callable[[Limits, int], Sequence[str]]  # of the limits and the number of programs


@dataclass(frozen=True)
class Ran:
    """How a program ended.

    Attributes:
        value: the number it returned; finite. None if it returned none.
        reason: one plain sentence that says why; "" if there is a number.
    """

    value: float | None
    reason: str = ""


def confined(limits: Limits, programs: int) -> Sequence[str]:
    """The command that starts the process.

    It is this Python, isolated: no variables, no installed packages, no folder of the user's.
    """
    settings = json.dumps(asdict(limits))
    flags = ("-I", "-S", "-W", "ignore")
    return (sys.executable, *flags, "-c", _MAIN, _FOLDER, settings, str(programs))


def converse(sources: Sequence[str], limits: Limits, command: Command = confined) -> list[Ran]:
    """Run programs one after another, going on in a fresh process where one ends or stalls it.

    Args:
        sources: the programs.
        limits: of each.
        command: what starts the process.

    Raises:
        DataError: if a process cannot be started, or not confined.
    """
    done: list[Ran] = []
    while len(done) < len(sources):
        with _process(command(limits, len(sources) - len(done))) as child:
            for source in sources[len(done) :]:
                line = json.dumps(source[: limits.characters + 1])  # one more is too long as well
                ran = _result(_exchange(child, line, limits.wall))
                if ran is None:
                    done.append(Ran(None, _why(child, limits)))
                    break
                done.append(ran)
    return done


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said that it is confined; ended and gone with its folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="batonq-") as folder:
        child = _start(command, folder)
        try:
            said = _exchange(child, None, _START)
            if not isinstance(said, dict) or said.get("ready") is not True:
                reason = _plain(said.get("reason")) if isinstance(said, dict) else ""
                raise DataError(
                    "programs: this system does not confine the process they would run in "
                    f"({reason or 'it did not start'}); run them on Linux, within its limits"
                )
            yield child
        finally:
            child.kill()
            for stream in (child.stdin, child.stdout):
                _close(stream)
            child.wait()


def _start(command: Sequence[str], folder: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - our own module, by this Python
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            close_fds=True,
        )
    except OSError as error:
        raise DataError(f"programs: cannot start {command[0]} ({error.strerror})") from error


def _exchange(child: subprocess.Popen[bytes], line: str | None, wall: float) -> Json:
    """Give the process a line, if there is one, and wait for its answer.

    Returns:
        What it said; None if it ended, took too long or said nothing that can be read.
    """
    assert child.stdin is not None and child.stdout is not None  # noqa: S101 - both are pipes
    timer = threading.Timer(wall, child.kill)
    timer.start()
    try:
        if line is not None:
            child.stdin.write(line.encode() + b"\n")
            child.stdin.flush()
        answer = child.stdout.readline(_LONGEST)
        return json.loads(answer) if answer.endswith(b"\n") else None
    except (OSError, ValueError, RecursionError):  # a broken pipe; no JSON; JSON nested deeply
        return None
    finally:
        timer.cancel()


def _result(said: Json) -> Ran | None:
    """What a process said of a program, if it is what one can say."""
    if not isinstance(said, dict) or set(said) != {"value", "reason"}:
        return None
    value, reason = said["value"], said["reason"]
    if isinstance(value, float) and math.isfinite(value) and reason == "":
        return Ran(value)
    return Ran(None, _plain(reason)) if value is None and _plain(reason) else None


def _why(child: subprocess.Popen[bytes], limits: Limits) -> str:
    """Why a process gave no result."""
    child.kill()
    code = child.wait()
    if code == -signal.SIGXCPU:
        return f"the program needs more than {limits.seconds:g} s of the processor"
    if code == -signal.SIGKILL:
        return f"the program gives no result, or none within {limits.wall:g} s"
    return f"the program ended the process that ran it (status {code})"


def _plain(reason: Json) -> str:
    """A reason as one line that can be shown; "" for anything else than a text."""
    if not isinstance(reason, str):
        return ""
    return "".join(one if one.isprintable() else "?" for one in reason[:_REASON])


def _close(stream: IO[bytes] | None) -> None:
    with suppress(OSError):  # what was not read by a process that has ended
        if stream is not None:
            stream.close()
