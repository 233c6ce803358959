"""Honest programs give what Python gives, and are found in what models reply."""

from __future__ import annotations

import inspect
import operator
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.tasks.maths.live.program.reply import program_in
from batonq.tasks.maths.live.program.run import Limits, Ran, run_program, run_programs
from batonq.tasks.maths.live.program.sandbox.budget import ProgramError
from batonq.tasks.maths.live.program.sandbox.interpreter import interpret

LIMITS = Limits()

# -- programs that are functions of this file too, so that Python itself says what they give -------


def arithmetic():
    """A docstring."""
    price: float = 12.5  # a comment
    count = 7
    total = price * count - 3 / 4 + 17 // 5 + 17 % 5 + 2**10
    total += 1
    total -= 2
    total *= 3
    total /= 4
    total //= 2
    total %= 100
    total **= 2
    return -total + +count


def negative_division():
    return (-7 // 2) * 1000 + (-7 % 3) * 100 + int(-7 / 2) * 10 + -(2**2)


def branches():
    days, height = 0, 4
    while height <= 20:
        if days == 1:
            height += 1
        elif days > 2 and not height == 9:  # noqa: SIM201
            height *= 2
        else:
            height += 3
        days += 1
    return days if days != 3 else -days


def loops():
    total = 0
    for i in range(1, 20, 3):
        if i == 4:
            continue
        if i > 12 or total > 1000:
            break
        for j in range(i):
            total += i * j
    else:
        total = -1
    for _ in (1, 2):
        total += 1
    else:
        total += 100
    while total > 0:
        total -= 7
        if total < 50:
            break
    return total


def helpers():
    rate = 3

    def cost(n, each=rate, extra=0):
        return n * each + extra

    def factorial(n):
        return 1 if n <= 1 else n * factorial(n - 1)

    return cost(2) + cost(2, 5) + cost(n=1, extra=4) + factorial(10)


def lists():
    xs = [3, 1, 2]
    ys = xs
    ys += [10]
    xs[0] = 30
    first, (second, third) = 1, (2, 3)
    pairs = [(a, b) for a in xs if a > 1 for b in range(a) if b % 2 == 1]
    a = 5
    a, b = a + 1, a
    grid = [[0] * 3, [1] * 3]
    grid[1][2] += 5
    prices = {"pen": 2, "book": 7}
    prices["cup"] = 1
    prices["pen"] *= 10
    total = sum(prices[name] for name in prices)
    tail = xs[1:] + xs[::-1] + xs[-2:]
    more = sum(tail) + len(pairs) + grid[1][2] + first + second * third + a * b
    return total + more + (1, 2, 3)[-1] + (4 if 10 in xs and "cat" not in prices else 9)


def functions():
    xs = [2.5, -4, 3]
    whole, rest = divmod(17, 5)
    total = sum(xs) + min(xs) + max(xs) + min(3, 1, 2) + max(1, 5) + abs(-3) + pow(2, 5)
    total += round(2.567, 2) + round(2.5) + round(1234, -2) + int(7.9) + float(3) + len(xs)
    total += whole * 10 + rest + sum([1, 2], 10) + sum(x > 0 for x in xs)
    for place, (x, y) in enumerate(zip(sorted(xs), reversed(range(3)), strict=False), 1):
        total += place * x * y
    return total + any(x > 3 for x in xs) + all([True, 1]) + len(list(range(5)))


def comprehension_scope():
    x = 4
    xs = [x for x in range(x)]  # noqa: C416
    return x * 100 + sum(xs)


def chains():
    none = None
    low = 1 < 2 < 3 != 4
    return (low + (none is None) * 2 + (none is not None) * 4 + (not 0) * 8) * (none or 3) + (
        2 and 5
    )


def shadows():
    sum = 0  # noqa: A001
    for max in range(5):  # noqa: A001
        sum += max  # noqa: A001
    return sum


PROGRAMS = [arithmetic, negative_division, branches, loops, helpers, lists, functions]
PROGRAMS += [comprehension_scope, chains, shadows]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda one: one.__name__)
def test_a_program_gives_what_python_gives(program: Callable[[], float]) -> None:
    # zip's keyword is for this file's style only; programs' functions take positions
    source = textwrap.dedent(inspect.getsource(program)).replace(", strict=False", "")
    source = source.replace(f"def {program.__name__}(", "def solve(", 1)
    assert interpret(source, LIMITS) == pytest.approx(program(), rel=1e-12)


AROUND = {
    "alone": "def solve():\n    return 3",
    "a block": "```python\ndef solve():\n    return 3\n```",
    "a block with words": "Sure!\n\n```python\ndef solve():\n    return 3\n```\nThat is 42.",
    "a block that is not closed": "```\ndef solve():\n    return 3\n",
    "a closing line only": "def solve():\n    return 3\n```\nExplanation.",
    "an indented block": "1. So:\n   ```py\n   def solve():\n       return 3\n   ```",
    "an output after it": "```python\ndef solve():\n    return 3\n```\n```output\n4\n```",
    "a block before it": "```python\nx = 1\n```\n```python\ndef solve():\n    return 3\n```",
    "the first of two": "```\ndef solve():\n  return 3\n```\n```\ndef solve():\n  return 4\n```",
    "printed": "def solve():\n    print('a', f'{1:.2f}', end='')\n    return 3\nprint(solve())",
    "main": "def solve():\n    return 3\nif __name__ == '__main__':\n    print(solve())",
    "a check": "def solve():\n    return 3\ndef check():\n    assert solve() == 4\ncheck()\n",
    "a constant before it": "n = 2\nn += 1\ndef solve() -> int:\n    return n",
    "called after it": "def solve():\n    return 3\nanswer = solve()\nprint('It is', answer)",
    "an argument with a default": "def solve(n=3):\n    return n",
    "assertions that hold": "def solve():\n    assert 1 < 2\n    return 3",
    "another kind of line end": "def solve():\r\n    return 3\r\n",
}


def test_a_program_is_found_in_a_reply() -> None:
    rans = run_programs(list(AROUND.values()))
    assert dict(zip(AROUND, rans, strict=True)) == dict.fromkeys(AROUND, Ran(3.0))


NO_NUMBER = {
    "": "no function solve()",
    "The answer is 3.": "not Python",
    "x = 3": "no function solve()",
    "solve = 3": "no function solve()",
    "def solve():\n    pass": "not a number",
    "def solve():\n    return 'three'": "not a number",
    "def solve():\n    return 1 > 0": "not a number",
    "def solve():\n    return [3]": "not a number",
    "def solve():\n    return solve": "not a number",
    "def solve():\n    return 1e308 * 10": "not finite",
    "def solve():\n    return 1e999 - 1e999": "not finite",
    "def solve():\n    return 10 ** 400": "not finite",
    "def solve():\n    return 1 / 0": "divides by zero",
    "def solve():\n    return 1 % 0": "divides by zero",
    "def solve():\n    return 0 ** -1": "divides by zero",
    "def solve():\n    return 10 ** 400 / 3": "too large",
    "def solve():\n    return (-8) ** 0.5": "not real",
    "def solve():\n    return x\n    x = 1": "'x' before giving it a value",
    "def solve():\n    return apples": "'apples', which it does not define",
    "x = 1\ndef solve():\n    x += 1\n    return x": "'x' before giving it a value",
    "def solve(n):\n    return n": "with other arguments",
    "def solve():\n    return solve(1)": "with other arguments",
    "def f(a):\n    return a\ndef solve():\n    return f(1, a=2)": "with other arguments",
    "def solve():\n    x = 1\n    return x(2)": "'x', which is not a function",
    "def solve():\n    return round(1, 2, 3)": "round() with 3 arguments",
    "def solve():\n    return max([])": "max() with something it does not take",
    "def solve():\n    return max([1], key=2)": "max() with 'key='",
    "def solve():\n    return [1][3]": "not there",
    "def solve():\n    return {'a': 1}['b']": "not there",
    "def solve():\n    a, b = 1, 2, 3\n    return a": "3 values to 2 names",
    "def solve():\n    return 'a' + 'b'": "calculates with a string",
    "def solve():\n    return None + 1": "calculates with None",
    "def solve():\n    return [1] == [1]": "compares a list",
    "def solve():\n    for x in 5:\n        pass": "goes through a number",
    "def solve():\n    assert 1 > 2\n    return 3": "asserts",
    "return 3": "outside a function",
    "def solve():\n    break\n    return 3": "in none",
    "```python\ndef solve():\n    total = 3 +\n": "not Python",
    "```python\ndef solve():\n    total = 120\n    return 12": "not a number",  # cut off: no return
}


def test_a_program_without_a_number_says_why() -> None:
    rans = run_programs(list(NO_NUMBER))
    assert [ran.value for ran in rans] == [None] * len(NO_NUMBER)
    for ran, (source, why) in zip(rans, NO_NUMBER.items(), strict=True):
        assert why in ran.reason, source


def test_one_program_by_itself() -> None:
    assert run_program("def solve():\n    return 0.1 + 0.2") == Ran(0.1 + 0.2)
    assert run_programs([]) == []


@pytest.mark.parametrize(
    "limits", [Limits(steps=0), Limits(seconds=-1.0), Limits(wall=float("nan")), Limits(memory=1)]
)
def test_a_limit_that_cannot_be_kept_is_refused(limits: Limits) -> None:
    with pytest.raises(ModelError, match=r"limits: \w+ is .*, has to be more"):
        run_program("def solve():\n    return 3", limits)


# -- arithmetic drawn at random --------------------------------------------------------------------
Drawn = tuple[str, "float | None"]  # an expression, and its value where it has one
NUMBERS = st.integers(0, 10**6) | st.floats(0, 1e6, allow_nan=False)
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
OPERATORS |= {"//": operator.floordiv, "%": operator.mod, "**": operator.pow}
OPERATORS |= {"<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne}


def _joined(parts: tuple[Drawn, str, Drawn]) -> Drawn:
    (left, first), sign, (right, second) = parts
    text = f"({left} {sign} {right})"
    if first is None or second is None:
        return text, None
    if sign == "**" and (abs(second) > 8 or abs(first) > 1e6):
        return f"({left} + {right})", first + second
    try:
        value = OPERATORS[sign](first, second)
    except (ZeroDivisionError, OverflowError):
        return text, None
    return text, None if isinstance(value, complex) else value


def _signed(drawn: Drawn) -> Drawn:
    text, value = drawn
    return f"(-{text})", None if value is None else -value


EXPRESSIONS = st.recursive(
    NUMBERS.map(lambda value: (repr(value), value)),
    lambda inner: (
        st.tuples(inner, st.sampled_from(sorted(OPERATORS)), inner).map(_joined)
        | inner.map(_signed)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(EXPRESSIONS)
def test_arithmetic_at_random_gives_what_python_gives(drawn: Drawn) -> None:
    text, value = drawn
    # "+ 0" makes numbers of comparisons; as the last addition it changes no other value
    source = f"def solve():\n    return {text} + 0"
    try:
        found = interpret(source, LIMITS)
    except ProgramError:
        assert value is None or not abs(value) <= 1e300  # not finite, or too many digits
    else:
        assert value is not None
        assert found == float(value)


@settings(max_examples=10)
@given(st.lists(EXPRESSIONS, min_size=20, max_size=40))
def test_the_process_gives_what_the_interpreter_gives(drawn: list[Drawn]) -> None:
    sources = [f"def solve():\n    return {text}" for text, _ in drawn]
    for source, ran in zip(sources, run_programs(sources), strict=True):
        try:
            assert ran == Ran(interpret(source, LIMITS))
        except ProgramError as error:
            assert ran == Ran(None, str(error))


def test_a_reply_without_a_program_is_taken_as_it_is() -> None:
    assert program_in("no code at all") == "no code at all"
    assert program_in("```\nx = 1\n```\nwords") == "x = 1"
