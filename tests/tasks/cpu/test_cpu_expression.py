"""Expressions: values by hand, the readings against each other, and what text may not be."""

from __future__ import annotations

import cvc5
import numpy as np
import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.tasks.cpu import tracing
from batonq.tasks.cpu.expression import (
    DEEPEST,
    FUNCTIONS,
    OPERATIONS,
    Constant,
    Expression,
    Name,
    apply,
    constant,
    constants,
    evaluate,
    names,
    to_smt,
    to_text,
    to_z3,
)
from batonq.tasks.cpu.parsing import LONGEST, parse
from batonq.tasks.cpu.tracing import Word, rol, smax, smin, traced, umin, where

ALL = 0xFFFFFFFF
TOP = 0x80000000
WORD = st.one_of(st.integers(0, ALL), st.integers(0, 40), st.sampled_from([TOP - 1, TOP, ALL]))
LEAF = st.one_of(WORD.map(Constant), st.sampled_from([Name("x"), Name("y")]))
ARITY = {"not": 1, "neg": 1, "where": 3}


def _made(operands: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def one(operation: str) -> st.SearchStrategy[Expression]:
        count = operands
        if operation in ("shl", "shr", "sar"):
            count = st.one_of(st.integers(0, 31).map(Constant), st.just(Name("y")))
            return st.tuples(operands, count).map(lambda parts: apply(operation, *parts))
        parts = [operands] * ARITY.get(operation, 2)
        return st.tuples(*parts).map(lambda parts: apply(operation, *parts))

    return st.sampled_from(sorted(OPERATIONS)).flatmap(one)


EXPRESSION = st.recursive(LEAF, _made, max_leaves=12)


def value(text: str, **given_: int) -> int:
    """The value of an expression for one vector of inputs (at least one)."""
    inputs = {name: np.array([number], np.uint32) for name, number in given_.items()}
    return int(evaluate(parse(text, list(given_)), inputs)[0])


@pytest.mark.parametrize(
    ("text", "x", "y", "wanted"),
    [
        ("x + y", ALL, 2, 1),
        ("x - y", 0, 1, ALL),
        ("x * y", 0x10000, 0x10001, 0x10000),
        ("x & y | 1", 6, 12, 5),
        ("x ^ ~y", 5, 0, ALL - 5),
        ("-x", 1, 0, ALL),
        ("x << 31", 3, 0, TOP),
        ("x >> y", TOP, 31, 1),
        ("x >> y", TOP, 32, TOP),  # counts are taken modulo 32
        ("sar(x, 31)", TOP, 0, ALL),
        ("sar(x, y)", TOP, 33, 0xC0000000),
        ("rol(x, 4)", 0xF0000001, 0, 0x1F),
        ("rol(x, y)", 0xF0000001, 32, 0xF0000001),
        ("ror(x, 4)", 0x1F, 0, 0xF0000001),
        ("ror(x, y)", 1, 1, TOP),
        ("x < y", 1, ALL, 1),
        ("slt(x, y)", 1, ALL, 0),
        ("ult(x, y)", 1, 1, 0),
        ("x <= y", 1, 1, 1),
        ("ule(x, y)", ALL, 1, 0),
        ("sle(x, y)", ALL, 1, 1),
        ("sle(x, y)", 1, ALL, 0),
        ("x > y", ALL, 1, 1),
        ("x >= y", 0, 1, 0),
        ("x == y", 7, 7, 1),
        ("x != y", 7, 7, 0),
        ("eq(x, y) + ne(x, y)", 3, 4, 1),
        ("smin(x, y)", ALL, 1, ALL),
        ("smax(x, y)", ALL, 1, 1),
        ("umin(x, y)", ALL, 1, 1),
        ("umax(x, y)", ALL, 1, ALL),
        ("where(x, y, 9)", 0, 5, 9),
        ("y if x else 9", TOP, 5, 5),
        ("x + 0x10 * 0b11", 1, 0, 49),
        ("x +\n y", 1, 2, 3),
    ],
)
def test_values_by_hand(text: str, x: int, y: int, wanted: int) -> None:
    assert value(text, x=x, y=y) == wanted


def test_every_function_is_among_the_values_by_hand() -> None:
    cases = "".join(case[0] for case in test_values_by_hand.pytestmark[0].args[1])
    assert all(f"{name}(" in cases for name in FUNCTIONS)


@settings(max_examples=60, deadline=None)
@given(EXPRESSION, WORD, WORD)
def test_numpy_z3_and_smt_text_agree(expression: Expression, x: int, y: int) -> None:
    found = evaluate(expression, {"x": np.array([x], np.uint32), "y": np.array([y], np.uint32)})
    assert found.dtype == np.uint32
    words = {"x": z3.BitVecVal(x, 32), "y": z3.BitVecVal(y, 32)}
    assert z3.simplify(to_z3(expression, words)).as_long() == found[0]
    defined = "".join(
        f"(define-fun {name} () (_ BitVec 32) #x{v:08x})" for name, v in (("x", x), ("y", y))
    )
    read = z3.parse_smt2_string(f"{defined}(assert (= {to_smt(expression)} #x{found[0]:08x}))")
    assert z3.is_true(z3.simplify(read[0]))


@settings(max_examples=60, deadline=None)
@given(EXPRESSION)
def test_text_reads_back(expression: Expression) -> None:
    assert parse(to_text(expression), ["x", "y"]) == expression


def test_cvc5_takes_the_smt_text() -> None:
    text = to_smt(parse("smax(x, rol(x, 5)) if x < 9 else sar(-x, x)", ["x"]))
    solver = cvc5.Solver()
    parser = cvc5.InputParser(solver)
    parser.setStringInput(
        cvc5.InputLanguage.SMT_LIB_2_6,
        f"(set-logic QF_BV)(declare-const x (_ BitVec 32))(assert (= x #x00000001))"
        f"(assert (= {text} #x00000020))(check-sat)",
        "text",
    )
    answers = []
    while not (command := parser.nextCommand()).isNull():
        answers.append(command.invoke(solver, parser.getSymbolManager()))
    assert "".join(answers).strip() == "sat"


def test_shared_parts_are_read_once() -> None:
    x = Name("x")
    doubled: Expression = x
    for _ in range(13):  # 2^14 parts, of which 14 are different
        doubled = apply("add", doubled, doubled)
    assert evaluate(doubled, {"x": np.array([3], np.uint32)})[0] == 3 << 13
    assert names(doubled) == {"x"}
    with pytest.raises(DataError, match=r"has 32767 parts.*at most 20000"):
        apply("add", doubled, doubled)


def test_names_and_constants() -> None:
    expression = parse("x + 3 if y < 5 else 3", ["x", "y", "z"])
    assert names(expression) == {"x", "y"}
    assert constants(expression) == {3, 5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x +* 3", "column 4: invalid syntax"),
        ("", "invalid syntax"),
        ("x + z", r"column 5: unknown name 'z'; the inputs are x, y"),
        ("x // 2", "column 1: not allowed here; use"),
        ("x ** 2", "not allowed here"),
        ("__import__('os')", "column 1: not allowed here"),
        ("x.real", "not allowed here"),
        ("[x]", "not allowed here"),
        ("lambda: x", "not allowed here"),
        ("(x := 1)", "not allowed here"),
        ("x and y", "not allowed here"),
        ("x < y < 3", "not allowed here"),
        ("True", "not allowed here"),
        ("1.5", "not allowed here"),
        ("smin(x)", "smin takes 2 operands, not 1"),
        ("smin(x, y=1)", "not allowed here"),
        ("smin(*x)", "smin takes 2 operands, not 1"),
        ("x + (y << 32)", r"column 6: shift by 32; .*0 \.\. 31"),
        ("rol(x, 32)", "rotation by 32"),
        ("x + 4294967296", "column 5: the constant 4294967296 does not fit"),
        ("x + " * 3000 + "x", "characters; at most 10000"),
        ("~" * DEEPEST + "x", "deep"),
        ("~" * 3000 + "x", "less nesting"),
        ("-" * (LONGEST - 1) + "x", "less nesting"),
        ("(" * 300 + "x" + ")" * 300, "nested"),
    ],
)
def test_other_text_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(text, ["x", "y"])


def test_constants_of_32_bits_are_taken_by_their_twos_complement() -> None:
    assert constant(-1) == Constant(ALL)
    assert constant(-(2**31)) == Constant(TOP)
    for outside in (-(2**31) - 1, 2**32):
        with pytest.raises(DataError, match="does not fit in 32 bits"):
            constant(outside)


def test_a_function_of_words_gives_the_same_tree_as_text() -> None:
    def clamped(x: Word, low: Word, high: Word) -> Word:
        return smin(smax(x, low), high)

    assert traced(clamped) == (
        ("x", "low", "high"),
        (parse("smin(smax(x, low), high)", ["x", "low", "high"]),),
    )


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: 3 - x, "3 - x"),
        (lambda x: x - 3, "x - 3"),
        (lambda x: 1 << x, "1 << x"),
        (lambda x: x >> 1, "x >> 1"),
        (lambda x: x + 1 & ~x, "x + 1 & ~x"),
        (lambda x: 2 * x | 1 ^ -x, "2 * x | 1 ^ -x"),
        (lambda x: x > 3, "x > 3"),
        (lambda x: x < 3, "x < 3"),
        (lambda x: x >= 3, "x >= 3"),
        (lambda x: x <= 3, "x <= 3"),
        (lambda x: x == 3, "x == 3"),
        (lambda x: x != 3, "x != 3"),
        (lambda x: where(x < 3, rol(x, 2), umin(x, 9)), "rol(x, 2) if x < 3 else umin(x, 9)"),
        (
            lambda x: sum((x >> bit) & 1 for bit in range(3)),
            "0 + ((x >> 0) & 1) + ((x >> 1) & 1) + ((x >> 2) & 1)",
        ),
    ],
)
def test_operators_of_words(function: object, text: str) -> None:
    assert traced(function) == (("x",), (parse(text, ["x"]),))


def test_a_function_may_return_several_words_and_constants() -> None:
    _, results = traced(lambda x, y: (y, x, 7))
    assert results == (Name("y"), Name("x"), Constant(7))


def _branching(x: Word) -> Word:
    if x < 3:
        return x
    return -x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_branching, r"_branching: a symbolic word has no truth value .* use where\("),
        (lambda x: x and 1, r"use where\("),
        (lambda x: min(x, 3), r"smin or umax"),
        (lambda x: list(range(x)), "no number Python could count with"),
        (lambda x: x // 2, "TypeError: unsupported operand"),
        (lambda x: x + "a", "a str among words"),
        (lambda x: x + 1.5, "a float among words"),
        (lambda x: x << 32, "shift by 32"),
        (lambda x: x + 2**32, "does not fit"),
        (lambda x: None, "a NoneType among words"),
        (lambda x: (), "returns nothing"),
        (lambda: 1, "at least one"),
        (lambda *x: 1, "one each"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_other_functions_are_refused(function: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        traced(function)


def test_every_function_of_text_is_one_of_words() -> None:
    assert all(callable(getattr(tracing, name)) for name in FUNCTIONS)
