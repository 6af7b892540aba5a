"""What every task source must do, whatever it reads. Subclass it and bring the fixture `source`."""

from __future__ import annotations

import ast

import pytest

from smallenough.protocols import TaskSource
from smallenough.records import Suite


class TaskSourceContract:
    """`source` brings a suite."""

    @pytest.fixture
    def source(self) -> TaskSource:
        raise NotImplementedError

    @pytest.fixture
    def suite(self, source: TaskSource) -> Suite:
        return source.load()

    def test_it_is_a_task_source(self, source: TaskSource) -> None:
        assert isinstance(source, TaskSource)

    def test_it_brings_the_same_every_time(self, source: TaskSource, suite: Suite) -> None:
        again = source.load()
        assert again == suite
        assert again.digest == suite.digest

    def test_it_says_what_it_brings(self, suite: Suite) -> None:
        assert suite.tasks
        assert suite.name
        assert suite.source
        assert suite.description

    def test_ids_differ(self, suite: Suite) -> None:
        assert len({task.id for task in suite.tasks}) == len(suite.tasks)

    def test_every_task_can_be_decided(self, suite: Suite) -> None:
        for task in suite.tasks:
            assert task.prompt, task.id
            assert task.reference if task.kind == "label" else task.hidden_tests, task.id
            assert not task.labels or task.reference in task.labels, task.id
            for test in task.public_tests + task.hidden_tests:
                ast.parse(test.setup)
                assert ast.parse(test.code).body, task.id
