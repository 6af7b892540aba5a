"""`smallenough study`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smallenough.cli.common import counted, json_option, open_store, print_json, store_options

if TYPE_CHECKING:
    from smallenough.events import Event, Plan, TrialFinished
    from smallenough.sessions.experiment import SessionResult
    from smallenough.sessions.study.carry_out import Measured, Say, Study
    from smallenough.sessions.training_jobs import Job
    from smallenough.training.messages import Report


@click.command("study", short_help="Large models as they are against small ones that are fine-tuned.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--max-eval-samples", type=click.IntRange(1), help="So many tasks of the test suite at most.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the results go, JSON by model.  [default: studies/EXPERIMENT.json in the store]",
)
@click.option("--dry-run", is_flag=True, help="Check everything, and tell the stages; load no model.")
@json_option
@store_options
def command(
    file: Path,
    *,
    max_eval_samples: int | None,
    results: Path | None,
    dry_run: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Measure large models as they are, and small ones before and after fine-tuning, on the same tasks.

    FILE names the models (`llm_models`, `slm_models`), the suites that they learn from and are measured on, and how the
    small ones are trained. One model is in memory at a time, each in a process of its own; what the machine has in use
    before and after each is told.

    \b
      smallenough study experiments/studies/large_against_finetuned.yaml --dry-run
      smallenough study experiments/studies/large_against_finetuned.yaml --max-eval-samples 50

    Ctrl-C saves all; the same command goes on: sessions and trainings that are complete are not done again.
    """
    from smallenough.sessions.study.carry_out import study
    from smallenough.sessions.study.form import study_of

    form = study_of(file, {} if max_eval_samples is None else {"max_eval_samples": max_eval_samples})
    found = open_store(store, tracking_uri)
    planned = study(form, found)
    if dry_run:
        _show_dry_run(planned, as_json=as_json)
        return 0
    measured = []
    for one in planned.carry_out(_OnTerminal(quiet=as_json), lambda text: _say(text, quiet=as_json)):
        measured.append(one)
        _say(_memory(one), quiet=as_json)
    place = results or found.folder / "studies" / f"{form.experiment.name}.json"
    _conclude(planned, measured, place, as_json=as_json)
    return 0


def _conclude(planned: Study, measured: Sequence[Measured], place: Path, *, as_json: bool) -> None:
    """Compares what was measured, and writes the results."""
    from smallenough.analysis.findings import Terms
    from smallenough.cli.compare import show_comparison
    from smallenough.errors import InputError
    from smallenough.sessions.compare import compare_sessions
    from smallenough.sessions.study.results import results

    sessions = [one.session for one in measured]
    found = compare_sessions(planned.store, sessions, terms=Terms(baseline=measured[0].arms[0]))
    told = results(measured, found)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise InputError(
            f"{place}: can't be written: {error.strerror or error}; name another with --results"
        ) from error
    if as_json:
        print_json({"results": told, "file": str(place), "comparison": json.loads(found.to_json())})
        return
    show_comparison(found, all_by=f"smallenough compare {' '.join(sessions)} --details")
    click.echo(f"results: {place}", err=True)
    click.echo(f"all of it in one file: smallenough report {' '.join(sessions)}", err=True)


def _show_dry_run(planned: Study, *, as_json: bool) -> None:
    form = planned.form
    large, small = [one.name for one in form.llm_models], [one.name for one in form.slm_models]
    tasks = len(planned.suite.tasks)
    if as_json:
        jobs = [_told(job) for job in planned.jobs.values()]
        print_json({"study": form.model_dump(mode="json"), "tasks": tasks, "trainings": jobs})
        return
    click.echo(f"{counted(tasks, 'task')} of suite {planned.suite.name}")
    for name in large:
        click.echo(f"  {name}: measured as it is")
    for name in small:
        job = planned.jobs[name]
        click.echo(f"  {name}: measured as it is, trained on {counted(len(job.rows), 'row')}, measured again")
    click.echo("everything is in order; nothing was loaded")


def _told(job: Job) -> dict[str, object]:
    return {"base": job.plan.base, "rows": len(job.rows), "validation": len(job.validation), "folder": job.folder.path}


def _memory(one: Measured) -> str:
    """What the machine had in use before a model was loaded and after it was gone."""
    from smallenough.wording import size

    pairs = [("memory", one.before.system_bytes, one.after.system_bytes)]
    if one.before.device_bytes is not None and one.after.device_bytes is not None:
        pairs.append(("GPU memory", one.before.device_bytes, one.after.device_bytes))
    told = ", ".join(f"{what} {size(before)} before and {size(after)} after" for what, before, after in pairs)
    return f"{one.key}: measured; the machine's {told}"


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        click.echo(text, err=True)


class _OnTerminal:
    """Shows each stage with the progress that `run` and `train` have."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    @contextmanager
    def session(self, plan: Plan, before: Sequence[TrialFinished]) -> Iterator[tuple[Callable[[Event], None], Say]]:
        from smallenough.cli.progress import SessionProgress

        with SessionProgress(plan, before, quiet=self._quiet) as progress:
            yield progress.observe, progress.say

    @contextmanager
    def training(self, job: Job) -> Iterator[tuple[Callable[[Report], None], Say]]:
        from smallenough.cli.training_progress import TrainingProgress

        with TrainingProgress(job.plan.base, quiet=self._quiet) as progress:
            yield progress.observe, progress.say

    def written(self, result: SessionResult) -> None:
        from smallenough.cli.ending import wait_for_writer

        wait_for_writer(result, quiet=self._quiet)
