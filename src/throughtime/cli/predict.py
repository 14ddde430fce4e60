"""`throughtime predict`: the class or the value of each sequence in a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..artifacts import ClassPredictions, LabelRun, ValuePredictions, load
from ..data import Labelled
from . import _options as options
from ._console import print_json, progress, remark, say, working

_EACH = 3


def predict(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    out_path: Annotated[
        Path | None, typer.Option("--out", help="A .csv, .parquet or .png file; RUN/predictions.csv by default.")
    ] = None,
    fill: options.Fill = None,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Tell the class of each sequence in FILE and how probable each class is, or its value with intervals.

    Labels in FILE are not needed; where there are some, they stand beside what was told.

    Examples:

      throughtime predict runs/gestures new.csv --out predictions.csv

      throughtime predict runs/digits recordings/ --out predictions.png
    """
    trained = load(run, device=options.device(device))
    options.mend(trained, fill)
    if not isinstance(trained, LabelRun):
        raise options.of_another_kind(trained)
    with working("reading"):
        data = trained.read(file)
    remark(*data.notes)
    with progress("predicting") as told:
        found = trained.predict(data, told)
    path = run / "predictions.csv" if out_path is None else out_path
    found.write(path)
    if json:
        print_json({"file": str(path), "cases": len(data)} | _summary(found))
        return
    say(f"{_line(found)}{_cautions(trained, data, found)}; saved {path}")


def _summary(found: ClassPredictions | ValuePredictions) -> dict[str, Any]:
    if isinstance(found, ValuePredictions):
        least, median, most = np.quantile(found.predicted, [0, 0.5, 1]).tolist()
        return {"least": least, "median": median, "most": most}
    counts = Counter(found.classes[index] for index in found.predicted.tolist())
    right = {} if found.truth is None else {"accuracy": float((found.predicted == found.truth).mean())}
    return {"told": {name: counts[name] for name in found.classes}} | right


def _line(found: ClassPredictions | ValuePredictions) -> str:
    """Each case where they are few, else how many were told what."""
    content, cases = _summary(found), len(found.names)
    if isinstance(found, ValuePredictions):
        if cases <= _EACH:
            return ", ".join(f"{name}: {value:.4g}" for name, value in zip(found.names, found.predicted, strict=True))
        values = f"values from {content['least']:.4g} to {content['most']:.4g}, median {content['median']:.4g}"
        return f"{cases:,} cases: {values}"
    if cases <= _EACH:
        told = zip(found.names, found.predicted, found.probabilities.max(axis=1), strict=True)
        line = "; ".join(f"{name}: class {found.classes[index]}, p {share:.2f}" for name, index, share in told)
    else:
        told = ", ".join(f"{name} × {count:,}" for name, count in content["told"].items() if count)
        line = f"{cases:,} cases: {told}"
    return line + (f"; {content['accuracy']:.1%} right" if "accuracy" in content else "")


def _cautions(run: LabelRun, data: Labelled, found: ClassPredictions | ValuePredictions) -> str:
    """What keeps the figures from meaning what they seem to."""
    if isinstance(found, ValuePredictions):
        return ""
    learnt = 0 if found.truth is None else run.learnt_from(data)
    seen = f", but trained on {learnt:,} of them (the rest: throughtime evaluate {run.folder})" if learnt else ""
    return seen + ("" if run.temperature.cases else "; p not calibrated")
