"""Pieces of text from tokens: a token here is a byte, so that characters are cut as tokenizers cut them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from smallenough.models.engine.text import TextStream


def decode(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def streamed(text: str, stops: Sequence[str] = ()) -> tuple[list[str], bool]:
    stream = TextStream(decode, stops)
    pieces = []
    for token in text.encode():
        pieces.append(stream.feed(token))
        if stream.stopped:
            return pieces, True
    return [*pieces, stream.end()], stream.stopped


def expected(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the stop string that is complete first; of those, before the one that begins first."""
    for end in range(len(text) + 1):
        places = [place for stop in stops if (place := text[:end].find(stop)) >= 0]
        if places:
            return text[: min(places)], True
    return text, False


@given(st.text(max_size=60))
def test_the_pieces_are_the_text(text: str) -> None:
    pieces, stopped = streamed(text)
    assert ("".join(pieces), stopped) == (text, False)
    assert not any("\ufffd" in piece for piece in pieces) or "\ufffd" in text


@given(st.text("abcé€", max_size=40), st.lists(st.text("abcé€", min_size=1, max_size=4), max_size=3))
def test_the_first_stop_string_ends_the_text(text: str, stops: list[str]) -> None:
    pieces, stopped = streamed(text, stops)
    assert ("".join(pieces), stopped) == expected(text, stops)


@given(st.binary(max_size=30))
def test_bytes_that_are_no_text_are_told_in_the_end(data: bytes) -> None:
    stream = TextStream(decode)
    pieces = [stream.feed(byte) for byte in data]
    whole = "".join([*pieces, stream.end()])
    assert whole.replace("\ufffd", "") == decode(data).replace("\ufffd", "")


def test_what_may_become_a_stop_string_is_held_back() -> None:
    stream = TextStream(decode, ["\n\n", ""])
    assert [stream.feed(byte) for byte in b"a\nb\n"] == ["a", "", "\nb", ""]
    assert stream.end() == "\n"


def test_a_character_is_told_when_it_is_whole() -> None:
    stream = TextStream(decode)
    assert [stream.feed(byte) for byte in "é€".encode()] == ["", "é", "", "", "€"]
    assert stream.feed(0xE2) == ""
    assert stream.end() == "\ufffd"
