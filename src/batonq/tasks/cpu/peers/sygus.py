"""Syntax-guided synthesis by cvc5: an expression that meets the whole specification.

Its problem is easier than the others'. It finds an expression, not a program: there are no
registers that an instruction overwrites, no flags that it loses, no limit to the length, words of
memory are inputs like others, and several outputs are several problems. And it sees the
specification itself instead of test vectors, so that its answer is right for all inputs; we have it
checked by Z3 all the same. It is given seconds, not executions.

The grammar has an operation for every row in the task's menu, made from the row's own Z3 semantics,
with the immediate values that the row has there; a comparison for every pair of a row that sets
flags and a condition that is read. A conditional byte is a whole word, 0 or 1, since registers that
are not used start at 0.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final

from batonq.base.errors import DataError
from batonq.base.extras import need
from batonq.tasks.cpu.expression import Expression, to_smt
from batonq.tasks.cpu.machine.program import Instruction, Program
from batonq.tasks.cpu.machine.table import Row
from batonq.tasks.cpu.peers.attempt import Attempt
from batonq.tasks.cpu.task import Task

SECONDS: Final = 10.0
# What a condition means after a comparison of {0} with {1}; a test is one of their "and" with 0.
COMPARISONS: Final = {
    "e": "(= {0} {1})",
    "ne": "(distinct {0} {1})",
    "l": "(bvslt {0} {1})",
    "le": "(bvsle {0} {1})",
    "g": "(bvsgt {0} {1})",
    "ge": "(bvsge {0} {1})",
    "b": "(bvult {0} {1})",
    "be": "(bvule {0} {1})",
    "a": "(bvugt {0} {1})",
    "ae": "(bvuge {0} {1})",
    "s": "(bvslt (bvsub {0} {1}) #x00000000)",
    "ns": "(bvsge (bvsub {0} {1}) #x00000000)",
}
# Two ways of search, each given half of the time that is left: the second builds cases one by one,
# which finds sort3, median3 and the like at once and misses others that the first finds.
WAYS: Final = (
    "(set-option :sygus-enum fast)",
    "(set-option :sygus-enum fast)\n(set-option :sygus-unif-pi complete)",
)
_WORD: Final = "(_ BitVec 32)"
_SOLVED: Final = "(\n(define-fun"
_FIRST, _SECOND = "d!", "s!"  # operands in Z3's text; no input is called so


def solve(task: Task, budget: int = 0, seed: int = 0, seconds: float = SECONDS) -> Attempt:
    """Find an expression for every output, within a time.

    Args:
        task: what is wanted. With examples only, the expression agrees with them and is not proved.
        budget: not used: nothing is executed.
        seed: of cvc5's own choices.
        seconds: for all outputs together, starts of its process included; above 0.

    Returns:
        No program; the note has the expressions. Where cvc5 is not installed the note says so.

    Raises:
        DataError: `seconds` is not above 0, or Z3 is not installed.
    """
    del budget
    if not seconds > 0:
        raise DataError(f"{task.name}: {seconds:g} s for cvc5; give a time above 0")
    began = perf_counter()
    try:
        need("cvc5", "sygus")
    except DataError:
        return Attempt(None, False, 0, 0.0, "not available: pip install 'batonq[sygus]'")
    terms, proved = [], task.specified
    for number, output in enumerate(task.outputs):
        found = _found(problem(task, number, seed), began + seconds)
        if not found.startswith(_SOLVED):
            why = found.strip() or f"nothing within {seconds:g} s"
            return Attempt(None, False, 0, perf_counter() - began, why)
        terms.append(found[1:].rstrip()[:-1].strip())
        left = max(1.0, seconds - (perf_counter() - began))
        proved = proved and _equal(task, terms[-1], output.expression, left)
    return Attempt(None, proved, 0, perf_counter() - began, "\n".join(terms))


def problem(task: Task, number: int, seed: int = 0) -> str:
    """The problem of one output in SyGuS-IF: grammar and what is wanted."""
    inputs = [f"|{one.name}|" for one in task.inputs]
    head = " ".join(f"({name} {_WORD})" for name in inputs)
    expression = task.outputs[number].expression
    lines = [f"(set-option :seed {seed})", "(set-logic BV)", *_grammar(task.menu, head, inputs)]
    if expression is not None:
        lines += [f"(declare-var {name} {_WORD})" for name in inputs]
        lines.append(f"(constraint (= (found {' '.join(inputs)}) {to_smt(expression)}))")
    for example in task.examples if expression is None else ():
        values = " ".join(_shown(value) for value in example.inputs)
        lines.append(f"(constraint (= (found {values}) {_shown(example.outputs[number])}))")
    return "\n".join([*lines, "(check-synth)", ""])


def _grammar(menu: Program, head: str, inputs: Iterable[str]) -> list[str]:
    words, truths, definitions = operations(menu)
    kinds, rules = f"(W {_WORD})", f"(W {_WORD} ({' '.join([*inputs, *words])}))"
    for name, tests in truths.items():
        kinds += f" ({name} Bool)"
        rules += f"\n  ({name} Bool ({' '.join(tests)}))"
    return [*definitions, f"(synth-fun found ({head}) {_WORD} ({kinds}) ({rules}))"]


def operations(menu: Program) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """What the grammar of a menu has, with W for any word.

    Returns:
        Operations on words; tests, by the name that stands for them in these; and the functions
        that the operations use.

    Raises:
        DataError: Z3 is not installed.
    """
    words: dict[str, None] = {}
    truths: dict[str, list[str]] = {}
    definitions: dict[str, None] = {}
    for one in menu:
        if one.row.effect == "reads":
            name = condition(one.row)
            truths[f"T_{name}"] = list(dict.fromkeys(_tests(menu, name)))
            choice = "W W" if len(one.row.operands) == 2 else "#x00000001 #x00000000"
            words[f"(ite T_{name} {choice})"] = None
        elif one.row.effect != "sets":
            text, definition = _operation(one)
            words[text] = None
            definitions.update(dict.fromkeys(definition))
    words.pop("W", None)  # copies
    return list(words), truths, list(definitions)


def condition(row: Row) -> str:
    """The name of the condition that a row reads."""
    return row.mnemonic.removeprefix("cmov").removeprefix("set")


def _tests(menu: Iterable[Instruction], name: str) -> Iterable[str]:
    for one in menu:
        if one.row.effect == "sets":
            second = _shown(one.src) if one.row.immediate else "W"
            if one.row.mnemonic == "test":
                yield COMPARISONS[name].format(f"(bvand W {second})", "#x00000000")
            else:
                yield COMPARISONS[name].format("W", second)


def _operation(one: Instruction) -> tuple[str, list[str]]:
    """An instruction's result, W for each operand, and the function it takes to write it so."""
    z3, row = need("z3"), one.row
    first, second = z3.BitVec(_FIRST, 32), z3.BitVec(_SECOND, 32)
    if row.immediate:
        second = z3.BitVecVal(one.src, 32)
    term = (row.symbolic or row.compute)(first, second, None)
    text = " ".join(term.sexpr().split())
    if "ext_rotate" in text:  # Z3's own; by a constant it is known elsewhere
        text = " ".join(z3.simplify(term).sexpr().split())
    if text.count(_FIRST) < 2 and text.count(_SECOND) < 2:
        return text.replace(_FIRST, "W").replace(_SECOND, "W"), []
    used = [operand for operand in (_FIRST, _SECOND) if operand in text]
    name = f"{row.mnemonic}_{one.op}" + (f"_{one.src}" if row.immediate else "")
    head = " ".join(f"({operand} {_WORD})" for operand in used)
    application = f"({name} {' '.join('W' for _ in used)})"
    return application, [f"(define-fun {name} ({head}) {_WORD} {text})"]


def _shown(value: int) -> str:
    return f"#x{value:08x}"


def _found(text: str, end: float) -> str:
    """What cvc5 answers in one of `WAYS` until a time; "" if nothing."""
    answer = ""
    for number, way in enumerate(WAYS):
        left = (end - perf_counter()) / (len(WAYS) - number)
        answer = _answered(f"{way}\n{text}", left) if left > 0 else ""
        if answer.startswith(_SOLVED):
            break
    return answer


def _answered(text: str, seconds: float) -> str:
    """What cvc5 answers within a time; "" if it takes longer."""
    command = [sys.executable, "-m", "batonq.tasks.cpu.peers.cvc5_process"]
    try:
        done = subprocess.run(  # noqa: S603 - a module of our own, by our own interpreter
            command, input=text, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout or done.stderr.strip().splitlines()[-1]


def _equal(task: Task, definition: str, expression: Expression | None, seconds: float) -> bool:
    """Whether Z3 proves, within a time, that the function found is the expression."""
    z3 = need("z3")
    if expression is None:
        return False
    names = [f"|{one.name}|" for one in task.inputs]
    lines = [f"(declare-const {name} {_WORD})" for name in names]
    wrong = f"(assert (distinct (found {' '.join(names)}) {to_smt(expression)}))"
    solver: Any = z3.SolverFor("QF_BV", ctx=z3.Context())
    solver.set(timeout=max(1, round(1000 * seconds)))
    solver.from_string("\n".join([*lines, definition, wrong]))
    return bool(solver.check() == z3.unsat)
