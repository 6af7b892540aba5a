"""The same command line as `smallenough`, from a clone: `python run_experiments.py --help`."""

import os
import sys
from pathlib import Path

SOURCE = str(Path(__file__).resolve().parent / "src")

# Ahead of an installed copy, so that a clone runs its own code; the environment variable does it for the processes that
# are started from here.
sys.path.insert(0, SOURCE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))

from smallenough.cli.main import main  # noqa: E402 - the path must be set first

if __name__ == "__main__":
    main()
