from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smallenough.sessions.suites import open_suite
from smallenough.tracking.store import Store
from tests.cli.calling import call

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.xdist_group("tasks")  # a store with an imported suite is shared


def own(name: str, **more: Any) -> dict[str, Any]:
    tests = [{"ctx": "", "assertion": f"assert func({n}) == {n * 2}"} for n in range(4)]
    return {
        "task_id": name,
        "name": "double",
        "problem": f"Double a number.\nThis is {name}.",
        "canonical_solution": "def double(n):\n    return 2 * n",
        "tests": json.dumps(tests),
        "category": "numbers",
        "complexity": 2,
        "object": "function",
        **more,
    }


def write(path: Path, *objects: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Path:
    """A store whose suite `doubles` has the tasks a and b."""
    folder = new_store(tmp_path_factory.mktemp("store")).folder
    path = write(folder / "tasks.jsonl", own("a"), own("b"))
    command = [sys.executable, str(ROOT / "run_experiments.py"), "tasks", "import", str(path), "--suite", "doubles"]
    done = subprocess.run([*command, "--store", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("suite doubles, version 1: 2 tasks, digest ")
    return folder


def test_suites_are_listed_with_what_one_chooses_by(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "tasks", "list", "--store", store)
    assert said.code == 0
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert rows["suite"].split() == ["suite", "version", "tasks", "levels", "categories", "digest", "from"]
    assert "built in" in rows["basics"]
    assert "1 to 3" in rows["basics"]
    digest = open_suite("doubles", Store.resolve(None, store)).digest
    assert rows["doubles"].split() == ["doubles", "1", "2", "2", "numbers", digest, "tasks.jsonl"]


def test_suites_as_json(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(call(capsys, "tasks", "list", "--store", store, "--json").out)
    assert {one["name"] for one in listed} >= {"basics", "humaneval", "mbpp", "doubles"}
    (doubles,) = [one for one in listed if one["name"] == "doubles"]
    assert (doubles["version"], doubles["tasks"], doubles["categories"]) == (1, 2, ["numbers"])


def test_tasks_are_listed_with_their_first_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = call(capsys, "tasks", "list", "--suite", "doubles", "--store", store).out.splitlines()
    assert [line.split() for line in lines[1:]] == [[n, "numbers", "2", "Double", "a", "number."] for n in "ab"]
    basics = json.loads(call(capsys, "tasks", "list", "--suite", "basics", "--json", "--store", store).out)
    assert next(one["first_line"] for one in basics if one["id"] == "is_even").startswith("Write a Python function")


class TestShow:
    def test_only_what_a_model_may_see(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "tasks", "show", "is_even").out
        assert "is_even (numbers, level 1)" in said
        assert "assert is_even(4) == True" in said
        assert "assert is_even(-3) == False" not in said
        assert "n % 2" not in said
        assert "hidden tests: 4; --hidden shows them" in said

    def test_all_of_it_when_asked(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "tasks", "show", "is_even", "--hidden", "--reference").out
        assert "assert is_even(-3) == False" in said
        assert "return n % 2 == 0" in said

    def test_json_hides_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = json.loads(call(capsys, "tasks", "show", "is_even", "--json").out)
        assert said["hidden_tests"] == 4
        assert "reference" not in said
        more = json.loads(call(capsys, "tasks", "show", "is_even", "--json", "--hidden", "--reference").out)
        assert len(more["hidden_tests"]) == 4
        assert more["reference"].startswith("def is_even")

    def test_an_unknown_task_names_the_nearest(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "tasks", "show", "is_evn")
        assert (said.code, said.out) == (2, "")
        assert "unknown task 'is_evn'; did you mean 'is_even'?" in said.err


class TestImport:
    def test_a_version_is_added_only_for_other_tasks(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = write(tmp_path / "tasks.jsonl", own("x"))
        arguments = ("tasks", "import", path, "--suite", "versions", "--store", store, "--sandbox", "subprocess")
        assert "version 1: 1 task" in call(capsys, *arguments).out
        assert "it had these very tasks, and no version was added" in call(capsys, *arguments).out
        write(path, own("y"))
        said = json.loads(call(capsys, *arguments, "--no-clear", "--json").out)
        assert {**said, "digest": ""} == {"suite": "versions", "version": 2, "digest": "", "tasks": 2, "added": True}

    def test_a_failing_reference_is_told_with_its_line(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrong = own("wrong", canonical_solution="def double(n):\n    return n")
        path = write(tmp_path / "tasks.jsonl", own("right"), wrong)
        said = call(capsys, "tasks", "import", path, "--suite", "failing", "--store", store)
        assert (said.code, said.out) == (2, "")
        assert f"{path}:2: the reference of 'wrong' fails its test" in said.err
        assert "'failing'" in call(capsys, "tasks", "list", "--suite", "failing", "--store", store).err

    @pytest.mark.parametrize(
        ("content", "message"), [("{", ":1:2: not JSON"), ('{"a": 1}\n', "in none of the forms"), ("", "is empty")]
    )
    def test_a_malformed_file_is_told_with_its_place(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
    ) -> None:
        path = tmp_path / "tasks.jsonl"
        path.write_text(content)
        said = call(capsys, "tasks", "import", path, "--suite", "x", "--store", tmp_path / "store")
        assert said.code == 2
        assert message in said.err
        assert not (tmp_path / "store").exists()

    def test_a_suite_must_be_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "tasks", "import", tmp_path / "tasks.jsonl")
        assert said.code == 2
        assert "--suite" in said.err


class TestExport:
    def test_it_comes_back_as_it_was(self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "out.jsonl"
        assert call(capsys, "tasks", "export", "--suite", "basics", "--output", path, "--store", store).code == 0
        local = Store.resolve(None, store)
        assert open_suite(str(path), local).digest == open_suite("basics", local).digest

    def test_standard_output_has_only_lines_of_json(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "tasks", "export", "--suite", "doubles@1", "--store", store)
        assert [json.loads(line)["task_id"] for line in said.out.splitlines()] == ["a", "b"]
        assert said.err == ""

    def test_a_reader_that_leaves_early_is_no_fault(self, store: Path) -> None:
        program = f"{sys.executable} {ROOT}/run_experiments.py tasks export --suite humaneval --store {store} | head -1"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {program}"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["task_id"] == "HumanEval/0"


@pytest.mark.parametrize("name", ["tasks", "tasks list", "tasks show", "tasks import", "tasks export"])
def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    said = call(capsys, *name.split(), "--help")
    assert said.code == 0
    assert said.out.count("  smallenough tasks") >= 2


def test_a_task_is_found_by_the_end_of_its_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = call(capsys, "tasks", "show", "23", "--suite", "humaneval", "--store", tmp_path)
    assert (said.code, "HumanEval/23" in said.out) == (0, True)
