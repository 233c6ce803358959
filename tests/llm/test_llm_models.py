"""Models as a user names them, and keys from where they are kept."""

from __future__ import annotations

import os

import pytest
from llm_parts import request
from openai_server import serving
from pydantic import SecretStr

from batonq.base.errors import DataError
from batonq.llm.endpoint import Endpoint
from batonq.llm.gguf import GgufModel
from batonq.llm.keys import read_key
from batonq.llm.models import open_models, prices_of
from batonq.llm.prices import WEIGHTED, Price, Prices

KEY = "sk-0123456789-never-shown"
OTHER = "sk-9876543210-never-shown"


@pytest.fixture
def weights(tmp_path):
    """What looks like a model until it is loaded."""
    path = tmp_path / "Tiny Model.gguf"
    path.write_bytes(b"GGUF and nothing else")
    return path


@pytest.fixture
def opened():
    """Opens models, and closes them at the end."""
    clients = []

    def open_them(*args, **options):
        clients.extend(open_models(*args, **options))
        return clients

    yield open_them
    for client in clients:
        client.close()


def test_models_come_in_the_order_they_are_named(opened, weights):
    local, served, named = opened(
        [str(weights), "a/b@2@https://one.example/v1", "c"], base_url="https://two.example/v1/"
    )
    assert isinstance(local, GgufModel)
    assert local.label == "tiny-model"
    assert local.model == f"gguf-{local.sha256[:16]}"
    assert (served.model, served.label) == ("a/b@2", "a-b-2")
    assert served.url == "https://one.example/v1/chat/completions"
    assert (named.model, named.url) == ("c", "https://two.example/v1/chat/completions")


def test_each_key_goes_where_it_belongs(opened, monkeypatch):
    monkeypatch.setenv("SOME_KEY", OTHER)
    with serving() as one, serving() as other:
        mine, theirs = opened(["a", f"b@{other.url}#SOME_KEY"], SecretStr(KEY), one.url)
        mine.complete(request())
        theirs.complete(request())
    assert (one.keys, other.keys) == ([f"Bearer {KEY}"], [f"Bearer {OTHER}"])


def test_a_served_model_is_asked_to_stream(opened):
    with serving(lambda body: "six times seven") as server:
        (one,) = opened(["a"], base_url=server.url)
        reply = one.complete(request(alternatives=2))
    assert server.bodies[0]["stream"] is True
    assert (reply.text, reply.finish) == ("six times seven", "stop")
    assert (reply.tokens_in, reply.tokens_out, len(reply.logprobs)) == (7, 3, 3)
    assert reply.first == (("t0", 0.0), ("t1", -0.5))


def test_one_key_does_not_go_to_two_hosts():
    specs = ["a@https://one.example/v1", "b@https://one.example/v1", "c@https://two.example/v1"]
    with pytest.raises(DataError, match=r"would go to one\.example and two\.example") as error:
        open_models(specs, SecretStr(KEY))
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("name", r"'name' is no \.gguf file and has no URL"),
        ("", "is no .gguf file and has no URL"),
        ("name@http://models.example/v1", "would go unencrypted"),
        ("name@https://models.example/v1#NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE holds no key"),
        ("none.gguf", "none.gguf: cannot be read"),
    ],
)
def test_what_cannot_be_opened_is_named(spec, said, monkeypatch):
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(DataError, match=said):
        open_models([spec])


def test_no_encryption_can_be_allowed(opened):
    (one,) = opened(["name@http://models.example/v1"], plain=True)
    assert isinstance(one, Endpoint)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "text.gguf"
    path.write_text("hello")
    with pytest.raises(DataError, match="is not a GGUF file"):
        open_models([str(path)])


def test_prices_are_found_by_what_a_client_calls_its_model(opened, weights):
    local, served = opened([str(weights), "m@https://one.example/v1"])
    cents = Price("m", 1.0, 2.0, "US cents", "none", "test")
    listed = Price("tiny", 5.0, 5.0, WEIGHTED, "none", "test", 0.005)
    prices = Prices({"m": cents}, {local.sha256: listed})
    assert prices_of([local, served], prices) == {local.model: listed, "m": cents}
    mine = Price("mine", 3.0, 3.0, "US cents", "none", "electricity")
    assert prices_of([local], Prices({local.model: mine}, prices.files)) == {local.model: mine}
    with pytest.raises(DataError, match="no price is known for 'm'"):
        prices_of([served], Prices({}, {}))


def test_a_key_is_read_from_a_variable(monkeypatch):
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    assert read_key("SOME_KEY").get_secret_value() == KEY


def test_a_key_is_read_from_a_file_that_nobody_else_may_read(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    assert read_key(file=path).get_secret_value() == KEY


def test_no_key_is_no_key():
    assert read_key() is None


@pytest.mark.skipif(os.name != "posix", reason="files have no such rights here")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)
    with pytest.raises(DataError, match=r"others may read it; run: chmod 600") as error:
        read_key(file=path)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("content", ["", "  \n", "two words", "l1\nl2", "a\x00b"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path, monkeypatch, content):
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(DataError, match="holds no key") as error:
        read_key(file=path)
    assert not content.strip() or content.strip() not in str(error.value)


def test_a_key_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="none: cannot be read"):
        read_key(file=tmp_path / "none")
    path = tmp_path / "key"
    for content in (b"\xff\xfe", "clé-0123456789".encode()):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(DataError, match=r"cannot be read \(is not ASCII text"):
            read_key(file=path)


def test_a_key_named_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="named twice"):
        read_key("SOME_KEY", tmp_path / "key")


def test_a_key_does_not_show_when_it_is_printed():
    assert KEY not in f"{SecretStr(KEY)} {SecretStr(KEY)!r}"


def test_a_key_given_for_a_name_is_not_shown():
    with pytest.raises(DataError, match="is it a key") as error:
        read_key("sk-0123456789")
    assert "sk-0123456789" not in str(error.value)


def test_an_empty_variable_does_not_let_one_key_go_to_two_places():
    specs = ["a@https://h1.example/v1", "b@https://h2.example/v1#"]
    with pytest.raises(DataError, match="one key would go to"):
        open_models(specs, SecretStr("0123456789"))
