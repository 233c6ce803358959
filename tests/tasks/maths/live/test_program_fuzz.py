"""Whatever a model writes gives a number or a reason, and leaves the process alive."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.tasks.maths.live.program.run import Limits, run_programs

LIMITS = Limits(steps=2_000)
PROGRAM = """def rest(total, part=0.25):
    return total - total * part
def solve():
    apples, names = 12, ["a", 'b']
    for i in range(3):
        apples += i ** 2 if i % 2 else -i // 2
    while apples > 20 and not apples == 21:
        apples -= len(names)
    costs = {"pen": 1.5, "cup": [x for x in (1, 2, 3) if x > 1][0]}
    return round(sum(costs[k] for k in costs) + rest(apples), 2)
print(solve())
"""
TOKENS = ["def", "solve", "f", "(", ")", ":", "\n", "\n    ", "\n        ", "return", "if", "else"]
TOKENS += ["for", "while", "in", "x", "i", "=", "+=", "**", "*", "//", "%", "-", "1", "0", "2.5"]
TOKENS += ["range", "sum", "[", "]", "{", "}", ",", "'a'", "lambda", "import", ".", "print", "and"]
TOKENS += ["not", "is", "None", "True", "break", "continue", "10", "==", "<", "assert", "```", "@"]
TOKENS += ["async", "await", "yield", "class", "del", "global", ":=", "f'{x}'", "0x", "1e999", "~"]

SOUP = st.lists(st.sampled_from(TOKENS), max_size=60).map(" ".join)
PLACES = st.integers(0, len(PROGRAM))
BYTES = st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
PIECES = st.sampled_from(TOKENS) | st.text(max_size=8) | BYTES
MUTATED = st.tuples(PLACES, st.integers(0, 12), PIECES).map(
    lambda cut: PROGRAM[: cut[0]] + cut[2] + PROGRAM[cut[0] + cut[1] :]
)
IN_SOLVE = SOUP.map(lambda soup: f"def solve():\n    x = 3\n    {soup}\n    return x")
REPLIES = st.text() | BYTES | SOUP | MUTATED | IN_SOLVE


@settings(max_examples=25)
@given(st.lists(REPLIES, min_size=30, max_size=60))
def test_anything_gives_a_number_or_a_reason(texts: list[str]) -> None:
    rans = run_programs(texts, LIMITS)
    assert len(rans) == len(texts)
    for text, ran in zip(texts, rans, strict=True):
        assert (ran.value is None) == (ran.reason != "")
        assert ran.value is None or math.isfinite(ran.value)
        assert ran.reason.isprintable()
        # Every reason is one the interpreter gave: nothing took it by surprise or stalled it.
        assert "the process that ran it" not in ran.reason, text
        assert "no result" not in ran.reason, text


def test_the_program_that_is_changed_is_right() -> None:
    (ran,) = run_programs([PROGRAM])
    # apples: 12 - 0 + 1 - 1 = 12; costs: 1.5 + 2; 12 - 12 / 4 = 9
    assert ran.value == 12.5
