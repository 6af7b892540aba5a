"""Who is in the batch: requests join it between two tokens, and leave it when their answer is complete.

Each turn reads prompts, as many as fit a budget, and then generates one token for every sequence in the batch. A prompt
is always cut at the same places, and several are read in one pass only where the model allows for it, so that what is
computed for one does not depend on when it comes. A beginning that is known from another prompt in flight is not read
again; when nothing is in flight all are forgotten, so that what a request takes does not depend on those before it.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from smallenough.models.engine import scoring
from smallenough.models.engine.choices import Held
from smallenough.models.engine.choices import Tokens as Answer
from smallenough.models.engine.faults import out_of_memory
from smallenough.models.engine.memory import Memory, Store
from smallenough.models.engine.messages import Done, Failed, Fault, Generate, Piece, Report
from smallenough.models.engine.network import Network
from smallenough.models.engine.prefixes import Prefixes
from smallenough.models.engine.prompt import LARGEST_PART, Prompt
from smallenough.models.engine.sampling import Sampler
from smallenough.models.engine.text import TextStream
from smallenough.models.engine.tokens import BadRequest, Tokens

_ROWS = LARGEST_PART
"""Tokens of prompts that are read at once. More are not faster, and take more memory."""

_BUDGET = 2 * _ROWS
"""Tokens of prompts after which those in the batch get their next token."""

_PREFIXES = 1 / 8
"""So much memory, by that of the model's weights, the beginnings of prompts may take."""


@dataclass(eq=False)
class _Sequence:
    """A request on its way to an answer."""

    request: Generate
    prompt: Prompt
    most: int
    """Tokens that the answer may have."""
    sampler: Sampler
    text: TextStream
    memory: Memory
    answers: list[Answer]
    """The allowed ones; empty: any."""
    held: Held | None
    """What the answer can still become; None: it is not held to anything while it is written."""
    read: int = 0
    """Parts of the prompt that the network has seen."""
    logits: Any = None
    """After those."""
    last: int = -1
    """The newest token, which the network has not seen yet."""
    tokens: int = 0
    """Of the answer."""
    prompt_seconds: float = 0.0
    began: float = 0.0
    """When its prompt was read to the end."""


class Batch:
    """Answers requests with a loaded model. For one thread.

    Args:
        network: the model.
        tokens: its tokenizer.
        send: takes what is to be told.
    """

    def __init__(self, network: Network, tokens: Tokens, send: Callable[[list[Report]], None]) -> None:
        self._network = network
        self._tokens = tokens
        self._send = send
        self._ends = network.ends | tokens.ends
        self._chosen_ends = tokens.ends_of(self._ends)
        self._waiting: deque[_Sequence] = deque()
        self._active: dict[Memory, _Sequence] = {}
        self._store = Store()
        self._prefixes = Prefixes(int(network.bytes * _PREFIXES))
        self._reports: list[Report] = []

    @property
    def busy(self) -> bool:
        """Whether there is anything to do in the next turn."""
        return bool(self._waiting or self._active)

    def add(self, request: Generate) -> None:
        """Takes a request on; it joins the batch when there is a place."""
        try:
            self._waiting.append(self._sequence(request))
        except Exception as error:  # noqa: BLE001 - a model's own template can raise anything
            text = " ".join(str(error).split())
            told = text if isinstance(error, BadRequest) else f"{type(error).__name__}: {text}"
            self._send([Failed("request", told, request.id)])

    def drop(self, number: int) -> None:
        """Forgets a request; nothing more is told of it."""
        self._waiting = deque(one for one in self._waiting if one.request.id != number)
        for sequence in [one for one in self._active.values() if one.request.id == number]:
            self._leave(sequence)

    def turn(self) -> None:
        """Reads what fits of the prompts, generates a token for each sequence, and tells what came of it."""
        read = 0
        while read < _BUDGET and (chosen := self._chosen()):
            read += self._guarded(partial(self._read, chosen), list(chosen))
        if self._active:
            active = [self._active[memory] for memory in self._store]
            self._guarded(partial(self._step, active), active)
        if not self.busy:
            self._prefixes.clear()
        reports, self._reports = self._reports, []
        self._send(reports)

    def _sequence(self, request: Generate) -> _Sequence:
        network, sampling = self._network, request.sampling
        prompt = self._tokens.encode(request.messages)
        context = min(network.context, sampling.context or network.context)
        choices = request.choices
        answers = self._tokens.answers(request.messages, choices.texts) if choices else []
        longest = max(map(len, answers), default=0)
        if len(prompt) + longest >= context:
            told = f", the longest allowed answer {longest}" if longest else ""
            raise BadRequest(
                f"the prompt has {len(prompt)} tokens{told}, and the context is {context}: shorten the prompt, or take"
                " a model with a longer context"
            )
        most = context - len(prompt)
        return _Sequence(
            request,
            prompt,
            most if sampling.max_tokens is None else min(most, sampling.max_tokens),
            Sampler(
                network.temperature if sampling.temperature is None else sampling.temperature,
                network.top_p if sampling.top_p is None else sampling.top_p,
                sampling.seed,
            ),
            TextStream(self._tokens.decode, sampling.stop),
            Memory(len(prompt)),
            answers,
            Held(answers) if choices and choices.by == "constrained" else None,
        )

    def _chosen(self) -> dict[_Sequence, int]:
        """Whose prompts are read in the next pass, and how many parts of each; none where it is known already.

        One that begins as another in the pass waits for what is computed for that one.
        """
        chosen: dict[_Sequence, int] = {}
        begun: set[tuple[tuple[int, ...], ...]] = set()
        left = _ROWS
        for one in itertools.islice(self._waiting, self._network.shapes[-1] - len(self._active)):
            parts = one.prompt.parts
            if known := self._prefixes.find(one.prompt, one.read):
                one.read, one.memory, one.logits = known
            if parts[: one.read + 1] in begun:
                continue
            end = one.read
            while end < len(parts) and (left == _ROWS or (self._network.together and len(parts[end]) <= left)):
                left -= len(parts[end])
                end += 1
                begun.add(parts[:end])
            if end > one.read or end == len(parts):
                chosen[one] = end - one.read
        return chosen

    def _read(self, chosen: dict[_Sequence, int]) -> int:
        """Reads so many parts of each; those that are read to the end join the batch. Says how many tokens it were."""
        started = time.perf_counter()
        parts = [(one, part) for one, count in chosen.items() for part in one.prompt.parts[one.read : one.read + count]]
        if parts:
            logits = self._network.read([(one.memory, part) for one, part in parts])
            for (one, _), row in zip(parts, logits, strict=True):
                one.read, one.logits = one.read + 1, row
                if one.read in (one.prompt.before_last, len(one.prompt.parts)):
                    self._prefixes.keep(one.prompt, one.read, one.memory, row)
        now = time.perf_counter()
        for one in chosen:
            one.prompt_seconds += now - started
            if one.read == len(one.prompt.parts):
                one.began = now
                self._waiting.remove(one)
                row, one.logits = one.logits, None
                if one.answers and one.held is None:
                    self._guarded(partial(self._score, one, row), [one])
                    continue
                self._active[one.memory] = one
                self._store.add(one.memory)
                self._guarded(partial(self._take, one, row), [one])
        return sum(len(part) for _, part in parts)

    def _step(self, active: list[_Sequence]) -> int:
        """The next token of every sequence in the batch."""
        logits = self._network.step(self._store, [one.last for one in active])
        for sequence, row in zip(active, logits, strict=True):
            self._guarded(partial(self._take, sequence, row), [sequence])
        return 0

    def _score(self, sequence: _Sequence, logits: Any) -> int:
        """Finds the likeliest of the allowed answers, and tells it."""
        request, began = sequence.request, time.perf_counter()
        assert request.choices is not None
        texts = request.choices.texts
        found, read = scoring.likelihoods(self._network, sequence.memory, logits, sequence.answers, self._chosen_ends)
        self._tell(sequence, texts[found.index(max(found))])
        times = (sequence.prompt_seconds, time.perf_counter() - began)
        likelihoods = dict(zip(texts, found, strict=True))
        self._reports.append(Done(request.id, len(sequence.prompt) + read, 0, "stop", *times, likelihoods))
        return read

    def _take_held(self, sequence: _Sequence, held: Held, logits: Any) -> int:
        """Adds the next token that is allowed, until it is clear which answer it becomes."""
        request = sequence.request
        assert request.choices is not None
        sequence.last = token = sequence.sampler.pick(scoring.held_logits(logits, held, self._chosen_ends))
        sequence.tokens += 1
        answer = held.take(token)
        if answer is not None:
            self._leave(sequence)
            self._tell(sequence, request.choices.texts[answer])
            self._end(sequence, "stop")
        return 0

    def _take(self, sequence: _Sequence, logits: Any) -> int:
        """Adds the next token to a sequence's answer, and ends the answer where it has to end."""
        if sequence.held is not None:
            return self._take_held(sequence, sequence.held, logits)
        sequence.last = token = sequence.sampler.pick(logits)
        sequence.tokens += 1
        ended = token in self._ends
        if not ended:
            self._tell(sequence, sequence.text.feed(token))
        full = sequence.tokens >= sequence.most
        if not (ended or full or sequence.text.stopped):
            return 0
        self._leave(sequence)
        self._tell(sequence, sequence.text.end())
        self._end(sequence, "stop" if ended or sequence.text.stopped else "length")
        return 0

    def _end(self, sequence: _Sequence, finish: Literal["stop", "length"]) -> None:
        times = (sequence.prompt_seconds, time.perf_counter() - sequence.began)
        self._reports.append(Done(sequence.request.id, len(sequence.prompt), sequence.tokens, finish, *times))

    def _leave(self, sequence: _Sequence) -> None:
        del self._active[sequence.memory]
        self._store.remove(sequence.memory)

    def _tell(self, sequence: _Sequence, text: str) -> None:
        if text:
            self._reports.append(Piece(sequence.request.id, text))

    def _guarded(self, work: Callable[[], int], sequences: list[_Sequence]) -> int:
        """What `work` returns; where it fails, its sequences have failed, and the others go on."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - what libraries raise has no common base
            text = " ".join(str(error).split()) or type(error).__name__
            fault: Fault = "memory" if isinstance(error, MemoryError) or out_of_memory(text) else "model"
            for sequence in sequences:
                self.drop(sequence.request.id)
                self._reports.append(Failed(fault, text, sequence.request.id))
            return 0
