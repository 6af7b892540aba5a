"""`smallenough models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import json_option, print_json
from smallenough.cli.tables import print_table
from smallenough.wording import NOTHING, size

if TYPE_CHECKING:
    from rich.progress import Progress

    from smallenough.models.catalogue import CatalogueEntry
    from smallenough.sessions.embedded import EngineState
    from smallenough.sessions.servers import ServerState


@click.command("models", short_help="List models: what is there, what is missing, how to get it.")
@click.option(
    "--url", multiple=True, metavar="URL", help="An Ollama server. Repeatable.  [default: OLLAMA_HOST, else localhost]"
)
@click.option(
    "--pull",
    multiple=True,
    metavar="NAME",
    help="Have the server fetch this model first; with `huggingface:` before it, the embedded engine. Repeatable.",
)
@json_option
def command(url: tuple[str, ...], pull: tuple[str, ...], *, as_json: bool) -> int:
    """List the models that the Ollama server has, those of the catalogue that it lacks, and the embedded engine's.

    The catalogue says how a model that people use is sampled and which prompts it gets; every other model that the
    server has can be used as well. The embedded engine needs no server; its models are named with `huggingface:`
    before them, and can also be a folder (of a model, or of a LoRA adapter as peft saves it), a GGUF file or OWNER/NAME
    on the Hugging Face hub. With `@4bit` after its name, a model is held in 4 bits (bitsandbytes, on a CUDA GPU).

    \b
      smallenough models
      smallenough models --pull smollm2:135m --pull mistral
      smallenough models --pull huggingface:smollm2:135m
      smallenough models --url http://gpu-server:11434 --json
    """
    from smallenough.errors import ModelUnavailable
    from smallenough.sessions.embedded import PROVIDER, engine_state
    from smallenough.sessions.servers import missing, server_states

    embedded = [name.removeprefix(f"{PROVIDER}:") for name in pull if name.startswith(f"{PROVIDER}:")]
    served = [name for name in pull if not name.startswith(f"{PROVIDER}:")]
    _pull_embedded(embedded, quiet=as_json)
    # Whoever pulls for the engine alone needs no server.
    states = [] if embedded and not served and not url else server_states(url)
    if served:
        _pull([state for state in states if not state.error], served, quiet=as_json)
        states = server_states(url)
    lacking, engine = missing(states), engine_state()
    if as_json:
        lists = {"servers": [_values(state) for state in states], "missing": [_suggested(one) for one in lacking]}
        print_json({**lists, "embedded": _engine_values(engine)})
    else:
        for state in states:
            _show(state)
        _show_missing(lacking, url)
        if states:
            click.echo()
        _show_engine(engine)
    faults = [state.error for state in states if state.error]
    if faults and (url or served or not engine.usable):
        raise ModelUnavailable("\n".join(faults))
    return 0


def _pull_embedded(names: Sequence[str], *, quiet: bool) -> None:
    from smallenough.sessions.embedded import PROVIDER, pull

    with _progress(quiet) as progress:
        for name in names:
            bar = progress.add_task(name, total=None)
            last = ""

            def told(status: str, done: int | None, total: int | None, bar: Any = bar, name: str = name) -> None:
                nonlocal last
                if status != last and not progress.console.is_terminal:
                    progress.console.print(f"{name}: {status}", highlight=False, markup=False)
                last = status
                progress.update(bar, description=f"{name}: {status}", completed=done or 0, total=total)

            pull(name, told)
            progress.update(bar, visible=False)
            progress.console.print(f"{PROVIDER}:{name} is ready", highlight=False, markup=False)


def _progress(quiet: bool) -> Progress:
    """Bars on a terminal; elsewhere only what is printed through its console."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(file=sys.stderr, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal)


def _pull(states: Sequence[ServerState], names: Sequence[str], *, quiet: bool) -> None:
    from smallenough.sessions.servers import pull

    with _progress(quiet) as progress:
        for state in states:
            for name in names:
                bar = progress.add_task(name, total=None)

                def told(status: str, done: int | None, total: int | None, bar: Any = bar, name: str = name) -> None:
                    progress.update(bar, description=f"{name}: {status}", completed=done or 0, total=total)

                pull(state.url, name, told)
                progress.update(bar, description=f"{name}: done", completed=1, total=1, visible=False)
                progress.console.print(f"{state.url} has {name} now", highlight=False, markup=False)


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
            size(one.info.size_bytes),
            one.info.quantization or NOTHING,
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
        (entry.name, entry.size or NOTHING, entry.size_class, f"smallenough models{where} --pull {entry.name}")
        for entry in lacking
    ]
    print_table(("model", "parameters", "class", "get it with"), rows, right=("parameters",))


def _show_engine(engine: EngineState) -> None:
    missing = [name for name, version in engine.versions.items() if version is None]
    told = ", ".join(f"{name} {version}" for name, version in engine.versions.items() if version)
    click.echo(
        f"embedded engine, {told}"
        if not missing
        else f"embedded engine: {', '.join(missing)} not installed; run: pip install 'smallenough[hf]'"
    )
    rows = [
        (
            model.name,
            model.entry.size or NOTHING,
            size(model.entry.weights.download if model.entry.weights else None),
            "yes" if model.ready else f"smallenough models --pull {model.name}",
        )
        for model in engine.models
    ]
    print_table(("model", "parameters", "download", "ready"), rows, right=("parameters", "download"))


def _engine_values(engine: EngineState) -> dict[str, Any]:
    return {
        "installed": engine.installed,
        "versions": dict(engine.versions),
        "models": [
            {
                "name": model.name,
                "ready": model.ready,
                **model.entry.model_dump(include={"size", "description", "size_class"}),
                "download_bytes": weights.download,
                "disk_bytes": weights.converted,
                "licence": weights.licence,
                "get": f"smallenough models --pull {model.name}",
            }
            for model in engine.models
            if (weights := model.entry.weights)
        ],
    }


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
        return NOTHING
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"
