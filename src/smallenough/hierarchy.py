"""How labels lie within one another, and the credit that an answer has for being near. Pure.

Precision and recall are hierarchical as Kiritchenko, Matwin, Nock and Famili define them ("Learning and evaluation in
the presence of class hierarchies", Canadian AI 2006), and Silla and Freitas recommend ("A survey of hierarchical
classification across different application domains", Data Mining and Knowledge Discovery 22, 2011): a label counts
with all that it lies within, the root apart. hP is the share of the answer's nodes that are the reference's too, hR
the share of the reference's nodes that are the answer's. Over several answers the nodes are summed, not the shares
averaged.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from smallenough.records import Hierarchy

CHAPTERS = (
    ("A00", "B99"), ("C00", "D49"), ("D50", "D89"), ("E00", "E89"), ("F01", "F99"), ("G00", "G99"), ("H00", "H59"),
    ("H60", "H95"), ("I00", "I99"), ("J00", "J99"), ("K00", "K95"), ("L00", "L99"), ("M00", "M99"), ("N00", "N99"),
    ("O00", "O9A"), ("P00", "P96"), ("Q00", "QA0"), ("R00", "R99"), ("S00", "T88"), ("V00", "Y99"), ("Z00", "Z99"),
    ("U00", "U85"),
)  # fmt: skip
"""First and last category of each chapter of ICD-10-CM, from chapter 1 on."""

_CODE = re.compile(r"(?P<category>[A-Z](?:[0-9][0-9A-Z]|A[0-9]))\.?(?P<rest>[0-9A-Z]{0,4})")


class Credit(NamedTuple):
    """What an answer shares with the reference, in nodes; sums of these are what hP, hR and hF are of."""

    shared: int
    answer: int
    reference: int

    @property
    def precision(self) -> float | None:
        """hP, 0 to 1; None: there was no answer."""
        return self.shared / self.answer if self.answer else None

    @property
    def recall(self) -> float | None:
        """hR, 0 to 1; None: there was no reference."""
        return self.shared / self.reference if self.reference else None

    @property
    def f1(self) -> float | None:
        """hF, 0 to 1: the harmonic mean of both, 0 where there was no answer; None: there was no reference."""
        return 2 * self.shared / (self.answer + self.reference) if self.reference else None


def chapter_of(category: str) -> int | None:
    """The number of the chapter of ICD-10-CM that a category (`I10`) lies in; None: in none."""
    return next((number for number, (first, last) in enumerate(CHAPTERS, 1) if first <= category <= last), None)


def category_of(code: str) -> str | None:
    """The category that a code of ICD-10-CM lies in, `E11` of `E11.65` or `E1165`; None: it is no code of a chapter."""
    found = _CODE.fullmatch(code.strip().upper())
    return found["category"] if found and chapter_of(found["category"]) else None


def path(label: str, hierarchy: Hierarchy) -> tuple[str, ...]:
    """What a label lies within, from the top down, itself included; the root is left out.

    A code of ICD-10-CM lies within its chapter, its category, and each code that it refines: E11.65 within chapter 4,
    E11, E11.6. What is no code has nothing above it.
    """
    if hierarchy == "path":
        parts = [part.strip() for part in label.split("/") if part.strip()]
        return tuple("/".join(parts[: end + 1]) for end in range(len(parts)))
    code = _CODE.fullmatch(label.strip().upper()) if hierarchy == "icd10" else None
    if code is None:
        return (label,)
    category, rest = code["category"], code["rest"]
    chapter = chapter_of(category)
    above = () if chapter is None else (f"chapter {chapter}",)
    return (*above, category, *(f"{category}.{rest[: end + 1]}" for end in range(len(rest))))


def credit(answer: str | None, reference: str, hierarchy: Hierarchy) -> Credit:
    """What `answer` shares with `reference`; None: nothing was answered, which shares nothing."""
    right = set(path(reference, hierarchy))
    given = set(path(answer, hierarchy)) if answer is not None else set()
    return Credit(len(given & right), len(given), len(right))
