"""Features: relations by hand, and the compiled look against every program of two steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.tasks.cpu.heldout import features
from batonq.tasks.cpu.heldout.features import (
    ARITHMETIC,
    BINARY,
    CLASS_OF_BINARY,
    CLASS_OF_UNARY,
    LOGIC,
    N_CLASSES,
    SELECTION,
    SHIFT,
    UNARY,
    look,
    n_features,
)
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import parse
from batonq.tasks.cpu.machine.words import N_REGISTERS, blank

ONES = 0xFFFFFFFF
PLAIN = {
    "neg": lambda a: -a,
    "inc": lambda a: a + 1,
    "dec": lambda a: a - 1,
    "not": lambda a: ~a,
    "shr 1": lambda a: a >> 1,
    "shr 31": lambda a: a >> 31,
    "sar 31": lambda a: -(a >> 31),
}
PLAIN_TWO = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "smin": lambda a, b: min(a, b, key=signed),
    "smax": lambda a, b: max(a, b, key=signed),
    "umin": min,
    "umax": max,
}


def signed(a):
    return a - 2**32 if a >> 31 else a


def state_of(eax, ecx, edx):
    state = blank(len(eax))
    state[0], state[1], state[2] = eax, ecx, edx
    return state


def seen(state, wanted, view=None, far=True):
    row = np.zeros((1, n_features(far) + 3))
    target = np.array([[wanted]], np.uint32)
    look(state, target, 0, view or state.shape[1], far, row, 0)
    assert np.linalg.norm(row) == pytest.approx(1.0)
    assert not row[0, n_features(far) :].any()
    return row[0] / row[0, features._CONSTANT]


def one_step(found):
    return {
        (kind, elsewhere)
        for kind in range(N_CLASSES)
        for elsewhere in (0, 1)
        if found[features._ONE + elsewhere * N_CLASSES + kind] == 1
    }


def test_registers_are_compared_word_by_word_and_bit_by_bit():
    state = state_of([1, 2, 3, 4], [7, 7, 7, 7], [0, 0, 0, 0])
    found = seen(state, [1, 2, 3, 5])
    np.testing.assert_allclose(found[:3], 0)
    np.testing.assert_allclose(found[3:6], [3 / 4, 0, 0])
    assert found[6] == pytest.approx(1 - 1 / 128)
    assert found[8] == pytest.approx(1 - (1 + 1 + 2 + 2) / 128)
    assert found[features._CONTENTS : features._CONTENTS + 6].tolist() == [0, 0, 1, 0, 0, 0]


def test_only_visible_vectors_count():
    state = state_of([1, 2, 3], [4, 4, 4], [5, 5, 5])
    assert seen(state, [1, 9, 9], view=1)[0] == 1
    assert seen(state, [1, 9, 9], view=2)[0] == 0


@pytest.mark.parametrize(
    ("wanted", "kind", "elsewhere"),
    [
        (lambda a, c, d: a + 1, ARITHMETIC, 0),
        (lambda a, c, d: a - d, ARITHMETIC, 0),
        (lambda a, c, d: d - a, ARITHMETIC, 1),
        (lambda a, c, d: a ^ c, LOGIC, 0),
        (lambda a, c, d: ~c, LOGIC, 1),
        (lambda a, c, d: a >> np.uint32(31), SHIFT, 0),
        (lambda a, c, d: np.maximum(c, d), SELECTION, 1),
    ],
)
def test_one_step_names_the_class_and_the_place(wanted, kind, elsewhere):
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**32, (3, 16), dtype=np.uint32)
    assert (kind, elsewhere) in one_step(seen(state_of(*words), wanted(*words)))


def test_flags_show_what_a_conditional_move_would_give():
    state = state_of([5, 1, 2**32 - 3], [2, 9, 4], [0, 0, 0])
    wanted = [5, 9, 4]  # the signed maximum
    assert seen(state, wanted)[features._FLAGS] == 0
    (compare,) = parse("cmp eax, ecx")
    execute(compare.op, compare.dst, compare.src, state)
    assert seen(state, wanted)[features._FLAGS : features._FLAGS + 3].tolist() == [1, 1, 1]
    unsigned = seen(state, [5, 9, 2**32 - 3])
    assert unsigned[features._FLAGS + 1] == 1
    other = seen(state, [5, 1, 4])
    assert other[features._FLAGS : features._FLAGS + 3].tolist() == [1, 0, 0]


def plain_steps(column):
    """(value, class, first register, whether of one register) of all single steps."""
    for name, kind in zip(UNARY, CLASS_OF_UNARY, strict=True):
        for a in range(3):
            yield PLAIN[name](column[a]) & ONES, kind, a, True
    for name, kind in zip(BINARY, CLASS_OF_BINARY, strict=True):
        for a in range(3):
            for b in range(3):
                if a != b or name == "add":
                    yield PLAIN_TWO[name](column[a], column[b]) & ONES, kind, a, False


def plain_features(columns, wanted):
    """The exact relations of one and two steps that hold on all vectors, by Python's integers."""
    every = []
    for column, target in zip(columns, wanted, strict=True):
        holds = set()
        for n, (value, kind, a, single) in enumerate(plain_steps(column)):
            if value == target:
                holds.add((n, features._ONE + kind + (N_CLASSES if a else 0)))
            for name, outer in zip(UNARY, CLASS_OF_UNARY, strict=True):
                if PLAIN[name](value) & ONES == target:
                    place = features._TURNED + outer * N_CLASSES + kind
                    holds.add((n, name, place))
            for name, outer in zip(BINARY, CLASS_OF_BINARY, strict=True):
                for c in range(3):
                    place = features._PAIRED + 2 * (outer * N_CLASSES + kind)
                    place += single and a == c
                    if PLAIN_TWO[name](value, column[c]) & ONES == target:
                        holds.add((n, name, c, 0, place))
                    if PLAIN_TWO[name](column[c], value) & ONES == target:
                        holds.add((n, name, c, 1, place))
        every.append(holds)
    return {one[-1] for one in set.intersection(*every)}


small = st.integers(0, 3) | st.sampled_from([2**31, ONES, ONES - 1]) | st.integers(0, ONES)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(small, small, small), min_size=1, max_size=3), st.data())
def test_look_agrees_with_all_programs_of_two_steps(columns, data):
    wanted = [
        data.draw(st.sampled_from(sorted({step[0] for step in plain_steps(column)})) | small)
        for column in columns
    ]
    found = seen(state_of(*np.array(columns, np.uint32).T), wanted)
    steps = [*range(features._ONE, features._FLAGS), *range(features._PAIRED, features.FAR)]
    assert {k for k in steps if found[k] == 1} == plain_features(columns, wanted)


def test_registers_looked_at_are_registers():
    assert features.LOOKED_AT <= N_REGISTERS
