"""What the models of a study are called in its results, and what kind each is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

ModelType: TypeAlias = Literal["LLM", "SLM"]
Training: TypeAlias = Literal["zero-shot", "lora_finetuned"]

_STATES: dict[Training, str] = {"zero-shot": "untrained", "lora_finetuned": "finetuned"}
_SIZE = re.compile(r"(?<![0-9A-Za-z.])([0-9]+(?:\.[0-9]+)?)([bm])(?![0-9a-z])", re.IGNORECASE)
_LARGE = {"7B", "8B"}


def size_in(name: str) -> str | None:
    """The size that a model's name tells, as `8B`; None: it tells none."""
    found = _SIZE.search(name)
    return f"{found[1]}{found[2].upper()}" if found else None


def type_of(name: str) -> ModelType:
    """The kind of a model that is only named: those of 7B and 8B are large ones, the rest small ones."""
    return "LLM" if size_in(name) in _LARGE else "SLM"


def short_name(name: str, size: str | None) -> str:
    """The family and the size, as `Llama-8B` for `meta-llama/Meta-Llama-3.1-8B-Instruct`."""
    last = re.split(r"[/:]", name.rstrip("/"))
    words = re.findall(r"[A-Za-z]+", last[-1] if "/" in name else last[0])
    family = next((word for word in words if word.lower() != "meta"), last[-1])
    return f"{family}-{size}" if size else family


def short_names(models: Sequence[tuple[str, str | None]]) -> list[str]:
    """The short names of models and their sizes; whole names where two would be called the same."""
    found = [short_name(name, size) for name, size in models]
    return [
        short if found.count(short) == 1 else name.replace("/", "_")
        for short, (name, _) in zip(found, models, strict=True)
    ]


def result_key(kind: ModelType, short: str, training: Training) -> str:
    """The key of a model's results, as `SLM_Llama-3B_finetuned`."""
    return f"{kind}_{short}_{_STATES[training]}"
