"""Merges a LoRA adapter into its base model, by peft.

Merged, a layer's weight is W + (alpha / rank) · B · A (Hu et al. 2021, arXiv:2106.09685, section 4.1), so that the
model computes as any other of its kind. It answers as peft's own model does, up to rounding: in bfloat16 the sum is
rounded to bfloat16, where peft keeps both parts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch
from safetensors import safe_open

from smallenough.models.engine.faults import Unsupported

_PREFIX = "base_model.model."
_SHOWN = 3


def merge(model: Any, folder: Path) -> tuple[Any, bool]:
    """`model` with the adapter in `folder` merged into it, and whether that changes its embeddings.

    Raises:
        Unsupported: the adapter is not one of this model's, or its weights are damaged; says why.
    """
    try:
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            names = list(file.keys())
        if changed := _touches_embeddings(model, names):
            _untie(model)
        config = peft.PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        adapted = peft.get_peft_model(model, config)
        found = adapted.load_adapter(str(folder), "default", is_trainable=False)
        for said, keys in (("it lacks", found.missing_keys), ("the model has no place for", found.unexpected_keys)):
            if keys:
                shown = ", ".join(sorted(key.removeprefix(_PREFIX) for key in keys)[:_SHOWN])
                more = "" if len(keys) <= _SHOWN else f" and {len(keys) - _SHOWN} more"
                raise Unsupported(f"the adapter in {folder} is not this model's: {said} {shown}{more}")
        return adapted.merge_and_unload(safe_merge=True).eval(), changed
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise Unsupported(f"the adapter in {folder} can't be merged into it: {text}") from error


def _touches_embeddings(model: Any, names: list[str]) -> bool:
    """Whether weights of these names change the table of embeddings, or the layer that may share it."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    own = [f"{_PREFIX}{name}." for name, module in model.named_modules() if any(module is end for end in ends)]
    return any(name.startswith(tuple(own)) for name in names)


def _untie(model: Any) -> None:
    """Gives the last layer weights of its own: what is merged into one of the two is not meant for the other."""
    table, last = model.get_input_embeddings(), model.get_output_embeddings()
    if last is not None and last.weight is table.weight:
        last.weight = torch.nn.Parameter(table.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
