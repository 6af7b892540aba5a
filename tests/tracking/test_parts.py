"""What an arm took over all its parts, through a real store and each way of reading it back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough import journal
from smallenough.analysis.findings import Terms
from smallenough.analysis.money import Prices
from smallenough.errors import InputError
from smallenough.events import ArmFinished, ArmStarted, AttemptFinished, Event, SessionResumed, SessionStarted, encode
from smallenough.metrics import ARM_KEYS
from smallenough.models.replay import ReplayClient
from smallenough.records import ModelInfo, Usage
from smallenough.resources.samples import GpuSample, Sample
from smallenough.sessions import experiment
from smallenough.sessions.compare import compare_sessions
from smallenough.tracking import reader, writer
from smallenough.tracking.access import find_runs
from smallenough.tracking.parts import Part, arm_totals
from smallenough.tracking.runs import MOST_METRICS, TAG
from smallenough.tracking.series import system_series
from smallenough.tracking.store import Store, connect
from tests import replayed

INFO = ModelInfo("m", "replay")
RATE = 3.0
"""CPU seconds a second that the samples below tell."""


def started(time: float, idle: float | None = 0.25) -> ArmStarted:
    return ArmStarted("m single", INFO, "p", idle, time)


def ended(time: float, usage: Usage, **account: Any) -> ArmFinished:
    return ArmFinished("m single", usage, {"interval": 0.1, "samples": 1, "reasons": {}, **account}, time)


def samples(start: float, count: int) -> list[Sample]:
    """A sample a second of a part that began at `start`."""
    return [
        Sample(start + second, RATE * second, 100 * RATE, 50 + second, None, 10.0 * second)
        for second in range(1, count + 1)
    ]


class TestTotals:
    @given(st.integers(1, 50), st.integers(1, 50))
    def test_a_killed_part_counts_up_to_its_last_sample_and_the_rest_as_it_says(self, before: int, after: int) -> None:
        usage = Usage(after, RATE * after, 100 * RATE, 70, 60, energy_joules=10.0 * after, cpu_provenance="measured")
        parts = [Part(started(1000.0)), Part(started(5000.0), ended(5000.0 + after, usage))]
        found = arm_totals(parts, [*samples(1000.0, before), *samples(5000.0, after)])
        whole = samples(0.0, before + after)[-1]
        assert found.usage.seconds == pytest.approx(before + after)
        assert found.usage.cpu_seconds == pytest.approx(whole.cpu_seconds)
        assert found.usage.energy_joules == pytest.approx(whole.energy_joules)
        assert found.usage.cpu_percent == pytest.approx(100 * RATE)
        assert found.usage.peak_memory_bytes == max(50 + before, 70)
        assert (found.killed, found.usage.cpu_provenance) == (1, "measured")

    def test_a_part_that_was_killed_before_its_first_sample_adds_nothing(self) -> None:
        usage = Usage(4.0, 2.0, cpu_provenance="measured")
        found = arm_totals([Part(started(1.0)), Part(started(2.0), ended(6.0, usage))], [])
        assert (found.usage, found.killed, found.idle_cpu_rate) == (usage, 1, 0.25)

    def test_the_monitors_counts_are_summed_and_unknown_where_a_part_could_not_say_them(self) -> None:
        first = Part(started(0.0), ended(9.0, Usage(9.0), attempts=3, samples=2, reasons={"Gpu": "none here"}))
        second = Part(started(10.0), ended(19.0, Usage(9.0), attempts=4, samples=5))
        said = {"interval": 0.1, "samples": 7, "attempts": 7, "reasons": {"Gpu": "none here"}}
        assert arm_totals([first, second], []).monitor == said
        killed = arm_totals([Part(started(0.0)), second], samples(0.0, 3)).monitor
        assert (killed["samples"], killed["attempts"]) == (8, None)

    def test_gpus_of_a_killed_part_are_known_from_its_samples_too(self) -> None:
        def gpus(second: int) -> tuple[GpuSample, ...]:
            return tuple(GpuSample(index, 50.0 + index, 100 + second, None, None, 7.0 * second) for index in range(2))

        rows = [replace(sample, gpus=gpus(number)) for number, sample in enumerate(samples(0.0, 4), 1)]
        found = arm_totals([Part(started(0.0)), Part(started(9.0), ended(9.0, Usage()))], rows).usage
        assert (found.gpu_percent, found.gpu_peak_memory_bytes) == (51.0, 208)


def test_eight_gpus_leave_an_arm_below_fifty_metrics_and_each_is_drawn() -> None:
    machine = {"hardware_cores_logical": 8, "hardware_memory_bytes": 2**34}
    for count, measures in ((3, 3), (4, 2), (8, 1), (16, 0)):
        gpus = tuple(GpuSample(index, 50.0, 10, 20, 300.0, 1.0) for index in range(count))
        drawn = {name for name, *_ in system_series([replace(one, gpus=gpus) for one in samples(0.0, 5)], machine)}
        assert len(drawn) + len(ARM_KEYS) <= MOST_METRICS < 50
        assert len([name for name in drawn if "gpu" in name]) == measures * count
    assert "system/cpu_utilization_percentage" in drawn


# ------------------------------------------------------------------------------------------- through a real store


class Measured(ReplayClient):
    """A replay whose model is this very process: there is something to measure."""

    def processes(self) -> list[int]:
        return [os.getpid()]


def no_writer(folder: Path, store: Store) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ""])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Event]]:
    """A store without the session that lies beside it, and the session's events."""
    store = Store.local(tmp_path_factory.mktemp("measured"))
    ready = replayed.prepared(2, arms=replayed.ARMS[:1])
    client = Measured(lambda request: replayed.answer(request, 0.3), {"m": replayed.INFO})
    result = experiment.run(replace(ready, clients={"replay": client}), store, start_writer=no_writer)
    result.writer.wait()
    return store, [event for _, event in journal.read(result.folder)]


Edit = Callable[[Event], Iterable[Event]]


@pytest.fixture
def rewritten(done: tuple[Store, list[Event]], tmp_path: Path) -> Callable[[Edit], tuple[Store, str]]:
    """Makes a session of the events that an edit leaves, and writes it into a store."""

    def make(edit: Edit) -> tuple[Store, str]:
        store, events = done
        old = next(store.journals.iterdir())
        folder = tmp_path / "journal" / old.name
        (folder / "samples").mkdir(parents=True)
        for name in ("suite.json", "samples/0.jsonl"):
            (folder / name).write_bytes((old / name).read_bytes())
        lines = [encode(one) + b"\n" for event in events for one in edit(event)]
        (folder / "journal.jsonl").write_bytes(b"".join(lines))
        new = Store.local(tmp_path)
        writer.write(folder, new, follow=False)
        return new, folder.name

    return make


def ways(store: Store, session: str) -> list[reader.Tables]:
    """A session read from the arms' tables, rebuilt from the runs, and from the journal."""
    tables, client = reader.read(store, [session]), connect(store)
    (arm,) = find_runs(client, list(tables.experiments), kind="arm", session=session)
    client.update_run(arm.info.run_id, "KILLED")  # the reader then trusts the runs alone
    rebuilt = reader.read(store, [session])
    client.update_run(arm.info.run_id, "FINISHED")
    return [tables, rebuilt, reader.read(Store(store.folder, "http://127.0.0.1:9"), [session])]


def the_arm(tables: reader.Tables) -> dict[str, Any]:
    (row,) = tables.arms.to_dict("records")
    return {str(name): value for name, value in row.items()}


def split(events: Sequence[Event], *, killed: bool) -> Edit:
    """Interrupts the arm between its two trials."""
    (whole,) = [event for event in events if isinstance(event, ArmFinished)]
    (began,) = [event for event in events if isinstance(event, ArmStarted)]
    middle = next(event.time for event in events if event.kind == "trial_finished")

    def edit(event: Event) -> Iterable[Event]:
        if event.kind == "arm_finished":
            return [replace(whole, usage=replace(whole.usage, seconds=2.0, cpu_seconds=1.0, peak_memory_bytes=1))]
        if event.kind == "trial_finished" and event.time == middle:
            first = replace(whole, usage=replace(whole.usage, seconds=6.0, cpu_seconds=17.0), time=middle)
            again = replace(began, time=middle, idle_cpu_rate=0.0)
            return [event, *([] if killed else [first]), SessionResumed(middle), again]
        return [replace(event, idle_cpu_rate=0.4)] if isinstance(event, ArmStarted) else [event]

    return edit


def test_a_resumed_arms_totals_are_those_of_all_its_parts(done: Any, rewritten: Any) -> None:
    store, session = rewritten(split(done[1], killed=False))
    (whole,) = [event for event in done[1] if isinstance(event, ArmFinished)]
    for tables in ways(store, session):
        row = the_arm(tables)
        assert row["cpu_seconds"] == pytest.approx(18.0)
        assert row["wall_seconds"] == pytest.approx(8.0)
        assert row["idle_cpu_rate"] == pytest.approx(0.3)
        assert row["peak_memory_bytes"] == whole.usage.peak_memory_bytes
        assert row["killed_parts"] == 0


def test_a_killed_part_counts_by_its_samples_and_the_comparison_says_so(done: Any, rewritten: Any) -> None:
    store, session = rewritten(split(done[1], killed=True))
    middle = next(event.time for event in done[1] if event.kind == "trial_finished")
    kept = reader.read(Store(store.folder, "http://127.0.0.1:9"), [session])
    assert the_arm(kept)["cpu_seconds"] > 1.0
    for tables in ways(store, session):
        row = the_arm(tables)
        assert row["cpu_seconds"] == the_arm(kept)["cpu_seconds"]
        assert row["killed_parts"] == 1
        assert 2.0 < row["wall_seconds"] < 2.0 + middle - done[1][0].time
    assert any("killed, and resumed" in note for note in compare_sessions(store, [session]).notes)


def test_what_a_later_part_could_not_measure_is_no_longer_known_in_the_store(done: Any, rewritten: Any) -> None:
    edit = split(done[1], killed=False)

    def blind(event: Event) -> Iterable[Event]:
        for one in edit(event):
            if isinstance(one, AttemptFinished):
                yield replace(one, usage=None)
            elif isinstance(one, ArmFinished) and one.usage.seconds == 2.0:
                yield replace(one, usage=Usage(seconds=2.0))
            else:
                yield one

    store, session = rewritten(blind)
    for tables in ways(store, session):
        assert pd.isna(the_arm(tables)["cpu_seconds"])
    (row,) = compare_sessions(store, [session]).comparison.rows
    assert row.totals.cpu_seconds is None
    assert row.totals.wall_seconds == pytest.approx(8.0)


def test_time_money_idle_share_and_estimated_energy_reach_the_comparison(done: Any, rewritten: Any) -> None:
    def edit(event: Event) -> Iterable[Event]:
        if isinstance(event, ArmStarted):
            return [replace(event, idle_cpu_rate=0.5)]
        if isinstance(event, ArmFinished):
            usage = replace(event.usage, seconds=1800.0, cpu_seconds=1000.0, energy_joules=3.6e6)
            return [replace(event, usage=replace(usage, energy_provenance="estimated"))]
        return [event]

    store, session = rewritten(edit)
    found = compare_sessions(store, [session], terms=Terms(prices=Prices(per_kwh=3.0, per_machine_hour=10.0)))
    (row,) = found.comparison.rows
    assert (row.totals.wall_seconds, row.totals.idle_cpu_rate) == (1800.0, 0.5)
    assert row.totals.money == pytest.approx(3.0 + 5.0)
    assert "Energy of 'm single' is estimated, not measured." in found.notes
    assert "Of 1000.0 CPU seconds of 'm single', the model's server would have taken about 900.0 idle." in found.notes
    for tables in ways(store, session):
        assert the_arm(tables)["idle_cpu_rate"] == 0.5
        assert the_arm(tables)["energy_provenance"] == "estimated"


def test_the_weights_of_the_efficiency_are_parameters_of_the_session(done: Any, rewritten: Any) -> None:
    def edit(event: Event) -> Iterable[Event]:
        if isinstance(event, SessionStarted):
            return [replace(event, plan=replace(event.plan, weights={"latency": 2.0}))]
        return [event]

    store, session = rewritten(edit)
    (run,) = find_runs(connect(store), [*reader.read(store).experiments], kind="session", session=session)
    assert (run.data.params["efficiency_latency"], run.data.params["efficiency_half_cpu"]) == ("2.0", "20.0")


def test_a_comparison_is_found_by_its_session_and_brought_up_to_date(done: Any, rewritten: Any) -> None:
    store, session = rewritten(lambda event: [event])
    client, found = connect(store), compare_sessions(store, [session])
    (run,) = find_runs(client, list(found.tables.experiments), kind="comparison", session=session)
    client.log_metric(run.info.run_id, "trials", 1)
    compare_sessions(store, [session])
    (again,) = find_runs(client, list(found.tables.experiments), kind="comparison", session=session)
    assert (again.info.run_id, again.data.metrics["trials"]) == (run.info.run_id, 2)
    assert f"{TAG}sessions" not in again.data.tags


def test_a_tag_with_a_quote_in_it_can_be_searched_for(done: Any, rewritten: Any) -> None:
    store, session = rewritten(lambda event: [event])
    client, experiments = connect(store), list(reader.read(store).experiments)
    (arm,) = find_runs(client, experiments, kind="arm", session=session)
    client.set_tag(arm.info.run_id, f"{TAG}arm", "it's mine")
    assert len(find_runs(client, experiments, kind="arm", arm="it's mine")) == 1


def test_reading_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no sessions yet"):
        compare_sessions(Store.local(tmp_path / "mlruns"))
    assert not (tmp_path / "mlruns").exists()
