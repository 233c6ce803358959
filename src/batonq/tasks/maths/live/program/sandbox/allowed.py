"""What a program may be made of: read before any of it runs; what is not listed is refused."""

from __future__ import annotations

import ast
import unicodedata  # noqa: F401 - the parser imports it for names such as ｅｖａｌ: no longer possible then
from collections.abc import Iterator
from typing import Final

from .budget import ProgramError
from .functions import FUNCTIONS
from .limits import Limits

PRINT: Final = "print"  # a call of it does nothing, so what it is given is not even looked at
NAME: Final = "__name__"  # so that `if __name__ == "__main__":` reads as it does in a module
_NODES: Final = (
    *(ast.FunctionDef, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While),
    *(ast.If, ast.Assert, ast.Expr, ast.Pass, ast.Break, ast.Continue),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Dict, ast.ListComp, ast.GeneratorExp),
    *(ast.Compare, ast.Call, ast.keyword, ast.Constant, ast.Subscript, ast.Slice, ast.Name),
    *(ast.List, ast.Tuple, ast.comprehension, ast.Load, ast.Store, ast.And, ast.Or),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.Not, ast.UAdd, ast.USub, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
    *(ast.Is, ast.IsNot, ast.In, ast.NotIn),
)
_WORDS: Final[dict[type[ast.AST], str]] = {
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.Attribute: "an attribute (a name after a dot)",
    ast.Lambda: "a lambda",
    ast.ClassDef: "a class",
    ast.JoinedStr: "an f-string",
    ast.Try: "try",
    ast.Raise: "raise",
    ast.With: "with",
    ast.Delete: "del",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Starred: "a starred expression",
    ast.NamedExpr: "an assignment inside an expression",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Match: "match",
    ast.AsyncFunctionDef: "async",
    ast.Await: "await",
}


def parse(source: str, limits: Limits) -> ast.Module:
    """The tree of a program that is made of allowed parts only.

    Raises:
        ProgramError: if it is too long, is not Python, or holds anything else.
    """
    if len(source) > limits.characters:
        raise ProgramError(f"the program is longer than {limits.characters} characters")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        where = f"line {error.lineno} of the program" if error.lineno else "the program"
        raise ProgramError(f"{where} is not Python") from None
    except (ValueError, MemoryError, RecursionError):  # null bytes, surrogates, deep nesting
        raise ProgramError("the program cannot be read as Python") from None
    bound = set(FUNCTIONS) | {NAME}
    used: list[ast.Name] = []
    for node in _walk(tree):
        _check(node, limits)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used.append(node)
        bound.update(_bound(node))
    if PRINT in bound:
        raise ProgramError("the program gives 'print' another meaning")
    for name in used:
        if name.id not in bound:
            raise ProgramError(f"line {name.lineno} uses '{name.id}', which it does not define")
    return tree


def is_print(node: ast.AST) -> bool:
    """Whether this is a call of `print`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == PRINT


def stored_names(function: ast.FunctionDef) -> frozenset[str]:
    """The names that are local to a function: its arguments, and what its own body binds."""
    names = {argument.arg for argument in function.args.args}
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif not isinstance(node, ast.ListComp | ast.GeneratorExp):
            names.update(_bound(node))
            waiting.extend(_parts(node))
    return frozenset(names)


def _walk(tree: ast.Module) -> Iterator[ast.AST]:
    """Go through a program in the order in which it is written, so that the first fault is told."""
    # With a list of what is still to come: a deep tree must not use up the stack.
    waiting: list[ast.AST] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(_parts(node)))


def _parts(node: ast.AST) -> list[ast.AST]:
    """What of a node is looked at and run: not its annotations, nor what is only printed."""
    if is_print(node):
        return []
    if isinstance(node, ast.FunctionDef):
        return [*node.args.defaults, *node.body]
    if isinstance(node, ast.AnnAssign):
        return [node.target, *([node.value] if node.value else [])]
    return list(ast.iter_child_nodes(node))


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return [node.name, *(argument.arg for argument in node.args.args)]
    return [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []


def _check(node: ast.AST, limits: Limits) -> None:
    if not isinstance(node, _NODES):
        _refuse(node, _WORDS.get(type(node), f"something ({type(node).__name__})"))
    if isinstance(node, ast.FunctionDef):
        given = node.args
        if node.decorator_list:
            _refuse(node, "a decorator")
        twice = len({one.arg for one in given.args}) < len(given.args)
        if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or twice:
            _refuse(node, "a function with other than plain arguments")
    elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
        # Where a method is called, the reason is the attribute, which a model can understand.
        _refuse(node, _WORDS.get(type(node.func), "a call of something without a name"))
    elif isinstance(node, ast.keyword) and node.arg is None:
        _refuse(node, _WORDS[ast.Starred])
    elif isinstance(node, ast.comprehension) and node.is_async:
        _refuse(node, "async")
    elif isinstance(node, ast.Constant):
        _check_constant(node, limits)


def _check_constant(node: ast.Constant, limits: Limits) -> None:
    value = node.value
    if value is not None and not isinstance(value, int | float | str):
        _refuse(node, f"something ({type(value).__name__})")
    if isinstance(value, int) and abs(value) >= 10**limits.digits:
        _refuse(node, f"a number of more than {limits.digits} digits")


def _refuse(node: ast.AST, what: str) -> None:
    line = f"line {node.lineno}" if hasattr(node, "lineno") else "the program"
    raise ProgramError(f"{line} has {what}, which is not allowed")
