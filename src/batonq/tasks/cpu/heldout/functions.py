"""Every function that short programs over a menu compute, with the shortest program of each.

All programs are run, shortest first, on many vectors of inputs; two states that agree on all of
them count as one. So a function's program is a shortest one: a shorter program that computed it
would have been met before. Functions of two inputs are known by a key that is the same for the
function with its inputs swapped, as that is the same work with the registers exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Int, UInt32, UInt64

from batonq.base.compiled import compiled
from batonq.base.errors import DataError
from batonq.base.seeds import generator
from batonq.tasks.cpu.expression import FUNCTIONS, Constant, Expression, Name, apply
from batonq.tasks.cpu.learning.memory import key_of
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import Instruction, Program, encode
from batonq.tasks.cpu.machine.words import N_WORDS, blank

EXTRA: Final = 16  # random vectors beyond the tests, on which functions are told apart
INPUTS: Final = ("x", "y")


@dataclass(frozen=True)
class Function:
    """A function as one placement of its inputs can be made to compute it.

    Attributes:
        key: the same for the function wherever its inputs are, and with them swapped.
        rough: the same also for functions that differ on rare inputs only: of random vectors.
        placement: words in which the inputs start.
        program: a shortest program that leaves it in the output word.
    """

    key: int
    rough: int
    placement: tuple[int, ...]
    program: Program


@dataclass(frozen=True, eq=False)
class Telling:
    """Vectors that tell functions apart: the tests and random ones, each also swapped.

    Attributes:
        values: the vectors, the tests first.
        swapped: for each of them the number of the swapped one.
        random: numbers of the random ones.
    """

    values: UInt32[np.ndarray, "input vector"]
    swapped: Int[np.ndarray, " vector"]
    random: Int[np.ndarray, " random"]


def telling_of(vectors: UInt32[np.ndarray, "input vector"], seed: int = 0) -> Telling:
    """The vectors that tell functions of one or two inputs apart, from the tests."""
    drawn = generator(seed).integers(0, 2**32, (len(vectors), EXTRA), dtype=np.uint32)
    both = np.concatenate([vectors, drawn], axis=1)
    count = both.shape[1]
    order = np.arange(2 * count)
    if len(vectors) == 1:
        order = order[:count]
        return Telling(both, order, order[-EXTRA:])
    swapped = np.where(order < count, order + count, order - count)
    random = order[order % count >= count - EXTRA]
    return Telling(np.concatenate([both, both[::-1]], axis=1), swapped, random)


@compiled
def _key(
    values: UInt32[np.ndarray, "word vector"],
    word: int,
    chosen: Int[np.ndarray, " chosen"],
    swapped: Int[np.ndarray, " vector"],
) -> np.uint64:
    """The key of a word on chosen vectors, the same with inputs swapped."""
    line = np.empty((2, 1, len(chosen)), np.uint32)
    for n, v in enumerate(chosen):
        line[0, 0, n], line[1, 0, n] = values[word, v], values[word, swapped[v]]
    seed, seen = np.uint64(1), len(chosen)
    return min(key_of(seed, line[0], seen), key_of(seed, line[1], seen))


@compiled
def _grow(
    states: UInt32[np.ndarray, "state word vector"],
    menu: Int[np.ndarray, "item 3"],
    output: int,
    swapped: Int[np.ndarray, " vector"],
    random: Int[np.ndarray, " random"],
    last: bool,
    children: UInt32[np.ndarray, "child word vector"],
    keys: UInt64[np.ndarray, "child 3"],
    legal: Bool[np.ndarray, " child"],
) -> None:
    """Write every instruction after every state: keys of the state and of the output word."""
    words = np.empty(states.shape[1:], np.uint32)
    every = np.arange(len(swapped))
    for n in range(len(states)):
        for k in range(len(menu)):
            child = n * len(menu) + k
            words[:] = states[n]
            legal[child] = execute(menu[k, 0], menu[k, 1], menu[k, 2], words)
            keys[child, 0] = key_of(np.uint64(1), words, len(swapped))
            keys[child, 1] = _key(words, output, every, swapped)
            keys[child, 2] = _key(words, output, random, swapped)
            if not last:
                children[child] = words


def reachable(
    menu: Sequence[Instruction],
    placement: tuple[int, ...],
    output: int,
    telling: Telling,
    longest: int,
) -> dict[int, Function]:
    """Every function that at most `longest` instructions leave in the output word, by its key.

    The functions that are there before any instruction have the empty program.

    Args:
        menu: the instructions.
        placement: words in which the inputs start.
        output: the word.
        telling: the vectors.
        longest: most instructions.
    """
    start = blank(len(telling.swapped))
    start[list(placement)] = telling.values[: len(placement)]
    numbers = encode(menu)
    key, rough = keys_of(start[output : output + 1], telling)
    found = {key: Function(key, rough, placement, ())}
    met, states = {int(key_of(np.uint64(1), start, len(telling.swapped)))}, start[None]
    programs: list[Program] = [()]
    for length in range(1, longest + 1):
        last = length == longest
        children, keys, legal = _children(states, numbers, output, telling, last)
        fresh: list[int] = []
        longer: list[Program] = []
        for child in np.flatnonzero(legal).tolist():
            state, key, rough = map(int, keys[child])
            if state in met:
                continue
            met.add(state)
            program = (*programs[child // len(menu)], menu[child % len(menu)])
            if key not in found:
                found[key] = Function(key, rough, placement, program)
            fresh.append(child)
            longer.append(program)
        states, programs = children[fresh] if not last else states, longer
    return found


def keys_of(outputs: UInt32[np.ndarray, "1 vector"], telling: Telling) -> tuple[int, int]:
    """`key` and `rough` of a function from what it gives on the vectors."""
    every = np.arange(len(telling.swapped))
    return (
        int(_key(outputs, 0, every, telling.swapped)),
        int(_key(outputs, 0, telling.random, telling.swapped)),
    )


def _children(
    states: UInt32[np.ndarray, "state word vector"],
    menu: Int[np.ndarray, "item 3"],
    output: int,
    telling: Telling,
    last: bool,
) -> tuple[
    UInt32[np.ndarray, "child word vector"],
    UInt64[np.ndarray, "child 3"],
    Bool[np.ndarray, " child"],
]:
    count = len(states) * len(menu)
    children = np.empty((0 if last else count, *states.shape[1:]), np.uint32)
    keys, legal = np.empty((count, 3), np.uint64), np.empty(count, np.bool_)
    _grow(states, menu, output, telling.swapped, telling.random, last, children, keys, legal)
    return children, keys, legal


def computed(program: Program, placement: tuple[int, ...], output: int) -> Expression:
    """What the program leaves in the output word, as an expression over the inputs.

    Raises:
        DataError: it has a row that this does not read.
    """
    words: list[Expression] = [Constant(0)] * N_WORDS
    for name, word in zip(INPUTS, placement, strict=False):
        words[word] = Name(name)
    compared: tuple[Expression, Expression] = (Constant(0), Constant(0))
    for one in program:
        name, first = one.row.mnemonic, words[one.dst]
        second: Expression = Constant(one.src) if one.row.immediate else words[one.src]
        if name == "cmp":
            compared = (first, second)
        elif name.startswith("cmov"):
            words[one.dst] = apply("where", _holds(name[4:], compared), second, first)
        else:
            words[one.dst] = _computed(name, first, second)
    return words[output]


def _computed(name: str, first: Expression, second: Expression) -> Expression:
    if name == "mov":
        return second
    if name in ("inc", "dec"):
        return apply("add" if name == "inc" else "sub", first, Constant(1))
    if name in ("not", "neg"):
        return apply(name, first)
    if name in ("add", "sub", "and", "or", "xor", "shl", "shr", "sar"):
        return apply(name, first, second)
    raise DataError(f"'{name}' is not read as an expression; leave it out of the menu")


def _holds(condition: str, compared: tuple[Expression, Expression]) -> Expression:
    first, second = compared
    tests = {"l": ("slt", 0), "g": ("slt", 1), "b": ("ult", 0), "a": ("ult", 1), "e": ("eq", 0)}
    if condition not in tests:
        raise DataError(f"the condition '{condition}' is not read; use {', '.join(tests)}")
    name, turned = tests[condition]
    return FUNCTIONS[name][0](second, first) if turned else FUNCTIONS[name][0](first, second)
