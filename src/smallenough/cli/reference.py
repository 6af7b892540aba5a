"""The command reference, made of every command's `--help`: `python -m smallenough.cli.reference > docs/commands.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from smallenough.cli.main import cli

_WIDTH = 100


def reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        [
            "# Commands",
            "",
            "What `--help` says, made by `python -m smallenough.cli.reference`.",
            "",
            *(line for path, text in _helps(cli, "smallenough") for line in _section(path, text)),
        ]
    )


def _section(path: str, text: str) -> Iterator[str]:
    yield from (f"{'#' * (path.count(' ') + 2)} `{path}`", "", "```text", text, "```", "")


def _helps(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """The help of a command, and of those below it."""
    name = path.rpartition(" ")[2]
    width = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(command, parent, name, **{**command.context_settings, **width})
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _helps(found, f"{path} {below}", context)


if __name__ == "__main__":
    sys.stdout.write(reference())
