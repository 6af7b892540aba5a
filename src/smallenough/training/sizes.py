"""A base model's sizes, and how much memory and disk a training of it takes: told before weights are loaded. Pure.

What a training keeps for the way back is estimated for a Llama-like model: of each token, in each layer, the inputs of
the norms and of the linear layers, keys, queries and values before and after turning, and the products of the
feed-forward part. Other families keep about as much.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from smallenough.training.batches import Pack
from smallenough.training.faults import BadInput
from smallenough.training.settings import TrainingSettings

_BYTES = {"float32": 4, "bfloat16": 2}

_OF_HIDDEN = 14
"""Values of the width of the hidden state that a layer keeps for a token."""
_OF_INNER = 5
"""Values of the width of the feed-forward part."""
_OF_LOGITS = 3
"""Logits in 32 bits, their exponentials and their gradient."""
_OF_ADAPTER = 16
"""Bytes a weight of the adapter: the weight, its gradient, and AdamW's two means, in 32 bits."""
_IN_4_BITS = 0.6
"""Bytes a weight, with what it is scaled by, and the table of embeddings, which stays in 16 bits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A base model's sizes, by its configuration alone."""

    parameters: int
    linear: dict[str, tuple[int, int]]
    """Its linear layers by name, with what goes in and out."""
    hidden: int
    inner: int
    """Width between the two halves of a layer's feed-forward part."""
    layers: int
    vocabulary: int
    context: int

    @property
    def modules(self) -> list[str]:
        """The ends of its linear layers' names."""
        return sorted({name.rpartition(".")[2] for name in self.linear})

    def targets(self, wanted: Sequence[str]) -> list[str]:
        """The ends of names that get an adapter; none wanted: all.

        Raises:
            BadInput: the model has no such layer.
        """
        known = self.modules
        for name in wanted:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                raise BadInput(
                    f"target_modules: the model has no linear layer {name!r}{meant} It has: {', '.join(known)}"
                )
        return sorted(set(wanted)) or known

    def trainable(self, targets: Sequence[str], rank: int) -> int:
        """Weights of an adapter."""
        return sum(rank * sum(size) for name, size in self.linear.items() if name.rpartition(".")[2] in targets)


def memory_bytes(
    shape: Shape, settings: TrainingSettings, precision: str, trainable: int, largest: Pack, libraries: int
) -> int:
    """What the process takes at its peak, estimated.

    Args:
        shape: the base model's.
        settings: how it is trained.
        precision: what is computed in.
        trainable: weights of the adapter.
        largest: the largest pass.
        libraries: bytes that the process takes with nothing loaded.
    """
    each, tokens = _BYTES[precision], len(largest.tokens)
    weights = shape.parameters * (_IN_4_BITS if settings.load_in_4bit else each)
    layer = (_OF_HIDDEN * shape.hidden + _OF_INNER * shape.inner) * each
    layers = shape.layers * shape.hidden * each + layer if settings.gradient_checkpointing else shape.layers * layer
    logits = len(largest.targets) * shape.vocabulary * 4 * _OF_LOGITS
    return int(libraries + weights + trainable * _OF_ADAPTER + tokens * layers + logits)


def disk_bytes(trainable: int, *, validated: bool) -> int:
    """What the adapter and two checkpoints take, the one that is there and the one that is written."""
    return trainable * 4 * (1 + 2 * (3 + validated)) + 2**20
