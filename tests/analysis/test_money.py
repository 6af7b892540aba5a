"""Prices: what they come to, how they are told and recorded, and a comparison of a hosted model with a local one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.analysis.evidence import ArmRow
from smallenough.analysis.findings import Findings, Terms, find, recorded_prices
from smallenough.analysis.money import Prices, TokenPrice
from smallenough.errors import InputError, ModelUnavailable, UnknownName
from smallenough.models.replay import ReplayClient
from smallenough.records import Arm, Completion, ModelInfo, Request
from smallenough.sessions import experiment
from smallenough.sessions.named import load_prompts, make_strategy
from smallenough.sessions.prepare import Prepared, lay_down
from smallenough.sessions.settings import Settings
from smallenough.tracking import reader
from smallenough.tracking.runs import texts
from smallenough.tracking.store import Store
from smallenough.tracking.tables import Tables
from tests import replayed
from tests.cli.calling import call

AMOUNTS = st.floats(0, 1e9, allow_nan=False)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._", min_size=1, max_size=20)
DAYS = st.sampled_from(["", "2026-11-01", "2026-12-31"])
TOKENS = st.dictionaries(NAMES, st.builds(TokenPrice, AMOUNTS, AMOUNTS, DAYS), max_size=5)
MACHINE = st.tuples(st.none() | AMOUNTS, st.none() | AMOUNTS)


def spelled(prices: Prices) -> dict[str, str]:
    """The prices as a session's plan has them, and its run's parameters tell them."""
    tokens = {
        name: {"input": one.input, "output": one.output, **({"as_of": one.as_of} if one.as_of else {})}
        for name, one in prices.tokens.items()
    }
    machine = {name: getattr(prices, name) for name in ("per_kwh", "per_machine_hour", "currency", "as_of")}
    return texts({**machine, "tokens": tokens or None})


class TestPrices:
    @given(MACHINE, st.sampled_from(["", "EUR", "US dollars"]), DAYS, TOKENS)
    def test_what_was_recorded_is_read_back_the_same(
        self, machine: tuple[float | None, float | None], currency: str, day: str, tokens: dict[str, TokenPrice]
    ) -> None:
        if machine == (None, None) and not tokens:
            assert Prices.recorded(texts({"currency": currency, "as_of": day})) is None
            return
        prices = Prices(*machine, currency, day, tokens)
        assert Prices.recorded(spelled(prices)) == prices

    @pytest.mark.parametrize("told", [{"tokens": '{"h": {"in'}, {"per_kwh": "much"}, {"tokens": '{"h": {"in": 3}}'}])
    def test_a_record_that_can_t_be_read_is_told(self, told: dict[str, str]) -> None:
        with pytest.raises(InputError, match="the prices that a session recorded can't be read"):
            Prices.recorded(told)

    def test_each_price_is_told_with_its_day(self) -> None:
        prices = Prices(0.3, 1.2, "EUR", "2026-11-01", {"h": TokenPrice(2.5, 10, "2026-10-01"), "g": TokenPrice(0, 1)})
        assert prices.told == (
            "0.3 EUR a kilowatt-hour and 1.2 EUR an hour of the machine, as of 2026-11-01;"
            " 2.5 EUR in and 10 EUR out for a million tokens of h, as of 2026-10-01;"
            " 0 EUR in and 1 EUR out for a million tokens of g"
        )

    def test_money_is_price_times_amount_and_nothing_where_an_amount_is_missing(self) -> None:
        assert Prices(0.3, 1.2).cost(1800.0, 7.2e6) == pytest.approx(1.2, rel=1e-12)
        assert Prices(0.3, 1.2).cost(1800.0, None) is Prices(0.3, 1.2).cost(None, 1.0) is None
        assert Prices(tokens={"h": TokenPrice(1, 1)}).cost(1800.0, 7.2e6) is None, "the machine has no price"
        assert TokenPrice(2.5, 10).cost(4e5, 1e5) == pytest.approx(2.0, rel=1e-12)
        assert TokenPrice(2.5, 10).cost(None, 1e5) is TokenPrice(2.5, 10).cost(1e5, None) is None

    @pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
    def test_prices_are_0_or_more(self, price: float) -> None:
        with pytest.raises(InputError, match="prices must be 0 or more"):
            Prices(price)
        with pytest.raises(InputError, match="prices must be 0 or more"):
            Prices(tokens={"h": TokenPrice(1.0, price)})
        with pytest.raises(InputError, match="per_kwh, per_machine_hour or both, or the prices of hosted models"):
            Prices(currency="EUR")


class TestPricesOverOthers:
    TOLD = Prices(0.3, 1.2, "EUR", "2026-11-01", {"h": TokenPrice(1, 2)})

    def test_what_is_given_goes_before_what_was_told(self) -> None:
        given = Prices(per_kwh=0.5, tokens={"h": TokenPrice(3, 4)})
        assert given.over(self.TOLD) == replace(given, currency="")
        assert Prices(per_kwh=0.5).over(self.TOLD) == Prices(0.5, None, "EUR", "", self.TOLD.tokens)
        other = Prices(tokens={"g": TokenPrice(3, 4)})
        assert other.over(self.TOLD) == replace(self.TOLD, tokens={**self.TOLD.tokens, **other.tokens})
        assert other.over(None) == other

    def test_currencies_are_not_mixed(self) -> None:
        with pytest.raises(InputError, match=r"prices in USD and in EUR can't be added up.*0.5 USD.*1.2 EUR"):
            Prices(0.5, currency="USD").over(self.TOLD)
        whole = Prices(0.5, currency="USD", tokens={"h": TokenPrice(3, 4)})
        assert whole.over(self.TOLD) == whole, "nothing is left of what was told"


# ------------------------------------------------------------------------------------------- a session of both kinds

LOCAL, HOSTED, BOTH = "m single", "h single", "m cascade"
PRICES = {
    "per_machine_hour": 36.0,
    "currency": "USD",
    "as_of": "2026-11-01",
    "tokens": {"h": {"input": 2.5, "output": 10.0, "as_of": "2026-10-01"}},
}
LARGE = ModelInfo("h", "replay", digest="d2", parameters=7_000_000_000)


def answer(request: Request) -> Completion:
    """Tokens that no two requests share; the hosted model's server fails at one task."""
    found = replayed.answer(request)
    number = int(request.key.split("/")[1].removeprefix("double_"))
    if request.model == "h" and request.key.startswith(HOSTED) and number == 2:
        raise ModelUnavailable("reset")
    return replace(found, tokens_in=100 + 7 * number, tokens_out=20 + 3 * number, seconds=0.5 + number / 8)


def prepared(prices: dict[str, Any]) -> Prepared:
    arms = (
        Arm(LOCAL, "m", "single", provider="replay", baseline=True),
        Arm(HOSTED, "h", "single", provider="replay"),
        Arm(BOTH, "m", "cascade", {"large": "h"}, provider="replay"),
    )
    tasks = replayed.suite(4)
    infos = {"m": replayed.INFO, "h": LARGE}
    prompts = {arm.name: load_prompts(arm, tasks) for arm in arms}
    return replace(
        replayed.prepared(4, arms=arms[:1]),
        plan=lay_down(tasks, arms, Settings(experiment="charged", prices=prices)),
        clients={"replay": ReplayClient(answer, infos)},
        models={arm.name: infos[arm.model] for arm in arms},
        strategies={arm.name: make_strategy(arm, prompts[arm.name]) for arm in arms},
        prompts=prompts,
        further={BOTH: (LARGE,)},
    )


@pytest.fixture(scope="module")
def charged(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Store:
    """A store with a session of a local model, a hosted one, and a cascade from one to the other."""
    store = new_store(tmp_path_factory.mktemp("charged"))
    result = experiment.run(prepared(PRICES), store)
    assert result.writer.wait(120) == 0
    return store


def sources(store: Store) -> dict[str, Tables]:
    """The session as the store tells it, and as its journal does."""
    whole = reader.read(store)
    return {"store": whole, "journal": reader.read_journal(store, whole.sessions[0])}


@pytest.fixture(params=["store", "journal"])
def found(charged: Store, request: pytest.FixtureRequest) -> Findings:
    return find(sources(charged)[request.param])


def row(found: Findings, arm: str) -> ArmRow:
    return next(one for one in found.comparison.rows if one.arm == arm)


pytestmark = pytest.mark.xdist_group("charged")  # a session is shared


def test_hosted_models_are_charged_by_tokens_and_local_ones_by_the_machine(found: Findings) -> None:
    wall = {one.arm: one.totals.wall_seconds for one in found.comparison.rows}
    assert row(found, LOCAL).costs["money"] == pytest.approx(36 * (wall[LOCAL] or 0) / 3600 / 4, rel=1e-9)
    asked = [(100 + 7 * number) * 2.5 / 1e6 + (20 + 3 * number) * 10 / 1e6 for number in range(4)]
    three = asked[0] + asked[1] + asked[3]  # the third failed
    assert row(found, HOSTED).costs["money"] == pytest.approx(three / 3, rel=1e-9)
    further = asked[1] + asked[2]  # task 0 and 3 the small model solves at once
    assert row(found, BOTH).costs["money"] == pytest.approx((36 * (wall[BOTH] or 0) / 3600 + further) / 4, rel=1e-9)


def test_what_attempts_cost_sums_to_what_their_arm_does(found: Findings) -> None:
    sums = found.frames.attempts.groupby("label")["money"].sum()
    for arm in (LOCAL, HOSTED, BOTH):
        assert sums[arm] == pytest.approx(row(found, arm).totals.money, rel=1e-9)
    per_trial = found.frames.trials.groupby("label")["money"].sum()
    assert dict(per_trial) == pytest.approx(dict(sums), rel=1e-9)


def test_prices_and_what_is_not_counted_are_told(found: Findings) -> None:
    assert (
        "Money is 36 USD an hour of the machine, as of 2026-11-01; 2.5 USD in and 10 USD out for a million tokens of h,"
        " as of 2026-10-01." in found.notes
    )
    (lost,) = [note for note in found.notes if "have no count of tokens" in note]
    assert (
        lost == "Inferences that failed at a hosted model have no count of tokens, and no part in money: 'h single' 1."
    )


def test_both_sources_tell_the_same_of_models_options_and_prices(charged: Store) -> None:
    stored, journalled = sources(charged).values()
    names = ["arm", "options", "model_parameters", "further_models"]
    left, right = (one.arms[names].sort_values("arm", ignore_index=True) for one in (stored, journalled))
    for one in (left, right):
        assert dict(zip(one["arm"], one["model_parameters"], strict=True)) == {
            LOCAL: 135e6,
            HOSTED: 7e9,
            BOTH: 135e6,
        }
        cascade = one.set_index("arm").loc[BOTH]
        (other,) = json.loads(str(cascade["further_models"]))
        assert (other["name"], other["parameters"]) == ("h", 7_000_000_000)
        assert json.loads(str(cascade["options"]))["large"] == "h"
        assert one["further_models"].isna().sum() == 2
    for column in names:
        assert list(left[column].dropna()) == list(right[column].dropna())
    (session,) = stored.sessions
    assert Prices.recorded(stored.prices(session)) == Prices.recorded(journalled.prices(session)) is not None


def test_operations_count_the_further_model_by_its_own_parameters(found: Findings) -> None:
    tokens = [120 + 10 * number for number in range(4)]
    by_small, by_large = 2 * 135e6 * sum(tokens), 2 * 7e9 * (tokens[1] + tokens[2])
    assert row(found, BOTH).totals.operations == pytest.approx(by_small + by_large, rel=1e-12)
    assert row(found, HOSTED).totals.operations is None, "what a failed inference took is not known"


def test_prices_that_are_given_go_before_the_session_s(charged: Store) -> None:
    tables = reader.read(charged)
    given = Prices(tokens={"h": TokenPrice(5.0, 20.0)})
    twice, once = find(tables, Terms(prices=given)), find(tables)
    own = row(once, HOSTED).totals.money
    assert own is not None
    assert row(twice, HOSTED).totals.money == pytest.approx(2 * own, rel=1e-12)
    assert row(twice, LOCAL).totals.money == row(once, LOCAL).totals.money
    with pytest.raises(UnknownName, match=r"unknown model 'hh'.*"):
        find(tables, Terms(prices=Prices(tokens={"hh": TokenPrice(1, 1)})))


def with_another_session(tables: Tables, **changed: str) -> Tables:
    """The same session twice, the second one with other parameters."""
    (first,) = tables.sessions

    def twice(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame, frame.assign(session="other")], ignore_index=True)

    return Tables(
        twice(tables.trials),
        twice(tables.attempts),
        twice(tables.arms),
        (first, "other"),
        parameters={first: tables.parameters[first], "other": {**tables.parameters[first], **changed}},
    )


def test_sessions_that_were_told_the_same_are_charged_and_hosted_models_of_each_stand_together(charged: Store) -> None:
    tables = reader.read(charged)
    further = json.dumps({"g": {"input": 1.0, "output": 2.0}})
    together = recorded_prices(with_another_session(tables, price_tokens=further))
    assert together is not None
    assert together.tokens.keys() == {"h", "g"}
    assert together.per_machine_hour == 36.0


@pytest.mark.parametrize(
    "changed",
    [
        {"price_per_machine_hour": "37.0"},
        {"price_currency": "EUR"},
        {"price_tokens": '{"h": {"input": 3.0, "output": 10.0}}'},
    ],
)
def test_sessions_that_were_told_different_prices_have_no_money_and_it_is_said(
    charged: Store, changed: dict[str, str]
) -> None:
    both = with_another_session(reader.read(charged), **changed)
    found = find(both)
    assert all(one.totals.money is None for one in found.comparison.rows)
    (note,) = [note for note in found.notes if "told different prices" in note]
    assert note in found.to_markdown()
    given = find(both, Terms(prices=Prices(per_machine_hour=36.0)))
    assert not [note for note in given.notes if "told different prices" in note]


def test_energy_that_was_not_measured_is_no_money_of_local_models_and_hosted_ones_are_charged(charged: Store) -> None:
    tables = reader.read(charged)
    blind = replace(tables, arms=tables.arms.assign(energy_joules=None))
    told = find(blind, Terms(prices=Prices(per_kwh=0.3)))
    assert row(told, LOCAL).totals.money is None
    assert row(told, LOCAL).costs["money"] is row(told, LOCAL).per_solved.money is None
    assert row(told, HOSTED).totals.money == row(find(tables), HOSTED).totals.money
    assert f"No money is reported for {LOCAL!r}, {BOTH!r}: energy has a price and was not measured." in told.notes
    besides = find(blind, Terms(prices=Prices(per_kwh=0.3, per_machine_hour=1.0)))
    assert any("without a price of energy, hours alone would count" in note for note in besides.notes)
    assert row(find(blind, Terms(prices=Prices(per_machine_hour=1.0))), LOCAL).totals.money is not None


def test_the_command_line_takes_prices_of_models(charged: Store, capsys: pytest.CaptureFixture[str]) -> None:
    def compare(*more: str) -> Any:
        return call(capsys, "compare", "--store", charged.folder, "--json", "--no-log", *more)

    plain, dear = (
        {one["arm"]: one["totals"]["money"] for one in json.loads(done.out)["rows"]}
        for done in (compare(), compare("--price", "h=5/20"))
    )
    assert dear[HOSTED] == pytest.approx(2 * plain[HOSTED], rel=1e-12)
    for wrong in ("h", "h=5", "=5/20", "h=a/b"):
        done = compare("--price", wrong)
        assert (done.code, "say it as MODEL=IN/OUT" in done.err) == (2, True)
    done = compare("--price", "h=5/20", "--price-per-hour", "1", "--currency", "EUR")
    assert (done.code, json.loads(done.out)["prices"]["currency"]) == (0, "EUR")
    done = compare("--price-per-hour", "1", "--currency", "EUR")
    assert (done.code, "prices in EUR and in USD can't be added up" in done.err) == (2, True)
    done = compare("--price", "hh=5/20")
    assert (done.code, "unknown model 'hh'" in done.err) == (2, True)
    done = compare("--price", "h=-5/20")
    assert (done.code, "prices must be 0 or more" in done.err) == (2, True)
