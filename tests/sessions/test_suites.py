from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smallenough.errors import InputError, SandboxError, UnknownName
from smallenough.sessions.suites import free_task, import_file, list_all, open_suite
from smallenough.tracking.store import Store
from smallenough.tracking.suites import list_suites

pytestmark = pytest.mark.xdist_group("suites")  # a store with suites is shared


def mbpp(number: int, code: str = "def double(n):\n    return 2 * n") -> dict[str, Any]:
    return {
        "task_id": number,
        "text": "Write a function to double a number.",
        "code": code,
        "test_setup_code": "",
        "test_list": ["assert double(2) == 4", "assert double(0) == 0", "assert double(-1) == -2"],
        "challenge_test_list": [],
    }


def write(path: Path, *objects: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One that does not exist yet: most of what is here must not make it."""
    return Store.resolve(None, tmp_path / "store")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Store:
    """A store with two versions of `doubles`."""
    folder = tmp_path_factory.mktemp("imported")
    store = new_store(folder / "store")
    for last in (1, 2):
        path = write(folder / "tasks.jsonl", *(mbpp(number) for number in range(1, last + 1)))
        assert import_file(store, path, "doubles", merge=False, sandbox="subprocess").version == last
    return store


class TestOpen:
    def test_built_in_suites_need_neither_mlflow_nor_a_store(self, store: Store) -> None:
        program = (
            "import sys; from pathlib import Path; from smallenough.tracking.store import Store;"
            "from smallenough.sessions.suites import open_suite;"
            f"print(len(open_suite('basics', Store.resolve(None, Path({str(store.folder)!r}))).tasks));"
            "print([name for name in ('mlflow', 'pandas', 'scipy') if name in sys.modules])"
        )
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        count, heavy = said.splitlines()
        assert int(count) >= 60
        assert heavy == "[]"
        assert not store.folder.exists()

    def test_ids_choose_tasks_of_any_suite(self, store: Store) -> None:
        found = open_suite("humaneval", store, ids="HumanEval/2, HumanEval/0")
        assert [task.id for task in found.tasks] == ["HumanEval/0", "HumanEval/2"]

    def test_a_source_gets_path_ids_and_protocol(self, store: Store, tmp_path: Path) -> None:
        path = write(tmp_path / "own.jsonl", *(mbpp(number) for number in range(10, 16)))
        found = open_suite("mbpp", store, path=path, ids="11-12,14", protocol="standard")
        assert [task.id for task in found.tasks] == ["MBPP/11", "MBPP/12", "MBPP/14"]
        assert found.protocol == "standard"
        assert len(found.tasks[0].public_tests) == 3

    def test_a_file_is_opened_by_its_path(self, store: Store, tmp_path: Path) -> None:
        found = open_suite(str(write(tmp_path / "own.jsonl", mbpp(1), mbpp(2))), store, ids="MBPP/2")
        assert (found.name, [task.id for task in found.tasks]) == ("own", ["MBPP/2"])

    def test_a_folder_is_found_without_a_separator(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "folder").mkdir()
        own = {
            "task_id": "t", "name": "f", "problem": "P", "canonical_solution": "def f(n): return n",
            "tests": '[{"ctx": "", "assertion": "assert func(1) == 1"}]', "category": "c", "complexity": 1,
            "object": "function",
        }  # fmt: skip
        write(tmp_path / "folder" / "c.jsonl", own)
        monkeypatch.chdir(tmp_path)
        assert [task.id for task in open_suite("folder", store).tasks] == ["t"]

    def test_an_imported_suite_by_name_and_by_version(self, imported: Store) -> None:
        assert len(open_suite("doubles", imported).tasks) == 2
        assert len(open_suite("doubles@1", imported).tasks) == 1
        assert len(open_suite("doubles", imported, version=1).tasks) == 1

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("basics@2", {}, "'basics' has no versions"),
            ("basics", {"version": 2}, "'basics' has no versions"),
            ("basics", {"path": "x.jsonl"}, "'basics' reads no file"),
            ("basics", {"protocol": "standard"}, "has the protocol split"),
            ("basics", {"ids": "primes"}, "unknown task 'primes'; did you mean 'prime'"),
            ("jsonl", {}, "'jsonl' needs a file"),
            ("mbpp", {"ids": "eleven", "path": "x.jsonl"}, "'eleven' is neither a number nor a range"),
            ("nowhere/x.jsonl", {}, "no such file"),
            ("doubles@one", {}, "after @ comes a version's number"),
            ("doubles@1", {"version": 2}, "version 2 is asked for too"),
            ("doubles@9", {}, "no version 9; it has 1, 2"),
            ("doubles", {"path": "x.jsonl"}, "is no built-in source"),
            ("doubles", {"protocol": "standard"}, "has the protocol split"),
        ],
    )
    def test_what_has_no_meaning_is_refused(
        self, imported: Store, name: str, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            open_suite(name, imported, **options)

    @pytest.mark.parametrize(
        ("name", "nearest"), [("basic", "basics"), ("double", "doubles"), ("humanval", "humaneval")]
    )
    def test_an_unknown_name_names_the_nearest_of_all(self, imported: Store, name: str, nearest: str) -> None:
        with pytest.raises(UnknownName, match=f"unknown suite '{name}'; did you mean '{nearest}'") as caught:
            open_suite(name, imported)
        assert caught.value.nearest == nearest

    def test_an_unknown_name_makes_no_store(self, store: Store) -> None:
        with pytest.raises(UnknownName):
            open_suite("nothing", store)
        assert not store.folder.exists()


class TestFreeTask:
    def test_is_one_task_that_nothing_decides(self) -> None:
        (task,) = free_task("Explain recursion.").tasks
        assert (task.id, task.prompt, task.entry_point) == ("task", "Explain recursion.", None)
        assert task.public_tests == task.hidden_tests == ()

    def test_an_empty_one_is_refused(self) -> None:
        with pytest.raises(InputError, match="empty"):
            free_task(" \n")


class TestImport:
    def test_every_failing_reference_is_named_with_its_place_and_nothing_is_written(
        self, store: Store, tmp_path: Path
    ) -> None:
        wrong, broken = "def double(n):\n    return n + 2", "def double(n):\n    return nn"
        path = write(tmp_path / "tasks.jsonl", mbpp(7, wrong), mbpp(1), mbpp(3, broken))
        with pytest.raises(InputError) as caught:
            import_file(store, path, "doubles", merge=False)
        lines = str(caught.value).splitlines()
        assert lines[0] == f"{path}: 2 faults"
        assert f"{path}:3: the reference of 'MBPP/3' fails its test `assert double(2) == 4` (NameError" in lines[1]
        assert f"{path}:1: the reference of 'MBPP/7' fails its test `assert double(0) == 0`" in lines[2]
        assert not store.folder.exists()

    def test_merging_keeps_what_was_there(self, store: Store, tmp_path: Path) -> None:
        first = write(tmp_path / "first.jsonl", mbpp(1), mbpp(2))
        second = write(tmp_path / "second.jsonl", mbpp(3))
        import_file(store, first, "doubles", merge=False, sandbox="subprocess")
        merged = import_file(store, second, "doubles", merge=True, sandbox="subprocess")
        assert [task.id for task in merged.tasks] == ["MBPP/1", "MBPP/2", "MBPP/3"]
        assert open_suite("doubles", store) == merged

    @pytest.mark.parametrize("name", ["mbpp", "basics", "jsonl"])
    def test_the_name_of_a_built_in_suite_is_taken(self, store: Store, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=f"--suite my-{name}"):
            import_file(store, write(tmp_path / "tasks.jsonl", mbpp(1)), name, merge=False)

    def test_an_unknown_sandbox_stops_it(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(UnknownName, match="unknown sandbox 'bubblewarp'; did you mean 'bubblewrap'"):
            import_file(store, write(tmp_path / "t.jsonl", mbpp(1)), "doubles", merge=False, sandbox="bubblewarp")

    def test_a_sandbox_that_is_not_there_is_not_replaced(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda *_, **__: None)
        with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
            import_file(store, write(tmp_path / "t.jsonl", mbpp(1)), "doubles", merge=False)


def test_the_list_has_built_in_and_imported_suites(imported: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMALLENOUGH_MBPP", raising=False)
    listed = {(one.name, one.version): one for one in list_all(imported)}
    assert {("basics", None), ("humaneval", None), ("mbpp", None), ("doubles", 1), ("doubles", 2)} <= set(listed)
    assert ("jsonl", None) not in listed
    basics = listed["basics", None]
    assert basics.levels == (1, 2, 3)
    assert len(basics.categories or ()) >= 8
    assert "SMALLENOUGH_MBPP" in listed["mbpp", None].problem
    assert listed["doubles", 2].tasks == 2
    assert listed["doubles", 2].digest == list_suites(imported)[0].digest == open_suite("doubles@2", imported).digest


def test_a_faulty_mbpp_file_is_a_problem_in_the_list(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLENOUGH_MBPP", str(tmp_path / "none.jsonl"))
    (found,) = [one for one in list_all(store) if one.name == "mbpp"]
    assert "there is no such file" in found.problem
