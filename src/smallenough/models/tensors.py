"""What a safetensors file holds, by its header alone."""

from __future__ import annotations

import json
from pathlib import Path


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, by name.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not whole, or no safetensors file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError(f"{path.name} is not whole")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        found = {name: tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path.name} has a header of another form ({type(error).__name__}: {error})") from error
    if 8 + length + end != path.stat().st_size:
        raise ValueError(f"{path.name} is not whole")
    return found
