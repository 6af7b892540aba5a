"""Events survive the journal: whatever a model or a hostile program put into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.errors import JournalError
from smallenough.events import ActionsDecided, AttemptFinished, Event, Failure, StepFinished, decode, encode
from smallenough.records import (
    Ask,
    Completion,
    Evaluation,
    Message,
    Propose,
    Sampling,
    TestResult,
    TrialKey,
    Usage,
)

words = st.text(max_size=40)
numbers = st.floats(min_value=0, max_value=1e9)
keys = st.builds(TrialKey, words, words, st.integers(0, 99))
asks = st.builds(
    Ask,
    messages=st.tuples(st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=words)),
    sampling=st.builds(Sampling, temperature=st.none() | numbers, seed=st.none() | st.integers(0, 2**31)),
    parent=st.none() | st.integers(0, 9),
    role=st.just("solve"),
    note=words,
)
completions = st.builds(
    Completion,
    text=words,
    reasoning=words,
    tokens_in=st.none() | st.integers(0, 10**6),
    finish=st.sampled_from(["stop", "length", "unknown"]),
    seconds=numbers,
    server=words,
)
results = st.builds(TestResult, code=words, passed=st.booleans(), error=st.none() | words, output=words)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        ActionsDecided,
        key=keys,
        first=st.integers(0, 9),
        actions=st.lists(asks | st.builds(Propose, words, st.tuples(st.integers(0, 9))), max_size=3).map(tuple),
        time=numbers,
        kind=st.just("actions_decided"),
    ),
    st.builds(
        AttemptFinished,
        key=keys,
        index=st.integers(0, 9),
        started=numbers,
        completion=st.none() | completions,
        failure=st.none() | st.builds(Failure, words, words),
        usage=st.none()
        | st.builds(
            Usage,
            seconds=numbers,
            cpu_seconds=st.none() | numbers,
            cpu_provenance=st.just("measured"),
            memory_provenance=st.just("none"),
            gpu_provenance=st.just("none"),
            energy_provenance=st.just("none"),
        ),
        time=numbers,
        kind=st.just("attempt_finished"),
    ),
    st.builds(
        StepFinished,
        key=keys,
        index=st.integers(0, 9),
        code=st.none() | words,
        evaluation=st.none()
        | st.builds(Evaluation, st.lists(results, max_size=2).map(tuple), st.none() | st.booleans()),
        failure=st.none(),
        time=numbers,
        kind=st.just("step_finished"),
    ),
)


@given(events)
def test_what_is_encoded_is_decoded(event: Event) -> None:
    line = encode(event)
    assert b"\n" not in line
    assert decode(line) == event


def test_half_a_surrogate_pair_is_written_readably() -> None:
    event = StepFinished(TrialKey("a", "t"), 0, "print('\ud800')", None, None, 1.0)
    decoded = decode(encode(event))
    assert isinstance(decoded, StepFinished)
    assert decoded.code == "print('\\ud800')"


@pytest.mark.parametrize("line", [b"", b"{}", b'{"kind": "no_such"}', b"\xff", b'{"kind":"session_resumed"}', b"[1]"])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(JournalError, match="not an event"):
        decode(line)
