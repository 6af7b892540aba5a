"""Suites that are made, not read: training, validation and test parts of ICD-10-CM or MedSynth, saved in the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from smallenough.records import Suite
from smallenough.tasks import icd10
from smallenough.tasks.medsynth import MedSynthSource, Reads
from smallenough.tasks.splits import Part, Sizes, parts_of

if TYPE_CHECKING:
    from smallenough.tracking.store import Store


def build_icd10(
    store: Store,
    level: icd10.Level,
    sizes: Sizes,
    *,
    seed: int = 0,
    even: bool = False,
    classes: int | None = None,
    name: str | None = None,
) -> Mapping[Part, Suite]:
    """Makes the parts of ICD-10-CM at a level, and saves each as a suite; see `icd10.build`.

    Returns:
        The suites in the store, with their versions; where the newest version has the same tasks, that one.

    Raises:
        MissingPackage: the tables are not installed.
        InputError: there are not so many phrases or classes, or the name can't be used; nothing is written.
        TrackingError: the store can't be written.
    """
    return _saved(store, icd10.build(level, sizes, seed, even=even, classes=classes, name=name))


def build_medsynth(
    store: Store,
    path: Path | None,
    reads: Reads,
    level: icd10.Level,
    sizes: Sizes,
    *,
    seed: int = 0,
    even: bool = False,
    name: str | None = None,
) -> Mapping[Part, Suite]:
    """Makes the parts of MedSynth, and saves each as a suite.

    Raises:
        InputError: the file is not as it should be, the hub can't be reached, or there are not so many rows.
        TrackingError: the store can't be written.
    """
    whole = MedSynthSource(path, reads, level, name or f"medsynth-{reads}-{level}").load()
    return _saved(store, parts_of(whole, sizes, seed, even=even))


def _saved(store: Store, parts: Mapping[Part, Suite]) -> Mapping[Part, Suite]:
    from smallenough.tracking.suites import check_name, save_suite

    for suite in parts.values():
        check_name(suite.name)
    return {part: save_suite(store, suite, merge=False) for part, suite in parts.items()}
