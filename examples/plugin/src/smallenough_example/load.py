"""How busy the whole machine is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


class LoadProbe:
    """Reads the system's load average, which every sample of an arm then has beside the other measurements.

    Args:
        pids: the model's processes; not needed here.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        pass

    def read(self) -> Mapping[str, float]:
        """The load of the last minute; nothing where the system does not tell it."""
        try:
            return {"load_average": os.getloadavg()[0]}
        except OSError:
            return {}
