from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smallenough.contracts.model_client import ModelClientContract
from smallenough.errors import InputError, ModelNotFound, ModelTimeout, ModelUnavailable
from smallenough.models.balanced import BalancedClient
from smallenough.protocols import ModelClient
from smallenough.records import Request, replace
from tests.models.conftest import Connect
from tests.servers.faulty import Answer, Fault, FaultyServer, Model


@pytest.fixture
def other() -> Iterator[FaultyServer]:
    with FaultyServer(lambda _: Answer("Hello there")) as server:
        yield server


@pytest.fixture
def both(server: FaultyServer, other: FaultyServer, connect: Connect) -> BalancedClient:
    return BalancedClient([connect(server.url, retries=0), connect(other.url, retries=0)], retries=0)


class TestBalanced(ModelClientContract):
    @pytest.fixture
    def client(self, both: BalancedClient) -> ModelClient:
        return both

    @pytest.fixture
    def request_(self, hello: Request) -> Request:
        return replace(hello, sampling=replace(hello.sampling, max_tokens=8))


def asked(server: FaultyServer) -> int:
    return server.state.requests["/api/chat"]


def test_requests_go_where_the_fewest_are_in_flight(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.program(*[Answer(fault="hang")] * 3)
    other.program(*[Answer(fault="hang")] * 3)
    with ThreadPoolExecutor(6) as threads:
        running = [threads.submit(both.generate, replace(hello, deadline=None)) for _ in range(6)]
        server.wait(lambda state: state.begun == 3)
        other.wait(lambda state: state.begun == 3)
        both.cancel()
        for future in running:
            with pytest.raises(ModelUnavailable, match="cancelled"):
                future.result(5)
    server.wait(lambda state: state.disconnects == 3)
    other.wait(lambda state: state.disconnects == 3)
    both.generate(hello)
    assert (asked(server), asked(other)) == (4, 3)


def test_servers_take_turns_where_none_is_busy(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    assert [both.generate(hello).server for _ in range(4)] == [server.url, other.url] * 2


def test_a_server_that_fails_is_put_aside_and_its_request_goes_on(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.program(Answer(status=503, error="starting"))
    completion = both.generate(hello)
    assert (completion.retries, completion.server) == (1, other.url)
    assert both.generate(hello).server == other.url
    assert (asked(server), asked(other)) == (1, 2)


def test_a_server_that_is_aside_serves_where_no_other_does(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.program(Answer(status=503, error="starting"))
    both.generate(hello)
    other.program(Answer(status=503, error="stopping"))
    assert both.generate(hello).server == server.url
    # Having answered, it is no longer aside.
    assert both.generate(hello).server == server.url


def test_a_server_comes_back_after_its_time_aside(
    server: FaultyServer, other: FaultyServer, connect: Connect, hello: Request
) -> None:
    client = BalancedClient([connect(server.url, retries=0), connect(other.url, retries=0)], aside_seconds=0.0)
    server.program(Answer(status=503, error="starting"))
    assert client.generate(hello).server == other.url
    assert client.generate(hello).server == server.url


def test_all_failures_are_told(server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request) -> None:
    server.program(Answer(status=503, error="starting"))
    other.program(Answer(status=500, error="boom"))
    with pytest.raises(ModelUnavailable, match=r"no server is available: .*starting; .*boom"):
        both.generate(hello)


def test_all_servers_are_asked_again_when_all_have_failed(
    server: FaultyServer, other: FaultyServer, connect: Connect, hello: Request
) -> None:
    client = BalancedClient([connect(server.url, retries=0), connect(other.url, retries=0)])
    server.program(*[Answer(status=503, error="starting")] * 2)
    other.program(*[Answer(fault="reset")] * 2)
    completion = client.generate(hello)
    assert (completion.text, completion.retries) == ("Hello there", 4)


def test_cancel_ends_the_pause_before_all_are_asked_again(
    server: FaultyServer, other: FaultyServer, connect: Connect, hello: Request
) -> None:
    client = BalancedClient([connect(server.url, retries=0), connect(other.url, retries=0)], retries=100)
    server.state.answer = other.state.answer = lambda _: Answer(status=503, error="starting")
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(client.generate, replace(hello, deadline=None))
        with server.state.changed:
            assert server.state.changed.wait_for(lambda: asked(server) == 3, 10)
        started = time.monotonic()
        client.cancel()
        with pytest.raises(ModelUnavailable, match="cancelled"):
            running.result(5)
    assert time.monotonic() - started < 1.0


def test_a_server_that_hangs_is_put_aside_and_its_request_goes_on(
    server: FaultyServer, other: FaultyServer, connect: Connect, hello: Request
) -> None:
    client = BalancedClient([connect(server.url, retries=0, patience=2.0), connect(other.url, retries=0)])
    server.program(Answer(fault="freeze"))
    completion = client.generate(hello)
    assert (completion.text, completion.retries, completion.server) == ("Hello there", 1, other.url)
    assert [client.generate(hello).server for _ in range(2)] == [other.url] * 2
    assert asked(server) == 1


def test_a_server_whose_processes_do_nothing_leaves_time_for_another_one(
    other: FaultyServer, apart: Callable[[Fault], str], connect: Connect, hello: Request
) -> None:
    client = BalancedClient([connect(apart("hang"), retries=0), connect(other.url, retries=0)])
    completion = client.generate(replace(hello, deadline=4.0))
    assert (completion.retries, completion.server) == (1, other.url)


def test_a_server_that_said_nothing_until_the_deadline_is_put_aside(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.program(Answer(fault="hang"))
    with pytest.raises(ModelTimeout):
        both.generate(replace(hello, deadline=0.3))
    assert [both.generate(hello).server for _ in range(3)] == [other.url] * 3


def test_a_server_that_was_slow_is_not_put_aside(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.program(Answer("Hello", fault="hang midway"))
    with pytest.raises(ModelTimeout):
        both.generate(replace(hello, deadline=0.3))
    other.program(Answer(status=503, error="starting"))
    assert [both.generate(hello).server for _ in range(3)] == [server.url] * 3


def test_the_deadline_covers_all_servers(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.program(Answer(status=503, error="starting", delay=0.3))
    other.program(Answer(fault="hang"))
    started = time.monotonic()
    with pytest.raises(ModelTimeout):
        both.generate(replace(hello, deadline=0.5))
    assert 0.49 <= time.monotonic() - started < 1.2


def test_other_errors_go_to_the_caller(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    with pytest.raises(ModelNotFound):
        both.generate(replace(hello, model="unknown"))
    answered = {both.generate(hello).server for _ in range(2)}
    assert answered == {server.url, other.url}, "neither is put aside for what is not its fault"


def test_servers_must_hold_the_same_model(server: FaultyServer, other: FaultyServer, both: BalancedClient) -> None:
    info = both.describe("smollm2:135m")
    assert info.server == f"{server.url}, {other.url}"
    other.state.models["smollm2:135m"] = Model(digest="e" * 64)
    with pytest.raises(InputError, match=f"{server.url} has dddddddddddd, {other.url} has eeeeeeeeeeee; pull it again"):
        both.describe("smollm2:135m")
    del other.state.models["smollm2:135m"]
    with pytest.raises(ModelNotFound, match=other.url):
        both.describe("smollm2:135m")


def test_unloading_is_for_all(server: FaultyServer, other: FaultyServer, both: BalancedClient) -> None:
    server.state.loaded.append("smollm2:135m")
    other.state.loaded.append("smollm2:135m")
    both.unload("smollm2:135m")
    assert server.state.loaded == other.state.loaded == []


def test_unloading_needs_only_one_server_that_answers(
    server: FaultyServer, other: FaultyServer, both: BalancedClient, hello: Request
) -> None:
    server.state.loaded.append("smollm2:135m")
    other.state.loaded.append("smollm2:135m")
    server.state.refusals.append(503)
    both.unload("smollm2:135m")
    assert (server.state.loaded, other.state.loaded) == (["smollm2:135m"], [])
    assert both.generate(hello).server == other.url
    server.state.refusals.append(503)
    other.state.refusals.append(0)
    with pytest.raises(ModelUnavailable, match=r"no server is available: .*not now; .*broke off"):
        both.unload("smollm2:135m")


def test_questions_are_asked_again(server: FaultyServer, other: FaultyServer, connect: Connect) -> None:
    client = BalancedClient([connect(server.url, retries=0), connect(other.url, retries=0)])
    server.state.loaded.append("smollm2:135m")
    server.state.refusals.extend([503, 0])
    assert client.describe("smollm2:135m").digest == "d" * 64
    server.state.refusals.append(503)
    other.state.refusals.append(503)
    client.unload("smollm2:135m")
    assert server.state.loaded == []


def test_it_needs_a_server() -> None:
    with pytest.raises(InputError, match="name at least one with --url"):
        BalancedClient([])


def test_servers_that_are_away_are_named_with_what_to_do(server: FaultyServer, connect: Connect) -> None:
    with FaultyServer() as one, FaultyServer() as two:
        gone = (one, two)
    clients = [connect(one.url, retries=0, patience=1.0) for one in (server, *gone)]
    with pytest.raises(ModelUnavailable, match=r"^2 of 3 servers can't be used: .*; or leave them out$") as told:
        BalancedClient(clients, retries=0).describe("smollm2:135m")
    assert all(one.url in str(told.value) for one in gone)
    assert server.url not in str(told.value)
    with pytest.raises(ModelUnavailable, match=r"^no server is available: "):
        BalancedClient(clients[1:], retries=0).describe("smollm2:135m")
