"""Which layers, and which reading of them, tell classes best: cross-validation inside training files.

Every model trains as `throughtime train --task classify --split 1,0,0` does, on all folds but one, and is scored on
that one; then on one alone, and is scored on the others, since many a file is too easy to tell good models apart. No
test file is read. What was found is kept, and not sought again without --force.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
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
Divided = Callable[[np.ndarray], Iterator[tuple[list[int], list[int]]]]
"""Of targets: which cases train and which test, time after time."""
SMALL = {"name": "tcn", "norm": "weight", "num_layers": 5, "hidden_size": 32, "kernel_size": 3}
WIDE = {"name": "tcn", "norm": "batch", "num_layers": 3, "hidden_size": 64, "kernel_size": 9}
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "TCN, weights normalised, dropout 0.2, attention": (SMALL | {"dropout": 0.2}, "attention"),
    "TCN, weights normalised, mean": (SMALL, "mean"),
    "TCN, outputs normalised, attention": (SMALL | {"norm": "batch"}, "attention"),
    "TCN, outputs normalised, mean": (SMALL | {"norm": "batch"}, "mean"),
    "TCN, outputs normalised, mean, kernels of 9": (WIDE, "mean"),
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
            scores = found.setdefault(name, {}).setdefault(of, {})
            for learnt, divided in LEARNT.items():
                if learnt not in scores:
                    scores[learnt] = cross_validated(data, family, pooling, 1 if settings.quick else 20, divided)
                    write_json(settings.out, kept.stem, found)
            print(f"{name}, {of}:", *(f"{learnt} {told(score)}" for learnt, score in scores.items()), flush=True)
    if settings.quick and settings.page is None:
        return
    tables = []
    for learnt in LEARNT:
        rows = [[name, *(told(found[name][of][learnt]) for of in sets)] for name in MODELS]
        tables.append(f"Trained on {learnt}:\n\n{table(['', *sets], rows)}")
    words = f"Accuracy and, in brackets, log loss in nats a case, over {FOLDS} folds of each training file; one seed."
    write_section("labels", "\n\n".join([*tables, words]), settings.page or ROOT / "docs" / "labels.md")


def cross_validated(
    data: Labelled, family: dict[str, Any], pooling: str, epochs: int, divided: Divided
) -> tuple[float, float] | None:
    """The share of cases that is told rightly, and the mean of −log p, by models that have not seen them.

    `None` where one would see no case of some class.
    """
    assert data.targets is not None
    right, nats = [], []
    for seen, unseen in divided(data.targets):
        if len(np.unique(data.targets[seen])) < len(data.layout.classes or ()):
            return None
        with tempfile.TemporaryDirectory() as folder:
            settings = {"task": {"split": ALL}, "training": {"epochs": epochs}, "model": {"pooling": pooling}}
            training = tt.prepare(data.take(seen), Path(folder) / "run", family=family, **settings)
            training.fit()
            assert isinstance(training.run, LabelRun)
            scores = torch.from_numpy(training.run.logits(data.take(unseen))).log_softmax(-1)
        targets = torch.from_numpy(data.targets[unseen])
        right += (scores.argmax(-1) == targets).tolist()
        nats += (-scores[torch.arange(len(targets)), targets]).tolist()
    return float(np.mean(right)), float(np.mean(nats))


def folds(targets: np.ndarray) -> Iterator[tuple[list[int], list[int]]]:
    """Cases that train and cases that test, every class spread evenly over the folds."""
    shuffled = np.random.default_rng(0).permutation(len(targets))
    place = np.empty(len(targets), int)
    place[shuffled[np.argsort(targets[shuffled], kind="stable")]] = np.arange(len(targets)) % FOLDS
    for fold in range(FOLDS):
        yield np.flatnonzero(place != fold).tolist(), np.flatnonzero(place == fold).tolist()


def turned(targets: np.ndarray) -> Iterator[tuple[list[int], list[int]]]:
    """The same folds, of which those that tested train."""
    return ((few, many) for many, few in folds(targets))


LEARNT: dict[str, Divided] = {"all folds but one": folds, "one fold": turned}
"""What trains."""


def told(figures: tuple[float, float] | None) -> str:
    return "–" if figures is None else f"{figures[0]:.3f} ({figures[1]:.3f})"


if __name__ == "__main__":
    main()
