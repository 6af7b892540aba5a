"""What may be said and nothing uses yet: it is told, in one place, so that nobody believes it to count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smallenough.config import Config

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


def unused_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """The same of the environment."""
    if said := [name for name in UNUSED_VARIABLES if environment.get(name)]:
        yield f"the environment's {', '.join(said)} {'is' if len(said) == 1 else 'are'} accepted, and not used yet"
