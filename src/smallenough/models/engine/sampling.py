"""The choice of the next token, each sequence by itself: what else is in the batch has no say in it."""

from __future__ import annotations

from typing import Any

import torch

_LIKELIEST = 128
"""So many tokens are looked at for the nucleus; only where they are not enough, the whole vocabulary is sorted."""

_COLDEST = 1e-6
"""Below, quotients would leave the range of float32, and the likeliest token is drawn already."""


class Sampler:
    """Chooses tokens for one sequence.

    Args:
        temperature: 0 takes the likeliest token.
        top_p: the smallest set of likeliest tokens whose probabilities reach this sum is drawn from.
        seed: of this sequence's own generator; None: another one each time.
    """

    def __init__(self, temperature: float, top_p: float, seed: int | None) -> None:
        self._temperature = temperature
        self._top_p = top_p
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed % 2**64)

    def pick(self, logits: Any) -> int:
        """The next token by its logits, a vector over the vocabulary.

        Raises:
            FloatingPointError: they are no numbers, as those of damaged weights may be.
        """
        if self._temperature <= 0:
            token = int(logits.argmax())
            if not torch.isfinite(logits[token]):
                raise FloatingPointError("the model's output is not a number")
            return token
        chances = torch.softmax(logits.float().cpu() / max(self._temperature, _COLDEST), -1)
        if not torch.isfinite(chances[0]):
            raise FloatingPointError("the model's output is not a number")
        sizes, tokens = self._nucleus(chances)
        # The place of one random number among the sums decides, so that each token costs exactly one number.
        sums = sizes.cumsum(-1)
        drawn = torch.rand((), generator=self._generator, dtype=torch.float64) * sums[-1]
        return int(tokens[int(torch.searchsorted(sums, drawn, right=True).clamp_max(len(sums) - 1))])

    def _nucleus(self, chances: Any) -> tuple[Any, Any]:
        """The probabilities of the tokens that may be drawn, and the tokens, likeliest first."""
        if self._top_p >= 1:
            return chances.double(), torch.arange(len(chances))
        sizes, tokens = chances.topk(min(_LIKELIEST, len(chances)))
        if sizes.double().sum() < self._top_p:
            sizes, tokens = chances.sort(descending=True)
        sizes = sizes.double()
        count = int((sizes.cumsum(-1) - sizes < self._top_p).sum())
        return sizes[: max(1, count)], tokens[: max(1, count)]
