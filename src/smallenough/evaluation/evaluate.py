"""A solution against its tests: what runs where, what is judged outside, and what to tell of a failure.

Tests whose assertion can be split share one process, which never sees what they expect. A test that can't be split
runs whole in a process of its own and is marked `exposed`. Each test has at least half of the limits for itself.
Public and hidden tests share a sandbox too, one group after the other, each in a process of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from smallenough.evaluation.judge import Fault, Judgement, judge
from smallenough.evaluation.plain import shown
from smallenough.evaluation.process import Query, Reply, Run, Solution, death, run_jobs
from smallenough.evaluation.split import Split, split
from smallenough.protocols import Sandbox
from smallenough.records import Evaluation, Execution, Limits, Problem, Test, TestResult
from smallenough.syntax import parse

_MAX_RESTARTS = 3
_OUTPUT_SHOWN = 2000
_MESSAGE_CHARS = 400


def evaluate(
    code: str | None,
    problem: Problem,
    setup: str,
    tests: Sequence[Test],
    sandbox: Sandbox,
    limits: Limits | None = None,
) -> Evaluation:
    """Runs `tests` on a solution.

    Args:
        code: the solution; None: there is none, and every test fails as `NoCode`.
        problem: names the entry point, its alias and its kind. Its own tests are not looked at.
        setup: code that every test needs; it runs after the solution.
        tests: what to check.
        sandbox: where the solution runs.
        limits: what one process may use; each test can count on half of it.

    Raises:
        SandboxError: the sandbox failed, which says nothing about the solution.
    """
    return evaluate_groups(code, problem, setup, [tests], sandbox, limits)[0]


def evaluate_groups(
    code: str | None,
    problem: Problem,
    setup: str,
    groups: Sequence[Sequence[Test]],
    sandbox: Sandbox,
    limits: Limits | None = None,
) -> tuple[Evaluation, ...]:
    """Runs groups of tests on a solution: the public ones and the hidden ones, say.

    Each group has a process of its own, which knows nothing of the groups after it. Since most of the time goes into
    starting a sandbox, they share one as far as it gets; what it took counts for the first of them.

    Args and errors are those of `evaluate`.
    """
    if code is None:
        fault = Fault("NoCode", "the answer contains no code")
        return tuple(_all_failed(tests, fault, None) for tests in groups)
    try:
        parse(code)
    except SyntaxError as error:
        fault = Fault("SyntaxError", error.msg or "invalid syntax", error.lineno)
        return tuple(_all_failed(tests, fault, False, code) for tests in groups)
    solutions = [UnderTest(code, problem, setup, tuple(tests), sandbox, limits or Limits()) for tests in groups]
    _share_sandbox([one for one in solutions if one.waiting])
    return tuple(one.evaluate() for one in solutions)


def _share_sandbox(solutions: Sequence[UnderTest]) -> None:
    """Takes several solutions as far as one sandbox gets; each goes on by itself from there."""
    if len(solutions) > 1:
        first = solutions[0]
        run = run_jobs([[one.solution(one.waiting)] for one in solutions], first.sandbox, first.limits)
        first.executions.append(run.execution)
        for number, one in enumerate(solutions):
            one.take(run, number)


@dataclass(frozen=True, slots=True)
class Planned:
    """A test, and how it is run: `split` where it could be."""

    test: Test
    split: Split | None

    @property
    def exposed(self) -> bool:
        """Whether the expectation has to be beside the solution."""
        return self.split is None and self.test.output is None

    def query(self, index: int) -> Query:
        """What to ask of the driver."""
        if self.split:
            return Query(index, self.split.sources, "values", self.test.setup)
        return Query(index, (self.test.code,), "run", self.test.setup)

    def judgement(self, reply: Reply) -> Judgement:
        """What the test comes to, by what came back."""
        if len(reply.values) != len(self.query(0).sources):
            return Judgement(Fault("Crash", "the solution disturbed the process that it ran in"))
        if self.split:
            return judge(self.split.condition, reply.values, self.split.sources)
        failed = next((value for value in reply.values if isinstance(value, Fault)), None)
        if failed:
            return Judgement(failed)
        if self.test.output is None:
            return Judgement(None)
        expected, actual = _lines(self.test.output), _lines(reply.output)
        if expected == actual and not reply.cut:
            return Judgement(None)
        shown_expected, shown_actual = shown("\n".join(expected)), shown("\n".join(actual))
        message = f"expected the output {shown_expected}, got {shown_actual}"
        return Judgement(Fault("AssertionError", message), shown_expected, shown_actual)


def plan(test: Test, problem: Problem, setup: str) -> Planned:
    """How to run a test of `problem`."""
    if test.output is not None:
        return Planned(test, None)
    roots = frozenset(name for name in (problem.entry_point, problem.alias) if name)
    return Planned(test, split(test.code, roots, f"{setup}\n{test.setup}", problem.kind == "class"))


def result_of(planned: Planned, outcome: Reply | Fault, code: str) -> TestResult:
    """The record of one test."""
    judgement = Judgement(outcome) if isinstance(outcome, Fault) else planned.judgement(outcome)
    reply = None if isinstance(outcome, Fault) else outcome
    fault = judgement.fault
    return TestResult(
        planned.test.code,
        passed=fault is None,
        error=fault.error if fault else None,
        message=_message(fault, code) if fault else "",
        expected=judgement.expected,
        actual=judgement.actual,
        output=reply.output[:_OUTPUT_SHOWN] if reply else "",
        seconds=reply.seconds if reply else None,
        exposed=planned.exposed,
    )


@lru_cache(maxsize=1024)
def imports_of(setup: str) -> tuple[str, ...]:
    """The import statements at the top level of a set-up."""
    try:
        body = parse(setup).body
    except SyntaxError:
        return ()
    return tuple(ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom)))


@dataclass(slots=True)
class UnderTest:
    """One solution on its way through its tests."""

    code: str
    problem: Problem
    setup: str
    tests: tuple[Test, ...]
    sandbox: Sandbox
    limits: Limits
    executions: list[Execution] = field(default_factory=list)
    outcomes: dict[int, Reply | Fault] = field(default_factory=dict)
    compiles: bool = True
    failures: int = 0
    """Tests that hung or ended their process."""
    planned: list[Planned] = field(init=False)
    waiting: list[Query] = field(init=False)
    """What is still to be asked of a process that several tests share."""

    def __post_init__(self) -> None:
        self.planned = [plan(test, self.problem, self.setup) for test in self.tests]
        self.waiting = [test.query(index) for index, test in enumerate(self.planned) if not test.exposed]

    def evaluate(self) -> Evaluation:
        """Runs what has not been run, and puts the records together."""
        if not self.tests:
            return Evaluation((), True)
        self.run()
        for index, test in enumerate(self.planned):
            if test.exposed:
                self.waiting, self.failures = [test.query(index)], 0
                self.run()
        used = [execution.cpu_seconds for execution in self.executions]
        return Evaluation(
            tuple(result_of(test, self.outcomes[index], self.code) for index, test in enumerate(self.planned)),
            syntax_valid=self.compiles,
            runs=len(self.executions),
            cpu_seconds=None if None in used else sum(seconds for seconds in used if seconds is not None),
            sandbox=self.executions[0].sandbox if self.executions else self.sandbox.name,
        )

    def run(self) -> None:
        """Runs what is waiting, in a fresh process after each test that ends or hangs its process."""
        while self.waiting:
            if self.failures > _MAX_RESTARTS:
                fault = Fault("NotRun", f"not run: {self.failures} tests before it hung or ended their process")
                self.settle(fault)
                return
            run = run_jobs([[self.solution(self.waiting)]], self.sandbox, self.limits)
            self.executions.append(run.execution)
            self.take(run, 0)

    def solution(self, queries: Sequence[Query]) -> Solution:
        """The code with some of its tests, as a job for the driver."""
        names = self.problem.entry_point, self.problem.alias
        return Solution(self.code, tuple(queries), imports_of(self.setup), self.setup, *names)

    def take(self, run: Run, number: int) -> None:
        """Takes in what came out of a sandbox whose job `number` was this solution's."""
        if number and number not in run.loads:
            return  # The process did not get there.
        failed = run.loads.get(number, death(run.execution, self.limits))
        if failed:
            self.compiles = self.compiles and not (failed.error == "SyntaxError" and failed.line is not None)
            self.settle(failed)
            return
        replies = {index: reply for (place, index), reply in run.replies.items() if place == number}
        self.outcomes.update((query.index, replies[query.index]) for query in self.waiting if query.index in replies)
        self.waiting = [query for query in self.waiting if query.index not in replies]
        hung = any(
            isinstance(value, Fault) and value.error == "Timeout" for a in replies.values() for value in a.values
        )
        if self.waiting and (number not in run.ended or not (number or replies)):
            self.outcomes[self.waiting.pop(0).index] = death(run.execution, self.limits)
            self.failures += 1
        else:
            self.failures += hung

    def settle(self, fault: Fault) -> None:
        """Everything that is waiting comes to `fault`."""
        self.outcomes.update((query.index, fault) for query in self.waiting)
        self.waiting = []


def _all_failed(tests: Sequence[Test], fault: Fault, syntax_valid: bool | None, code: str = "") -> Evaluation:
    return Evaluation(tuple(result_of(Planned(test, None), fault, code) for test in tests), syntax_valid)


def _message(fault: Fault, code: str) -> str:
    """The failure in words, with the line of the solution that it came from."""
    message = shown(fault.message, _MESSAGE_CHARS)[1:-1] if len(fault.message) > _MESSAGE_CHARS else fault.message
    lines = code.split("\n")
    if fault.line is None or not 0 < fault.line <= len(lines):
        return message
    place = f"line {fault.line}: {lines[fault.line - 1].strip()[:120]}"
    return f"{message} ({place})" if message else place


def _lines(text: str) -> list[str]:
    """A program's output as it is compared: white space at the ends of lines, and empty lines at the end, apart."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
