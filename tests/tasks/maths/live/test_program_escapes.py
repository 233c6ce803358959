"""Programs that try to get out, or to use up the machine: refused with a reason, without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from batonq.tasks.maths.live.program.run import Limits, Ran, run_program, run_programs

LIMITS = Limits()
HONEST = "def solve():\n    return 42"


def body(*lines: str) -> str:
    """A function `solve()` of these lines, which would return 42 in the end."""
    return "def solve():\n" + "".join(f"    {line}\n" for line in (*lines, "return 42"))


def nested(opening: str, closing: str, times: int) -> str:
    return body(f"x = {opening * times}1{closing * times}")


UNDEFINED = "which it does not define"
IMPORT = "an import, which is not allowed"
ATTRIBUTE = "an attribute (a name after a dot), which is not allowed"
DIGITS = "more than 1000 digits"
ITEMS = "a list of more than 10000 items"
STEPS = "does not end within 100000 steps"
DEEP = "too deeply inside one another"

# name: (program, part of the reason). MARK is a file that must not come into being.
ESCAPES: dict[str, tuple[str, str]] = {
    # files, processes, the network
    "open a file": (body("open('MARK', 'w')"), UNDEFINED),
    "open by another name": (body("f = open", "f('MARK', 'w')"), UNDEFINED),
    "read a file": (body("return len(open('/etc/passwd').read())"), ATTRIBUTE),
    "os.system": (body("import os", "os.system('touch MARK')"), IMPORT),
    "subprocess": (body("import subprocess", "subprocess.run(['touch', 'MARK'])"), IMPORT),
    "os without an import": (body("os.system('touch MARK')"), ATTRIBUTE),
    "socket": (body("import socket", "socket.socket()"), IMPORT),
    "urllib": ("from urllib.request import urlopen\n" + HONEST, IMPORT),
    "fork bomb": (body("import os", "while True:", "    os.fork()"), IMPORT),
    "environment": (body("from os import environ", "return environ['HOME']"), IMPORT),
    "kill the parent": ("import os, signal\nos.kill(os.getppid(), 9)\n" + HONEST, IMPORT),
    "with open": (body("with open('MARK', 'w') as f:", "    pass"), "has with,"),
    "input": (body("return int(input())"), UNDEFINED),
    "exit": (body("exit()"), UNDEFINED),
    "breakpoint": (body("breakpoint()"), UNDEFINED),
    "help": (body("help()"), UNDEFINED),
    # imports
    "import": ("import math\n" + HONEST, IMPORT),
    "import in a function": (body("import math", "return math.pi"), IMPORT),
    "from import": ("from math import ceil\n" + HONEST, IMPORT),
    "from import star": ("from os import *\n" + HONEST, IMPORT),
    "relative import": ("from . import serve\n" + HONEST, IMPORT),
    "future import": ("from __future__ import annotations\n" + HONEST, IMPORT),
    "__import__": (body("__import__('os')"), UNDEFINED),
    "importlib": (body("importlib = __import__", "importlib('os')"), UNDEFINED),
    "__builtins__": (body("x = __builtins__", "f = x['open']", "f('MARK', 'w')"), UNDEFINED),
    "__loader__": (body("x = __loader__"), UNDEFINED),
    "import never reached": (body("if False:", "    import os"), IMPORT),
    # attributes and reflection
    "class of a number": (body("x = (1).__class__"), ATTRIBUTE),
    "bases of a tuple's class": (body("x = ().__class__.__bases__[0].__subclasses__()"), ATTRIBUTE),
    "method of a list": (body("x = []", "x.append(1)"), ATTRIBUTE),
    "globals of a function": (body("x = solve.__globals__"), ATTRIBUTE),
    "setting an attribute": (body("solve.x = 1"), ATTRIBUTE),
    "f-string": (body("x = f'{(1).__class__}'"), "an f-string"),
    "format method": (body("x = '{0.__class__}'.format(1)"), ATTRIBUTE),
    "percent format": (body("x = '%1000000000d' % 1"), "calculates with a string"),
    "getattr": (body("x = getattr(1, '__class__')"), UNDEFINED),
    "type": (body("x = type('X', (), {})"), UNDEFINED),
    "object": (body("x = object"), UNDEFINED),
    "vars": (body("x = vars()"), UNDEFINED),
    "globals": (body("x = globals()"), UNDEFINED),
    "locals": (body("x = locals()"), UNDEFINED),
    "dir": (body("x = dir()"), UNDEFINED),
    "id": (body("x = id(solve)"), UNDEFINED),
    "eval": (body("x = eval('1')"), UNDEFINED),
    "exec": (body("exec('import os')"), UNDEFINED),
    "compile": (body("x = compile('1', '', 'eval')"), UNDEFINED),
    "eval in wide letters": (body("x = \uff45\uff56\uff41\uff4c('1')"), "'eval'"),
    "import in bold letters": (body("x = __\U0001d422mport__('os')"), "'__import__'"),
    "str and chr": (body("x = str(1) + chr(2)"), UNDEFINED),
    "a built-in as a value": (body("x = max"), "'max' without giving it a value"),
    "another meaning of print": (body("print = 5"), "gives 'print' another meaning"),
    # syntax
    "lambda": (body("f = lambda: 1"), "a lambda"),
    "class": ("class A:\n    x = 1\n" + HONEST, "a class"),
    "class with a metaclass": (body("class A(metaclass=print):", "    pass"), "a class"),
    "decorator": ("@print\n" + HONEST, "a decorator"),
    "default argument": ("def solve(x=__import__('os')):\n    return 42", UNDEFINED),
    "default that runs": ("def solve(x=[].append(1)):\n    return 42", ATTRIBUTE),
    "walrus": (body("x = (y := 1)"), "an assignment inside an expression"),
    "star in a call": (body("x = max(*[1, 2])"), "a starred expression"),
    "two stars in a call": (body("x = pow(**{'a': 1})"), "a starred expression"),
    "star in an assignment": (body("a, *b = 1, 2"), "a starred expression"),
    "star in a dictionary": (body("x = {**{}}"), "a starred expression"),
    "star arguments": ("def solve(*a, **k):\n    return 42", "other than plain arguments"),
    "keyword-only": ("def solve(*, a=1):\n    return 42", "other than plain arguments"),
    "the same argument twice": ("def solve(a=1, a=2):\n    return 42", "other than plain arg"),
    "match": (body("match 1:", "    case int():", "        pass"), "has match,"),
    "try that swallows": (body("try:", "    x = 1 / 0", "except BaseException: pass"), "has try,"),
    "raise": (body("raise SystemExit"), "has raise,"),
    "generator": (body("yield 1"), "has yield,"),
    "yield from": (body("x = yield from []"), "has yield,"),
    "async": ("async def f():\n    await f()\n" + HONEST, "has async,"),
    "async comprehension": (body("x = [y async for y in []]"), "async"),
    "global": (body("global x", "x = 1"), "has global,"),
    "nonlocal": (body("x = 1", "def f():", "    nonlocal x", "f()"), "has nonlocal,"),
    "del": (body("del range"), "has del,"),
    "set": (body("x = {1, 2}"), "something (Set)"),
    "bit shift": (body("x = 1 << 10 ** 9"), "something (LShift)"),
    "matrix product": (body("x = 1 @ 2"), "something (MatMult)"),
    "bytes": (body("x = b'1'"), "something (bytes)"),
    "imaginary": (body("x = 1j"), "something (complex)"),
    "ellipsis": (body("x = ..."), "something (ellipsis)"),
    "call of a call": (body("x = solve()()"), "a call of something without a name"),
    "call of an item": (body("x = [solve][0]()"), "a call of something without a name"),
    "exception group": (body("try:", "    x = 1", "except* ValueError: pass"), "TryStar"),
    # names with other meanings
    "shadowed range": (body("range = 5", "for i in range(3):", "    pass"), "not a function"),
    "shadowed int": ("def int(x):\n    return 'a'\n" + body("x = int(3) + 1"), "with a string"),
    # memory
    "power": (body("x = 10 ** 10 ** 10"), DIGITS),
    "power by steps": (body("x = 2", "for i in range(100):", "    x **= 2"), DIGITS),
    "pow()": (body("x = pow(10, 10 ** 9)"), DIGITS),
    "pow() with a modulus": (body("x = pow(3, 10 ** 900, 7)"), "pow() with 3 arguments"),
    "factorial": (body("x = 1", "for i in range(1, 9999):", "    x *= i"), DIGITS),
    "doubling": (body("x = 1", "while True:", "    x += x"), DIGITS),
    "long number": (body(f"x = {'9' * 2000}"), DIGITS),
    "number Python does not read": (body(f"x = {'9' * 5000}"), "not Python"),
    "round to a huge power": (body("x = round(5, -(10 ** 9))"), "rounds to"),
    "long string": (body("x = 'a' * 10 ** 10"), "calculates with a string"),
    "joined strings": (body("x = 'a'", "x += x"), "calculates with a string"),
    "long list": (body("x = [0] * 10 ** 9"), ITEMS),
    "long tuple": (body("x = 10 ** 9 * (0,)"), ITEMS),
    "list of a range": (body("x = list(range(10 ** 9))"), ITEMS),
    "sorted range": (body("x = sorted(range(10 ** 12))"), ITEMS),
    "doubled list": (body("x = [1]", "while True:", "    x = x + x"), ITEMS),
    "extended list": (body("x = [1]", "for y in x:", "    x += x"), ITEMS),
    "list extended as it is gone through": (body("x = [1]", "for y in x:", "    x += [1]"), STEPS),
    "nested comprehensions": (body("x = [i for i in range(999) for j in range(999)]"), ITEMS),
    "lists of lists": (body("x = [[0] * 9999 for i in range(9999)]"), STEPS),
    "large dictionary": (body("x = {}", "for i in range(99999):", "    x[i] = i"), ITEMS),
    "sum of a range": (body("x = sum(range(10 ** 15))"), STEPS),
    "length of a range": (body("x = len(range(10 ** 30))"), "something it does not take"),
    "sharing list": (
        body("x = [1]", "for i in range(99):", "    x = [x, x]", "y = x == x"),
        "a list",
    ),
    "list in itself": (body("x = [1]", "x[0] = x", "y = x in x"), "compares a list"),
    # time
    "endless loop": (body("while True:", "    pass"), STEPS),
    "nested loops": (
        body("for i in range(9 ** 9):", "    for j in range(9 ** 9):", "        x = i * j"),
        STEPS,
    ),
    "far range": (body("for i in range(10 ** 400):", "    pass"), STEPS),
    "search in a range": (body("x = 0.5 in range(10 ** 15)"), STEPS),
    "comprehension without items": (body("x = [1 for i in range(10 ** 9) if i < 0]"), STEPS),
    "loop that goes on": (body("while 1:", "    continue"), STEPS),
    "functions defined for ever": (body("while 1:", "    def f(): pass"), STEPS),
    "recursion": (body("solve()"), DEEP),
    "mutual recursion": (
        "def f():\n    return g()\ndef g():\n    return f()\n" + body("f()"),
        DEEP,
    ),
    "recursion twice": (
        "def f(n):\n    return f(n - 1) + f(n - 1) if n else 1\n" + body("f(99)"),
        STEPS,
    ),
    "recursion by items": (body("x = [solve() for i in (1, 2)]"), DEEP),
    "recursion by default": ("def f():\n    def g(x=f()):\n        return x\n" + body("f()"), DEEP),
    "endless loop outside": ("while True:\n    pass\n" + HONEST, STEPS),
    # the parser
    "parentheses": (nested("(", ")", 4000), "Python"),
    "brackets": (nested("[", "]", 250), "Python"),
    "minus signs": (nested("-", "", 9000), "Python"),
    "chained power": (nested("2**", "", 3000), "Python"),
    "nested blocks": (
        "".join(" " * n + "if 1:\n" for n in range(130)) + " " * 130 + "x = 1",
        "Python",
    ),
    "null byte": (HONEST + "\x00", "Python"),
    "surrogate": (HONEST + "\n# \ud800", "Python"),
    "surrogate in a string": (body("x = '\udc00'"), "Python"),
    "long line": (body(f"x = 1{' + 1' * 5000}"), "longer than 10000 characters"),
    "huge text": ("#" * 10**7 + "\n" + HONEST, "longer than 10000 characters"),
    "import hidden by a coding": (
        "# -*- coding: utf-7 -*-\n+AGkAbQBwAG8AcgB0- os\n" + HONEST,
        UNDEFINED,
    ),
}


@pytest.fixture(scope="module")
def rans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """What came of all of them, each followed by an honest program."""
    mark = tmp_path_factory.mktemp("escapes") / "mark"
    texts = [text.replace("MARK", str(mark)) for text, _ in ESCAPES.values()]
    results = run_programs([one for text in texts for one in (text, HONEST)], LIMITS)
    assert not mark.exists()
    assert results[1::2] == [Ran(42.0)] * len(texts)  # none of them spoilt what came after it
    return dict(zip(ESCAPES, results[0::2], strict=True))


@pytest.mark.parametrize("name", ESCAPES)
def test_an_escape_is_refused(rans: dict[str, Ran], name: str) -> None:
    assert rans[name].value is None
    assert ESCAPES[name][1] in rans[name].reason
    assert "\n" not in rans[name].reason


HARMLESS = {
    "what is printed is not looked at": body("print(__import__('os').system('touch MARK'))"),
    "annotations are not looked at": "def solve(x: open('MARK', 'w') = 1) -> exec('1'):\n"
    "    y: open('MARK', 'w') = 42\n    return y",
    "operators nested deeply": nested("not ", "", 2000),
    "what stands alone outside is not run": "solve\n[1][5]\n" + HONEST,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_never_run_does_no_harm(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert run_program(HARMLESS[name].replace("MARK", str(mark))) == Ran(42.0)
    assert not mark.exists()


def test_there_are_enough_of_them() -> None:
    assert len(ESCAPES) >= 45
