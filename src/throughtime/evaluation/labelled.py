"""How good the labels are that a model gives to whole sequences it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .._errors import DataError
from ..artifacts import TARGET, LabelRun, Temperature, ValuePredictions
from ..data import Labelled
from .classification import Classification, classified
from .regression import Regression, regressed


def labelling(
    run: LabelRun,
    data: Labelled,
    *,
    whole: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Classification | Regression:
    """Score the test part of `data`, by the run's own split, or all of it, beside one who looks at no sequence.

    Args:
        run: the trained model.
        data: with labels, of the classes of the run.
        whole: whether `data` is another than the run was trained on, and all of it is for testing.
        progress: is told the share that is done.

    Raises:
        DataError: if there are no labels, or the run has no test part.

    Example:
        >>> import tempfile
        >>> from throughtime import prepare
        >>> from throughtime.data import read_labelled
        >>> import polars as pl
        >>> steps = np.arange(240)
        >>> frame = pl.DataFrame({"id": steps // 6, "x": np.sin(steps) + 3 * (steps // 6 % 2), "label": steps // 6 % 2})
        >>> data, small = read_labelled(frame), {"family": {"hidden_size": 8}, "training": {"epochs": 3}}
        >>> training = prepare(data, Path(tempfile.mkdtemp()) / "run", **small)
        >>> _ = training.fit()
        >>> labelling(training.run, data).cases
        8
    """
    tested, part = (data, _named(data)) if whole else (run.parts(data)[2], "test part")
    if not len(tested):
        raise DataError(
            f"the split, {run.task.split.words(run.split_unit)}, has no test part: "
            "name a FILE that the model was not trained on"
        )
    truth = run.scaled_targets(tested)
    if run.layout.classes is None:
        predictions = run.predict(tested, progress)
        assert isinstance(predictions, ValuePredictions)
        return regressed(predictions, float(run.scaler.means[TARGET][0]), part=part)
    logits = run.logits(tested, progress)
    frequencies = np.array(run.data["counts"], float)
    return classified(
        run.temperature.probabilities(logits),
        Temperature().probabilities(logits),
        truth,
        run.classes,
        frequencies / frequencies.sum(),
        part=part,
        temperature=run.temperature.value,
    )


def _named(data: Labelled) -> str:
    return "the frame" if data.source is None else Path(data.source.path).name
