"""The notebooks run from their first cell to their last, on a session of a local store and of a real remote one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from smallenough.sessions import experiment
from smallenough.tracking.store import Store
from tests import replayed
from tests.servers.own_mlflow import OwnMlflow

pytestmark = pytest.mark.xdist_group("notebooks")

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
MOST_BYTES = 400_000
"""Of a notebook with its outputs: what one reads in a pull request."""


def run(name: str, folder: Path) -> list[Any]:
    """Executes a notebook; its code cells."""
    book = nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(book, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shown(cells: list[Any]) -> str:
    """Everything that the cells printed or showed as text."""
    outputs = [output for cell in cells for output in cell.outputs]
    return "".join(str(one.get("text", "")) + str(one.get("data", "")) for one in outputs)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A local store with a session of three strategies."""
    found = Store.local(tmp_path_factory.mktemp("notebooks") / "mlruns")
    result = experiment.run(replayed.prepared(6), found)
    assert result.writer.wait(300) == 0
    return found


@pytest.fixture
def remote(store: Store, tmp_path: Path) -> Iterator[str]:
    """A tracking server of its own on the same store."""
    server = OwnMlflow(tmp_path, store.database)
    server.start()
    yield server.uri
    server.end()


def test_the_analysis_runs_on_a_local_store(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLENOUGH_STORE", str(store.folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    text = shown(run("analysis.ipynb", tmp_path))
    assert "Good enough means" in text
    assert "application/vnd.plotly" in text
    assert all(arm.name in text for arm in replayed.ARMS)


def test_the_remote_one_runs_on_a_real_server(remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", remote)
    monkeypatch.setenv("SMALLENOUGH_STORE", str(tmp_path / "nothing-here"))
    text = shown(run("remote.ipynb", tmp_path))
    assert "Good enough means" in text
    assert "read from the journals" not in text


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_what_is_kept_is_small_and_whole(path: Path) -> None:
    """Every code cell was run, in order, without an error, and no path of a machine is in it."""
    text = path.read_text()
    assert len(text) < MOST_BYTES
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]  # type: ignore[no-untyped-call]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
    assert "/home/" not in text
    assert "/tmp/" not in text
    assert not re.search(r"/(root|home|Users|tmp)/", text)
