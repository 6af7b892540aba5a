"""The report in Markdown: what has no need of a browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smallenough.analysis import breakeven
from smallenough.analysis.report import branching, figures, labels, methods, provenance
from smallenough.analysis.report.content import Content
from smallenough.analysis.verdict_words import sentences
from smallenough.wording import NOTHING, share


def render(content: Content, title: str, origin: str) -> str:
    """The report; cells and words in which Markdown or HTML would find signs are escaped."""
    return "\n\n".join([f"# {_text(title)}", _text(origin), *_parts(content)]) + "\n"


def _parts(content: Content) -> Iterator[str]:
    headline, *behind = sentences(content.findings.verdict)
    yield "## Verdict"
    yield f"**{_text(headline)}**"
    yield _list(behind)
    found = content.findings.table()
    yield "## Arms"
    yield _table(found.headers, found.rows)
    yield from _costs(content)
    if content.repayments:
        yield "## Training, and when it is repaid"
        yield "Whether a tuned model is good enough is the verdict's to say."
        yield _list(breakeven.sentences(content.repayments, content.currency))
    if content.categories:
        yield "## Success by category"
        yield _categories(content)
    for part in labels.tables(content.findings.labels, content.frequencies):
        yield f"## {part.title}"
        yield part.text
        yield _table(part.headers, part.rows)
    yield from _branching(content)
    if content.findings.notes:
        yield "## Notes"
        yield _list(content.findings.notes)
    yield "## Methods"
    yield _list([f"{one.name}: {one.text} {one.source}".rstrip() for one in methods.methods(content)])
    yield "## Provenance"
    for session in provenance.session_origins(content.findings):
        yield f"### Session {_text(session.session)}"
        yield _list([f"{label}: {text}" for label, text in session.main])


def _costs(content: Content) -> Iterator[str]:
    for section, title in (("front", "## Success against cost"), ("budgets", "## Success at equal budgets")):
        shown = [one for one in figures.words(content) if one.section == section]
        if shown:
            yield title
        for one in shown:
            yield f"### {one.title}"
            yield _list(one.words)
    if left := figures.unmeasured(content):
        yield _text(left)


def _categories(content: Content) -> str:
    labels = content.frames.labels
    names = dict.fromkeys(one.category for one in content.categories)
    cells = {(one.category, one.arm): one for one in content.categories}
    rows = []
    for name in names:
        own = [cells[name, label] for label in labels]
        rows.append((name, *(f"{share(one.solved.rate)} of {one.tasks}" if one.solved else NOTHING for one in own)))
    return _table(("Category", *labels), rows)


def _branching(content: Content) -> Iterator[str]:
    parts = branching.tables(content.branching)
    if parts:
        yield "## Branching, taken apart"
    for part in parts:
        yield f"### {part.title}"
        yield part.text
        yield _table(part.headers, part.rows)
    if parts:
        yield "### What single options add"
        yield _list(branching.ablations(content.branching))


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(_text(cell.replace("/\n", "/")) for cell in line) + " |" for line in lines)


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_text(line)}" for line in lines)


def _text(text: str) -> str:
    """Text on one line in which nothing is markup."""
    plain = " ".join(text.split())
    for sign in ("\\", "|", "*", "`", "<"):
        plain = plain.replace(sign, f"\\{sign}")
    return plain.replace("](", "]\\(")
