"""What the engine reads of prompts that begin alike, with a tiny model in this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smallenough.models import weights
from smallenough.models.engine.messages import Done, Failed, Generate, Piece, Report
from smallenough.models.engine.prompt import Prompt
from smallenough.records import Message, Sampling

if TYPE_CHECKING:
    from smallenough.models.engine.batch import Batch

pytestmark = pytest.mark.engine

EXAMPLES = Message("system", "An example of what is asked, and what is answered. " * 3)
KINDS = ("llama", "mixtral")
"""One whose prompts may be read together, and one whose may not."""


@pytest.fixture(scope="module")
def models(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny models; skips first where the engine isn't installed."""
    folder = tmp_path_factory.mktemp("tiny")
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-m", "tests.models.tiny_models", str(folder), *KINDS], cwd=root, check=True)
    return folder


class Watched:
    """A batch with a model, which notes what is read in each pass."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        from smallenough.models.engine.batch import Batch
        from smallenough.models.engine.network import Network
        from smallenough.models.engine.tokens import Tokens

        self.passes: list[list[int]] = []
        """The lengths of the parts in each."""
        self.reports: list[Report] = []
        self.network = Network(str(folder), "cpu", dtype)
        read = self.network.read

        def noted(parts: Sequence[tuple[Any, Sequence[int]]]) -> Any:
            self.passes.append([len(part) for _, part in parts])
            return read(parts)

        self.network.read = noted  # type: ignore[method-assign]
        self.network.bytes = 8_000_000  # so that the beginnings of a few prompts are kept
        self.tokens_of = Tokens(str(folder))
        self._batch: Batch = Batch(self.network, self.tokens_of, self.reports.extend)
        self._asked = 0

    def ask(self, *prompts: Sequence[Message], seeds: Sequence[int] = (0,), temperature: float = 0.0) -> list[str]:
        """The answers, by prompt and seed, to all of them at once."""
        first = self._asked
        for messages in prompts:
            for seed in seeds:
                sampling = Sampling(temperature=temperature, seed=seed, max_tokens=8)
                self._batch.add(Generate(self._asked, tuple(messages), sampling))
                self._asked += 1
        while self._batch.busy:
            self._batch.turn()
        assert {report.id for report in self.reports if isinstance(report, Done)} == set(range(self._asked))
        return [
            "".join(report.text for report in self.reports if isinstance(report, Piece) and report.id == number)
            for number in range(first, self._asked)
        ]

    @property
    def tokens(self) -> int:
        """Read so far."""
        return sum(map(sum, self.passes))


@pytest.fixture(params=KINDS)
def watched(models: Path, request: pytest.FixtureRequest) -> Watched:
    return Watched(models / request.param)


def question(number: int) -> Message:
    return Message("user", f"Here is question {number}, to be answered in a few words, and none of the others.")


def test_samples_of_one_prompt_read_it_once(watched: Watched) -> None:
    prompt = [EXAMPLES, question(1)]
    answers = watched.ask(prompt, seeds=range(6), temperature=1.0)
    length = watched.tokens
    assert length == len(EXAMPLES.content) + 2 + len(question(1).content)
    assert len(set(answers)) > 1, "each draws by its own seed"
    assert [watched.ask(prompt, seeds=[seed], temperature=1.0)[0] for seed in range(6)] == answers
    assert watched.tokens == 7 * length, "what came before has no say in what a request takes"


def test_they_do_so_behind_examples_that_are_known_already(watched: Watched) -> None:
    watched.ask([EXAMPLES, question(1)], [EXAMPLES, question(2)], seeds=range(4), temperature=1.0)
    assert watched.tokens == len(EXAMPLES.content) + 2 + 2 * len(question(1).content)


def test_examples_before_all_prompts_are_read_once_and_change_no_answer(watched: Watched, models: Path) -> None:
    prompts = [[EXAMPLES, question(number)] for number in range(5)]
    answers = watched.ask(*prompts)
    examples = len(EXAMPLES.content) + 2
    assert watched.tokens == examples + 5 * len(question(0).content)
    for prompt, answer in zip(prompts, answers, strict=True):
        alone = Watched(models / watched.network._model.config.model_type)
        assert alone.ask(prompt) == [answer]


def test_a_conversation_reads_its_examples_once(watched: Watched) -> None:
    first = [EXAMPLES, question(1)]
    more = [Message("assistant", "An answer that is wrong, as it happens."), Message("user", "Then try it once more.")]
    watched.ask(first, [*first, *more])
    assert watched.tokens == sum(
        len("\n\n".join(message.content for message in messages)) for messages in (first, [*first[1:], *more])
    )


def test_by_a_chat_template_it_goes_on_from_its_first_prompt(engine_cache: Path) -> None:
    from smallenough.models.engine.tokens import Tokens

    tokens = Tokens(str(weights.find("smollm2:135m", engine_cache).folder))
    first = [question(1)]
    more = [Message("assistant", "An answer that is wrong, as it happens."), Message("user", "Then try it once more.")]
    parts = tokens.encode(first).parts
    assert len(parts) == 2, "the template's own system message comes before"
    assert tokens.encode([*first, *more]).parts[:2] == parts
    assert tokens.encode([question(2)]).parts[0] == parts[0]


def test_prompts_are_read_in_one_pass_where_the_model_allows_for_it(watched: Watched) -> None:
    watched.ask(*([Message("user", f"{number} is a number of which much is said")] for number in range(4)))
    assert watched.network.together == (watched.network._model.config.model_type == "llama")
    assert len(watched.passes) == (1 if watched.network.together else 4)


def test_in_bfloat16_an_answer_is_the_same_alone_and_among_others(models: Path) -> None:
    prompts = [[EXAMPLES, question(number)] for number in range(5)]
    answers = Watched(models / "llama", "bfloat16").ask(*prompts)
    for prompt, answer in zip(prompts, answers, strict=True):
        assert Watched(models / "llama", "bfloat16").ask(prompt) == [answer]


def test_a_real_model_in_bfloat16_knows_what_it_knew_alone_and_among_others(engine_cache: Path) -> None:
    folder = weights.find("smollm2:135m", engine_cache).folder
    prompts = [[Message("user", f"What is the capital of {country}?")] for country in ("France", "Italy", "Japan")]
    watched = Watched(folder, "bfloat16")
    answers = watched.ask(*prompts)
    for answer, city in zip(answers, ("Paris", "Rome", "Tokyo"), strict=True):
        assert city in answer
    assert [watched.ask(prompt)[0] for prompt in prompts] == answers


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 amx_tile\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_used_where_the_processor_computes_it(engine_cache: Path, cpuinfo: str, has: bool) -> None:
    from smallenough.models.engine.network import computes_bfloat16

    assert computes_bfloat16(cpuinfo) == has


def test_what_is_kept_has_its_limit_and_is_forgotten_when_nothing_is_in_flight(watched: Watched) -> None:
    from smallenough.models.engine.batch import _PREFIXES

    prefixes, held = watched._batch._prefixes, []
    keep = prefixes.keep

    def noted(*given: Any) -> None:
        keep(*given)
        held.append((len(prefixes._known), sum(known.size for known in prefixes._known.values())))

    prefixes.keep = noted  # type: ignore[method-assign, assignment]
    watched.ask(*([Message("user", f"{number}: " + "many words " * 30)] for number in range(30)))
    assert len(held) == 30
    assert 0 < max(size for _, size in held) <= watched.network.bytes * _PREFIXES
    assert max(count for count, _ in held) < 30
    assert not prefixes._known
    assert prefixes._left == int(watched.network.bytes * _PREFIXES)


def test_a_request_for_which_memory_runs_out_harms_no_other(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    from smallenough.models.engine.memory import Shelf

    fill = Shelf.fill

    def full(*given: Any) -> None:
        monkeypatch.setattr(Shelf, "fill", fill)
        raise MemoryError

    monkeypatch.setattr(Shelf, "fill", full)
    watched._batch.add(Generate(99, (question(1),), Sampling(temperature=0.0, max_tokens=8)))
    while watched._batch.busy:
        watched._batch.turn()
    assert [(report.fault, report.id) for report in watched.reports if isinstance(report, Failed)] == [("memory", 99)]
    assert all(watched.ask([question(1)], [question(2)]))


def test_a_token_that_the_model_does_not_have_is_that_request_s_fault(watched: Watched) -> None:
    encode = watched.tokens_of.encode
    watched.tokens_of.encode = lambda messages: Prompt.cut([9999], [])  # type: ignore[method-assign]
    watched._batch.add(Generate(99, (question(1),), Sampling(temperature=0.0, max_tokens=8)))
    watched.tokens_of.encode = encode  # type: ignore[method-assign]
    while watched._batch.busy:
        watched._batch.turn()
    assert [(report.fault, report.id) for report in watched.reports if isinstance(report, Failed)] == [("model", 99)]
    assert all(watched.ask([question(1)]))
