"""Settings: an experiment file, the environment and flags, each going before the one named first here.

A file is YAML that holds values, never logic. Every key is checked; all faults are reported at once, each with its line
and the mend.
"""

from smallenough.config.faults import told
from smallenough.config.form import ExperimentFile, RangePart, SamplingPart, SearchPart
from smallenough.config.layers import DEFAULT_FILE, Config, Value, in_force, load_config
from smallenough.config.located import read_yaml

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "ExperimentFile",
    "RangePart",
    "SamplingPart",
    "SearchPart",
    "Value",
    "in_force",
    "load_config",
    "read_yaml",
    "told",
]
