"""Studies of the earlier form, their settings and their results, in the form of today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smallenough.config import read_yaml
from smallenough.errors import InputError
from smallenough.sessions.study.names import ModelType, Training, result_key, short_name, size_in, type_of

_OLD_SETTINGS = ("baseline_llms", "slm_name", "slm_load_in_4bit")
_LLM, _SLM, _TUNED = "Baseline_LLM_", "Baseline_SLM", "Finetuned_SLM"
_NEW = ("LLM_", "SLM_")


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a file comes to in the form of today."""

    values: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What a person should look at."""


def is_old_study(values: Mapping[str, Any]) -> bool:
    """Whether these are settings of the earlier form."""
    return any(name in values for name in _OLD_SETTINGS)


def is_old_results(values: Mapping[str, Any]) -> bool:
    """Whether these are results of the earlier form."""
    return any(name in (_SLM, _TUNED) or name.startswith(_LLM) for name in values)


def migrate_file(path: Path, slm_name: str | None = None) -> tuple[str, tuple[str, ...]]:
    """A file of settings or of results, converted: its text, and what a person should look at.

    Args:
        path: YAML of settings, or JSON of results.
        slm_name: the small model of earlier results.

    Raises:
        InputError: it can't be read, or is of neither earlier form.
    """
    values = _plain(read_yaml(path).values)  # JSON is YAML, but for what no results hold
    if is_old_results(values):
        found = migrate_results(values, slm_name)
        return json.dumps(found.values, indent=2, ensure_ascii=False) + "\n", found.notes
    if not is_old_study(values):
        raise InputError(
            f"{path}: holds neither settings ({', '.join(_OLD_SETTINGS)}) nor results ({_LLM}NAME, {_SLM}, {_TUNED})"
            " of the earlier form: there is nothing to convert"
        )
    found = migrate_study(values)
    return yaml.safe_dump(found.values, sort_keys=False, allow_unicode=True), found.notes


def _plain(values: Any) -> Any:
    """The values with lists in place of tuples."""
    if isinstance(values, Mapping):
        return {key: _plain(value) for key, value in values.items()}
    return [_plain(value) for value in values] if isinstance(values, tuple) else values


def migrate_study(values: Mapping[str, Any]) -> Migrated:
    """Settings with `baseline_llms`, `slm_name` and `slm_load_in_4bit`, as `llm_models` and `slm_models`.

    Names with 7B or 8B become large models, the rest small ones; what is not of the earlier form stays as it is.

    Raises:
        InputError: a value is not as it should be.
    """
    named, tuned, packed = values.get("baseline_llms") or (), values.get("slm_name"), values.get("slm_load_in_4bit")
    if not isinstance(named, Sequence) or isinstance(named, str) or not all(isinstance(one, str) for one in named):
        raise InputError("baseline_llms: should be a list of names")
    if tuned is not None and not isinstance(tuned, str):
        raise InputError("slm_name: should be a name")
    if packed is not None and not isinstance(packed, bool):
        raise InputError("slm_load_in_4bit: should be true or false")
    large = [_entry(name, load_in_4bit=True) for name in dict.fromkeys(named) if type_of(name) == "LLM"]
    names = dict.fromkeys([*([tuned] if tuned else []), *(name for name in named if type_of(name) == "SLM")])
    small = [_entry(name, load_in_4bit=bool(packed) if name == tuned else False) for name in names]
    kept = {key: value for key, value in values.items() if key not in _OLD_SETTINGS}
    return Migrated({**kept, "llm_models": large, "slm_models": small}, tuple(_on_models(large, small)))


def _entry(name: str, *, load_in_4bit: bool) -> dict[str, Any]:
    size = size_in(name)
    return {"name": name, **({"size": size} if size else {}), "description": "", "load_in_4bit": load_in_4bit}


def _on_models(large: Sequence[Mapping[str, Any]], small: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sizeless = [str(one["name"]) for one in (*large, *small) if "size" not in one]
    if sizeless:
        yield f"the names of {', '.join(sizeless)} tell no size, and so they count as small; give `size`, and move them"
    for key, found in (("llm_models", large), ("slm_models", small)):
        if not found:
            yield f"{key} is empty: name a model"


def migrate_results(results: Mapping[str, Any], slm_name: str | None = None) -> Migrated:
    """Results with the keys `Baseline_LLM_<model>`, `Baseline_SLM` and `Finetuned_SLM`, under the keys of today.

    Args:
        results: by key; those of today's form stay as they are.
        slm_name: the small model, which the earlier keys don't tell.

    Raises:
        InputError: an entry is of neither form, two come to the same key, or the small model has to be named.
    """
    found: dict[str, Any] = {}
    for key, entry in results.items():
        if not isinstance(entry, Mapping):
            raise InputError(f"{key}: should be keys and values")
        name, value = (key, dict(entry)) if key.startswith(_NEW) else _converted(key, entry, slm_name)
        if name in found:
            raise InputError(f"{key}: another entry comes to {name} too; rename one of them")
        found[name] = value
    return Migrated(found)


def _converted(key: str, entry: Mapping[str, Any], slm_name: str | None) -> tuple[str, dict[str, Any]]:
    model, kind, training = _meaning(key, slm_name)
    size = size_in(model)
    metrics = entry["metrics"] if isinstance(entry.get("metrics"), Mapping) else entry
    told = {"model_type": kind, "size": size, "training": training, "metrics": dict(metrics)}
    return result_key(kind, short_name(model, size), training), told


def _meaning(key: str, slm_name: str | None) -> tuple[str, ModelType, Training]:
    """The model of an earlier key, its kind, and what was done to it."""
    if key.startswith(_LLM):
        model = key.removeprefix(_LLM)
        return model, type_of(model), "zero-shot"
    if key not in (_SLM, _TUNED):
        raise InputError(f"{key}: is no key of results, earlier or today's; those are {_LLM}NAME, {_SLM}, {_TUNED}")
    if slm_name is None:
        raise InputError(f"{key}: does not tell which small model it was; name it with --slm-name")
    return slm_name, "SLM", "zero-shot" if key == _SLM else "lora_finetuned"
