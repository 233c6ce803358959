"""Tasks by hand, from files and from functions; what bad ones are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.cpu.files import from_function, from_table, read
from batonq.tasks.cpu.machine.program import listing, parse
from batonq.tasks.cpu.machine.words import FLAGS
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.suite import named
from batonq.tasks.cpu.task import Example, Input, Output, Task, exact, of_agents, widened
from batonq.tasks.cpu.tracing import Word, where
from batonq.tasks.cpu.vectors import vectors

EXAMPLE = Path(__file__).parents[3] / "examples" / "average.toml"
TABLE = {
    "name": "own",
    "inputs": {"x": "eax", "m": "[rdi+4]"},
    "outputs": {"ecx": "x + m", "[rdi + 4]": "x"},
    "reference": "mov ecx, eax\nadd ecx, [rdi+4]\nmov [rdi+4], eax",
}
BY_EXAMPLES = {
    "name": "double",
    "inputs": {"x": "eax"},
    "outputs": ["eax"],
    "examples": [
        {"inputs": {"x": 3}, "outputs": {"eax": 6}},
        {"inputs": {"x": -1}, "outputs": {"eax": -2}},
    ],
    "instructions": ["shl"],
    "registers": ["eax"],
    "values": [1, 2],
    "length": 2,
}


def test_start_and_wanted_by_hand() -> None:
    task = from_table(TABLE, "table")
    given = np.array([[7, 8], [1, 2**32 - 1]], np.uint32)
    state = task.start(given)
    assert state.shape == (9, 2)
    assert state.flags.c_contiguous
    assert state[0].tolist() == [7, 8]
    assert state[5].tolist() == [1, 2**32 - 1]
    assert not state[[1, 2, 3, 4, 6, 7, 8]].any()
    assert task.wanted(given).tolist() == [[8, 7], [7, 8]]
    assert task.wanted(given).dtype == np.uint32
    assert (task.length, task.agents) == (3, ("MOV", "MEM"))


def test_the_example_file() -> None:
    task = read(EXAMPLE)
    assert (task.name, task.length, len(task.menu)) == ("average", 5, 5 + 2 * 6)
    assert "shr eax, 1" in listing(task.menu)
    assert prove(named("p14").reference, task).proved
    assert task.outputs == named("p14").outputs


def test_bare_mnemonics_stand_for_their_forms() -> None:
    table = {
        **TABLE,
        "instructions": ["test", "mov", "shr", "add ecx, eax", "sete al"],
        "registers": ["eax", "ecx"],
        "values": [3, 40],
        "reference": "",
        "length": 3,
    }
    assert listing(from_table(table, "table").menu).splitlines() == [
        "test eax, eax", "test eax, ecx", "test ecx, eax", "test ecx, ecx",
        "mov eax, ecx", "mov ecx, eax", "mov eax, 3", "mov eax, 40", "mov ecx, 3", "mov ecx, 40",
        "mov eax, [rdi+4]", "mov ecx, [rdi+4]", "mov [rdi+4], eax", "mov [rdi+4], ecx",
        "shr eax, 3", "shr ecx, 3", "shr eax, cl", "shr ecx, cl",
        "add ecx, eax", "sete al",
    ]  # fmt: skip


def test_a_task_by_examples() -> None:
    task = from_table(BY_EXAMPLES, "table")
    assert not task.specified
    given = vectors(task, 24, np.random.default_rng(0))
    assert given.tolist() == [[3, 2**32 - 1]]
    assert task.wanted(given).tolist() == [[6, 2**32 - 2]]
    assert prove(parse("shl eax, 1"), task).outcome == "unknown"
    with pytest.raises(DataError, match=r"double: nothing says what is wanted for x = 4"):
        task.wanted(np.array([[4]], np.uint32))


def test_a_task_of_a_function() -> None:
    def larger(x: Word, y: Word) -> Word:
        return where(x < y, y, x)

    task = from_function(larger, instructions=["cmp", "cmovb"], registers=["eax", "ecx"], length=2)
    assert task.name == "larger"
    assert [one.word for one in task.inputs] == [0, 1]
    assert prove(named("umax").reference, task).proved
    moved = from_function(
        lambda x, y: (y, x),
        inputs={"y": "[rdi]", "x": "ebx"},
        outputs=["ebx", "[rdi]"],
        name="moved",
        reference="mov ecx, [rdi]\nmov [rdi], ebx\nmov ebx, ecx",
    )
    assert prove(moved.reference, moved).proved
    with pytest.raises(DataError, match=r"larger: a symbolic word has no truth value"):
        from_function(_larger, name="larger", instructions=["cmp"], length=1)
    with pytest.raises(DataError, match=r"2 parameters \(x, y\) and 1 results, but places for 1"):
        from_function(larger, inputs={"x": "eax"}, instructions=["cmp"], length=1)


def _larger(x: Word, y: Word) -> Word:
    return max(x, y)


_larger.__name__ = "larger"


def test_of_agents_keeps_their_instructions() -> None:
    task = named("sort2")
    assert of_agents(task, ["MOV", "COND"]) == task
    only = of_agents(task, ["COND"])
    assert (only.agents, only.reference) == (("COND",), ())
    assert len(only.menu) == 3
    with pytest.raises(DataError, match="sort2: the agent SHIFT has no instruction in the menu"):
        of_agents(task, ["COND", "SHIFT"])
    with pytest.raises(DataError, match="unknown agent 'JUMP'; known are MOV, ARITH"):
        of_agents(task, ["JUMP"])


def test_menus_need_a_reference() -> None:
    task = replace(named("sort2"), reference=())
    for menu in (exact, widened):
        with pytest.raises(DataError, match="sort2: has no reference"):
            menu(task)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a b"}, "the task's name 'a b'"),
        ({"name": "../a"}, "the task's name"),
        ({"inputs": ()}, "has no input"),
        ({"outputs": ()}, "has no output"),
        ({"inputs": (Input("x", FLAGS),)}, "an input in word 8; words are eax"),
        ({"outputs": (Output(-1, None),)}, "an output in word -1"),
        ({"inputs": (Input("x", 0), Input("y", 0))}, "2 inputs in eax; give each a word"),
        ({"inputs": (Input("x", 0), Input("x", 1))}, "two inputs have one name"),
        ({"inputs": (Input("x y", 0),)}, "an input is called 'x y'"),
        ({"inputs": (Input("if", 0),)}, "an input is called 'if'"),
        ({"inputs": (Input("umin", 0),)}, "an input is called 'umin'"),
        ({"inputs": (Input("z", 0),)}, "eax depends on x, which is no input; the inputs are z"),
        ({"length": 0}, r"length 0; give 1 \.\. 32"),
        ({"length": 33}, "length 33"),
        ({"length": 2}, "reference has 3 instructions, above the length 2"),
        ({"menu": ()}, "no instructions"),
        ({"menu": parse("inc eax\ninc eax")}, "'inc eax' is 2 times in the menu"),
        ({"menu": parse("inc eax")}, "'mov ecx, eax' of the reference is not among"),
        ({"reference": parse("cmova eax, ecx")}, "reference reads flags that are not valid"),
        ({"outputs": (Output(0, None),)}, "nothing says what eax is to hold"),
        ({"examples": (Example((1, 2), (0,)),)}, "an example with 2 inputs and 1 outputs"),
        ({"examples": (Example((1,), (2**32,)),)}, "the value 4294967296 of an example"),
        ({"examples": (Example((6,), (4,)), Example((6,), (5,)))},
         r"contradict each other: for x = 6 both \(4,\) and \(5,\)"),
        ({"examples": (Example((6,), (4,)), Example((5,), (5,)))},
         r"contradicts the expressions: for x = 5 it wants \(5,\), they give \(4,\)"),
    ],
)  # fmt: skip
def test_bad_tasks_are_told_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(named("p01"), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'; known are name"),
        ({"name": 3}, "name = 3; give a text"),
        ({"length": True}, "length = True; give a whole number"),
        ({"length": 0}, "length 0"),
        ({"inputs": {"x": "esi", "m": "edx"}}, "'esi' is no register or word of memory: eax"),
        ({"inputs": {"x": "flags", "m": "edx"}}, "'flags' is no register"),
        ({"inputs": {"x": 3, "m": "edx"}}, "3 stands where a text is wanted"),
        ({"outputs": {"ecx": "x +"}}, "outputs, ecx: 'x \\+', at its end: invalid syntax"),
        ({"outputs": {"ecx": 3}}, "outputs, ecx: 3 stands where a text is wanted"),
        ({"outputs": ["ecx"]}, "nothing says what ecx is to hold"),
        ({"outputs": {"ecx": "x", "ECX": "m"}}, "2 outputs in ecx"),
        ({"reference": "mov ecx, eax\nmul ecx"}, "reference: line 2: unknown mnemonic 'mul'"),
        ({"reference": ""}, "no instructions; give instructions"),
        ({"reference": "", "instructions": ["inc"]}, "no length"),
        ({"instructions": ["mul"], "length": 3}, "instructions: line 1: unknown mnemonic 'mul'"),
        ({"instructions": ["add eax, esi"]}, "instructions: line 1: unknown operand 'esi'"),
        ({"instructions": ["inc"], "registers": []}, "'inc' has no form for these registers"),
        ({"instructions": ["inc"], "registers": ["[rdi]"]}, "registers: a word of memory"),
        ({"instructions": ["inc"], "values": [2**32]}, "values: the constant 4294967296"),
        ({"instructions": ["inc"], "values": [1.5]}, "values: 1.5; give whole numbers"),
        ({"instructions": [3]}, "3 stands where a text"),
        ({"instructions": []}, "no instructions; give instructions"),
        ({"agents": ["MOV", "SHIFT"]}, "agent SHIFT has no instruction"),
        ({"examples": [{"x": 1}]}, r"examples: \{'x': 1\} is not"),
        ({"examples": [{"inputs": {"x": 1}, "outputs": {"ecx": 1}}]}, "with a value for each"),
        ({"examples": [3]}, "examples: 3 is not"),
    ],
)
def test_bad_tables_are_told_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=f"^here: .*{message}"):
        from_table({**TABLE, **change}, "here")


def test_a_table_needs_its_three_parts() -> None:
    for key in ("name", "inputs", "outputs"):
        table = {name: value for name, value in TABLE.items() if name != key}
        with pytest.raises(DataError, match=f"here: no '{key}'; give"):
            from_table(table, "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (b"x = " + b"[" * 5000, "not TOML"),
        (b"#" * (2**20 + 1), "above 1 MB"),
        (b"", "no 'name'"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "task.toml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"task\.toml: .*{message}"):
        read(path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "none.toml")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)


def test_a_file_that_would_run_code_is_only_parsed(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text(
        f'name = "own"\nlength = 1\ninstructions = ["inc eax"]\n[inputs]\nx = "eax"\n[outputs]\n'
        f"eax = \"open('{tmp_path}/touched', 'w')\"\n"
    )
    with pytest.raises(DataError, match="not allowed here"):
        read(path)
    assert not (tmp_path / "touched").exists()


def test_tasks_are_equal_and_hashed_by_content() -> None:
    one, other = (from_table(TABLE, "table") for _ in range(2))
    assert one == other
    assert isinstance(one, Task)
    assert len({one, other}) == 1
