"""ICD-10-CM: from a clinician's phrase to its chapter, category or code, by the public tables (extra `icd10`).

The phrases are the inclusion terms of the tabular list: what clinicians write for a code, and mostly not its title. A
phrase that names a code, or stands under several labels of a level, is left out. Parts are made so that nothing leaks
(see `splits`). The package `simple-icd-10-cm` carries the tables of April 2026 (public domain, by the CDC's National
Center for Health Statistics); reading them takes some seconds.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

from smallenough.errors import InputError, MissingPackage, UnknownName
from smallenough.hierarchy import chapter_of
from smallenough.records import Suite, Task
from smallenough.tasks.splits import PARTS, Item, Part, Sizes, groups, in_parts, split, words

Level: TypeAlias = Literal["chapter", "category", "code"]
LEVELS: tuple[Level, ...] = get_args(Level)

PACKAGE = "simple-icd-10-cm"
CHAPTERS = (
    *("infections", "neoplasms", "blood", "endocrine", "mental", "nervous", "eye", "ear", "circulatory", "respiratory"),
    *("digestive", "skin", "musculoskeletal", "genitourinary", "pregnancy", "perinatal", "congenital", "symptoms"),
    *("injury", "external", "factors", "special"),
)
"""What the chapters are called here, from chapter 1 on: words that say what they mean, and begin differently."""

FEWEST: Mapping[Level, int] = {"chapter": 20, "category": 10, "code": 5}
"""Phrases, no two of them near, that a label must have."""
MOST_CLASSES = 50
"""Labels of the levels category and code, where nothing else is said: those with the most such phrases."""

_NAMES_A_CODE = re.compile(r"\b[A-Z][0-9][0-9A-Z]\b")
ASKED: Mapping[Level, str] = {
    "chapter": "Which label fits this diagnosis?",
    "category": "Which category of ICD-10-CM does this belong to?",
    "code": "Which code of ICD-10-CM has this?",
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """An inclusion term, where it stands."""

    id: str
    """Its code, and which of the code's terms it is: `I1A.0-1`."""
    text: str
    code: str
    """As `E11.65`."""

    @property
    def category(self) -> str:
        """The code's first three characters."""
        return self.code[:3]

    @property
    def chapter(self) -> str:
        """The chapter's word."""
        number = chapter_of(self.category)
        assert number is not None, self.code
        return CHAPTERS[number - 1]

    def label(self, level: Level) -> str:
        """Its label at a level."""
        return {"chapter": self.chapter, "category": self.category, "code": self.code}[level]


@dataclass(frozen=True, slots=True)
class Tables:
    """What is taken from the package."""

    phrases: tuple[Phrase, ...]
    titles: Mapping[str, str]
    """Of chapters by their word, of categories and codes."""


@dataclass(frozen=True)
class Icd10Source:
    """One part of the phrases of ICD-10-CM, as a suite.

    Args:
        level: what is asked for.
        part: train, validation or test. The latter two have examples for few-shot prompts, of the training part.
        sizes: phrases of each part.
        seed: another seed, other parts.
        even: as many phrases of every label; else in proportion to what there is.
        classes: how many labels, those with the most phrases; None: of chapters all that have enough, else 50.
        name: the suite's name; None: `icd10-LEVEL-PART`.
    """

    level: Level = "chapter"
    part: Part = "test"
    sizes: Sizes = field(default=Sizes(3000, 200, 315))
    seed: int = 0
    even: bool = False
    classes: int | None = None
    name: str | None = None

    unlisted = f"built when it is used; with choices: smallenough tasks build icd10 (needs {PACKAGE})"
    """What a list of suites says, since building takes too long for one."""

    def load(self) -> Suite:
        """The suite.

        Raises:
            MissingPackage: the tables are not installed.
            UnknownName: there is no such level or part.
            InputError: there are not so many phrases or classes.
        """
        if self.part not in PARTS:
            raise UnknownName("part", self.part, PARTS)
        return build(self.level, self.sizes, self.seed, even=self.even, classes=self.classes, name=self.name)[self.part]


def build(
    level: Level,
    sizes: Sizes,
    seed: int = 0,
    *,
    even: bool = False,
    classes: int | None = None,
    name: str | None = None,
) -> Mapping[Part, Suite]:
    """All parts, each as a suite; see `Icd10Source`.

    Args:
        level: what is asked for.
        sizes: phrases of each part.
        seed: another seed, other parts.
        even: as many phrases of every label.
        classes: how many labels.
        name: what the suites' names begin with; None: `icd10-LEVEL`.

    Raises:
        MissingPackage: the tables are not installed.
        UnknownName: there is no such level.
        InputError: there are not so many phrases or classes.
    """
    if level not in LEVELS:
        raise UnknownName("level", level, LEVELS)
    tables = read_tables()
    kept, left_out = _unambiguous(tables.phrases, level)
    numbers = dict(zip((phrase.id for phrase in tables.phrases), _grouped(tables.phrases), strict=True))
    labels = _labels(kept, numbers, level, classes)
    chosen = [phrase for phrase in kept if phrase.label(level) in set(labels)]
    items = [Item(phrase.id, phrase.text, phrase.label(level)) for phrase in chosen]
    parts = split(items, sizes, seed, even=even, grouped=[numbers[item.id] for item in items])
    by_id = {phrase.id: phrase for phrase in chosen}
    tasks = {
        part: tuple(_task(by_id[item.id], level, labels, tables) for item in found) for part, found in parts.items()
    }
    told = (
        f"ICD-10-CM, phrase to {level}: {len(labels)} labels, {'even' if even else 'as frequent as in the tables'}, "
        f"seed {seed}; {left_out} phrases that stand under several labels are left out; no phrase is near one of "
        "another part"
    )
    whole = Suite(name or f"icd10-{level}", (), source=f"package:{PACKAGE} {_version()}")
    return in_parts(tasks, whole, told)


@lru_cache(maxsize=1)
def read_tables() -> Tables:
    """The inclusion terms and titles.

    Raises:
        MissingPackage: the package is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of odd places in the tables while it reads them
            import simple_icd_10_cm as icd
    except ImportError:
        raise MissingPackage(PACKAGE, "icd10") from None
    phrases: list[Phrase] = []
    titles: dict[str, str] = {}
    for code in dict.fromkeys(icd.get_all_codes(True)):  # a block of one category has its name
        if icd.is_chapter(code):
            titles[CHAPTERS[int(code) - 1]] = icd.get_description(code)
        elif icd.is_category_or_subcategory(code):
            titles[code] = icd.get_description(code)
            for number, term in enumerate(icd.get_inclusion_term(code), 1):
                phrases.append(Phrase(f"{code}-{number}", " ".join(term.split()), code))
    return Tables(
        tuple(phrase for phrase in phrases if words(phrase.text) and not _NAMES_A_CODE.search(phrase.text)), titles
    )


@lru_cache(maxsize=1)
def _grouped(phrases: tuple[Phrase, ...]) -> tuple[int, ...]:
    """Near-duplicates among all phrases, whatever their level and label: the same for every choice of parts."""
    return tuple(groups([phrase.text for phrase in phrases]))


def _version() -> str:
    from importlib.metadata import version

    return version(PACKAGE)


def _unambiguous(phrases: Sequence[Phrase], level: Level) -> tuple[list[Phrase], int]:
    """Each phrase once, without those that stand under several labels; and how many those are."""
    places: dict[frozenset[str], list[Phrase]] = defaultdict(list)
    for phrase in phrases:
        places[words(phrase.text)].append(phrase)
    one_label = [found for found in places.values() if len({phrase.label(level) for phrase in found}) == 1]
    kept = {found[0].id for found in one_label}
    left_out = len(phrases) - sum(map(len, one_label))
    return [phrase for phrase in phrases if phrase.id in kept], left_out


def _labels(
    phrases: Sequence[Phrase], numbers: Mapping[str, int], level: Level, classes: int | None
) -> tuple[str, ...]:
    """The labels that are asked for, in the order of the tables.

    Raises:
        InputError: there are not so many that have enough phrases.
    """
    counts = Counter(label for label, _ in dict.fromkeys((one.label(level), numbers[one.id]) for one in phrases))
    enough = [label for label, count in counts.items() if count >= FEWEST[level]]
    wanted = classes or (len(enough) if level == "chapter" else min(MOST_CLASSES, len(enough)))
    if not 2 <= wanted <= len(enough):
        raise InputError(
            f"{level}: {wanted} classes are asked for, and {len(enough)} have {FEWEST[level]} phrases of their own or"
            f" more; ask for 2 to {len(enough)}"
        )
    most = set(sorted(enough, key=lambda label: (-counts[label], label))[:wanted])
    return tuple(label for label in counts if label in most)


def _task(phrase: Phrase, level: Level, labels: tuple[str, ...], tables: Tables) -> Task:
    return Task(
        id=phrase.id,
        prompt=f"{ASKED[level]}\n{phrase.text}",
        kind="label",
        reference=phrase.label(level),
        category=phrase.chapter,
        labels=labels,
        meanings=tuple(tables.titles[label] for label in labels),
        hierarchy="" if level == "chapter" else "icd10",
    )
