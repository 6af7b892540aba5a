"""The frozen values that flow through smallenough.

Pure values: no identity, no storage, no behaviour beyond what derives from their own fields. `None` means
'not measured' or 'not known' everywhere; it is never replaced by 0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeAlias

Json: TypeAlias = Any
"""A value that JSON can hold: None, bool, int, float, str, list, dict with string keys."""

Role: TypeAlias = Literal["solve", "subtask", "combine", "judge", "extract"]
"""What an inference is for."""

Outcome: TypeAlias = Literal["solved", "unsolved", "unscored", "model_failed", "sandbox_failed", "scorer_failed"]
"""How a trial ended. `unscored`: no tests decide. The three `…_failed` are infrastructure: never a wrong answer."""

SizeClass: TypeAlias = Literal["large", "small", "base"]
"""Which prompt templates suit a model: detailed ones, concise ones, or, for a base model, which was never taught to
follow instructions, beginnings of a text to continue."""

Provenance: TypeAlias = Literal["measured", "apportioned", "estimated", "none"]
"""Where a number of `Usage` comes from."""


def digest(value: Json) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `value`'s canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---------------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True, slots=True)
class Test:
    """One check of a solution."""

    __test__: ClassVar[bool] = False  # pytest shall not take it for one of its own
    code: str
    """An assertion (`assert f(2) == 4`), or, where `output` is given, a statement that prints."""
    setup: str = ""
    """Code that runs before this test in the same process."""
    output: str | None = None
    """The standard output that `code` must print, trailing white space apart; None: `code` is an assertion."""


@dataclass(frozen=True, slots=True)
class Task:
    """One problem: what is asked, what the solver may see, what decides."""

    id: str
    prompt: str
    entry_point: str | None = None
    """The name that an answer must define; None: a free task, whose answer is text."""
    kind: Literal["function", "class"] = "function"
    public_tests: tuple[Test, ...] = ()
    hidden_tests: tuple[Test, ...] = ()
    setup: str = ""
    """Code that every test needs. It runs after the solution, whose names it may use."""
    alias: str | None = None
    """The conventional name (`func`, `cls`) by which the tests call the entry point, if not by its own."""
    reference: str | None = None
    """A solution that passes every test."""
    category: str = "general"
    level: int | None = None
    """Difficulty, 1 (easiest) upwards; None: not known."""

    @property
    def problem(self) -> Problem:
        """The part of the task that a strategy may see."""
        return Problem(self.id, self.prompt, self.entry_point, self.kind, self.public_tests, self.category, self.alias)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy sees of a task: never the hidden tests or the reference."""

    id: str
    prompt: str
    entry_point: str | None
    kind: Literal["function", "class"]
    public_tests: tuple[Test, ...]
    category: str = "general"
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """A named set of tasks."""

    name: str
    tasks: tuple[Task, ...]
    source: str = ""
    """Where the tasks come from: a file's name, a package, a hub id."""
    protocol: Literal["split", "standard"] = "split"
    """`split`: public and hidden tests are apart. `standard`: all tests are shown and all decide."""
    version: int | None = None
    """The version in the tracking store; None: not stored."""
    description: str = ""
    examples: tuple[Task, ...] = ()
    """Solved tasks for few-shot prompts. They are no tasks of the suite: never run, never scored."""

    @property
    def digest(self) -> str:
        """Identifies the content and order of tasks and examples, whatever the suite is called."""
        parts = [self.tasks, self.examples] if self.examples else [self.tasks]
        return digest([self.protocol, *([asdict(task) for task in part] for part in parts)])


# ------------------------------------------------------------------------------------------- asking a model


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is sampled. None: the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    context: int | None = None
    """Context window in tokens to load the model with."""

    def over(self, base: Sampling) -> Sampling:
        """These settings, and `base`'s wherever these say nothing."""
        return Sampling(
            self.temperature if self.temperature is not None else base.temperature,
            self.top_p if self.top_p is not None else base.top_p,
            self.max_tokens if self.max_tokens is not None else base.max_tokens,
            self.seed if self.seed is not None else base.seed,
            self.stop or base.stop,
            self.context if self.context is not None else base.context,
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """A strategy's wish for one inference."""

    messages: tuple[Message, ...]
    model: str | None = None
    """The model to ask; None: the arm's own."""
    sampling: Sampling = field(default_factory=Sampling)
    """Only what differs from the arm's sampling."""
    parent: int | None = None
    """Index of the step that this one continues; None: a root of the tree."""
    role: Role = "solve"
    check: bool = True
    """Whether the answer is code to be evaluated on the public tests."""
    deadline: float | None = None
    """Seconds after which the inference is stopped; None: the session's time-out."""
    note: str = ""
    """Why the strategy asks this, in a word or two (`feedback`, `hint 2`): recorded, never interpreted."""


@dataclass(frozen=True, slots=True)
class Propose:
    """A strategy's wish to evaluate code that needs no inference."""

    code: str
    parents: tuple[int, ...] = ()
    note: str = ""


Action: TypeAlias = Ask | Propose


@dataclass(frozen=True, slots=True)
class Request:
    """One inference as a model client gets it."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    deadline: float | None = None
    """Seconds from the call of `generate`; None: no limit."""
    key: str = ""
    """Identifies the request within its session (`arm/task/repeat/index`): the replay client answers by it."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and what its server says that it took."""

    text: str
    """The answer, without the reasoning."""
    reasoning: str = ""
    """What stood between `<think>` and `</think>`, or came apart as thinking."""
    tokens_in: int | None = None
    """Tokens of the prompt, by the server's counter."""
    tokens_out: int | None = None
    """Tokens generated, reasoning included, by the server's counter."""
    reasoning_tokens: int | None = None
    """Of `tokens_out`, those of the reasoning, by its share of the streamed pieces."""
    finish: Literal["stop", "length", "unknown"] = "unknown"
    """Why it ended: by itself, or at the limit of tokens."""
    started: float = 0.0
    """When the successful try was sent: seconds since the epoch."""
    seconds: float = 0.0
    """From sending to the last piece, of the successful try alone."""
    first_token_seconds: float | None = None
    """From sending to the first piece."""
    load_seconds: float | None = None
    """Of `seconds`, loading the model, by the server's counter."""
    prompt_seconds: float | None = None
    """Of `seconds`, reading the prompt, by the server's counter."""
    generate_seconds: float | None = None
    """Of `seconds`, generating, by the server's counter."""
    retries: int = 0
    """Tries that failed before this one."""
    server: str = ""
    """Where it was answered: a URL, or the engine's name."""

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens generated per second of generation, by the server's counters."""
        if not self.tokens_out or not self.generate_seconds:
            return None
        return self.tokens_out / self.generate_seconds


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model."""

    name: str
    provider: str
    digest: str | None = None
    parameters: int | None = None
    """How many weights."""
    size_bytes: int | None = None
    quantization: str | None = None
    family: str | None = None
    context_length: int | None = None
    """The longest context that the model was made for, in tokens."""
    server: str = ""
    version: str | None = None
    """The server's or engine's version."""
    dtype: str | None = None
    """What weights and activations are computed in, where the engine tells it (`float32`, `bfloat16`)."""


# ---------------------------------------------------------------------------------------------- running code


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program in a sandbox may use."""

    cpu_seconds: float = 10.0
    wall_seconds: float = 20.0
    """From when the program runs; the start of the sandbox has a limit of its own."""
    memory_bytes: int = 512 * 2**20
    processes: int = 16
    """Processes and threads at the same time."""
    output_bytes: int = 2**20
    """Standard output and standard error, each."""
    disk_bytes: int = 32 * 2**20
    """Everything in the private temporary folder."""


@dataclass(frozen=True, slots=True)
class Program:
    """Python source for a sandbox to run, with what it reads on standard input."""

    source: str
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of a program. That it failed or was stopped is a result, not an error."""

    exit_code: int | None
    """None: ended by a signal."""
    stdout: bytes
    stderr: bytes
    seconds: float
    """Wall time, start of the sandbox included."""
    cpu_seconds: float | None = None
    """User and system time of the program and its children."""
    peak_memory_bytes: int | None = None
    stopped: Literal["wall", "cpu", "memory", "output", "processes"] | None = None
    """The limit that ended it; None: it ended by itself."""
    sandbox: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test."""

    __test__: ClassVar[bool] = False
    code: str
    """The test as it was written."""
    passed: bool
    error: str | None = None
    """Class of the failure: AssertionError, NameError, SyntaxError, Timeout, MemoryError, Crash, …; None: passed."""
    message: str = ""
    """The failure in words, for a reader or a model."""
    expected: str | None = None
    """What should have come, as Python would print it."""
    actual: str | None = None
    """What came, as Python would print it."""
    output: str = ""
    """What the solution printed meanwhile."""
    seconds: float | None = None
    """Time of the call itself, without start-up."""
    exposed: bool = False
    """Whether the expectation was in the same process as the solution."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of a solution on a set of tests, one by one."""

    results: tuple[TestResult, ...]
    syntax_valid: bool | None = None
    """Whether the code parses; None: there was no code."""
    runs: int = 0
    """How many sandboxes it took."""
    cpu_seconds: float | None = None
    """What the sandboxes consumed."""
    sandbox: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether every test passed; None: there are no tests."""
        return all(result.passed for result in self.results) if self.results else None

    @property
    def ratio(self) -> float | None:
        """Tests passed of all tests, 0 to 1; None: there are no tests."""
        return sum(result.passed for result in self.results) / len(self.results) if self.results else None

    @property
    def first_failure(self) -> TestResult | None:
        """The first test that did not pass."""
        return next((result for result in self.results if not result.passed), None)


# ------------------------------------------------------------------------------------------------- the trial


@dataclass(frozen=True, slots=True)
class Step:
    """What a strategy sees of the past: an attempt or a proposal, after its public evaluation."""

    index: int
    """Position in the trial, from 0; also what `parent` refers to."""
    action: Action
    response: str
    """The model's answer without reasoning; the proposed code, for a proposal."""
    code: str | None
    """The solution that was extracted; None: none was found, or none was asked for."""
    evaluation: Evaluation | None
    """On the public tests; None: the action asked for no check."""
    tokens: int = 0
    """Tokens in and out that it took."""
    seconds: float = 0.0
    """Seconds of inference that it took."""

    @property
    def parent(self) -> int | None:
        """Index of the step that this one continues (of a proposal: the first)."""
        if isinstance(self.action, Ask):
            return self.action.parent
        return self.action.parents[0] if self.action.parents else None

    @property
    def passed(self) -> bool | None:
        """Whether the public tests all passed; None: there were none, or no check."""
        return self.evaluation.passed if self.evaluation else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a scorer sees: a step, with what decides about it. It exists only when the trial has ended."""

    step: Step
    hidden: Evaluation | None = None
    """On the tests that decide; None: there are none, or the step was not checked."""
    reference_seconds: float | None = None
    """Time of the reference solution's calls in the tests that decide; None: not known."""


@dataclass(frozen=True, slots=True)
class Score:
    """A named number with its scorer's version. A value of None is 'not measured', never 0."""

    name: str
    value: float | None
    scorer: str
    """The scorer and its version, as `tests/1`."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt, an arm or a training run consumed, by the resource monitor. None: not measured."""

    seconds: float = 0.0
    """Length of the window that this covers."""
    cpu_seconds: float | None = None
    cpu_percent: float | None = None
    """Mean use; 100 is one core."""
    peak_memory_bytes: int | None = None
    mean_memory_bytes: int | None = None
    gpu_percent: float | None = None
    """Mean use of the busiest GPU, 0 to 100."""
    gpu_peak_memory_bytes: int | None = None
    energy_joules: float | None = None
    gpu_energy_joules: float | None = None
    cpu_provenance: Provenance = "none"
    memory_provenance: Provenance = "none"
    gpu_provenance: Provenance = "none"
    energy_provenance: Provenance = "none"


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing compared: a model, a strategy with its options, and how the model is sampled."""

    name: str
    model: str
    """The model's name for its provider (`smollm2:135m`)."""
    strategy: str = "single"
    options: Mapping[str, Json] = field(default_factory=dict)
    """The strategy's options: those that differ from its defaults; in a plan all of them."""
    sampling: Sampling = field(default_factory=Sampling)
    provider: str = "ollama"
    size_class: SizeClass = "small"
    baseline: bool = False
    """Whether the other arms are compared with this one."""


@dataclass(frozen=True, slots=True, order=True)
class TrialKey:
    """Which trial: an arm at a task, one repeat."""

    arm: str
    task: str
    repeat: int = 0

    def __str__(self) -> str:
        return f"{self.arm}/{self.task}/{self.repeat}"


__all__ = [
    "Action",
    "Answer",
    "Arm",
    "Ask",
    "Completion",
    "Evaluation",
    "Execution",
    "Json",
    "Limits",
    "Message",
    "ModelInfo",
    "Outcome",
    "Problem",
    "Program",
    "Propose",
    "Provenance",
    "Request",
    "Role",
    "Sampling",
    "Score",
    "SizeClass",
    "Step",
    "Suite",
    "Task",
    "Test",
    "TestResult",
    "TrialKey",
    "Usage",
    "digest",
    "replace",
]
