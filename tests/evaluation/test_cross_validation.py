"""Cross-validation against folds trained one by one, and against what it must not know."""

import dataclasses
import math
import signal
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

from throughtime import ConfigurationError, DataError, load, read_series
from throughtime.artifacts import SeriesRun
from throughtime.data import Series, SeriesData, Split
from throughtime.evaluation import Blocked, CrossValidation, FoldScores, RollingOrigin, backtest, cross_validate
from throughtime.evaluation import fold_trials as trials_module
from throughtime.training import prepare

TASK = {"horizon": 3, "lookback": 8, "period": 1, "windows": 8, "batch_size": 8}
NETWORK = {"family": {"name": "gru", "hidden_size": 3}, "training": {"epochs": 1}, "task": TASK}
LINE = {"family": "ar:2", "task": TASK}
GAPPED = RollingOrigin(2, test=9, validation=7, gap=4)


def frame(rows: dict[str, int], seed: int = 0) -> pl.DataFrame:
    """Series of two targets."""
    random = np.random.default_rng(seed)
    parts = []
    for name, count in rows.items():
        values = np.sin(np.arange(count)[:, None] / 3 + [0, 1]) + random.normal(0, 0.2, (count, 2))
        parts.append(pl.DataFrame({"unique_id": name, "a": values[:, 0], "b": values[:, 1]}))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def data() -> SeriesData:
    return read_series(frame({"one": 80, "two": 67}), time="none")


def changed(data: SeriesData, rows: Callable[[Series], slice]) -> SeriesData:
    """The same with other values in some rows of each series."""
    series = []
    for one in data.series:
        observed = one.observed.copy()
        observed[rows(one)] = 7 - 3 * observed[rows(one)]
        series.append(dataclasses.replace(one, observed=observed))
    return dataclasses.replace(data, series=tuple(series))


def cut(data: SeriesData, rows: Callable[[Series], slice]) -> SeriesData:
    series = (
        Series(one.name, one.times[rows(one)], one.observed[rows(one)], one.known[rows(one)]) for one in data.series
    )
    return SeriesData(tuple(series), data.layout)


def kept(folder: Path, fold: int, seed: int = 0) -> SeriesRun:
    run = load(folder / f"fold-{fold}-seed-{seed}")
    assert isinstance(run, SeriesRun)
    return run


def figures(found: CrossValidation, fold: int) -> dict[str, float]:
    return next(one.figures for one in found.scores if one.fold == fold)


@pytest.mark.parametrize("settings", [NETWORK, LINE], ids=["network", "line"])
def test_what_comes_later_changes_nothing(data, settings, tmp_path: Path) -> None:
    """Weights, scaling and settings of a fold, bit for bit, whatever its gap, its test part and the rest are."""
    other = changed(data, lambda one: slice(GAPPED.split(len(one))[0].gap.start, None))
    one, two = (cross_validate(each, GAPPED, **settings, samples=5, folder=tmp_path / name)
                for each, name in ((data, "one"), (other, "two")))  # fmt: skip
    runs = [kept(tmp_path / name, 1) for name in ("one", "two")]
    weights, others = (run.model.state_dict() for run in runs)
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert runs[0].scaler.to_dict() == runs[1].scaler.to_dict()
    assert runs[0].data == runs[1].data
    assert runs[0].configuration == runs[1].configuration
    assert figures(one, 1) != figures(two, 1)
    later = [kept(tmp_path / name, 2) for name in ("one", "two")]
    assert later[0].scaler.to_dict() != later[1].scaler.to_dict()


def test_a_forecast_reads_the_gap_but_no_later_row(data, tmp_path: Path) -> None:
    cross_validate(data, GAPPED, **LINE, samples=5, folder=tmp_path / "cv")
    run, first = kept(tmp_path / "cv", 1), data.series[0]
    start = GAPPED.split(len(first))[0].test.start

    def paths(rows: slice) -> np.ndarray:
        series = changed(data, lambda one: rows).series[0]
        return run.paths_at(series, series.known, np.array([start]), 3, 5, 0)

    unchanged = paths(slice(0, 0))
    np.testing.assert_array_equal(paths(slice(start, None)), unchanged)
    assert not np.array_equal(paths(slice(start - 1, start)), unchanged)


def test_defaults_are_found_in_the_past_alone(tmp_path: Path) -> None:
    """A season that begins with the test part of the first fold is not known to it."""
    values = np.random.default_rng(0).normal(size=240)
    seasonal = np.concatenate([values[:120], np.tile(np.arange(6.0), 20)])
    for name, each in (("plain", values), ("seasonal", seasonal)):
        found = read_series(pl.DataFrame({"y": each}), time="none")
        cross_validate(found, RollingOrigin(2, test=60), family="ar:1", samples=3, folder=tmp_path / name)
    one, two = (kept(tmp_path / name, 1) for name in ("plain", "seasonal"))
    assert one.task == two.task
    assert one.data == two.data


def test_a_fold_does_not_read_what_was_filled_from_later_rows(tmp_path: Path) -> None:
    """A missing stretch at the end of the training rows is a line to the first value of the test part."""
    scheme = RollingOrigin(1, test=10)
    for name, later in (("low", 0.0), ("high", 50.0)):
        row = pl.int_range(pl.len())
        table = frame({"one": 60}).with_columns(
            a=pl.when(row.is_between(46, 49)).then(None).when(row == 50).then(later).otherwise("a")
        )
        mended = read_series(table, time="none", fill="linear")
        assert mended.series[0].observed[49, 0] == pytest.approx(0.8 * later + 0.2 * table["a"][45])
        cross_validate(mended, scheme, **LINE, samples=3, folder=tmp_path / name)
    one, two = (kept(tmp_path / name, 1) for name in ("low", "high"))
    assert one.scaler.to_dict() == two.scaler.to_dict()
    assert all(torch.equal(*pair) for pair in zip(one.model.parameters(), two.model.parameters(), strict=True))
    expected = frame({"one": 60})["a"].to_numpy()[:50].copy()
    expected[46:] = expected[45]
    assert one.scaler.means["one"][0] == pytest.approx(expected.mean())


def test_a_column_never_observed_in_the_past_is_refused() -> None:
    table = frame({"one": 60}).with_columns(a=pl.when(pl.int_range(pl.len()) >= 50).then("a"))
    mended = read_series(table, time="none", fill="linear")
    with pytest.raises(DataError, match="series 'one' has a column of which none of the 50 rows before the test"):
        cross_validate(mended, RollingOrigin(1, test=10), **LINE)


@pytest.mark.parametrize(
    ("settings", "scheme"),
    [
        (NETWORK, GAPPED),
        (LINE, RollingOrigin(2, test=6, window=30, gap=2, step=4)),
        (LINE, Blocked(2, test=6, validation=5, gap=1)),
    ],
    ids=["expanding", "sliding", "blocked"],
)
def test_each_fold_trained_by_hand(data, settings, scheme, tmp_path: Path) -> None:
    """The rows are cut here by plain slices, and the parts told by another split."""
    found = cross_validate(data, scheme, **settings, seeds=(3,), samples=7)
    settings = settings | {"training": settings.get("training", {}) | {"seed": 3}}
    for number in range(2):
        folds = {one.name: scheme.split(len(one))[number] for one in data.series}
        past = cut(data, lambda one, folds=folds: slice(folds[one.name].train.start, folds[one.name].validation.stop))
        whole = cut(data, lambda one, folds=folds: slice(folds[one.name].train.start, folds[one.name].test.stop))
        split = Split(1, scheme.validation, 0)
        task = settings["task"] | {"split": split}
        training = prepare(past, tmp_path / str(number), **settings | {"task": task})
        training.fit()
        between = scheme.validation + scheme.gap
        expected = backtest(training.run, whole, samples=7, seed=3, split=Split(1, between, scheme.test))
        assert expected.origins == len(data.series) * (scheme.test - 3 + 1)
        (mine,) = (one for one in found.scores if one.fold == number + 1)
        assert mine.origins == expected.origins
        assert mine.figures["log_likelihood"] == expected.log_likelihood
        for metric in ("mae", "rmse", "mase", "smape", "crps"):
            assert mine.figures[metric] == getattr(expected.model, metric)
            assert mine.baselines["drift"][metric] == getattr(expected.baselines["drift"], metric)


def test_the_last_fold_is_the_ordinary_split(tmp_path: Path) -> None:
    """Of 100 rows, 70 train, 10 validate and 20 test, as fractions say."""
    data = read_series(frame({"one": 100}), time="none")
    training = prepare(data, tmp_path / "run", **LINE)
    training.fit()
    expected = backtest(training.run, data, samples=7)
    found = cross_validate(data, RollingOrigin(2, test=20, validation=10), **LINE, samples=7)
    last = figures(found, 2)
    assert (last["crps"], last["mase"]) == (expected.model.crps, expected.model.mase)
    assert last["log_likelihood"] == expected.log_likelihood


def test_seeds_are_trainings_of_their_own(data) -> None:
    scheme = RollingOrigin(1, test=9)
    one = cross_validate(data, scheme, **NETWORK, seeds=(0, 1), samples=5)
    again = cross_validate(data, scheme, **NETWORK, seeds=(1,), samples=5)
    values = one.values("crps")
    assert one.seeds == (0, 1)
    assert (values[:, 0] != values[:, 1]).all()
    np.testing.assert_array_equal(values[:, 1:], again.values("crps"))


def made(values: list[list[float]]) -> CrossValidation:
    """A result with given figures [fold, seed]."""
    baselines = {"naive": {"crps": 4.0}, "drift": {"crps": 9.0}}
    scores = tuple(
        FoldScores(fold, seed, 5, dict.fromkeys(trials_module.FIGURES, value), baselines)
        for fold, row in enumerate(values, 1)
        for seed, value in enumerate(row)
    )
    return CrossValidation(RollingOrigin(len(values), test=5), {"": 50}, 2, scores)


def test_mean_and_standard_error_by_hand() -> None:
    found = made([[1.0, 3.0], [4.0, 4.0], [7.0, 11.0]])
    assert found.values("mae").tolist() == [[1, 3], [4, 4], [7, 11]]
    assert found.mean("mae") == 5
    # The folds' means are 2, 4 and 9: s² = (9 + 1 + 16) / 2.
    assert found.standard_error("mae") == pytest.approx(math.sqrt(13 / 3))
    assert math.isnan(made([[1.0, 2.0]]).standard_error("mae"))
    assert made([[1.0]]).to_dict()["standard_error"]["mae"] is None
    with pytest.raises(ConfigurationError, match="metric 'mea' is not known here; known: mae, rmse"):
        found.mean("mea")


def test_what_is_shown(data) -> None:
    shares: list[float] = []
    found = cross_validate(data, GAPPED, **LINE, seeds=(0, 5), samples=5, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert [(each.fold, each.seed) for each in found.scores] == [(1, 0), (1, 5), (2, 0), (2, 5)]
    console = Console(width=80, file=StringIO())
    console.print(found.table())
    shown = console.file.getvalue()
    for words in ("2 folds, 2 seeds each, 3 steps ahead", "series 'one'", "1: 62–70", "2: 71–79", "seasonal naive",
                  f"{found.mean('crps'):.4g}", f"{found.standard_error('rmse'):.2g}"):  # fmt: skip
        assert words in shown
    assert "…" not in shown
    left, right = found.plot("mae").axes
    assert len(left.collections) == 8
    dots = right.lines[3].get_xydata().tolist()
    assert dots == [[value, fold + 1] for fold, row in enumerate(found.values("mae")) for value in row]
    record = found.to_dict()
    assert record["scheme"]["name"] == "RollingOrigin"
    assert record["folds"]["two"][1] == {"train": [0, 47], "validation": [47, 54], "gap": [54, 58], "test": [58, 67]}
    assert record["mean"]["crps"] == found.mean("crps")


def test_what_is_done_is_not_done_again(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cross_validate(data, GAPPED, **LINE, samples=5, folder=tmp_path / "cv")
    monkeypatch.setattr(trials_module, "backtest", None)
    assert cross_validate(data, GAPPED, **LINE, samples=5, folder=tmp_path / "cv") == found
    with pytest.raises(ConfigurationError, match="fold-1-seed-0 holds a fold with other settings or data"):
        cross_validate(data, GAPPED, **LINE, samples=6, folder=tmp_path / "cv")
    with pytest.raises(ConfigurationError, match="fold-1-seed-0 holds a fold with other settings or data"):
        cross_validate(data, GAPPED, **LINE | {"family": "ar:3"}, samples=5, folder=tmp_path / "cv")
    other = changed(data, lambda one: slice(-1, None))
    with pytest.raises(ConfigurationError, match=r"fold 2, seed 0: .*fold-2-seed-0 holds a fold with other"):
        cross_validate(other, GAPPED, **LINE, samples=5, folder=tmp_path / "cv")


@pytest.mark.parametrize(("fold", "left"), [(1, []), (2, ["fold-1-seed-0"])])
def test_a_fold_that_fails_leaves_nothing(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fold, left) -> None:
    calls = []

    def failing(*given, **named):
        calls.append(given)
        if len(calls) == fold:
            raise DataError("it does not work")
        return backtest(*given, **named)

    monkeypatch.setattr(trials_module, "backtest", failing)
    with pytest.raises(DataError, match=f"fold {fold}, seed 0: it does not work"):
        cross_validate(data, GAPPED, **LINE, samples=5, folder=tmp_path / "cv")
    assert [path.name for path in tmp_path.glob("cv/*")] == left
    assert (tmp_path / "cv").exists() == bool(left)


@pytest.mark.parametrize(("after", "left"), [(0.5, ["fold-1-seed-0"]), (0.0, [])], ids=["second fold", "first fold"])
def test_ctrl_c_and_on(data, tmp_path: Path, after: float, left: list[str]) -> None:
    """Pressed once while a fold trains: those before it are kept, and the next call goes on from there."""
    pressed: list[float] = []

    def press(share: float) -> None:
        if share > after and not pressed:
            pressed.append(share)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cross_validate(data, GAPPED, **NETWORK, samples=5, folder=tmp_path / "cv", progress=press)
    assert pressed[0] < after + 0.1
    assert [path.name for path in tmp_path.glob("cv/*")] == left
    assert (tmp_path / "cv").exists() == bool(left)
    if left:
        found = cross_validate(data, GAPPED, **NETWORK, samples=5, folder=tmp_path / "cv")
        assert found == cross_validate(data, GAPPED, **NETWORK, samples=5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scheme": RollingOrigin(9, test=8)}, DataError, "series 'two': .* needs 73 rows, there are 67: folds=8"),
        ({"task": {"horizon": 10}}, ConfigurationError, "horizon 10 does not fit the 9 rows of each test part"),
        ({"task": {"split": Split()}}, ConfigurationError, "the folds say which rows train and test: leave it out"),
        ({"task": {"horizons": 3}}, ConfigurationError, "horizons = 3: there is no such setting"),
        ({"task": {"horizon": 8}}, DataError, "horizon 8 does not fit series 'two'.* validation part has 7"),
        ({"training": {"seed": 3}}, ConfigurationError, "training has a seed of its own: name it in seeds"),
        ({"training": {"epoch": 3}}, ConfigurationError, "epoch = 3: there is no such setting"),
        ({"seeds": ()}, ConfigurationError, r"seeds=\(\): expected one at least"),
        ({"seeds": (1, 1)}, ConfigurationError, r"seeds=\(1, 1\): expected one at least, and each once"),
        ({"family": "ar:20"}, DataError, "a model of order 20 reads 20 rows, the lookback is 8"),
        ({"family": "arr:2"}, ConfigurationError, "model 'arr:2' is not known"),
        ({"family": {"name": "ar", "order": 0}}, ConfigurationError, "order = 0"),
    ],
)
def test_refusals(data, tmp_path: Path, change, error, message) -> None:
    given = {"scheme": GAPPED, **LINE, "folder": tmp_path / "cv"} | change
    with pytest.raises(error, match=message):
        cross_validate(data, **given)
    assert list(tmp_path.iterdir()) == []


def test_scores_kept_are_not_those_of_a_longer_test_part(data, tmp_path: Path) -> None:
    """The rows of a fold may be the same in all, and divided otherwise."""
    cross_validate(data, RollingOrigin(1, test=9), **LINE, folder=tmp_path / "cv")
    with pytest.raises(ConfigurationError, match="holds a fold with other settings or data"):
        cross_validate(data, RollingOrigin(1, test=19), **LINE, folder=tmp_path / "cv")
