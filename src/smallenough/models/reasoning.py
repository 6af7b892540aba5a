"""Separates a model's reasoning from its answer, where both come in one text.

Reasoning stands between `<think>` and `</think>`. The opening tag counts at the beginning of the text or of a
line, so that an answer may quote it; where the prompt's template has already opened it, only the closing tag
appears, and everything before is reasoning. Reasoning that is never closed goes to the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

_OPENING = re.compile(r"^[^\S\n]*<think>", re.MULTILINE)
_OPENING_AT_ONCE = re.compile(r"\s*<think>")
_CLOSING = "</think>"


class Separated(NamedTuple):
    """A model's output in its two parts."""

    text: str
    """The answer, without the reasoning and the white space between the two."""
    reasoning: str
    """What was between the tags, trimmed; several blocks are joined by an empty line."""
    reasoning_pieces: int
    """How many of the pieces belong to the reasoning, tags included."""


def separate(pieces: Sequence[str]) -> Separated:
    """Separates the output that came as `pieces`; where the cuts are does not change text or reasoning."""
    output = "".join(pieces)
    if "<think>" not in output and _CLOSING not in output:
        return Separated(output, "", 0)
    spans = _spans(output)
    if not spans:
        return Separated(output, "", 0)
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(output)]
    answers = [output[start:end] for start, end in zip(starts, ends, strict=True)]
    text = answers[0] + "".join(answer.lstrip() for answer in answers[1:])
    if not answers[0].strip():
        text = text.lstrip()
    thoughts = [_untagged(output[start:end]) for start, end in spans]
    return Separated(text, "\n\n".join(filter(None, thoughts)), _pieces_within(pieces, spans))


def reasoning_tokens(tokens: int | None, reasoning_pieces: int, pieces: int) -> int | None:
    """How many of the tokens generated are the reasoning's.

    A server counts tokens as a whole, and streams most of them one a piece: what it holds back or joins makes fewer
    pieces than tokens. So the reasoning has its pieces' share of the tokens; that an end that is no piece is counted
    too changes nothing.

    Args:
        tokens: all that were generated, by the server's counter; None: not known.
        reasoning_pieces: pieces that belong to the reasoning.
        pieces: all pieces, none of them empty.
    """
    if reasoning_pieces == 0:
        return 0
    return None if tokens is None else tokens * reasoning_pieces // pieces


def _spans(output: str) -> list[tuple[int, int]]:
    """The stretches of `output` that are reasoning, tags included."""
    spans = []
    opening = _OPENING.search(output)
    orphan = output.find(_CLOSING)
    position = 0
    if orphan >= 0 and (opening is None or orphan < opening.start()):
        position = orphan + len(_CLOSING)
        spans.append((0, position))
    # What follows a block at once is a beginning too.
    while opening := _OPENING_AT_ONCE.match(output, position) or _OPENING.search(output, position):
        closing = output.find(_CLOSING, opening.end())
        position = closing + len(_CLOSING) if closing >= 0 else len(output)
        spans.append((opening.start(), position))
    return spans


def _untagged(span: str) -> str:
    opening = _OPENING_AT_ONCE.match(span)
    return span[opening.end() if opening else 0 :].removesuffix(_CLOSING).strip()


def _pieces_within(pieces: Sequence[str], spans: Sequence[tuple[int, int]]) -> int:
    ends = list(accumulate(len(piece) for piece in pieces))
    return sum(
        any(start < end_of_piece and end_of_piece - len(piece) < end for start, end in spans)
        for piece, end_of_piece in zip(pieces, ends, strict=True)
        if piece
    )
