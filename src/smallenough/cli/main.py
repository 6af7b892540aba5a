"""`smallenough`, and `python run_experiments.py`, which is the same.

Exit codes: 0 done; 2 what was asked for is wrong; 3 something around the models failed (a server, the sandbox, the
tracking store, the disk); 130 interrupted, and everything until then is saved; 1 a fault of smallenough itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import smallenough
from smallenough.errors import InputError, SmallenoughError, UnknownName
from smallenough.machine import path_fault

_COMMANDS = {
    "run": "Run models on tasks, and compare them (the default: `smallenough --model NAME` will do).",
    "resume": "Go on with a session that was interrupted.",
    "sessions": "List sessions, the newest first.",
    "compare": "Compare the arms of sessions.",
    "report": "Write a report of sessions: one file for a browser, Markdown or JSON.",
    "plan": "Tell how many tasks and repeats an answer needs, and what they take.",
    "score": "Score saved completions again, without a model.",
    "search": "Search for a model's best options within a limit on cost, then compare them.",
    "train": "Fine-tune small models on a suite's references (LoRA).",
    "study": "Large models as they are against small ones that are fine-tuned.",
    "export": "Make an Ollama model of a LoRA adapter.",
    "flush": "Write to MLflow what a session could not write while it ran.",
    "tasks": "List, show, import and export tasks.",
    "config": "Show what is in force and where it came from; check an experiment file.",
    "init": "Write commented files of settings to start from.",
    "models": "List models: what is there, what is missing, how to get it.",
    "doctor": "Check every part, and say how to mend what is broken.",
    "ui": "Open MLflow's UI on the right store.",
}


class _Commands(click.Group):
    """Loads a command when it is asked for; what names no command is for `run`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"smallenough.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = next(iter(args), "")
        if first and not first.startswith("-") and first not in _COMMANDS:
            raise UnknownName("command", first, _COMMANDS)
        if first not in (*_COMMANDS, "--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output has gone, as `head` does; click would call that a failure
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(smallenough.__version__, prog_name="smallenough")
def cli() -> None:
    """Find the smallest language model that is good enough, with the evidence in MLflow.

    Runs models on tasks under the same conditions, runs what they write in a sandbox, measures what they get right
    and what they cost, and tracks every step.

    \b
    A first comparison on the built-in tasks:
      smallenough --large-model mistral --small-model smollm2 --quick-test
    Look at it:
      smallenough compare
      smallenough ui

    Exit codes: 0 done, 2 wrong input, 3 failed infrastructure, 130 interrupted (all is saved), 1 a fault of
    smallenough itself.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line, and ends the process with the documented exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal can't show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        _read_environment()
        with _terminating():
            code = cli.main(args=arguments, prog_name="smallenough", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except SmallenoughError as error:
        click.echo(f"smallenough: {error}", err=True)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def _terminating() -> Iterator[None]:
    """Within, a request to terminate is taken as Ctrl-C is, so that what was started is ended and cleared away."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


_PATHS = ("SMALLENOUGH_STORE", "SMALLENOUGH_PROMPTS", "SMALLENOUGH_MODELS", "SMALLENOUGH_CACHE", "SMALLENOUGH_MBPP")


def _read_environment() -> None:
    """Sets what `.env` in the working folder says, and the environment does not.

    Raises:
        InputError: that file can't be read, or a variable names no possible path.
    """
    if Path(".env").is_file():
        from dotenv import load_dotenv

        try:
            load_dotenv(".env")
        except UnicodeDecodeError as error:
            raise InputError(".env: is not UTF-8; save it as that") from error
        except (OSError, ValueError) as error:
            raise InputError(f".env: can't be read: {error}") from error
    for name in _PATHS:
        if fault := path_fault(os.environ.get(name, "")):
            raise InputError(f"{name}: {fault}; name another path")
