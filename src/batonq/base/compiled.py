"""The compiler of the hot loops, in one place and with its type kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.extending import intrinsic, overload

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile `function` with Numba: cached on disk, free of the interpreter lock, IEEE order.

    Reassociation (`fastmath`) stays off, so that a kernel gives the same bits as the same Python
    run uncompiled. It is turned off by name, or else Numba would take it over from a `summing`
    caller that is compiled first, and keep the result for everybody. With ``NUMBA_DISABLE_JIT=1``
    the function is returned as it is.
    """
    strict = numba.njit(cache=True, nogil=True, forceinline=True, fastmath=False)
    return cast(F, strict(function))


def summing(function: F) -> F:
    """`compiled`, with leave to add in another order and to fuse products into sums.

    For long sums, which only then use the whole width of the processor. The results differ from
    the uncompiled ones by rounding, never between two runs on one machine; not-a-number and
    infinity keep their meaning, as nothing else of `fastmath` is on.
    """
    loose = {"reassoc", "contract", "nsz"}
    loosely = numba.njit(
        cache=True, nogil=True, forceinline=True, fastmath=loose, error_model="numpy"
    )
    return cast(F, loosely(function))


def borrowed(array: np.ndarray) -> np.ndarray:
    """Return the same array without its reference count, for use inside one compiled function.

    Numba counts references to an array atomically wherever it is passed on or taken out of a
    list, which costs a kernel that does so per handoff two thirds of its time. A borrowed array is
    not counted; it is valid as long as the caller holds the original, hence never return one.
    Uncompiled it is the array itself.
    """
    return array


def _uncounted_code(_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        view = context.make_array(array)(context, builder, arguments[0])
        view.meminfo = view.meminfo.type(None)
        view.parent = view.parent.type(None)
        return view._getvalue()

    return array(array), generate


_uncounted: Any = intrinsic(_uncounted_code)


@overload(borrowed, inline="always")
def _borrowed(array: Any) -> Any:
    del array

    def implementation(array: Any) -> Any:
        return _uncounted(array)

    return implementation
