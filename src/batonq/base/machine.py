"""What the machine offers."""

from __future__ import annotations

import os


def cores() -> int:
    """Number of processors this process may use, at least 1."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1
