"""Proxies of the environment, where they cannot be used: named, and never shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from batonq.base.errors import DataError

_VARIABLES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@contextmanager
def proxies_named() -> Iterator[None]:
    """Around the making of an HTTP client, which reads the proxies.

    Raises:
        DataError: if one cannot be used. It names the variables: a value may hold a password.
    """
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        names = [name for name in os.environ if name.lower() in _VARIABLES and os.environ[name]]
        where = " or ".join(sorted(names)) or "the settings of the system"
        if isinstance(error, ImportError):
            way = "a SOCKS proxy needs the package socksio; install it"
        else:
            way = "give http://HOST:PORT, with %23 and the like for the signs of a password"
        # What httpx says may hold a part of the password, so that it is not passed on.
        raise DataError(f"the proxy in {where} cannot be used: {way}, or unset it") from None
