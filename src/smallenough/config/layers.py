"""Which value is in force, and where it came from: a flag goes before the environment, that before the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from smallenough.config.faults import validated, words
from smallenough.config.form import ExperimentFile, SuitePart
from smallenough.config.located import Located, Place, read_yaml
from smallenough.errors import Faults, InputError

DEFAULT_FILE = Path("config/experiment_config.yaml")
"""Read where it is there and no other is named."""

DEFAULT = "default"
"""The origin of what nobody said."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that a flag or the environment can say too."""

    key: str
    """As in the file, with dots: `experiment.name`."""
    flag: str = ""
    """Its option on the command line, as a parameter: `quick_test`."""
    variable: str = ""
    """Its environment variable."""


SETTINGS = (
    Setting("experiment.name", "experiment", "MLFLOW_EXPERIMENT_NAME"),
    Setting("suite.source", "suite"),
    Setting("suite.categories", "categories"),
    Setting("suite.limit", "limit"),
    Setting("repeats", "repeats"),
    Setting("seed", "seed"),
    Setting("concurrency", "concurrency"),
    Setting("cache", "cache"),
    Setting("timeout", "timeout"),
    Setting("urls", "urls", "OLLAMA_HOST"),
    Setting("sandbox", "sandbox"),
    Setting("tracking.uri", "tracking_uri", "MLFLOW_TRACKING_URI"),
    Setting("tracking.store", "store", "SMALLENOUGH_STORE"),
)
_OF_ANOTHER = ("path", "ids", "protocol", "categories", "limit")
_OVERRULED = {"suite": _OF_ANOTHER, "task": ("source", *_OF_ANOTHER), "all": ("limit",)}
"""What of the file's suite has no meaning beside a flag: it speaks of other tasks."""

_ARMS = ("models", "strategies", "parameters", "arms", "search")
"""What arms are made of; not settings of the whole."""


@dataclass(frozen=True, slots=True)
class Config:
    """An experiment file, validated; or, where there is none, the defaults."""

    form: ExperimentFile
    located: Located | None = None

    def origin(self, place: Place) -> str:
        """File and line of what is at `place`; empty: the file does not say it."""
        return self.located.origin(place) if self.located and place in self.located.lines else ""


@dataclass(frozen=True, slots=True)
class Value:
    """A value in force."""

    value: Any
    origin: str
    """A flag, an environment variable, file and line, or `default`."""

    @property
    def place(self) -> str:
        """Where to mend it, if that needs telling."""
        return place_of(self.origin)


def place_of(origin: str) -> str:
    """Where to mend what came from there; empty: it needs no telling, as a flag's faults name the flag themselves."""
    return "" if origin == DEFAULT or origin.startswith("--") else origin


def load_config(path: Path | None = None, faults: Faults | None = None) -> Config:
    """The experiment that a file describes.

    Args:
        path: the file; None: `config/experiment_config.yaml`, if it is there.
        faults: gets what is not understood, each with its place; what there is besides is returned, so that it can be
            looked through too. None: that is raised.

    Raises:
        InputError: the file can't be read, is not YAML, or holds what is not understood; names every place.
    """
    if path is None and not DEFAULT_FILE.is_file():
        return Config(ExperimentFile())
    noted = Faults() if faults is None else faults
    located = read_yaml(path or DEFAULT_FILE, faults=noted)
    form, located = validated(located, ExperimentFile.model_validate, ExperimentFile, noted)
    if faults is None:
        noted.report()
    return Config(form, located)


def in_force(
    config: Config, flags: Mapping[str, Any], environment: Mapping[str, str], faults: Faults | None = None
) -> dict[str, Value]:
    """Every setting of the whole experiment, by its key.

    Args:
        config: the file.
        flags: what was said on the command line, by parameter; None, or nothing: it was not said.
        environment: the environment's variables.
        faults: gets what flags and variables say that can't be meant; what holds without it is returned. None: that is
            raised.

    Raises:
        InputError: a flag or a variable says what can't be meant; all of them are named.
    """
    noted = Faults() if faults is None else faults
    sources = {setting.key: setting for setting in SETTINGS}
    found = {}
    for place, value in leaves(config.form, ()):
        key = ".".join(place)
        setting = sources.get(key, Setting(key))
        said, text = flags.get(setting.flag), environment.get(setting.variable)
        given = None
        if said is not None and said != ():
            given = Value(said, f"--{setting.flag.rstrip('s' if key == 'urls' else '').replace('_', '-')}")
        elif text:
            given = Value((text,) if isinstance(value, tuple) else text, setting.variable)
        held = noted.catch(partial(_checked, key, given)) if given else None
        found[key] = held or Value(value, config.origin(place) or DEFAULT)
    if faults is None:
        noted.report()
    for flag, parts in _OVERRULED.items():
        for part in parts if flags.get(flag) else ():
            if not found[f"suite.{part}"].origin.startswith("--"):
                found[f"suite.{part}"] = Value(getattr(SuitePart(), part), f"--{flag}")
    return found


def _checked(key: str, given: Value) -> Value:
    """A value that does not come from the file, within the bounds of the form."""
    nested = given.value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    try:
        ExperimentFile.model_validate(nested)
    except ValidationError as error:
        wrong = (text.removeprefix(f"{key}: ") for text in words(error, ExperimentFile))
        raise InputError("\n".join(f"{given.origin}: {text}" for text in wrong)) from error
    return given


def leaves(part: BaseModel, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each setting of a part of the form, with its place."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if not place and name in _ARMS:
            continue
        if isinstance(value, BaseModel):
            yield from leaves(value, (*place, name))
        else:
            yield (*place, name), value
