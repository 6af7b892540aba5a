"""Attention over rows that lie end to end: each sees what all share, and of its own part what came before.

transformers calls it once a layer, through its `AttentionInterface`.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as functional

from smallenough.models.engine.loading import check_attention
from smallenough.training.batches import Pack


class PackedAttention:
    """What `AttentionInterface` is given; `now` is the pack that is computed."""

    def __init__(self) -> None:
        self.now: Pack | None = None
        self._masks: dict[tuple[int, int, int | None], Any] = {}

    def __call__(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
    ) -> tuple[Any, None]:
        """Query, key and value are (1, heads, tokens, width); the answer is (1, tokens, heads, width)."""
        check_attention(module, options)
        assert self.now is not None
        shared, groups = self.now.shared, query.shape[1] // key.shape[1]
        key, value = (held.repeat_interleave(groups, 1) for held in (key, value))
        done, at = [], shared
        if shared:
            done.append(self._attend(query[:, :, :shared], key[:, :, :shared], value[:, :, :shared], options))
        for length, rows in itertools.groupby(self.now.lengths):
            count = len(list(rows))
            own = slice(at, at + count * length)
            at = own.stop
            asked, keys, values = (_rows(held[0, :, own], count) for held in (query, key, value))
            if shared:
                before = [held[:, :, :shared].expand(count, -1, -1, -1) for held in (key, value)]
                keys, values = torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)
            done.append(_joined(self._attend(asked, keys, values, options)))
        return torch.cat(done, 2).transpose(1, 2), None

    def _attend(self, query: Any, key: Any, value: Any, options: dict[str, Any]) -> Any:
        """Attention of the last tokens of a sequence to all of it, (rows, heads, tokens, width)."""
        new, seen = query.shape[2], key.shape[2]
        scale, cap, window = options.get("scaling"), options.get("softcap"), options.get("sliding_window")
        if window is not None and window >= seen:
            window = None
        if cap is None and window is None and new == seen:
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
        mask = self._mask(new, seen, window, query)
        if cap is None:
            return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
        weights = cap * torch.tanh(query @ key.mT * (scale or query.shape[-1] ** -0.5) / cap)
        return (weights + mask).softmax(-1, dtype=torch.float32).to(value.dtype) @ value

    def _mask(self, new: int, seen: int, window: int | None, like: Any) -> Any:
        """What is added to the weights: 0, or -inf for what is not seen."""
        if (new, seen, window) not in self._masks:
            rows = torch.arange(seen - new, seen, device=like.device)[:, None]
            columns = torch.arange(seen, device=like.device)
            hidden = columns > rows
            if window is not None:
                hidden = hidden | (columns <= rows - window)
            mask = torch.zeros((new, seen), dtype=like.dtype, device=like.device).masked_fill(hidden, float("-inf"))
            self._masks[new, seen, window] = mask
        return self._masks[new, seen, window]

    def begin(self, pack: Pack) -> None:
        """What is computed from now on is this pack."""
        self.now = pack
        self._masks.clear()


def _rows(held: Any, count: int) -> Any:
    """(heads, count x tokens, width) as (count, heads, tokens, width)."""
    return held.unflatten(1, (count, -1)).transpose(0, 1)


def _joined(rows: Any) -> Any:
    """(count, heads, tokens, width) as (1, heads, count x tokens, width)."""
    return rows.transpose(0, 1).flatten(1, 2)[None]
