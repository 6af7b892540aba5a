"""Answers and resource samples: the same from a local store, from a server, and from the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from smallenough.sessions import experiment
from smallenough.tracking import layout, reader, writer
from smallenough.tracking.access import find_runs
from smallenough.tracking.answers import TrialName, read_answers
from smallenough.tracking.reader import Tables
from smallenough.tracking.samples import read_samples
from smallenough.tracking.store import Store, connect
from tests import replayed
from tests.servers.own_mlflow import OwnMlflow

pytestmark = pytest.mark.xdist_group("answers")  # a server and a session are shared


@pytest.fixture(scope="module")
def tracked(
    tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]
) -> Iterator[tuple[Store, str]]:
    """A session in a local store, and the URI of a real server that has it too."""
    store = new_store(tmp_path_factory.mktemp("tracked"))
    result = experiment.run(replayed.prepared(3, repeats=2), store)
    assert result.writer.wait(120) == 0
    own = OwnMlflow(tmp_path_factory.mktemp("server"))
    own.start()
    writer.write(result.folder, Store(store.folder, own.uri), follow=False)
    yield store, own.uri
    own.end()


def names(tables: Tables) -> list[TrialName]:
    columns = (tables.trials[name] for name in ("session", "arm", "task", "repeat"))
    return [TrialName(session, arm, task, int(repeat)) for session, arm, task, repeat in zip(*columns, strict=True)]


def test_every_source_tells_the_same_answers(tracked: tuple[Store, str]) -> None:
    store, uri = tracked
    server, here = Store(store.folder, uri), reader.read(store)
    told: list[tuple[int, int]] = []
    found = read_answers(store, here, names(here), lambda done, of: told.append((done, of)))
    assert len(found.trials) == len(here.trials) == 12
    assert len(found.attempts) == len(here.attempts)
    assert found.missing == 0
    assert told[-1] == (len(found.trials) + len(found.attempts),) * 2
    assert read_answers(server, reader.read(server), names(here)) == found
    from_journal = reader.read_journal(store, here.sessions[0])
    assert read_answers(store, from_journal, names(here)) == found


def test_an_answer_holds_what_was_asked_answered_and_tested(tracked: tuple[Store, str]) -> None:
    store, _ = tracked
    tables = reader.read(store)
    wanted = next(one for one in names(tables) if (one.arm, one.task, one.repeat) == ("m branching", "double_1", 1))
    found = read_answers(store, tables, [wanted])
    assert set(found.trials) == {wanted}
    trial = found.trials[wanted]
    assert trial["prompt"] == "Write double_1(n), which returns n doubled."
    assert "return 2 * n" in trial["code"]
    assert {name for name, _ in found.attempts} == {wanted}
    first, chosen = (found.attempts[wanted, number] for number in (0, trial["chosen"]))
    assert first["public"]["results"][0]["passed"] is False
    assert [one["passed"] for one in chosen["hidden"]["results"]] == [True, True]


def test_what_is_missing_is_counted_and_the_rest_is_read(tracked: tuple[Store, str]) -> None:
    store, _ = tracked
    tables = reader.read(store)
    (run, *_) = find_runs(connect(store), list(tables.experiments), kind="trial")
    path = Path(unquote(run.info.artifact_uri.removeprefix("file://")), layout.TRIAL)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:20])
        found = read_answers(store, tables, names(tables))
    finally:
        path.write_bytes(whole)
    assert found.missing == 1
    assert len(found.trials) == len(tables.trials) - 1


def test_samples_are_the_same_from_every_source(tracked: tuple[Store, str]) -> None:
    store, uri = tracked
    tables = reader.read(store)
    found = read_samples(store, tables)
    assert {arm for _, arm in found} == set(tables.arms["arm"])
    server = Store(store.folder, uri)
    for other in (
        read_samples(server, reader.read(server)),
        read_samples(store, replace(tables, experiments=())),
    ):
        assert other.keys() == found.keys()
        assert all(other[arm].equals(frame) for arm, frame in found.items())
