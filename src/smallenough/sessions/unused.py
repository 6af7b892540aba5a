"""What may be said and nothing uses yet: it is told, in one place, so that nobody believes it to count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smallenough.config import Config
from smallenough.sessions.flags import Flags

UNUSED = ("validation", "monitoring.dashboard")
"""Keys of an experiment file."""

UNUSED_VARIABLES = (
    *("DAGSHUB_USERNAME", "DAGSHUB_TOKEN", "DAGSHUB_REPO"),
    *("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "XAI_API_KEY"),
    *("TOGETHER_API_KEY", "DEEPSEEK_API_KEY", "DATASET_PATH", "OUTPUT_DIR", "BATCH_SIZE", "MAX_CONCURRENT_PER_MODEL"),
)
"""Variables that a `.env` may hold."""


def unused(config: Config) -> Iterator[str]:
    """What files say and nothing uses yet, each with its place."""
    for key in UNUSED:
        if origin := config.origin(tuple(key.split("."))):
            yield f"{origin}: {key} is accepted, and not used yet"


def overruled(config: Config, flags: Flags, environment: Mapping[str, str]) -> Iterator[str]:
    """The model that the environment names and an experiment's own go before.

    Args:
        config: the experiment file.
        flags: what was said; models that they name go before both.
        environment: the environment's variables.
    """
    place = next(filter(None, (config.origin((key,)) for key in ("models", "arms") if getattr(config.form, key))), "")
    named = flags.model or flags.large_model or flags.small_model
    if place and not named and environment.get("OLLAMA_MODEL"):
        yield f"{place}: names models, so OLLAMA_MODEL is left out; --model goes before both"


def unused_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """The same of the environment."""
    if said := [name for name in UNUSED_VARIABLES if environment.get(name)]:
        yield f"the environment's {', '.join(said)} {'is' if len(said) == 1 else 'are'} accepted, and not used yet"
