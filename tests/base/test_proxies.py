"""Proxies of the environment that cannot be used: the error names the variable, not its value."""

from __future__ import annotations

import os
import sys
from contextlib import closing

import httpx
import pytest

from batonq.base.download import download
from batonq.base.errors import DataError
from batonq.base.fetch import fetch
from batonq.base.proxies import proxies_named
from batonq.llm.endpoint import Endpoint

WORD = "never-shown"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No proxy from outside, and no package for SOCKS."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(sys.modules, "socksio", None)


BAD = [
    ("ALL_PROXY", f"socks5://me:{WORD}@127.0.0.1:9", "SOCKS proxy needs the package socksio"),
    ("HTTPS_PROXY", f"http://me:{WORD}#word@127.0.0.1:9", "give http://HOST:PORT"),
    ("HTTPS_PROXY", f"ftp://me:{WORD}@127.0.0.1:9", "give http://HOST:PORT"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_a_proxy_that_cannot_be_used_is_named_and_not_shown(
    name, value, said, monkeypatch, tmp_path
):
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "")  # says nothing, and is not named
    with pytest.raises(DataError, match=f"the proxy in {name} cannot be used: .*{said}") as model:
        Endpoint("https://models.example/v1", "some-model")
    with pytest.raises(DataError, match=f"the proxy in {name} cannot be used: .*{said}") as file:
        download("https://files.example/a", tmp_path / "a", 1, "0" * 64)
    with pytest.raises(DataError, match=f"the proxy in {name} cannot be used: .*{said}") as data:
        fetch("gsm8k", tmp_path)
    for error in (model.value, file.value, data.value):
        assert WORD not in str(error)
        assert error.__suppress_context__  # nor in a traceback


def test_all_variables_that_may_be_to_blame_are_named(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(DataError, match="the proxy in ALL_PROXY or HTTPS_PROXY cannot"):
        Endpoint("https://models.example/v1", "some-model")


def test_a_proxy_that_can_be_used_is(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{WORD}%23word@127.0.0.1:9")
    with closing(Endpoint("https://models.example/v1", "some-model")) as one:
        assert one.label == "some-model"
    with proxies_named(), httpx.Client() as client:
        assert client.trust_env


def test_an_endpoint_without_encryption_reads_no_proxy(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with closing(Endpoint("http://127.0.0.1:9/v1", "some-model")) as one:
        assert one.url == "http://127.0.0.1:9/v1/chat/completions"
