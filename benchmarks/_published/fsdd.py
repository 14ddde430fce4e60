"""Spoken digits of one speaker."""

from __future__ import annotations

from pathlib import Path

from _common import DATA

from throughtime.data import read_labelled

from .protocol import Protocol
from .ucr import METRIC, measured

FOLDER = "fsdd"
TEST = range(5)
"""The indices of the test part."""

FAMILIES = {"tcn": {"name": "tcn"}, "gru": {"name": "gru"}}


def index(name: str) -> int:
    """Of `DIGIT_SPEAKER_INDEX.wav`."""
    return int(Path(name).stem.rsplit("_", 1)[1])


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    data = read_labelled(DATA / FOLDER)
    cases = {
        part: [case for case, name in enumerate(data.names) if (index(name) in TEST) == part] for part in (False, True)
    }
    return measured(data.take(cases[False]), data.take(cases[True]), FAMILIES[model], seed, folder)


PROTOCOL = Protocol(
    name="fsdd",
    title="Spoken digits (FSDD), one speaker",
    data=(f"{FOLDER}/0_jackson_0.wav",),
    words="""60 recordings of ten digits at 8 kHz by one speaker. Those with the indices 0 to 4 are the test part, as
    in the original, which has more recordings and five more speakers: 30 train here, 30 test. Sound becomes 40 log-mel
    bands each 10 ms, standardised by the training part, all of which trains. Models have the defaults of `throughtime
    train --task classify`, which were chosen by cross-validation inside the training part, a second time after the test
    figures of the first ones were known. The figure is the share of the test part that is told rightly. No figure is
    published on this subset.""",
    metrics=(METRIC,),
    published={},
    source="none: no figure is published on this subset",
    models=tuple(FAMILIES),
    run=run,
    higher=True,
)
