"""Loads a model through transformers with an attention of ours in place of its own, or says why it can't be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging

from smallenough.models.engine.faults import Unsupported


def configuration(folder: str) -> Any:
    """A model's configuration.

    Raises:
        Unsupported: the model can't be computed here.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with _told():
        found = AutoConfig.from_pretrained(folder, local_files_only=True)
        made = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(found), None)
    if not getattr(made, "_supports_attention_backend", False):
        raise Unsupported(
            f"{found.model_type} models don't generate text, or don't let their attention be replaced in"
            " transformers; take a model of another family, as Llama, Qwen or Gemma"
        )
    return found


def skeleton(config: Any) -> Any:
    """The model of a configuration, without weights.

    Raises:
        Unsupported: the model can't be computed here.
    """
    with _told(), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def load(folder: str, kind: str, attention: str, *, in_4bit: bool = False) -> Any:
    """A model with its weights.

    Args:
        folder: where it lies, as transformers saves models.
        kind: the name of a torch dtype.
        attention: the name under which ours is registered.
        in_4bit: hold its linear layers in 4 bits (NF4, doubly quantized), on the first CUDA device.

    Raises:
        Unsupported: it can't be computed here; says why.
        RuntimeError: memory is too small.
    """
    config, more = configuration(folder), {}
    if in_4bit:
        quantized = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, kind),
        )
        more = {"device_map": {"": 0}, "quantization_config": quantized}
    with _told():
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, kind),
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **more,
        )
    missing = sorted(found["missing_keys"])
    if missing:
        raise Unsupported(f"{len(missing)} of its weights are not in its files, {missing[0]} for one")
    return model


def check_attention(module: Any, options: Mapping[str, Any]) -> None:
    """Refuses a layer whose attention is more than what ours computes.

    Args:
        module: the layer.
        options: what transformers gives to `AttentionInterface`.

    Raises:
        Unsupported: it is.
    """
    unknown = [name for name in ("s_aux", "sinks", "position_bias") if options.get(name) is not None]
    if unknown or not getattr(module, "is_causal", True):
        raise Unsupported(f"its attention ({', '.join(unknown) or 'not causal'}) is of a kind that is not supported")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Within, what transformers raises of a model's files is told in its words."""
    try:
        yield
    except (ValueError, OSError, KeyError, TypeError, ImportError) as error:
        raise Unsupported(f"transformers can't load it: {' '.join(str(error).split())}") from error
