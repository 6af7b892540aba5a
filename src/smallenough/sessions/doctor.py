"""Looks at every part that a session may need, really uses it where that is cheap, and says how to mend it.

Each check stands for itself: one that fails, in whatever way, is a finding and never hides the others. Nothing is
created or changed: a store that does not exist yet is not made, and a server is asked, not written to.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from smallenough.errors import JournalError, SmallenoughError
from smallenough.machine import cgroup_limits, free_bytes, nearest_folder
from smallenough.models.conversion import cache_folder
from smallenough.records import Json, Limits, Program
from smallenough.sessions.embedded import engine_state
from smallenough.sessions.named import make_sandbox
from smallenough.sessions.places import check_writable, store_in_force
from smallenough.sessions.servers import server_states
from smallenough.tracking.store import Store
from smallenough.wording import size

State: TypeAlias = Literal["ok", "missing", "broken"]

_LEAST_DISK = 10**9
_LEAST_MEMORY = 5 * 10**8


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part."""

    part: str
    state: State
    detail: str
    mend: str = ""
    """What to do about it; empty: nothing has to be done."""
    needed: bool = False
    """Whether a first run on the built-in tasks needs this part."""
    values: Mapping[str, Json] = field(default_factory=dict)
    """What was measured, for scripts."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What shall be looked at."""

    store: Path | None = None
    """The local folder; None: the default one."""
    tracking_uri: str | None = None
    urls: tuple[str, ...] = ()
    """Ollama servers; none: the default one."""

    def resolved(self) -> Store:
        """The store in force.

        Raises:
            InputError: the tracking URI is of no kind that MLflow can track to, or the file of settings is damaged.
        """
        return store_in_force(self.store, self.tracking_uri)


Check: TypeAlias = Callable[[Patient], Iterator[Finding]]


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, as soon as it is made."""
    for part, needed, check in _CHECKS:
        try:
            yield from check(patient)
        except SmallenoughError as error:
            yield Finding(part, "broken", str(error), needed=needed)
        except Exception as error:  # noqa: BLE001 - whatever is broken there must not hide the other findings
            yield Finding(part, "broken", f"it can't be looked at: {type(error).__name__}: {error}", needed=needed)


def ready(findings: Sequence[Finding]) -> bool:
    """Whether what a first run needs is there."""
    return all(finding.state == "ok" for finding in findings if finding.needed)


# -------------------------------------------------------------------------------------------------- software


def _python() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, metadata

    from packaging.specifiers import SpecifierSet

    told = f"{platform.python_version()} at {sys.executable}"
    try:
        wanted = metadata("smallenough")["Requires-Python"]
    except PackageNotFoundError:
        wanted = ""  # the next finding says so
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        yield Finding("python", "ok", told, needed=True)
    else:
        yield Finding("python", "broken", told, f"use Python {wanted}", needed=True)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in requires("smallenough") or []]
    except PackageNotFoundError:
        mend = "in the clone, run: pip install -e ."
        yield Finding("packages", "missing", "smallenough itself is not installed", mend, needed=True)
        return
    groups: dict[str, list[Requirement]] = {"": []}
    for requirement in requirements:
        extras = [part.strip("\"' ") for part in str(requirement.marker or "").split("extra ==")[1:]]
        groups.setdefault(extras[0] if extras else "", []).append(requirement)
    for extra, wanted in groups.items():
        if extra == "dev":
            continue
        found: dict[str, str | None] = {}
        for requirement in wanted:
            try:
                found[requirement.name] = version(requirement.name)
            except PackageNotFoundError:
                found[requirement.name] = None
        yield _package_finding(extra, {requirement.name: str(requirement.specifier) for requirement in wanted}, found)


def _package_finding(extra: str, wanted: Mapping[str, str], found: Mapping[str, str | None]) -> Finding:
    from packaging.specifiers import SpecifierSet

    part, needed = f"packages of extra {extra}" if extra else "packages", not extra
    mend = f"pip install -U 'smallenough[{extra}]'" if extra else "pip install -U smallenough"
    absent = [name for name, version in found.items() if version is None]
    unfit = [
        f"{name} {version} (needed: {wanted[name]})"
        for name, version in found.items()
        if version is not None and not SpecifierSet(wanted[name]).contains(version, prereleases=True)
    ]
    values = dict(found)
    if unfit:
        return Finding(
            part, "broken", ", ".join(unfit + [f"{name} is absent" for name in absent]), mend, needed, values
        )
    if absent:
        return Finding(part, "missing", f"not installed: {', '.join(absent)}", mend, needed, values)
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    return Finding(part, "ok", told, "", needed, values)


# ------------------------------------------------------------------------------------------- models and sandbox


def _ollama(patient: Patient) -> Iterator[Finding]:
    needed = not engine_state().usable
    for state in server_states(patient.urls):
        values = {"url": state.url, "version": state.version, "models": [one.info.name for one in state.models]}
        if state.error:
            install = "" if shutil.which("ollama") else "; it is not installed on this machine: see https://ollama.com"
            yield Finding("ollama", "missing", state.error, f"run: ollama serve{install}", needed=needed, values=values)
        elif not state.models:
            told = f"{state.version} at {state.url} has no models"
            mend = "run: smallenough models --pull smollm2:135m"
            yield Finding("ollama", "missing", told, mend, needed=needed, values=values)
        else:
            names = ", ".join(one.info.name for one in state.models[:8]) + (", …" if len(state.models) > 8 else "")
            told = f"{state.version} at {state.url}, with {names}"
            yield Finding("ollama", "ok", told, needed=needed, values=values)


def _engine() -> Iterator[Finding]:
    state = engine_state()
    values = {
        "versions": dict(state.versions),
        "models": [model.name for model in state.models if model.ready],
        "cache": str(cache_folder()),
    }
    if not state.installed:
        absent = ", ".join(name for name, version in state.versions.items() if version is None)
        mend = "pip install 'smallenough[hf]' (without an NVIDIA GPU, see requirements.txt for PyTorch's CPU build)"
        yield Finding("embedded engine", "missing", f"not installed: {absent}", mend, values=values)
        return
    told = ", ".join(f"{name} {version}" for name, version in state.versions.items())
    if not state.usable:
        mend = f"run: smallenough models --pull {state.models[-1].name}"
        yield Finding("embedded engine", "missing", f"{told}; none of the catalogue's models", mend, values=values)
        return
    names = ", ".join(values["models"])
    yield Finding("embedded engine", "ok", f"{told}; with {names} in {cache_folder()}", values=values)


def _sandbox() -> Iterator[Finding]:
    sandbox = make_sandbox("bubblewrap")
    execution = sandbox.run(Program("print(6 * 7)"), Limits())
    force = sandbox.describe()
    if execution.stdout.strip() != b"42":
        said = execution.stderr.decode(errors="replace").strip()[-300:] or "no message"
        told = f"a program did not run in it (exit code {execution.exit_code}, {execution.stopped}): {said}"
        yield Finding("sandbox bubblewrap", "broken", told, "run: bwrap --version", needed=True, values=force)
        return
    told = f"a program ran in {execution.seconds:.2f} s"
    limits = "; ".join(f"{name}: {how}" for name, how in force.items())
    yield Finding("sandbox bubblewrap", "ok", f"{told}; {limits}", needed=True, values=force)


# ------------------------------------------------------------------------------------------- where results go


def _store(patient: Patient) -> Iterator[Finding]:
    from smallenough.tracking import health

    store = patient.resolved()
    if store.notice:
        yield Finding("tracking URI", "ok", store.notice)
    for found in health.check(store):
        yield Finding("tracking store", found.state, found.detail, found.mend, needed=found.fatal)


def _journal(patient: Patient) -> Iterator[Finding]:
    store = patient.resolved()
    folder = store.journals
    try:
        check_writable(store)
    except JournalError as error:
        told, _, mend = str(error).partition("; ")
        yield Finding("journal folder", "broken", told, mend, needed=True)
        return
    place = nearest_folder(folder)
    told = "writable" if place == folder else f"not there yet, and can be made in {place}"
    yield Finding("journal folder", "ok", f"{folder} is {told}", needed=True)


def _disk(patient: Patient) -> Iterator[Finding]:
    place = nearest_folder(patient.resolved().folder)
    free = free_bytes(place)
    low = free < _LEAST_DISK
    mend = "free at least 1 GB, or name a folder on another disk with --store" if low else ""
    told = f"{size(free)} free at {place}"
    yield Finding("disk", "broken" if low else "ok", told, mend, needed=True, values={"free_bytes": free})


# ------------------------------------------------------------------------------------------------ the machine


def _memory() -> Iterator[Finding]:
    import psutil

    memory, limit = psutil.virtual_memory(), cgroup_limits()[1]
    low = memory.available < _LEAST_MEMORY
    told = f"{size(memory.available)} of {size(memory.total)} available"
    if limit is not None:
        told += f"; this process's group may use {size(limit)}"
    mend = "end other programs: even the smallest model needs half a GB" if low else ""
    values = {"available_bytes": memory.available, "total_bytes": memory.total, "limit_bytes": limit}
    yield Finding("memory", "broken" if low else "ok", told, mend, values=values)


def _cpu() -> Iterator[Finding]:
    import psutil

    from smallenough.resources.hardware import BUSY, busy

    quota, cores = cgroup_limits()[0], psutil.cpu_count()
    told = f"{cores} logical cores" + ("" if quota is None else f", of which this process's group may use {quota:g}")
    yield Finding("cpu", "ok", told, values={"cores": cores, "quota_cores": quota})
    share = busy(0.5)
    told = f"other programs use {share:.0%} of the CPU time"
    mend = "timings suffer from it: end other programs before you measure" if share > BUSY else ""
    yield Finding("idle machine", "broken" if mend else "ok", told, mend, values={"busy": share})


def _gpu() -> Iterator[Finding]:
    from smallenough.resources.nvidia import NvidiaProbe

    probe = NvidiaProbe()
    try:
        if not probe.available:
            mend = "where Ollama runs without one, leave --concurrency at 1: several requests at once slow it down"
            yield Finding("gpu", "missing", probe.reason or "no NVIDIA GPU can be read", mend)
            return
        found = probe.inventory()
        names = ", ".join(str(value) for key, value in found.items() if key.endswith("_name"))
        yield Finding("gpu", "ok", f"{names}; driver {found.get('gpu_driver')}", values=found)
    finally:
        probe.close()


def _energy() -> Iterator[Finding]:
    from smallenough.resources.rapl import RaplProbe

    probe = RaplProbe()
    if probe.available:
        yield Finding("energy counters", "ok", "the processor's energy can be read (RAPL)")
        return
    what, _, mend = probe.reason.partition(": ")
    if mend.startswith("run as root"):
        yield Finding("energy counters", "broken", what, mend)
    else:
        yield Finding("energy counters", "missing", probe.reason)


# --------------------------------------------------------------------------------------------------- settings


def _mbpp() -> Iterator[Finding]:
    from smallenough.tasks.mbpp import VARIABLE, MbppSource

    named = os.environ.get(VARIABLE)
    if not named:
        mend = f"to run MBPP without a network, set {VARIABLE} to a copy of mbpp.jsonl"
        yield Finding("mbpp file", "missing", f"{VARIABLE} is not set", mend)
        return
    tasks = len(MbppSource(named).load().tasks)
    yield Finding("mbpp file", "ok", f"{named} has {tasks} tasks")


def _prompts() -> Iterator[Finding]:
    from typing import get_args

    from smallenough.prompts import Prompts
    from smallenough.records import SizeClass

    folder = Path(os.environ.get("SMALLENOUGH_PROMPTS", "config/prompts"))
    known: dict[str, Prompts] = {size: Prompts.load(size) for size in get_args(SizeClass)}
    own = sorted(path.relative_to(folder) for path in folder.glob("*/*.j2"))
    used = [str(path) for path in own if path.parent.name in known and path.stem in known[path.parent.name].sources]
    unused = [str(path) for path in own if str(path) not in used]
    told = f"{folder} overrides {', '.join(used)}" if used else "the package's own are in force"
    if unused:
        told += f"; {folder} also holds {', '.join(unused)}, which no strategy asks for"
        classes, names = ", ".join(known), ", ".join(known["large"].sources)
        mend = f"name each CLASS/NAME.j2 with CLASS one of {classes}, NAME one of {names}"
        yield Finding("prompt templates", "broken", told, mend, values={"overrides": used})
    else:
        yield Finding("prompt templates", "ok", told, needed=True, values={"overrides": used})


_CHECKS: tuple[tuple[str, bool, Check], ...] = (
    ("python", True, lambda _: _python()),
    ("packages", True, lambda _: _packages()),
    ("ollama", True, _ollama),
    ("embedded engine", False, lambda _: _engine()),
    ("sandbox bubblewrap", True, lambda _: _sandbox()),
    ("tracking store", True, _store),
    ("journal folder", True, _journal),
    ("disk", True, _disk),
    ("memory", False, lambda _: _memory()),
    ("cpu", False, lambda _: _cpu()),
    ("gpu", False, lambda _: _gpu()),
    ("energy counters", False, lambda _: _energy()),
    ("mbpp file", False, lambda _: _mbpp()),
    ("prompt templates", True, lambda _: _prompts()),
)
"""Part, whether a first run needs it, and how to look at it."""
