"""Optional packages: imported where they are needed, with the command that installs them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

from batonq.base.errors import DataError

DISTRIBUTIONS: Final = {"iced_x86": "iced-x86", "z3": "z3-solver"}  # where names differ


def need(module: str, extra: str = "cpu") -> ModuleType:
    """Import `module`, which comes with the optional dependencies `extra`.

    Raises:
        DataError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = DISTRIBUTIONS.get(module, module)
        raise DataError(
            f"this needs {name}, which is not installed; run: pip install 'batonq[{extra}]'"
        ) from error
