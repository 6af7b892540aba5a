"""YAML files as plain values, with the line of each, and every fault of their form at once.

YAML itself allows what no one means in a file of settings: the same key twice, of which the last counts; names for
values that multiply into billions; tags that make objects. Here the first is a fault, the second is counted, and only
plain values are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from smallenough.errors import Faults, InputError

Place: TypeAlias = tuple[str | int, ...]
"""Where a value is: the keys, and the indices in lists, that lead to it."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_BYTES = 2**20
_MOST_VALUES = 20_000
_DEEPEST = 20


def from_here(path: Path) -> Path:
    """A path as one writes it in the working folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@dataclass(frozen=True, slots=True)
class Located:
    """What a file holds."""

    path: Path
    values: Any
    """Text, numbers, dates, and mappings and tuples of them, as YAML means them."""
    lines: Mapping[Place, int]
    """The line at which each stands, from 1."""
    faulty: frozenset[Place] = frozenset()
    """Where None stands for what can't be read; that is told already."""

    def line(self, place: Place) -> int:
        """The line of what is at `place`, or of the nearest that holds it; 0: nothing does."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines[place] if place else 0

    def origin(self, place: Place) -> str:
        """File and line of what is at `place`, or of the nearest that holds it."""
        line = self.line(place)
        return f"{self.path}, line {line}" if line else str(self.path)

    def without(self, places: Iterable[Place]) -> Located:
        """The same, but for what is at these places or, where nothing is there, for what should hold it."""
        gone = {_existing(self.values, place) for place in places}
        lines: dict[Place, int] = {}

        def kept(values: Any, old: Place, new: Place) -> Any:
            if old in self.lines:
                lines[new] = self.lines[old]
            if isinstance(values, Mapping):
                left = [key for key in values if (*old, key) not in gone]
                return {key: kept(values[key], (*old, key), (*new, key)) for key in left}
            if isinstance(values, tuple):
                numbers = [number for number in range(len(values)) if (*old, number) not in gone]
                return tuple(kept(values[was], (*old, was), (*new, now)) for now, was in enumerate(numbers))
            return values

        return Located(self.path, {} if () in gone else kept(self.values, (), ()), lines)


def _existing(values: Any, place: Place) -> Place:
    """`place`, or the nearest that holds it."""
    for depth, part in enumerate(place):
        inner = dict(enumerate(values)) if isinstance(values, tuple) else values
        if not isinstance(inner, Mapping) or part not in inner:
            return place[:depth]
        values = inner[part]
    return place


def read_yaml(
    path: Path, top: type[dict[str, Any]] | type[tuple[Any, ...]] = dict, faults: Faults | None = None
) -> Located:
    """Reads a file.

    Args:
        path: the file.
        top: what it holds: keys with values, or a list (as a tuple). An empty file holds none.
        faults: gets what is wrong with single keys and values; what there is besides is returned. None: that is raised.

    Raises:
        InputError: it can't be read, or is not YAML of that form; names every place.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise InputError(f"{path}: larger than {_MOST_BYTES} bytes, so it is no file of settings")
    try:
        node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{place}: {error.problem or error.context}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: is not UTF-8; save it as that") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested more than {_DEEPEST} deep, so it is no file of settings") from error
    reading = _Reading(path)
    values = reading.value(node, ()) if node is not None else top()
    if node is not None and not isinstance(values, top) and not reading.faults:
        wanted = "keys such as 'models:'" if top is dict else "a list, whose entries begin with '- name:'"
        found = "keys" if isinstance(values, dict) else "a list" if isinstance(values, tuple) else repr(values)[:40]
        reading.fault(node, f"expected {wanted} at the top, and found {found}")
    if reading.faults:
        found_wrong = InputError("\n".join(reading.faults))
        if faults is None or reading.hopeless or not isinstance(values, top):
            raise found_wrong
        faults.note(found_wrong)
    return Located(path, values, reading.lines, frozenset(reading.faulty))


@dataclass
class _Reading:
    """Makes values of nodes."""

    path: Path
    faults: list[str] = field(default_factory=list)
    lines: dict[Place, int] = field(default_factory=dict)
    faulty: set[Place] = field(default_factory=set)
    hopeless: bool = False
    """Whether the file as a whole is none of settings."""
    made: int = 0
    scalars: yaml.SafeLoader = field(default_factory=lambda: yaml.SafeLoader(""))

    def fault(self, node: yaml.Node, text: str) -> None:
        self.faults.append(f"{self.path}, line {node.start_mark.line + 1}: {text}")

    def value(self, node: yaml.Node, place: Place) -> Any:
        """What a node comes to; None, and a fault, where it comes to nothing."""
        self.made += 1
        if self.made > _MOST_VALUES or len(place) > _DEEPEST:
            if not self.hopeless:
                self.hopeless = True
                what = f"nested more than {_DEEPEST} deep" if len(place) > _DEEPEST else f"over {_MOST_VALUES} values"
                self.fault(node, f"{what}, so it is no file of settings")
            return None
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.value(one, (*place, number)) for number, one in enumerate(node.value))
        faults = len(self.faults)
        made = self.scalar(node)
        if len(self.faults) > faults:
            self.faulty.add(place)
        return made

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        own: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for merged in self.merged(value, place):
                    values = {**merged, **values}
                continue
            name = self.scalar(key) if isinstance(key, yaml.ScalarNode) else None
            if not isinstance(name, str):
                self.fault(key, f"{_written(key)} is no name; put it in quotes if it is meant as one")
                continue
            line = key.start_mark.line + 1
            if name in own:
                self.fault(key, f"{name!r} stands here again, after line {own[name]}; keep one of them")
                continue
            own[name] = line
            self.lines[(*place, name)] = line
            values[name] = self.value(value, (*place, name))
        return values

    def merged(self, node: yaml.Node, place: Place) -> Iterator[Mapping[str, Any]]:
        """The mappings that `<<` brings in, the first of which goes before the others."""
        nodes: Sequence[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for one in nodes:
            if isinstance(one, yaml.MappingNode):
                found = self.value(one, (*place, "<<"))
                yield found if isinstance(found, dict) else {}
            else:
                self.fault(one, "<< takes a mapping, or a list of them")

    def scalar(self, node: yaml.Node) -> Any:
        try:
            made = self.scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError):
            made = b""  # as PyYAML fails where a tag is written out, and the text is not of its form
        if isinstance(made, str) and not made.isprintable() and _SURROGATE.search(made):
            self.fault(node, "holds one half of a surrogate pair (\\ud800 to \\udfff), which is no character")
            return None
        if isinstance(made, bytes):
            self.fault(
                node, f"{_written(node)} is no value of the kind {node.tag.rpartition(':')[2]!r} that is read here"
            )
            return None
        return made


def _written(node: yaml.Node) -> str:
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    return f"{text[:40]!r}{'…' if len(text) > 40 else ''}"
