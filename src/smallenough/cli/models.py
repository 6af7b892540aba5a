"""`smallenough models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import json_option, print_json
from smallenough.cli.tables import print_table

if TYPE_CHECKING:
    from smallenough.models.catalogue import CatalogueEntry
    from smallenough.sessions.servers import ServerState


@click.command("models", short_help="List models: what is there, what is missing, how to get it.")
@click.option(
    "--url", multiple=True, metavar="URL", help="An Ollama server. Repeatable.  [default: OLLAMA_HOST, else localhost]"
)
@click.option("--pull", multiple=True, metavar="NAME", help="Have the server fetch this model first. Repeatable.")
@json_option
def command(url: tuple[str, ...], pull: tuple[str, ...], *, as_json: bool) -> int:
    """List the models that the Ollama server has, and those of the catalogue that it lacks.

    The catalogue says how a model that people use is sampled and which prompts it gets; every other model that the
    server has can be used as well.

    \b
      smallenough models
      smallenough models --pull smollm2:135m --pull mistral
      smallenough models --url http://gpu-server:11434 --json
    """
    from smallenough.errors import ModelUnavailable
    from smallenough.sessions.servers import missing, server_states

    states = server_states(url)
    if pull:
        _pull([state for state in states if not state.error], pull, quiet=as_json)
        states = server_states(url)
    lacking = missing(states)
    if as_json:
        print_json({"servers": [_values(state) for state in states], "missing": [_suggested(one) for one in lacking]})
    else:
        for state in states:
            _show(state)
        _show_missing(lacking, url)
    faults = [state.error for state in states if state.error]
    if faults:
        raise ModelUnavailable("\n".join(faults))
    return 0


def _pull(states: Sequence[ServerState], names: Sequence[str], *, quiet: bool) -> None:
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from smallenough.sessions.servers import pull

    console = Console(file=sys.stderr, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        for state in states:
            for name in names:
                bar = progress.add_task(name, total=None)

                def told(status: str, done: int | None, total: int | None, bar: Any = bar, name: str = name) -> None:
                    progress.update(bar, description=f"{name}: {status}", completed=done or 0, total=total)

                pull(state.url, name, told)
                progress.update(bar, description=f"{name}: done", completed=1, total=1, visible=False)
                console.print(f"{state.url} has {name} now", highlight=False, markup=False)


def _show(state: ServerState) -> None:
    if state.error:
        click.echo(f"{state.url}: no answer")
        return
    click.echo(f"{state.url}, Ollama {state.version}" + ("" if state.models else ": no models"))
    if not state.models:
        return
    rows = [
        (
            one.info.name,
            _count(one.info.parameters),
            _size(one.info.size_bytes),
            one.info.quantization or "-",
            "yes" if one.loaded else "",
        )
        for one in state.models
    ]
    print_table(("model", "parameters", "size", "quantization", "loaded"), rows, right=("parameters", "size"))


def _show_missing(lacking: Sequence[CatalogueEntry], urls: Sequence[str]) -> None:
    if not lacking:
        return
    click.echo("\nin the catalogue, and not there:")
    where = "".join(f" --url {url}" for url in urls)
    rows = [
        (entry.name, entry.parameters or "-", entry.size_class, f"smallenough models{where} --pull {entry.name}")
        for entry in lacking
    ]
    print_table(("model", "parameters", "class", "get it with"), rows, right=("parameters",))


def _values(state: ServerState) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "url": state.url,
        "version": state.version,
        "models": [{**asdict(one.info), "loaded": one.loaded} for one in state.models],
        "error": state.error or None,
    }


def _suggested(entry: CatalogueEntry) -> dict[str, Any]:
    values: dict[str, Any] = entry.model_dump()
    return {**values, "get": f"smallenough models --pull {entry.name}"}


def _count(parameters: int | None) -> str:
    """A number of weights as people say it: `135M`, `7.2B`."""
    if parameters is None:
        return "-"
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _size(size: int | None) -> str:
    if size is None:
        return "-"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
