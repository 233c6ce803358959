"""A task: which words a program starts from, which it is to compute, and from what instructions.

The program runs once for every vector of inputs. Each input starts in a word of its own, a register
or a word of memory; every other word starts at 0 and the flags are not valid. After the program
the output words hold what was wanted; other words may hold anything.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.tasks.cpu.expression import FUNCTIONS, Expression, evaluate, names
from batonq.tasks.cpu.machine.program import Instruction, Program, legal
from batonq.tasks.cpu.machine.table import AGENTS, ROWS, Row
from batonq.tasks.cpu.machine.words import ECX, FIRST_MEMORY, FLAGS, WORDS, blank

LONGEST: Final = 32  # instructions a program may be allowed
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Input:
    """An input: its name, and the number of the register or word of memory it starts in."""

    name: str
    word: int


@dataclass(frozen=True)
class Output:
    """A word the program is to leave, and what; None where only examples say what."""

    word: int
    expression: Expression | None = None


@dataclass(frozen=True)
class Example:
    """Outputs wanted for some inputs, as numbers in [0, 2^32), in the order of the task's."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """What a program is to compute.

    Attributes:
        name: how commands call it.
        title: what it computes, in a few words.
        inputs: at least one; names and words all different.
        outputs: at least one; words all different.
        length: most instructions a program may have, 1 .. `LONGEST`.
        menu: the instructions agents may write.
        reference: a program that is right, made from the menu; () where none is known.
        origin: where the task comes from.
        examples: inputs with the outputs wanted. With expressions they are checked against them;
            without, they are all there is: a program can be found to agree but never proved.

    Raises:
        DataError: naming the first part that cannot be right, and the remedy.
    """

    name: str
    title: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    length: int
    menu: Program
    reference: Program = ()
    origin: str = ""
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        _check_words(self)
        _check_menu(self)
        _check_examples(self)

    @cached_property
    def specified(self) -> bool:
        """Whether expressions say what is wanted for all inputs, so that there can be a proof."""
        return all(output.expression is not None for output in self.outputs)

    @property
    def agents(self) -> tuple[str, ...]:
        """Classes of instructions with at least one in the menu, in the order of `AGENTS`."""
        found = {instruction.agent for instruction in self.menu}
        return tuple(agent for agent in AGENTS if agent in found)

    def start(
        self, vectors: UInt32[np.ndarray, "input vector"]
    ) -> UInt32[np.ndarray, "word vector"]:
        """The machine's state before the program, a column for each vector of inputs."""
        state = blank(vectors.shape[1])
        for values, one in zip(vectors, self.inputs, strict=True):
            state[one.word] = values
        return state

    def wanted(
        self, vectors: UInt32[np.ndarray, "input vector"]
    ) -> UInt32[np.ndarray, "output vector"]:
        """What the output words are to hold after it.

        Raises:
            DataError: the task has examples only, and a vector is none of theirs.
        """
        if not self.specified:
            return self._looked_up(vectors)
        given = {one.name: values for one, values in zip(self.inputs, vectors, strict=True)}
        values = [
            evaluate(output.expression, given) for output in self.outputs if output.expression
        ]
        return np.array(values, np.uint32).reshape(len(self.outputs), -1)

    def _looked_up(
        self, vectors: UInt32[np.ndarray, "input vector"]
    ) -> UInt32[np.ndarray, "output vector"]:
        known = {example.inputs: example.outputs for example in self.examples}
        columns = [tuple(column) for column in vectors.T.tolist()]
        missing = next((column for column in columns if column not in known), None)
        if missing is not None:
            raise DataError(
                f"{self.name}: nothing says what is wanted for {_shown(self, missing)}; "
                "give an expression or one more example"
            )
        values = [known[column] for column in columns]
        return np.array(values, np.uint32).reshape(-1, len(self.outputs)).T.copy()


def of_agents(task: Task, agents: Iterable[str]) -> Task:
    """The task with the instructions of these agents only (and no reference it cannot make).

    Raises:
        DataError: an agent is unknown, or has no instruction in the menu.
    """
    kept = tuple(agents)
    for agent in kept:
        if agent not in AGENTS:
            raise DataError(f"{task.name}: unknown agent '{agent}'; known are {', '.join(AGENTS)}")
        if agent not in task.agents:
            raise DataError(
                f"{task.name}: the agent {agent} has no instruction in the menu; add one of its "
                f"or leave it out (agents with instructions: {', '.join(task.agents)})"
            )
    menu = tuple(instruction for instruction in task.menu if instruction.agent in kept)
    makes = all(instruction in menu for instruction in task.reference)
    return replace(task, menu=menu, reference=task.reference if makes else ())


def exact(task: Task) -> Task:
    """The task with the distinct instructions of its reference as its menu."""
    _need_reference(task)
    return replace(task, menu=tuple(dict.fromkeys(task.reference)))


def widened(task: Task) -> Task:
    """The task with a wider menu: every row of its reference, over all words of the reference.

    Registers are all that occur in the reference, words of memory likewise; values of immediate
    operands are those that occur in the row. The two operands of a row are the same register only
    if they are so somewhere in the reference.
    """
    _need_reference(task)
    registers, memory = _used(task.reference)
    menu: dict[Instruction, None] = {}
    for op in dict.fromkeys(instruction.op for instruction in task.reference):
        own = [instruction for instruction in task.reference if instruction.op == op]
        values = sorted({instruction.src for instruction in own})
        same = any(instruction.dst == instruction.src for instruction in own)
        menu.update(dict.fromkeys(spread(op, registers, memory, values, same)))
    return replace(task, menu=tuple(menu))


def spread(
    op: int, registers: Sequence[int], memory: Sequence[int], values: Sequence[int], same: bool
) -> Program:
    """Every instruction of one row over these words and immediate values.

    Args:
        op: number of the row.
        registers: numbers of registers.
        memory: numbers of words of memory.
        values: what immediate operands may be; those that do not fit the row are left out.
        same: whether both operands may be the same register.
    """
    row = ROWS[op]
    choices = {
        "r32": registers,
        "r8": registers,
        "m32": memory,
        "cl": (ECX,),
        "imm32": values,
        "imm8": [value for value in values if value < 32],
    }
    made = [Instruction(op, *words) for words in product(*(choices[one] for one in row.operands))]
    if same or not _two_registers(row):
        return tuple(made)
    return tuple(instruction for instruction in made if instruction.dst != instruction.src)


def _two_registers(row: Row) -> bool:
    return len(row.operands) == 2 and all(kind in ("r32", "r8") for kind in row.operands)


def _used(program: Program) -> tuple[list[int], list[int]]:
    """Registers and words of memory that occur in a program."""
    words = set()
    for instruction in program:
        words.add(instruction.dst)
        if len(instruction.row.operands) > 1 and not instruction.row.immediate:
            words.add(instruction.src)
    return (
        sorted(word for word in words if word < FIRST_MEMORY),
        sorted(word for word in words if word >= FIRST_MEMORY),
    )


def _need_reference(task: Task) -> None:
    if not task.reference:
        raise DataError(f"{task.name}: has no reference to take instructions from; give a menu")


def _check_words(task: Task) -> None:
    _check_names(task)
    for what, words in (
        ("input", [one.word for one in task.inputs]),
        ("output", [one.word for one in task.outputs]),
    ):
        if not words:
            raise DataError(f"{task.name}: has no {what}; give at least one")
        for word, count in Counter(words).items():
            if not 0 <= word < FLAGS:
                places = ", ".join(WORDS[:FLAGS])
                raise DataError(f"{task.name}: an {what} in word {word}; words are {places}")
            if count > 1:
                raise DataError(
                    f"{task.name}: {count} {what}s in {WORDS[word]}; give each a word of its own"
                )
    known = [one.name for one in task.inputs]
    for output in task.outputs:
        strange = names(output.expression) - set(known) if output.expression else set()
        if strange:
            raise DataError(
                f"{task.name}: {WORDS[output.word]} depends on {min(strange)}, which is no input; "
                f"the inputs are {', '.join(known)}"
            )


def _check_names(task: Task) -> None:
    if not _NAME.fullmatch(task.name):
        raise DataError(f"the task's name {task.name!r}; give letters, digits, - and _, at most 64")
    known = [one.name for one in task.inputs]
    for name in known:
        if not _plain(name) or name in FUNCTIONS:
            raise DataError(f"{task.name}: an input is called {name!r}; give a plain name, like x")
    if len(set(known)) < len(known):
        raise DataError(f"{task.name}: two inputs have one name among {', '.join(known)}")


def _plain(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name.isidentifier() and not keyword.iskeyword(name)


def _check_menu(task: Task) -> None:
    if not 1 <= task.length <= LONGEST:
        raise DataError(f"{task.name}: length {task.length}; give 1 .. {LONGEST} instructions")
    if not task.menu:
        raise DataError(f"{task.name}: no instructions; give at least one")
    twice, count = Counter(task.menu).most_common(1)[0]
    if count > 1:
        raise DataError(f"{task.name}: '{twice.text}' is {count} times in the menu; give it once")
    if len(task.reference) > task.length:
        raise DataError(
            f"{task.name}: the reference has {len(task.reference)} instructions, above the length "
            f"{task.length}; raise the length"
        )
    if not legal(task.reference):
        raise DataError(
            f"{task.name}: the reference reads flags that are not valid; put a cmp or test before"
        )
    for instruction in task.reference:
        if instruction not in task.menu:
            raise DataError(
                f"{task.name}: '{instruction.text}' of the reference is not among the "
                "instructions; add it"
            )


def _check_examples(task: Task) -> None:
    given = [output.expression is not None for output in task.outputs]
    if not all(given) and (any(given) or not task.examples):
        word = WORDS[task.outputs[given.index(False)].word]
        raise DataError(
            f"{task.name}: nothing says what {word} is to hold; give an expression for every "
            "output, or none and examples"
        )
    seen: dict[tuple[int, ...], tuple[int, ...]] = {}
    for example in task.examples:
        _check_example(task, example)
        if seen.setdefault(example.inputs, example.outputs) != example.outputs:
            raise DataError(
                f"{task.name}: examples contradict each other: for {_shown(task, example.inputs)} "
                f"both {seen[example.inputs]} and {example.outputs} are wanted; delete one"
            )
    if task.specified and task.examples:
        vectors = np.array([example.inputs for example in task.examples], np.uint32).T
        for example, wanted in zip(task.examples, task.wanted(vectors).T.tolist(), strict=True):
            if tuple(wanted) != example.outputs:
                raise DataError(
                    f"{task.name}: an example contradicts the expressions: for "
                    f"{_shown(task, example.inputs)} it wants {example.outputs}, they give "
                    f"{tuple(wanted)}; correct one of them"
                )


def _check_example(task: Task, example: Example) -> None:
    sizes = (len(example.inputs), len(example.outputs))
    if sizes != (len(task.inputs), len(task.outputs)):
        raise DataError(
            f"{task.name}: an example with {sizes[0]} inputs and {sizes[1]} outputs; the task has "
            f"{len(task.inputs)} and {len(task.outputs)}"
        )
    for value in (*example.inputs, *example.outputs):
        if not 0 <= value < 2**32:
            raise DataError(f"{task.name}: the value {value} of an example is not of 32 bits")


def _shown(task: Task, inputs: tuple[int, ...]) -> str:
    return ", ".join(
        f"{one.name} = {value}" for one, value in zip(task.inputs, inputs, strict=True)
    )
