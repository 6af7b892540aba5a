"""From a problem to messages: prompt templates by class of model, editable, with a digest.

The templates are Jinja2 files (see `templates/README.md`). One that lies in the folder named by
`SMALLENOUGH_PROMPTS` (default `config/prompts`), as `CLASS/NAME.j2`, is used instead of the package's own. Label tasks
have theirs in `CLASS/label`.
"""

from __future__ import annotations

import ast
import os
import re
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2

from smallenough.errors import InputError
from smallenough.labels import INVALID
from smallenough.records import Ask, Evaluation, Message, Problem, SizeClass, Step, Task, TestResult, digest
from smallenough.syntax import parse

_PACKAGED = Path(__file__).parent / "templates"
_PARAMETER = re.compile(r"\*{0,2}[A-Za-z_]\w*(\s*=[^=]*)?|")
_FIRST = ("system", "solve", "answer")
_AFTER_FAILURE = ("short", "feedback", "rewrite")
_AGAIN = ("reformulate", *_AFTER_FAILURE, "hint")
_SUBTASKS = ("split", "part", "combine")
_LABEL = "label/"
"""What the names of the templates for label tasks begin with. Such a task is never split."""
_CODE_NAMES = (*_FIRST, *_AGAIN, *_SUBTASKS)
_LABEL_NAMES = tuple(f"{_LABEL}{name}" for name in (*_FIRST, *_AGAIN))
_MOST_LABELS = 200
"""Of more labels than these, none is told to a model."""


@dataclass(frozen=True)
class Prompts:
    """The templates for one class of model.

    Args:
        size_class: which folder of templates.
        sources: template text by name; those for label tasks are called `label/NAME`.
        shots: solved tasks that go before the first question, as earlier turns of the conversation. Each has an
            entry point and a reference.
        others: the templates for the models that the strategy asks besides, by the model's name.
        stop: where the answers to these end, for a model that is not the arm's own.
        paths: the file of each template, for messages.
    """

    size_class: SizeClass
    sources: Mapping[str, str]
    shots: tuple[Task, ...] = ()
    others: Mapping[str, Prompts] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def load(cls, size_class: SizeClass, folder: Path | None = None) -> Prompts:
        """The templates in force: the user's where there is one, else the package's.

        Args:
            size_class: which class of model they are for.
            folder: where the user's own lie; None: `SMALLENOUGH_PROMPTS`, else `config/prompts`.

        Raises:
            InputError: a template can't be read or does not parse; names file and line.
        """
        folder = folder or Path(os.environ.get("SMALLENOUGH_PROMPTS", "config/prompts"))
        sources, paths = {}, {}
        for name in _CODE_NAMES + _LABEL_NAMES:
            own = folder / size_class / f"{name}.j2"
            path = own if own.is_file() else _PACKAGED / size_class / f"{name}.j2"
            paths[name] = str(path)
            try:
                sources[name] = path.read_text(encoding="utf-8")
                jinja2.Environment().parse(sources[name])
            except jinja2.TemplateSyntaxError as error:
                raise InputError(f"{path}, line {error.lineno}: {error.message}") from error
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{path}: {error}") from error
        return cls(size_class, sources, paths=paths)

    def only(self, problems: Collection[Problem]) -> Prompts:
        """With the templates alone that these problems can need: those for code, for label tasks, or both."""
        kinds = {problem.kind == "label" for problem in problems}
        names = [name for name in self.sources if name.startswith(_LABEL) in kinds]
        others = {model: prompts.only(problems) for model, prompts in self.others.items()}
        return replace(self, sources={name: self.sources[name] for name in names}, others=others)

    @property
    def digest(self) -> str:
        """Identifies the text of all templates in use, and the examples."""
        shots = [[task.content for task in self.shots]] if self.shots else []
        stop = [list(self.stop)] if self.stop else []
        others = {model: prompts.digest for model, prompts in self.others.items()}
        return digest([self.size_class, dict(self.sources), *shots, *stop, *([others] if others else [])])

    @cached_property
    def _environment(self) -> jinja2.Environment:
        def load(name: str) -> tuple[str, str | None, None] | None:
            return (self.sources[name], self.paths.get(name), None) if name in self.sources else None

        return jinja2.Environment(loader=jinja2.FunctionLoader(load), undefined=jinja2.StrictUndefined)

    def render(self, name: str, problem: Problem, step: Step | None = None, **more: Any) -> str:
        """The text of template `name` for `problem`; after a failure, with what `step` shows of it.

        Raises:
            InputError: the template fails, as where it uses a value that does not exist; names file and line.
        """
        if problem.kind == "label":
            name = f"{_LABEL}{name}"
        values = {
            "prompt": problem.prompt.strip(),
            "name": problem.entry_point,
            "kind": problem.kind,
            "tests": [
                shown(test.code, problem) + ("" if test.output is None else f"  # prints {test.output!r}")
                for test in problem.public_tests
            ],
            "examples": [example(shown(test.code, problem), test.output) for test in problem.public_tests],
            "signature": signature(problem),
            "labels": _labels(problem),
            "unfinished": bool(problem.entry_point and f"def {problem.entry_point}(" in problem.prompt),
            "code": step.code if step else None,
            "failure": _failure(step, problem),
            **more,
        }
        try:
            text = self._environment.get_template(name).render(values)
        except Exception as error:  # a template may call anything: whatever it raises is its own fault
            raise InputError(self._told(name, error)) from error
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def check(self, problem: Problem) -> None:
        """Renders every template as it may come to be for `problem`.

        Raises:
            InputError: one fails; names file and line.
        """
        label = problem.kind == "label"
        for name in (*_FIRST, "reformulate", *(() if label else _SUBTASKS)):
            self.render(name, problem, **_GIVEN.get(name, {}))
        for step in (_UNLABELLED,) if label else (_WRONG, _EMPTY):
            for name in _AFTER_FAILURE:
                self.render(name, problem, step)
            for level in range(1, 4):
                self.render("hint", problem, step, level=level)
        for prompts in self.others.values():
            prompts.check(problem)

    def _told(self, name: str, error: Exception) -> str:
        """Where template `name`, or one that it includes, fails, and how."""
        files = set(self.paths.values())
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        place = self.paths.get(name, f"prompt template {self.size_class}/{name}.j2")
        if isinstance(error, jinja2.TemplateSyntaxError):
            place = f"{error.filename or place}, line {error.lineno}"
        elif frames:
            place = f"{frames[-1].filename}, line {frames[-1].lineno}"
        if isinstance(error, jinja2.TemplateNotFound):
            return f"{place}: no template {error.name!r}; there are {', '.join(self.sources)}"
        kind = "" if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: "
        return f"{place}: {kind}{error}"

    def first(
        self, problem: Problem, name: str = "solve", step: Step | None = None, **more: Any
    ) -> tuple[Message, ...]:
        """A conversation that begins: the system message, if there is one, and template `name`.

        The first question of all (`solve`) comes after the examples, if there are any.
        """
        system = self.render("system", problem)
        head = [Message("system", system)] if system else []
        for shot in self.shots if name == "solve" else ():
            head.append(Message("user", self.render("solve", shot.problem)))
            head.append(Message("assistant", self.render("answer", shot.problem, code=(shot.reference or "").strip())))
        return (*head, Message("user", self.render(name, problem, step, **more)))


_WRONG = Step(
    0,
    Ask(()),
    "I think that it is this.",
    "def solution(n):\n    return n",
    Evaluation((TestResult("assert solution(1) == 2", False, "AssertionError", "1 is not 2", "2", "1"),), True),
)
"""A step for templates to be tried with: an answer that failed a test."""

_EMPTY = Step(0, Ask(()), "I can't.", None, Evaluation(()))
"""And one in which no code was found."""

_NO_LABEL = TestResult("answer in labels", False, INVALID, "it is none of the labels")
_UNLABELLED = Step(0, Ask(()), "I can't.", None, Evaluation((_NO_LABEL,)))
"""And one in which there is no label."""

_GIVEN: Mapping[str, Mapping[str, Any]] = {
    "answer": {"code": "def solution(n):\n    return n"},
    "part": {"part": {"name": "half", "parameters": "n", "purpose": "the half of n"}},
    "combine": {"parts": "def half(n):\n    return n / 2"},
}
"""What those templates get besides, that do not come after a failure."""


def _labels(problem: Problem) -> list[dict[str, str]]:
    """The labels of a task with what they mean, for a model to choose from; none where they are too many to tell."""
    if len(problem.labels) > _MOST_LABELS:
        return []
    meanings = problem.meanings or ("",) * len(problem.labels)
    return [{"name": name, "meaning": told} for name, told in zip(problem.labels, meanings, strict=True)]


def shown(code: str, problem: Problem) -> str:
    """A test as a model shall see it: the conventional name (`func`) replaced by the one that is asked for."""
    if problem.alias and problem.entry_point:
        return re.sub(rf"\b{re.escape(problem.alias)}\b", problem.entry_point, code)
    return code


def signature(problem: Problem) -> str:
    """`name(first, second)`: as the prompt writes it, else with as many parameters as the first public test gives."""
    name = problem.entry_point
    if not name:
        return ""
    for found in re.finditer(rf"\b{re.escape(name)}\(([^()]{{0,200}})\)", problem.prompt):
        if all(_PARAMETER.fullmatch(part.strip()) for part in found[1].split(",")):
            return f"{name}({found[1]})"
    called = {name, problem.alias}
    for test in problem.public_tests:
        for node in ast.walk(_parsed(test.code)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in called:
                letters = [chr(ord("a") + index) for index in range(min(len(node.args), 26))]
                return f"{name}({', '.join(letters)})"
    return f"{name}(*args)"


def example(code: str, output: str | None = None) -> str:
    """A test as documentation shows it: a call at `>>>` and its value, or what it prints."""
    if output is not None:
        return f">>> {code}\n{output}".rstrip()
    match _parsed(code).body:
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]))]:
            return f">>> {ast.unparse(left)}\n{ast.unparse(right)}"
    return f">>> {code}"


def _parsed(code: str) -> ast.Module:
    try:
        return parse(code)
    except SyntaxError:
        return ast.Module([], [])


def _failure(step: Step | None, problem: Problem) -> Mapping[str, Any] | None:
    failed = step.evaluation.first_failure if step and step.evaluation else None
    if failed is None and step and step.evaluation and step.evaluation.syntax_valid is False:
        failed = TestResult("", passed=False, error="SyntaxError", message="the code does not parse")
    if failed is None and step and step.evaluation and step.code is None:
        failed = TestResult("", passed=False, error="NoCode", message="the answer contains no code")
    if failed is None:
        return None
    return {
        "error": failed.error,
        "message": failed.message,
        "test": shown(failed.code, problem),
        "expected": failed.expected,
        "actual": failed.actual,
        "output": failed.output,
    }
