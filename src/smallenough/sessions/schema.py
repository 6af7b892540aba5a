"""The JSON schemas by which an editor completes and checks files of settings, with the names that are installed."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from smallenough import plugins
from smallenough.config import ExperimentFile, SamplingPart
from smallenough.metrics.efficiency import EfficiencyWeights
from smallenough.models.catalogue import catalogue_schema
from smallenough.options import options_class


def schemas() -> dict[str, dict[str, Any]]:
    """By what the file is of: `experiment`, `models`."""
    return {"experiment": experiment_schema(), "models": catalogue_schema()}


def schema_files() -> dict[str, str]:
    """The same as files, by the names that files to start from call them."""
    names = {"experiment": "experiment_config.schema.json", "models": "models.schema.json"}
    return {names[which]: json.dumps(schema, indent=2) + "\n" for which, schema in schemas().items()}


def experiment_schema() -> dict[str, Any]:
    """Of an experiment file: its form, with the names of parameters and weights, which the form leaves open."""
    schema = ExperimentFile.model_json_schema()
    own, space = schema["properties"], schema["$defs"]["SearchPart"]["properties"]["space"]
    values = _parameters()
    grid = {name: {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]} for name, one in values.items()}
    weight = _mapping(own["weights"])["additionalProperties"]
    _name(_mapping(own["parameters"]), grid)
    _name(_mapping(own["weights"]), {field.name: weight for field in fields(EfficiencyWeights)})
    _name(space, dict.fromkeys(values, space["additionalProperties"]))
    return {**schema, "type": ["object", "null"]}


def _parameters() -> dict[str, Any]:
    """What can be combined and searched: sampling, and the options of every strategy."""
    found: dict[str, Any] = dict(SamplingPart.model_json_schema()["properties"])
    for strategy in plugins.names("strategies"):
        for field in fields(options_class(strategy)):
            found[f"{strategy}.{field.name}"] = {}
    return found


def _mapping(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the keys and values that may be left empty."""
    found: dict[str, Any] = schema["anyOf"][0]
    return found


def _name(mapping: dict[str, Any], known: dict[str, Any]) -> None:
    """Lets a mapping have these keys alone."""
    mapping.update(properties=known, additionalProperties=False)
