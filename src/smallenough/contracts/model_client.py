"""What every model client must do, whatever answers. Subclass it and bring the fixtures `client` and `request_`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from smallenough.errors import ModelError, ModelNotFound
from smallenough.protocols import ModelClient
from smallenough.records import Choices, Completion, ModelInfo, Request, replace

CHOICES = ("yes", "no", "not at all")
WAYS: tuple[Literal["constrained", "likelihood"], ...] = ("constrained", "likelihood")


class ModelClientContract:
    """`client` answers `request_` (at temperature 0, with a seed and few tokens) the same way each time."""

    @pytest.fixture
    def client(self) -> ModelClient:
        raise NotImplementedError

    @pytest.fixture
    def request_(self) -> Request:
        raise NotImplementedError

    def test_it_is_a_model_client(self, client: ModelClient) -> None:
        assert isinstance(client, ModelClient)

    def test_an_answer_carries_its_text_and_what_it_took(self, client: ModelClient, request_: Request) -> None:
        before = time.time()
        completion = client.generate(request_)
        assert completion.text.strip()
        assert completion.finish in ("stop", "length")
        assert completion.tokens_in
        assert completion.tokens_in > 0
        assert completion.tokens_out
        assert 0 < completion.tokens_out <= (request_.sampling.max_tokens or 0)
        assert completion.reasoning_tokens == 0
        assert completion.retries == 0
        assert completion.server
        assert completion.first_token_seconds is not None
        assert 0 < completion.first_token_seconds <= completion.seconds
        self.check_when(completion, before)

    def check_when(self, completion: Completion, before: float) -> None:
        """A live answer was given within the call; a recorded one when it was recorded."""
        assert before <= completion.started <= completion.started + completion.seconds <= time.time() + 0.01

    def test_every_piece_is_told(self, client: ModelClient, request_: Request) -> None:
        told: list[float] = []
        completion = client.generate(request_, lambda: told.append(time.time()))
        assert completion.tokens_out
        assert 0 < len(told) <= completion.tokens_out + 1

    def test_the_same_request_has_the_same_answer(self, client: ModelClient, request_: Request) -> None:
        assert client.generate(request_).text == client.generate(request_).text

    def test_several_threads_get_their_own_answers(self, client: ModelClient, request_: Request) -> None:
        alone = client.generate(request_).text
        with ThreadPoolExecutor(4) as threads:
            assert [done.text for done in threads.map(lambda _: client.generate(request_), range(4))] == [alone] * 4

    def test_an_unknown_model_is_named(self, client: ModelClient, request_: Request) -> None:
        with pytest.raises(ModelNotFound, match="no-such-model"):
            client.generate(replace(request_, model="no-such-model:1b", key="unknown"))

    def test_a_model_is_described(self, client: ModelClient, request_: Request) -> None:
        info = client.describe(request_.model)
        assert isinstance(info, ModelInfo)
        assert info.name == request_.model
        assert info.provider

    def test_it_holds_answers_to_choices_as_it_says(self, client: ModelClient, request_: Request) -> None:
        answers = client.describe(request_.model).answers
        assert "free" in answers
        for by in WAYS:
            request = replace(request_, choices=Choices(CHOICES, by), key=by)
            if by not in answers:
                with pytest.raises(ModelError):
                    client.generate(request)
                continue
            completion = client.generate(request)
            assert completion.text in CHOICES
            assert (completion.likelihoods is not None) == (by == "likelihood")
            if completion.likelihoods is not None:
                assert completion.likelihoods.keys() == set(CHOICES)
                assert all(value <= 0 for value in completion.likelihoods.values())
                assert completion.likelihoods[completion.text] == max(completion.likelihoods.values())

    def test_processes_are_ids_or_unknown(self, client: ModelClient) -> None:
        processes = client.processes()
        assert processes is None or all(pid > 0 for pid in processes)

    def test_cancel_with_nothing_in_flight_harms_nothing(self, client: ModelClient, request_: Request) -> None:
        client.cancel()
        assert client.generate(request_).text

    def test_a_client_can_be_closed_twice(self, client: ModelClient, request_: Request) -> None:
        client.generate(request_)
        client.close()
        client.close()
