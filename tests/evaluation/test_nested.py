"""Nested cross-validation where the better candidate is known, and against its parts done one by one."""

import dataclasses
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from throughtime import ConfigurationError, DataError, load, read_series
from throughtime.data import Series, SeriesData
from throughtime.evaluation import Blocked, NestedCrossValidation, RollingOrigin, cross_validate, nested_cross_validate
from throughtime.evaluation import nested as nested_module

OUTER = RollingOrigin(2, test=40, validation=20, gap=3)
INNER = RollingOrigin(2, test=30)
TASK = {"horizon": 3, "lookback": 8, "period": 1}
# It is fitted on hardly any step, and predicts that all stays as it is.
IDLE = {
    "family": {"name": "rnn", "hidden_size": 1},
    "training": {"epochs": 1, "time_budget": 1e-6},
    "optimizer": {"learning_rate": 1e-9},
}


@pytest.fixture(scope="module")
def data() -> SeriesData:
    """x_t = 0.4 x_{t−1} + noise: the best forecast comes back to the mean."""
    random, values = np.random.default_rng(0), np.zeros(300)
    for t in range(1, len(values)):
        values[t] = 0.4 * values[t - 1] + random.normal()
    return read_series(pl.DataFrame({"y": values}), time="none")


@pytest.fixture(scope="module")
def found(data: SeriesData) -> NestedCrossValidation:
    return nested_cross_validate(data, OUTER, INNER, [IDLE, "ar:1", "ar:8"], task=TASK, samples=20, seeds=(0, 4))


def label(found: NestedCrossValidation) -> str:
    return next(iter(found.inner[0]))


def test_the_model_of_the_data_is_chosen(found) -> None:
    assert found.chosen == ("ar:1", "ar:1")
    for fold in found.inner:
        assert fold["ar:1"].mean("crps") < 0.9 * fold[label(found)].mean("crps")
    assert label(found).startswith("rnn hidden_size=1 epochs=1 ")


@pytest.mark.parametrize("metric", ["log_likelihood", "rmse"])
def test_any_metric_may_choose(data, metric) -> None:
    found = nested_cross_validate(
        data, RollingOrigin(1, test=40), INNER, [IDLE, "ar:1"], task=TASK, samples=20, metric=metric
    )
    assert found.chosen == ("ar:1",)


def test_its_parts_done_one_by_one(data, found) -> None:
    (series,) = data.series
    for number, fold in enumerate(OUTER.split(len(series))):
        stop = fold.validation.stop
        past = Series(series.name, series.times[:stop], series.observed[:stop], series.known[:stop])
        expected = cross_validate(
            SeriesData((past,), data.layout), INNER, family="ar:8", task=TASK, samples=20, seeds=(0, 4)
        )
        assert found.inner[number]["ar:8"] == expected
    assert found.outer == cross_validate(data, OUTER, family="ar:1", task=TASK, samples=20, seeds=(0, 4))


def test_the_choice_knows_nothing_of_what_scores_it(data) -> None:
    """From the gap of the first outer fold on, all is another series: a random walk, far from what was before."""
    outer = dataclasses.replace(OUTER, validation=0)
    start, walk = outer.split(300)[0].gap.start, np.random.default_rng(1).normal(0, 5, 300).cumsum()
    observed = data.series[0].observed.copy()
    observed[start:, 0] = walk[start:]
    other = dataclasses.replace(data, series=(dataclasses.replace(data.series[0], observed=observed),))
    one, two = (nested_cross_validate(each, outer, INNER, ["ar:1", "ar:2"], samples=5) for each in (data, other))
    assert one.inner[0] == two.inner[0]
    assert one.chosen[0] == two.chosen[0]
    assert one.outer.horizon == two.outer.horizon
    assert one.inner[1] != two.inner[1]
    assert one.outer.scores[0] != two.outer.scores[0]


def test_among_equals_the_first_is_chosen(data) -> None:
    same = ["ar:1", {"name": "ar", "order": 1}]
    settings = {"outer": Blocked(2, test=40), "inner": INNER, "samples": 5}
    assert nested_cross_validate(data, candidates=same, **settings).chosen == ("ar:1", "ar:1")
    assert nested_cross_validate(data, candidates=same[::-1], **settings).chosen == ("ar order=1", "ar order=1")


def test_horizon_and_season_are_the_same_everywhere(data) -> None:
    found = nested_cross_validate(data, RollingOrigin(2, test=7), INNER, ["ar:1", "ar:30"], samples=3)
    assert {one.horizon for fold in found.inner for one in fold.values()} == {found.outer.horizon} == {7}


def test_folders_are_kept_and_gone_on_with(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> NestedCrossValidation:
        return nested_cross_validate(data, OUTER, INNER, ["ar:1", "ar:2"], task=TASK, samples=5, folder=tmp_path / "cv")

    calls, real = [], nested_module.cross_validate

    def interrupted(*given, **named):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(nested_module, "cross_validate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run()
    names = ["fold-1-candidate-1", "fold-1-candidate-2", "fold-1-seed-0", "fold-2-candidate-1"]
    assert sorted(path.name for path in (tmp_path / "cv").iterdir()) == names
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "cv").rglob("*.json")}
    found = run()
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert sorted(path.name for path in (tmp_path / "cv").iterdir()) == [*names, "fold-2-candidate-2", "fold-2-seed-0"]
    assert load(tmp_path / "cv" / "fold-2-seed-0").configuration.model.family.order == int(found.chosen[1][-1])


def test_what_is_shown(data, found) -> None:
    console = Console(width=100, file=StringIO())
    console.print(found.table())
    shown = console.file.getvalue()
    for words in ("CRPS in the inner folds", f"{found.inner[1]['ar:8'].mean('crps'):.4g} ±", "2 folds, 2 seeds each"):
        assert words in shown
    (axes,) = found.plot().axes
    reached = axes.lines[-1].get_xdata().tolist()
    assert reached == found.outer.values("crps").mean(1).tolist()
    record = found.to_dict()
    assert record["chosen"] == ["ar:1", "ar:1"]
    assert record["inner"][1]["ar:8"]["mean"]["crps"] == found.inner[1]["ar:8"].mean("crps")
    shares: list[float] = []
    nested_cross_validate(data, OUTER, INNER, ["ar:1", "ar:2"], task=TASK, samples=3, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"candidates": []}, ConfigurationError, "no candidate is named"),
        ({"candidates": ["ar:1", "ar:1"]}, ConfigurationError, "candidate 'ar:1' is named twice"),
        ({"candidates": [{"order": 3}]}, ConfigurationError, "'order' is no setting of it; expected a family with its"),
        (
            {"candidates": ["ar:1", "arr"]},
            ConfigurationError,
            "candidate 'arr' in outer fold 1: model 'arr' is not known",
        ),
        ({"candidates": ["ar:99"]}, DataError, "candidate 'ar:99' in outer fold 1: a model of order 99 reads 99 rows"),
        ({"candidates": [{"family": "ar", "training": {"seed": 1}}]}, ConfigurationError, "a seed of its own"),
        ({"metric": "mea"}, ConfigurationError, "metric 'mea' is not known here"),
        ({"seeds": ()}, ConfigurationError, "expected one at least"),
        (
            {"outer": RollingOrigin(8, test=40)},
            DataError,
            "RollingOrigin.* needs 321 rows, there are 300: folds=7 fits",
        ),
        ({"inner": Blocked(6, test=40)}, DataError, "Blocked.* needs 246 rows, there are 217: folds=5 fits"),
    ],
)
def test_refusals(data, tmp_path: Path, change, error, message) -> None:
    given = {"outer": OUTER, "inner": INNER, "candidates": ["ar:1"], "task": TASK, "folder": tmp_path / "cv"} | change
    with pytest.raises(error, match=message):
        nested_cross_validate(data, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_is_defined_for_no_candidate_is_refused() -> None:
    """A series that has not moved yet has no step to scale errors by."""
    values = np.where(np.arange(60) < 50, 1.0, np.arange(60.0))
    data = read_series(pl.DataFrame({"y": values}), time="none")
    with pytest.raises(DataError, match="mase is not defined in the inner folds of any candidate"):
        nested_cross_validate(
            data, RollingOrigin(1, test=8), RollingOrigin(1, test=8), ["ar:1"], metric="mase",
            task={"horizon": 2, "lookback": 4, "period": 1}, samples=3,
        )  # fmt: skip
