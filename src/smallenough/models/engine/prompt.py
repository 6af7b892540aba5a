"""A prompt's tokens, and where they are cut. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smallenough.records import Message

LARGEST_PART = 512
"""Tokens."""

_LEAST_PART = 16


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's tokens, cut where its messages begin and where a part would be too long.

    What is computed for a part depends only on it and the parts before it, so that prompts whose first parts are the
    same may share what was computed for those.
    """

    parts: tuple[tuple[int, ...], ...]
    before_last: int
    """How many parts lie before the last message: a system message, examples, a conversation."""

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @classmethod
    def cut(cls, tokens: Sequence[int], starts: Sequence[int]) -> Prompt:
        """Cuts at `starts`, ascending places, but not so that a part before the last one is of only a few tokens."""
        places = [0]
        for start in starts:
            if start - places[-1] >= _LEAST_PART and start < len(tokens):
                places.append(start)
        parts: list[tuple[int, ...]] = []
        for place, end in itertools.pairwise([*places, len(tokens)]):
            before_last = len(parts)
            parts += [tuple(tokens[at : min(at + LARGEST_PART, end)]) for at in range(place, end, LARGEST_PART)]
        return cls(tuple(parts), before_last)


def starts(text: str, messages: Sequence[Message], spans: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The first token of each message in `text`, by the characters that each token spans; not of those not found."""
    at = token = 0
    for content in [message.content.strip() for message in messages]:
        place = text.find(content, at)
        if place < 0 or not content:
            continue
        at = place + len(content)
        while token < len(spans) and (spans[token][0] < place or spans[token][0] == spans[token][1]):
            token += 1
        yield token
