"""Takes from this process what a program could do harm with, before it reads one.

This is the second wall: the first is that no program is ever given to Python to run. It keeps the
process from opening files and connections, from starting others, and to its memory and time. What
needs no open file, such as removing one by its name, it does not stop where this is an ordinary
user's process; root's gives up its rights.
"""

from __future__ import annotations

import math
import os
import resource
from typing import Final

from .limits import Limits

_STREAMS: Final = 3  # open files: the standard ones, which are open already, and no more
_NOBODY: Final = 65534


def confine(limits: Limits, programs: int) -> None:
    """Leave this process so much memory and time, no file, no connection and no other process.

    Args:
        limits: of each program.
        programs: how many will be run.

    Raises:
        OSError, ValueError: if the system does not do it.
    """
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, (math.ceil(limits.seconds) + 1) * (programs + 1)),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _STREAMS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    if os.getuid() == 0:  # who may do everything could lift the limits, and starts what it likes
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def allow_time(limits: Limits) -> None:
    """Let the process use a program's processor time from now on, after which the system ends it.

    Whole seconds are counted, so that up to one more can pass.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used.ru_utime + used.ru_stime + limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))
