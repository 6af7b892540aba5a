"""The embedded engine with a real model in its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from smallenough.contracts.model_client import ModelClientContract
from smallenough.errors import InputError, MissingPackage, ModelError, ModelOutOfMemory, ModelTimeout, ModelUnavailable
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.protocols import ModelClient
from smallenough.records import Completion, Message, Request, Sampling, replace
from smallenough.resources.processes import ProcessProbe, tree_pss

pytestmark = pytest.mark.engine

MODEL = "smollm2:135m"
QUESTIONS = (
    "Say hello.",
    "What is 2 + 3?",
    "Write a Python function that returns the sum of a list of numbers, and explain in one sentence how it works.",
    "Name three colours.",
    "Complete: def is_even(n):",
    "Why is the sky blue? Answer for a child, then for a physicist, then for a poet, in one sentence each, please.",
    "List the first five primes.",
    "Translate 'good morning' into French.",
)


@pytest.fixture(scope="module")
def engine(engine_cache: Path) -> Iterator[HuggingFaceClient]:
    """One client for the tests here: starting an engine takes seconds."""
    client = HuggingFaceClient(engine_cache)
    yield client
    client.close()


@pytest.fixture
def own(engine_cache: Path) -> Iterator[HuggingFaceClient]:
    """A client for a test that ends engines."""
    client = HuggingFaceClient(engine_cache)
    yield client
    client.close()


def ask(question: str, **sampling: object) -> Request:
    settings = {"temperature": 0.0, "max_tokens": 24, "seed": 7} | sampling
    return Request(MODEL, (Message("user", question),), Sampling(**settings), 120.0, question)  # type: ignore[arg-type]


def together(client: ModelClient, requests: list[Request]) -> list[Completion]:
    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(client.generate, requests))


class TestHuggingFace(ModelClientContract):
    @pytest.fixture
    def client(self, engine: HuggingFaceClient) -> ModelClient:
        return engine

    @pytest.fixture
    def request_(self, hello: Request) -> Request:
        return hello


def test_the_model_is_described_exactly(engine: HuggingFaceClient) -> None:
    info = engine.describe(MODEL)
    assert (info.parameters, info.context_length, info.family) == (134_515_008, 8192, "llama")
    assert (info.quantization, info.dtype in ("float32", "bfloat16")) == ("Q4_1", True)
    assert info.digest is not None
    assert len(info.digest) == 64
    assert info.size_bytes is not None
    assert info.size_bytes > 500_000_000
    assert "torch" in (info.version or "")
    assert "transformers" in (info.version or "")


def test_4_bits_are_refused_where_they_can_t_work(engine: HuggingFaceClient) -> None:
    with pytest.raises((InputError, MissingPackage)) as told:
        engine.describe(f"{MODEL}@4bit")
    wanted = "4 bits take a CUDA GPU" if find_spec("bitsandbytes") else "bitsandbytes is not installed"
    assert wanted in str(told.value)


@pytest.mark.parametrize("temperature", [0.0, 0.9], ids=["greedy", "sampled"])
def test_an_answer_is_the_same_alone_and_in_any_batch(engine: HuggingFaceClient, temperature: float) -> None:
    requests = [
        ask(question, temperature=temperature, top_p=0.95, seed=number, max_tokens=6 + 5 * number)
        for number, question in enumerate(QUESTIONS)
    ]
    alone = [engine.generate(request) for request in requests]
    batched = together(engine, requests + requests[::-1])
    texts = [completion.text for completion in alone]
    assert [completion.text for completion in batched] == texts + texts[::-1]
    assert [completion.tokens_out for completion in batched[: len(texts)]] == [one.tokens_out for one in alone]


def test_a_seed_decides_what_is_sampled(engine: HuggingFaceClient) -> None:
    one, again, other, *free = together(
        engine, [ask(QUESTIONS[5], temperature=1.0, seed=seed) for seed in (1, 1, 2, None, None)]
    )
    assert one.text == again.text != other.text
    assert free[0].text != free[1].text


def test_a_narrow_nucleus_is_as_good_as_greedy(engine: HuggingFaceClient) -> None:
    greedy, narrow = together(engine, [ask(QUESTIONS[2]), ask(QUESTIONS[2], temperature=1.5, top_p=1e-6)])
    assert narrow.text == greedy.text


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(engine: HuggingFaceClient) -> None:
    whole = engine.generate(ask(QUESTIONS[2], max_tokens=40))
    stop = whole.text[20:27]
    cut = engine.generate(ask(QUESTIONS[2], max_tokens=40, stop=(stop, "never said")))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert (cut.finish, whole.finish) == ("stop", "length")
    assert cut.tokens_out is not None
    assert whole.tokens_out is not None
    assert cut.tokens_out < whole.tokens_out == 40


def test_the_counters_agree_with_the_clock(engine: HuggingFaceClient) -> None:
    completion = engine.generate(ask(QUESTIONS[0], max_tokens=5))
    assert completion.prompt_seconds is not None
    assert completion.generate_seconds is not None
    assert 0 < completion.prompt_seconds + completion.generate_seconds <= completion.seconds
    assert completion.load_seconds == 0
    assert completion.tokens_per_second


def test_a_prompt_longer_than_the_context_is_told(engine: HuggingFaceClient) -> None:
    with pytest.raises(ModelError, match=rf"{MODEL}: the prompt has \d+ tokens, and the context is 16: shorten"):
        engine.generate(ask(QUESTIONS[2], context=16))
    with pytest.raises(ModelError, match="the context is 8192"):
        engine.generate(ask("word " * 9000))


def test_the_end_of_the_context_ends_the_answer(engine: HuggingFaceClient) -> None:
    completion = engine.generate(ask(QUESTIONS[2], context=64, max_tokens=None))
    assert completion.finish == "length"
    assert completion.tokens_in is not None
    assert completion.tokens_out == 64 - completion.tokens_in


def test_a_deadline_and_a_cancel_end_a_generation_at_once(engine: HuggingFaceClient) -> None:
    long = replace(ask(QUESTIONS[5], max_tokens=2000, temperature=1.0), deadline=0.5)
    started = time.monotonic()
    with pytest.raises(ModelTimeout, match=r"within 0\.5 s"):
        engine.generate(long)
    assert time.monotonic() - started < 1.0
    seen: list[float] = []

    def cancel() -> None:
        if not seen:
            seen.append(time.monotonic())
            threading.Thread(target=engine.cancel).start()

    with pytest.raises(ModelUnavailable, match="cancelled"):
        engine.generate(replace(long, deadline=None), cancel)
    assert time.monotonic() - seen[0] < 0.5
    assert engine.generate(ask(QUESTIONS[0])).text, "the engine goes on"


def test_half_a_surrogate_pair_is_no_reason_to_fail(engine: HuggingFaceClient) -> None:
    assert engine.generate(ask("Say \ud800 hello.")).text


class TestProcess:
    def test_it_is_measured_alone_and_gives_all_memory_back(self, own: HuggingFaceClient) -> None:
        (idle,) = own.processes() or ()
        assert "smallenough.models.engine" in psutil.Process(idle).cmdline()
        probe = ProcessProbe([idle])
        before = psutil.Process().memory_info().rss
        own.generate(ask(QUESTIONS[0]))
        (loaded,) = own.processes() or ()
        assert loaded == idle, "the process that was measured is the one that answers"
        assert probe.read()["cpu_seconds"] > 0.1
        held = tree_pss([loaded])
        assert held is None or held > 500_000_000
        own.unload(MODEL)
        assert not psutil.pid_exists(loaded)
        assert psutil.Process().memory_info().rss - before < 25_000_000, "nothing is held by its client"
        assert own.generate(ask(QUESTIONS[0])).load_seconds, "it is loaded again when it is asked again"

    def test_one_that_is_killed_ran_out_of_memory_and_is_replaced(self, own: HuggingFaceClient) -> None:
        (first,) = own.processes() or ()

        def kill() -> None:
            if psutil.pid_exists(first):
                os.kill(first, signal.SIGKILL)

        with pytest.raises(ModelOutOfMemory, match=rf"the engine with {MODEL} was killed from outside"):
            own.generate(ask(QUESTIONS[5], max_tokens=200), kill)
        assert own.generate(ask(QUESTIONS[0])).text
        assert own.processes() != [first]

    def test_one_that_crashes_is_replaced_and_asked_again(self, own: HuggingFaceClient) -> None:
        (first,) = own.processes() or ()

        def crash() -> None:
            if psutil.pid_exists(first):
                os.kill(first, signal.SIGABRT)

        completion = own.generate(ask(QUESTIONS[0]), crash)
        assert (completion.retries, bool(completion.text)) == (1, True)

    def test_a_model_that_does_not_fit_is_told(self, own: HuggingFaceClient) -> None:
        (pid,) = own.processes() or ()
        engine = psutil.Process(pid)
        limit = engine.memory_info().vms + 200_000_000
        engine.rlimit(psutil.RLIMIT_AS, (limit, limit))
        with pytest.raises(ModelOutOfMemory, match=rf"{MODEL} does not fit into the memory that is free"):
            own.generate(ask(QUESTIONS[0]))
        assert own.generate(ask(QUESTIONS[0])).text, "the next engine has no such limit"

    def test_it_ends_when_its_client_is_killed(self, engine_cache: Path) -> None:
        program = (
            "import sys, time\nfrom pathlib import Path\nfrom smallenough.models.huggingface import HuggingFaceClient\n"
            "client = HuggingFaceClient(Path(sys.argv[1]))\nprint(client.processes()[0], flush=True)\ntime.sleep(600)"
        )
        command = [sys.executable, "-c", program, str(engine_cache)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            engine = psutil.Process(int(client.stdout.readline()))
            client.kill()
        assert engine.wait(10) is None or not engine.is_running()
