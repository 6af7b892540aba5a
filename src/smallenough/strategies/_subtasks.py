"""Splitting a task: the model names helper functions, writes each, then writes the solution that calls them.

A *split* asks for the first lines of two or three helpers, *parts* ask for one helper each, *combine* shows those that
came out well and asks for the solution. What it calls of them is put before it, and the whole is proposed. At most
`MOST_ASKS` inferences. Where a split names no usable helper, no helper comes out, or no solution, that is the end; but
a split that solves the task instead, as small models do, is proposed as it is.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from smallenough.extraction import extract_code
from smallenough.prompts import Prompts
from smallenough.records import Action, Ask, Problem, Propose, Sampling, Step
from smallenough.syntax import defined_names, free_names, parse

MOST_PARTS = 3
MOST_ASKS = MOST_PARTS + 2

_NAMED = re.compile(
    r"(?:^|[\s`*(])(?:def[ \t]+)?(?P<name>[A-Za-z_]\w{0,60})[ \t]*"
    r"\((?P<parameters>[^()\n]{0,200})\)(?P<rest>[^\n]{0,400})"
)
_LINE = re.compile(r"[ \t]*(?:def[ \t]|async[ \t]+def[ \t]|(?:[-*+]|\d{1,2}[.):])[ \t]+|[`*])")
"""How a line begins that names a helper: as code, as an item of a list, or marked."""
_QUOTED = re.compile(r"[ \t]*(?:\"\"\"|'''|#)[ \t]*(?P<text>[^\n]{1,400})")


@dataclass(frozen=True, slots=True)
class Part:
    """A helper that a split names."""

    name: str
    parameters: str
    """As they stand between the parentheses."""
    purpose: str
    """What it returns, in a line."""


def next_actions(problem: Problem, prompts: Prompts, steps: Sequence[Step], parent: int, seed: int) -> list[Action]:
    """What to do next to solve `problem` in parts; nothing: it is done, or can't be.

    Args:
        problem: the task.
        prompts: has the templates `split`, `part` and `combine`.
        steps: the steps since the split, itself included; none: it is to be asked for.
        parent: index of the step that the split continues.
        seed: the split's; each further inference takes the next.
    """
    if not steps:
        messages = prompts.first(problem, "split")
        return [Ask(messages, None, Sampling(seed=seed), parent, "subtask", check=False, note="split")]
    split, *later = steps
    parts = parse_parts(split.response, {name for name in (problem.entry_point, problem.alias) if name})
    if not later and not parts and (solution := _whole(split.response, problem.entry_point)):
        return [Propose(solution, (split.index,), note="whole")]
    if not later:
        return [
            Ask(
                prompts.first(problem, "part", part=part),
                None,
                Sampling(seed=seed + number),
                split.index,
                "subtask",
                check=False,
                note=f"part {part.name}",
            )
            for number, part in enumerate(parts, 1)
        ]
    helpers = {
        part.name: code for part, step in zip(parts, later, strict=False) if (code := _whole(step.response, part.name))
    }
    if not helpers:
        return []
    if len(later) == len(parts):
        messages = prompts.first(problem, "combine", parts="\n\n".join(helpers.values()))
        sampling = Sampling(seed=seed + 1 + len(parts))
        return [Ask(messages, None, sampling, split.index, "combine", check=False, note="combine")]
    combined, *proposed = later[len(parts) :]
    code = extract_code(combined.response, problem.entry_point, problem.prompt)
    if proposed or code is None:
        return []
    sources = (combined.index, *(step.index for step in later[: len(parts)]))
    return [Propose(assembled(code, helpers), sources, note="whole")]


def parse_parts(text: str, taken: Collection[str] = ()) -> tuple[Part, ...]:
    """The helpers that a split names, at most `MOST_PARTS`, each name once.

    A helper is a call with parameters on a line that begins like code, like an item of a list, or is marked as code;
    its purpose is what follows on the line, or a documentation or comment on the next.

    Args:
        text: what a model answered.
        taken: names that are no helper's.
    """
    lines = text.split("\n")
    found: dict[str, Part] = {}
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        named = _NAMED.search(line) if _LINE.match(line) else None
        if named is None or named["name"] in found or named["name"] in taken or not _is_helper(named):
            continue
        purpose = _purpose(named["rest"]) or _purpose(m["text"] if (m := _QUOTED.match(following)) else "")
        name = named["name"]
        found[name] = Part(name, named["parameters"].strip(), purpose or name.replace("_", " ").strip())
    return tuple(islice(found.values(), MOST_PARTS))


def assembled(code: str, helpers: Mapping[str, str]) -> str:
    """`code` after the helpers that it calls and does not define, and those that they call."""
    needed: list[str] = []
    waiting = [code]
    while waiting:
        missing = _missing(waiting.pop()) & helpers.keys() - set(needed)
        needed += sorted(missing)
        waiting += [helpers[name] for name in sorted(missing)]
    return "\n\n".join([*(helpers[name] for name in reversed(needed)), code])


def _missing(code: str) -> set[str]:
    try:
        tree = parse(code)
    except SyntaxError:
        return set()
    return free_names(tree) - defined_names(tree.body)


def _whole(response: str, name: str | None) -> str | None:
    """The code in a model's answer, if it parses and defines `name`."""
    code = extract_code(response, name)
    try:
        return code if code and name in defined_names(parse(code).body) else None
    except SyntaxError:
        return None


def _is_helper(named: re.Match[str]) -> bool:
    name = named["name"]
    if keyword.iskeyword(name) or hasattr(builtins, name):
        return False
    try:
        parse(f"def {name}({named['parameters']}): pass")
    except SyntaxError:
        return False
    return True


def _purpose(text: str) -> str:
    """What stands behind a helper's parentheses, without the marks around it."""
    text = re.sub(r"^[ \t]*->[^:#]{0,80}:", "", text)
    return text.strip(" \t`*:#-–—.\"'")
