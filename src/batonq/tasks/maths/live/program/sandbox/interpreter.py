"""Runs a program by walking its tree; nothing of it is ever compiled or given to Python to run."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .allowed import NAME, is_print, parse, stored_names
from .budget import Budget, ProgramError
from .functions import FUNCTIONS, call
from .limits import Limits
from .scope import MISSING, Function, Scope, find, looked_up
from .values import arithmetic, compare, gather, index, items, key, number, put

SOLVE: Final = "solve"


@dataclass(frozen=True)
class Jump:
    """What a statement ends with if the one after it is not next."""

    to: str
    value: object = None


_BREAK: Final = Jump("break")
_CONTINUE: Final = Jump("continue")
_RETURN: Final = "return"


def interpret(source: str, limits: Limits) -> float:
    """The number that a program's function `solve()` returns.

    Of what stands outside functions only what can give a name a value is run.

    Raises:
        ProgramError: if there is none; the message says why.
    """
    try:
        return _solved(parse(source, limits), Budget(limits))
    except MemoryError:
        raise ProgramError("the program needs too much memory") from None
    except RecursionError:
        raise ProgramError("the program is nested too deeply") from None


def _solved(tree: ast.Module, budget: Budget) -> float:
    program = Scope(budget, values={NAME: "program"})
    binding = [one for one in tree.body if not isinstance(one, ast.Expr | ast.Assert)]
    if _execute(binding, program) is not None:
        raise ProgramError("the program returns outside a function, or leaves no loop")
    solve = program.values.get(SOLVE)
    if not isinstance(solve, Function):
        raise ProgramError("the program has no function solve()")
    result = _call_function(solve, (), {}, program)
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise ProgramError("solve() returns something that is not a number")
    try:
        value = float(result)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ProgramError("solve() returns a number that is not finite")
    return value


# -- statements ------------------------------------------------------------------------------------
def _execute(statements: Sequence[ast.stmt], scope: Scope) -> Jump | None:
    for statement in statements:
        scope.budget.spend()
        jump = _STATEMENTS[type(statement)](statement, scope)
        if jump is not None:
            return jump
    return None


def _define(node: ast.FunctionDef, scope: Scope) -> None:
    # Its names are looked for at each definition, which a loop of definitions has to pay for.
    scope.budget.spend(sum(1 for _ in ast.walk(node)))
    defaults = tuple(_evaluate(one, scope) for one in node.args.defaults)
    scope.values[node.name] = Function(node, defaults, scope, stored_names(node))


def _return(node: ast.Return, scope: Scope) -> Jump:
    return Jump(_RETURN, None if node.value is None else _evaluate(node.value, scope))


def _assign(node: ast.Assign, scope: Scope) -> None:
    value = _evaluate(node.value, scope)
    for target in node.targets:
        _bind(target, value, scope)


def _annotated(node: ast.AnnAssign, scope: Scope) -> None:
    if node.value is not None:
        _bind(node.target, _evaluate(node.value, scope), scope)


def _augmented(node: ast.AugAssign, scope: Scope) -> None:
    target, kind = node.target, type(node.op)
    if isinstance(target, ast.Subscript):
        holder, place = _evaluate(target.value, scope), _place(target, scope)
        old = index(holder, place)
        put(holder, place, _changed(kind, old, _evaluate(node.value, scope), scope), scope.budget)
    elif isinstance(target, ast.Name):
        old = find(target.id, scope)
        scope.values[target.id] = _changed(kind, old, _evaluate(node.value, scope), scope)


def _changed(kind: type[ast.operator], old: object, by: object, scope: Scope) -> object:
    new = arithmetic(kind, old, by, scope.budget)
    if isinstance(old, list) and isinstance(new, list):
        old[:] = new  # as in Python, all names of the list see the change
        return old
    return new


def _for(node: ast.For, scope: Scope) -> Jump | None:
    def rounds() -> Iterator[None]:
        for item in items(_evaluate(node.iter, scope), scope.budget):
            _bind(node.target, item, scope)
            yield

    return _loop(rounds(), node, scope)


def _while(node: ast.While, scope: Scope) -> Jump | None:
    def rounds() -> Iterator[None]:
        while _evaluate(node.test, scope):
            scope.budget.spend()
            yield

    return _loop(rounds(), node, scope)


def _loop(rounds: Iterator[None], node: ast.For | ast.While, scope: Scope) -> Jump | None:
    for _ in rounds:
        jump = _execute(node.body, scope)
        if jump is _BREAK:
            return None
        if jump is not None and jump is not _CONTINUE:
            return jump
    return _execute(node.orelse, scope)


def _if(node: ast.If, scope: Scope) -> Jump | None:
    return _execute(node.body if _evaluate(node.test, scope) else node.orelse, scope)


def _assert(node: ast.Assert, scope: Scope) -> None:
    if not _evaluate(node.test, scope):
        raise ProgramError("the program asserts something that does not hold")


def _expression(node: ast.Expr, scope: Scope) -> None:
    _evaluate(node.value, scope)


def _bind(target: ast.expr, value: object, scope: Scope) -> None:
    """Give a name, an item, or several of them, a value."""
    if isinstance(target, ast.Name):
        scope.values[target.id] = value
    elif isinstance(target, ast.Subscript):
        put(_evaluate(target.value, scope), _place(target, scope), value, scope.budget)
    elif isinstance(target, ast.Tuple | ast.List):
        parts = gather(items(value, scope.budget), scope.budget)
        if len(parts) != len(target.elts):
            raise ProgramError(f"the program gives {len(parts)} values to {len(target.elts)} names")
        for one, part in zip(target.elts, parts, strict=True):
            _bind(one, part, scope)


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[Any, Scope], Jump | None]]] = {
    ast.FunctionDef: _define,
    ast.Return: _return,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.For: _for,
    ast.While: _while,
    ast.If: _if,
    ast.Assert: _assert,
    ast.Expr: _expression,
    ast.Pass: lambda *_: None,
    ast.Break: lambda *_: _BREAK,
    ast.Continue: lambda *_: _CONTINUE,
}


# -- expressions -----------------------------------------------------------------------------------
def _evaluate(node: ast.expr, scope: Scope) -> object:
    scope.budget.spend()
    return _EXPRESSIONS[type(node)](node, scope)


def _constant(node: ast.Constant, _: Scope) -> object:
    return node.value


def _name(node: ast.Name, scope: Scope) -> object:
    return find(node.id, scope)


def _logic(node: ast.BoolOp, scope: Scope) -> object:
    ends_with = isinstance(node.op, ast.Or)
    value: object = None
    for part in node.values:
        value = _evaluate(part, scope)
        if bool(value) is ends_with:
            break
    return value


def _binary(node: ast.BinOp, scope: Scope) -> object:
    left, right = _evaluate(node.left, scope), _evaluate(node.right, scope)
    return arithmetic(type(node.op), left, right, scope.budget)


def _unary(node: ast.UnaryOp, scope: Scope) -> object:
    value = _evaluate(node.operand, scope)
    if isinstance(node.op, ast.Not):
        return not value
    return -number(value) if isinstance(node.op, ast.USub) else +number(value)


def _choice(node: ast.IfExp, scope: Scope) -> object:
    return _evaluate(node.body if _evaluate(node.test, scope) else node.orelse, scope)


def _comparison(node: ast.Compare, scope: Scope) -> object:
    left = _evaluate(node.left, scope)
    for operator, comparator in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(comparator, scope)
        if not compare(type(operator), left, right, scope.budget):
            return False
        left = right
    return True


def _list(node: ast.List, scope: Scope) -> object:
    return gather((_evaluate(one, scope) for one in node.elts), scope.budget)


def _tuple(node: ast.Tuple, scope: Scope) -> object:
    return tuple(gather((_evaluate(one, scope) for one in node.elts), scope.budget))


def _dictionary(node: ast.Dict, scope: Scope) -> object:
    made: dict[object, object] = {}
    for name, item in zip(node.keys, node.values, strict=True):
        if name is None:
            raise ProgramError("the program has a starred expression, which is not allowed")
        put(made, _evaluate(name, scope), _evaluate(item, scope), scope.budget)
    return made


def _item(node: ast.Subscript, scope: Scope) -> object:
    holder = _evaluate(node.value, scope)
    if not isinstance(node.slice, ast.Slice):
        return index(holder, _place(node, scope))
    if not isinstance(holder, list | tuple):
        raise ProgramError("the program takes a part of something that is not a list")
    scope.budget.spend(len(holder))
    ends = (node.slice.lower, node.slice.upper, node.slice.step)
    first, last, step = (None if one is None else _evaluate(one, scope) for one in ends)
    return _part(holder, first, last, step)


def _place(node: ast.Subscript, scope: Scope) -> object:
    if isinstance(node.slice, ast.Slice):
        raise ProgramError("the program sets a part of a list, which is not allowed")
    return key(_evaluate(node.slice, scope))


def _part(holder: Any, first: object, last: object, step: object) -> object:
    if any(one is not None and not isinstance(one, int) for one in (first, last, step)):
        raise ProgramError("the program takes a part of a list by something not whole")
    if step == 0:
        raise ProgramError("the program takes a part of a list in steps of 0")
    return holder[slice(first, last, step)]


def _comprehension(node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> object:
    stored = frozenset(
        part.id
        for one in node.generators
        for part in ast.walk(one.target)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    )
    inner = Scope(scope.budget, stored, scope, scope.depth)
    return gather(_comprehended(node.elt, node.generators, inner, scope), scope.budget)


def _comprehended(
    element: ast.expr, generators: Sequence[ast.comprehension], scope: Scope, outer: Scope
) -> Iterator[object]:
    if not generators:
        yield _evaluate(element, scope)
        return
    one = generators[0]
    for item in items(_evaluate(one.iter, outer), scope.budget):
        _bind(one.target, item, scope)
        if all(_evaluate(condition, scope) for condition in one.ifs):
            yield from _comprehended(element, generators[1:], scope, scope)


def _call(node: ast.Call, scope: Scope) -> object:
    if is_print(node):
        return None
    assert isinstance(node.func, ast.Name)  # noqa: S101 - nothing else is allowed
    name = node.func.id
    function = looked_up(name, scope)
    given = [_evaluate(one, scope) for one in node.args]
    named = {str(one.arg): _evaluate(one.value, scope) for one in node.keywords}
    if isinstance(function, Function):
        return _call_function(function, given, named, scope)
    if function is not MISSING or name not in FUNCTIONS:
        raise ProgramError(f"the program calls '{name}', which is not a function")
    if named:
        raise ProgramError(f"the program calls {name}() with '{next(iter(named))}='")
    return call(name, given, scope.budget)


def _call_function(
    function: Function, given: Sequence[object], named: dict[str, object], scope: Scope
) -> object:
    if scope.depth >= scope.budget.limits.depth:
        raise ProgramError("the program calls its functions too deeply inside one another")
    names = [argument.arg for argument in function.node.args.args]
    defaults = zip(reversed(names), reversed(function.defaults), strict=False)
    values = dict(defaults) | dict(zip(names, given, strict=False)) | named
    twice = set(names[: len(given)]) & set(named)
    if len(given) > len(names) or set(values) != set(names) or twice:
        raise ProgramError(f"the program calls {function.node.name}() with other arguments")
    inner = Scope(scope.budget, function.local, function.scope, scope.depth + 1, values)
    jump = _execute(function.node.body, inner)
    if jump is _BREAK or jump is _CONTINUE:
        raise ProgramError("the program leaves a loop where it is in none")
    return None if jump is None else jump.value


_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[Any, Scope], object]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BoolOp: _logic,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.IfExp: _choice,
    ast.Compare: _comparison,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Dict: _dictionary,
    ast.Subscript: _item,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Call: _call,
}
