"""Settings: an experiment file, the environment and flags, each going before the one named first here.

A file is YAML that holds values, never logic. Every key is checked; all faults are reported at once, each with its line
and the mend.
"""

from smallenough.config.faults import told
from smallenough.config.form import ExperimentFile, ModelPart, RangePart, SamplingPart, SearchPart
from smallenough.config.layers import DEFAULT_FILE, SETTINGS, Config, Setting, Value, in_force, load_config
from smallenough.config.located import Located, read_yaml

__all__ = [
    "DEFAULT_FILE",
    "SETTINGS",
    "Config",
    "ExperimentFile",
    "Located",
    "ModelPart",
    "RangePart",
    "SamplingPart",
    "SearchPart",
    "Setting",
    "Value",
    "in_force",
    "load_config",
    "read_yaml",
    "told",
]
