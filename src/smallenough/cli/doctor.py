"""`smallenough doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smallenough.cli.common import json_option, print_json, store_options

if TYPE_CHECKING:
    from smallenough.sessions.doctor import Finding

_COLORS = {"ok": "green", "missing": "yellow", "broken": "red"}


@click.command("doctor", short_help="Check every part, and say how to mend what is broken.")
@click.option("--url", multiple=True, metavar="URL", help="An Ollama server.  [default: OLLAMA_HOST, else localhost]")
@json_option
@store_options
def command(url: tuple[str, ...], *, as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """Check every part, and say how to mend what is broken.

    Each part is ok, missing or broken. Those marked with * are needed for a first run on the built-in tasks: the
    exit code is 0 if all of them are ok, else 3. Nothing is created or changed.

    \b
      smallenough doctor
      smallenough doctor --url http://gpu-server:11434
      smallenough doctor --json | jq '.findings[] | select(.state != "ok")'
    """
    from smallenough.sessions.doctor import Patient, examine, ready

    findings = []
    for finding in examine(Patient(store, tracking_uri or None, url)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    well = ready(findings)
    if as_json:
        print_json({"ready": well, "findings": findings})
    elif well:
        click.echo("\neverything that a first run needs is there: smallenough --quick-test --model NAME")
    else:
        ill = dict.fromkeys(one.part for one in findings if one.needed and one.state != "ok")
        click.echo(f"\na first run still needs: {', '.join(ill)}")
    return 0 if well else 3


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:8}", fg=_COLORS[finding.state])
    click.echo(f"{state}{'*' if finding.needed else ' '} {finding.part}: {finding.detail}")
    if finding.mend:
        click.echo(f"          → {finding.mend}")
