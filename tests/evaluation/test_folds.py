"""Folds against definitions written out, over all small settings."""

from itertools import product

import numpy as np
import pytest
from sklearn.model_selection import TimeSeriesSplit

from throughtime import ConfigurationError, DataError
from throughtime.evaluation import Blocked, Fold, RollingOrigin

ROWS = range(1, 24)
PARTS = list(product((1, 2, 3), (1, 2, 4), (0, 2), (0, 1, 3)))  # folds, test, validation, gap
ROLLING = [
    RollingOrigin(folds, test, validation=validation, gap=gap, window=window, step=step)
    for (folds, test, validation, gap), window, step in product(PARTS, (None, 1, 4), (None, 1, 3))
]
BLOCKED = [Blocked(folds, test, validation=validation, gap=gap) for folds, test, validation, gap in PARTS]


def rolled(scheme: RollingOrigin, rows: int) -> list[list[list[int]]]:
    """[train, validation, test] of each fold, cut off the end of the list of all rows; may be impossible."""
    every, folds = list(range(rows)), []
    while len(folds) < scheme.folds:
        kept, test = every[: -scheme.test], every[-scheme.test :]
        fitted = kept[: max(0, len(kept) - scheme.gap)]
        train = fitted[: max(0, len(fitted) - scheme.validation)]
        validation = fitted[len(train) :]
        if scheme.window is not None:
            train = train[-scheme.window :] if len(train) >= scheme.window else []
        folds.insert(0, [train, validation, test])
        every = every[: -(scheme.step or scheme.test)]
    return folds


def listed(fold: Fold) -> list[list[int]]:
    return [list(fold.train), list(fold.validation), list(fold.test)]


@pytest.mark.parametrize("window", [None, 1, 4])
def test_a_rolling_origin_cut_by_hand(window: int | None) -> None:
    compared = 0
    for scheme, rows in product((one for one in ROLLING if one.window == window), ROWS):
        expected = rolled(scheme, rows)
        if any(not train or len(test) < scheme.test for train, _, test in expected):
            assert rows < scheme.rows_needed
            with pytest.raises(DataError, match=f"needs {scheme.rows_needed} rows, there are {rows}"):
                scheme.split(rows)
        else:
            assert rows >= scheme.rows_needed
            assert [listed(fold) for fold in scheme.split(rows)] == expected
            compared += 1
    assert compared > 1000


def test_blocks_cover_the_series_once() -> None:
    compared = 0
    for scheme, rows in product(BLOCKED, ROWS):
        if rows < scheme.folds * (1 + scheme.validation + scheme.gap + scheme.test):
            with pytest.raises(DataError, match=f"needs {scheme.rows_needed} rows, there are {rows}"):
                scheme.split(rows)
            continue
        folds = scheme.split(rows)
        every = [row for fold in folds for part in fold.parts.values() for row in part]
        assert every == list(range(rows))
        lengths = [fold.test.stop - fold.train.start for fold in folds]
        assert max(lengths) - min(lengths) <= 1
        for fold in folds:
            assert len(fold.train) >= 1
            assert [len(fold.validation), len(fold.gap), len(fold.test)] == [scheme.validation, scheme.gap, scheme.test]
        compared += 1
    assert compared > 200


def test_nothing_is_fitted_on_what_is_tested_or_comes_after() -> None:
    for scheme, more in product([*ROLLING, *BLOCKED], range(5)):
        rows = scheme.rows_needed + more
        folds = scheme.split(rows)
        assert len(folds) == scheme.folds
        assert [fold.test.start for fold in folds] == sorted({fold.test.start for fold in folds})
        for fold in folds:
            last = max([*fold.train, *fold.validation])
            assert min(fold.test) - last == scheme.gap + 1
            assert fold.train.start >= 0
            assert fold.test.stop <= rows


@pytest.mark.parametrize("window", [None, 5])
def test_as_scikit_learn_does(window: int | None) -> None:
    """What it calls the training set is here parted into training and validation."""
    theirs = list(TimeSeriesSplit(n_splits=4, max_train_size=window, test_size=3, gap=2).split(np.empty(37)))
    for validation in (0, 2):
        train = None if window is None else window - validation
        ours = RollingOrigin(4, test=3, gap=2, validation=validation, window=train).split(37)
        for fold, (fitted, tested) in zip(ours, theirs, strict=True):
            assert [*fold.train, *fold.validation] == fitted.tolist()
            assert list(fold.test) == tested.tolist()


def test_by_default_each_row_is_tested_once() -> None:
    tested = [row for fold in RollingOrigin(4, test=5, gap=2).split(50) for row in fold.test]
    assert tested == list(range(30, 50))


def test_a_refusal_says_what_fits() -> None:
    with pytest.raises(
        DataError, match=r"RollingOrigin\(folds=8, test=4, .* needs 42 rows, there are 20: folds=2 fits"
    ):
        RollingOrigin(8, test=4, window=10).split(20)
    with pytest.raises(DataError, match="needs 10 rows, there are 4: not even one fold fits: shorten its parts"):
        Blocked(2, test=4).split(4)
    with pytest.raises(DataError, match="needs 15 rows, there are 11: folds=2 fits"):
        Blocked(3, test=4).split(11)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 0, "test": 1}, "folds=0, expected 1 or more"),
        ({"folds": 1, "test": 0}, "test=0, expected 1 or more"),
        ({"folds": 1, "test": 1, "validation": -1}, "validation=-1, expected 0 or more"),
        ({"folds": 1, "test": 1, "gap": -2}, "gap=-2, expected 0 or more"),
        ({"folds": 1, "test": 1, "window": 0}, "window=0, expected 1 or more"),
        ({"folds": 1, "test": 1, "step": 0}, "step=0, expected 1 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RollingOrigin(**settings)


@pytest.mark.parametrize("scheme", [RollingOrigin(2, 3, validation=2, gap=1, step=2), Blocked(2, 3, gap=1)], ids=repr)
def test_the_picture_has_a_letter_for_every_row(scheme) -> None:
    rows, letters = 19, {"━": "train", "▒": "validation", "·": "gap", "█": "test"}
    for number, (line, fold) in enumerate(zip(scheme.picture(rows).splitlines(), scheme.split(rows), strict=True), 1):
        head, drawn = line.split(" ", 1)
        assert head == str(number)
        for row in range(rows):
            letter = drawn[row] if row < len(drawn) else " "
            assert [name for name, part in fold.parts.items() if row in part] == (
                [letters[letter]] if letter != " " else []
            )
    assert max(map(len, RollingOrigin(12, 50).picture(5000, width=40).splitlines())) <= 43


def test_the_plot_has_a_bar_for_every_part() -> None:
    scheme = RollingOrigin(3, test=4, validation=2, gap=1)
    (axes,) = scheme.plot(40).axes
    bars = [path.get_extents().intervalx.tolist() for bar in axes.collections for path in bar.get_paths()]
    assert bars == [[part.start, part.stop] for fold in scheme.split(40) for part in fold.parts.values()]
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ["train", "validation", "gap", "test"]
    assert [text.get_text() for text in Blocked(2, test=4).plot(40).legends[0].get_texts()] == ["train", "test"]
