"""`report` on a real session whose model writes markup that would run: what the file holds, and what a browser does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mlflow import MlflowClient

from smallenough.models.replay import ReplayClient
from smallenough.records import Completion, Request
from smallenough.sessions import experiment
from smallenough.tracking import reader
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from tests import replayed
from tests.cli.calling import Called, call

pytestmark = pytest.mark.xdist_group("reported")  # a session is shared

HOSTILE = "</script></pre><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def answer(request: Request) -> Completion:
    """As elsewhere, with markup in the code and around it."""
    found = replayed.answer(request)
    code = found.text.replace("```python\n", f"```python\n# {HOSTILE}\n")
    return replace(found, text=f"{HOSTILE}\n{code}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Store:
    found = new_store(tmp_path_factory.mktemp("reported"))
    ready = replace(replayed.prepared(4, repeats=2), clients={"replay": ReplayClient(answer, {"m": replayed.INFO})})
    result = experiment.run(ready, found)
    assert result.writer.wait(120) == 0
    return found


class Page(HTMLParser):
    """A report as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str, str] = {}
        self.words: list[str] = []
        self._inside: tuple[str, str] = ("", "")
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag, dict(attrs).get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = "", ""

    def handle_data(self, data: str) -> None:
        tag, name = self._inside
        if tag == "script":
            self.data[name] = self.data.get(name, "") + data
        elif tag != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def written(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report as an HTML file."""
    from smallenough.sessions.report import make_report

    path = tmp_path_factory.mktemp("written") / "report.html"
    path.write_text(make_report(store).html, "utf-8")
    return path


def report(capsys: pytest.CaptureFixture[str], store: Store, *arguments: object) -> Called:
    done = call(capsys, "report", *arguments, "--store", store.folder)
    assert done.code == 0, done.err
    return done


def test_the_page_loads_nothing_and_runs_its_own_two_scripts_alone(written: Path) -> None:
    page = Page(written.read_text("utf-8"))
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "link", "iframe", "object", "embed", "base"})
    for _, attributes in page.tags:
        assert not {"src", "srcset", "onerror", "onclick", "onload"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    assert kinds.count(None) == 2
    assert set(kinds) == {None, "application/json"}
    style = re.search(r"<style>(.*?)</style>", written.read_text("utf-8"), re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    (policy,) = (one["content"] for tag, one in page.tags if tag == "meta" and "http-equiv" in one)
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[A-Za-z0-9+/=]+' ?){2}", rules["script-src"])
    assert "connect-src" not in rules


def test_the_page_has_the_numbers_of_the_findings(written: Path, store: Store) -> None:
    from smallenough.analysis import table
    from smallenough.analysis.findings import find
    from smallenough.analysis.report.names import short_names

    found, page = find(reader.read(store)), Page(written.read_text("utf-8"))
    for row in table.table(found.comparison, width=125).rows:
        for cell in row[1:]:
            assert cell in page.text
    for note in found.comparison.notes:
        assert note.split("'")[0].strip() in page.text
    assert short_names(["m single", "m branching"], ["replay", "replay"]) == ["m single", "m branching"]
    figures = json.loads(page.data["data-figures"])
    (point, *_) = (one for one in figures["size"]["data"] if one["name"] == "m branching")
    rate = found.comparison.rows[1].solved_rate
    assert rate
    assert point["y"] == [rate.rate]
    assert not [key for key in figures if "energy" in key or "money" in key]
    assert "energy" in page.text.split("Not measured for any arm, and so not drawn:")[1][:60]


def test_every_answer_is_there_word_for_word(written: Path, store: Store) -> None:
    held = json.loads(Page(written.read_text("utf-8")).data["data-answers"])
    assert set(held["tasks"]) == {f"doubles/double_{number}" for number in range(4)}
    tables = reader.read(store)
    trials = [trial for task in held["tasks"].values() for trial in task["trials"]]
    attempts = [attempt for trial in trials for attempt in trial["attempts"]]
    assert (len(trials), len(attempts)) == (len(tables.trials), len(tables.attempts))
    assert len(set(held["texts"])) == len(held["texts"])
    for attempt in attempts:
        assert held["texts"][attempt["response"]].startswith(HOSTILE)
        assert HOSTILE in held["texts"][attempt["code"]]
    solved = [trial for trial in trials if trial["outcome"] == "solved"]
    assert solved
    for trial in solved:
        chosen = trial["attempts"][trial["chosen"]]
        assert chosen["tests"]["hidden"]["passed"] == chosen["tests"]["hidden"]["of"] == 2


def test_a_browser_draws_the_figures_and_runs_nothing_that_a_model_wrote(written: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    shown = ["--virtual-time-budget=20000", "--window-size=1280,20000", "--dump-dom"]
    shown.append(f"{written.as_uri()}#task=doubles/double_1")
    done = subprocess.run(
        [browser, "--headless", *quiet, f"--user-data-dir={tmp_path}", *shown],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    page = Page(done.stdout)
    assert "<title>owned" not in done.stdout
    assert "img" not in {tag for tag, _ in page.tags}
    drawn = [one for tag, one in page.tags if "plot" in (one.get("class") or "").split()]
    assert len(drawn) >= 4
    assert all("js-plotly-plot" in (one.get("class") or "") for one in drawn)
    (dialog,) = (one for tag, one in page.tags if tag == "dialog")
    assert "open" in dialog
    assert "double_1" in page.text
    assert HOSTILE in page.text


def test_a_report_is_written_here_and_kept_once_with_the_comparison(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = reader.read(store).sessions[0]
    for _ in range(2):
        done = report(capsys, store)
        assert done.out.strip() == f"report-{session}.html"
    assert Page(Path(done.out.strip()).read_text("utf-8")).data["data-answers"] != "null"
    client = MlflowClient(store.uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.`{TAG}kind` = 'comparison'")
    names = {found.path for found in client.list_artifacts(run.info.run_id)}
    assert {"report.html", "report.md", "report.json", "comparison.csv", "front_seconds.csv", "tasks.csv"} <= names


def test_markdown_and_json_tell_the_same_numbers(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report(capsys, store, "--no-log", "--output", tmp_path / "r.json", "--margin", "0.1")
    report(capsys, store, "--no-log", "--output", tmp_path / "r.md", "--margin", "0.1")
    told = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert told["findings"]["verdict"]["margin"] == 0.1
    assert [row["counts"]["trials"] for row in told["findings"]["rows"]] == [8, 8]
    assert told["unmeasured"] == ["memory", "cpu", "energy", "money"]
    words = (tmp_path / "r.md").read_text("utf-8")
    assert words.startswith("# 2 arms on 4 tasks of doubles\n")
    for sentence in told["findings"]["verdict"]["words"]:
        assert sentence.replace("<", "\\<") in words


def test_as_many_tasks_as_are_asked_for_and_those_first_at_which_arms_differ(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "one.html"
    report(capsys, store, "--no-log", "--tasks", "1", "-o", path)
    page = Page(path.read_text("utf-8"))
    assert set(json.loads(page.data["data-answers"])["tasks"]) == {"doubles/double_1"}
    assert "the other 3 are in MLflow" in page.text
    report(capsys, store, "--no-log", "--tasks", "0", "-o", path)
    assert json.loads(Page(path.read_text("utf-8")).data["data-answers"]) is None


def test_without_the_store_the_journal_tells_the_same_and_says_so(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, written: Path
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(store.journals, alone / "journal")
    done = call(capsys, "report", "-o", tmp_path / "journal.html", "--store", alone)
    assert done.code == 0, done.err
    assert "not kept in MLflow" in done.err
    page, other = (Page(path.read_text("utf-8")) for path in (tmp_path / "journal.html", written))
    assert "read from the journals" in page.text
    assert json.loads(page.data["data-answers"]) == json.loads(other.data["data-answers"])


def test_what_is_asked_wrongly_is_told_in_words(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    done = call(capsys, "report", "-o", "report.pdf", "--store", store.folder)
    assert (done.code, "must end in one of .html, .md, .json" in done.err) == (2, True)
    done = call(capsys, "report", "1999", "--store", store.folder)
    assert (done.code, "unknown session '1999'" in done.err) == (2, True)
    done = call(capsys, "report", "--no-log", "-o", tmp_path / "none" / "r.html", "--store", store.folder)
    assert (done.code, "No such file or directory" in done.err) == (2, True)
