"""The client against a real Ollama with a real model; few tokens, since it generates some tens in a second."""

from __future__ import annotations

import threading
import time

import psutil
import pytest

from smallenough.contracts.model_client import ModelClientContract
from smallenough.errors import ModelTimeout, ModelUnavailable
from smallenough.models.balanced import BalancedClient
from smallenough.models.ollama import OllamaClient
from smallenough.protocols import ModelClient
from smallenough.records import Request, replace
from tests.models.conftest import Connect

pytestmark = pytest.mark.ollama


@pytest.fixture
def real(ollama_url: str, connect: Connect) -> OllamaClient:
    return connect(ollama_url)


class TestOllama(ModelClientContract):
    @pytest.fixture
    def client(self, real: OllamaClient) -> ModelClient:
        return real

    @pytest.fixture
    def request_(self, hello: Request) -> Request:
        return hello


class TestBalancedOllama(TestOllama):
    @pytest.fixture
    def client(self, ollama_url: str, connect: Connect) -> ModelClient:
        return BalancedClient([connect(ollama_url), connect(ollama_url)])


def test_the_model_is_described_exactly(real: OllamaClient) -> None:
    info = real.describe("smollm2:135m")
    assert info.parameters == 134_515_008
    assert info.quantization == "Q4_1"
    assert info.family == "llama"
    assert info.context_length == 8192
    assert info.digest is not None
    assert len(info.digest) == 64
    assert info.size_bytes is not None
    assert info.size_bytes > 50_000_000
    assert info.version == real.health()
    assert info.server == real.url


def test_the_server_s_counters_agree_with_the_clock(real: OllamaClient, hello: Request) -> None:
    completion = real.generate(hello)
    spent = (completion.load_seconds, completion.prompt_seconds, completion.generate_seconds)
    assert all(part is not None for part in spent)
    assert 0 < sum(part or 0 for part in spent) <= completion.seconds
    assert completion.tokens_per_second
    assert completion.finish == "length"
    assert completion.tokens_out == hello.sampling.max_tokens


def test_a_deadline_and_a_cancel_end_a_generation_at_once(real: OllamaClient, hello: Request) -> None:
    long = replace(hello, sampling=replace(hello.sampling, max_tokens=2000), deadline=0.4)
    started = time.monotonic()
    with pytest.raises(ModelTimeout):
        real.generate(long)
    assert time.monotonic() - started < 1.2
    seen: list[float] = []

    def cancel() -> None:
        if not seen:
            seen.append(time.monotonic())
            threading.Thread(target=real.cancel).start()

    with pytest.raises(ModelUnavailable, match="cancelled"):
        real.generate(replace(long, deadline=None), cancel)
    assert time.monotonic() - seen[0] < 0.5


def test_an_unloaded_model_is_gone_from_memory(real: OllamaClient, hello: Request) -> None:
    real.generate(hello)
    assert "smollm2:135m" in real.loaded()
    (server,) = real.processes() or ()
    process = psutil.Process(server)
    assert "ollama" in process.name()
    runners = process.children()
    assert runners
    real.unload("smollm2:135m")
    assert "smollm2:135m" not in real.loaded()
    assert not [runner for runner in runners if runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE]
