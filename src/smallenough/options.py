"""Options of strategies: from text or a file to validated values, with the nearest known name on a mistake."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smallenough.errors import InputError, UnknownName
from smallenough.plugins import load
from smallenough.records import Answers, Json


@dataclass(frozen=True, slots=True)
class StrategyOptions:
    """What the options of every strategy have, and tell a session before it begins."""

    shots: int = 0
    """Solved examples of the suite that go before the first question (few-shot)."""
    answers: Answers = "free"
    """How the answers to label tasks come about: `free`, `constrained` to the task's labels as the model writes, or the
    label of the highest `likelihood`."""

    @property
    def models(self) -> tuple[str, ...]:
        """Models that the strategy asks besides the arm's own; the arm's client has to know them."""
        return ()

    @property
    def least_asks(self) -> int:
        """How many inferences a trial takes at least, if the first answer passes."""
        return 1

    @property
    def most_asks(self) -> int | None:
        """How many inferences a trial can take; None: not known."""
        return None


def parse_spec(text: str) -> tuple[str, dict[str, Json]]:
    """Splits `NAME` or `NAME:KEY=VALUE,KEY=VALUE` as it is written on a command line.

    A value is read as JSON where it is JSON, `on` and `off` are true and false, `a;b` is a list; else it is text.

    Raises:
        InputError: a part has no `=`.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Json] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"strategy {text!r}: {part!r} is not of the form KEY=VALUE")
        options[key.strip()] = _value(value.strip())
    return name.strip(), options


def _value(text: str) -> Json:
    if ";" in text:
        return [_value(part) for part in text.split(";") if part]
    if text in ("on", "off"):
        return text == "on"
    try:
        return json.loads(text)
    except ValueError:
        return text


def options_class(strategy: str) -> type[StrategyOptions]:
    """What the options of a strategy are.

    Their class stands beside the strategy's own, is called `Options` and extends `StrategyOptions`.

    Raises:
        UnknownName: no such strategy.
        InputError: it has no such class.
    """
    options = getattr(sys.modules[load("strategies", strategy).__module__], "Options", None)
    if not (isinstance(options, type) and issubclass(options, StrategyOptions)):
        raise InputError(f"strategy {strategy}: its module has no class Options that extends StrategyOptions")
    return options


def strategy_options(strategy: str, given: Mapping[str, Json]) -> StrategyOptions:
    """The validated options of a strategy.

    A switch that knows several ways of being on takes `on` for its default and `off` for its being off.

    Raises:
        UnknownName: no such strategy, or no such option.
        InputError: a value is not what the option takes, or the strategy has no such class.
    """
    options = options_class(strategy)
    fields = {field.name: field for field in dataclasses.fields(options)}
    for name in given:
        if name not in fields:
            raise UnknownName(f"option of strategy {strategy}", name, fields)
    values = {
        name: _switch(value, fields[name].default) if isinstance(value, bool) else value
        for name, value in given.items()
    }
    try:
        found: StrategyOptions = TypeAdapter(options).validate_python(values)
    except ValidationError as error:
        faults = [
            f"strategy {strategy}, option {'.'.join(map(str, one['loc']))}: {_words(one['msg'], one['input'])}"
            for one in error.errors(include_url=False)
        ]
        raise InputError("\n".join(faults)) from error
    return found


def _words(message: str, found: Any) -> str:
    """What pydantic says of a value, with the value, in the words that faults of files have."""
    if message.startswith("Input should be"):
        wanted = re.sub(", unable to (parse|interpret) .*", "", message).replace("Input should be", "should be")
        return f"{wanted.replace('tuple', 'list')}, and is {found!r}"
    return message


def _switch(value: bool, default: Any) -> Json:
    """What `on` or `off` means for an option with this default."""
    if isinstance(default, str):
        return default if value else "off"
    if isinstance(default, tuple):
        return default if value else ()
    return value
