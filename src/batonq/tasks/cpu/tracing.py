"""Expressions from a Python function: it is called once, with symbolic words as its arguments.

    def clamped(x, low, high):
        return smin(smax(x, low), high)

Words take + - * & | ^ ~ << >> and comparisons (of unsigned words, giving 1 or 0), also with whole
numbers; `FUNCTIONS` of `expression` are here as functions of words. A word has no truth value, as
it stands for all words at once: instead of ``if``, write ``where(condition, one, other)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from batonq.base.errors import DataError
from batonq.tasks.cpu.expression import FUNCTIONS, Expression, Name, apply, constant

_BY_POSITION: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Word:
    """A symbolic word: what an expression stands for, with Python's operators."""

    def __init__(self, expression: Expression) -> None:
        self.expression: Final = expression

    def __bool__(self) -> bool:
        raise DataError(
            "a symbolic word has no truth value (if, while, and, or, not, min, max, a < b < c "
            "ask for one); use where(condition, one, other), & and |, smin or umax instead"
        )

    def __index__(self) -> int:
        raise DataError(
            "a symbolic word is no number Python could count with; use a constant there"
        )


def _expression(value: object) -> Expression:
    if isinstance(value, Word):
        return value.expression
    if isinstance(value, int):
        return constant(value)
    raise DataError(f"a {type(value).__name__} among words; use words and whole numbers only")


def _lifted(make: Callable[..., Expression]) -> Callable[..., Word]:
    """A maker of expressions as a function of words and whole numbers."""
    return lambda *values: Word(make(*map(_expression, values)))


def _with_operators() -> None:
    binary = {
        **{name: name for name in ("add", "sub", "mul", "and", "or", "xor")},
        **{"lshift": "shl", "rshift": "shr"},
    }
    for name, operation in binary.items():
        operate = _lifted(partial(apply, operation))
        setattr(Word, f"__{name}__", lambda a, b, operate=operate: operate(a, b))
        setattr(Word, f"__r{name}__", lambda a, b, operate=operate: operate(b, a))
    for name, operation in {"invert": "not", "neg": "neg"}.items():
        operate = _lifted(partial(apply, operation))
        setattr(Word, f"__{name}__", lambda a, operate=operate: operate(a))
    compared = {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule"}
    for name, function in compared.items():
        operate = _lifted(FUNCTIONS[function][0])
        setattr(Word, f"__{name}__", lambda a, b, operate=operate: operate(a, b))
    for name, function in {"gt": "ult", "ge": "ule"}.items():
        operate = _lifted(FUNCTIONS[function][0])
        setattr(Word, f"__{name}__", lambda a, b, operate=operate: operate(b, a))


_with_operators()

sar, rol, ror, where = (_lifted(FUNCTIONS[name][0]) for name in ("sar", "rol", "ror", "where"))
eq, ne, slt, sle, ult, ule = (
    _lifted(FUNCTIONS[name][0]) for name in ("eq", "ne", "slt", "sle", "ult", "ule")
)
smin, smax, umin, umax = (_lifted(FUNCTIONS[name][0]) for name in ("smin", "smax", "umin", "umax"))


def traced(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[Expression, ...]]:
    """Call `function` with one symbolic word for each of its parameters.

    Args:
        function: takes words, by position; returns a word, a whole number, or a tuple of them.

    Returns:
        The names of its parameters, and what it returns as expressions over them.

    Raises:
        DataError: it takes no words, asks for the truth of one, does with them what they cannot
            do, or returns something else.
    """
    name = getattr(function, "__name__", "the function")
    parameters = inspect.signature(function).parameters.values()
    if not parameters or any(one.kind not in _BY_POSITION for one in parameters):
        raise DataError(f"{name}: its parameters must be the inputs, one each, and at least one")
    names = tuple(one.name for one in parameters)
    try:
        value = function(*(Word(Name(one)) for one in names))
        results = tuple(map(_expression, value if isinstance(value, tuple | list) else (value,)))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except Exception as error:
        raise DataError(
            f"{name}: cannot be called with symbolic words ({type(error).__name__}: {error}); "
            "use + - * & | ^ ~ << >>, comparisons, and the functions of tracing"
        ) from error
    if not results:
        raise DataError(f"{name}: returns nothing; return a word or a tuple of words")
    return names, results
