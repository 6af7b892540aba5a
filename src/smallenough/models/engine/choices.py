"""Allowed answers as tokens: the tree that they make, and which of them are still possible. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Answers that are read together. What several begin with is there once."""

    tokens: list[int] = field(default_factory=list)
    """Each after those that it follows."""
    parents: list[int] = field(default_factory=list)
    """Of each token, the place of the one before it; -1: it follows the prompt."""
    paths: dict[int, list[int]] = field(default_factory=dict)
    """By answer, the places of its tokens."""


def trees(answers: Sequence[Tokens], most: int) -> Iterator[Tree]:
    """The answers, by their places, in trees of at most `most` tokens each, but for one answer that is longer alone."""
    tree, known = Tree(), dict[Tokens, int]()
    for number in sorted(range(len(answers)), key=answers.__getitem__):  # those that begin alike stand together
        tokens = answers[number]
        new = sum(tokens[: end + 1] not in known for end in range(len(tokens)))
        if tree.tokens and len(tree.tokens) + new > most:
            yield tree
            tree, known = Tree(), {}
        place, path = -1, list[int]()
        for end, token in enumerate(tokens, start=1):
            before, place = place, known.setdefault(tokens[:end], len(tree.tokens))
            if place == len(tree.tokens):
                tree.tokens.append(token)
                tree.parents.append(before)
            path.append(place)
        tree.paths[number] = path
    if tree.paths:
        yield tree


class Held:
    """An answer that is being written, and may only become one of these.

    Args:
        answers: at least one.
    """

    def __init__(self, answers: Sequence[Tokens]) -> None:
        self._left = dict(enumerate(answers))
        self._written = 0

    @property
    def next(self) -> set[int]:
        """The tokens that may come next."""
        return {tokens[self._written] for tokens in self._left.values() if len(tokens) > self._written}

    @property
    def may_end(self) -> bool:
        """Whether what is written is one of the answers."""
        return any(len(tokens) == self._written for tokens in self._left.values())

    def take(self, token: int) -> int | None:
        """Writes a token of `next`; any other ends the answer.

        Returns:
            The answer that it has to become now, by its place; None: that is open.
        """
        at, goes_on = self._written, token in self.next
        self._left = {
            number: tokens
            for number, tokens in self._left.items()
            if (tokens[at : at + 1] == (token,) if goes_on else len(tokens) == at)
        }
        self._written += goes_on
        return min(self._left) if len(set(self._left.values())) == 1 else None
