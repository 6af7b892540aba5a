"""How often and how long what is transient is tried again.

All pauses together outlive a restart of Ollama, which takes about ten seconds; none outlives the request's deadline.
"""

from __future__ import annotations

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from smallenough.errors import ModelUnavailable
from smallenough.models.flight import Flight

RETRIES = 6
"""Further tries: with pauses of 0.25, 0.5, 1, 2, 4 and 8 s, 15.75 s in all, and up to 0.25 s of chance in each."""

QUESTION_RETRIES = 2
"""Further tries of a question at most, so that it is told soon that there is no server."""


def retrying(flight: Flight, retries: int, failures: list[str]) -> Retrying:
    """Calls what it is given until it succeeds, raises no ModelUnavailable, or was tried `retries` times again.

    Args:
        flight: ends the pauses at its deadline, and the tries when it is cancelled.
        retries: further tries.
        failures: gets what each failed try said that is followed by another one.
    """

    def failed(state: RetryCallState) -> None:
        failures.append(str(state.outcome.exception()) if state.outcome else "")

    return Retrying(
        stop=stop_after_attempt(retries + 1),
        wait=wait_exponential(multiplier=0.25, max=8.0) + wait_random(0.0, 0.25),
        # A cancelled request is unavailable too, for good.
        retry=retry_if_exception(lambda error: isinstance(error, ModelUnavailable) and not flight.cancelled),
        before_sleep=failed,
        sleep=flight.pause,
        reraise=True,
    )
