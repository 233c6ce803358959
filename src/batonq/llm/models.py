"""Clients from what a user names: GGUF files, and models behind an endpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
from pydantic import SecretStr

from batonq.base.errors import DataError
from batonq.llm.endpoint import Endpoint, checked_url
from batonq.llm.gguf import GgufModel
from batonq.llm.keys import read_key
from batonq.llm.prices import Price, Prices
from batonq.llm.request import Client

_SERVED: Final = re.compile(r"(?P<name>.+)@(?P<url>https?://.+)")


def open_models(
    specs: Sequence[str],
    key: SecretStr | None = None,
    base_url: str | None = None,
    threads: int = 1,
    plain: bool = False,
) -> list[Client]:
    """Clients of the models named, in that order.

    A model is the path of a .gguf file, `NAME@URL` with the URL before `/chat/completions`, or
    `NAME` alone with a `base_url`. `NAME@URL#VARIABLE` has a key of its own, in that environment
    variable; all others share `key`, which must not go to two places.

    Args:
        specs: the models.
        key: of the endpoint.
        base_url: of the models named alone.
        threads: threads that a local model computes with.
        plain: whether http without encryption will do for other machines than this one.

    Raises:
        DataError: if a model cannot be had as it is named.
    """
    places = [_place(spec, base_url) for spec in specs]
    if key is not None:
        _one_place(
            [url for _, url in places if url is not None and not url.partition("#")[2]], plain
        )
    return [_client(name, url, key, threads, plain) for name, url in places]


def prices_of(clients: Sequence[Client], prices: Prices) -> dict[str, Price]:
    """The price of each client, by its `model`; one in a price file counts before a file's own.

    Raises:
        DataError: if one has none.
    """
    return {client.model: _price(client, prices) for client in clients}


def _place(spec: str, base_url: str | None) -> tuple[str, str | None]:
    """Name and URL of a model; a path and None of a local one."""
    served = _SERVED.fullmatch(spec)
    if served is not None:
        return served["name"], served["url"]
    if spec.endswith(".gguf"):
        return spec, None
    if base_url is None:
        raise DataError(
            f"'{spec}' is no .gguf file and has no URL; give NAME@https://HOST/v1, or --base-url"
        )
    return spec, base_url


def _one_place(urls: Sequence[str], plain: bool) -> None:
    hosts = sorted({httpx.URL(checked_url(url, plain)).netloc.decode() for url in urls})
    if len(hosts) > 1:
        raise DataError(
            f"one key would go to {' and '.join(hosts)}; give each its own: NAME@URL#VARIABLE"
        )


def _client(name: str, url: str | None, key: SecretStr | None, threads: int, plain: bool) -> Client:
    if url is None:
        return GgufModel(Path(name), threads)
    address, _, variable = url.partition("#")
    own = read_key(variable) if variable else key
    return Endpoint(address, name, own, stream=True, plain=plain)


def _price(client: Client, prices: Prices) -> Price:
    if isinstance(client, GgufModel) and client.model not in prices.models:
        return prices.local(client.path, client.sha256)
    return prices.hosted(client.model)
