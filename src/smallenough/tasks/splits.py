"""Training, validation and test parts of labelled texts that share nothing but labels. Pure and deterministic.

Texts that say nearly the same are *near*: the Jaccard similarity of their words, or, of short texts, of the trigrams
of their characters, is at least 0.6. What is near, directly or through others, is a group (single linkage), and a group
is in one part alone: no text of a part is near any text of another. Of a group, validation and test take one text each
and leave the rest out, so that their texts are independent; groups of more than 20 texts are for training alone.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from smallenough.errors import InputError
from smallenough.records import Suite, Task, digest, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices: TypeAlias = NDArray[np.int64]

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

NEAR = 0.6
"""Similarity from which on two texts are near."""
LARGEST_HELD_OUT = 20
"""Texts of the largest group of which one may be in validation or test."""

_ROWS = 256
"""Texts that are compared with all at once: of tens of thousands that takes some hundred megabytes."""
_LONG = 400
"""Characters of a text from which on only its words are compared."""
_WORD = re.compile(r"[a-z0-9]+")
_EMPTY = frozenset(["a", "an", "and", "by", "due", "for", "in", "nos", "of", "on", "or", "other", "the", "to", "with"])
"""Words by which texts are not told apart: "Glaucoma NOS" is "Glaucoma"."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text with its label."""

    id: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many texts each part has."""

    train: int
    validation: int
    test: int


# -------------------------------------------------------------------------------------------------- near-duplicates


def words(text: str) -> frozenset[str]:
    """The words of a text that tell it apart: lower case, without accents, plurals and what is said everywhere."""
    found = _WORD.findall(_plain(text))
    singular = (
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in found
    )
    return frozenset(singular) - _EMPTY or frozenset(found)


def trigrams(text: str) -> frozenset[str]:
    """All runs of three characters in the text's words, one space between and around them; of a long text, none.

    Two long texts of one language share most of theirs.
    """
    if len(text) > _LONG:
        return frozenset()
    spaced = f" {' '.join(_WORD.findall(_plain(text)))} "
    return frozenset(spaced[start : start + 3] for start in range(len(spaced) - 2))


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Jaccard: what both share of what either has, 0 to 1; of nothing, 0."""
    either = len(first | second)
    return len(first & second) / either if either else 0.0


FEATURES: tuple[Callable[[str], frozenset[str]], ...] = (words, trigrams)


def groups(texts: Sequence[str], features: Sequence[Callable[[str], frozenset[str]]] = FEATURES) -> list[int]:
    """The number of each text's group: what is near by a feature, directly or through others, is in one."""
    import numpy as np
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    found = [near_pairs([feature(text) for text in texts]) for feature in features]
    first, second = (np.concatenate([pairs[side] for pairs in found]) for side in (0, 1))
    graph = sparse.coo_array((np.ones(len(first), bool), (first, second)), (len(texts), len(texts)))
    return [int(number) for number in connected_components(graph, directed=False)[1]]


def near_pairs(sets: Sequence[frozenset[str]]) -> tuple[Indices, Indices]:
    """Every pair of sets whose similarity is at least `NEAR`, as places of the one and of the other.

    Sets that similar share one of their rarest members, so that no more pairs are looked at than those (prefix
    filtering: Bayardo, Ma and Srikant, "Scaling up all pairs similarity search", WWW 2007).
    """
    import numpy as np
    from scipy import sparse

    counts = Counter(one for own in sets for one in own)
    rank = {one: place for place, one in enumerate(sorted(counts, key=lambda one: (counts[one], one)))}
    ranked = [sorted(rank[one] for one in own) for own in sets]

    def matrix(rows: Sequence[Sequence[int]]) -> sparse.csr_array:
        ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        members = np.array([one for row in rows for one in row], dtype=np.int32)
        return sparse.csr_array((np.ones(len(members), np.int32), members, ends), (len(rows), max(len(rank), 1)))

    whole = matrix(ranked)
    rarest = matrix([row[: len(row) - math.ceil(NEAR * len(row) - 1e-9) + 1] if row else [] for row in ranked])
    sizes = np.array([len(row) for row in ranked], dtype=np.int64)
    first, second = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(sets), _ROWS):
        candidates = (rarest[start : start + _ROWS] @ rarest.T).tocoo()
        one, other = candidates.row.astype(np.int64) + start, candidates.col.astype(np.int64)
        possible = (one < other) & (np.minimum(sizes[one], sizes[other]) >= NEAR * np.maximum(sizes[one], sizes[other]))
        one, other = one[possible], other[possible]
        shared = np.asarray(whole[one].multiply(whole[other]).sum(axis=1)).ravel()
        near = shared / (sizes[one] + sizes[other] - shared) >= NEAR
        first.append(one[near])
        second.append(other[near])
    return np.concatenate(first), np.concatenate(second)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


# ------------------------------------------------------------------------------------------------------------ parts


def split(
    items: Sequence[Item], sizes: Sizes, seed: int, *, even: bool, grouped: Sequence[int] | None = None
) -> Mapping[Part, tuple[Item, ...]]:
    """Divides labelled texts.

    Args:
        items: the texts; ids differ.
        sizes: how many of them each part gets.
        seed: another seed, other parts.
        even: give every label as many texts, as far as it has them; else in proportion to what there is, and one at
            least.
        grouped: the group of each item; None: `groups` of their texts.

    Returns:
        The parts, each in an order of its own that is always the same.

    Raises:
        InputError: there are not so many texts.
    """
    numbers = groups([item.text for item in items]) if grouped is None else grouped
    order = sorted(range(len(items)), key=lambda place: digest([seed, items[place].id]))
    weights, members = Counter(item.label for item in items), Counter(numbers)
    used: set[int] = set()
    parts: dict[Part, tuple[Item, ...]] = {}
    held_out: tuple[tuple[Part, int], ...] = (("test", sizes.test), ("validation", sizes.validation))
    for part, wanted in held_out:
        free = {number for number, count in members.items() if count <= LARGEST_HELD_OUT and number not in used}
        quota = shares(_can_be_held(items, numbers, free), weights, wanted, even=even)
        taken = _one_of_a_group(items, numbers, order, free, quota)
        if len(taken) < wanted:
            raise InputError(f"{part}: {wanted} texts are asked for, and {len(taken)} can be held out; ask for fewer")
        used |= {numbers[place] for place in taken}
        parts[part] = tuple(items[place] for place in taken)
    left = [place for place in order if numbers[place] not in used]
    quota = shares(Counter(items[place].label for place in left), weights, sizes.train, even=even)
    if sum(quota.values()) < sizes.train:
        raise InputError(f"train: {sizes.train} texts are asked for, and {len(left)} are left; ask for fewer")
    parts["train"] = tuple(items[place] for place in _within(items, left, quota))
    return {part: parts[part] for part in PARTS}


def parts_of(suite: Suite, sizes: Sizes, seed: int, *, even: bool) -> Mapping[Part, Suite]:
    """A suite of labels as three, see `in_parts`. What all prompts begin and end with, the question, is not compared.

    Raises:
        InputError: there are not so many tasks.
    """
    tasks = {task.id: task for task in suite.tasks}
    begin, end = (_shared([task.prompt[::step] for task in suite.tasks]) for step in (1, -1))
    items = [Item(task.id, task.prompt[begin : len(task.prompt) - end], task.reference or "") for task in suite.tasks]
    found = split(items, sizes, seed, even=even)
    told = f"{suite.description}; seed {seed}; no text is near one of another part"
    return in_parts({part: tuple(tasks[item.id] for item in own) for part, own in found.items()}, suite, told)


def _shared(texts: Sequence[str]) -> int:
    """How many characters all texts begin with in common."""
    first, last = min(texts), max(texts)
    return next((place for place, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), len(first))


def in_parts(tasks: Mapping[Part, tuple[Task, ...]], whole: Suite, told: str) -> Mapping[Part, Suite]:
    """The tasks of each part as a suite called `NAME-PART`.

    Validation and test have examples for few-shot prompts: the first training task of each label, so that however few
    are shown, they are of different labels.
    """
    first: dict[str | None, Task] = {}
    for task in tasks["train"]:
        first.setdefault(task.reference, task)
    return {
        part: replace(
            whole,
            name=f"{whole.name}-{part}",
            tasks=own,
            examples=() if part == "train" else tuple(first.values()),
            description=f"{part} part. {told}",
        )
        for part, own in tasks.items()
    }


def shares(available: Mapping[str, int], weights: Mapping[str, int], total: int, *, even: bool) -> dict[str, int]:
    """How many of `total` each label gets: as many, or by weight; never more than are available, and one at least.

    What a label can't give, the others do. The sum is less than `total` only where all together have less.
    """
    shared = dict.fromkeys(sorted(available), 0)
    if total >= len(shared):
        shared = {label: min(1, available[label]) for label in shared}
    while (left := total - sum(shared.values())) > 0:
        open_ = [label for label in shared if shared[label] < available[label]]
        if not open_:
            break
        whole = sum(1 if even else weights[label] for label in open_)
        wanted = {
            label: min(available[label] - shared[label], math.floor(left * (1 if even else weights[label]) / whole))
            for label in open_
        }
        if not any(wanted.values()):  # less than one for each: the next that are furthest from what is theirs
            short = sorted(open_, key=lambda label: (shared[label] / (1 if even else weights[label]), label))
            wanted = dict.fromkeys(short[:left], 1)
        for label, more in wanted.items():
            shared[label] += more
    return shared


def _can_be_held(items: Sequence[Item], numbers: Sequence[int], free: Collection[int]) -> dict[str, int]:
    """How many texts of each label can be held out so that it keeps some: of its groups, a third."""
    found: dict[str, set[int]] = defaultdict(set)
    for item, number in zip(items, numbers, strict=True):
        if number in free:
            found[item.label].add(number)
    return {label: len(found[label]) // 3 for label in {item.label for item in items}}


def _one_of_a_group(
    items: Sequence[Item],
    numbers: Sequence[int],
    order: Iterable[int],
    free: Collection[int],
    quota: Mapping[str, int],
) -> list[int]:
    """The first places in order that fill the quota, at most one of a group."""
    left, used, taken = dict(quota), set[int](), []
    for place in order:
        label, number = items[place].label, numbers[place]
        if number in free and number not in used and left[label] > 0:
            left[label] -= 1
            used.add(number)
            taken.append(place)
    return taken


def _within(items: Sequence[Item], places: Iterable[int], quota: Mapping[str, int]) -> list[int]:
    left = dict(quota)
    taken = []
    for place in places:
        if left[items[place].label] > 0:
            left[items[place].label] -= 1
            taken.append(place)
    return taken
