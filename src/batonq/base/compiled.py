"""The compiler of the hot loops, in one place and with its type kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile `function` with Numba: cached on disk, free of the interpreter lock, IEEE order.

    Reassociation (`fastmath`) stays off, so that a kernel gives the same bits as the same Python
    run uncompiled. With ``NUMBA_DISABLE_JIT=1`` the function is returned as it is.
    """
    return cast(F, numba.njit(cache=True, nogil=True, forceinline=True)(function))
