"""A training's folder: its log, what may be gone on with there, and what may not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.training.folder import LOG, Plan, TrainingFolder, append

PLAN = Plan("tiny", "d1", "basics", "d2", None, "small", "d3", "d4", {"rank": 8, "target_modules": []})


def test_a_log_begins_with_the_plan_and_is_gone_on_with(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path / "new")
    assert folder.check(PLAN) == []
    with folder.alone():
        folder.begin(PLAN, {"id": "one"})
        folder.begin(PLAN, {"id": "two"})
    (entry,) = folder.check(PLAN)
    assert (entry["kind"], entry["id"], entry["plan"]["settings"]["rank"]) == ("plan", "one", 8)
    assert entry["time"] > 1e9


def test_another_plan_is_refused_with_what_differs(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.begin(PLAN, {})
    other = replace(PLAN, suite="mbpp", settings={**PLAN.settings, "rank": 16})
    with pytest.raises(InputError, match=r"another training \(suite basics there, mbpp here, rank 8 there, 16 here\)"):
        folder.check(other)


def test_a_folder_of_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files, thesis.tex for one"):
        TrainingFolder(tmp_path).begin(PLAN, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_line_that_a_kill_cut_off_is_left_out_and_written_after(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.begin(PLAN, {})
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"kind": "stepped", "st')
    append(tmp_path, b'{"kind": "saved", "step": 3}\n')
    assert [entry["kind"] for entry in folder.read()] == ["plan", "saved"]


def test_two_do_not_train_in_one_folder(tmp_path: Path) -> None:
    first, second = TrainingFolder(tmp_path / "a"), TrainingFolder(tmp_path / "a")
    with first.alone(), pytest.raises(InputError, match="another process trains here"), second.alone():
        pass
    assert not (tmp_path / "a").exists(), "an empty folder is left behind"


@pytest.mark.parametrize(
    ("kinds", "ended"),
    [
        ([], None),
        (["loaded", "stepped"], None),
        (["loaded", "ended:stopped"], None),
        (["loaded", "ended:stopped", "loaded", "ended:done", "usage"], "done"),
        (["loaded", "ended:patience", "usage", "tracked"], "patience"),
        (["loaded", "failed", "usage"], None),
    ],
)
def test_the_end_is_the_last_one_that_was_no_stop(kinds: list[str], ended: str | None) -> None:
    entries = [{"kind": kind.partition(":")[0], "why": kind.partition(":")[2]} for kind in kinds]
    found = TrainingFolder.ended(entries)
    assert (found and found["why"]) == ended


def test_a_manifest_is_written_whole(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    assert folder.manifest() == {}
    folder.write_manifest({"base": "tiny"})
    assert json.loads((tmp_path / "smallenough.json").read_text()) == folder.manifest() == {"base": "tiny"}


def test_a_folder_that_can_not_be_made_has_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = TrainingFolder(tmp_path / "file" / "below")
    with pytest.raises(InputError, match="name another folder with --output"), folder.alone():
        pass
