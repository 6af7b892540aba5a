"""The files beside the code agree with each other."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def names(requirements: list[str]) -> set[str]:
    """The packages' normalized names, without their ranges, extras and markers."""
    found = {re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0] for requirement in requirements}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found} - {"smallenough"}


def test_requirements_name_what_the_package_and_its_extras_need() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = names([line for line in lines if line and not line.startswith(("#", "-e"))])
    table = project()
    extras = {name: needs for name, needs in table["optional-dependencies"].items() if name not in ("dev", "contracts")}
    assert {"dagshub", "hf", "train"} <= extras.keys()
    assert listed == names(table["dependencies"]).union(*map(names, extras.values()))


def test_the_tests_need_no_heavy_engine() -> None:
    needed = names(project()["optional-dependencies"]["dev"])
    assert not needed & {"torch", "transformers", "bitsandbytes"}


def test_every_variable_in_the_example_is_explained_and_off() -> None:
    """Copying the example to `.env` changes nothing until a line is uncommented."""
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line]
    variables = [place for place, line in enumerate(lines) if re.fullmatch(r"#[A-Z_]+=.*", line)]
    assert len(variables) > 5
    assert all(line.startswith("#") for line in lines)
    assert all(lines[place - 1].startswith("# ") for place in variables)
