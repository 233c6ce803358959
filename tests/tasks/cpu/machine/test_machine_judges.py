"""The judges: Unicorn, Z3, and both against the interpreter on random programs."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import z3

from batonq.base.errors import DataError
from batonq.tasks.cpu.machine import emulator, program, symbolic
from batonq.tasks.cpu.machine.differential import differential, random_program, random_state
from batonq.tasks.cpu.machine.emulator import emulate, trace
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import encode, legal, parse
from batonq.tasks.cpu.machine.table import ROWS
from batonq.tasks.cpu.machine.words import CARRY, FLAGS, OVERFLOW, VALID, blank


def test_all_three_agree_on_random_programs() -> None:
    found = differential(1000, seed=20, length=8, vectors=8)
    assert (found.programs, found.emulator, found.prover) == (1000, 0, 0), found.first


def test_they_agree_on_long_programs_too() -> None:
    found = differential(20, seed=21, length=60, vectors=3)
    assert (found.emulator, found.prover) == (0, 0), found.first


def test_a_wrong_encoding_and_a_wrong_term_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels keep the right table: what is told apart is one judge at a time."""
    place = next(k for k, row in enumerate(ROWS) if row.code == "SHR_RM32_CL")
    rows = list(ROWS)
    rows[place] = dataclasses.replace(ROWS[place], code="SAR_RM32_CL")
    monkeypatch.setattr(program, "ROWS", tuple(rows))
    found = differential(100, seed=3)
    assert found.emulator > 0
    assert found.prover == 0
    assert "shr" in found.first
    rows[place] = dataclasses.replace(ROWS[place], symbolic=ROWS[place].compute)
    monkeypatch.setattr(program, "ROWS", tuple(rows))
    found = differential(100, seed=3)
    assert found.emulator == 0
    assert found.prover > 0


def test_random_programs_are_legal_and_use_every_row() -> None:
    rng = np.random.default_rng(2)
    programs = [random_program(rng, 10) for _ in range(200)]
    assert all(map(legal, programs))
    used = {instruction.op for drawn in programs for instruction in drawn}
    assert used == set(range(len(ROWS)))


def test_flags_go_in_and_come_out_of_the_emulator() -> None:
    start = blank(2)
    start[FLAGS] = VALID | CARRY, VALID | OVERFLOW
    steps = parse("setb al\nsetl cl")
    found = emulate(steps, start)
    np.testing.assert_array_equal(found[:2], [[1, 0], [0, 1]])
    np.testing.assert_array_equal(found[FLAGS], start[FLAGS])
    np.testing.assert_array_equal(emulate((), start), start)


def test_a_trace_shows_every_step_as_the_interpreter_has_it() -> None:
    steps = parse("mov ecx, eax\nadd ecx, 31\ncmp ecx, eax\nsetg dl\nmov [rdi+4], edx")
    start = random_state(np.random.default_rng(6), 1)
    found = trace(steps, start[:, 0])
    assert [step.text for step in found] == [
        *("mov ecx, eax", "add ecx, 0x1f", "cmp ecx, eax", "setg dl", "mov [rdi+4], edx")
    ]
    assert found[0].code == bytes.fromhex("89c1")
    assert [step.address - found[0].address for step in found] == [0, 2, 8, 10, 13]
    for number, step in enumerate(found, start=1):
        state = start.copy()
        assert run(encode(steps[:number]), state)
        np.testing.assert_array_equal(step.words, state[:, 0])


def test_code_may_not_be_written_and_data_not_be_run() -> None:
    machine = emulator._new()
    regions = {begin: rights for begin, _, rights in machine.unicorn.mem_regions()}
    assert regions == {emulator.CODE_ADDRESS: 1 | 4, emulator.DATA_ADDRESS: 1 | 2}


def test_a_loop_is_stopped() -> None:
    machine = emulator._loaded(bytes.fromhex("ebfe90"))  # jumps to itself
    begin = emulator.CODE_ADDRESS
    with pytest.raises(DataError, match=r"the emulator stopped at 0x100000.*over 1000 inst"):
        machine.go(begin, begin + 3, 1000)


def test_a_program_that_is_too_long_is_refused() -> None:
    with pytest.raises(DataError, match="at most 65536"):
        emulate(parse("mov eax, 1") * 13_200, blank(1))


def test_minimum_is_proved_and_its_wrong_form_refuted() -> None:
    words = symbolic.unknowns()
    least = z3.If(words[0] < words[1], words[0], words[1])
    for text, verdict in (("cmovl ecx, eax", z3.unsat), ("cmovb ecx, eax", z3.sat)):
        found = symbolic.run(parse(f"cmp eax, ecx\n{text}"), words)
        solver = z3.Solver()
        solver.add(found[1] != least)
        assert solver.check() == verdict


def test_what_has_no_terms_is_refused() -> None:
    words = symbolic.unknowns()
    with pytest.raises(DataError, match="8 words given; a state has 9"):
        symbolic.run((), words[:FLAGS])
    with pytest.raises(DataError, match="reads flags that are not valid"):
        symbolic.run(parse("sete al"), words)
    assert len(symbolic.run(parse("sete al"), words, valid=True)) == 9


@pytest.mark.parametrize(
    ("module", "named"), [("unicorn", "unicorn"), ("iced_x86", "iced-x86"), ("z3", "z3-solver")]
)
def test_a_package_that_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, module: str, named: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delattr(emulator._kept, "machine", raising=False)
    with pytest.raises(DataError, match=rf"needs {named},.* pip install 'batonq\[cpu\]'"):
        differential(1, seed=0)
