"""The error tree.

Everything that smallenough raises on purpose descends from one class, so that a caller can catch all of it;
a foreign exception never leaves the file that adapts its library.

* SmallenoughError
    * InputError                what the user gave is wrong; the message names the place and the mend
        * UnknownName           a name that nothing answers to; names the nearest known one
        * MissingPackage        an optional package is not installed; names the extra
    * InfrastructureError       something around the model failed; never a wrong answer
        * ModelError            the model's server, or the engine
            * ModelNotFound     the server answers, and does not have the model
            * ModelTimeout      the deadline passed before the answer was complete
            * ModelOutOfMemory  the model does not fit
            * ModelUnavailable  no server, reset, half an answer, 5xx: worth another try
        * SandboxError          the sandbox itself failed, not the program in it
        * ScorerError           a scorer failed, not the answer it looked at
        * TrackingError         the tracking store can't be read or written
        * JournalError          the journal can't be read or written
    * Interrupted               the user stopped it; what was done is saved
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")


class SmallenoughError(Exception):
    """Base of every error that smallenough raises on purpose."""

    exit_code = 1


class InputError(SmallenoughError):
    """What the user gave is wrong. The message names the place and the mend."""

    exit_code = 2


class UnknownName(InputError):
    """A name that nothing answers to.

    Args:
        what: what kind of thing was named ("suite", "strategy", …).
        name: the name that was given.
        known: the names that would have been understood.
        mend: what to do about it, where naming the known ones is not enough.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], mend: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        text = f"unknown {what} {name!r}"
        if near:
            text += f"; did you mean {near[0]!r}?"
        elif known:
            text += f"; known: {', '.join(known[:12])}" + (", …" if len(known) > 12 else "")
        super().__init__(f"{text} {mend}".rstrip())
        self.name = name
        self.nearest = near[0] if near else None


class MissingPackage(InputError):
    """An optional package is not installed.

    Args:
        package: the package that could not be imported.
        extra: the extra of smallenough that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'smallenough[{extra}]'")


class InfrastructureError(SmallenoughError):
    """Something around the model failed; never counted as a wrong answer."""

    exit_code = 3


class ModelError(InfrastructureError):
    """The model's server, or the engine that runs the model, failed."""


class ModelNotFound(ModelError):
    """The server answers, and does not have the model."""


class ModelTimeout(ModelError):
    """The deadline passed before the answer was complete."""


class ModelOutOfMemory(ModelError):
    """The model does not fit into the memory that is free."""


class ModelUnavailable(ModelError):
    """No server, a reset connection, half an answer, a 5xx: worth another try."""


class SandboxError(InfrastructureError):
    """The sandbox itself failed, not the program in it."""


class ScorerError(InfrastructureError):
    """A scorer failed, not the answer it looked at."""


class TrackingError(InfrastructureError):
    """The tracking store can't be read or written."""


class JournalError(InfrastructureError):
    """The journal can't be read or written."""


class Interrupted(SmallenoughError):
    """The user stopped it. What was done until then is saved."""

    exit_code = 130


@dataclass
class Faults:
    """Collects what is wrong, so that it can all be said at once."""

    found: list[InputError | InfrastructureError] = field(default_factory=list)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where a setting was said, by its name; empty, or no entry: there is nothing to tell."""

    def catch(self, work: Callable[[], _T], origin: str = "") -> _T | None:
        """What `work` returns, or None where it fails with a fault that is noted.

        A model that is not there is a wrong name like any other, as long as nothing has begun.

        Args:
            work: what may fail.
            origin: where that was said which it works on, as file and line.
        """
        try:
            return work()
        except ModelNotFound as error:
            self.note(InputError(str(error)), origin)
        except (InputError, InfrastructureError) as error:
            self.note(error, origin)
        return None

    def note(self, error: InputError | InfrastructureError, origin: str = "") -> None:
        """Adds a fault that is not known yet; each line of an InputError is one, with the indented lines after it."""
        lines = re.split(r"\n(?! )", str(error)) if isinstance(error, InputError) else [str(error)]
        for line in lines:
            text = f"{origin}: {line}" if origin else line
            if text not in [str(known) for known in self.found]:
                kind = InputError if isinstance(error, InputError) else type(error)
                self.found.append(error if text == str(error) else kind(text))

    def report(self) -> None:
        """Raises what was found, as one error of the first one's kind; nothing found: does nothing."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise self.found[0]
        text = "\n".join(f"- {error}" for error in self.found)
        kind = InputError if any(isinstance(error, InputError) for error in self.found) else ModelUnavailable
        raise kind(f"{len(self.found)} things are wrong:\n{text}")
