"""A training's folder: the adapter, its manifest, the log that is the truth of it, a checkpoint while it goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import portalocker

from smallenough.clock import now
from smallenough.errors import InputError
from smallenough.models.conversion import MANIFEST
from smallenough.records import Json
from smallenough.records.plain import digest

LOG = "log.jsonl"
CHECKPOINT = "checkpoint.pt"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", MANIFEST)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training is: the same plan gives the same adapter."""

    base: str
    """As the user names it, without the provider."""
    base_digest: str
    suite: str
    suite_digest: str
    validation: str | None
    """The suite that is validated on, or the share of the suite's own tasks."""
    prompt_class: str
    prompts_digest: str
    data_digest: str
    settings: Mapping[str, Json] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Identifies it."""
        return digest(asdict(self))


class TrainingFolder:
    """The folder of one training.

    Args:
        path: it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """The log's entries in the order of writing; a line that was cut off by a kill is left out.

        Raises:
            InputError: it can't be read.
        """
        try:
            lines = (self.path / LOG).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.path / LOG}: can't be read: {error.strerror or error}") from error
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and "kind" in entry:
                    found.append(entry)
        return found

    def note(self, kind: str, **values: Json) -> None:
        """Adds an entry to the log, and has it on disk.

        Raises:
            InputError: it can't be written.
        """
        line = json.dumps({"kind": kind, **values, "time": now()}).encode()
        try:
            append(self.path, line + b"\n")
        except OSError as error:
            raise InputError(
                f"{self.path / LOG}: can't be written: {error.strerror or error}; name another folder with --output"
            ) from error

    def check(self, plan: Plan) -> list[dict[str, Any]]:
        """The log of this plan's training; empty: it has not begun.

        Raises:
            InputError: the folder holds something else, or can't be read.
        """
        entries = self.read()
        if not entries:
            self._check_empty()
            return []
        begun = next((entry for entry in entries if entry["kind"] == "plan"), None)
        if begun is None:
            raise InputError(f"{self.path / LOG}: tells no plan; name another folder with --output, or remove this one")
        told: Mapping[str, Json] = begun["plan"]
        if told != _plain(asdict(plan)):
            raise InputError(
                f"{self.path} holds another training ({_differences(told, _plain(asdict(plan)))});"
                " name another folder with --output, or remove this one"
            )
        return entries

    def begin(self, plan: Plan, more: Mapping[str, Json]) -> None:
        """Begins the log, or goes on with it.

        Args:
            plan: what is trained.
            more: what else is to be known of it.

        Raises:
            InputError: the folder holds something else, or can't be written.
        """
        if not self.check(plan):
            self.note("plan", plan=asdict(plan), **more)

    def _check_empty(self) -> None:
        try:
            found = sorted(one.name for one in self.path.iterdir() if one.name != "lock") if self.path.exists() else []
        except OSError as error:
            raise InputError(
                f"{error.filename or self.path}: {error.strerror or error}; name another folder with --output"
            ) from error
        if found:
            raise InputError(f"{self.path} holds other files, {found[0]} for one; name a new or an empty folder")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While this holds, nobody else trains here.

        Raises:
            InputError: somebody does, or the folder can't be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = portalocker.Lock(
                self.path / "lock", mode="a", flags=portalocker.LOCK_EX | portalocker.LOCK_NB, timeout=0
            )
            lock.acquire()
        except portalocker.LockException as error:
            raise InputError(
                f"{self.path}: another process trains here; wait for it, or name another folder"
            ) from error
        except OSError as error:
            raise InputError(
                f"{error.filename or self.path}: {error.strerror or error}; name another folder with --output"
            ) from error
        try:
            yield
        finally:
            lock.release()
            (self.path / "lock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds something, as it should
                self.path.rmdir()

    @staticmethod
    def ended(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The entry of its end; None: it was broken off, or goes on."""
        last = next((entry for entry in reversed(entries) if entry["kind"] == "ended"), None)
        return last if last and last["why"] != "stopped" else None

    @staticmethod
    def tracked(entries: list[dict[str, Any]]) -> bool:
        """Whether MLflow knows all of it."""
        return bool(entries) and entries[-1]["kind"] == "tracked"

    def write_manifest(self, manifest: Mapping[str, Json]) -> None:
        """Writes what the adapter is.

        Raises:
            InputError: it can't be written.
        """
        place = self.path / MANIFEST
        try:
            fresh = place.with_suffix(".new")
            fresh.write_text(json.dumps(manifest, indent=1), "utf-8")
            fresh.replace(place)
        except OSError as error:
            raise InputError(f"{place}: can't be written: {error.strerror or error}") from error

    def manifest(self) -> dict[str, Any]:
        """What the adapter is; empty: there is none yet."""
        try:
            found = json.loads((self.path / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def append(folder: Path, line: bytes, *, sync: bool = True) -> None:
    """Adds a whole line to a log, after the end of one that was cut off.

    Args:
        folder: the log's.
        line: with its end.
        sync: whether to wait until it is on the disk.

    Raises:
        OSError: it can't be written.
    """
    with (folder / LOG).open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def _differences(told: Mapping[str, Json], plan: Mapping[str, Json]) -> str:
    """In what two plans differ, with what was and what is asked for."""
    before, wanted = {**told, **told["settings"]}, {**plan, **plan["settings"]}
    names = [name for name in wanted if name != "settings" and before.get(name) != wanted[name]]
    shown = [f"{name} {_short(before.get(name))} there, {_short(wanted[name])} here" for name in names[:3]]
    return ", ".join(shown) + (", …" if len(names) > 3 else "")


def _plain(value: Json) -> Json:
    return json.loads(json.dumps(value))


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
