"""The client against a real local server that fails in every way that a server can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smallenough.errors import (
    ModelError,
    ModelNotFound,
    ModelOutOfMemory,
    ModelTimeout,
    ModelUnavailable,
    SmallenoughError,
)
from smallenough.models.flight import Flight
from smallenough.models.ollama import OllamaClient
from smallenough.models.retrying import RETRIES, retrying
from smallenough.records import Choices, Completion, Request, Sampling, replace
from tests.models.conftest import Connect
from tests.servers.faulty import Answer, Fault, FaultyServer, Model

STREAM_FAULTS: tuple[Fault, ...] = ("reset", "half JSON", "not JSON", "no done", "error line")


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as executor:
        yield executor


@pytest.mark.parametrize("fault", STREAM_FAULTS)
def test_what_breaks_midway_is_tried_again(
    server: FaultyServer, faulty: OllamaClient, hello: Request, fault: Fault
) -> None:
    server.program(Answer("Hel lo", fault=fault, error="llama runner process no longer running"))
    completion = faulty.generate(hello)
    assert (completion.text, completion.retries) == ("Hello there", 1)
    assert server.state.requests["/api/chat"] == 2


@pytest.mark.parametrize(
    "answer", [Answer(fault="reset"), Answer(status=500, error="boom"), Answer(status=429, error="busy")]
)
def test_what_fails_at_once_is_tried_again(
    server: FaultyServer, faulty: OllamaClient, hello: Request, answer: Answer
) -> None:
    server.program(answer)
    assert faulty.generate(hello).retries == 1


def test_times_are_of_the_successful_try_alone(server: FaultyServer, faulty: OllamaClient, hello: Request) -> None:
    server.program(Answer(status=503, error="starting", delay=0.5), Answer("ok", delay=0.05))
    before = time.time()
    completion = faulty.generate(hello)
    assert completion.started >= before + 0.5
    assert completion.first_token_seconds is not None
    assert 0.05 <= completion.first_token_seconds <= completion.seconds < 0.5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=500, error="boom"), r"failed \(500\): boom"),
        (Answer("x", fault="error line", error="runner died"), "failed: runner died"),
        (Answer("x", fault="half JSON"), "broke off its answer: not Ollama's JSON"),
        (Answer("x", fault="no done"), "broke off its answer: .*stream ended before"),
        (Answer(fault="reset"), "broke off its answer"),
    ],
)
def test_what_keeps_failing_is_unavailable(
    server: FaultyServer, faulty: OllamaClient, hello: Request, answer: Answer, words: str
) -> None:
    server.program(answer, answer, answer)
    with pytest.raises(ModelUnavailable, match=words) as caught:
        faulty.generate(hello)
    assert type(caught.value) is ModelUnavailable
    assert server.url in str(caught.value)
    assert server.state.requests["/api/chat"] == 3


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            Answer(status=500, error="model requires more system memory (7.5 GiB) than is available (5.2 GiB)"),
            ModelOutOfMemory,
            r"does not fit .* \(7.5 GiB\) than is available \(5.2 GiB\); stop other programs, or take a smaller model",
        ),
        (Answer("x", fault="error line", error="CUDA error: out of memory"), ModelOutOfMemory, "CUDA error"),
        (
            Answer(status=400, error="smollm2 does not support chat"),
            ModelError,
            r"refuses .* \(400\): smollm2 does not",
        ),
        (Answer(status=404, error="404 page not found"), ModelError, r"refuses the request \(404\)"),
    ],
)
def test_what_another_try_can_not_mend_is_not_tried_again(
    server: FaultyServer, faulty: OllamaClient, hello: Request, answer: Answer, error: type[ModelError], words: str
) -> None:
    server.program(answer)
    with pytest.raises(error, match=words) as caught:
        faulty.generate(hello)
    assert type(caught.value) is error
    assert server.state.requests["/api/chat"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(fault="hang"),
        Answer("Hello", fault="hang midway"),
        Answer("x" * 400, cuts=400, gap=0.02),
        Answer("late", delay=5.0),
    ],
    ids=["before the head", "between pieces", "drips", "late"],
)
def test_a_deadline_holds_whatever_the_server_does(
    server: FaultyServer, faulty: OllamaClient, hello: Request, answer: Answer
) -> None:
    server.program(answer)
    started = time.monotonic()
    with pytest.raises(ModelTimeout, match=r"no whole answer within 0\.3 s"):
        faulty.generate(replace(hello, deadline=0.3))
    assert 0.29 <= time.monotonic() - started < 1.0
    server.wait(lambda state: state.disconnects == 1)
    assert server.state.requests["/api/chat"] == 1


def test_a_deadline_covers_all_tries(server: FaultyServer, hello: Request, connect: Connect) -> None:
    server.program(*[Answer(status=500, error="boom")] * 50)
    client = connect(server.url, retries=50)
    started = time.monotonic()
    with pytest.raises(ModelTimeout, match=r"before that, .* failed \(500\): boom"):
        client.generate(replace(hello, deadline=0.8))
    assert 0.75 <= time.monotonic() - started < 1.6
    assert server.state.requests["/api/chat"] > 1


def test_a_server_that_hangs_is_asked_again(server: FaultyServer, hello: Request, connect: Connect) -> None:
    server.program(Answer(fault="freeze"))
    completion = connect(server.url, patience=2.0).generate(hello)
    assert (completion.text, completion.retries) == ("Hello there", 1)
    assert server.state.requests["/api/chat"] == 2
    server.program(*[Answer(fault="freeze")] * 2)
    with pytest.raises(
        ModelUnavailable, match=r"hangs: not a byte for 1(\.\d+)? s, and no answer to another question; restart"
    ):
        connect(server.url, retries=1, patience=2.0).generate(hello)


def test_a_server_whose_processes_do_nothing_hangs_though_it_answers_questions(
    apart: Callable[[Fault], str], hello: Request, connect: Connect
) -> None:
    client = connect(apart("hang"), retries=0)
    started = time.monotonic()
    with pytest.raises(
        ModelUnavailable, match=r"hangs: not a byte for 2(\.\d+)? s, and its processes do nothing; restart"
    ):
        client.generate(replace(hello, deadline=4.0))
    assert 1.9 <= time.monotonic() - started < 3.0


def test_a_server_that_computes_has_all_the_time_that_there_is(
    apart: Callable[[Fault], str], hello: Request, connect: Connect
) -> None:
    with pytest.raises(ModelTimeout, match=r"within 3 s; --timeout SECONDS gives it more"):
        connect(apart("toil"), patience=2.0).generate(replace(hello, deadline=3.0))


@pytest.mark.parametrize("deadline", [None, 60.0])
def test_a_server_that_is_slow_and_alive_is_waited_for(
    server: FaultyServer, hello: Request, connect: Connect, deadline: float | None
) -> None:
    server.program(Answer("late", delay=2.5, gap=1.2, cuts=2))
    completion = connect(server.url, patience=2.0).generate(replace(hello, deadline=deadline))
    assert (completion.text, completion.retries) == ("late", 0)
    assert server.state.requests == {"/api/chat": 1, "/api/version": 3}


def test_a_restart_of_the_server_is_outlived(hello: Request) -> None:
    with FaultyServer() as server:
        port = int(server.url.rpartition(":")[2])
    restarted: list[FaultyServer] = []
    timer = threading.Timer(3.0, lambda: restarted.append(FaultyServer(port=port).start()))
    timer.start()
    client = OllamaClient(server.url)
    try:
        assert client.generate(hello).retries >= 3
    finally:
        timer.join()
        restarted[0].stop()
        client.close()


def test_all_pauses_outlive_ten_seconds_and_a_deadline_cuts_them_short() -> None:
    paused: list[float] = []

    class Recorder(Flight):
        def pause(self, seconds: float) -> None:
            paused.append(seconds)

    def fail() -> None:
        raise ModelUnavailable("starting")

    with pytest.raises(ModelUnavailable):
        retrying(Recorder(), RETRIES, [])(fail)
    assert 12 < sum(paused) < 20
    assert paused == sorted(paused)
    started = time.monotonic()
    Flight(0.1).pause(5.0)
    assert time.monotonic() - started < 1.0


def test_questions_are_asked_again(server: FaultyServer, faulty: OllamaClient) -> None:
    server.state.loaded.append("smollm2:135m")
    calls: list[Callable[[], object]] = [
        lambda: faulty.describe("smollm2:135m").digest,
        faulty.health,
        faulty.list_models,
        faulty.loaded,
        lambda: faulty.unload("smollm2:135m"),
    ]
    for call, refusal in zip(calls, (503, 0, 503, 0, 503), strict=True):
        server.state.refusals.append(refusal)
        call()
    assert server.state.loaded == []
    server.state.refusals.extend([503, 0, 500])
    with pytest.raises(ModelUnavailable, match=r"failed \(500\): not now"):
        faulty.describe("smollm2:135m")


def test_a_question_that_nobody_answers_is_asked_again_and_then_told(server: FaultyServer, connect: Connect) -> None:
    client = connect(server.url, patience=2.0)
    server.state.frozen = True
    words = r"does not answer: .*within 2 s; before that, .* hangs: not a byte for 1(\.\d+)? s"
    try:
        for call in (client.health, lambda: client.unload("smollm2:135m")):
            with pytest.raises(ModelUnavailable, match=words):
                call()
    finally:
        with server.state.changed:
            server.state.frozen = False
            server.state.changed.notify_all()
    assert server.state.requests == {"/api/version": 2, "/api/generate": 2}


def test_sizes_that_are_no_numbers_are_not_known(server: FaultyServer, faulty: OllamaClient) -> None:
    server.state.models = {size: Model(parameter_size=size) for size in ("1.2.3M", "134.52M", "7B", "big")}
    sizes = {info.name: info.parameters for info in faulty.list_models()}
    assert sizes == {"1.2.3M": None, "134.52M": 134_520_000, "7B": 7_000_000_000, "big": None}


def test_an_answer_that_is_whole_counts_though_the_stream_stays_open(
    server: FaultyServer, faulty: OllamaClient, hello: Request
) -> None:
    server.program(Answer("whole", fault="hang after done"))
    completion = faulty.generate(replace(hello, deadline=None))
    assert completion.text == "whole"
    assert completion.seconds < 1.0


def test_cancel_stops_all_in_flight_and_the_server_notices(
    server: FaultyServer, faulty: OllamaClient, hello: Request, thread: ThreadPoolExecutor
) -> None:
    server.program(*[Answer(fault="hang")] * 4, *[Answer("Hello", fault="hang midway")] * 4)
    running = [thread.submit(faulty.generate, replace(hello, deadline=None)) for _ in range(8)]
    server.wait(lambda state: state.begun == 8)
    started = time.monotonic()
    faulty.cancel()
    for future in running:
        with pytest.raises(ModelUnavailable, match="cancelled"):
            future.result(5)
    assert time.monotonic() - started < 1.0
    server.wait(lambda state: state.disconnects == 8)
    assert server.state.requests["/api/chat"] == 8
    assert faulty.generate(hello).text == "Hello there"


def test_cancel_ends_the_pause_between_two_tries(
    server: FaultyServer, hello: Request, thread: ThreadPoolExecutor, connect: Connect
) -> None:
    server.program(*[Answer(status=500, error="boom")] * 100)
    client = connect(server.url, retries=100)
    running = thread.submit(client.generate, replace(hello, deadline=None))
    while server.state.requests["/api/chat"] < 3 and not running.done():
        threading.Event().wait(0.01)
    started = time.monotonic()
    client.cancel()
    with pytest.raises(ModelUnavailable, match="cancelled"):
        running.result(5)
    assert time.monotonic() - started < 1.0


def test_an_error_of_the_listener_leaves_no_connection_open(
    server: FaultyServer, faulty: OllamaClient, hello: Request
) -> None:
    server.program(Answer("Hello", gap=5.0))

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        faulty.generate(hello, interrupt)
    server.wait(lambda state: state.disconnects == 1)


def test_connections_are_kept_and_a_closed_one_is_replaced(hello: Request, connect: Connect) -> None:
    with FaultyServer() as server:
        client = connect(server.url)
        for _ in range(5):
            client.generate(hello)
        assert server.state.accepted == 1
        port = int(server.url.rpartition(":")[2])
    with FaultyServer(port=port) as server:
        assert client.generate(hello).retries == 0
        assert server.state.accepted == 1


def test_sixteen_threads_share_the_client(
    server: FaultyServer, faulty: OllamaClient, hello: Request, thread: ThreadPoolExecutor
) -> None:
    server.state.answer = lambda body: Answer("echo " + body["messages"][0]["content"], cuts=20)
    message = hello.messages[0]

    def ask(number: int) -> Completion:
        return faulty.generate(replace(hello, messages=(replace(message, content=f"say {number}"),)))

    futures = [thread.submit(ask, number) for number in range(200)]
    assert [future.result(20).text for future in futures] == [f"echo say {number}" for number in range(200)]
    assert server.state.accepted <= 20


def test_no_server_is_named_with_what_to_do(hello: Request, connect: Connect) -> None:
    with FaultyServer() as server:
        url = server.url
    client = connect(url, retries=1)
    calls: list[Callable[[], object]] = [
        lambda: client.generate(hello),
        lambda: client.describe("smollm2:135m"),
        client.health,
        client.list_models,
        client.loaded,
        lambda: client.pull("smollm2:135m"),
        lambda: client.unload("smollm2:135m"),
    ]
    for call in calls:
        with pytest.raises(ModelUnavailable, match=f"no Ollama server answers at {url}; start it with `ollama serve`"):
            call()


def test_a_host_without_address_is_no_server(hello: Request, connect: Connect) -> None:
    with pytest.raises(ModelUnavailable, match=r"no Ollama server answers at http://no-such-host\.invalid:11434"):
        connect("no-such-host.invalid", retries=0).generate(hello)


def test_a_server_that_is_not_ollama_is_an_error_of_ours(server: FaultyServer, connect: Connect) -> None:
    client = connect(f"{server.url}/elsewhere")
    calls: list[Callable[[], object]] = [client.health, client.list_models, lambda: client.describe("m")]
    for call in calls:
        with pytest.raises(SmallenoughError, match=server.url):
            call()


def test_an_unknown_model_is_answered_with_the_nearest(server: FaultyServer, hello: Request, connect: Connect) -> None:
    server.state.models["mistral:latest"] = Model()
    client = connect(server.url)
    with pytest.raises(
        ModelNotFound, match=r"no model 'mistrl'; did you mean 'mistral:latest'\? Else .*ollama pull mistrl"
    ):
        client.generate(replace(hello, model="mistrl"))
    with pytest.raises(ModelNotFound, match=r"no model 'qwertz'; it has mistral:latest, smollm2:135m; get it with"):
        client.describe("qwertz")
    assert server.state.requests["/api/chat"] == 1


def test_a_name_without_tag_means_latest(server: FaultyServer, hello: Request, connect: Connect) -> None:
    server.state.models["mistral:latest"] = Model(digest="abc", family="mistral", context=32768)
    client = connect(server.url)
    assert client.generate(replace(hello, model="mistral")).text == "Hello there"
    info = client.describe("mistral")
    assert (info.name, info.digest, info.family, info.context_length) == ("mistral", "abc", "mistral", 32768)
    assert client.loaded() == ["mistral:latest"]
    client.unload("mistral")
    assert client.loaded() == []


def test_a_model_that_stays_loaded_is_an_error(server: FaultyServer, hello: Request, connect: Connect) -> None:
    server.state.stays_loaded = True
    client = connect(server.url, patience=0.3)
    client.generate(hello)
    with pytest.raises(ModelError, match=r"still loaded .* 0\.3 s after"):
        client.unload("smollm2:135m")


def test_sampling_and_messages_reach_the_server(server: FaultyServer, faulty: OllamaClient, hello: Request) -> None:
    faulty.generate(replace(hello, sampling=Sampling(0.3, 0.9, 64, 5, ("END",), 2048)))
    faulty.generate(replace(hello, sampling=Sampling()))
    asked, plain = server.state.bodies
    assert asked["messages"] == [{"role": "user", "content": "Say hello."}]
    assert asked["options"] == {
        "temperature": 0.3, "top_p": 0.9, "num_predict": 64, "seed": 5, "stop": ["END"], "num_ctx": 2048,
    }  # fmt: skip
    assert not plain.get("options")


def test_the_server_s_counters_are_read(server: FaultyServer, faulty: OllamaClient, hello: Request) -> None:
    server.program(Answer(pieces=["a", "b", "c"], delay=0.01, gap=0.01, done_reason="length"))
    completion = faulty.generate(hello)
    assert (completion.tokens_in, completion.tokens_out, completion.finish) == (2, 3, "length")
    assert (completion.load_seconds, completion.prompt_seconds, completion.generate_seconds) == (0.001, 0.01, 0.02)
    assert completion.tokens_per_second == pytest.approx(150)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(thinking=["so ", "be it"], pieces=["the ", "answer"]),
        Answer(pieces=["<think>so ", "be it</think>", "\n\nthe ", "answer"]),
        Answer(pieces=["so ", "be it</thi", "nk>", "the answer"]),
    ],
)
def test_reasoning_is_apart_and_counted(
    server: FaultyServer, faulty: OllamaClient, hello: Request, answer: Answer
) -> None:
    server.program(answer)
    completion = faulty.generate(hello)
    assert (completion.text, completion.reasoning) == ("the answer", "so be it")
    assert completion.reasoning_tokens == 2 + ("nk>" in answer.pieces)


def test_reasoning_has_its_pieces_share_of_the_tokens(
    server: FaultyServer, faulty: OllamaClient, hello: Request
) -> None:
    server.program(Answer(thinking=["so be ", "it"], pieces=["the ", "answer"], tokens=9))
    assert faulty.generate(hello).reasoning_tokens == 4


def test_pulling_tells_its_progress(server: FaultyServer, faulty: OllamaClient) -> None:
    server.state.pulls["tiny:latest"] = [
        {"status": "pulling manifest"},
        {"status": "pulling abc", "completed": 5, "total": 10},
        {"status": "success"},
    ]
    told: list[tuple[str, int | None, int | None]] = []
    faulty.pull("tiny", lambda *step: told.append(step))
    assert told == [("pulling manifest", None, None), ("pulling abc", 5, 10), ("success", None, None)]


def test_pulling_fails_in_words(server: FaultyServer, faulty: OllamaClient) -> None:
    with pytest.raises(ModelNotFound, match="finds no model 'nothing' to pull"):
        faulty.pull("nothing")
    server.state.pulls["half:latest"] = [{"status": "pulling manifest"}]
    with pytest.raises(ModelUnavailable, match="pulling half ended at 'pulling manifest'"):
        faulty.pull("half")


def test_loopback_never_goes_through_a_proxy(
    server: FaultyServer, hello: Request, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert connect(server.url, retries=0).generate(hello).text == "Hello there"


class TestChoices:
    """Answers that are held to choices: by the server, which gets them as a JSON schema."""

    @pytest.fixture
    def held(self, hello: Request) -> Request:
        return replace(hello, choices=Choices(("A00", "B00"), "constrained"))

    def test_the_server_gets_them_as_a_schema_and_answers_in_json(
        self, server: FaultyServer, faulty: OllamaClient, held: Request, hello: Request
    ) -> None:
        server.program(Answer('"B00"'))
        assert faulty.generate(held).text == "B00"
        assert server.state.bodies[-1]["format"] == {"type": "string", "enum": ["A00", "B00"]}
        faulty.generate(hello)
        assert not server.state.bodies[-1].get("format")
        assert faulty.describe(hello.model).answers == ("free", "constrained")

    @pytest.mark.parametrize("text", ["B00", '"C00"', "[]", '{"label": "B00"}', ""])
    def test_a_server_that_does_not_hold_to_them_is_told(
        self, server: FaultyServer, faulty: OllamaClient, held: Request, text: str
    ) -> None:
        server.program(Answer(text))
        with pytest.raises(
            ModelError, match=r"does not hold answers to the choices.*0\.5 or later, or take answers=free"
        ):
            faulty.generate(held)
        assert server.state.requests["/api/chat"] == 1, "another try would bring the same"

    def test_an_answer_that_is_cut_off_is_a_wrong_one(
        self, server: FaultyServer, faulty: OllamaClient, held: Request
    ) -> None:
        server.program(Answer('"B', done_reason="length"))
        completion = faulty.generate(held)
        assert (completion.text, completion.finish) == ('"B', "length")

    def test_it_does_not_tell_likelihoods(self, server: FaultyServer, faulty: OllamaClient, held: Request) -> None:
        with pytest.raises(ModelError, match="Ollama does not tell how likely an answer is; take answers=constrained"):
            faulty.generate(replace(held, choices=Choices(("A00",), "likelihood")))
        assert not server.state.requests["/api/chat"]
