"""A package that extends smallenough, installed beside it: its own tests, and a session with every part."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "examples" / "plugin"
PAGES = {
    "model-client": "script",
    "strategy": "patient",
    "scorer": "documented",
    "sandbox": "logged",
    "task-source": "csv_tasks",
    "probe": "load",
}

ANSWER = f"""#!{sys.executable} -IS
import json, sys
asked = json.load(sys.stdin)
right = asked["seed"] % 2
code = "def double(n):\\n    '''Twice n.'''\\n    return " + ("2 * n" if right else "n")
print(json.dumps({{"text": "```python\\n" + code + "\\n```", "tokens_in": 5, "tokens_out": 7}}))
"""

pytestmark = pytest.mark.xdist_group("plugin")  # installed once


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    shutil.copytree(PLUGIN, source / "plugin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), str(source / "plugin")], check=True)
    return target


def run(installed: Path, folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(installed), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path, "OLLAMA_HOST": "127.0.0.1:9", **more}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_its_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(PLUGIN / "tests", tmp_path / "tests")
    done = run(installed, tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 60


def test_every_part_has_its_share_in_a_session(installed: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_text(ANSWER)
    answer.chmod(0o755)
    (tmp_path / "doubles.csv").write_text(
        'id,prompt,entry_point,test,solution\nd,"Write double(n), which returns n doubled.",double,'
        'assert double(2) == 4,"def double(n):\n    return 2 * n"\n'
    )
    (tmp_path / "e.yaml").write_text(
        f"suite: {{source: csv, path: doubles.csv}}\nsandbox: logged\nrepeats: 2\n"
        f"models: [{{name: 'script:{answer}', strategies: ['patient:most=2']}}]\n"
    )
    done = run(
        installed, tmp_path, "smallenough", "run", "--config", "e.yaml", "--json", SANDBOX_LOG=str(tmp_path / "log")
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["comparison"]["rows"]
    assert row["arm"] == f"script:{answer} patient most=2"
    assert row["counts"]["trials"] == 2
    assert len((tmp_path / "log").read_text().splitlines()) >= 2, "programs ran in its sandbox"

    from mlflow import MlflowClient

    found = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    runs = found.search_runs([one.experiment_id for one in found.search_experiments()])
    trials = [run for run in runs if run.data.tags["smallenough.kind"] == "trial"]
    assert [run.data.metrics["documented_ratio"] for run in trials] == [1.0, 1.0]
    (resources,) = [run for run in runs if run.data.tags["smallenough.kind"] == "resources"]
    file = found.download_artifacts(resources.info.run_id, "samples.parquet", str(tmp_path))
    assert "load_average" in pd.read_parquet(file)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_of_each_shows_the_code_that_is_tested(page: str) -> None:
    text = (ROOT / "docs" / "extending" / f"{page}.md").read_text("utf-8")
    code = (PLUGIN / "src" / "smallenough_example" / f"{PAGES[page]}.py").read_text("utf-8")
    assert f"```python\n{code}```" in text
    point = next(line for line in (PLUGIN / "pyproject.toml").read_text().splitlines() if f".{PAGES[page]}:" in line)
    assert point in text
