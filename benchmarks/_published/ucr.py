"""Three data sets of the UCR/UEA archive: whole sequences, each of a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _common import DATA

from throughtime.data import Labelled, Split, read_labelled
from throughtime.evaluation import Classification, labelling
from throughtime.training import prepare

from .protocol import Protocol

METRIC = "accuracy"
PUBLISHED = {
    "GunPoint": {"LSTM-FCN": {METRIC: 1.00}},
    "ItalyPowerDemand": {"LSTM-FCN": {METRIC: 0.963}},
    "JapaneseVowels": {"LSTM-FCN": {METRIC: 0.99}, "MLSTM-FCN": {METRIC: 1.00}},
}
_UNIVARIATE = "Karim et al., LSTM fully convolutional networks, 2018, <https://arxiv.org/abs/1709.05206>"
_MULTIVARIATE = "Karim et al., Multivariate LSTM-FCNs, 2019, <https://arxiv.org/abs/1801.04503>"
SOURCES = {"GunPoint": _UNIVARIATE, "ItalyPowerDemand": _UNIVARIATE, "JapaneseVowels": _MULTIVARIATE}
FAMILIES: dict[str, dict[str, Any]] = {"tcn": {"name": "tcn"}, "gru": {"name": "gru"}}
ALL = Split(1.0, 0.0, 0.0)


def file(name: str, part: str) -> str:
    """Where a part stands in the data folder."""
    return f"ucr/{name}/{name}_{part}.ts"


def measured(data: Labelled, tested: Labelled, family: dict[str, Any], seed: int, folder: Path) -> dict[str, float]:
    """Train on all of some cases, and score all of others."""
    training = prepare(data, folder / "run", task={"split": ALL}, family=family, training={"seed": seed})
    training.fit()
    found = labelling(training.run, tested, whole=True)
    assert isinstance(found, Classification)
    return {METRIC: found.model.accuracy, "log loss": found.model.log_loss}


def protocol_of(name: str) -> Protocol:
    def run(model: str, seed: int, folder: Path) -> dict[str, float]:
        data = read_labelled(DATA / file(name, "TRAIN"))
        tested = read_labelled(DATA / file(name, "TEST"), layout=data.layout)
        return measured(data, tested, FAMILIES[model], seed, folder)

    return Protocol(
        name=name.lower(),
        title=f"{name}, of the UCR/UEA archive",
        data=(file(name, "TRAIN"), file(name, "TEST")),
        words="""The archive's own training and test files. All cases of the training file train, as many updates as the
        defaults say; none are left to choose the step or to calibrate by. tcn is what `throughtime train --task
        classify --split 1,0,0` gives, gru the same with --model gru. Defaults were chosen by cross-validation inside
        the training files, twice more after the test figures of the ones before were known. The figure is the share
        of the test file that is told rightly.""",
        metrics=(METRIC,),
        published=PUBLISHED[name],
        source=SOURCES[name],
        models=tuple(FAMILIES),
        run=run,
        higher=True,
    )


PROTOCOLS = tuple(protocol_of(name) for name in PUBLISHED)
