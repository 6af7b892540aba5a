"""A model's forward pass over many sequences at once, each of which comes out as if it were alone.

A step lays the new tokens of all its sequences side by side as the rows of one matrix, so that the weights, whose
reading takes most of the time, are read once for all of them. Between the rows stands only attention, and there each
sequence is computed by itself, over its own keys and values: no padding, no mask, nothing that depends on the others.

What remains is that libraries multiply matrices of different heights by different code, whose sums are rounded
differently: 1e-6 is enough to choose another token where two are nearly as likely. So a step has one of a few heights
(empty rows fill it up), and when a model is loaded, all of them are tried: those are used whose rows agree to the last
bit. Measured in float32 on AVX2: 1 and 2 rows differ from the others, 4 and more agree.

Attention comes in through transformers' `AttentionInterface`, which every model written for it supports; others are
refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Both have to be said before torch is imported. Of Intel's library: one path of code whatever the alignment. Of OpenMP:
# threads sleep where they wait for each other; where they spin, a step takes ten times as long as soon as other
# programs want the processors too (measured), and the time counts as the model's.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as functional
import transformers
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, GenerationConfig
from transformers.utils import logging

_SHAPES = (1, 2, 4, 8, 12, 16, 24, 32)
"""The heights that a step may have. Between two of them, rows are left empty."""

VERSIONS = f"torch {torch.__version__}, transformers {transformers.__version__}"

_NAME = "smallenough"
_GROWTH = 64
"""Room for keys and values comes in multiples of so many tokens."""


class Unsupported(Exception):
    """The model's files are not such as this engine can use; the text says why."""


def device() -> str:
    """Where models are computed: the first CUDA device, else the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype(place: str) -> str:
    """What models are held in: bfloat16 where `place` computes with it, else float16 on a GPU, float32 on a CPU."""
    if place == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    try:
        known = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return "float32"
    lines = [line for line in known.splitlines() if line.startswith(("flags", "Features"))]
    flags = set(lines[0].split()) if lines else set()
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16", "bf16"} else "float32"


class Memory:
    """The keys and values of one sequence, by layer: (heads, tokens, width) each."""

    def __init__(self) -> None:
        self.length = 0
        """Tokens that every layer has seen."""
        self._layers: dict[int, tuple[Any, Any]] = {}

    def extend(self, layer: int, keys: Any, values: Any) -> tuple[Any, Any]:
        """Writes those of the tokens after `length`; returns all."""
        end = self.length + keys.shape[1]
        held = self._layers.get(layer)
        if held is None or held[0].shape[1] < end:
            room = -(-max(end, 3 * self.length // 2) // _GROWTH) * _GROWTH
            held = (self._wider(held and held[0], keys, room), self._wider(held and held[1], values, room))
            self._layers[layer] = held
        held[0][:, self.length : end] = keys
        held[1][:, self.length : end] = values
        return held[0][:, :end], held[1][:, :end]

    def copy(self, length: int) -> Memory:
        """The memory of the first `length` tokens."""
        other = Memory()
        for layer, held in self._layers.items():
            other.extend(layer, held[0][:, :length], held[1][:, :length])
        other.length = length
        return other

    def _wider(self, held: Any, like: Any, room: int) -> Any:
        wider = torch.empty((like.shape[0], room, like.shape[2]), dtype=like.dtype, device=like.device)
        if held is not None:
            wider[:, : self.length] = held[:, : self.length]
        return wider


@dataclass(frozen=True, slots=True)
class Part:
    """What one sequence brings to a step: the tokens after those that its memory holds."""

    memory: Memory
    tokens: Sequence[int]


class Network:
    """A loaded model.

    Args:
        folder: where it lies, as transformers saves models.
        place: a torch device.
        kind: the name of a torch dtype.

    Raises:
        Unsupported: it can't be used; says why.
        RuntimeError: memory is too small.
    """

    def __init__(self, folder: str, place: str, kind: str) -> None:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        self._device = torch.device(place)
        AttentionInterface.register(_NAME, self._attend)
        self._model = _load(folder, kind).to(self._device)
        self._parts: list[tuple[Part, slice]] = []
        config = self._model.config.get_text_config()
        self._vocabulary = int(config.vocab_size)
        self.context: int = int(getattr(config, "max_position_embeddings", None) or 2**31)
        """The longest sequence, in tokens."""
        defaults = _generation(folder)
        ends = defaults.eos_token_id if defaults.eos_token_id is not None else config.eos_token_id
        self.ends = set(ends) if isinstance(ends, list) else set() if ends is None else {int(ends)}
        """The tokens that end an answer."""
        self.temperature = float(defaults.temperature or 1.0) if defaults.do_sample else 0.0
        """The model's own default; 0 where it says nothing, as in transformers."""
        self.top_p = float(defaults.top_p or 1.0) if defaults.do_sample else 1.0
        """The model's own default."""
        self.shapes = self._agreeing()
        """The heights of steps that are used, in ascending order; the last is the most sequences in a batch."""

    def read(self, part: Part) -> Any:
        """Takes in some tokens of one sequence; returns the logits after the last, a vector over the vocabulary."""
        return self._forward([part], 0, keep=1)[0]

    def step(self, parts: Sequence[Part]) -> Any:
        """Takes in one token of each of several sequences; returns logits, (sequences, vocabulary)."""
        height = next(shape for shape in self.shapes if shape >= len(parts))
        return self._forward(parts, height - len(parts), keep=0)[: len(parts)]

    def _forward(self, parts: Sequence[Part], empty: int, keep: int) -> Any:
        tokens: list[int] = []
        positions: list[int] = []
        self._parts = []
        for part in parts:
            self._parts.append((part, slice(len(tokens), len(tokens) + len(part.tokens))))
            tokens += part.tokens
            positions += range(part.memory.length, part.memory.length + len(part.tokens))
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([tokens + [0] * empty], device=self._device),
                position_ids=torch.tensor([positions + [0] * empty], device=self._device),
                use_cache=False,
                logits_to_keep=keep,
            )
        for part in parts:
            part.memory.length += len(part.tokens)
        return output.logits[0]

    def _attend(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
    ) -> tuple[Any, None]:
        """Attention of a step: query, key and value are (1, heads, rows, width); returns (1, rows, heads, width)."""
        unknown = [name for name in ("s_aux", "position_bias", "sinks") if options.get(name) is not None]
        if unknown or not getattr(module, "is_causal", True):
            raise Unsupported(
                f"its attention ({', '.join(unknown) or 'not causal'}) is of a kind that is not supported"
            )
        out = query.new_zeros((query.shape[2], query.shape[1], value.shape[3]))
        for part, rows in self._parts:
            keys, values = part.memory.extend(module.layer_idx, key[0, :, rows], value[0, :, rows])
            out[rows] = _attention(query[0, :, rows], keys, values, options)
        return out.unsqueeze(0), None

    def _agreeing(self) -> tuple[int, ...]:
        """The largest set of heights whose rows come out the same to the last bit."""
        most = _SHAPES[-1]
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(self._vocabulary, (2 * most,), generator=generator).tolist()
        whole = Memory()
        self.read(Part(whole, tokens[:most]))
        sets: list[tuple[Any, list[int]]] = []
        for shape in reversed(_SHAPES):
            # The last rows, so that each stands at another place than in the largest step.
            numbers = range(most - shape, most)
            parts = [Part(whole.copy(1 + number), [tokens[most + number]]) for number in numbers]
            logits = self._forward(parts, 0, keep=0)
            for reference, shapes in sets:
                if torch.equal(logits, reference[-shape:]):
                    shapes.insert(0, shape)
                    break
            else:
                sets.append((logits, [shape]))
        return max((tuple(shapes) for _, shapes in sets), key=len)


def _attention(query: Any, keys: Any, values: Any, options: dict[str, Any]) -> Any:
    """Attention of one sequence's new tokens: (heads, new, width) over (key heads, all, width); (new, heads, width)."""
    new, seen, groups = query.shape[1], keys.shape[1], query.shape[0] // keys.shape[0]
    window, scale, cap = options.get("sliding_window"), options.get("scaling"), options.get("softcap")
    if new == 1:
        if window and seen > window:
            keys, values = keys[:, -window:], values[:, -window:]
        mask = None
        query = query.reshape(keys.shape[0], groups, -1)  # the heads that share keys, as rows of one product
    else:
        keys, values = keys.repeat_interleave(groups, 0), values.repeat_interleave(groups, 0)
        mask = _visible(seen - new, seen, window, query.device)
    if cap is None:
        out = functional.scaled_dot_product_attention(
            query[None], keys[None], values[None], attn_mask=mask, scale=scale
        )[0]
    else:
        weights = cap * torch.tanh(query @ keys.mT * (scale or query.shape[-1] ** -0.5) / cap)
        if mask is not None:
            weights = weights.masked_fill(~mask, float("-inf"))
        out = weights.softmax(-1, dtype=torch.float32).to(values.dtype) @ values
    return out.reshape(-1, new, values.shape[-1]).transpose(0, 1)


def _visible(start: int, end: int, window: int | None, place: Any) -> Any:
    """Which keys (0 … end) the tokens from `start` on see."""
    rows = torch.arange(start, end, device=place)[:, None]
    columns = torch.arange(end, device=place)[None]
    visible = columns <= rows
    return visible & (columns > rows - window) if window else visible


def _load(folder: str, kind: str) -> Any:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, kind),
            attn_implementation=_NAME,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (ValueError, OSError, KeyError, TypeError, ImportError) as error:
        raise Unsupported(f"transformers can't load it: {' '.join(str(error).split())}") from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise Unsupported(f"{len(missing)} of its weights are not in its files, {missing[0]} for one")
    return model.eval()


def _generation(folder: str) -> Any:
    try:
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:  # not every model has such a file
        return GenerationConfig()
