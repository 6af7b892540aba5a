"""From tokens to the pieces of text that are told while a model generates. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"
"""How a decoder writes the beginning of a character whose other bytes are in tokens to come."""


class TextStream:
    """Turns tokens into text as they come, and holds back what may turn out to be a stop string.

    The pieces together are the text of all tokens, up to the first stop string.

    Args:
        decode: the text of a sequence of tokens.
        stops: where the text ends; they are not part of it.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stops = [stop for stop in stops if stop]
        self._tokens: list[int] = []
        # A token's text may depend on the one before it (a space at the beginning of a word), so each piece is the
        # difference between two decodings that begin a little earlier.
        self._from = self._told = 0
        self._held = ""
        self.stopped = False
        """Whether a stop string came; there is no more text after it."""

    def feed(self, token: int) -> str:
        """The text that is certain now and was not before; often empty."""
        self._tokens.append(token)
        before = self._decode(self._tokens[self._from : self._told])
        after = self._decode(self._tokens[self._from :])
        if len(after) <= len(before) or after.endswith(_UNFINISHED):
            return ""
        self._from, self._told = self._told, len(self._tokens)
        return self._take(after[len(before) :])

    def end(self) -> str:
        """What was held back, when no more tokens come."""
        before = self._decode(self._tokens[self._from : self._told])
        piece = self._take(self._decode(self._tokens[self._from :])[len(before) :])
        if self.stopped:
            return piece
        piece, self._held = piece + self._held, ""
        return piece

    def _take(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.stopped = True
            return self._held[: min(places)]
        kept = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        piece, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return piece


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` may be the beginning of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
