"""From a model's answer to the solution in it, by parsing.

What may be there: fenced blocks of any kind, several of them, code without fences between prose, a transcript of the
interactive interpreter, code cut off at the limit of tokens, or only the body that continues a signature in the
prompt. Text alone never decides: a piece is the solution because its syntax tree defines the entry point. Usage
examples, tests and calls of `input` are left out where nothing that stays depends on them; the rest is kept to the
letter. Takes time linear in the answer's length. Limit: of two versions of a solution, the last complete one counts.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from dataclasses import dataclass
from itertools import takewhile

from smallenough.syntax import MAX_CHARS, defined_names, free_names, parse
from smallenough.trimming import trimmed

_MAX_BLOCKS = 40
"""Of more blocks than this, the last ones are looked at."""
_MAX_CUTS = 12
"""How often a broken text is cut back and parsed again."""

_FENCE = re.compile(r"(?P<lead>[ \t]*(?:(?:[-*>]|\d{1,3}[.)])[ \t]+)?)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
_FENCE_AFTER_PROSE = re.compile(r"\S[^`\n]{0,200}(?P<mark>```)[ \t]*(?P<info>python3?|py)[ \t]*$", re.IGNORECASE)
_PYTHON = frozenset({"", "python", "python3", "py", "py3", "pycon", "ipython", "ipython3", "python-repl"})
_STARTS = re.compile(
    r"(?:async[ \t]+def|def|class)[ \t]+\w|import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|@\w"
    r"|[A-Za-z_]\w{0,60}[ \t]*(?::[^=\n]{1,80})?=(?!=)"
)
_DEFINES = re.compile(r"(?:async[ \t]+def|def|class|import|from|@)")
_GOES_ON = re.compile(r"[)\]}]|(?:else|elif|except|finally|case)\b")
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A candidate: its text, and its tree where it parses."""

    text: str
    tree: ast.Module | None
    closed: bool = True

    def defines(self, name: str | None) -> bool:
        """Whether it parses and defines `name` (None: any function or class)."""
        if self.tree is None:
            return False
        if name is not None:
            return name in defined_names(self.tree.body)
        return any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in self.tree.body)


def extract_code(response: str, entry_point: str | None = None, prompt: str = "") -> str | None:
    """The solution in a model's answer.

    Args:
        response: the answer, reasoning removed.
        entry_point: the name that the solution must define; None: any code will do.
        prompt: what was asked. Where it is Python that begins the entry point, the answer may be the continuation.

    Returns:
        The code. Code that does not parse comes back as it is where it is clearly the answer (fenced, or begun with
        the entry point's definition), so that its syntax error can be told. None: there is no code.
    """
    lines = _outside_reasoning(response[:MAX_CHARS].replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    signature = (
        prompt if entry_point and re.search(rf"^(async )?(def|class) {re.escape(entry_point)}\b", prompt, re.M) else ""
    )
    fenced, foreign, prose = _blocks(lines)
    given = _given(signature, entry_point)
    found = (
        _defining(fenced, entry_point, given)
        or _continuing(fenced, entry_point, signature)
        or _defining(_loose(prose, entry_point), entry_point, given)
        or _defining(foreign, entry_point, given)
    )
    if found is None and not fenced:
        found = _continuing([_piece("\n".join(prose))], entry_point, signature)
    return found or _broken(fenced, prose, entry_point)


# ------------------------------------------------------------------------------------------ choosing a piece


def _defining(pieces: list[_Piece], entry_point: str | None, given: list[_Piece]) -> str | None:
    """The last whole piece that defines the entry point, else the last that does when it is cut back."""
    chosen = next((piece for piece in reversed(pieces) if piece.closed and piece.defines(entry_point)), None)
    if chosen is None:
        cut = (piece if piece.tree else _prefix(piece.text) for piece in reversed(pieces))
        chosen = next((piece for piece in cut if piece and piece.defines(entry_point)), None)
    if chosen is None and entry_point is None:
        chosen = next((piece for piece in reversed(pieces) if piece.tree and piece.tree.body), None)
    if chosen is None or chosen.tree is None:
        return None
    others = [piece for piece in pieces if piece is not chosen and entry_point and not piece.defines(entry_point)]
    joined = _joined(chosen, given + others)
    return trimmed(joined.text, joined.tree or chosen.tree, entry_point)


def _joined(chosen: _Piece, others: list[_Piece]) -> _Piece:
    """`chosen` after those of the others that define a name it needs."""
    helpers: list[_Piece] = []
    while True:
        trees = [piece.tree for piece in [*helpers, chosen] if piece.tree]
        have = set().union(*(defined_names(tree.body) for tree in trees))
        needed = set().union(*(free_names(tree) for tree in trees)) - have - _BUILTINS
        more = [
            piece for piece in others if piece not in helpers and piece.tree and defined_names(piece.tree.body) & needed
        ]
        if not more:
            break
        helpers = [piece for piece in others if piece in helpers or piece in more]
    if not helpers:
        return chosen
    joined = _piece("\n\n".join(piece.text.strip("\n") for piece in [*helpers, chosen]))
    return joined if joined.tree else chosen


def _given(signature: str, entry_point: str | None) -> list[_Piece]:
    """The statements of the prompt around the entry point: imports and helpers that the solution may use."""
    whole = _piece(signature)
    if whole.tree is None:
        return []
    lines = signature.split("\n")
    around = [node for node in whole.tree.body if getattr(node, "name", None) != entry_point]
    return [_piece("\n".join(lines[node.lineno - 1 : node.end_lineno])) for node in around]


def _continuing(pieces: list[_Piece], entry_point: str | None, signature: str) -> str | None:
    """The prompt's signature with the first piece that can be its body."""
    if not signature or not entry_point:
        return None
    head = signature.rstrip() + "\n"
    last = head.rstrip("\n").rsplit("\n", 1)[-1]
    indent = last[: len(last) - len(last.lstrip())] or "    "
    begun = _piece(signature).tree
    given = len(_body(begun, entry_point)) if begun else 0
    for piece in reversed(pieces):
        body = piece.text.strip("\n")
        flush = textwrap.indent(textwrap.dedent(body), indent)
        stripped = indent + body.lstrip()
        for candidate in dict.fromkeys([body, flush, stripped]):
            whole = _prefix(head + candidate)
            if whole and whole.tree and any(map(_does_something, _body(whole.tree, entry_point)[given:])):
                return trimmed(whole.text, whole.tree, entry_point)
    return None


def _body(tree: ast.Module, entry_point: str) -> list[ast.stmt]:
    """The statements in the entry point's definition."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return next((node.body for node in tree.body if isinstance(node, definitions) and node.name == entry_point), [])


def _does_something(statement: ast.stmt) -> bool:
    """Whether it is more than documentation, or a word that happens to parse."""
    return not isinstance(statement, ast.Expr) or isinstance(statement.value, (ast.Yield, ast.YieldFrom))


def _broken(fenced: list[_Piece], prose: list[str], entry_point: str | None) -> str | None:
    """Code that does not do, but is clearly the answer: its fault is what the model has to hear of."""
    if entry_point is not None:
        start = re.compile(rf"[ \t]*(?:async[ \t]+def|def|class)[ \t]+{re.escape(entry_point)}\b")
        for piece in reversed(fenced):
            if any(map(start.match, piece.text.split("\n"))):
                return piece.text.strip("\n")
        for number, line in enumerate(prose):
            if start.match(line):
                return textwrap.dedent("\n".join(prose[number:])).strip("\n")
    with_definition = next((piece for piece in reversed(fenced) if piece.defines(None)), None)
    chosen = with_definition or next((piece for piece in reversed(fenced) if piece.text.strip()), None)
    return chosen.text.strip("\n") if chosen else None


# ---------------------------------------------------------------------------------------- finding the pieces


def _outside_reasoning(lines: list[str]) -> list[str]:
    """The lines without `<think>` passages; one that never ends takes the rest with it."""
    kept: list[str] = []
    fence: str | None = None
    thinking = False
    for line in lines:
        if thinking:
            if "</think>" in line:
                thinking = False
                kept.append(line.partition("</think>")[2])
            continue
        match = _FENCE.match(line)
        if match and fence is None:
            fence = match["mark"]
        elif match and match["mark"].startswith(fence or "") and not match["info"].strip():
            fence = None
        if fence is None and line.lstrip().startswith("<think>"):
            before, _, after = line.partition("<think>")
            thinking = "</think>" not in after
            kept.append(before if thinking else after.partition("</think>")[2])
        else:
            kept.append(line)
    return kept


def _blocks(lines: list[str]) -> tuple[list[_Piece], list[_Piece], list[str]]:
    """The fenced blocks that may be Python, those of other languages, and the lines outside of all fences."""
    python: list[_Piece] = []
    foreign: list[_Piece] = []
    prose: list[str] = []
    block: list[str] = []
    opened: re.Match[str] | None = None

    def close(closed: bool) -> None:
        if opened is not None and any(line.strip() for line in block):
            language = opened["info"].strip().strip("{.}").partition(" ")[0].partition(":")[0].lower()
            lead = len(opened["lead"]) if "lead" in opened.re.groupindex else 0
            text = "\n".join(line[min(lead, len(line) - len(line.lstrip())) :] for line in block)
            (python if language in _PYTHON else foreign).append(_piece(text, closed))

    for line in lines:
        fence = _FENCE.match(line)
        if opened is None:
            opened, block = fence or _FENCE_AFTER_PROSE.match(line), []
            if opened is None:
                prose.append(line)
        elif fence and fence["mark"].startswith(opened["mark"]) and not fence["info"].strip():
            close(closed=True)
            opened = None
        elif fence and fence["mark"] == opened["mark"] and fence["info"].strip().lower() in _PYTHON:
            close(closed=False)
            opened, block = fence, []
        elif line.endswith("```") and opened["mark"] == "```" and line.count("```") == 1:
            block.append(line[:-3].rstrip())
            close(closed=True)
            opened = None
        else:
            block.append(line)
    close(closed=False)
    return python[-_MAX_BLOCKS:], foreign[-_MAX_BLOCKS:], prose


def _loose(prose: list[str], entry_point: str | None) -> list[_Piece]:
    """The code that stands in prose without fences."""
    text = "\n".join(prose)
    whole = _piece(text)
    if whole.tree and (whole.defines(entry_point) if entry_point else whole.defines(None)):
        return [whole]
    if any(line.lstrip().startswith(">>>") for line in prose):
        return [_piece(text)]
    start = next((number for number, line in enumerate(prose) if _DEFINES.match(line.lstrip())), None)
    if start is None:
        return []
    indent = len(prose[start]) - len(prose[start].lstrip())
    chunks = _chunks([line[min(indent, len(line) - len(line.lstrip())) :] for line in prose[start:]])
    pieces = [_piece(chunk) for chunk in chunks]
    good = [piece for piece in pieces if piece.tree]
    found = [_piece("\n\n".join(piece.text for piece in good))] if good else []
    if not any(piece.defines(entry_point) for piece in found):
        # A string or bracket that spans lines at the margin tears chunks apart; what follows each one may still parse.
        found += [piece for number in range(min(3, len(chunks))) if (piece := _prefix("\n".join(chunks[number:])))]
    return [piece for piece in found if piece.defines(entry_point)]


def _chunks(lines: list[str]) -> list[str]:
    """What looks like top-level statements, each with the indented lines that belong to it."""
    chunks: list[list[str]] = []
    inside = decorated = False
    for line in lines:
        margin = bool(line) and not line[0].isspace()
        if margin and decorated:
            chunks[-1].append(line)
        elif margin and _STARTS.match(line):
            chunks.append([line])
            inside = True
        elif inside and (not margin or _GOES_ON.match(line)):
            chunks[-1].append(line)
        else:
            inside = False
        if margin:
            decorated = inside and line.startswith("@")
    return ["\n".join(chunk).rstrip() for chunk in chunks]


def _piece(text: str, closed: bool = True) -> _Piece:
    """A candidate from `text`, dedented or taken out of a transcript where only that parses."""
    try:
        return _Piece(text, parse(text), closed)
    except SyntaxError:
        pass
    for other in (textwrap.dedent(text), _from_transcript(text)):
        if other and other != text:
            try:
                return _Piece(other, parse(other), closed)
            except SyntaxError:
                continue
    return _Piece(text, None, closed)


def _from_transcript(text: str) -> str:
    """What was typed in a transcript of the interactive interpreter."""
    typed: list[str] = []
    for line in textwrap.dedent(text).split("\n"):
        if line.startswith((">>> ", "... ")):
            typed.append(line[4:])
        elif line in (">>>", "..."):
            typed.append("")
    return "\n".join(typed)


def _prefix(text: str) -> _Piece | None:
    """The longest beginning of whole top-level statements that parses, by the place of the syntax error."""
    lines = text.split("\n")
    for _ in range(_MAX_CUTS):
        source = "\n".join(lines).rstrip()
        if not source:
            return None
        try:
            return _Piece(source, parse(source))
        except SyntaxError as error:
            end = min(error.lineno or len(lines), len(lines))
        while end > 0 and not (lines[end - 1][:1].strip() and not _GOES_ON.match(lines[end - 1])):
            end -= 1
        kept = lines[: max(end - 1, 0)]
        decorators = sum(1 for _ in takewhile(lambda line: line.startswith("@"), reversed(kept)))
        lines = kept[: len(kept) - decorators]
    return None
