"""Shakespeare by the character: how surprising is the last tenth, to what has read the nine before."""

from __future__ import annotations

from pathlib import Path

from _common import DATA

from throughtime import prepare, read_text
from throughtime.artifacts import SymbolRun
from throughtime.data import Split
from throughtime.evaluation import likelihood

from .protocol import Protocol

FILE = "tinyshakespeare/input.txt"
METRIC = "nats a character"


def run(model: str, seed: int, folder: Path) -> dict[str, float]:
    data = read_text(DATA / FILE)
    settings = {"task": {"split": Split(0.9, 0.0, 0.1)}, "training": {"seed": seed, "time_budget": 900}}
    training = prepare(data, folder / "run", family=model.lower(), **settings)
    training.fit()
    assert isinstance(training.run, SymbolRun)
    return {METRIC: likelihood(training.run, data).model["nats"]}


PROTOCOL = Protocol(
    name="shakespeare",
    title="Tiny Shakespeare, by the character",
    data=(FILE,),
    words="""1,115,394 characters: the first nine tenths train, the last is foretold, every character from all before
    it, the state carried along. It is what `throughtime train --split 0.9,0,0.1 --time-budget 15m` gives: two layers
    of 256 units. Sizes and epochs were chosen on the tenth before the last, with the first eight to train on;
    nothing chooses the step here. nanoGPT's figures are of the same tenth, which chose the step of that on a GPU.""",
    metrics=(METRIC,),
    published={"nanoGPT, about 3 minutes on a CPU": {METRIC: 1.88}, "nanoGPT, on a GPU": {METRIC: 1.4697}},
    source="the README of nanoGPT, <https://github.com/karpathy/nanoGPT>",
    models=("LSTM",),
    run=run,
)
