"""Tasks, their tests, and suites of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, TypeAlias

from smallenough.records.plain import Json, digest

Kind: TypeAlias = Literal["function", "class", "label"]
"""What a task asks for: code of a kind, or a label: one of a set of answers, or a short text that is looked up."""

Hierarchy: TypeAlias = Literal["", "path", "icd10"]
"""How labels lie within one another: not at all, by the slashes in them, or as ICD-10-CM's chapters and codes do."""

_LATER = {"labels": (), "meanings": (), "hierarchy": ""}
"""Fields that tasks did not always have: at these values they are no part of a digest or a record."""


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
    kind: Kind = "function"
    public_tests: tuple[Test, ...] = ()
    hidden_tests: tuple[Test, ...] = ()
    setup: str = ""
    """Code that every test needs. It runs after the solution, whose names it may use."""
    alias: str | None = None
    """The conventional name (`func`, `cls`) by which the tests call the entry point, if not by its own."""
    reference: str | None = None
    """A solution that passes every test; of a label task, the right answer, as `labels` has it."""
    category: str = "general"
    level: int | None = None
    """Difficulty, 1 (easiest) upwards; None: not known."""
    labels: tuple[str, ...] = ()
    """The answers that a label task allows; none: any text."""
    meanings: tuple[str, ...] = ()
    """What each of `labels` stands for, in their order; none: they say it themselves."""
    hierarchy: Hierarchy = ""
    """How the labels lie within one another: what a wrong answer that is near is credited by."""

    @property
    def problem(self) -> Problem:
        """The part of the task that a strategy may see."""
        return Problem(
            self.id,
            self.prompt,
            self.entry_point,
            self.kind,
            self.public_tests,
            self.category,
            self.alias,
            self.labels,
            self.meanings,
        )

    @property
    def checked(self) -> bool:
        """Whether an answer can be looked at: it is code of a name, or a label. A free task's is only kept."""
        return self.problem.checked

    @property
    def content(self) -> dict[str, Json]:
        """All that the task is, by field: what digests are made of, and records."""
        return {name: value for name, value in asdict(self).items() if name not in _LATER or value != _LATER[name]}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy sees of a task: never the hidden tests or the reference."""

    id: str
    prompt: str
    entry_point: str | None
    kind: Kind
    public_tests: tuple[Test, ...]
    category: str = "general"
    alias: str | None = None
    labels: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()

    @property
    def checked(self) -> bool:
        """Whether an answer can be looked at: it is code of a name, or a label."""
        return bool(self.entry_point) or self.kind == "label"

    @property
    def tested(self) -> bool:
        """Whether the public evaluation of an answer says anything: by tests, or by the labels that are allowed."""
        return bool(self.public_tests) or self.kind == "label"


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
        """Identifies the protocol, and the content and order of tasks and examples, whatever the suite is called."""
        parts = [self.tasks, self.examples] if self.examples else [self.tasks]
        return digest([self.protocol, *([task.content for task in part] for part in parts)])
