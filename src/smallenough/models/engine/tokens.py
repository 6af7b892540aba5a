"""A model's tokenizer: from messages to tokens and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer

from smallenough.models.engine.prompt import Prompt, starts
from smallenough.records import Message


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
        if not messages:
            raise BadRequest("there are no messages")
        text = self._chat(messages) if chat else "\n\n".join(message.content for message in messages)
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
