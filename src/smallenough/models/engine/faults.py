"""What can be wrong with a model, within the process that computes it."""

from __future__ import annotations


class Unsupported(Exception):
    """The model is not such as can be computed here; the text says why."""


_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


def out_of_memory(text: str) -> bool:
    """Whether a library's message says that memory is too small."""
    return any(words in text.lower() for words in _NO_MEMORY)
