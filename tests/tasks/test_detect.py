from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smallenough.errors import InputError
from smallenough.records import Suite
from smallenough.tasks.detect import FORMS, open_source
from smallenough.tasks.humaneval import HumanEvalSource
from smallenough.tasks.jsonl import JsonlSource
from smallenough.tasks.mbpp import MbppSource
from tests.thorough import examples

OWN: dict[str, Any] = {
    "task_id": "a",
    "name": "f",
    "problem": "do",
    "canonical_solution": None,
    "tests": "[]",
    "category": "c",
    "complexity": None,
    "object": "function",
}
MBPP: dict[str, Any] = {
    "text": "do",
    "code": "def f(): pass",
    "task_id": 1,
    "test_setup_code": "",
    "test_list": ["assert f() == None"],
    "challenge_test_list": [],
}
HUMANEVAL: dict[str, Any] = {
    "task_id": "h",
    "prompt": "def f():\n",
    "entry_point": "f",
    "canonical_solution": "    pass\n",
    "test": "def check(candidate):\n    assert candidate() == None\n",
}


def written(path: Path, *objects: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


@pytest.mark.parametrize(("one", "kind"), [(OWN, JsonlSource), (MBPP, MbppSource), (HUMANEVAL, HumanEvalSource)])
def test_the_form_is_told_by_the_keys(tmp_path: Path, one: dict[str, Any], kind: type) -> None:
    path = written(tmp_path / "mine.jsonl", one)
    source = open_source(path)
    assert isinstance(source, kind)
    suite = source.load()
    assert (suite.name, suite.source, len(suite.tasks)) == ("mine", "mine.jsonl", 1)
    assert open_source(path, "named").load().name == "named"


def test_a_folder_is_in_the_own_form(tmp_path: Path) -> None:
    written(tmp_path / "c.jsonl", OWN)
    assert [task.id for task in open_source(tmp_path).load().tasks] == ["a"]


def test_a_packed_file_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(MBPP).encode()))
    assert open_source(path).load().name == "some"


def test_the_protocol_is_handed_on(tmp_path: Path) -> None:
    assert open_source(written(tmp_path / "m.jsonl", MBPP), protocol="standard").load().protocol == "standard"
    assert open_source(written(tmp_path / "o.jsonl", OWN), protocol="standard").load().protocol == "standard"


def test_a_missing_key_does_not_hide_the_form(tmp_path: Path) -> None:
    lacking = {key: value for key, value in MBPP.items() if key != "text"}
    with pytest.raises(InputError, match="the key 'text' is missing"):
        open_source(written(tmp_path / "m.jsonl", lacking)).load()


def test_a_bad_first_line_does_not_hide_the_form(tmp_path: Path) -> None:
    path = written(tmp_path / "m.jsonl", [], MBPP, MBPP)
    with pytest.raises(InputError) as caught:
        open_source(path).load()
    assert f"{path}:1: a line must be one JSON object" in str(caught.value)
    assert f"{path}:3: the id 'MBPP/1' is already that of {path}:2" in str(caught.value)


def test_none_of_the_forms_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", {"question": 1, "reply": 2})
    with pytest.raises(InputError) as caught:
        open_source(path)
    assert str(caught.value).startswith(
        f"{path}:1: in none of the forms that can be read; its keys are question, reply"
    )
    assert all(form in str(caught.value) for form in FORMS)


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", written(tmp_path / "empty.jsonl"), written(tmp_path / "bad.jsonl", 1, 2)):
        with pytest.raises(InputError, match=path.name):
            open_source(path)


def outcome(path: Path) -> Suite | InputError:
    try:
        return open_source(path).load()
    except InputError as error:
        return error


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(150))
@given(content=st.binary(max_size=300))
@example(content=b"\x1f\x8b")
@example(content=b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xff\xff")
@example(content=b'{"task_id": "a", "tests": "' + b"[" * 20_000 + b'"}')
@example(content=b'{"a": NaN, "a": Infinity, "text": 1e999, "code": -0}')
@example(content=b'{"text": "", "code": "\\u0000", "test_list": ["\\u0000"], "task_id": 1, "test_setup_code": ""}')
def test_any_bytes_are_a_suite_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(content)
    result = outcome(path)
    assert isinstance(result, Suite) or str(path) in str(result)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(200))
@given(data=st.data())
def test_any_values_under_the_right_keys_are_a_suite_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([OWN, MBPP, HUMANEVAL]))
    twisted = st.fixed_dictionaries({}, optional={key: st.just(value) | JSON for key, value in whole.items()})
    tests = st.lists(st.fixed_dictionaries({}, optional={"ctx": JSON, "assertion": JSON, "output": JSON}), max_size=2)
    objects = data.draw(st.lists(twisted, min_size=1, max_size=3))
    more = data.draw(
        st.fixed_dictionaries({}, optional={"public_tests": tests | JSON, "alias": JSON, "protocol": JSON})
    )
    path = written(tmp_path / "any.jsonl", *[{**one, **more} for one in objects])
    result = outcome(path)
    if isinstance(result, Suite):
        assert len(result.tasks) == len(objects)
        assert result.digest
    else:
        assert f"{path}:" in str(result)
