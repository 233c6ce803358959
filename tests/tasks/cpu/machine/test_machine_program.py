"""Programs as text and as numbers, and the table that they index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine.differential import random_program
from batonq.tasks.cpu.machine.encoding import disassembled, machine_code
from batonq.tasks.cpu.machine.program import (
    KINDS,
    Instruction,
    decode,
    encode,
    legal,
    listing,
    parse,
    validity,
)
from batonq.tasks.cpu.machine.table import AGENTS, EFFECTS, ROWS


def test_rows_are_told_apart_by_mnemonic_and_form_and_are_well_formed() -> None:
    assert len({(row.mnemonic, row.form) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.agent in AGENTS
        assert row.effect in EFFECTS
        assert row.duration >= 1
        assert set(row.operands) <= set(KINDS)
    assert {row.agent for row in ROWS} == set(AGENTS)


@pytest.mark.parametrize(
    ("mnemonic", "form", "duration"),
    [
        ("add", "r32, r32", 1),
        ("imul", "r32, r32", 3),
        ("mov", "r32, m32", 4),
        ("add", "r32, m32", 5),
    ],
)
def test_durations(mnemonic: str, form: str, duration: int) -> None:
    (row,) = [row for row in ROWS if (row.mnemonic, row.form) == (mnemonic, form)]
    assert row.duration == duration


@given(st.integers(0, 2**32 - 1))
def test_what_is_printed_is_read_back_as_it_was(seed: int) -> None:
    program = random_program(np.random.default_rng(seed), 12)
    assert parse(listing(program)) == program
    assert decode(encode(program)) == program


def test_iced_reads_the_bytes_of_every_row_as_the_same_instruction() -> None:
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(100):
        program = random_program(rng, 20)
        seen |= {instruction.op for instruction in program}
        code = b"".join(machine_code(program))
        assert parse("\n".join(disassembled(code))) == program
    assert seen == set(range(len(ROWS)))


def test_spellings() -> None:
    text = """
        MOV  EAX, [rdi + 0x8]   ; a load
        add eax , -1
        and\teax,\t0xFFFFFFFF
        add ecx, 010
        mov ecx, [rdi+08]

        mov DWORD PTR [rdi+4], ecx
        sar edx, cl
        setge bl
    """
    assert listing(parse(text)).splitlines() == [
        "mov eax, [rdi+8]",
        "add eax, -1",
        "and eax, -1",
        "add ecx, 10",
        "mov ecx, [rdi+8]",
        "mov [rdi+4], ecx",
        "sar edx, cl",
        "setge bl",
    ]


def test_numbers_of_a_program_by_hand() -> None:
    program = parse("mov ecx, eax\nadd edx, -2\nmov ebx, [rdi+4]\nshl eax, cl\nnot edx")
    np.testing.assert_array_equal(
        encode(program)[:, 1:], [[1, 0], [2, 2**32 - 2], [3, 5], [0, 1], [2, 0]]
    )
    assert [instruction.agent for instruction in program] == [
        *("MOV", "ARITH", "MEM", "SHIFT", "LOGIC")
    ]
    assert [instruction.duration for instruction in program] == [1, 1, 4, 1, 1]
    assert encode(()).shape == (0, 3)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mov eax, ecx\nfoo eax", r"line 2: unknown mnemonic 'foo'; known are .*add.*xor"),
        ("mov eax, r8d", r"line 1: unknown operand 'r8d'; mov takes .*eax, ecx, edx, ebx"),
        ("mov eax, [rdi+16]", r"unknown operand '\[rdi\+16\]'.*\[rdi\+12\]"),
        ("mov eax, [rdi+2]", "unknown operand"),
        ("add eax, 0x100000000", "unknown operand '0x100000000'"),
        ("add eax, -2147483649", "unknown operand"),
        ("shl eax, 32", "unknown operand '32'.* 0 to 31"),
        ("shl eax, dl", "unknown operand 'dl'.*cl"),
        ("not eax, ecx", "operands of 'not eax, ecx' do not fit; not takes r32 "),
        ("mov [rdi], [rdi+4]", "do not fit"),
        ("add eax", "do not fit"),
        ("add eax, " + "9" * 5000, "unknown operand '9999"),
        ("mov eax, ٣", "unknown operand"),
        ("add eax,", "unknown operand ''"),
        ("add", "do not fit"),
    ],
)
def test_what_is_unknown_is_named(text: str, named: str) -> None:
    with pytest.raises(DataError, match=named):
        parse(text)


def test_flags_are_valid_from_a_comparison_to_the_next_arithmetic() -> None:
    program = parse("cmp eax, ecx\nmov edx, eax\ncmovl edx, ecx\nadd edx, 1\nmov [rdi], edx")
    assert validity(program) == (False, True, True, True, False, False)
    assert legal(program)
    assert not legal(program[1:])
    assert legal(program[1:], valid=True)
    assert not legal((*program, Instruction(program[2].op, 0, 1)))
    assert legal(())
