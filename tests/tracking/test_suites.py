from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallenough.errors import InputError, TrackingError, UnknownName
from smallenough.records import Suite, Task, Test, replace
from smallenough.tracking import internals
from smallenough.tracking.store import Store, connect
from smallenough.tracking.suites import list_suites, load_suite, newest, save_suite
from tests.servers.own_mlflow import OwnMlflow
from tests.thorough import examples

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TESTS = st.lists(st.builds(Test, TEXT, TEXT, st.none() | TEXT), max_size=3).map(tuple)
TASKS = st.builds(
    Task,
    id=TEXT,
    prompt=TEXT,
    entry_point=st.none() | TEXT,
    kind=st.sampled_from(["function", "class"]),
    public_tests=TESTS,
    hidden_tests=TESTS,
    setup=TEXT,
    alias=st.none() | TEXT,
    reference=st.none() | TEXT,
    category=TEXT,
    level=st.none() | st.integers(-(2**70), 2**70),
)
SUITES = st.lists(TASKS, max_size=5, unique_by=lambda task: task.id).map(tuple)
CUTS = st.integers(0, 5)
"""How many of the tasks are tasks; the rest are examples."""


def suite(*names: str, name: str = "mine", prompt: str = "Add.") -> Suite:
    tasks = tuple(
        Task(one, prompt, "f", public_tests=(Test("assert f(1) == 2"),), reference="def f(n):\n    return n + 1")
        for one in names
    )
    return Suite(name, tasks, source="tasks.jsonl", description="A suite.")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Store:
    """One store for tests that use names of their own."""
    return new_store(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path], Store]) -> Store:
    return new_store(tmp_path)


def alter(store: Store, statement: str) -> None:
    with sqlite3.connect(store.folder / "mlflow.db") as connection:
        connection.execute(statement)
    connection.close()


def datasets(store: Store) -> int:
    with sqlite3.connect(store.folder / "mlflow.db") as connection:
        count: int = connection.execute("SELECT count(*) FROM evaluation_datasets").fetchone()[0]
    connection.close()
    return count


class TestRoundTrip:
    @settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(tasks=SUITES, cut=CUTS, standard=st.booleans())
    def test_every_field_of_every_task_and_example_comes_back_in_order(
        self, shared: Store, tasks: tuple[Task, ...], cut: int, standard: bool
    ) -> None:
        given = Suite("any", tasks[:cut], "s", "standard" if standard else "split", examples=tasks[cut:])
        saved = save_suite(shared, given, merge=False)
        assert load_suite(shared, "any", saved.version) == saved
        assert (saved.tasks, saved.examples) == (tasks[:cut], tasks[cut:])

    def test_source_and_description_come_back_too(self, shared: Store) -> None:
        saved = save_suite(shared, suite("a", name="told"), merge=False)
        found = load_suite(shared, "told")
        assert found == saved
        assert (found.source, found.description, found.version) == ("tasks.jsonl", "A suite.", 1)

    def test_what_a_solver_may_see_are_the_inputs(self, shared: Store) -> None:
        task = Task("t", "P", "f", hidden_tests=(Test("assert f(1) == 7"),), setup="secret = 7", reference="ref")
        save_suite(shared, Suite("apart", (task,)), merge=False)
        info = newest(shared, "apart")
        assert info
        (record,) = internals.read_records(shared.uri, info.dataset)
        seen = set(asdict(task.problem)) - {"id"}
        assert seen <= set(record.inputs) <= seen | {"task_id", "level"}
        assert "7" not in json.dumps(record.inputs)


class TestVersions:
    def test_importing_again_adds_a_version_and_the_older_one_stays(self, store: Store) -> None:
        assert save_suite(store, suite("a"), merge=False).version == 1
        assert save_suite(store, suite("b"), merge=False).version == 2
        assert [task.id for task in load_suite(store, "mine").tasks] == ["b"]
        assert [task.id for task in load_suite(store, "mine", 1).tasks] == ["a"]
        assert [(info.version, info.tasks) for info in list_suites(store)] == [(2, 1), (1, 1)]

    def test_identical_content_adds_none(self, store: Store) -> None:
        first = save_suite(store, suite("a", "b"), merge=False)
        assert save_suite(store, replace(suite("a", "b"), source="elsewhere"), merge=False).version == first.version
        assert save_suite(store, suite("a", "b"), merge=True).version == first.version
        assert datasets(store) == 1

    def test_other_examples_are_another_version(self, store: Store) -> None:
        save_suite(store, suite("a", "b"), merge=False)
        apart = replace(suite("a"), examples=suite("b").tasks)
        assert save_suite(store, apart, merge=False).version == 2
        assert [(info.version, info.tasks) for info in list_suites(store)] == [(2, 1), (1, 2)]

    def test_merging_keeps_a_task_or_an_example_as_it_was_said_last(self, store: Store) -> None:
        save_suite(store, replace(suite("a", "b"), examples=suite("c", "d").tasks), merge=False)
        merged = save_suite(store, replace(suite("c", "e"), examples=suite("b", "f").tasks), merge=True)
        assert [task.id for task in merged.tasks] == ["a", "c", "e"]
        assert [task.id for task in merged.examples] == ["d", "b", "f"]
        assert load_suite(store, "mine") == merged

    def test_another_order_is_another_version(self, store: Store) -> None:
        save_suite(store, suite("a", "b"), merge=False)
        assert save_suite(store, suite("b", "a"), merge=False).version == 2

    def test_merging_keeps_replaces_and_adds(self, store: Store) -> None:
        save_suite(store, suite("a", "b"), merge=False)
        other = replace(suite("b", "c", prompt="Subtract."), source="more.jsonl")
        merged = save_suite(store, other, merge=True)
        assert [(task.id, task.prompt) for task in merged.tasks] == [
            ("a", "Add."),
            ("b", "Subtract."),
            ("c", "Subtract."),
        ]
        assert (merged.version, merged.source) == (2, "tasks.jsonl, more.jsonl")
        assert load_suite(store, "mine") == merged

    def test_merging_into_nothing_is_an_import(self, store: Store) -> None:
        assert save_suite(store, suite("a"), merge=True).version == 1

    def test_other_protocols_do_not_mix(self, store: Store) -> None:
        save_suite(store, suite("a"), merge=False)
        with pytest.raises(InputError, match=r"protocol split.*standard.*another name"):
            save_suite(store, replace(suite("b"), protocol="standard"), merge=True)

    def test_imports_at_the_same_time_get_versions_of_their_own(self, store: Store) -> None:
        with ThreadPoolExecutor(3) as pool:
            saved = list(pool.map(lambda name: save_suite(store, suite(name), merge=False).version, "abc"))
        assert sorted(version or 0 for version in saved) == [1, 2, 3]

    def test_the_list_tells_categories_and_levels(self, store: Store) -> None:
        tasks = (Task("a", "P", category="x", level=2), Task("b", "P", category="y"), Task("c", "P", level=1))
        save_suite(store, Suite("mine", tasks), merge=False)
        (info,) = list_suites(store)
        assert info.categories == ("x", "y", "general")
        assert info.levels == (1, 2)
        assert info.digest == Suite("other", tasks).digest

    def test_categories_that_are_too_many_are_not_told_in_part(self, store: Store) -> None:
        save_suite(
            store, Suite("mine", tuple(Task(str(n), "P", category=f"{n} " * 9) for n in range(900))), merge=False
        )
        assert list_suites(store)[0].categories is None
        assert len(load_suite(store, "mine").tasks) == 900

    def test_a_store_that_does_not_exist_has_none_and_is_not_made(self, tmp_path: Path) -> None:
        assert list_suites(Store.resolve(None, tmp_path / "none")) == []
        assert not (tmp_path / "none").exists()

    def test_mlflow_lists_it_under_the_experiment(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mbpp")
        save_suite(store, suite("a"), merge=False)
        client = connect(store)
        experiment = client.get_experiment_by_name("mbpp")
        assert experiment
        (found,) = client.search_datasets(experiment_ids=[experiment.experiment_id])
        assert found.name == "mine v1"
        assert json.loads(found.profile or "")["num_records"] == 1


class TestFaults:
    def test_an_unknown_suite_names_the_nearest(self, store: Store) -> None:
        save_suite(store, suite("a"), merge=False)
        with pytest.raises(UnknownName, match="did you mean 'mine'"):
            load_suite(store, "mien")

    def test_an_unknown_version_names_those_there_are(self, store: Store) -> None:
        save_suite(store, suite("a"), merge=False)
        save_suite(store, suite("b"), merge=False)
        with pytest.raises(InputError, match=r"no version 7; it has 1, 2$"):
            load_suite(store, "mine", 7)

    @pytest.mark.parametrize("name", ["", "a/b", "a@2", "it's", 'a"b', "-a", "tasks.jsonl", "x.gz", " a", "a ", "a\n"])
    def test_a_name_that_cannot_be_asked_for_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InputError, match="suite name"):
            save_suite(store, suite("a", name=name), merge=False)
        assert datasets(store) == 0

    def test_ids_that_occur_twice_are_refused(self, store: Store) -> None:
        with pytest.raises(InputError, match="'a' occurs twice"):
            save_suite(store, suite("a", "a"), merge=False)
        with pytest.raises(InputError, match="'a' occurs twice"):
            save_suite(store, replace(suite("a"), examples=suite("a").tasks), merge=False)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE evaluation_dataset_records SET inputs = replace(inputs, 'Add.', 'Add!')",
            "DELETE FROM evaluation_dataset_records WHERE inputs LIKE '%\"b\"%'",
            "UPDATE evaluation_dataset_records SET tags = '{}'",
            "UPDATE evaluation_dataset_records SET inputs = replace(inputs, 'prompt', 'promt')",
            "UPDATE evaluation_dataset_records SET expectations = NULL",
        ],
    )
    def test_records_that_someone_changed_are_an_error(self, store: Store, statement: str) -> None:
        save_suite(store, suite("a", "b"), merge=False)
        alter(store, statement)
        with pytest.raises(TrackingError, match=r"version 1 of the suite 'mine'.*not what was saved"):
            load_suite(store, "mine")

    def test_broken_tags_are_an_error_that_names_the_dataset(self, store: Store) -> None:
        save_suite(store, suite("a"), merge=False)
        alter(store, "UPDATE evaluation_dataset_tags SET value = 'two' WHERE key = 'smallenough.version'")
        with pytest.raises(TrackingError, match=r"'mine v1' \(d-.*tags are broken"):
            list_suites(store)

    def test_a_store_that_fails_midway_has_no_half_suite(self, store: Store) -> None:
        alter(
            store,
            "CREATE TRIGGER full BEFORE INSERT ON evaluation_dataset_records "
            "WHEN NEW.inputs LIKE '%\"b\"%' BEGIN SELECT RAISE(ABORT, 'no space'); END",
        )
        with pytest.raises(TrackingError, match="no space"):
            save_suite(store, suite("a", "b"), merge=False)
        assert list_suites(store) == []
        assert datasets(store) == 0

    def test_what_a_killed_import_left_is_no_suite_and_goes_when_it_is_old(self, store: Store) -> None:
        client = connect(store)
        for name in ("old v1", "new v1"):
            client.create_dataset(name, tags={"smallenough.kind": "unfinished", "smallenough.suite": "mine"})
        alter(
            store,
            f"UPDATE evaluation_datasets SET created_time = {(time.time() - 7200) * 1000:.0f} WHERE name LIKE 'old%'",
        )
        assert list_suites(store) == []
        save_suite(store, suite("a"), merge=False)
        assert sorted(found.name for found in client.search_datasets()) == ["mine v1", "new v1"]


def test_a_server_that_is_away_is_told_within_seconds(tmp_path: Path) -> None:
    store = Store.resolve("http://127.0.0.1:9", tmp_path)
    began = time.monotonic()
    with pytest.raises(TrackingError, match=r"^http://127\.0\.0\.1:9 does not answer \(.*refused\); start it"):
        list_suites(store)
    with pytest.raises(TrackingError, match=r"^http://127\.0\.0\.1:9 does not answer \(.*refused\); start it"):
        save_suite(store, suite("a"), merge=False)
    assert time.monotonic() - began < 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Iterator[str]:
    """A real MLflow server on loopback."""
    store = new_store(tmp_path_factory.mktemp("server"))
    own = OwnMlflow(store.folder, store.database)
    own.start()
    yield own.uri
    own.end()


def test_a_server_keeps_suites_as_a_file_does(server: str, tmp_path: Path) -> None:
    store = Store.resolve(server, tmp_path)
    assert list_suites(store) == []
    odd = Task("ü\n'\"", "P\x00\r\n\u2028", "f", "class", (Test("a", "b", ""),), (Test("c"),), "s", "cls", "r", "c", 3)
    first = save_suite(store, Suite("mine", (odd, *suite(*map(str, range(40))).tasks), "s"), merge=False)
    assert load_suite(store, "mine") == first
    merged = save_suite(store, suite("new"), merge=True)
    assert (merged.version, len(merged.tasks)) == (2, 42)
    assert load_suite(store, "mine", 2) == merged
    assert save_suite(store, suite("new"), merge=True).version == 2
    assert [info.version for info in list_suites(store)] == [2, 1]
