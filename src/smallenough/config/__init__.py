"""Settings: an experiment file, the environment and flags, each going before the one named first here.

A file is YAML that holds values, never logic. Every key is checked; all faults are reported at once, each with its line
and the mend.
"""

from smallenough.config.faults import validated, words
from smallenough.config.form import ArmPart, ExperimentFile, ModelPart, RangePart, SamplingPart, SearchPart
from smallenough.config.layers import DEFAULT, DEFAULT_FILE, Config, Value, in_force, leaves, load_config, place_of
from smallenough.config.located import Located, Place, from_here, read_yaml

__all__ = [
    "DEFAULT",
    "DEFAULT_FILE",
    "ArmPart",
    "Config",
    "ExperimentFile",
    "Located",
    "ModelPart",
    "Place",
    "RangePart",
    "SamplingPart",
    "SearchPart",
    "Value",
    "from_here",
    "in_force",
    "leaves",
    "load_config",
    "place_of",
    "read_yaml",
    "validated",
    "words",
]
