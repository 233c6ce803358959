"""The functions a program may call besides its own; they take positions only, no keywords."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Final

from .budget import Budget, ProgramError
from .values import arithmetic, fits, gather, items, number, whole

_PLACES: Final = 100  # decimal places that round() takes; minus a million would be a huge power
_MANY: Final = 1 << 20  # arguments; a call's length is bounded by the text's


def call(name: str, arguments: Sequence[object], budget: Budget) -> object:
    """Call one of the functions.

    Args:
        name: a key of `FUNCTIONS`.
        arguments: its arguments.
        budget: pays for it.

    Raises:
        ProgramError: if it cannot be done with these arguments.
    """
    least, most, function = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise ProgramError(f"the program calls {name}() with {len(arguments)} arguments")
    try:
        return function(arguments, budget)
    except ZeroDivisionError:
        raise ProgramError("the program divides by zero") from None
    except (OverflowError, ValueError):
        raise ProgramError(f"the program calls {name}() with something it does not take") from None


def _abs(given: Sequence[object], _: Budget) -> object:
    return abs(number(given[0]))


def _round(given: Sequence[object], budget: Budget) -> object:
    value = number(given[0])
    if len(given) == 1 or given[1] is None:
        return fits(round(value), budget)
    places = whole(given[1])
    if abs(places) > _PLACES:
        raise ProgramError(f"the program rounds to {places} places")
    return round(value, places)


def _int(given: Sequence[object], budget: Budget) -> object:
    return fits(int(number(given[0])), budget)


def _float(given: Sequence[object], _: Budget) -> object:
    return float(number(given[0]))


def _bool(given: Sequence[object], _: Budget) -> object:
    return bool(given[0])


def _len(given: Sequence[object], _: Budget) -> object:
    if isinstance(given[0], list | tuple | dict | range | str):
        return len(given[0])
    raise ProgramError("the program asks for the length of something that has none")


def _divmod(given: Sequence[object], budget: Budget) -> object:
    return tuple(arithmetic(kind, given[0], given[1], budget) for kind in (ast.FloorDiv, ast.Mod))


def _pow(given: Sequence[object], budget: Budget) -> object:
    return arithmetic(ast.Pow, number(given[0]), number(given[1]), budget)


def _sum(given: Sequence[object], budget: Budget) -> object:
    total: object = given[1] if len(given) > 1 else 0
    for item in items(given[0], budget):
        total = arithmetic(ast.Add, number(total), number(item), budget)
    return total


def _numbers(given: Sequence[object], budget: Budget) -> list[int | float]:
    found = given if len(given) > 1 else items(given[0], budget)
    return [number(item) for item in found]


def _min(given: Sequence[object], budget: Budget) -> object:
    return min(_numbers(given, budget))


def _max(given: Sequence[object], budget: Budget) -> object:
    return max(_numbers(given, budget))


def _range(given: Sequence[object], _: Budget) -> object:
    return range(*(whole(one) for one in given))


def _list(given: Sequence[object], budget: Budget) -> list[object]:
    return gather(items(given[0], budget), budget) if given else []


def _tuple(given: Sequence[object], budget: Budget) -> object:
    return tuple(_list(given, budget))


def _sorted(given: Sequence[object], budget: Budget) -> object:
    return sorted(number(item) for item in _list(given, budget))


def _reversed(given: Sequence[object], budget: Budget) -> object:
    return _list(given, budget)[::-1]


def _enumerate(given: Sequence[object], budget: Budget) -> object:
    start = whole(given[1]) if len(given) > 1 else 0
    return list(enumerate(_list(given[:1], budget), start))


def _zip(given: Sequence[object], budget: Budget) -> object:
    return list(zip(*(_list([one], budget) for one in given), strict=False))


def _any(given: Sequence[object], budget: Budget) -> object:
    return any(bool(item) for item in items(given[0], budget))


def _all(given: Sequence[object], budget: Budget) -> object:
    return all(bool(item) for item in items(given[0], budget))


_Function = Callable[[Sequence[object], Budget], object]
FUNCTIONS: Final[dict[str, tuple[int, int, _Function]]] = {  # fewest and most arguments
    "abs": (1, 1, _abs),
    "all": (1, 1, _all),
    "any": (1, 1, _any),
    "bool": (1, 1, _bool),
    "divmod": (2, 2, _divmod),
    "enumerate": (1, 2, _enumerate),
    "float": (1, 1, _float),
    "int": (1, 1, _int),
    "len": (1, 1, _len),
    "list": (0, 1, _list),
    "max": (1, _MANY, _max),
    "min": (1, _MANY, _min),
    "pow": (2, 2, _pow),
    "range": (1, 3, _range),
    "reversed": (1, 1, _reversed),
    "round": (1, 2, _round),
    "sorted": (1, 1, _sorted),
    "sum": (1, 2, _sum),
    "tuple": (0, 1, _tuple),
    "zip": (1, _MANY, _zip),
}
