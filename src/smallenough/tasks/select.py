"""Chooses tasks of a suite: by id, by category, by level, one a category, up to a limit. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, zip_longest

from smallenough.errors import InputError, UnknownName
from smallenough.records import Suite, Task, digest, replace


def categories(suite: Suite) -> tuple[str, ...]:
    """The suite's categories, in the order of their first tasks."""
    return tuple(dict.fromkeys(task.category for task in suite.tasks))


def select(
    suite: Suite,
    *,
    ids: Collection[str] = (),
    categories: Collection[str] = (),
    level: int | None = None,
    limit: int | None = None,
    quick: bool = False,
) -> Suite:
    """The suite with only the tasks that fit, in their order.

    Args:
        suite: what to choose from.
        ids: the tasks to keep, also by the end of an id after a slash (`11` for `MBPP/11`); none: all.
        categories: the categories to keep; none: all.
        level: the level to keep; None: all.
        limit: how many tasks to keep at most, spread evenly over the categories; None: all.
        quick: keep only the first task of each category.

    Raises:
        UnknownName: an id or a category that the suite does not have.
        InputError: no task is left, or `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be 1 or more, and is {limit}")
    known = [task.id for task in suite.tasks]
    ids = [_whole(name, known) for name in ids]
    _check("task", ids, known)
    _check("category", categories, [task.category for task in suite.tasks])
    kept = [
        task
        for task in suite.tasks
        if (not ids or task.id in ids)
        and (not categories or task.category in categories)
        and (level is None or task.level == level)
    ]
    if quick:
        kept = _spread(kept, len({task.category for task in kept}))
    if limit is not None:
        kept = _spread(kept, limit)
    if not kept:
        raise InputError(f"no task of the suite {suite.name!r} is left; loosen ids, categories or level")
    return suite if len(kept) == len(suite.tasks) else replace(suite, tasks=tuple(kept))


def held_out(suite: Suite, share: float) -> tuple[Suite, Suite]:
    """Two parts of a suite: `share` of its tasks, and the rest; always the same for the same ids.

    Each category has its share of them, rounded so that the whole comes out (the largest remainders up).

    Raises:
        InputError: one of them would have no task.
    """
    groups: dict[str, list[str]] = {}
    for task in sorted(suite.tasks, key=lambda task: digest([task.id])):
        groups.setdefault(task.category, []).append(task.id)
    quotas = {category: share * len(ids) for category, ids in groups.items()}
    counts = {category: int(quota) for category, quota in quotas.items()}
    missing = round(share * len(suite.tasks)) - sum(counts.values())
    by_remainder = sorted(quotas, key=lambda category: (counts[category] - quotas[category], digest([category])))
    for category in by_remainder[: max(0, missing)]:
        counts[category] += 1
    chosen = {one for category, ids in groups.items() for one in ids[: counts[category]]}
    parts = [tuple(task for task in suite.tasks if (task.id in chosen) is inside) for inside in (True, False)]
    if not all(parts):
        raise InputError(f"suite {suite.name!r}: {len(suite.tasks)} tasks are too few to hold {share:.0%} of them out")
    return replace(suite, tasks=parts[0]), replace(suite, tasks=parts[1])


def _whole(name: str, known: Sequence[str]) -> str:
    """The id that `name` is, or the only one that ends with it after a slash; else `name`."""
    ends = [one for one in known if one.rpartition("/")[2] == name]
    return ends[0] if name not in known and len(ends) == 1 else name


def _check(what: str, wanted: Collection[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise UnknownName(what, name, set(known))


def _spread(tasks: Sequence[Task], limit: int) -> list[Task]:
    """The first `limit` tasks when one of each category is taken in turn, in their first order."""
    groups: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault(task.category, []).append(place)
    turns = (place for place in chain.from_iterable(zip_longest(*groups.values())) if place is not None)
    return [tasks[place] for place in sorted(place for place, _ in zip(turns, range(limit), strict=False))]
