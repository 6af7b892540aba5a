"""The form of an experiment file: every key, its type, its bounds, its default and what it means.

The text under each field is also what an editor shows (`smallenough config schema`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from smallenough.machine import path_fault
from smallenough.records import SizeClass


def _possible(path: Path) -> Path:
    if fault := path_fault(path):
        raise ValueError(fault)
    return path


_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0}


def age_seconds(text: str) -> float:
    """Seconds that `12h`, `30d`, `8w` or `1y` are.

    Raises:
        ValueError: it is not of that form.
    """
    found = re.fullmatch(r"([0-9]{1,9})([hdwy])", text.strip())
    if not found:
        raise ValueError("write a number with h, d, w or y, as in 30d")
    return int(found[1]) * _UNITS[found[2]]


def _an_age(text: str) -> str:
    age_seconds(text)
    return text.strip()


Age = Annotated[str, AfterValidator(_an_age)]
Count = Annotated[int, Field(gt=0, le=10**9)]
Name = Annotated[str, Field(min_length=1, max_length=250, pattern=r"^[^\x00]*$")]
Folder = Annotated[Path, Field(strict=False), AfterValidator(_possible)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Share = Annotated[float, Field(gt=0, le=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=1e7)]
Megabytes = Annotated[int, Field(gt=0, le=2**20)]


def _several(value: Any) -> Any:
    """One value stands for a list of it."""
    return value if isinstance(value, tuple) else (value,)


def _or_nothing(schema: JsonSchemaValue) -> JsonSchemaValue:
    """The JSON schema of a value that may be left empty."""
    if {"type": "null"} in schema.get("anyOf", ()):
        return schema
    told: JsonSchemaValue = {key: schema[key] for key in ("default", "description", "title") if key in schema}
    return {"anyOf": [{key: schema[key] for key in schema.keys() - told.keys()}, {"type": "null"}], **told}


class Part(BaseModel):
    """Keys that belong together; others are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, values: Any) -> Any:
        """A key under which everything is commented out says nothing."""
        if isinstance(values, Mapping):
            return {key: value for key, value in values.items() if value is not None}
        return {} if values is None else values

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """As what is read: a key that need not be there may be empty."""
        schema = handler(core)
        own = handler.resolve_ref_schema(schema)
        for name in own["properties"].keys() - own.get("required", ()):
            own["properties"][name] = _or_nothing(own["properties"][name])
        return schema


class ExperimentPart(Part):
    """What the experiment is called."""

    name: Name = "smallenough"
    """Name of the MLflow experiment."""


class SuitePart(Part):
    """Where the tasks come from."""

    source: Name = "basics"
    """A task source (`basics`, `mbpp`, `humaneval`, `jsonl`), or the name of an imported suite."""
    path: Folder | None = None
    """The file or folder of a source that reads one."""
    ids: str | None = None
    """The tasks to take, as `11-510` or `1,5,7-9`."""
    protocol: Literal["split", "standard"] | None = None
    """Whether tests that a suite shows are split into public and hidden ones, or all are shown and score."""
    categories: tuple[str, ...] = ()
    """Only these categories."""
    limit: Count | None = None
    """So many tasks at most, spread evenly over the categories."""


class SamplingPart(Part):
    """How a model is sampled; what is not said is the model's default."""

    temperature: Temperature | None = None
    """0 is greedy."""
    top_p: Share | None = None
    """The share of the likeliest tokens that is drawn from."""
    max_tokens: Count | None = None
    """The longest answer."""
    context: Count | None = None
    """Tokens of context to load the model with."""


class ModelPart(SamplingPart):
    """A model to compare, with each of the strategies."""

    name: Name
    """`NAME` (of config/models.yaml, else Ollama's) or `PROVIDER:NAME`."""
    size_class: SizeClass | None = None
    """Which prompt templates it gets; by default the catalogue's, else by its number of parameters."""
    strategies: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """In place of the experiment's."""
    baseline: bool = False
    """Whether its first arm is what the others are compared with."""


class ArmPart(SamplingPart):
    """One arm, said whole."""

    model: Name
    """As a model's `name`."""
    strategy: str = "single"
    """As on the command line: `NAME` or `NAME:KEY=VALUE,…`."""
    size_class: SizeClass | None = None
    """As a model's."""
    baseline: bool = False
    """Whether it is what the others are compared with."""


class LimitsPart(Part):
    """What an answer's program may use, in the sandbox."""

    cpu_seconds: Seconds = 10.0
    """Processor time."""
    wall_seconds: Seconds = 20.0
    """From when it runs."""
    memory_megabytes: Megabytes = 512
    """Of 2^20 bytes."""
    processes: Count = 16
    """Processes and threads at the same time."""
    output_kilobytes: Megabytes = 1024
    """Of 2^10 bytes: standard output and standard error, each."""
    disk_megabytes: Megabytes = 32
    """Of 2^20 bytes: everything in the private temporary folder."""


class PricesPart(Part):
    """What this machine costs, to tell costs in money."""

    per_kwh: Amount | None = None
    """A kilowatt-hour of the energy that is measured."""
    per_machine_hour: Amount | None = None
    """An hour of the machine."""
    currency: str = ""
    """As it shall be shown: `EUR`."""
    as_of: date | None = None
    """The day of which the prices are."""


class TrackingPart(Part):
    """Where results go."""

    uri: str | None = None
    """MLflow tracking URI; by default SQLite in the local store."""
    store: Folder | None = None
    """Folder of the local store and of all journals; by default `mlruns`."""
    keep_sessions: Age | None = None
    """Tell of sessions that are older, as `90d`; nothing is put away by itself. By default none is told."""


class RangePart(Part):
    """Numbers from `low` to `high`, both included; whole ones where both are whole."""

    low: int | Annotated[float, Field(allow_inf_nan=False)]
    high: int | Annotated[float, Field(allow_inf_nan=False)]
    log: bool = False
    """Whether small numbers are looked at as closely as large ones."""

    @model_validator(mode="after")
    def _in_order(self) -> RangePart:
        if not self.low < self.high:
            raise ValueError("low has to be below high")
        if self.log and self.low <= 0:
            raise ValueError("with log, low has to be above 0")
        return self


Choices = Annotated[tuple[str | int | float | bool, ...], Field(min_length=1)]
Space = Annotated[
    Annotated[RangePart, Tag("range")] | Annotated[Choices, Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, tuple) else "range"),
]


class SearchPart(Part):
    """A search for the best options of one model with one strategy (`smallenough search`)."""

    space: Annotated[Mapping[str, Space], Field(min_length=1)]
    """What may vary: `temperature`, `top_p`, `max_tokens`, `context`, or `STRATEGY.OPTION`; a range or a list each."""
    candidates: Count = 20
    """How many combinations are tried."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of the tasks that candidates are tried on; `run` and the final comparison never see them."""
    cost: Literal["latency_seconds", "cpu_seconds", "tokens_total", "energy_joules"] = "latency_seconds"
    """What a trial may take `most` of, in the mean."""
    most: Amount | None = None
    """The limit on the cost; by default none."""


class DashboardPart(Part):
    """The dashboard."""

    refresh_interval: Seconds = 5
    """Seconds between two looks."""
    max_history: Count = 100
    """Points that a chart shows."""


class MonitoringPart(Part):
    """How resources are watched."""

    sample_interval: Annotated[float, Field(ge=0.02, le=10)] = 0.1
    """Seconds between two readings of what the model's processes use."""
    dashboard: DashboardPart = DashboardPart()


class ValidationPart(Part):
    """What answers to free questions are scored by."""

    metrics: tuple[str, ...] = ()


class ExperimentFile(Part):
    """An experiment: which models, on which tasks, how, and where its results go."""

    experiment: ExperimentPart = ExperimentPart()
    suite: SuitePart = SuitePart()
    models: tuple[ModelPart, ...] = ()
    """The models to compare; each with every strategy and every combination of the parameters."""
    strategies: Annotated[tuple[str, ...], Field(min_length=1)] = ("single",)
    """As on the command line: `NAME` or `NAME:KEY=VALUE,…`."""
    parameters: Mapping[str, Annotated[tuple[Any, ...], BeforeValidator(_several), Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """Values to combine: of `temperature`, `top_p`, `max_tokens`, `context`, or of `STRATEGY.OPTION`."""
    arms: tuple[ArmPart, ...] = ()
    """Further arms, one by one."""
    search: SearchPart | None = None
    """By default none."""
    repeats: Count = 1
    """How often each arm tries each task."""
    seed: int = 0
    """Of all sampling."""
    concurrency: Count | None = None
    """Requests in flight at the same time; by default one a server."""
    timeout: Seconds = 300.0
    """Seconds that one inference may take."""
    cache: bool = False
    """Take an answer that the same model gave to the same request before, where no chance has a part in it, and keep
    those that are new. What comes from the cache is in no timing."""
    fail_on_error: Amount | None = None
    """End the session when more trials than so many fail for infrastructure: a count, or below 1 a fraction of all."""
    urls: tuple[str, ...] = ()
    """Ollama servers that share the work; by default OLLAMA_HOST, else localhost."""
    sandbox: Name = "bubblewrap"
    """Where solutions run: `bubblewrap`, or `subprocess` (limits only, no isolation)."""
    limits: LimitsPart = LimitsPart()
    scorers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """What measures the answers besides their cost: `tests`, `static`, and those of other packages; by default all."""
    weights: Mapping[str, Amount] = Field(default_factory=dict)
    """Weights of the efficiency score that differ from the defaults."""
    prices: PricesPart = PricesPart()
    tracking: TrackingPart = TrackingPart()
    monitoring: MonitoringPart = MonitoringPart()
    validation: ValidationPart = ValidationPart()
