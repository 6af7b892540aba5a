"""Answers that are held to choices in the embedded engine, beside what transformers computes for each alone."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

from smallenough.errors import ModelError
from smallenough.models import weights
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.records import Choices, Completion, Message, Request, Sampling, replace

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
KINDS = ("llama", "gemma3_text", "mixtral")
"""All layers alike; some see a window of 16 tokens, which the longer prompts overflow; experts, read one by one."""
ANSWERS = ("a", "ab", "abc", "b", "1", "10", "not at all", "xyz " * 9 + "end")
PROMPTS = ("Say one.", "The quick brown fox jumps over the lazy dog. Label:\n```")
EXAMPLE = (Message("user", "Q: one?"), Message("assistant", "ab"))
TOLERANCE = 2e-4
"""Of log-likelihoods of some 40 tokens, in float32."""


@pytest.fixture(scope="module")
def models(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny models; skips first where the engine isn't installed."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, "-m", "tests.models.tiny_models", str(folder), *KINDS], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def client(engine_cache: Path) -> Iterator[HuggingFaceClient]:
    client = HuggingFaceClient(engine_cache)
    yield client
    client.close()


def ask(
    model: Path | str,
    messages: Sequence[Message],
    by: Literal["constrained", "likelihood"],
    choices: Sequence[str] = ANSWERS,
    **sampling: Any,
) -> Request:
    settings = Sampling(**{"temperature": 0.0, **sampling})
    return Request(str(model), tuple(messages), settings, 120.0, choices=Choices(tuple(choices), by))


class Reference:
    """transformers itself, one answer after the other."""

    def __init__(self, folder: Path, *, chat: bool) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._words = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype="float32").eval()
        ends = self._model.generation_config.eos_token_id
        self.ends = [*(ends if isinstance(ends, list) else [ends])]
        if not chat:
            self.ends.append(self._words("\n").input_ids[0])

    def cut(self, text: str) -> list[int]:
        return [int(token) for token in self._words(text, add_special_tokens=False).input_ids]

    def chat(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return str(self._words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def chances(self, tokens: Sequence[int]) -> Any:
        """Logarithms of probabilities after each token."""
        import torch

        with torch.inference_mode():
            return self._model(torch.tensor([list(tokens)])).logits[0].float().log_softmax(-1)

    def likelihood(self, text: str, answer: str) -> float:
        before, tokens = self.cut(text), self.cut(text + answer)
        assert tokens[: len(before)] == before
        chances, own = self.chances(tokens), range(len(before), len(tokens))
        return float(sum(chances[at - 1, tokens[at]] for at in own) + chances[-1, self.ends].logsumexp(-1))

    def constrained(self, text: str, answers: dict[str, str]) -> str:
        """The answer that the likeliest allowed tokens come to; `answers`: as they stand in the text, by themselves."""
        before = self.cut(text)
        left = {answer: self.cut(text + told)[len(before) :] for answer, told in answers.items()}
        written: list[int] = []
        while True:
            at = len(written)
            last = self.chances([*before, *written])[-1]
            allowed = {tokens[at] for tokens in left.values() if len(tokens) > at}
            ends = self.ends if any(len(tokens) == at for tokens in left.values()) else []
            token = max([*allowed, *ends], key=lambda one: float(last[one]))
            if token in allowed:
                written.append(token)
                left = {answer: tokens for answer, tokens in left.items() if tokens[at : at + 1] == [token]}
            else:
                left = {answer: tokens for answer, tokens in left.items() if len(tokens) == at}
            if len(left) == 1:
                return next(iter(left))


CASES = (
    ((Message("user", PROMPTS[0]),), " "),
    ((Message("user", PROMPTS[1]),), "\n"),
    ((*EXAMPLE, Message("user", PROMPTS[1])), "\n\n"),
)
"""A prompt without a template, and what stands between it and an answer; that is part of every answer's tokens."""


def text_of(messages: Sequence[Message]) -> str:
    return "\n\n".join(message.content for message in messages)


@pytest.mark.parametrize("kind", KINDS)
def test_likelihoods_are_those_of_each_answer_alone(kind: str, models: Path, client: HuggingFaceClient) -> None:
    reference = Reference(models / kind, chat=False)
    requests = [ask(models / kind, messages, "likelihood") for messages, _ in CASES]
    found = [client.generate(request) for request in requests]
    for completion, (messages, lead) in zip(found, CASES, strict=True):
        assert completion.likelihoods is not None
        text = text_of(messages)
        wanted = {answer: reference.likelihood(text, lead + answer) for answer in ANSWERS}
        assert completion.likelihoods == pytest.approx(wanted, abs=TOLERANCE)
        assert completion.text == max(wanted, key=wanted.__getitem__)
        assert sum(map(math.exp, wanted.values())) < 1, "they are probabilities of different texts"
        assert (completion.tokens_out, completion.finish) == (0, "stop")
        assert completion.tokens_in is not None
        assert completion.tokens_in > len(reference.cut(text))
    assert client.describe(str(models / kind)).answers == ("free", "constrained", "likelihood")
    with ThreadPoolExecutor(9) as threads:
        together = list(threads.map(client.generate, requests * 3))
    assert [one.likelihoods for one in together] == [one.likelihoods for one in found] * 3, "whatever else is in flight"


@pytest.mark.parametrize("kind", KINDS)
def test_a_constrained_answer_is_the_likeliest_token_after_token(
    kind: str, models: Path, client: HuggingFaceClient
) -> None:
    reference = Reference(models / kind, chat=False)
    requests = [ask(models / kind, messages, "constrained") for messages, _ in CASES]
    wanted = [
        reference.constrained(text_of(messages), {answer: lead + answer for answer in ANSWERS})
        for messages, lead in CASES
    ]
    assert [client.generate(request).text for request in requests] == wanted
    with ThreadPoolExecutor(6) as threads:
        assert [done.text for done in threads.map(client.generate, requests * 2)] == wanted * 2


def test_a_constrained_answer_can_be_sampled(models: Path, client: HuggingFaceClient) -> None:
    requests = [
        ask(models / "llama", CASES[0][0], "constrained", temperature=2.0, seed=seed, top_p=1.0) for seed in range(24)
    ]
    with ThreadPoolExecutor(8) as threads:
        texts = [done.text for done in threads.map(client.generate, requests)]
    assert set(texts) <= set(ANSWERS)
    assert len(set(texts)) > 2
    assert [client.generate(request).text for request in requests[:3]] == texts[:3]


def test_what_can_t_be_chosen_is_told(models: Path, client: HuggingFaceClient) -> None:
    with pytest.raises(ModelError, match="the answer '' has no tokens"):
        client.generate(ask(models / "llama", CASES[0][0], "likelihood", ["a", ""]))
    with pytest.raises(
        ModelError, match=r"the prompt has 8 tokens, the longest allowed answer 601, and the context is 512"
    ):
        client.generate(ask(models / "llama", CASES[0][0], "likelihood", ["a", "b" * 600]))


def test_a_few_hundred_answers_are_scored_in_parts(models: Path, client: HuggingFaceClient) -> None:
    reference = Reference(models / "llama", chat=False)
    answers = [f"{letter}{number:03}" for letter in "AB" for number in range(150)]
    completion = client.generate(ask(models / "llama", CASES[0][0], "likelihood", answers))
    assert completion.likelihoods is not None
    assert list(completion.likelihoods) == answers
    for answer in answers[::37]:
        assert completion.likelihoods[answer] == pytest.approx(
            reference.likelihood(PROMPTS[0], f" {answer}"), abs=TOLERANCE
        )


class TestRealModel:
    def questions(self) -> list[Request]:
        cities = ("Paris", "Rome", "Tokyo", "New York")
        asked = [f"What is the capital of {country}? Answer with its name." for country in ("France", "Italy", "Japan")]
        return [ask("smollm2:135m", [Message("user", one)], "likelihood", cities) for one in asked]

    def test_it_knows_what_it_knows(self, client: HuggingFaceClient) -> None:
        wanted = ["Paris", "Rome", "Tokyo"]
        with ThreadPoolExecutor(3) as threads:
            found: list[Completion] = list(threads.map(client.generate, self.questions()))
        assert [one.text for one in found] == wanted
        held = [
            replace(one, choices=Choices(one.choices.texts, "constrained")) for one in self.questions() if one.choices
        ]
        assert [client.generate(one).text for one in held] == wanted

    def test_by_its_chat_template_an_answer_begins_and_ends_where_its_turn_does(
        self, engine_cache: Path, client: HuggingFaceClient
    ) -> None:
        reference = Reference(weights.find("smollm2:135m", engine_cache).folder, chat=True)
        question = self.questions()[0]
        found = client.generate(question).likelihoods
        assert found is not None
        text = reference.chat(question.messages)
        wanted = {city: reference.likelihood(text, city) for city in found}
        assert found == pytest.approx(wanted, abs=1e-3)
