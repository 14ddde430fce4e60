"""Libraries of forecasting are asked and timed alike: jobs on disk, a toy worker, and tables of what came."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import peers
import pytest
from _common import DATA
from _forecasters import tasks as tasks_module
from _forecasters.job import Effort, Job, Question, moments
from _forecasters.libraries import LIBRARIES, TORCH, Library, Model
from _forecasters.pages import by_year, grouped, picture, section, settings, spread, time_to, times_to_quality
from _forecasters.running import Outcome, file_of, outcome_of
from _forecasters.tasks import TASKS, Material, Task

TOY = """
import sys, time
started = time.perf_counter()
sys.path.insert(0, {folder!r})
import numpy as np
from job import serve

def fit(job):
    if job.effort.model == "broken":
        raise ValueError("no such season")
    if job.effort.model == "slow":
        time.sleep(60)
    steps = job.question.horizon - (job.effort.model == "short")
    last = np.array([context.values[-1] for context in job.contexts])
    wrong = np.nan if job.effort.model == "missing" else float(job.effort.seed)
    return lambda: np.repeat(last[:, None], steps, 1) + wrong

serve(fit, "Toy 1.0", started)
"""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUESTION = Question(horizon=3, period=4, frequency="h", origins=(0, 2))
ROWS = Material(
    ("a", "b"),
    ("2020-01-01T22:00:00", "2021-01-01"),
    (np.arange(8.0), np.arange(10.0)),
    (np.array([80.0, 81.0]), np.array([90.0, 91.0])),
    np.array([[7.0, 7, 7], [81, 81, 81], [9, 9, 9], [91, 91, 91]]),
)


@dataclass(frozen=True)
class Toy(Library):
    """A library whose worker is a file of the test's own."""

    script: Path = Path()

    @property
    def worker(self) -> Path:
        return self.script


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    def figures(forecasts, rows, question):
        return {"MAE": float(np.abs(forecasts - rows.truth).mean())}

    monkeypatch.setitem(tasks_module.METRICS, "toy", figures)
    return Task("toy", "Toys, forecast", "Toys.", "none", QUESTION, lambda question: ROWS, lookback=2)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    script = tmp_path / "with_toy.py"
    folder = str(BENCHMARKS / "_forecasters")
    script.write_text(TOY.format(folder=folder), encoding="utf-8")
    return Toy("toy", "Toy", "", (Model("last", "steps", 5, (1, 5)),), script=script)


def outcome(seed: int = 0, mae: float = 1.0, fit: float = 1.0, library: str = "darts", **effort) -> Outcome:
    asked = Effort(**{"model": "NHiTSModel", "budget": 100, "seed": seed} | effort)
    return Outcome("toy", library, asked, "Darts 0", {"import": 1.0, "fit": fit, "forecast": 0.5}, {"MAE": mae})


def test_a_job_comes_back_from_disk_as_it_was(task: Task, tmp_path: Path):
    job = task.job(Effort("last", 7, None, 3, 2, 9.5))
    job.write(tmp_path)
    found = Job.read(tmp_path)
    assert (found.question, found.effort, found.names) == (job.question, job.effort, job.names)
    for field in ("training", "later"):
        for one, other in zip(getattr(found, field), getattr(job, field), strict=True):
            np.testing.assert_array_equal(one, other)
    assert found.starts == ("2020-01-01T22:00:00", "2021-01-01T00:00:00")
    later = (tmp_path / "later.csv").read_text(encoding="utf-8").splitlines()
    assert later[:2] == ["unique_id,ds,y", "a,2020-01-02T06:00:00,80.0"]


def test_nobody_is_told_what_comes_after_the_origin(task: Task):
    contexts = task.job(Effort("last")).contexts
    assert [context.values[-1] for context in contexts] == [7, 81, 9, 91]
    assert [len(context.values) for context in contexts] == [8, 10, 10, 12]
    assert [context.series for context in contexts] == [0, 0, 1, 1]


def test_a_long_context_is_cut_at_its_beginning_and_says_when_that_is():
    job = Job(Question(1, 1, "h"), Effort("last"), ("a",), ("2020-01-01",), (np.arange(1024.0),), (np.empty(0),))
    (context,) = job.contexts
    assert (context.start, context.values[0], context.values[-1]) == ("2020-01-02T00:00:00", 24, 1023)


def test_months_begin_on_their_first_day():
    assert moments("2020-11-01", "MS", 1, 2) == ["2020-12-01T00:00:00", "2021-01-01T00:00:00"]


def test_a_worker_answers_and_its_parts_are_timed(task: Task, toy: Toy):
    found = outcome_of(task, toy, Effort("last", seed=2))
    assert (found.failure, found.version, found.figures) == (None, "Toy 1.0", {"MAE": 2.0})
    assert set(found.seconds) == {"import", "fit", "forecast", "whole"}
    assert found.seconds["whole"] > sum(found.seconds[part] for part in ("import", "fit", "forecast"))


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("broken", r"^ValueError: no such season$"),
        ("short", r"^forecasts are \(4, 2\) with 0 missing: expected \(4, 3\), all finite$"),
        ("missing", r"with 12 missing: expected \(4, 3\)"),
    ],
)
def test_a_worker_that_fails_is_told_in_one_line(task: Task, toy: Toy, model: str, told: str):
    found = outcome_of(task, toy, Effort(model))
    assert found.failure is not None
    assert found.figures == {}
    assert re.search(told, found.failure)


def test_a_worker_that_does_not_end_is_ended(task: Task, toy: Toy):
    assert outcome_of(task, toy, Effort("slow", cap=0.5), grace=0.5).failure == "not done in 1 s"


def test_an_outcome_comes_back_from_disk_as_it_was(tmp_path: Path):
    outcome().keep(tmp_path / "new" / "one.json")
    assert Outcome.from_file(tmp_path / "new" / "one.json") == outcome()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["one.json"]


def test_what_was_measured_is_not_measured_again(task: Task, toy: Toy, tmp_path: Path, capsys):
    chosen = argparse.Namespace(seeds=2, threads=1, cap=5.0, quick=False, again=False, force=True)
    peers.measure([task], [toy], tmp_path, chosen)
    assert len(capsys.readouterr().out.splitlines()) == 4
    file_of(tmp_path, task, toy, Effort("last", budget=5, seed=1)).unlink()
    peers.measure([task], [toy], tmp_path, chosen)
    assert capsys.readouterr().out.startswith("toy: Toy last, 5 steps, seed 1: MAE 1; fit ")


def test_what_was_forced_on_a_busy_machine_is_measured_again_on_an_idle_one():
    kept = outcome()
    assert peers.holds(kept, kept.effort, forced=False)
    assert peers.holds(replace(kept, busy=1.0), kept.effort, forced=True)
    assert not peers.holds(replace(kept, busy=1.0), kept.effort, forced=False)


def test_another_effort_is_measured_anew():
    kept = outcome()
    assert not peers.holds(kept, replace(kept.effort, threads=2), forced=True)
    assert not peers.holds(replace(kept, failure="does not install: no such name"), kept.effort, forced=True)
    assert peers.holds(replace(kept, failure="not done in 9 s"), kept.effort, forced=True)


def test_a_library_that_is_not_here_has_its_rows(task: Task, toy: Toy, tmp_path: Path):
    chosen = argparse.Namespace(threads=1, cap=5.0)
    peers.keep_failure([task], toy, "ERROR: no such name", tmp_path, chosen)
    (file,) = (tmp_path / "toy").iterdir()
    assert Outcome.from_file(file).failure == "does not install: ERROR: no such name"


def test_a_library_that_does_not_install_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("_forecasters.libraries.ENVIRONMENTS", tmp_path)
    pip = "import sys; print('ERROR: No matching distribution found for toy', file=sys.stderr); sys.exit(1)"
    monkeypatch.setattr("_forecasters.libraries.PIP", ("-c", pip))
    library = Library("toy", "Toy", "toy==1", ())
    monkeypatch.setattr("_forecasters.libraries.VENV", ("-c", f"import os, sys; os.makedirs(sys.argv[1] + '/bin'); "
        f"os.symlink({sys.executable!r}, sys.argv[1] + '/bin/python')"))  # fmt: skip
    assert library.install() == "ERROR: No matching distribution found for toy"
    assert not library.installed


def test_groups_stand_in_the_order_of_libraries_and_budgets(task: Task):
    found = grouped(task, [outcome(1), outcome(0), outcome(budget=5), outcome(model="LSTM", library="neuralforecast")])
    assert [(group.title, group.budget, len(group.outcomes)) for group in found] == [
        ("NeuralForecast LSTM", 100, 1),
        ("Darts NHiTSModel", 5, 1),
        ("Darts NHiTSModel", 100, 2),
    ]
    assert [one.effort.seed for one in found[-1].outcomes] == [0, 1]


def test_the_time_to_a_quality_is_the_least_whose_mean_over_seeds_reaches_it(task: Task):
    quick = [outcome(seed, mae, 1.0, budget=5) for seed, mae in enumerate((10.0, 20.0))]
    slow = [outcome(seed, mae, 9.0) for seed, mae in enumerate((9.0, 11.0))]
    groups = grouped(task, [*quick, *slow])
    assert time_to(groups, 12.0) == (9.5, groups[1])
    assert time_to(groups, 15.0) == (1.5, groups[0])
    assert time_to(groups, 9.0) is None
    assert times_to_quality(groups, (15.0, 12.0, 9.0)).splitlines()[-1] == (
        "| Darts NHiTSModel | 1.50 s (5 epochs) | 9.50 s (100 epochs) | never | 10 |"
    )


def test_a_table_has_what_failed_and_what_was_stopped(task: Task, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Task, "naive", lambda self: {"MAE": 3.0})
    failed = replace(outcome(model="DeepAR", library="gluonts", budget=5), failure="not done in 9 s", figures={})
    found = section(task, grouped(task, [outcome(0, 1.0), outcome(1, 2.0, 700.0), failed]))
    assert "| season before | 3 | – | – | – | – |" in found
    assert "| Darts NHiTSModel, stopped after 600 s | 1.5 (1–2) | 2 | 1.00 s | 350 s | 500 ms |" in found
    assert "| GluonTS DeepAR: not done in 9 s | – | – | – | – | – |" in found


def test_one_seed_has_no_spread():
    assert spread([1.23456]) == "1.235"


def test_every_setting_is_told():
    lines = settings([task for task in TASKS if task.year is None]).splitlines()
    assert len(lines) == 2 + sum(len(library.models) for library in LIBRARIES)
    assert "| NeuralForecast LSTM | 200 steps, reads 24 | its default | its default |" in lines
    assert "| throughtime | its default | its default | its default |" in lines
    assert lines[-2] == "| Darts ExponentialSmoothing | – | – | – |"


def test_years_share_a_table(task: Task):
    years = [replace(task, name=f"toy-{year}", year=year) for year in (1, 2)]
    outcomes = [replace(outcome(), task=one.name, figures={"MAE": 3.0 * one.year}) for one in years]
    naive = f"{task.naive()['MAE']:.1f}"
    assert by_year(years, []) == ""
    found = by_year(years, outcomes).splitlines()
    assert found[0] == "|  | 1 | 2 | mean |"
    assert found[2] == f"| season before | {naive} | {naive} | {naive} |"
    assert found[3].endswith("| 3.0 | 6.0 | 4.5 |")
    assert by_year(years, outcomes[:1]).splitlines()[3].endswith("| 3.0 | – | – |")


def test_a_picture_is_drawn(task: Task, tmp_path: Path):
    picture(grouped(task, [outcome(), outcome(budget=5, fit=0.1)]), 3.0, tmp_path / "pictures" / "one.png")
    assert (tmp_path / "pictures" / "one.png").stat().st_size > 5000


def test_each_library_is_pinned_and_has_a_worker():
    project = BENCHMARKS.parent / "pyproject.toml"
    assert f'"{TORCH}"' in project.read_text(encoding="utf-8")
    for library in LIBRARIES:
        assert library.worker.exists()
        assert "==" in library.requirement or library.name == "throughtime"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_tasks_hold_out_what_is_forecast(task: Task):
    if not (DATA / task.file).exists():
        pytest.skip(f"{task.file} is not here")
    rows, question = task.rows, task.question
    contexts = task.job(Effort("any")).contexts
    assert rows.truth.shape == (len(contexts), question.horizon)
    for context, truth in zip(contexts, rows.truth, strict=True):
        given = np.lib.stride_tricks.sliding_window_view(context.values, question.horizon)
        assert not (given == truth).all(axis=1).any()
    assert {"m4": 414, "etth1": 120}.get(task.name, 1) == len(contexts)
    if task.year is not None:
        assert len(rows.training[0]) == 12 * (task.year - 1949)


def test_the_season_before_has_its_published_figures():
    wanted = {"passengers": {"MAE": 47.8333}, "m4": {"sMAPE": 13.912, "MASE": 1.193}}
    for task in TASKS:
        if task.name in wanted and (DATA / task.file).exists():
            assert task.naive() == pytest.approx(wanted[task.name], abs=5e-4)
