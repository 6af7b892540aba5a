"""`quickstart.sh`: from a clone to a comparison, with an Ollama server and without."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from smallenough.analysis.comparison import compare
from smallenough.tracking import reader
from smallenough.tracking.store import Store
from tests.servers.own_ollama import OwnOllama

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "quickstart.sh"
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0"}


def surroundings(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Those of a new user: a home folder of its own, and nothing set but `environment`."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG", "LC_"))}
    path = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if part != str(Path(sys.executable).parent)
    )
    return {**kept, "PATH": path, "HOME": str(home), **environment}


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the script of a clone as a new user would."""
    return subprocess.run(
        [str(folder / SCRIPT.name), *arguments],
        env=surroundings(folder, environment),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def served(folder: Path, **environment: str) -> tuple[bytes, str]:
    """What the UI shows that `--serve` opens at last, and what the script said; ends it by Ctrl-C."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(folder / SCRIPT.name), "--serve", "--port", str(port)]
    said = folder.parent / "served.log"
    with said.open("w") as log:
        process = subprocess.Popen(command, env=surroundings(folder, environment), stdout=log, stderr=log)
    shown, deadline = b"", time.monotonic() + 900
    while not shown and process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as reply:
            shown = reply.read()
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, said.read_text("utf-8")
    return shown, said.read_text("utf-8")


def cloned(folder: Path) -> Path:
    """What git knows of the working tree, in a folder of its own."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def arms(folder: Path) -> pd.DataFrame:
    """The comparison of the newest session in the store that the script filled."""
    tables = reader.read(Store.resolve(folder=folder / "mlruns"))
    return compare(tables.trials, tables.arms).to_frame()


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with the script and nothing else."""
    (tmp_path / "alone").mkdir()
    shutil.copy2(SCRIPT, tmp_path / "alone")
    (tmp_path / "alone" / "pyproject.toml").touch()
    return tmp_path / "alone"


def test_help_teaches(alone: Path) -> None:
    done = start(alone, "--help")
    assert done.returncode == 0
    assert "--serve" in done.stdout
    assert "TORCH" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--serv",), "unknown: --serv"),
        (("--sandbox", "docker"), "--sandbox docker: it is bubblewrap or subprocess"),
        (("--sandbox",), "--sandbox (nothing)"),
        (("--port", "http"), "--port http: name a number"),
        (("--port", "99999"), "--port 99999: name a number from 1 to 65535"),
        (("--port",), "--port (nothing)"),
    ],
)
def test_what_it_does_not_know_is_refused(alone: Path, arguments: tuple[str, ...], said: str) -> None:
    done = start(alone, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (alone / ".venv").exists()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (
            '[ "$1" = --version ] && exec echo Python 3.9.2\nexit 1',
            "Python 3.9.2 is too old; name a Python 3.10 or newer: PYTHON=python3.12 ./quickstart.sh",
        ),
        ("echo half of it is missing >&2\nexit 127", "half of it is missing\n==> {python} does not run"),
    ],
    ids=["old", "broken"],
)
def test_a_python_that_can_t_be_used_is_told_with_the_mend(alone: Path, tmp_path: Path, does: str, said: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{does}\n")
    python.chmod(0o755)
    done = start(alone, PYTHON=str(python))
    assert done.returncode == 1
    assert said.format(python=python) in done.stderr
    assert not (alone / ".venv").exists()


def test_a_python_that_is_not_there_is_told(alone: Path) -> None:
    done = start(alone, PYTHON="python3.99")
    assert (done.returncode, "python3.99 is not there" in done.stderr) == (1, True)
    assert not (alone / ".venv").exists()


@pytest.fixture
def mac(alone: Path, tmp_path: Path) -> dict[str, str]:
    """What makes the script take this for a Mac."""
    (tmp_path / "tools").mkdir()
    uname = tmp_path / "tools" / "uname"
    uname.write_text("#!/bin/sh\necho Darwin\n")
    uname.chmod(0o755)
    return {"PATH": f"{uname.parent}:{surroundings(alone, {})['PATH']}", **NO_INDEX}


def test_where_there_is_no_bubblewrap_nothing_runs_unisolated_without_a_word(alone: Path, mac: dict[str, str]) -> None:
    done = start(alone, **mac)
    assert done.returncode == 1
    assert "bubblewrap needs Linux; ./quickstart.sh --sandbox subprocess runs what models write" in done.stderr
    assert not (alone / ".venv").exists()


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False), ("", False)])
def test_on_a_mac_one_is_asked(alone: Path, mac: dict[str, str], answer: str, goes_on: bool) -> None:
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [str(alone / SCRIPT.name)], env=surroundings(alone, mac), stdin=theirs, capture_output=True, text=True
    )
    for end in (ours, theirs):
        os.close(end)
    assert "macOS has no bubblewrap" in done.stderr
    assert done.returncode == 1, "there is no package index"
    assert ("but NOT isolated (--sandbox subprocess)" in done.stdout) == goes_on
    assert (alone / ".venv").exists() == goes_on


def test_a_port_that_is_in_use_is_told_before_anything_is_done(alone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(alone, "--serve", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} is in use, or not yours to take; name another: ./quickstart.sh --serve --port" in done.stderr
    assert (done.stdout, (alone / ".venv").exists()) == ("", False)


@pytest.mark.slow
def test_without_a_package_index_nothing_counts_as_installed(tmp_path: Path) -> None:
    folder, tools = cloned(tmp_path / "clone"), tmp_path / "tools"
    tools.mkdir()
    python = str(Path(sys.base_prefix, "bin", "python3"))
    for tool in ("bash", "bwrap", "cat", "cksum", "dirname", "env", "uname"):  # no compiler
        (tools / tool).symlink_to(shutil.which(tool) or "")
    for _ in range(2):
        done = start(folder, PATH=str(tools), PYTHON=python, **NO_INDEX)
        assert done.returncode == 1
        assert "smallenough could not be installed; look above for why" in done.stderr
        assert "no C compiler is there" in done.stderr
        assert "No matching distribution found" in done.stderr, "pip's own words"
        assert not list((folder / ".venv").glob("quickstart*"))
    other = tmp_path / "another-python"
    other.symlink_to(python)
    start(folder, PATH=str(tools), PYTHON=str(other), **NO_INDEX)
    assert str(other) in (folder / ".venv" / "made-by").read_text("utf-8"), "the mend that is told works"


@pytest.mark.slow
@pytest.mark.ollama
@pytest.mark.timeout(1800)
def test_where_an_ollama_server_answers_its_models_are_compared_and_again_at_once(
    tmp_path: Path, ollama_url: str
) -> None:
    folder = cloned(tmp_path / "clone")
    (tmp_path / "ollama").mkdir()
    own = OwnOllama(ollama_url, tmp_path / "ollama")
    own.start()
    try:
        compared_with(own, folder)
    finally:
        own.end()


def compared_with(own: OwnOllama, folder: Path) -> None:
    """Runs the script of a clone twice, with two models on a server."""
    own.call("/api/copy", "POST", source="smollm2:135m", destination="twin")
    assert start(folder, OLLAMA_HOST=own.url, **NO_INDEX).returncode == 1, "the next start goes on from there"
    done = start(folder, OLLAMA_HOST=own.url)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "your Ollama server has smollm2:135m twin:latest: nothing to download" in done.stdout
    found = arms(folder)
    assert list(found["arm"]) == [
        "twin:latest single",
        "smollm2:135m single",
        "smollm2:135m branching width=1,max_depth=1",
    ]
    assert list(found["trials"]) == [6, 6, 6]
    assert (found["model_failed"] == 0).all()
    assert not list((folder / ".venv").glob("lib/*/site-packages/torch")), "the engine is not needed"
    made = (folder / ".venv" / "quickstart").stat().st_mtime_ns
    shown, said = served(folder, OLLAMA_HOST=own.url)
    assert b"<title>MLflow</title>" in shown, said
    assert "smallenough run" in said
    assert (folder / ".venv" / "quickstart").stat().st_mtime_ns == made, "nothing is installed again"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_without_one_the_embedded_engine_compares_two_models(tmp_path: Path) -> None:
    folder = cloned(tmp_path / "clone")
    done = start(folder, OLLAMA_HOST="127.0.0.1:9")
    assert done.returncode == 0, done.stderr + done.stdout
    found = arms(folder)
    assert list(found["arm"]) == [
        "huggingface:gemma3:270m-base single",
        "huggingface:smollm2:135m single",
        "huggingface:smollm2:135m branching width=1,max_depth=1",
    ]
    assert set(found["strategy"]) == {"single", "branching"}
    assert list(found["trials"]) == [6, 6, 6]
    assert (found["model_failed"] == 0).all()
    assert found["solved"].sum() > 0
    announced = done.stdout.index("weights to download: 330 MB")
    assert announced < done.stdout.index("the models are ready after")
    for arm in (r"gemma3:270m-base single", r"smollm2:135m single", r"smollm2:135m branch\S* width=1,max_depth=1"):
        assert re.search(rf"^{arm} +\d+% \[\d+–\d+\] ", done.stdout, re.M), "the table names it"
    assert "Look at them: .venv/bin/smallenough ui" in done.stdout
