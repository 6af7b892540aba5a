"""A model's tokenizer: from messages to tokens and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer

from smallenough.models.engine.prompt import Prompt, starts
from smallenough.records import Message

_BETWEEN = "\n\n"
"""Between messages, without a chat template."""

_TAIL = 16
"""So many characters of a prompt's end decide how what follows is cut into tokens."""

_NEW_LINES = ("\n", "\u010a", "<0x0A>")
"""How tokenizers write one: as it is, as byte-level ones do, and as those do that fall back on bytes."""


class BadRequest(Exception):
    """What was asked does not suit the model; the text says why."""


class Tokens:
    """The tokenizer that lies with a model.

    Args:
        folder: the model's.
    """

    def __init__(self, folder: str) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    @property
    def ends(self) -> set[int]:
        """The tokens that end an answer, as far as the tokenizer knows them."""
        end = self._tokenizer.eos_token_id
        return set() if end is None else {int(end)}

    def encode(self, messages: Sequence[Message]) -> Prompt:
        """The prompt: by the model's chat template, or, where it has none, the messages' text for it to continue.

        A template that knows no system messages gets theirs at the beginning of the first other message.

        Raises:
            BadRequest: the template refuses the messages, or there is nothing to read.
        """
        chat = bool(self._tokenizer.chat_template)
        text = self._text(messages)
        known = self._tokenizer.is_fast  # where tokens lie in the text
        found = self._tokenizer(text, add_special_tokens=not chat, return_offsets_mapping=known)
        if not found.input_ids:
            raise BadRequest("the prompt is empty")
        spans = found.offset_mapping if known else []
        return Prompt.cut([int(token) for token in found.input_ids], list(starts(text, messages, spans)))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, without those that only mark something."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def answers(self, messages: Sequence[Message], texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of answers to a prompt, as they stand after its last token.

        By a chat template an answer begins where its turn does. Without one it begins as those of the examples before
        it, on a line of its own; where there are none, after a space, or on the next line after a code fence.

        Raises:
            BadRequest: one has no tokens.
        """
        text = self._text(messages)
        if self._tokenizer.chat_template:
            lead = ""
        elif any(message.role == "assistant" for message in messages):
            lead = _BETWEEN
        else:
            lead = "\n" if text.endswith("```") else " "
        return self._after(text[-_TAIL:], lead, tuple(texts))

    def ends_of(self, ends: Iterable[int]) -> list[int]:
        """The tokens that end an allowed answer: those that end any, and without a chat template those of new lines."""
        return sorted({*ends, *(() if self._tokenizer.chat_template else self._lines)})

    @cached_property
    def _lines(self) -> list[int]:
        """The tokens that begin a new line."""
        pieces = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        return [token for token, piece in enumerate(pieces) if piece is not None and piece.startswith(_NEW_LINES)]

    @lru_cache(maxsize=64)  # noqa: B019 - as long-lived as the process
    def _after(self, tail: str, lead: str, texts: tuple[str, ...]) -> list[tuple[int, ...]]:
        def cut(text: str) -> tuple[int, ...]:
            return tuple(map(int, self._tokenizer(text, add_special_tokens=False).input_ids))

        before = cut(tail)
        found = []
        for text in texts:
            whole = cut(tail + lead + text)
            tokens = whole[len(before) :] if whole[: len(before)] == before else cut(lead + text)
            if not tokens or not text:
                raise BadRequest(f"the answer {text!r} has no tokens, and can't be chosen; leave it out")
            found.append(tokens)
        return found

    def _text(self, messages: Sequence[Message]) -> str:
        """What a model reads."""
        if not messages:
            raise BadRequest("there are no messages")
        if self._tokenizer.chat_template:
            return self._chat(messages)
        return _BETWEEN.join(message.content for message in messages)

    def _chat(self, messages: Sequence[Message]) -> str:
        try:
            return self._rendered(messages)
        except TemplateError as error:
            if messages[0].role != "system" or len(messages) == 1:
                raise BadRequest(f"the model's chat template refuses the messages: {error}") from error
        system, first, *others = messages
        merged = [Message(first.role, f"{system.content}\n\n{first.content}"), *others]
        try:
            return self._rendered(merged)
        except TemplateError as error:
            raise BadRequest(f"the model's chat template refuses the messages: {error}") from error

    def _rendered(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text: str = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return text
