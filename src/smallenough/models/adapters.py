"""LoRA adapters: what the folder of one says of itself, and whether its weights fit its base model's.

An adapter is a folder as peft saves it: `adapter_config.json`, `adapter_model.safetensors`, and often a tokenizer,
which goes before the base model's. One that smallenough trained says more in `smallenough.json`: the base model's name
and digest, what it learned from, and with which class of prompts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smallenough.errors import InputError, ModelError
from smallenough.models.conversion import MANIFEST
from smallenough.records import Adapter, SizeClass

_Parsed = TypeVar("_Parsed", bound=BaseModel)

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_TOKENIZER = "tokenizer_config.json"
_TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "*.model",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
)
_PREFIX = "base_model.model."
"""Before the name of every weight that peft saves."""


class _Config(BaseModel):
    """The part of `adapter_config.json` that is looked at here."""

    peft_type: str = "?"
    base_model_name_or_path: str | None = None


class Manifest(BaseModel):
    """`smallenough.json` beside an adapter that smallenough trained."""

    model_config = ConfigDict(frozen=True)

    base: str | None = Field(default=None, min_length=1)
    """The base model, as the embedded engine calls it; None: as peft wrote it down."""
    base_digest: str | None = None
    """`Weights.digest` of the base model; None: not known, and not checked."""
    data_digest: str | None = None
    """Of what it was trained on."""
    suite: str | None = None
    """Which it was trained on."""
    prompt_class: SizeClass | None = None
    """The class of the prompts that it was trained with; None: that of its base model."""
    run_id: str | None = None
    """The training's run in MLflow."""


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """An adapter's files, and what they say of it."""

    folder: Path
    base: str
    """The base model, as the embedded engine calls it."""
    manifest: Manifest

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.folder / WEIGHTS

    @property
    def has_tokenizer(self) -> bool:
        """Whether it brings a tokenizer, as it was trained with."""
        return (self.folder / _TOKENIZER).is_file()

    @property
    def files(self) -> list[Path]:
        """All that an engine reads, by name."""
        forms = _TOKENIZER_FILES if self.has_tokenizer else ()
        found = {path for form in forms for path in self.folder.glob(form) if path.is_file()}
        return sorted({self.folder / CONFIG, self.weights, *found})

    def described(self, parameters: int | None) -> Adapter:
        """As a model's description has it."""
        known = self.manifest
        return Adapter(self.base, known.base_digest, known.data_digest, known.suite, known.run_id, parameters)


def is_adapter(folder: Path) -> bool:
    """Whether an adapter is in a folder; transformers looks for one first, too."""
    return (folder / CONFIG).is_file()


def read(folder: Path) -> AdapterFolder:
    """What an adapter's folder says.

    Raises:
        InputError: it is none that the engine can use.
        ModelError: its files are damaged, or some are missing.
    """
    config = _parsed(folder / CONFIG, _Config)
    manifest = _parsed(folder / MANIFEST, Manifest) if (folder / MANIFEST).is_file() else Manifest()
    if config.peft_type != "LORA":
        raise InputError(
            f"{folder}: is a {config.peft_type} adapter, and the embedded engine takes LoRA adapters (peft_type LORA)"
        )
    base = manifest.base or config.base_model_name_or_path
    if not base:
        raise InputError(
            f"{folder / CONFIG}: does not say which model it is an adapter of; write its name into"
            " base_model_name_or_path"
        )
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder}: has no {WEIGHTS}; copy the folder anew, or save the adapter as safetensors")
    return AdapterFolder(folder, base, manifest)


def named(name: str) -> AdapterFolder | None:
    """The adapter in the folder `name`; None: there is none, or it is none that can be used."""
    try:
        folder = Path(name).expanduser()
        return read(folder) if is_adapter(folder) else None
    except (OSError, ValueError, RuntimeError, InputError, ModelError):  # a name may be anything
        return None


def misfit(adapter: Mapping[str, tuple[int, ...]], base: Mapping[str, tuple[int, ...]]) -> str | None:
    """How the first of an adapter's weights does not fit the base model's; None: nothing speaks against it.

    Of a layer whose weight is (out, in), LoRA's A is (rank, in) and B is (out, rank). Some libraries lay that weight
    out the other way round, so either place will do. Layers that the base model's files call otherwise are not judged.

    Args:
        adapter: shapes by name, as peft saves them.
        base: shapes by name.
    """
    for name, shape in adapter.items():
        module, found, part = name.removeprefix(_PREFIX).rpartition(".lora_")
        layer = base.get(f"{module}.weight")
        if not found or layer is None or len(layer) != 2 or part not in ("A.weight", "B.weight"):
            continue
        if len(shape) != 2 or shape[1 if part == "A.weight" else 0] not in layer:
            return f"{module}.lora_{part} is {_said(shape)}, for a layer that is {_said(layer)}"
    return None


def _said(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _parsed(path: Path, kind: type[_Parsed]) -> _Parsed:
    try:
        return kind.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: can't be read ({error}); copy the folder anew") from error
