"""The guarantee: how far what was learnt may be from the optimum, in three terms.

`batonq.bound(...)` is `batonq.bound.terms.bound`: the package itself can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A module that is called as its main function, so that one name serves both."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from batonq.bound.terms import bound

        return bound(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
