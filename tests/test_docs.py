"""The documentation: what is generated is up to date, every link leads somewhere, and the examples run."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from smallenough.cli.main import cli
from smallenough.cli.reference import reference

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")})
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def test_the_command_reference_is_what_help_says() -> None:
    said = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert said == reference(), "make it anew: python -m smallenough.cli.reference > docs/commands.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def commands(page: Path) -> list[str]:
    """The command lines of smallenough in a page's shell examples."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    told = [re.sub(r"\s#.*", "", line.removeprefix("$ ").strip()) for line in lines]
    return [line for line in told if line.startswith("smallenough ")]


@pytest.mark.parametrize(
    ("page", "line"),
    [
        pytest.param(page, line, id=f"{page.relative_to(ROOT)}: {line[:60]}")
        for page in PAGES
        for line in dict.fromkeys(commands(page))
    ],
)
def test_every_command_in_the_docs_is_one(page: Path, line: str) -> None:
    """Its options are parsed, with `--help` at the end, so that nothing is done."""
    arguments = shlex.split(line.split(" | ")[0].split(" > ")[0].split(" && ")[0])[1:]
    if "…" in line:
        pytest.skip("an example with a gap")
    done = CliRunner().invoke(cli, [*arguments, "--help"], env={**os.environ}, prog_name="smallenough")
    assert done.exit_code == 0, done.output
    for word in arguments:
        if word.startswith("--"):
            assert word.partition("=")[0] in done.output, f"{word} is no option of it"
