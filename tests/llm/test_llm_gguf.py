"""A model in this process: real weights where BATONQ_TEST_GGUF names a file."""

from __future__ import annotations

import hashlib
import math

import pytest

from batonq.base.errors import CallError, DataError
from batonq.llm.cache import Cache
from batonq.llm.calls import Calls
from batonq.llm.gguf import GgufModel
from batonq.llm.models import open_models, prices_of
from batonq.llm.prices import WEIGHTED, load_prices
from batonq.llm.request import CUT, ENDED, Request


@pytest.fixture(scope="module")
def model(gguf_file):
    """The model, loaded at its first call."""
    loaded = GgufModel(gguf_file)
    yield loaded
    loaded.close()


def asked(model: GgufModel, **fields: object) -> Request:
    return Request(
        **{
            "model": model.model,
            "system": "You are a helpful assistant.",
            "prompt": "Say hello.",
            "max_tokens": 12,
        }
        | fields
    )


def test_a_file_is_known_by_its_checksum(tmp_path):
    path = tmp_path / "Some Model-Q4.gguf"
    content = b"GGUF" + bytes(range(256)) * 100
    path.write_bytes(content)
    one = GgufModel(path)
    assert one.sha256 == hashlib.sha256(content).hexdigest()
    assert (one.model, one.label) == (f"gguf-{one.sha256[:16]}", "some-model-q4")
    one.close()


@pytest.mark.parametrize("content", [b"", b"GG", b"ggml and more", b"hello"])
def test_what_is_no_gguf_file_is_refused(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.gguf: is not a GGUF file"):
        GgufModel(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.gguf: cannot be read"):
        GgufModel(tmp_path / "none.gguf")
    with pytest.raises(DataError, match="cannot be read"):
        GgufModel(tmp_path)


def test_a_reply_says_what_it_took_and_how_sure_each_token_was(model):
    reply = model.complete(asked(model))
    assert reply.text.strip()
    assert reply.finish in (ENDED, CUT)
    assert reply.tokens_in > 5
    assert 1 <= reply.tokens_out <= 12
    assert reply.seconds > 0
    assert reply.tokens_out - 1 <= len(reply.logprobs) <= reply.tokens_out
    assert all(value <= 1e-4 for value in reply.logprobs)
    assert reply.first == ()


def test_the_likeliest_first_tokens_are_told_where_asked_for(model):
    reply = model.complete(asked(model, alternatives=5, max_tokens=1))
    likely = [value for _, value in reply.first]
    assert len(likely) == 5
    assert likely == sorted(likely, reverse=True)
    assert sum(map(math.exp, likely)) <= 1 + 1e-6
    assert reply.logprobs[0] == pytest.approx(likely[0], abs=1e-3)


def test_a_reply_stops_at_its_longest(model):
    reply = model.complete(asked(model, prompt="Count from 1 to 100.", max_tokens=4))
    assert (reply.finish, reply.tokens_out) == (CUT, 4)


def test_the_same_request_gives_the_same_text(model):
    other = model.complete(asked(model, prompt="What is the capital of France?"))
    first = model.complete(asked(model))
    second = model.complete(asked(model))
    assert (first.text, first.logprobs) == (second.text, second.logprobs)
    assert model.complete(asked(model, prompt="What is the capital of France?")).text == other.text


def test_a_call_is_kept_with_what_it_weighs(model, gguf_file, tmp_path):
    clients = open_models([str(gguf_file)])
    prices = prices_of(clients, load_prices())
    price = prices[model.model]
    with Cache(tmp_path / "calls.db") as cache, Calls(clients, cache, prices) as calls:
        first, second = calls.ask(asked(model)), calls.ask(asked(model))
        total = first.reply.tokens_in + first.reply.tokens_out
        assert (first.cached, second.cached, calls.unit) == (False, True, WEIGHTED)
        assert second.reply == first.reply
        assert first.cost == pytest.approx(price.parameters * total / 1000, rel=1e-9)
        assert calls.spent() == first.cost


def test_a_closed_model_is_loaded_again_when_it_is_asked(model):
    before = model.complete(asked(model))
    model.close()
    assert model.complete(asked(model)).text == before.text


def test_a_prompt_longer_than_its_context_is_an_error(model):
    with pytest.raises(CallError, match="the model"):
        model.complete(asked(model, prompt="word " * 4000))


def test_a_file_that_is_cut_short_is_refused(gguf_file, tmp_path):
    path = tmp_path / "cut.gguf"
    with gguf_file.open("rb") as whole:
        path.write_bytes(whole.read(1 << 20))
    one = GgufModel(path)
    with pytest.raises(DataError, match=r"cut\.gguf: llama\.cpp cannot load it"):
        one.complete(asked(one))
