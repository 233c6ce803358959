from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from batonq.base.compiled import compiled, summing

SUM = """
import numpy as np
from batonq.base.compiled import compiled

def total(rng, values):
    out = 0.0
    for v in values:
        out += v * rng.random()
    return out

fast = compiled(total)
values = np.random.default_rng(0).normal(size=1000)
print(fast is total, fast(np.random.default_rng(1), values).hex())
"""


def run(script: Path, disabled: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_compiled_and_plain_give_the_same_bits(tmp_path: Path) -> None:
    script = tmp_path / "script.py"  # a file, because Numba keeps its cache by file
    script.write_text(SUM)
    compiled, plain = run(script, "0"), run(script, "1")
    assert compiled[0] == "False"
    assert plain[0] == "True"
    assert np.isfinite(float.fromhex(plain[1]))
    assert compiled[1] == plain[1]


@compiled
def mixed(a: float, b: float, c: float) -> float:
    return a * b + c


@summing
def asks(a: float, b: float, c: float) -> float:
    return mixed(a, b, c)


def test_a_loose_caller_does_not_loosen_what_it_calls() -> None:
    # (1 + e)^2 - (1 + 2 e) is e^2, which is lost where the product is rounded before the sum.
    a, c = 1 + 2.0**-30, -(1 + 2.0**-29)
    assert asks(a, a, c) == 0.0  # compiled first, from the loose caller
    assert mixed(a, a, c) == 0.0
