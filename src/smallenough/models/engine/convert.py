"""Turns a GGUF file into a folder as transformers saves models: `python -m … FILE FOLDER`, a process of its own.

The weights are unpacked to float32, which holds every value of a quantized file exactly. The last line of its output is
a JSON object: `{"quantization": …}`, as llama.cpp calls it, or `{"fault": …, "text": …}` with the fault `package`,
`memory`, `disk` or `model`.
"""

from __future__ import annotations

import errno
import functools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from smallenough import wording
from smallenough.models.engine.faults import out_of_memory

_NO_SPACE = "No space left"
"""As the system says it, and the libraries after it."""


def convert(source: Path, target: Path) -> str | None:
    """Writes the model in `source` to the folder `target`; returns how it is quantized; None: the file doesn't say.

    Raises:
        OSError: too little space is left for the weights.
        ImportError: a package is not installed.
    """
    import gguf

    # The library reads the whole file anew for its configuration, tokenizer and weights, and looks its names up anew
    # for every module: remembered, that takes half the time.
    gguf.GGUFReader = functools.cache(gguf.GGUFReader)
    gguf.get_tensor_name_map = functools.cache(gguf.get_tensor_name_map)
    file = gguf.GGUFReader(str(source))
    size, free = 4 * sum(int(tensor.n_elements) for tensor in file.tensors), shutil.disk_usage(target).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{_NO_SPACE}: it takes {wording.size(size)}, and {wording.size(free)} are free")
    import torch
    from safetensors.torch import save_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: dict[str, Any] = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(**place, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(**place, local_files_only=True, dtype=torch.float32)
    if hasattr(model.config, "quantization_config"):  # they are unpacked now
        del model.config.quantization_config
    model.config.dtype = torch.float32
    save_model(model, str(target / "model.safetensors"), metadata={"format": "pt"})
    for part in (model.config, model.generation_config, tokenizer):
        part.save_pretrained(target)
    kind = file.get_field("general.file_type")
    names = {member.value: member.name for member in gguf.LlamaFileType}
    name = names.get(int(kind.contents())) if kind else None
    return name.removeprefix("MOSTLY_").removeprefix("ALL_") if name else None


def main() -> None:
    """Converts what the command line names."""
    source, target = map(Path, sys.argv[1:])
    try:
        said: dict[str, Any] = {"quantization": convert(source, target)}
    except ImportError as error:
        said = {"fault": "package", "text": error.name or str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a library stumbles over in the file; told, and the file refused
        text = " ".join(str(error).split()) or type(error).__name__
        fault = "memory" if isinstance(error, MemoryError) or out_of_memory(text) else "model"
        said = {"fault": "disk" if _NO_SPACE in text else fault, "text": text}
    print(json.dumps(said))  # noqa: T201 - the answer to the process that started this one


if __name__ == "__main__":
    main()
