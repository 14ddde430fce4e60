"""Which layers, and which reading of them, tell classes best: cross-validation inside training files.

Every model trains as `throughtime train --task classify --split 1,0,0` does, on all folds but one, and is scored on
that one. No test file is read. What was found is kept, and not sought again without --force.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import DATA, machine, options, write_json
from _page import ROOT, table, write_section
from _published.fsdd import FOLDER, TEST, index
from _published.ucr import ALL, PUBLISHED, file

import throughtime as tt
from throughtime.artifacts import LabelRun
from throughtime.data import Labelled, read_labelled

FOLDS = 5
TCN = {"name": "tcn", "norm": "weight"}
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "TCN, weights normalised, dropout 0.2, attention": (TCN | {"dropout": 0.2}, "attention"),
    "TCN, weights normalised, mean": (TCN, "mean"),
    "TCN, outputs normalised, attention": (TCN | {"norm": "batch"}, "attention"),
    "TCN, outputs normalised, mean": (TCN | {"norm": "batch"}, "mean"),
    "GRU, attention": ({"name": "gru"}, "attention"),
    "GRU, mean": ({"name": "gru"}, "mean"),
    "GRU, last step": ({"name": "gru"}, "last"),
}


def main() -> None:
    settings = options(__doc__).parse_args()
    torch.set_num_threads(settings.threads)
    print(machine())
    files = {name: DATA / file(name, "TRAIN") for name in PUBLISHED}
    sets = {name: read_labelled(path) for name, path in files.items() if path.exists()}
    if (DATA / FOLDER).is_dir():
        digits = read_labelled(DATA / FOLDER)
        sets["digits"] = digits.take([case for case, name in enumerate(digits.names) if index(name) not in TEST])
    if not sets:
        print(f"skipped: {DATA} has none of the data sets; THROUGHTIME_DATA names another folder")
        return
    kept = settings.out / ("labels-quick.json" if settings.quick else "labels.json")
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() and not settings.force else {}
    for name, (family, pooling) in MODELS.items():
        for of, data in sets.items():
            if of not in found.setdefault(name, {}):
                found[name][of] = cross_validated(data, family, pooling, 1 if settings.quick else 20)
                write_json(settings.out, kept.stem, found)
            print(f"{name}, {of}: {told(found[name][of])}", flush=True)
    if settings.quick and settings.page is None:
        return
    rows = [[name, *map(told, of.values())] for name, of in found.items()]
    words = f"Accuracy and, in brackets, log loss in nats a case, over {FOLDS} folds of each training file; one seed."
    write_section("labels", f"{table(['', *sets], rows)}\n\n{words}", settings.page or ROOT / "docs" / "labels.md")


def cross_validated(data: Labelled, family: dict[str, Any], pooling: str, epochs: int) -> tuple[float, float]:
    """The share of cases that is told rightly, and the mean of −log p, each case by a model that has not seen it."""
    assert data.targets is not None
    logits = np.zeros((len(data), len(data.layout.classes or ())))
    for seen, unseen in folds(data.targets):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"task": {"split": ALL}, "training": {"epochs": epochs}, "model": {"pooling": pooling}}
            training = tt.prepare(data.take(seen), Path(folder) / "run", family=family, **settings)
            training.fit()
            assert isinstance(training.run, LabelRun)
            logits[unseen] = training.run.logits(data.take(unseen))
    scores = torch.from_numpy(logits).log_softmax(-1)
    own = scores[torch.arange(len(data)), torch.from_numpy(data.targets)]
    return float((logits.argmax(-1) == data.targets).mean()), -float(own.mean())


def folds(targets: np.ndarray) -> Iterator[tuple[list[int], list[int]]]:
    """Cases that train and cases that test, every class spread evenly over the folds."""
    shuffled = np.random.default_rng(0).permutation(len(targets))
    place = np.empty(len(targets), int)
    place[shuffled[np.argsort(targets[shuffled], kind="stable")]] = np.arange(len(targets)) % FOLDS
    for fold in range(FOLDS):
        yield np.flatnonzero(place != fold).tolist(), np.flatnonzero(place == fold).tolist()


def told(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.3f} ({figures[1]:.3f})"


if __name__ == "__main__":
    main()
