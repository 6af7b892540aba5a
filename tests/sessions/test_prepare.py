"""What is prepared is what was wished for: every arm under a name of its own, every fault before anything runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.records import Json, Sampling, SizeClass, Suite, Task, replace
from smallenough.sessions.prepare import Prepared, prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.sessions.wishes import check_parameter, options_by_name
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


def test_of_a_model_s_strategies_the_first_alone_is_the_baseline_whatever_their_names(model: str) -> None:
    strategies = (("best_of_n", {"n": 2}), ("best_of_n", {"n": 3}), *SINGLE)
    found = prepared(Wish(model, strategies, baseline=True)).plan.arms
    assert [arm.baseline for arm in found] == [True, False, False]


def test_a_parameter_is_checked_with_the_options_of_every_arm_that_has_it(model: str) -> None:
    each = options_by_name([Wish(model, (("cascade", {}), ("cascade", {"large": "big"})))])
    with pytest.raises(InputError, match="name the large model"):
        check_parameter("cascade.shots", 1, each)
    check_parameter("cascade.shots", 1, {"cascade": each["cascade"][1:]})


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


PRICE = "price: {input: 2.5, output: 10, currency: USD, as_of: 2026-10-01}"


def own_models(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "models.yaml").write_text(text)
    monkeypatch.setenv("SMALLENOUGH_MODELS", str(folder / "models.yaml"))


def entry(name: str, model: str, more: str = PRICE) -> str:
    provider, _, reference = model.partition("#")
    return f"- name: {name}\n  provider: {provider}\n  reference: {reference}\n  {more}\n"


def priced(model: str, **prices: Json) -> Mapping[str, Json]:
    return prepared(Wish(model, SINGLE), settings=Settings(sandbox="subprocess", prices=prices)).plan.prices


def test_the_price_of_a_model_goes_with_its_session_beside_those_of_the_machine(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_models(tmp_path, monkeypatch, entry("hosted", model))
    tokens = {"m": {"input": 2.5, "output": 10.0, "as_of": "2026-10-01"}}
    for called in ("hosted", model):  # whichever name it is called by
        assert priced(called) == {"currency": "USD", "tokens": tokens}
    assert priced("hosted", per_kwh=0.3, currency="USD") == {"per_kwh": 0.3, "currency": "USD", "tokens": tokens}
    own_models(tmp_path, monkeypatch, entry("hosted", model, "size: 1B"))
    assert priced("hosted", per_kwh=0.3) == {"per_kwh": 0.3}
    assert priced("hosted") == {}


def test_the_price_of_a_further_model_goes_with_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps({"model": name, "info": {"name": name, "provider": "replay"}}) for name in ("m", "h", "x")]
    (tmp_path / "both.jsonl").write_text("\n".join(lines) + "\n")
    recorded = f"replay:{tmp_path / 'both.jsonl'}"
    own_models(tmp_path, monkeypatch, entry("large", f"{recorded}#h") + entry("other", f"{recorded}#x"))
    plan = prepared(Wish(f"{recorded}#m", (("cascade", {"large": "h"}),))).plan
    assert plan.prices["tokens"].keys() == {"h"}


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({"per_kwh": 0.3, "currency": "EUR"}, r"the experiment file's prices in EUR; .*models.yaml, line 4: .* in USD"),
        ({"per_kwh": 0.3}, r"the experiment file's prices in no currency; .* the price of hosted in USD"),
    ],
)
def test_prices_in_several_currencies_are_refused_naming_both(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prices: dict[str, Json], said: str
) -> None:
    own_models(tmp_path, monkeypatch, entry("hosted", model))
    with pytest.raises(InputError, match=f"can't be added up in several currencies; give all in one: {said}"):
        priced("hosted", **prices)


def test_a_name_has_one_price(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = entry("cheap", model, "price: {input: 1, output: 2}")
    own_models(tmp_path, monkeypatch, entry("hosted", model) + cheap)
    with pytest.raises(InputError, match=r"models.yaml, line 8: m has another price too; keep one of the two"):
        priced("hosted")
    (tmp_path / "local.jsonl").write_text((tmp_path / "recorded.jsonl").read_text())
    own_models(tmp_path, monkeypatch, entry("hosted", model))
    with pytest.raises(InputError, match="m is a model of several providers, and has a price with one of them alone"):
        prepared(Wish("hosted", SINGLE), Wish(f"replay:{tmp_path / 'local.jsonl'}#m", SINGLE))


LABELS = Suite(
    "colours", tuple(Task(f"t{n}", "Which?", kind="label", labels=("a", "b"), reference="a") for n in (1, 2))
)


class TestAnswers:
    """What a model can't do, or a suite does not allow, is told before anything runs."""

    @pytest.fixture
    def able(self, tmp_path: Path) -> str:
        path = tmp_path / "able.jsonl"
        info = {"name": "m", "provider": "replay", "digest": "d", "answers": ["free", "likelihood"]}
        path.write_text(json.dumps({"model": "m", "info": info}) + "\n")
        return f"replay:{path}#m"

    def prepared(self, model: str, answers: str, suite: Suite = LABELS) -> Prepared:
        wish = Wish(model, (("single", {"answers": answers}),))
        return prepare(suite, [wish], Settings(sandbox="subprocess"))

    def test_the_way_is_among_the_plan_s_options(self, able: str) -> None:
        (arm,) = self.prepared(able, "likelihood").plan.arms
        assert (arm.name, arm.options) == ("m single answers=likelihood", {"shots": 0, "answers": "likelihood"})

    def test_a_model_that_can_t_is_refused(self, able: str, model: str) -> None:
        said = "replay models can't answer by answers=constrained; m can by free or likelihood, and the embedded engine"
        with pytest.raises(InputError, match=re.escape(said)):
            self.prepared(able, "constrained")
        with pytest.raises(InputError, match=r"can't answer by answers=likelihood; m can by free, and"):
            self.prepared(model, "likelihood")

    def test_a_suite_without_labels_is_refused(self, able: str) -> None:
        with pytest.raises(
            InputError, match=r"needs tasks with labels to choose from, and \d+ of \d+ of 'basics' have none"
        ):
            self.prepared(able, "likelihood", SUITE)
