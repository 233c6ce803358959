"""The operations on values; the size of a result is bounded before it is worked out.

Values are numbers, strings (to be named and compared only), None, lists, tuples, dictionaries,
ranges, and the program's own functions, on which nothing can be done but to call them.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from .budget import Budget, ProgramError

_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_ORDER: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_OPPOSITE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.NotEq: ast.Eq,
    ast.NotIn: ast.In,
    ast.IsNot: ast.Is,
}


def number(value: object) -> int | float:
    """The value, which has to be a number; True and False count as 1 and 0, as in Python.

    Raises:
        ProgramError: if it is something else.
    """
    if isinstance(value, int | float):
        return value
    raise ProgramError(f"the program calculates with {_kind(value)}")


def whole(value: object) -> int:
    """The value, which has to be an integer.

    Raises:
        ProgramError: if it is something else.
    """
    if isinstance(value, int):
        return value
    raise ProgramError(f"the program needs a whole number where it has {_kind(value)}")


def items(value: object, budget: Budget) -> Iterator[object]:
    """Go through a list, a tuple, a range or the keys of a dictionary, at a step each.

    Raises:
        ProgramError: if it is something else.
    """
    if not isinstance(value, list | tuple | range | dict):
        raise ProgramError(f"the program goes through {_kind(value)} as if it were a list")
    for item in value:
        budget.spend()
        yield item


def gather(found: Iterable[object], budget: Budget) -> list[object]:
    """A list of what was found.

    Raises:
        ProgramError: if it would be too long.
    """
    made: list[object] = []
    for item in found:
        budget.hold(len(made) + 1)
        made.append(item)
    return made


def arithmetic(kind: type[ast.operator], left: object, right: object, budget: Budget) -> object:
    """Add, subtract, multiply, divide or raise two numbers; join or repeat lists and tuples.

    Raises:
        ProgramError: if it cannot be done, is not a real number, or is too large.
    """
    if isinstance(left, list | tuple) or isinstance(right, list | tuple):
        return _sequence(kind, left, right, budget)
    first, second = number(left), number(right)
    if isinstance(first, int) and isinstance(second, int):
        _check_size(kind, first, second, budget)
    try:
        result = _ARITHMETIC[kind](first, second)
    except ZeroDivisionError:
        raise ProgramError("the program divides by zero") from None
    except OverflowError:
        raise ProgramError("a number in the program is too large") from None
    if isinstance(result, complex):
        raise ProgramError("a number in the program is not real")
    return fits(result, budget)


def fits(value: int | float, budget: Budget) -> int | float:
    """The number, which may have so many digits only.

    Raises:
        ProgramError: if it has more.
    """
    if isinstance(value, int) and value.bit_length() > budget.bits:
        raise ProgramError(f"a number in the program has more than {budget.limits.digits} digits")
    return value


def compare(kind: type[ast.cmpop], left: object, right: object, budget: Budget) -> bool:
    """Compare two values.

    Raises:
        ProgramError: if they cannot be compared, as lists cannot.
    """
    if kind in _OPPOSITE:
        return not compare(_OPPOSITE[kind], left, right, budget)
    if kind in _ORDER:
        return _ORDER[kind](number(left), number(right))
    if kind is ast.In:
        return any(_equal(left, item) for item in items(right, budget))
    if kind is ast.Is and not _singular(left) and not _singular(right):
        raise ProgramError("the program uses 'is' with something else than None, True or False")
    return left is right if kind is ast.Is else _equal(left, right)


def index(value: object, place: object) -> object:
    """The item of a list, tuple or range at a place, or of a dictionary under a key.

    Raises:
        ProgramError: if there is none.
    """
    try:
        if isinstance(value, dict):
            return value[key(place)]
        if isinstance(value, list | tuple | range):
            return value[whole(place)]
    except (LookupError, OverflowError):
        raise ProgramError("the program looks for an item that is not there") from None
    raise ProgramError(f"the program looks for an item in {_kind(value)}")


def put(value: object, place: object, item: object, budget: Budget) -> None:
    """Set the item of a list at a place, or of a dictionary under a key.

    Raises:
        ProgramError: if it cannot be set.
    """
    if isinstance(value, dict):
        budget.hold(len(value) + 1)
        value[key(place)] = item
    elif isinstance(value, list):
        index(value, place)
        value[whole(place)] = item
    else:
        raise ProgramError(f"the program sets an item of {_kind(value)}")


def key(value: object) -> object:
    """The value, which has to be a number or a string, as keys of dictionaries are here.

    Raises:
        ProgramError: if it is something else.
    """
    if isinstance(value, int | float | str):
        return value
    raise ProgramError(f"the program has {_kind(value)} as the key of a dictionary")


def _sequence(kind: type[ast.operator], left: object, right: object, budget: Budget) -> object:
    if kind is ast.Mult and isinstance(left, int):
        left, right = right, left
    if kind is ast.Mult and isinstance(left, list | tuple) and isinstance(right, int):
        _pay(len(left) * max(right, 0), budget)
        return left * right
    if kind is ast.Add and isinstance(left, list) and isinstance(right, list):
        _pay(len(left) + len(right), budget)
        return left + right
    if kind is ast.Add and isinstance(left, tuple) and isinstance(right, tuple):
        _pay(len(left) + len(right), budget)
        return left + right
    raise ProgramError(f"the program calculates with {_kind(left)} and {_kind(right)}")


def _pay(length: int, budget: Budget) -> None:
    budget.hold(length)
    budget.spend(length)


def _check_size(kind: type[ast.operator], left: int, right: int, budget: Budget) -> None:
    """Refuse a product or a power of integers that would be too long, before there is one."""
    bits = 0.0
    if kind is ast.Mult:
        bits = left.bit_length() + right.bit_length() - 1
    elif kind is ast.Pow and right > 0 and abs(left) > 1:
        bits = right if right > budget.bits else math.log2(abs(left)) * right
    if bits > budget.bits:
        raise ProgramError(f"a number in the program has more than {budget.limits.digits} digits")


def _equal(left: object, right: object) -> bool:
    # Lists are not compared: shared items can make that take exponentially long.
    if _scalar(left) and _scalar(right):
        return left == right
    raise ProgramError(f"the program compares {_kind(left)} with {_kind(right)}")


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, int | float | str)


def _singular(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    kinds = {int: "a number", float: "a fraction", bool: "a truth value", str: "a string"}
    kinds |= {list: "a list", tuple: "a tuple", dict: "a dictionary", range: "a range"}
    return kinds.get(type(value), "a function")
