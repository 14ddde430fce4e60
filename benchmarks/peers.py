"""Forecasts of NeuralForecast, Darts and GluonTS beside this library's: quality and seconds, on the same rows.

Each library has an environment of its own, which --install makes; without one there is nothing to compare, and the
script says so and leaves. Every job runs in a fresh process. What was measured is kept and not measured again, so a run
that was stopped goes on where it was; what was forced on a busy machine is measured again on an idle one.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from _common import DATA, RESULTS, busy, idle_or_leave, place
from _forecasters.job import Effort
from _forecasters.libraries import LIBRARIES, Library, Model
from _forecasters.pages import Group, by_year, grouped, picture, section, settings, times_to_quality
from _forecasters.running import Outcome, file_of, outcome_of
from _forecasters.tasks import TASKS, Task
from _page import ROOT, write_section

PAGE = ROOT / "docs" / "peers.md"
BUSY = 0.15
"""Cores that others may take before times are called provisional."""

NOT_INSTALLED = "does not install"


def main() -> None:
    chosen = parsed()
    tasks = [task for task in TASKS if wanted(task.name, TASKS, chosen.only) and (DATA / task.file).exists()]
    libraries = [library for library in LIBRARIES if wanted(library.name, LIBRARIES, chosen.only)]
    folder = chosen.out / ("peers-quick" if chosen.quick else "peers")
    if not chosen.page_only:
        failures = install(libraries) if chosen.install else {}
        here = [library for library in libraries if library.installed]
        if not any(library.requirement for library in here) and not failures and not chosen.only:
            print(
                "no library to compare with is installed: benchmarks/peers.py --install makes an environment for each"
            )
            return
        idle_or_leave(chosen.force or chosen.quick)
        tasks = tasks[:1] if chosen.quick else tasks
        measure(tasks, here, folder, chosen)
        for library in libraries:
            if library.name in failures:
                keep_failure(tasks, library, failures[library.name], folder, chosen)
    if not chosen.quick:
        write(folder, chosen.page)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [known.name for known in (*TASKS, *LIBRARIES)]
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="of the tasks and libraries, these")
    parser.add_argument("--install", action="store_true", help="make the environments that are missing (a few GB)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--cap", type=float, default=300.0, help="seconds of fitting, for each model and seed")
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    parser.add_argument("--quick", action="store_true", help="one seed, the smallest budgets: to see that it works")
    parser.add_argument("--page-only", action="store_true", help="write the page from what was measured before")
    parser.add_argument("--force", action="store_true", help="measure although the machine is busy")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the outcomes as JSON")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write into")
    return parser.parse_args()


def wanted(name: str, kind: tuple[Task, ...] | tuple[Library, ...], only: list[str]) -> bool:
    """Whether it was asked for: where none of its kind is named, all are."""
    named = {known.name for known in kind} & set(only)
    return not named or name in named


def install(libraries: list[Library]) -> dict[str, str]:
    """What could not be installed, and why."""
    failures = {}
    for library in libraries:
        if not library.installed:
            print(f"installing {library.requirement} into {library.folder}", flush=True)
        failure = library.install()
        if failure is not None:
            failures[library.name] = failure
            print(f"{library.title} does not install here: {failure}", flush=True)
    return failures


def measure(tasks: list[Task], libraries: list[Library], folder: Path, chosen: argparse.Namespace) -> None:
    """What is missing, seed by seed, so that what is there at any time is even."""
    for task in tasks:
        for seed in range(1 if chosen.quick else chosen.seeds):
            for library, model, effort in jobs(task, libraries, seed, chosen):
                file = file_of(folder, task, library, effort)
                if file.exists() and not chosen.again and holds(Outcome.from_file(file), effort, chosen.force):
                    continue
                outcome = outcome_of(task, library, effort, busy())
                outcome.keep(file)
                print(told(outcome, library, model), flush=True)


def holds(kept: Outcome, effort: Effort, forced: bool) -> bool:
    """Whether what was measured need not be measured again."""
    answered = kept.failure is None or not kept.failure.startswith(NOT_INSTALLED)
    return answered and kept.effort == effort and (forced or kept.busy <= BUSY)


def keep_failure(tasks: list[Task], library: Library, failure: str, folder: Path, chosen: argparse.Namespace) -> None:
    """A row for each model of a library that is not here."""
    for task in tasks:
        for model in library.models:
            effort = model.effort(task, 0, chosen.threads, chosen.cap)
            outcome = Outcome(task.name, library.name, effort, failure=f"{NOT_INSTALLED}: {failure}")
            outcome.keep(file_of(folder, task, library, effort))


def jobs(
    task: Task, libraries: list[Library], seed: int, chosen: argparse.Namespace
) -> Iterator[tuple[Library, Model, Effort]]:
    """Every model with its usual budget, and on AirPassengers with each of several."""
    for library in libraries:
        for model in library.models:
            if (len(task.question.origins) > 1 and not model.rolls) or (seed > 0 and not model.counts):
                continue
            usual = model.effort(task, seed, chosen.threads, chosen.cap)
            budgets = list(model.budgets) if task.swept else []
            if chosen.quick:
                budgets = budgets[:1] or [usual.budget]
            elif usual.budget not in budgets:
                budgets = [usual.budget, *budgets]
            for budget in budgets:
                yield library, model, model.effort(task, seed, chosen.threads, chosen.cap, budget)


def told(outcome: Outcome, library: Library, model: Model) -> str:
    """One line."""
    effort = outcome.effort
    budget = "" if effort.budget is None else f", {effort.budget} {model.counts}"
    what = f"{outcome.task}: {library.title} {model.name}{budget}, seed {effort.seed}"
    if outcome.failure is not None:
        return f"{what}: {outcome.failure}"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in outcome.figures.items())
    return f"{what}: {figures}; fit {outcome.seconds['fit']:.1f} s, forecast {outcome.seconds['forecast']:.1f} s"


def write(folder: Path, page: Path) -> None:
    """Each task's section, and the settings."""
    outcomes = [Outcome.from_file(file) for file in sorted(folder.glob("*/*.json"))]
    single = [task for task in TASKS if task.year is None]
    write_section("settings", settings(single), page)
    years = [task for task in TASKS if task.year is not None and (DATA / task.file).exists()]
    if years and (content := by_year(years, outcomes)):
        write_section("years", content, page)
    for task in single:
        groups = grouped(task, outcomes)
        if not groups or not (DATA / task.file).exists():
            continue
        content = f"{described(groups)}\n\n{section(task, groups)}"
        if task.swept:
            file = page.parent / "pictures" / f"peers-{task.name}.png"
            picture(groups, task.naive()["MAE"], file)
            content += (
                f"\n\n![Mean absolute error against seconds, a line a model](pictures/{file.name})\n\n"
                f"### Time to the same quality\n\n{times_to_quality(groups)}"
            )
        write_section(task.name, content, page)


def described(groups: list[Group]) -> str:
    """Where it was measured, with which versions, and what the times are worth."""
    outcomes = [outcome for group in groups for outcome in group.done]
    versions = ", ".join(dict.fromkeys(outcome.version for outcome in outcomes))
    threads = max((outcome.effort.threads for outcome in outcomes), default=1)
    busiest = max((outcome.busy for outcome in outcomes), default=0.0)
    doubt = "" if busiest <= BUSY else (
        f" **Times are provisional**: up to {busiest:.1f} cores were busy with other work meanwhile."
    )  # fmt: skip
    return f"{place(threads)}. {versions}.{doubt}"


if __name__ == "__main__":
    main()
