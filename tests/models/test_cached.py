"""Which answers are kept, and when one is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallenough.models.cached import CachedClient, PredictionCache, asked
from smallenough.models.replay import ReplayClient
from smallenough.records import Choices, Completion, Message, ModelInfo, Request, Sampling, replace

INFO = ModelInfo("m", "replay", digest="d", answers=("free", "constrained", "likelihood"))
REQUEST = Request("m", (Message("user", "Say hello."),), Sampling(0.7, seed=3), key="a/t/0/0")


class Model:
    """Answers each request with another text, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def answer(self, request: Request) -> Completion:
        self.count += 1
        return Completion(
            f"answer {self.count} \ud800", tokens_in=3, tokens_out=2, seconds=1.5, likelihoods={"a": -1.0}
        )


@pytest.fixture
def model() -> Model:
    return Model()


def client(model: Model, folder: Path, info: ModelInfo = INFO) -> CachedClient:
    return CachedClient(ReplayClient(model.answer, {"m": info}), PredictionCache(folder), {"m": info})


def test_the_same_request_is_asked_once(model: Model, tmp_path: Path) -> None:
    first = client(model, tmp_path).generate(REQUEST)
    again = client(model, tmp_path).generate(replace(REQUEST, key="b/t/0/0", deadline=9.0))
    assert (first.cached, again) == (False, replace(first, cached=True))
    assert model.count == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, messages=(Message("user", "Say hello!"),)),
        replace(REQUEST, sampling=Sampling(0.7, seed=4)),
        replace(REQUEST, sampling=Sampling(0.7, seed=3, max_tokens=9)),
        replace(REQUEST, choices=Choices(("a", "b"), "constrained")),
    ],
)
def test_another_request_is_asked(model: Model, tmp_path: Path, other: Request) -> None:
    cached = client(model, tmp_path)
    cached.generate(REQUEST)
    assert not cached.generate(other).cached
    assert cached.generate(other).cached
    assert model.count == 2


@pytest.mark.parametrize(
    "info", [replace(INFO, digest="e"), replace(INFO, version="2"), replace(INFO, dtype="bfloat16")]
)
def test_another_model_is_asked(model: Model, tmp_path: Path, info: ModelInfo) -> None:
    client(model, tmp_path).generate(REQUEST)
    assert not client(model, tmp_path, info).generate(REQUEST).cached


@pytest.mark.parametrize(
    ("sampling", "choices", "kept"),
    [
        (Sampling(0.7), None, False),
        (Sampling(), None, False),
        (Sampling(seed=1), None, True),
        (Sampling(0.0), None, True),
        (Sampling(0.7), Choices(("a",), "constrained"), False),
        (Sampling(0.7), Choices(("a",), "likelihood"), True),
    ],
)
def test_what_chance_has_a_part_in_is_not_kept(
    model: Model, tmp_path: Path, sampling: Sampling, choices: Choices | None, kept: bool
) -> None:
    cached, request = client(model, tmp_path), replace(REQUEST, sampling=sampling, choices=choices)
    cached.generate(request)
    assert cached.generate(request).cached == kept


def test_a_model_without_a_digest_is_no_known_one(model: Model, tmp_path: Path) -> None:
    cached = client(model, tmp_path, replace(INFO, digest=None))
    assert [cached.generate(REQUEST).cached for _ in range(2)] == [False, False]
    assert not list(tmp_path.iterdir())


def test_at_temperature_0_the_seed_says_nothing() -> None:
    certain = [replace(REQUEST, sampling=Sampling(0.0, seed=seed)) for seed in (1, 2)]
    assert asked(INFO, certain[0]) == asked(INFO, certain[1])


def test_what_is_damaged_is_asked_and_kept_anew(model: Model, tmp_path: Path) -> None:
    cached = client(model, tmp_path)
    cached.generate(REQUEST)
    (kept,) = tmp_path.rglob("*.json")
    for damage in ("", "{", "[]", '{"asked": 1}', kept.read_text("utf-8").replace("Say hello.", "Say more.")):
        kept.write_text(damage, "utf-8")
        assert not cached.generate(REQUEST).cached
        assert cached.generate(REQUEST).cached
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".json"]


def test_a_folder_that_can_t_be_written_costs_only_time(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cached = client(model, tmp_path / "file")
    assert [cached.generate(REQUEST).cached for _ in range(2)] == [False, False]
