"""SyGuS: problems that cvc5 reads, its answers checked, its time limited."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from types import ModuleType

import numpy as np
import pytest
from peer_tasks import hidden

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine.program import Program, parse
from batonq.tasks.cpu.machine.table import ROWS
from batonq.tasks.cpu.peers import sygus
from batonq.tasks.cpu.suite import named
from batonq.tasks.cpu.task import spread

z3 = pytest.importorskip("z3")
TESTS = np.array([[3, 1, 7, 0x80000000, 12345], [5, 1, 0xFFFFFFFF, 3, 99]], np.uint32)
SETTERS = [row for row in ROWS if row.effect == "sets" and row.form == "r32, r32"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.mnemonic.startswith("cmov")])
@pytest.mark.parametrize("setter", SETTERS)
def test_tests_mean_what_the_table_says(row: sygus.Row, setter: sygus.Row) -> None:
    a, b, d, s = z3.BitVecs("a b d s", 32)
    flags = (setter.symbolic or setter.compute)(a, b, None)
    moved = (row.symbolic or row.compute)(d, s, flags)
    first, second = ("(bvand a b)", "#x00000000") if setter.mnemonic == "test" else ("a", "b")
    holds = sygus.COMPARISONS[sygus.condition(row)].format(first, second)
    names = "".join(f"(declare-const {name} (_ BitVec 32))" for name in "abds")
    solver = z3.SolverFor("QF_BV")
    solver.from_string(f"{names}(assert (distinct (ite {holds} s d) {moved.sexpr()}))")
    assert solver.check() == z3.unsat


def test_operations_by_hand() -> None:
    menu = parse("mov eax, ecx\nmov eax, 7\nadd eax, [rdi]\nadd ecx, eax\nsub eax, 3")
    words, tests, functions = sygus.operations((*menu, *parse("cmp eax, 9\nsetb al")))
    assert words == [
        "#x00000007",
        "(bvadd W W)",
        "(bvsub W #x00000003)",
        "(ite T_b #x00000001 #x00000000)",
    ]
    assert tests == {"T_b": ["(bvult W #x00000009)"]}
    assert functions == []


def test_an_operand_that_stands_twice_is_one_operand() -> None:
    words, _, functions = sygus.operations(parse("bswap eax"))
    assert words == ["(bswap_3 W)"]
    assert functions[0].startswith("(define-fun bswap_3 ((d! (_ BitVec 32))) (_ BitVec 32) (bvor")


def test_cvc5_reads_every_row_of_the_table() -> None:
    pytest.importorskip("cvc5")
    menu: Program = ()
    for op in range(len(ROWS)):
        menu += spread(op, (0, 1), (4,), (5,), False)
    task = replace(named("p01"), menu=menu, reference=(), length=3)
    found = sygus.solve(task, seconds=20)
    assert found.proved and "define-fun found" in found.note


def test_solves_and_proves() -> None:
    pytest.importorskip("cvc5")
    found = sygus.solve(named("p01"))
    assert found.proved and found.program is None and found.executed == 0
    assert "(bvand x (bvsub x " in found.note


def test_one_expression_for_every_output() -> None:
    pytest.importorskip("cvc5")
    found = sygus.solve(named("swap"))
    assert found.proved
    assert [line.split()[-1] for line in found.note.splitlines()] == ["y)", "x)"]


def test_examples_alone_prove_nothing() -> None:
    pytest.importorskip("cvc5")
    task = hidden(parse("neg eax\nadd eax, ecx"), parse("neg eax"), TESTS, 2)
    found = sygus.solve(task)
    assert not found.proved and "bvsub #b" in found.note


def test_an_answer_that_is_wrong_is_no_proof() -> None:
    task = named("p01")
    wrong = "(define-fun found ((|x| (_ BitVec 32))) (_ BitVec 32) (bvand |x| |x|))"
    right = "(define-fun found ((x (_ BitVec 32))) (_ BitVec 32) (bvand x (bvadd x #xffffffff)))"
    expression = task.outputs[0].expression
    assert not sygus._equal(task, wrong, expression, 5)
    assert sygus._equal(task, right, expression, 5)


def test_time_is_limited() -> None:
    pytest.importorskip("cvc5")  # loaded before the clock starts, as is z3
    pytest.importorskip("z3")
    began = perf_counter()
    found = sygus.solve(named("p23"), seconds=1)
    assert perf_counter() - began < 3
    assert not found.proved and found.note == "nothing within 1 s"


def test_says_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, extra: str = "cpu") -> ModuleType:
        raise DataError(f"{module} of {extra}")

    monkeypatch.setattr(sygus, "need", missing)
    found = sygus.solve(named("p01"))
    assert not found.proved and found.note == "not available: pip install 'batonq[sygus]'"


def test_no_time_is_an_error() -> None:
    with pytest.raises(DataError, match="0 s for cvc5"):
        sygus.solve(named("p01"), seconds=0)
