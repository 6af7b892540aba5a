"""Imports point one way, and starting costs little: the heavy libraries are loaded where they are used."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "accelerate", "dagshub", "datasets", "docker", "httpx", "matplotlib", "mlflow", "numpy", "ollama", "pandas",
    "pyarrow", "radon", "scipy", "sklearn", "sqlalchemy", "statsmodels", "torch", "transformers",
}  # fmt: skip
HELP_SECONDS = 0.5


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """The import contract of pyproject.toml, checked on the package in `folder`."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    path = {"PYTHONPATH": str(folder / "src")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | path, capture_output=True, text=True, timeout=120
    )


def imported(*arguments: str) -> set[str]:
    """The top-level names of all modules that a fresh interpreter imports for these arguments."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    modules = re.findall(r"^import time:.*\|\s+(\w+)", done.stderr, re.MULTILINE)
    assert "smallenough" in modules
    return set(modules)


def test_imports_point_one_way() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("records/plain.py", "import smallenough.cli", "Imports point one way"),
        ("strategies/__init__.py", "import smallenough.models", "Imports point one way"),
        ("plugins.py", "import pandas", "Heavy libraries stay in the files that adapt them"),
    ],
)
def test_the_contract_notices_an_import_against_it(tmp_path: Path, module: str, line: str, contract: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    changed = tmp_path / "src" / "smallenough" / module
    changed.write_text(f"{changed.read_text()}\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"^{re.escape(contract)} +BROKEN", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import smallenough"),
        ("-c", "import smallenough.cli.main"),
        ("run_experiments.py", "--help"),
        ("run_experiments.py", "run", "--help"),
    ],
    ids=" ".join,
)
def test_starting_loads_no_heavy_library(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) & HEAVY == set()


def test_importing_prints_nothing() -> None:
    code = "import smallenough, smallenough.cli.main"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_takes_little_time() -> None:
    """In processor seconds, best of five: what else the machine does is not charged to it."""
    command = [sys.executable, "run_experiments.py", "--help"]
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < HELP_SECONDS


def test_a_clone_needs_no_installation(tmp_path: Path) -> None:
    """From any folder; -S leaves out the installed packages, -c stands in for the command line."""
    code = (
        "import runpy, sys\n"
        "try: runpy.run_path(sys.argv[1])\n"
        "except ImportError as error: print(error.name)\n"
        "import smallenough; print(smallenough.__file__)"
    )
    command = [sys.executable, "-S", "-c", code, str(ROOT / "run_experiments.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == str(ROOT / "src" / "smallenough" / "__init__.py")
