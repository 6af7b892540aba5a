"""Rows as the tokens that the engine would read, and those that it shall answer."""

from __future__ import annotations

from collections.abc import Sequence

from smallenough.models.engine.tokens import BadRequest, Tokens
from smallenough.training.batches import Tokenized
from smallenough.training.data import Row


class RowTokens(Tokens):
    """The tokenizer that lies with a model, for rows with answers.

    Args:
        folder: the model's.
    """

    def rows(self, rows: Sequence[Row]) -> list[Tokenized]:
        """Each row's prompt, to the last token as the engine reads it, and its answer with the token that ends it.

        Raises:
            BadRequest: the model can't be asked so; names the row.
        """
        if not self.ends:
            raise BadRequest("the model's tokenizer knows no token that ends an answer; take another model")
        return [self._row(row) for row in rows]

    def _row(self, row: Row) -> Tokenized:
        try:
            prompt = self.encode(row.messages)
        except BadRequest as error:
            raise BadRequest(f"row {row.id!r}: {error}") from error
        text = row.answer if self._tokenizer.chat_template else _continued(row)
        answer = self._tokenizer(text, add_special_tokens=False).input_ids
        return Tokenized(tuple(token for part in prompt.parts for token in part), (*map(int, answer), min(self.ends)))


def _continued(row: Row) -> str:
    """An answer as the text that goes on after the prompt's, for a model without a chat template."""
    before = row.messages[-1].content
    if not before or before[-1].isspace():
        return row.answer
    return f"\n{row.answer}" if before.rpartition("\n")[2].startswith("```") else f" {row.answer}"
