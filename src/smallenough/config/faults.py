"""What pydantic finds wrong with a file, in words with the file's lines."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from smallenough.config.located import Located, Place
from smallenough.errors import Faults, InputError

_T = TypeVar("_T")


def validated(
    located: Located, validate: Callable[[Any], _T], form: type[BaseModel], faults: Faults
) -> tuple[_T, Located]:
    """What a file comes to without what is wrong in it, and what of the file that is.

    Args:
        located: the file.
        validate: makes the result of the values, and raises ValidationError.
        form: by what it validates.
        faults: gets what is wrong, in the order of the file.
    """
    first = True
    while True:
        try:
            return validate(located.values), located
        except ValidationError as error:
            if first:  # what follows from leaving these out is no fault of the file
                for text in told(error, located, form):
                    faults.note(InputError(text))
            first = False
            located = located.without([one["loc"] for one in error.errors(include_url=False)])


def told(error: ValidationError, located: Located, form: type[BaseModel]) -> Iterator[str]:
    """Each fault with its place, and the nearest known key where one is unknown; in the order of the file.

    What could not be read at all is told already.

    Args:
        error: what was found.
        located: the file that was validated.
        form: what it was validated by.
    """
    for one in sorted(error.errors(include_url=False), key=lambda one: located.line(one["loc"])):
        if not any(one["loc"][:depth] in located.faulty for depth in range(len(one["loc"]) + 1)):
            yield f"{located.origin(one['loc'])}: {_words(dict(one), form)}"


def words(error: ValidationError, form: type[BaseModel]) -> Iterator[str]:
    """Each fault of values that no file holds."""
    for one in error.errors(include_url=False):
        yield _words(dict(one), form)


def _words(error: Mapping[str, Any], form: type[BaseModel]) -> str:
    place, found = ".".join(map(str, error["loc"])), error.get("input")
    if error["type"] == "extra_forbidden":
        known = list(_at(form, error["loc"][:-1]).model_fields)
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        return f"{place}: unknown key; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")
    if error["type"] == "missing":
        return f"{place}: is missing; give it"
    if error["type"] == "model_type":
        return f"{place}: should be keys and values, and is {_short(found)}"
    wanted = error["msg"].replace("Input should be", "should be").replace("tuple", "list").removeprefix("Value error, ")
    if error["type"] == "value_error" and isinstance(found, Mapping):
        return f"{place}: {wanted}"  # of several keys together
    return f"{place}: {wanted}, and is {_short(found)}"


def _short(value: Any) -> str:
    """A value as one would write it."""
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"


def _at(form: type[BaseModel], place: Place) -> type[BaseModel]:
    """The part of the form at a place."""
    for part in place:
        if isinstance(part, str) and part in form.model_fields:
            form = next(_models(form.model_fields[part].annotation), form)
    return form


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in typing.get_args(kind):
        yield from _models(inner)
