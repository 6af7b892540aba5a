"""MedSynth: from a synthetic dialogue or note to its ICD-10 code (hub `Ahmad0067/MedSynth`, or a file of its columns).

The columns are Note, Dialogue, ICD10 and ICD10_desc; their names and the codes may carry stray spaces, and a few
dialogues are empty: those rows are left out and counted. A file is CSV or JSON lines, gzipped or not.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from smallenough.errors import InputError, UnknownName
from smallenough.hierarchy import category_of, chapter_of
from smallenough.records import Json, Suite, Task
from smallenough.tasks.icd10 import ASKED, CHAPTERS, LEVELS, Level
from smallenough.tasks.reading import Faults, Record, read_records, read_text

Reads: TypeAlias = Literal["dialogue", "note"]

HUB = "Ahmad0067/MedSynth"
COLUMNS = ("Note", "Dialogue", "ICD10", "ICD10_desc")


class MedSynthSource:
    """MedSynth as a suite.

    Args:
        path: a file of its columns; None: fetched from the hub.
        reads: what is shown, the dialogue or the note.
        level: what is asked for.
        name: the suite's name; None: `medsynth`.
    """

    unlisted = "fetched when it is used; with choices: smallenough tasks build medsynth"
    """What a list of suites says."""

    def __init__(
        self,
        path: str | Path | None = None,
        reads: Reads = "dialogue",
        level: Level = "chapter",
        name: str | None = None,
    ) -> None:
        if reads not in ("dialogue", "note"):
            raise UnknownName("text", reads, ("dialogue", "note"))
        if level not in LEVELS:
            raise UnknownName("level", level, LEVELS)
        self.path = Path(path) if path else None
        self.reads, self.level, self.name = reads, level, name or "medsynth"

    def load(self) -> Suite:
        """The suite; its description counts what was left out.

        Raises:
            InputError: a file is not as it should be, names file, line and mend; or the hub can't be reached.
        """
        faults = Faults(self.path or Path(HUB))
        records = [_tidied(record) for record in (_from_file(self.path, faults) if self.path else _from_hub(faults))]
        rows = [_Row.of(record, self.reads) for record in records]
        empty = sum(row is not None and not row.text for row in rows)
        kept = [row for row in rows if row is not None and row.text]
        faults.check()
        if not kept:
            faults.fail(str(self.path or HUB), f"no row has a {self.reads} and a code; check the file")
        tasks = _tasks(kept, self.level)
        left_out = f"; {empty} rows whose {self.reads} is empty are left out" if empty else ""
        return Suite(
            self.name,
            tasks,
            source=self.path.name if self.path else f"hub:{HUB}",
            description=f"MedSynth, {self.reads} to ICD-10 {self.level}: {len(tasks)} tasks{left_out}",
        )


class _Row:
    """A row that can be asked about."""

    def __init__(self, number: int, text: str, code: str, title: str) -> None:
        self.number, self.text, self.code, self.title = number, text, code, title

    @classmethod
    def of(cls, record: Record, reads: Reads) -> _Row | None:
        """What a record holds; None: it is faulty, which is noted."""
        values = [record.get(name, str, "", required=True, null=True) or "" for name in COLUMNS]
        note, dialogue, code, title = (value.strip() for value in values)
        number = int(record.place.rpartition(":")[2])
        if not all(name in record.value for name in COLUMNS):
            return None
        if category_of(code) is None:
            record.fault(f"'ICD10' must be a code such as E11.65, and is {code!r}")
            return None
        return cls(number, dialogue if reads == "dialogue" else note, _pointed(code), title)

    def label(self, level: Level) -> str:
        """The row's answer."""
        category = self.code[:3]
        chapter = chapter_of(category)
        if level == "chapter":
            return CHAPTERS[chapter - 1] if chapter else "unknown"
        return category if level == "category" else self.code


def _tasks(rows: Sequence[_Row], level: Level) -> tuple[Task, ...]:
    """The rows as tasks. What codes mean is told where the rows say it: of codes, not of what they lie within."""
    labels = tuple(dict.fromkeys(sorted(row.label(level) for row in rows)))
    titles = {row.code: row.title for row in rows}
    meanings = tuple(titles[label] for label in labels) if level == "code" and all(titles.values()) else ()
    seen: Counter[str] = Counter()
    tasks = []
    for row in rows:
        seen[row.code] += 1
        tasks.append(
            Task(
                id=f"{row.code}-{seen[row.code]}",
                prompt=f"{row.text}\n\n{ASKED[level]}",
                kind="label",
                reference=row.label(level),
                category=row.label("chapter"),
                labels=labels,
                meanings=meanings,
                hierarchy="" if level == "chapter" else "icd10",
            )
        )
    return tuple(tasks)


def _pointed(code: str) -> str:
    """A code as it is written: `E1165` becomes `E11.65`."""
    bare = code.upper().replace(".", "")
    return bare if len(bare) <= 3 else f"{bare[:3]}.{bare[3:]}"


def _tidied(record: Record) -> Record:
    """The record without stray spaces in the columns' names."""
    return Record({str(name).strip(): value for name, value in record.value.items()}, record.place, record.faults)


def _from_file(path: Path, faults: Faults) -> list[Record]:
    if path.name.endswith((".csv", ".csv.gz")):
        return _from_csv(path, faults)
    return list(read_records(path, faults))


def _from_csv(path: Path, faults: Faults) -> list[Record]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    previous = csv.field_size_limit(2**27)
    try:
        found = [Record(row, f"{path}:{reader.line_num}", faults) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not CSV: {error}") from error
    finally:
        csv.field_size_limit(previous)
    missing = [name for name in COLUMNS if name not in {(column or "").strip() for column in reader.fieldnames or ()}]
    if missing:
        faults.fail(f"{path}:1", f"the columns {', '.join(missing)} are missing; there must be {', '.join(COLUMNS)}")
    return found


def _from_hub(faults: Faults) -> list[Record]:
    mends = "name a file of it with --file, or let it be fetched: pip install 'smallenough[hub]'"
    try:
        import datasets
    except ImportError:
        raise InputError(f"the package datasets is not installed; {mends}") from None
    try:
        parts: Mapping[str, Iterable[Mapping[str, Json]]] = datasets.load_dataset(HUB)
        rows = [row for part in parts.values() for row in part]
    except Exception as error:  # whatever the many layers of the hub's client raise
        raise InputError(
            f"{HUB} can't be had from the Hugging Face hub ({error}); check the network, or {mends}"
        ) from error
    return [Record(row, f"{HUB}:{number}", faults) for number, row in enumerate(rows, 1)]
