"""`smallenough export`."""

from __future__ import annotations

from pathlib import Path

import click

from smallenough.cli.common import json_option, open_store, print_json, store_options


@click.command("export", short_help="Make an Ollama model of a LoRA adapter.")
@click.argument("adapter", metavar="FOLDER")
@click.option("--to", required=True, metavar="ollama:NAME", help="What it shall be called.")
@click.option("--url", metavar="URL", help="The Ollama server.  [default: OLLAMA_HOST, else localhost:11434]")
@click.option("--base", metavar="NAME", help="The base model as that server calls it.  [default: as the adapter does]")
@click.option(
    "--suite",
    metavar="NAME",
    help="Whose first tasks are asked in both places.  [default: the one it learned, or basics]",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="The share of answers that may differ.",
)
@click.option("--replace", is_flag=True, help="Replace a model of that name.")
@json_option
@store_options
def command(
    *,
    adapter: str,
    to: str,
    url: str | None,
    base: str | None,
    suite: str | None,
    tolerance: float,
    replace: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Make an Ollama model of the LoRA adapter in FOLDER, and see that it answers as in the embedded engine.

    The server has to have the adapter's base model, whose template and parameters stay (but for Ollama's penalty on
    repetitions). The same prompts are answered
    by the embedded engine and by the new model, at temperature 0; where more than the tolerance of the answers differ,
    it is removed again. Else config/models.yaml names it, with the prompts and the sampling that the adapter has here.

    \b
      smallenough export adapters/icd10 --to ollama:icd10
      smallenough run --model huggingface:adapters/icd10 --model icd10 --suite icd10
    """
    from smallenough.errors import InputError
    from smallenough.models.adapters import named
    from smallenough.sessions.export import Wanted, export
    from smallenough.sessions.suites import open_suite

    provider, _, name = to.partition(":")
    if provider != "ollama" or not name:
        raise InputError(f"--to {to}: name an Ollama model, as in --to ollama:NAME")
    known = named(adapter)
    learned = known.manifest.suite if known else None
    tasks = open_suite(suite or learned or "basics", open_store(store, tracking_uri))
    wanted = Wanted(adapter, name, url, base, tolerance, replace)
    found = export(wanted, tasks, lambda text: click.echo(text, err=True))
    if as_json:
        print_json(found)
    else:
        click.echo(
            f"{found.name} on {found.url}: {found.same} of {found.prompts} answers as in the embedded engine;"
            f" named in {found.catalogue}"
        )
    return 0
