"""The docs' examples are run: every page's blocks in order, in a fresh folder, as someone would who reads the page.

Shell lines go to a real shell, Python blocks to a Python of their own, YAML blocks to `smallenough config check`. What
is put in place of something else, and what is not run, stands in the tables below, with the reason. A block that is
neither run nor listed fails.

The first experiment is run on the real Ollama. The other pages are about what stands around a model; they are run word
for word, `--quick-test` and all, on a server that speaks as Ollama does and answers at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from smallenough import journal
from smallenough.tasks.basics import BasicsSource
from smallenough.tracking.store import Store
from tests.cli.test_sessions import began
from tests.servers.faulty import Answer, FaultyServer, Model
from tests.test_docs import NAMES, ROOT, Block, blocks

FIRST = "docs/first-experiment.md"
RUN = "smallenough run --large-model mistral --small-model smollm2:135m"

NOT_RUN = {
    "./quickstart.sh": "tests/test_quickstart.py runs it",
    "./quickstart.sh --serve": "tests/test_quickstart.py runs it",
    "./run_tests.sh": "is what runs this",
    "./run_tests.sh --slow": "is what runs this",
    "./run_tests.sh tests/models -k deadline": "is what runs this",
    "python3 -m venv .venv && . .venv/bin/activate": "makes the environment in which this is run",
    "pip install -e .": "makes the environment in which this is run",
    "pip install -e '.[dev]'": "makes the environment in which this is run",
    "pip install 'smallenough[search]'": "makes the environment in which this is run",
    "pip install 'smallenough[contracts]'": "makes the environment in which this is run",
    "smallenough run --large-model huggingface:gemma3:270m-base --small-model huggingface:smollm2:135m"
    " --strategy single --strategy best_of_n:n=4 --strategy branching:width=1,max_depth=2 --strategy cascade"
    " --limit 65 --max-tokens 200 --concurrency 16": "takes a quarter of an hour, and PyTorch; its output is shown",
    "smallenough models --pull smollm2:135m": "fetches from Ollama's library; tests/cli/test_models.py pulls",
    "smallenough train --suite mine --validation-share 0.1 --patience 3": (
        "takes minutes, and PyTorch; tests/cli/test_train.py trains"
    ),
    "smallenough run --model huggingface:mlruns/adapters/smollm2-135m-mine --model huggingface:smollm2:135m"
    " --suite test": "takes PyTorch, and what was trained; tests/models/test_adapters.py asks an adapter",
    "smallenough study experiments/studies/icd10_chapters.yaml --max-eval-samples 50": (
        "takes PyTorch, and what was built; tests/sessions/study runs one"
    ),
    "smallenough models --pull huggingface:smollm2:135m --pull huggingface:gemma3:270m-base": (
        "takes PyTorch and minutes; tests/models/test_packages.py and test_weights.py pull"
    ),
    "smallenough tasks build icd10 --level chapter --train 3000 --validation 200 --test 315 --balance": (
        "takes half a minute; tests/cli/test_build.py builds"
    ),
    "smallenough study experiments/studies/icd10_chapters.yaml": (
        "takes an hour, and PyTorch; its results are shown, and tests/sessions/study runs one"
    ),
    "pip install 'smallenough[icd10]'": "makes the environment in which this is run",
    "smallenough tasks build icd10 --level chapter --train 3000 --validation 200 --test 315": (
        "takes ten seconds; tests/cli/test_build.py builds"
    ),
    "smallenough run --suite icd10-chapter-test --model smollm2:135m --strategy single:shots=5 --max-tokens 16": (
        "takes what was built"
    ),
    "smallenough ui": "runs until Ctrl-C; tests/cli/test_ui.py starts it and looks at it",
}
"""Commands that are not run, and why. Those of smallenough are parsed all the same (tests/test_docs.py)."""

INSTEAD = {
    (FIRST, f"{RUN} --quick-test"): f"{RUN} --limit 1 --max-depth 1",  # a real model, on two cores
    (FIRST, "smallenough run --suite mine --large-model mistral --small-model smollm2:135m"): (
        "smallenough run --suite mine --large-model mistral --small-model smollm2:135m --limit 1 --max-depth 1"
    ),
    ("docs/strategies.md", "smallenough run --config experiments/branching_ablation.yaml"): (
        "smallenough run --config experiments/branching_ablation.yaml --limit 1"  # not 104 tasks in nine arms
    ),
    ("docs/results-in-mlflow.md", "smallenough flush last --tracking-uri https://dagshub.com/USER/REPO.mlflow"): (
        "smallenough flush last --tracking-uri sqlite:///elsewhere.db --store mlruns"  # nobody's account
    ),
    ("docs/reading-a-report.md", "smallenough report 20260101-120000 --open"): "smallenough report last",
    ("docs/reading-a-report.md", "smallenough report --experiment strategies --output strategies.md"): (
        "smallenough report --experiment smallenough --output strategies.md"
    ),
    ("docs/results-in-mlflow.md", "smallenough score 20260101-120000 --suite stricter.jsonl"): "smallenough score last",
    ("docs/results-in-mlflow.md", "smallenough compare 20260101-120000 last"): "smallenough compare last",
    ("docs/results-in-mlflow.md", "smallenough sessions rm --older-than 1y"): (
        "smallenough sessions rm --older-than 1y --yes"  # there is no terminal to ask
    ),
    ("docs/results-in-mlflow.md", "smallenough sessions archive --older-than 30d"): (
        "smallenough sessions archive --older-than 30d --yes"
    ),
}
"""By page and command, what is run in its place."""

CHANGED = {
    "experiments/search_branching.yaml": (
        ("candidates: 20", "candidates: 2"),
        ("models:", "suite: {limit: 4}\nmodels:"),
    ),
}
"""What is changed in files that come with smallenough, so that they take seconds."""

BEFORE = {
    "docs/results-in-mlflow.md": ["smallenough run --model smollm2:135m --limit 2"] * 2,
    "docs/reading-a-report.md": ["smallenough run --model smollm2:135m --limit 2"],
    "docs/evidence.md": ["smallenough run --large-model mistral --small-model smollm2:135m --limit 4"],
}
"""What was done by someone who comes to a page; of two sessions, one was 400 days ago, and one 40."""

MISTAKES = {
    ("docs/settings.md", "smallenough config check"): (("baseline:", "basline:"), ("temperature:", "temprature:"))
}
"""What is wrong in config/experiment_config.yaml while a command shows how that is told, and how that ends: with 2."""

SHOWN = {
    "": "a picture in letters",
    "text": "what was printed once",
    "mermaid": "a picture",
    "toml": "tests/test_plugin_package.py holds the pages to the package's own file",
}
"""Blocks that are no examples to be run, by language."""

PLUGIN = [path.read_text("utf-8") for path in (ROOT / "examples" / "plugin" / "src").rglob("*.py")]
"""Python that pages show and tests/test_plugin_package.py installs and runs."""


@dataclass(frozen=True)
class Reader:
    """Somebody who does what a page says."""

    folder: Path
    host: str
    """Of the model server."""

    def does(self, block: Block) -> None:
        """Runs a block, or sees that it is listed."""
        if block.of_a_shell:
            for command, printed in block.commands():
                if command not in NOT_RUN:
                    self.runs(block.page, command, printed)
        elif block.language == "python":
            if block.text not in PLUGIN:
                self._done([sys.executable, "-c", block.text])
        elif block.language == "yaml":
            self.checks(block.text)
        elif block.language == "json":
            (self.folder / "my_tasks.jsonl").write_text(block.text)
        else:
            assert block.language in SHOWN, f"{block.page}: a block of {block.language!r} is neither run nor listed"

    def runs(self, page: str, command: str, printed: str = "") -> None:
        """Runs a command, in whose output all has to stand that the page shows."""
        config, mistakes = self.folder / "config" / "experiment_config.yaml", MISTAKES.get((page, command), ())
        right = config.read_text() if mistakes else ""
        if mistakes:
            config.write_text(changed(right, mistakes))
        shell = ["bash", "-euo", "pipefail", "-c", INSTEAD.get((page, command), command)]
        said = self._done(shell, 2 if mistakes else 0).replace(self.host, "127.0.0.1:11434")
        if mistakes:
            config.write_text(right)
        lines = [" ".join(line.split()) for line in said.splitlines()]
        for line in printed.strip().splitlines():
            assert " ".join(line.split()) in lines, f"{page}: {command} printed:\n{said}"

    def checks(self, text: str) -> None:
        """Keeps a file of settings, or of models, where it is looked for, and has it checked."""
        name = "models.yaml" if isinstance(yaml.safe_load(text), list) else "experiment_config.yaml"
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / name).write_text(text)
        if name == "models.yaml":  # each of them is known by its name
            for one in yaml.safe_load(text):
                self._done(["bash", "-c", f"smallenough run --model {one['name']} --limit 1 --dry-run"])
        self._done(["smallenough", "config", "check"])

    def _done(self, command: list[str], code: int = 0) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path, "OLLAMA_HOST": self.host},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout


def changed(text: str, parts: tuple[tuple[str, str], ...]) -> str:
    for old, new in parts:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def folder(tmp_path: Path, new_store: Callable[[Path], Store]) -> Path:
    """A fresh working folder, with the ready experiments."""
    new_store(tmp_path / "mlruns")
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    for name, parts in CHANGED.items():
        (tmp_path / name).write_text(changed((tmp_path / name).read_text(), parts))
    return tmp_path


def answer(body: Mapping[str, Any]) -> Answer:
    """What the quick server says: the large model knows every task of `basics`, the small one every other."""
    asked = body["messages"][-1]["content"]
    for number, task in enumerate(BasicsSource().load().tasks):
        if f"`{task.entry_point}" in asked and (number % 2 or body["model"].startswith("mistral")):
            return Answer(f"```python\n{task.reference}\n```")
    return Answer("I can't.")


TAKES_A_MINUTE = {
    f"docs/{name}.md" for name in ("cost", "evidence", "labels", "reading-a-report", "results-in-mlflow", "strategies")
}
"""Pages that are run with `--slow`."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in TAKES_A_MINUTE else ()) for name in NAMES if name != FIRST],
)
def test_the_examples_of_a_page_run(name: str, folder: Path) -> None:
    models = {f"{model}": Model() for model in ("mistral:latest", "smollm2:135m", "smollm2:135m-instruct-q4_0")}
    with FaultyServer(answer, models=models) as server:
        reader = Reader(folder, server.url.removeprefix("http://"))
        for command in BEFORE.get(name, ()):
            reader.runs(name, command)
        store = Store.local(folder / "mlruns")
        for one, days in zip(journal.sessions(store.journals), (40, 400), strict=False):
            began(store, one.session, days)
        for block in blocks(name):
            reader.does(block)


@pytest.mark.ollama
@pytest.mark.timeout(900)
def test_a_first_experiment_runs_on_a_real_model(ollama_url: str, folder: Path) -> None:
    (folder / "config").mkdir()  # the large model is not there: the small one stands for it, with short answers
    (folder / "config" / "models.yaml").write_text(
        "- {name: mistral, reference: 'smollm2:135m', sampling: {max_tokens: 8}}\n"
        "- {name: 'smollm2:135m', sampling: {max_tokens: 8}}\n"
    )
    reader = Reader(folder, ollama_url.removeprefix("http://"))
    for block in blocks(FIRST):
        reader.does(block)
    found = journal.sessions(folder / "mlruns" / "journal")
    assert [(one.status, one.done) for one in found] == [("completed", 2), ("completed", 3), ("completed", 3)]


def test_the_tables_list_only_what_the_pages_hold() -> None:
    """What a page does not say any more is listed no longer."""
    said = {(name, command) for name in NAMES for block in blocks(name) for command, _ in block.commands()}
    assert set(NOT_RUN) <= {command for _, command in said}
    assert {*INSTEAD, *MISTAKES} <= said


@pytest.mark.parametrize(
    ("language", "text"), [("ruby", "puts 1\n"), ("sh", "smallenough runn\n"), ("python", "1 / 0\n")]
)
def test_a_block_that_is_neither_run_nor_listed_fails(language: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"neither run nor listed|ended with"):
        Reader(tmp_path, "127.0.0.1:9").does(Block("a page", language, text))
