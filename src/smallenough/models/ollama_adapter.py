"""A LoRA adapter as an Ollama server reads it.

Ollama takes peft's two files. Of the configuration it reads the rank and `lora_alpha`, and adds alpha / rank · B · A to
the layers' weights as they are, whatever else the configuration says: what would come out otherwise is refused here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallenough.errors import InputError
from smallenough.models.adapters import CONFIG, WEIGHTS, AdapterFolder
from smallenough.models.tensors import shapes

_UNREAD = (
    "use_dora",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "target_parameters",
    "alora_invocation_tokens",
)
"""What Ollama does not read, and what changes the model."""


def files_for_ollama(adapter: AdapterFolder, staging: Path) -> dict[str, Path]:
    """The adapter's files, by the names under which Ollama reads them.

    Args:
        adapter: the adapter.
        staging: a folder for what has to be written anew.

    Raises:
        InputError: Ollama would make something else of it; says of what.
    """
    config: Mapping[str, Any] = json.loads((adapter.folder / CONFIG).read_text("utf-8"))
    odd = [name for name in _UNREAD if config.get(name)]
    odd += ["bias"] if config.get("bias", "none") != "none" else []
    odd += (
        [] if all(".lora_A." in name or ".lora_B." in name for name in shapes(adapter.weights)) else ["other weights"]
    )
    if odd:
        raise InputError(
            f"{adapter.folder}: Ollama reads plain LoRA adapters only, and this one has {', '.join(odd)}; train one"
            " without"
        )
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    scaled = alpha * math.sqrt(rank) if config.get("use_rslora") else alpha
    if scaled != int(scaled):
        raise InputError(
            f"{adapter.folder}: Ollama reads whole numbers for alpha, and with use_rslora it would be {scaled:g}; train"
            " with a rank whose root is a whole number, or without use_rslora"
        )
    path = staging / CONFIG
    path.write_text(json.dumps({"r": rank, "lora_alpha": int(scaled)}), "utf-8")
    return {CONFIG: path, WEIGHTS: adapter.weights}
