"""Reads JSON lines for the sources, and gathers what is wrong with them.

A source reports every fault of a file at once, each with its place, and not the first alone. A file may be
gzipped. Where a whole file is one JSON list, the error says so: the forms read here are one object a line.
"""

from __future__ import annotations

import difflib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from smallenough.errors import InputError
from smallenough.records import Json

SHOWN_FAULTS = 20
"""How many faults one error lists; the rest are counted."""

_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@dataclass
class Faults:
    """What is wrong with a file or a folder, each fault with its place."""

    where: Path
    found: list[str] = field(default_factory=list)

    def add(self, place: str, what: str) -> None:
        """Notes that `what` is wrong at `place` (`tasks.jsonl:3`)."""
        self.found.append(f"{place}: {what}")

    def check(self) -> None:
        """Raises InputError with all that was found, if anything was."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise InputError(self.found[0])
        shown = [f"  {fault}" for fault in self.found[:SHOWN_FAULTS]]
        if len(self.found) > SHOWN_FAULTS:
            shown.append(f"  … and {len(self.found) - SHOWN_FAULTS} more")
        raise InputError("\n".join([f"{self.where}: {len(self.found)} faults", *shown]))

    def fail(self, place: str, what: str) -> NoReturn:
        """Notes a fault that makes reading on pointless, and raises InputError."""
        self.add(place, what)
        self.check()
        raise AssertionError("unreachable: a fault was just added")


@dataclass(frozen=True)
class Record:
    """One object of a file, and where it stands; its getters note what is missing or of a wrong type."""

    value: Mapping[str, Json]
    place: str
    """File and line, as `tasks.jsonl:3`."""
    faults: Faults

    def fault(self, what: str) -> None:
        """Notes that something is wrong with this object."""
        self.faults.add(self.place, what)

    def get(self, key: str, kind: type, default: Json = None, *, required: bool = False, null: bool = False) -> Json:
        """The value of `key`, which must be of `kind`.

        Args:
            key: the object's key.
            kind: `str`, `int`, `list`, `dict` or `bool`.
            default: what is returned where the key is absent, or where its value is faulty.
            required: whether the key's absence is a fault.
            null: whether null is welcome; it is returned as None.
        """
        if key not in self.value:
            if required:
                near = difflib.get_close_matches(key, self.value, n=1, cutoff=0.6)
                self.fault(f"the key {key!r} is missing" + (f"; is {near[0]!r} meant?" if near else ""))
            return default
        value = self.value[key]
        if value is None and null:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = _NAMES[kind] + (" or null" if null else "")
            self.fault(f"{key!r} must be {wanted}, and is {_NAMES.get(type(value), 'something else')}")
            return default
        return value

    def identity(self, key: str, kind: type = str) -> str:
        """The value of `key`, by which tasks are told apart: required, and not empty."""
        value = self.get(key, kind, None, required=True)
        if value == "":
            self.fault(f"{key!r} is empty; every task needs an id")
        return str(value)

    def texts(self, key: str, *, required: bool = False) -> list[str]:
        """The value of `key`, which must be a list of strings."""
        values = self.get(key, list, [], required=required)
        if not all(isinstance(value, str) for value in values):
            self.fault(f"{key!r} must be a list of strings")
            return []
        return list(values)


def read_bytes(path: Path) -> bytes:
    """The content of `path`, unpacked if it is gzipped.

    Raises:
        InputError: there is no such file, it can't be read, or it is a broken gzip file.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; check the path") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: this gzip file is broken ({error}); fetch it again") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read: {error}") from error


def read_text(path: Path) -> str:
    """The text of `path`, which must be UTF-8 (a byte order mark is dropped).

    Raises:
        InputError: it can't be read, or is not UTF-8; names line and column.
    """
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise InputError(
            f"{path}:{line}:{column}: not UTF-8 (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from error


def read_records(path: Path, faults: Faults) -> Iterator[Record]:
    """Every object of a file of JSON lines; blank lines are passed over.

    What is wrong is noted in `faults`: bad JSON with line and column, a line that is no object, an empty file.
    """
    try:
        text = read_text(path)
    except InputError as error:
        faults.found.append(str(error))
        return
    if not text.strip():
        faults.add(str(path), "the file is empty; it needs one JSON object a line")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            faults.add(f"{place}:{error.colno}", f"not JSON: {error.msg}")
        except (RecursionError, ValueError) as error:
            faults.add(place, f"JSON that can't be read: {error}")
        else:
            if not isinstance(value, dict):
                faults.add(place, f"a line must be one JSON object, and this is {_NAMES[type(value)]}")
            elif "\\u" in line and not _encodable(value):
                faults.add(place, "holds one half of a surrogate pair (\\ud800 to \\udfff), which is no character")
            else:
                yield Record(value, place, faults)


def _encodable(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def note_duplicates(places: Iterable[tuple[str, str]], faults: Faults) -> None:
    """Notes every id that occurs twice, with both places.

    Args:
        places: pairs of id and place, in order.
        faults: where to note them.
    """
    first: dict[str, str] = {}
    for identity, place in places:
        if identity in first:
            faults.add(place, f"the id {identity!r} is already that of {first[identity]}; ids must differ")
        else:
            first[identity] = place
