"""What is prepared is what was wished for: every arm under a name of its own, every fault before anything runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.records import Json, Sampling, SizeClass, replace
from smallenough.sessions.prepare import Prepared, prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.tasks.basics import BasicsSource

SUITE = BasicsSource().load()
SINGLE: tuple[tuple[str, Mapping[str, Json]], ...] = (("single", {}),)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A recorded model."""
    path = tmp_path / "recorded.jsonl"
    path.write_text(json.dumps({"model": "m", "info": {"name": "m", "provider": "replay", "digest": "d"}}) + "\n")
    return f"replay:{path}#m"


def prepared(*wishes: Wish, settings: Settings | None = None) -> Prepared:
    return prepare(SUITE, wishes, settings or Settings(sandbox="subprocess"))


def sampled(model: str, *temperatures: float | None) -> list[Wish]:
    return [Wish(model, SINGLE, sampling=Sampling(temperature=one, max_tokens=9)) for one in temperatures]


def test_arms_that_differ_in_sampling_have_names_that_say_so(model: str) -> None:
    plan = prepared(*sampled(model, 0.1, 0.7)).plan
    assert [(arm.name, arm.sampling.temperature) for arm in plan.arms] == [
        ("m single temperature=0.1", 0.1),
        ("m single temperature=0.7", 0.7),
    ]


def test_arms_that_differ_in_prompts_have_names_that_say_so(model: str) -> None:
    classes: tuple[SizeClass, ...] = ("large", "small")
    found = prepared(*(Wish(model, SINGLE, name) for name in classes))
    assert [arm.name for arm in found.plan.arms] == ["m single prompts=large", "m single prompts=small"]
    assert [found.prompts[arm.name].size_class for arm in found.plan.arms] == ["large", "small"]


def test_models_of_one_name_from_two_recordings_are_two_arms(model: str, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text((tmp_path / "recorded.jsonl").read_text().replace('"d"', '"e"'))
    found = prepared(Wish(model, SINGLE), Wish(f"replay:{other}#m", SINGLE))
    assert [info.digest for info in found.models.values()] == ["d", "e"]
    assert all("provider=replay:" in name for name in found.models)


def test_what_is_wished_for_twice_is_there_once_and_stays_the_baseline(model: str) -> None:
    wishes = [Wish(model, SINGLE), Wish(model, (("branching", {}), *SINGLE)), Wish(model, SINGLE, baseline=True)]
    assert [(arm.name, arm.baseline) for arm in prepared(*wishes).plan.arms] == [
        ("m single", True),
        ("m branching", False),
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(weights={"latancy": 1}), "unknown efficiency weight 'latancy'; did you mean 'latency'"),
        (Settings(fail_on_error=-3), "fail_on_error: should be greater than or equal to 0, and is -3"),
        (Settings(fail_on_error=float("nan")), "fail_on_error: should be a finite number, and is nan"),
        (Settings(timeout=0), "timeout: should be greater than 0, and is 0"),
        (Settings(repeats=0), "repeats: should be greater than 0, and is 0"),
        (Settings(concurrency=0), "concurrency: should be greater than 0, and is 0"),
    ],
)
def test_settings_that_can_t_be_meant_are_refused_before_anything_runs(
    model: str, settings: Settings, said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        prepared(Wish(model, SINGLE), settings=replace(settings, sandbox="subprocess"))
