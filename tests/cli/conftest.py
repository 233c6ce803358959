from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from command_line import PROGRAM

Batonq = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def batonq(tmp_path) -> Batonq:
    """Run the command in a process of its own, in an empty folder, without BATONQ_DATA."""

    def call(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "BATONQ_DATA"}
        return subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**environment, **variables},
            timeout=300,
        )

    return call
