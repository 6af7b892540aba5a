"""The embedded engine with a real model in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smallenough.models.huggingface import HuggingFaceClient
from smallenough.protocols import ModelClient
from smallenough.records import Request
from tests.contracts.model_client_contract import ModelClientContract

pytestmark = pytest.mark.engine

MODEL = "smollm2:135m"


@pytest.fixture(scope="module")
def engine(engine_cache: Path) -> Iterator[HuggingFaceClient]:
    """One client for the tests here: starting an engine takes seconds."""
    client = HuggingFaceClient(engine_cache)
    yield client
    client.close()


class TestHuggingFace(ModelClientContract):
    @pytest.fixture
    def client(self, engine: HuggingFaceClient) -> ModelClient:
        return engine

    @pytest.fixture
    def request_(self, hello: Request) -> Request:
        return hello
