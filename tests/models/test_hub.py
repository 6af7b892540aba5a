"""Models of a hub, by the real `huggingface_hub`, from a server on loopback that speaks as the hub does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.full_disk import on_small_disk
from tests.servers.hub import Hub

NAME = "maker/tiny-model"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with one small model, whose weights are one matrix."""
    folder = tmp_path / "hub" / NAME
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 64}), "utf-8")
    size = 4 * 50_000
    header = json.dumps({"w": {"dtype": "F32", "shape": [50_000], "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    (folder / "tokenizer.json").write_text("{}", "utf-8")
    (folder / "README.md").write_text("Not what an engine reads.", "utf-8")
    with Hub(tmp_path / "hub") as hub:
        yield hub


def surroundings(hub: str, home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "XDG_"))}
    return {**kept, "HOME": str(home), "HF_ENDPOINT": hub, "OLLAMA_HOST": "127.0.0.1:9", **environment}


def smallenough(hub: str, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line with a home folder of its own, and that hub."""
    return subprocess.run(
        [sys.executable, "-m", "smallenough", *arguments],
        env=surroundings(hub, home, environment),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pull(hub: str, home: Path, name: str = NAME, **environment: str) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    return smallenough(hub, home, "models", "--pull", f"huggingface:{name}", **environment)


def downloads(hub: Hub) -> list[str]:
    return [path.rpartition("/")[2] for method, path in hub.seen if method == "GET" and "/resolve/" in path]


def test_what_an_engine_reads_is_fetched_once(hub: Hub, tmp_path: Path) -> None:
    done = pull(hub.url, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert f"huggingface:{NAME} is ready" in done.stderr
    assert sorted(downloads(hub)) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert pull(hub.url, tmp_path / "home").returncode == 0
    assert len(downloads(hub)) == 3


def test_what_came_half_is_completed_by_a_second_start(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 70_000
    done = pull(hub.url, tmp_path / "home")
    assert done.returncode == 3
    assert "look at the network, and start again: what is complete is kept" in done.stderr
    look = [sys.executable, "-c", f"from smallenough.models import weights; weights.find({NAME!r})"]
    found = subprocess.run(look, env=surroundings(hub.url, tmp_path / "home", {}), capture_output=True, text=True)
    assert f"get it with `smallenough models --pull huggingface:{NAME}`" in found.stderr, "half a model is none"
    hub.cut = None
    done = pull(hub.url, tmp_path / "home")
    assert done.returncode == 0, done.stderr


def test_without_a_network_the_mend_is_told(tmp_path: Path) -> None:
    done = pull("http://127.0.0.1:9", tmp_path / "home")
    assert done.returncode == 3
    assert f"{NAME} could not be fetched from the Hugging Face hub; look at the network" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["maker/unheard-of", "nobody/tiny-model"])
def test_a_model_that_the_hub_does_not_show_is_told(hub: Hub, tmp_path: Path, name: str) -> None:
    done = pull(hub.url, tmp_path / "home", name)
    assert done.returncode == 3
    assert f"the Hugging Face hub shows no model {name!r} to you" in done.stderr


def test_a_gated_one_needs_the_user_s_key_which_is_never_shown(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / NAME / ".gated").write_text("hf_a-key-of-mine", "utf-8")
    done = pull(hub.url, tmp_path / "home")
    assert done.returncode == 3
    assert "accept its terms there and set HUGGINGFACE_API_KEY" in done.stderr
    done = pull(hub.url, tmp_path / "home", HUGGINGFACE_API_KEY="hf_a-wrong-key")
    assert done.returncode == 3
    assert "hf_a-wrong-key" not in done.stderr
    done = pull(hub.url, tmp_path / "home", HUGGINGFACE_API_KEY="hf_a-key-of-mine")
    assert done.returncode == 0, done.stderr
    found = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and b"a-key-of" in path.read_bytes()]
    assert found == []


def test_a_home_folder_that_can_t_be_written_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = str(tmp_path / "file")
    done = smallenough(hub.url, tmp_path, "models", "--pull", f"huggingface:{NAME}", HOME=home)
    assert done.returncode == 2
    assert f"{home}/.cache/huggingface" in done.stderr
    assert "can't be written: Not a directory; make it writable, or name another folder with HF_HOME" in done.stderr


def test_a_full_disk_is_told(hub: Hub, tmp_path: Path) -> None:
    home, small = tmp_path / "home", tmp_path / "small"
    for folder in home, small:
        folder.mkdir()
    command = [sys.executable, "-m", "smallenough", "models", "--pull", f"huggingface:{NAME}"]
    done = on_small_disk(small, 128, command, surroundings(hub.url, home, {"HF_HOME": str(small)}))
    assert done.returncode == 3
    assert f"no space is left on the disk for {NAME}; free some, and start again" in done.stderr
