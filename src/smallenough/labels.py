"""From a model's answer to the label in it, and what becomes of that. Pure: no sandbox is needed.

A label may stand alone, in quotes or marked, in JSON (`{"label": "x"}`), after `Answer:`, on a line of its own among
others, or in a sentence; it may be written as the suite writes it or by its whole meaning, whatever the case. Of these
the most definite counts. An answer that is as definite about two labels names none. Where a task allows any text, the
answer is what stands at that place, or the first line.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from smallenough.records import Evaluation, Json, Problem, Task, TestResult

INVALID, WRONG = "InvalidAnswer", "WrongLabel"
"""What an answer that is none of the labels, and one that is another than the right one, fail with."""

MAX_CHARS = 20_000
"""Of a longer answer, the beginning is looked at."""
_LONGEST = 200
"""Characters of an answer that is kept as a text, or shown."""
_SHOWN_LABELS = 60

_MARKS = "\"'`*_“”‘’«»„‚()[]{}<>#~| \t\r\n"
_AFTER = ".,;:!?"
_ITEM = re.compile(r"(?:[-+•]|\d{1,3}[.)])[ \t]+(?=\S)")
_STATED = re.compile(
    r"\b(?:answer|label|category|class|code|chapter)\b[ \t\"'`*_]{0,8}(?:is[ \t]*:?|[:=])[ \t]*"
    r"(?P<said>\S[^\n]{0,400})",
    re.IGNORECASE,
)
_TOLD = re.compile(r"(?P<name>[^\n]{1,200}?)[ \t]*(?::|[-–—](?=[ \t])|\()[^\n]*")
_JSON = re.compile(r"\{[^{}]{0,2000}\}")
_KEYS = ("label", "answer", "code", "category", "class", "chapter", "icd10")


@dataclass(frozen=True, slots=True)
class Named:
    """What an answer names."""

    label: str | None
    """As the suite writes it; where any text is allowed, that text; None: the answer names none, or several."""
    said: str = ""
    """The answer, shortened."""
    fault: str = ""
    """Why there is no label, in words for a reader or a model; empty: there is one."""


def plain(text: str) -> str:
    """A label or an answer as it is compared: without case, quotes, marks, extra white space, punctuation after it."""
    return _bare(unicodedata.normalize("NFKC", text)).casefold()


def name_label(response: str, problem: Problem) -> Named:
    """The label that an answer names.

    Args:
        response: the answer, reasoning removed.
        problem: a label task, with the labels that it allows.
    """
    text = response[:MAX_CHARS].strip()
    said = _shortened(text)
    if not _bare(text):
        return Named(None, said, _told("the answer is empty", problem))
    definite = _definite(text)
    if not problem.labels:
        return Named(_shortened(_bare(next(iter(definite), _first_line(text)))) or said)
    known = _Known.of(problem.labels, problem.meanings)
    for part in (*definite, text):
        found = known.exactly(part) or known.on_lines(part) or known.within(part)
        if len(found) == 1:
            return Named(found[0], said)
        if found:
            names = " and ".join(repr(label) for label in found[:3])
            return Named(None, said, _told(f"the answer names {names}, and one is asked for", problem))
    return Named(None, said, _told(f"{said!r} is none of the labels", problem))


def validity(named: Named) -> Evaluation:
    """The public evaluation of an answer: whether it is one of the labels. It tells nothing of which is right."""
    valid = named.label is not None
    actual = repr(named.label if valid else named.said)
    result = TestResult("answer in labels", valid, None if valid else INVALID, named.fault, actual=actual)
    return Evaluation((result,))


def judgement(label: str | None, task: Task) -> Evaluation:
    """The hidden evaluation of an answer: whether it is the right one.

    Args:
        label: what the answer names; None: nothing.
        task: a label task; without a reference nothing decides.
    """
    if task.reference is None:
        return Evaluation(())
    right = label is not None and same(label, task.reference, task)
    expected, actual = repr(task.reference), None if label is None else repr(label)
    if right:
        return Evaluation((TestResult("answer == reference", True, expected=expected, actual=actual),))
    error = INVALID if label is None else WRONG
    message = "the answer names no label" if label is None else f"expected {expected}, got {actual}"
    return Evaluation((TestResult("answer == reference", False, error, message, expected, actual),))


def same(label: str, other: str, task: Task) -> bool:
    """Whether two answers to a task are the same; codes of ICD-10-CM also without their point."""
    if task.hierarchy == "icd10":
        label, other = label.replace(".", ""), other.replace(".", "")
    return plain(label) == plain(other)


def clashes(labels: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Labels that no answer can tell apart, in pairs; an empty one with itself."""
    seen: dict[str, str] = {}
    for label in labels:
        key = plain(label)
        if not key or key in seen:
            yield seen.get(key, label), label
        seen.setdefault(key, label)


# ------------------------------------------------------------------------------------------------------ finding it


@dataclass(frozen=True, slots=True)
class _Known:
    """The labels of a task by all that names them."""

    names: Mapping[str, str]
    """Label by its plain name, its plain meaning, or its code without the point."""
    pattern: re.Pattern[str]

    @staticmethod
    @lru_cache(maxsize=64)
    def of(labels: tuple[str, ...], meanings: tuple[str, ...]) -> _Known:
        """Of these labels. What would name two of them names neither."""
        names = {plain(label): label for label in labels}
        more: dict[str, set[str]] = {}
        for label, meaning in zip(labels, meanings, strict=False):
            more.setdefault(plain(meaning), set()).add(label)
        for label in labels:
            more.setdefault(plain(label).replace(".", ""), set()).add(label)
        names |= {name: min(found) for name, found in more.items() if len(found) == 1 and name and name not in names}
        longest = sorted(map(re.escape, names), key=len, reverse=True)
        return _Known(names, re.compile(rf"(?<![\w.])(?:{'|'.join(longest)})(?!\w|\.\w)"))

    def exactly(self, text: str) -> tuple[str, ...]:
        """The label that the text is."""
        found = self.names.get(plain(text))
        return () if found is None else (found,)

    def on_lines(self, text: str) -> tuple[str, ...]:
        """The labels that lines of the text are, perhaps with what they mean after them."""
        found: dict[str, None] = {}
        for line in text.split("\n"):
            item = _ITEM.sub("", line.strip(), count=1)
            told = _TOLD.fullmatch(item)
            candidates = (line, item, told["name"] if told else "")
            label = next((self.names[name] for one in candidates if (name := plain(one)) in self.names), None)
            if label is not None:
                found[label] = None
        return tuple(found)

    def within(self, text: str) -> tuple[str, ...]:
        """The labels that the text mentions, as whole words."""
        words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        return tuple(dict.fromkeys(self.names[match[0]] for match in self.pattern.finditer(words)))


def _definite(text: str) -> list[str]:
    """What the answer itself says that it is: the last value in JSON, then the last that follows `Answer:`."""
    found = [value for match in _JSON.finditer(text) if (value := _value(match[0]))]
    stated = [match["said"] for line in text.split("\n") if (match := _STATED.search(line[:1000]))]
    return [*found[-1:], *stated[-1:]]


def _value(text: str) -> str | None:
    """The answer in a JSON object: under a key that says so, or the only value."""
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    lowered = {key.casefold(): one for key, one in value.items() if isinstance(one, (str, int))}
    named = next((lowered[key] for key in _KEYS if key in lowered), None)
    if named is None and len(lowered) == len(value) == 1:
        named = next(iter(lowered.values()))
    return None if named is None else str(named)


def _bare(text: str) -> str:
    """The text without marks around it and punctuation after it, white space made one space."""
    before = None
    while before != text:
        before, text = text, text.strip(_MARKS).rstrip(_AFTER)
    return " ".join(text.split())


def _first_line(text: str) -> str:
    return next((line for line in text.split("\n") if _bare(line)), "")


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _told(what: str, problem: Problem) -> str:
    """A fault, with the labels that are allowed."""
    if not problem.labels:
        return what
    more = len(problem.labels) - _SHOWN_LABELS
    shown = ", ".join(problem.labels[:_SHOWN_LABELS]) + (f" and {more} more" if more > 0 else "")
    return f"{what}; the labels are {shown}"
