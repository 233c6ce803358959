"""The interpreter: results by hand, the rule about flags, and the compiled against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.extending import intrinsic

from batonq.tasks.cpu.machine import interpreter, program
from batonq.tasks.cpu.machine.differential import by_terms, random_program, random_state
from batonq.tasks.cpu.machine.emulator import emulate
from batonq.tasks.cpu.machine.interpreter import execute, execute_plain, run
from batonq.tasks.cpu.machine.program import encode, parse
from batonq.tasks.cpu.machine.table import ROWS, Row
from batonq.tasks.cpu.machine.words import CARRY, FLAGS, OVERFLOW, SIGN, VALID, WORDS, ZERO, blank

TOP, ALL = 0x80000000, 0xFFFFFFFF


def after(text: str, **words: int) -> dict[str, int]:
    """The words after the program `text`, from those given and zeros; memory as m0 to m3."""
    state = blank(1)
    names = [*WORDS[:4], "m0", "m1", "m2", "m3", "flags"]
    for name, value in words.items():
        state[names.index(name), 0] = value
    assert run(encode(parse(text)), state)
    return dict(zip(names, state[:, 0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "before", "wanted"),
    [
        ("mov eax, ecx", {"ecx": 7}, {"eax": 7, "ecx": 7}),
        ("mov eax, -1", {}, {"eax": ALL}),
        ("movzx eax, cl", {"eax": ALL, "ecx": 0x1234}, {"eax": 0x34}),
        ("bswap eax", {"eax": 0x11223344}, {"eax": 0x44332211}),
        ("xchg eax, ebx", {"eax": 1, "ebx": 2}, {"eax": 2, "ebx": 1}),
        ("xchg eax, eax", {"eax": 1}, {"eax": 1}),
        ("add eax, ecx", {"eax": ALL, "ecx": 2}, {"eax": 1}),
        ("add eax, eax", {"eax": 0xC0000000}, {"eax": TOP}),
        ("sub eax, 1", {"eax": 0}, {"eax": ALL}),
        ("imul eax, ecx", {"eax": ALL, "ecx": ALL}, {"eax": 1}),
        ("inc eax", {"eax": ALL}, {"eax": 0}),
        ("dec eax", {"eax": 0}, {"eax": ALL}),
        ("neg eax", {"eax": 1}, {"eax": ALL}),
        ("neg eax", {"eax": TOP}, {"eax": TOP}),
        ("and eax, -2", {"eax": 7}, {"eax": 6}),
        ("or eax, ecx", {"eax": 5, "ecx": 2}, {"eax": 7}),
        ("xor eax, eax", {"eax": 5}, {"eax": 0}),
        ("not eax", {"eax": 0}, {"eax": ALL}),
        ("shl eax, 31", {"eax": 3}, {"eax": TOP}),
        ("shr eax, 31", {"eax": TOP}, {"eax": 1}),
        ("sar eax, 31", {"eax": TOP}, {"eax": ALL}),
        ("sar eax, 1", {"eax": 6}, {"eax": 3}),
        ("rol eax, 1", {"eax": 0x80000001}, {"eax": 3}),
        ("ror eax, 1", {"eax": 3}, {"eax": 0x80000001}),
        ("ror eax, 0", {"eax": 3}, {"eax": 3}),
        ("shl eax, cl", {"eax": 1, "ecx": 33}, {"eax": 2}),
        ("shr eax, cl", {"eax": 1, "ecx": 32}, {"eax": 1}),
        ("sar eax, cl", {"eax": TOP, "ecx": 0xFFFFFF04}, {"eax": 0xF8000000}),
        ("shl ecx, cl", {"ecx": 4}, {"ecx": 64}),
        ("mov eax, [rdi+12]", {"m3": 9}, {"eax": 9}),
        ("mov [rdi+4], edx", {"edx": 8}, {"m1": 8}),
        ("xor eax, [rdi]", {"eax": 6, "m0": 3}, {"eax": 5}),
    ],
)
def test_results_by_hand(text: str, before: dict[str, int], wanted: dict[str, int]) -> None:
    assert after(text, **before) == dict.fromkeys(after(""), 0) | before | wanted


@pytest.mark.parametrize(
    ("text", "eax", "ecx", "wanted"),
    [
        ("cmp eax, ecx", 1, 1, ZERO),
        ("cmp eax, ecx", 0, 1, CARRY | SIGN),
        ("cmp eax, ecx", TOP, 1, OVERFLOW),
        ("cmp eax, ecx", 0x7FFFFFFF, ALL, CARRY | SIGN | OVERFLOW),
        ("cmp eax, ecx", ALL, 1, SIGN),
        ("cmp eax, -1", 5, 0, CARRY),
        ("test eax, ecx", TOP, ALL, SIGN),
        ("test eax, ecx", 1, 2, ZERO),
        ("test eax, eax", 1, 0, 0),
    ],
)
def test_flags_by_hand(text: str, eax: int, ecx: int, wanted: int) -> None:
    found = after(text, eax=eax, ecx=ecx)
    assert found["flags"] == VALID | wanted
    assert (found["eax"], found["ecx"]) == (eax, ecx)


HOLDS = {
    "e": lambda a, b, sa, sb: a == b,
    "ne": lambda a, b, sa, sb: a != b,
    "l": lambda a, b, sa, sb: sa < sb,
    "le": lambda a, b, sa, sb: sa <= sb,
    "g": lambda a, b, sa, sb: sa > sb,
    "ge": lambda a, b, sa, sb: sa >= sb,
    "b": lambda a, b, sa, sb: a < b,
    "be": lambda a, b, sa, sb: a <= b,
    "a": lambda a, b, sa, sb: a > b,
    "ae": lambda a, b, sa, sb: a >= b,
    "s": lambda a, b, sa, sb: (a - b) >> 31 & 1 == 1,
    "ns": lambda a, b, sa, sb: (a - b) >> 31 & 1 == 0,
}


@pytest.mark.parametrize("condition", HOLDS)
def test_conditions_after_a_comparison_mean_what_they_say(condition: str) -> None:
    corners = [0, 1, 2, 0x7FFFFFFF, TOP, TOP + 1, ALL - 1, ALL]
    text = f"cmp eax, ecx\nset{condition} dl\ncmov{condition} ebx, eax"
    for a in corners:
        for b in corners:
            signed = [value - 2**32 * (value >> 31) for value in (a, b)]
            found = after(text, eax=a, ecx=b, edx=0xABCDEFFF, ebx=77)
            holds = bool(HOLDS[condition](a, b, *signed))
            assert found["edx"] == 0xABCDEF00 | holds
            assert found["ebx"] == (a if holds else 77)


@pytest.mark.parametrize("row", [row for row in ROWS if row.effect != "sets"], ids=lambda r: r.code)
def test_what_a_row_does_to_flags(row: Row) -> None:
    state = blank(3)
    state[FLAGS] = VALID | SIGN
    first = 5 if row.operands[0] == "m32" else 0
    second = 4 if row.operands[-1] == "m32" else 1
    assert execute(ROWS.index(row), first, second, state)
    kept = row.agent == "MOV" or row.effect == "reads" or row.mnemonic == "mov"
    np.testing.assert_array_equal(state[FLAGS], (VALID | SIGN) * kept)
    invalid = random_state(np.random.default_rng(1), 3)
    before = invalid.copy()
    assert execute(ROWS.index(row), first, second, invalid) == (row.effect != "reads")
    if row.effect == "reads":
        np.testing.assert_array_equal(invalid, before)


def test_a_program_stops_at_the_first_instruction_that_is_not_legal() -> None:
    state = blank(2)
    steps = encode(parse("cmp eax, 0\nsete cl\nadd edx, 5\nsete bl\nadd edx, 5"))
    assert not run(steps, state)
    np.testing.assert_array_equal(state[:4], [[0, 0], [1, 1], [5, 5], [0, 0]])


@pytest.mark.parametrize("n_vectors", [1, 3, 8, 24, 41])
def test_compiled_is_what_numpy_makes_of_the_same_table(n_vectors: int) -> None:
    rng = np.random.default_rng(n_vectors)
    ran = set()
    for _ in range(100):
        steps = encode(random_program(rng, 20))
        ours = random_state(rng, n_vectors)
        theirs = ours.copy()
        assert run(steps, ours)
        assert all(execute_plain(*(int(part) for part in step), theirs) for step in steps)
        np.testing.assert_array_equal(ours, theirs)
        ran |= set(steps[:, 0].tolist())
    assert ran == set(range(len(ROWS)))


def _population(_d: object, s: int, _f: object) -> int:
    pairs = s - (s >> 1 & 0x55555555)
    fours = (pairs & 0x33333333) + (pairs >> 2 & 0x33333333)
    return ((fours + (fours >> 4) & 0x0F0F0F0F) * 0x01010101 & 0xFFFFFFFF) >> 24 & 0xFF


@pytest.mark.compiled
def test_an_instruction_is_added_by_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """`popcnt` at the front of a copy of the table: text, bytes, all three judges."""
    row = Row("popcnt", "ARITH", "r32, r32", "POPCNT_R32_RM32", _population, duration=3)
    monkeypatch.setattr(program, "ROWS", (row, *ROWS))
    monkeypatch.setattr(interpreter, "ROWS", (row,))  # alone: compiles in no time
    switched = intrinsic(interpreter._typed)

    @njit
    def anew(op: int, dst: int, src: int, state: np.ndarray) -> bool:
        return switched(op, dst, src, state)

    ours = random_state(np.random.default_rng(3), 24)
    start = ours.copy()
    (instruction,) = parse("popcnt edx, ebx")
    assert anew(instruction.op, instruction.dst, instruction.src, ours)
    np.testing.assert_array_equal(ours[2], [int(value).bit_count() for value in start[3]])
    np.testing.assert_array_equal(ours, emulate((instruction,), start))
    np.testing.assert_array_equal(ours, by_terms((instruction,), start))
