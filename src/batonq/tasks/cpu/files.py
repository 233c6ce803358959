"""Tasks of the user's: from a TOML file, which is parsed and never evaluated, or a Python function.

    name = "average"
    title = "mean of two unsigned words, rounded down"  # may be left out, like all below with "?"
    length = 5                                      # ? most instructions a program may have
    instructions = ["mov edx, eax", "and", "shr"]   # ? what agents may write
    registers = ["eax", "ecx", "edx"]               # ? for mnemonics without operands
    values = [1, 31]                                # ? for them, too: immediate operands

    [inputs]                                        # name = register or word of memory
    x = "eax"
    y = "[rdi+4]"

    [outputs]                                       # the same way round as in assembly
    eax = "(x & y) + ((x ^ y) >> 1)"                # see `parsing`

An entry of `instructions` is an instruction (see `machine.program`) or a bare mnemonic, which
stands for all its forms over `registers` (by default all), over the words of memory of inputs and
outputs, and over `values` (by default none); its two operands are different registers except for
test and movzx. With `reference`, the text of a program, `instructions` and `length` may be left
out: the instructions are then its own, and the length is its length. `origin` is a text.
`agents = ["MOV", "LOGIC"]` leaves the instructions of these classes only.

Instead of expressions examples may say what is wanted; a program is then never proved:

    outputs = ["eax"]
    examples = [{inputs = {x = 1, y = 4}, outputs = {eax = 2}}]
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from batonq.base.errors import DataError
from batonq.tasks.cpu.expression import Expression, constant, to_text
from batonq.tasks.cpu.machine.program import Instruction, Program, listing
from batonq.tasks.cpu.machine.program import parse as read_program
from batonq.tasks.cpu.machine.table import ROWS
from batonq.tasks.cpu.machine.words import FIRST_MEMORY, FLAGS, N_REGISTERS, REGISTERS, WORDS
from batonq.tasks.cpu.parsing import parse
from batonq.tasks.cpu.task import Example, Input, Output, Task, of_agents, spread
from batonq.tasks.cpu.tracing import traced

LARGEST: Final = 2**20  # bytes
_SAME: Final = ("test", "movzx")  # may have one register twice where a bare mnemonic stands

_KEYS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "name": (str, "a text"),
    "title": (str, "a text"),
    "origin": (str, "a text"),
    "length": (int, "a whole number"),
    "instructions": (list, "a list of texts"),
    "registers": (list, "a list of registers"),
    "values": (list, "a list of whole numbers"),
    "reference": (str, "the text of a program"),
    "agents": (list, "a list of agents"),
    "inputs": (dict, 'a table: name = "register"'),
    "outputs": ((dict, list), 'a table: register = "expression"; or a list of registers'),
    "examples": (list, "a list of {inputs = {...}, outputs = {...}}"),
}


def read(path: Path) -> Task:
    """The task of a TOML file.

    Raises:
        DataError: the file is missing, too large, or no task; names it, the key and the remedy.
    """
    return from_table(_toml(path), str(path))


def from_table(table: Mapping[str, Any], where: str) -> Task:
    """The task of a table as TOML gives it; `where` is what messages call it.

    Raises:
        DataError: it is no task; names the key and the remedy.
    """
    try:
        _check_keys(table, ("name", "inputs", "outputs"))
        known = list(table["inputs"])
        given = table["outputs"]
        if isinstance(given, list):
            return _task(table, [(_text(place), None) for place in given])
        return _task(
            table, [(place, _expression(place, what, known)) for place, what in given.items()]
        )
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def from_function(
    function: Callable[..., Any],
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Sequence[str] | None = None,
    **more: Any,
) -> Task:
    """The task of computing what a Python function of words computes; see `tracing`.

    Args:
        function: returns a word or a tuple of words. It is called once, with symbolic words.
        inputs: where each parameter starts; by default eax, ecx, edx, ebx in this order.
        outputs: where what it returns goes; by default eax, ecx, edx, ebx in this order.
        more: other keys of a file, as Python values: `instructions`, `length`, `reference` ...;
            `name` is the function's by default.

    Raises:
        DataError: it cannot be traced, or there is no such task.
    """
    names, results = traced(function)
    places = dict(zip(names, REGISTERS, strict=False)) if inputs is None else dict(inputs)
    words = list(REGISTERS[: len(results)] if outputs is None else outputs)
    table = {"name": function.__name__, **more, "inputs": places, "outputs": words}
    _check_keys(table, ())
    if set(places) != set(names) or len(words) != len(results):
        raise DataError(
            f"{table['name']}: {len(names)} parameters ({', '.join(names)}) and {len(results)} "
            f"results, but places for {len(places)} and {len(words)}; give inputs and outputs"
        )
    return _task(table, list(zip(words, results, strict=True)))


def to_table(task: Task) -> dict[str, Any]:
    """The task as a table that `from_table` reads back to an equal one; it is JSON, too."""
    words = [WORDS[output.word] for output in task.outputs]
    return {
        "name": task.name,
        "title": task.title,
        "origin": task.origin,
        "length": task.length,
        "inputs": {one.name: WORDS[one.word] for one in task.inputs},
        "outputs": {
            WORDS[output.word]: to_text(output.expression)
            for output in task.outputs
            if output.expression is not None
        }
        or words,
        "instructions": [instruction.text for instruction in task.menu],
        "reference": listing(task.reference),
        "examples": [
            {
                "inputs": {one.name: v for one, v in zip(task.inputs, given.inputs, strict=True)},
                "outputs": dict(zip(words, given.outputs, strict=True)),
            }
            for given in task.examples
        ],
    }


def _task(table: Mapping[str, Any], outputs: Iterable[tuple[str, Expression | None]]) -> Task:
    inputs = tuple(Input(name, _word(place)) for name, place in table["inputs"].items())
    wanted = tuple(Output(_word(place), expression) for place, expression in outputs)
    with _at("reference"):
        reference = read_program(table.get("reference", ""))
    words = [one.word for one in inputs] + [one.word for one in wanted]
    memory = sorted({word for word in words if word >= FIRST_MEMORY})
    menu = _menu(table, memory) if "instructions" in table else tuple(dict.fromkeys(reference))
    if not menu:
        raise DataError("no instructions; give instructions = [...] or a reference")
    if "length" not in table and not reference:
        raise DataError("no length; give the most instructions a program may have: length = ...")
    task = Task(
        name=table["name"],
        title=table.get("title", ""),
        inputs=inputs,
        outputs=wanted,
        length=table.get("length", len(reference)),
        menu=menu,
        reference=reference,
        origin=table.get("origin", ""),
        examples=tuple(_example(one, inputs, wanted) for one in table.get("examples", [])),
    )
    return of_agents(task, table["agents"]) if "agents" in table else task


def _menu(table: Mapping[str, Any], memory: list[int]) -> Program:
    registers = [_word(place) for place in table.get("registers", REGISTERS)]
    if any(word >= N_REGISTERS for word in registers):
        raise DataError(f"registers: a word of memory; give some of {', '.join(REGISTERS)}")
    values = [_number("values", value) for value in table.get("values", [])]
    menu: dict[Instruction, None] = {}
    for entry in table["instructions"]:
        text = _text(entry).strip().lower()
        rows = [op for op, row in enumerate(ROWS) if row.mnemonic == text]
        found: Program = ()
        for op in rows:
            found += spread(op, registers, memory, values, text in _SAME)
        if rows and not found:
            raise DataError(f"instructions: '{text}' has no form for these registers and values")
        if not rows:
            with _at("instructions"):
                found = read_program(text)
        menu.update(dict.fromkeys(found))
    return tuple(menu)


def _example(given: Any, inputs: Sequence[Input], outputs: Sequence[Output]) -> Example:
    match given:
        case {"inputs": dict(ins), "outputs": dict(outs)} if len(given) == 2:
            wanted = {_word(place): value for place, value in outs.items()}
            if set(ins) == {one.name for one in inputs} and set(wanted) == {
                one.word for one in outputs
            }:
                return Example(
                    tuple(_number("examples", ins[one.name]) for one in inputs),
                    tuple(_number("examples", wanted[one.word]) for one in outputs),
                )
    raise DataError(
        f"examples: {given} is not {{inputs = {{...}}, outputs = {{...}}}} with a value for each "
        "input and output of the task"
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: above {LARGEST >> 20} MB; give the file of a task")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; give the path of a task's TOML file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a TOML file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not TOML ({error}); correct it there") from error


def _check_keys(table: Mapping[str, Any], wanted: Iterable[str]) -> None:
    for key in wanted:
        if key not in table:
            raise DataError(f"no '{key}'; give {_KEYS[key][1]}")
    for key, value in table.items():
        if key not in _KEYS:
            raise DataError(f"unknown key '{key}'; known are {', '.join(_KEYS)}")
        kind, meaning = _KEYS[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(f"{key} = {value!r}; give {meaning}")


def _expression(place: str, what: object, names: list[str]) -> Expression:
    with _at(f"outputs, {place}"):
        return parse(_text(what), names)


@contextmanager
def _at(key: str) -> Iterator[None]:
    """Errors inside get the key before them."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{key}: {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise DataError(f"{value!r} stands where a text is wanted; write it in quotes")
    return value


def _word(place: object) -> int:
    """The number of the register or word of memory of that name."""
    name = _text(place).replace(" ", "").lower()
    if name not in WORDS[:FLAGS]:
        raise DataError(f"'{place}' is no register or word of memory: {', '.join(WORDS[:FLAGS])}")
    return WORDS.index(name)


def _number(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{key}: {value!r}; give whole numbers")
    with _at(key):
        return constant(value).value
