"""A model in a GGUF file, run in this process by llama.cpp (`xllamacpp`, extra `llm`)."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from pathlib import Path
from typing import Any, Final

from batonq.base.errors import CallError, DataError, RequestError
from batonq.base.extras import need
from batonq.base.files import Json
from batonq.llm.completion import read_reply
from batonq.llm.request import Reply, Request

CONTEXT: Final = 2048  # tokens of prompt and reply together
_BLOCK: Final = 1 << 22  # bytes read at a time
_MAGIC: Final = b"GGUF"
_QUIET: Final = -1


class GgufModel:
    """One GGUF file, loaded at the first call; one call at a time.

    Args:
        path: the file.
        threads: threads it computes with. They spin while they wait for each other: never more
            than there are idle cores.

    Attributes:
        label: the file's name without its suffix, in small letters.
        path: the file.
        sha256: its checksum.
        model: `gguf-` and the checksum's first 16 digits.
        url: none.

    Raises:
        DataError: if it is no GGUF file.
    """

    url: Final = ""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        self.label = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower())
        self.sha256 = _checksum(path)
        self.model = f"gguf-{self.sha256[:16]}"
        self._threads = threads
        self._lock = threading.Lock()
        self._server: Any = None

    def complete(self, request: Request) -> Reply:
        """Make the call; see `Client`."""
        asked: dict[str, Json] = {
            "messages": request.messages(),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "cache_prompt": True,  # what two prompts begin with alike is read once
            "logprobs": True,
            "top_logprobs": max(1, request.alternatives),  # with 0, llama.cpp tells none at all
        }
        with self._lock:
            server = self._server or self._load()
            start = time.perf_counter()
            try:
                answer: Json = server.handle_chat_completions(asked)
            except Exception as error:  # the binding raises whatever the engine throws
                raise RequestError(f"{self.path}: the model failed ({error})") from error
            seconds = time.perf_counter() - start
        if isinstance(answer, dict) and answer.get("error"):  # too long a prompt, say
            raise RequestError(f"{self.path}: the model failed ({str(answer['error'])[:200]})")
        try:
            return read_reply(answer, request, seconds)
        except ValueError as error:
            raise CallError(f"{self.path}: the model's answer {error}") from error

    def close(self) -> None:
        """Let go of the model's memory."""
        with self._lock:
            self._server = None

    def _load(self) -> Any:
        xllamacpp = need("xllamacpp", "llm")
        params = xllamacpp.CommonParams()
        params.model.path = str(self.path)
        params.n_parallel = 1
        params.n_ctx = CONTEXT
        params.n_gpu_layers = 0
        params.warmup = False
        params.cache_ram_mib = 0  # no copies of earlier prompts beside the one in use
        params.verbosity = _QUIET
        params.cpuparams.n_threads = self._threads
        params.cpuparams_batch.n_threads = self._threads
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:  # as above
            raise DataError(
                f"{self.path}: llama.cpp cannot load it ({error}); give a whole GGUF file of a "
                "chat model"
            ) from error
        return self._server


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            block = stream.read(_BLOCK)
            if block[:4] != _MAGIC:
                raise DataError(f"{path}: is not a GGUF file; give the weights of a model in GGUF")
            while block:
                digest.update(block)
                block = stream.read(_BLOCK)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()
