"""Bits per character, computed again from the surprise of each character."""

import bz2
import importlib
import lzma
import math
import zlib
from collections import Counter
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from throughtime.evaluation import likelihood

# The function hides the module of its name.
module = importlib.import_module("throughtime.evaluation.likelihood")


def test_the_model_is_scored_as_by_its_surprise(text_run, monkeypatch) -> None:
    """With the whole past as context, the mean is that of `score`."""
    data = text_run.read()
    _, start, _ = text_run.task.split.bounds(len(data.tokens))
    monkeypatch.setattr(module, "_CONTEXT", len(data.tokens))
    monkeypatch.setattr(module, "_STREAMS", 1)
    wanted = text_run.score(data.tokens)[start - 1 :].mean()
    found = likelihood(text_run, data)
    assert found.model["nats"] == pytest.approx(wanted, abs=1e-6)
    assert found.symbols == len(data.tokens) - start


@pytest.mark.parametrize("streams", [1, 3, 7])
def test_streams_with_a_warm_up_give_nearly_the_same(text_run, monkeypatch, streams) -> None:
    data = text_run.read()
    _, start, _ = text_run.task.split.bounds(len(data.tokens))
    monkeypatch.setattr(module, "_STREAMS", streams)
    monkeypatch.setattr(module, "_STEPS_AT_ONCE", 40)
    wanted = text_run.score(data.tokens)[start - 1 :].mean()
    assert likelihood(text_run, data).model["nats"] == pytest.approx(wanted, abs=1e-4)


def test_units_agree(text_run) -> None:
    found = likelihood(text_run, text_run.read())
    assert found.unit == "character"
    for values in (found.model, *found.baselines.values()):
        assert values["bits"] == pytest.approx(values["nats"] / math.log(2))
        assert values["perplexity"] == pytest.approx(2 ** values["bits"])


def test_baselines_computed_again(text_run) -> None:
    data = text_run.read()
    text = data.vocabulary.decode(data.tokens)
    train_end, start, _ = text_run.task.split.bounds(len(text))
    counts, symbols = Counter(text[:train_end]), len(data.vocabulary)
    nats = -np.mean([math.log((counts[symbol] + 1) / (train_end + symbols)) for symbol in text[start:]])
    before, whole = text[:start].encode(), text.encode()
    pack = {"zlib": lambda b: zlib.compress(b, 9), "bz2": lambda b: bz2.compress(b, 9),
            "lzma": lambda b: lzma.compress(b, preset=9 | lzma.PRESET_EXTREME)}  # fmt: skip
    sizes = {name: len(compress(whole)) - len(compress(before)) for name, compress in pack.items()}
    best = min(sizes, key=sizes.__getitem__)
    found = likelihood(text_run, data).baselines
    assert found["unigram"]["nats"] == pytest.approx(nats)
    assert found[f"compressor ({best})"]["bits"] == pytest.approx(8 * sizes[best] / (len(text) - start))


def test_what_is_shown(text_run) -> None:
    shares: list[float] = []
    found = likelihood(text_run, text_run.read(), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    console = Console(width=100, file=StringIO())
    console.print(found.table())
    shown = console.file.getvalue()
    assert f"{found.model['bits']:.4f}" in shown
    assert "unigram" in shown
    assert found.plot().axes[0].get_xlim()[0] == 0
