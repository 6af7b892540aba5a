"""How likely a model finds allowed answers, and the choice among the tokens that can still become one.

An answer's log-likelihood is the sum over its tokens and over its end: without that, an answer would always be at
least as likely as a longer one that begins with it (`1` and `10`). Any of the tokens that end an answer counts as its
end. The sum is not divided by the answer's length: it is the logarithm of the probability with which the model, asked
freely and sampled at temperature 1, writes that answer and no other, in these tokens. Brown et al. 2020
(arXiv:2005.14165, section 2.4) divide by length where completions of different lengths are to be compared; Holtzman et
al. 2021 (arXiv:2104.08315) show that what distorts such a comparison is that other wordings of an answer take away from
it. The labels of a task have one wording, which the prompt tells; dividing would favour long labels whose last tokens
follow from their first ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from smallenough.models.engine.choices import Held, Tokens, trees
from smallenough.models.engine.memory import Memory
from smallenough.models.engine.network import Network

_MOST_NODES = 64
"""Tokens that are read at once: each has logits over the whole vocabulary."""


def likelihoods(
    network: Network, memory: Memory, logits: Any, answers: Sequence[Tokens], ends: Sequence[int]
) -> tuple[list[float], int]:
    """The log-likelihood of each answer, and how many tokens were read for them.

    Args:
        network: the model.
        memory: has seen the prompt; it stays as it is.
        logits: after the prompt's last token.
        answers: at least one, none empty.
        ends: the tokens that end an answer.

    Raises:
        FloatingPointError: the model's output is not a number.
    """
    parts = list(trees(answers, _MOST_NODES))
    room = memory.length + max(len(tree.tokens) for tree in parts)
    memory = Memory.of(memory.snapshot(memory.length), room)
    first = _chances(logits)
    found = [0.0] * len(answers)
    for tree in parts:
        chances = _chances(network.branches(memory, tree.tokens, tree.parents))
        finals = chances[:, list(ends)].logsumexp(-1).tolist()
        after = [first, *chances]
        chance = [float(after[parent + 1][token]) for token, parent in zip(tree.tokens, tree.parents, strict=True)]
        for number, path in tree.paths.items():
            found[number] = sum(chance[place] for place in path) + finals[path[-1]]
    return found, sum(len(tree.tokens) for tree in parts)


def held_logits(logits: Any, held: Held, ends: Iterable[int]) -> Any:
    """Logits of which only the tokens that may come next are left."""
    allowed = [*held.next, *(ends if held.may_end else ())]
    left = torch.full_like(logits, float("-inf"))
    left[allowed] = logits[allowed]
    return left


def _chances(logits: Any) -> Any:
    """Logarithms of probabilities over the vocabulary.

    Raises:
        FloatingPointError: they are no numbers, as those of damaged weights may be.
    """
    found = logits.float().log_softmax(-1)
    if torch.isnan(found).any():
        raise FloatingPointError("the model's output is not a number")
    return found
