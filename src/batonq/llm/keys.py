"""The key of an endpoint, from the environment or a file; it shows nowhere."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from batonq.base.errors import DataError
from batonq.base.files import read_private


def read_key(variable: str | None = None, file: Path | None = None) -> SecretStr | None:
    """The key in an environment variable, or in a file; None if neither is named.

    Raises:
        DataError: if both are named, there is no key there, or others may read the file.
    """
    if variable is not None and file is not None:
        raise DataError(f"the key is named twice: variable {variable} and {file}; name one")
    if variable is not None and not variable.isidentifier():
        raise DataError(
            "the name given for the key's environment variable is no name; is it a key?"
        )
    if variable is not None:
        return _checked(os.environ.get(variable, ""), f"the environment variable {variable}")
    return None if file is None else _checked(read_private(file), str(file))


def _checked(text: str, where: str) -> SecretStr:
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise DataError(f"{where} holds no key; put the key of the endpoint there, and only that")
    return SecretStr(key)
