"""What all tests share: the real Ollama server, the engine's model, the MBPP file, `--slow`, no settings of the user's.

A test that needs the server or the engine is skipped where there is none, with a reason; under `./run_tests.sh` and in
CI, where it has to be there, it fails instead.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import tempfile
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from smallenough.tracking.store import Store, connect
from tests.thorough import VARIABLE, examples

USER_SETTINGS = ("MLFLOW_", "DAGSHUB_", "OLLAMA_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "XAI_", "TOGETHER_", "DEEPSEEK_")
MORE_USER_SETTINGS = (
    "HUGGINGFACE_API_KEY",
    "SMALLENOUGH_CACHE",
    "DATASET_PATH",
    "OUTPUT_DIR",
    "BATCH_SIZE",
    "MAX_CONCURRENT_PER_MODEL",
)
MODEL = "smollm2:135m"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported: no setting of the user's, no telemetry, no look-up beyond this machine."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    # Started in the background of a script, all children would ignore Ctrl-C, which several tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name.startswith(USER_SETTINGS) or name in MORE_USER_SETTINGS:
            patch.delenv(name)
    # How long one example takes says how busy the machine is; `benchmarks/` measures speed.
    if config.getoption("--slow"):
        patch.setenv(VARIABLE, "1")
    settings.register_profile("smallenough", deadline=None, max_examples=examples(100))
    settings.load_profile("smallenough")
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    patch.setenv("HF_HUB_OFFLINE", "1")
    cache = tempfile.TemporaryDirectory(prefix="smallenough-cache-")
    config.add_cleanup(cache.cleanup)
    patch.setenv("SMALLENOUGH_CACHE", cache.name)
    patch.setenv("NO_PROXY", "127.0.0.1,localhost")
    patch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; ./run_tests.sh --slow runs it"))
        for shared in ("ollama", "engine"):  # one worker asks it, one test at a time
            if item.get_closest_marker(shared):
                item.add_marker(pytest.mark.xdist_group(shared))


@pytest.fixture(scope="session")
def ollama_url() -> str:
    """The URL of a real Ollama server that has smollm2:135m."""
    url = os.environ.get("SMALLENOUGH_TEST_OLLAMA")
    if not url:
        reason = "SMALLENOUGH_TEST_OLLAMA names no Ollama server; ./run_tests.sh starts one"
        if os.environ.get("SMALLENOUGH_TEST_ALL") or os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        with urllib.request.urlopen(f"{url}/api/tags", timeout=10) as reply:
            models = [model["name"] for model in json.load(reply)["models"]]
    except (OSError, ValueError, KeyError) as error:
        pytest.fail(f"no Ollama server answers at SMALLENOUGH_TEST_OLLAMA={url}: {error}")
    if MODEL not in models:
        pytest.fail(f"the Ollama server at {url} lacks {MODEL}; it has: {', '.join(models) or 'nothing'}")
    return url


@pytest.fixture(scope="session")
def engine_cache(request: pytest.FixtureRequest) -> Path:
    """A cache of converted models that has smollm2:135m, for the embedded engine."""
    named = os.environ.get("SMALLENOUGH_TEST_CACHE")
    if not named or find_spec("torch") is None or find_spec("transformers") is None:
        what = "torch or transformers is not installed" if named else "SMALLENOUGH_TEST_CACHE names no folder"
        reason = f"{what}; ./run_tests.sh --slow sees to it"
        everything = os.environ.get("SMALLENOUGH_TEST_ALL") or os.environ.get("CI")
        if everything and request.config.getoption("--slow"):
            pytest.fail(reason)
        pytest.skip(reason)
    from smallenough.models import weights

    cache = Path(named)
    weights.fetch(MODEL, lambda *_: None, cache)
    return cache


@pytest.fixture(autouse=True)
def _marked_has_what_it_needs(request: pytest.FixtureRequest) -> None:
    """A test marked `ollama` or `engine` gets the same check whether or not it asks for the fixture."""
    for marker, fixture in (("ollama", "ollama_url"), ("engine", "engine_cache")):
        if request.node.get_closest_marker(marker):
            request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Store]:
    """Makes new local stores in folders: copies of one, made once for all workers, since that takes seconds."""
    base = tmp_path_factory.getbasetemp()
    first = Store.resolve(None, (base.parent if hasattr(request.config, "workerinput") else base) / "new-store")
    connect(first)
    assert first.database
    with sqlite3.connect(first.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = first.database.read_bytes()

    def make(folder: Path) -> Store:
        folder.mkdir(parents=True, exist_ok=True)
        store = Store.resolve(None, folder)
        assert store.database
        store.database.write_bytes(content)
        return store

    return make


@pytest.fixture
def fresh_store(tmp_path: Path, new_store: Callable[[Path], Store]) -> Path:
    """The folder of a new local store."""
    return new_store(tmp_path / "store").folder


@pytest.fixture(scope="session")
def mbpp_path() -> Path:
    """MBPP's original file. It does not come with the project, so its absence is a skip everywhere."""
    name = os.environ.get("SMALLENOUGH_MBPP")
    if not name:
        pytest.skip("SMALLENOUGH_MBPP names no file; see tests in CONTRIBUTING.md")
    path = Path(name)
    if not path.is_file():
        pytest.fail(f"SMALLENOUGH_MBPP={name} is not a file")
    return path
