"""The documentation: what is generated is up to date, every link leads somewhere, every command is one."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from smallenough.cli.main import cli
from smallenough.cli.reference import reference
from smallenough.tracking import columns
from smallenough.wording import duration, percent

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("[!.]*/README.md")})
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def test_the_page_of_the_data_frames_is_what_the_columns_say() -> None:
    said = (ROOT / "docs" / "dataframes.md").read_text("utf-8")
    assert said == columns.reference(), "make it anew: python -m smallenough.tracking.columns > docs/dataframes.md"


def test_the_command_reference_is_what_help_says() -> None:
    said = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert said == reference(), "make it anew: python -m smallenough.cli.reference > docs/commands.md"


def test_the_page_of_findings_says_what_the_results_file_holds() -> None:
    results = json.loads((ROOT / "experiments" / "studies" / "icd10_chapters.json").read_text("utf-8"))
    wanted = []
    for one in results.values():
        for arm, found in one["strategies"].items():
            how = ["likelihood" if "likelihood" in arm else "writes", *(["5 shots"] if "shots=5" in arm else [])]
            ends = [tuple(found[f"{name}{end}"] for end in ("", "_low", "_high")) for name in ("accuracy", "macro_f1")]
            told = [f"{percent(value)}% [{percent(low)}–{percent(high)}]" for value, low, high in ends]
            name = f"{one['model']}{', fine-tuned' if one['training'] == 'lora_finetuned' else ''}"
            rest = (f"{percent(found['invalid_rate'])}%", duration(found["cpu_seconds_per_task"]))
            wanted.append(f"| {' | '.join((name, ', '.join(how), *told, *rest))} |")
    page = (ROOT / "docs" / "icd10-chapters.md").read_text("utf-8").splitlines()
    assert [line for line in page if line.startswith(("| gemma3", "| smollm2"))] == wanted


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    page: str
    language: str
    text: str

    @property
    def of_a_shell(self) -> bool:
        """Whether it is typed into one."""
        return self.language in ("sh", "console")

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command, and what the page shows that it prints."""
        if not self.of_a_shell:
            return
        text = self.text.replace("\\\n", " ")
        for part in (
            re.split(r"^\$ ", text, flags=re.MULTILINE)[1:] if self.language == "console" else text.splitlines()
        ):
            line, _, printed = part.partition("\n")
            if command := re.sub(r"\s+#.*|^#.*", "", " ".join(line.split())):
                yield command, printed


def blocks(name: str) -> list[Block]:
    """The blocks of a page, in order."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", (ROOT / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(name, language, text) for _, language, text in found]


def commands(name: str) -> Iterator[str]:
    """The command lines of smallenough on a page: in its examples, in its prose, in what `--help` says."""
    found = [command for block in blocks(name) for command, _ in block.commands()]
    found += re.findall(r"`(smallenough [^`]+)`", (ROOT / name).read_text("utf-8"))
    if name == "docs/commands.md":
        found += [
            line.strip() for block in blocks(name) for line in re.findall(r"^ +(smallenough .*)", block.text, re.M)
        ]
    yield from dict.fromkeys(line for line in found if line.startswith("smallenough ") and "…" not in line)


@pytest.mark.parametrize(
    ("name", "line"), [pytest.param(name, line, id=f"{name}: {line[:60]}") for name in NAMES for line in commands(name)]
)
def test_every_command_in_the_docs_is_one(name: str, line: str) -> None:
    """Its options are parsed, with `--help` at the end, so that nothing is done."""
    arguments = shlex.split(re.split(r" [|>&]", line)[0])[1:]
    done = CliRunner().invoke(cli, [*arguments, "--help"], env={**os.environ}, prog_name="smallenough")
    assert done.exit_code == 0, done.output
    for word in arguments:
        if word.startswith("--"):
            assert word.partition("=")[0] in done.output, f"{word} is no option of it"
