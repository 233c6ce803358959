"""Where a program's names are looked up, by Python's rules."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Final

from .budget import Budget, ProgramError

MISSING: Final = object()  # what a name without a value stands for


@dataclass
class Scope:
    """The names of a function, of a comprehension, or of the whole program.

    Attributes:
        budget: of the program.
        local: names that are looked up here and nowhere else.
        outer: where other names are looked up; None for the whole program.
        depth: calls of functions that led here.
        values: what the names stand for.
    """

    budget: Budget
    local: frozenset[str] = frozenset()
    outer: Scope | None = None
    depth: int = 0
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the program: what it is, its arguments' defaults, and where it was defined."""

    node: ast.FunctionDef
    defaults: tuple[object, ...]
    scope: Scope
    local: frozenset[str]


def find(name: str, scope: Scope) -> object:
    """What a name stands for, here or further out.

    Raises:
        ProgramError: if it has no value, or is one of the functions that can only be called.
    """
    value = looked_up(name, scope)
    if value is MISSING:
        raise ProgramError(f"the program uses '{name}' without giving it a value")
    return value


def looked_up(name: str, scope: Scope | None) -> object:
    """What a name stands for, or `MISSING`.

    Raises:
        ProgramError: if it is given a value later on.
    """
    while scope is not None:
        if name in scope.values:
            return scope.values[name]
        if name in scope.local:
            raise ProgramError(f"the program uses '{name}' before giving it a value")
        scope = scope.outer
    return MISSING
