"""Figures of music, against a loop over frames and keys."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from throughtime import prepare
from throughtime.data import MusicData
from throughtime.evaluation import music_likelihood


def test_baselines_are_those_of_a_loop(tmp_path: Path):
    random = np.random.default_rng(0)
    data = MusicData(tuple(random.random((length, 88)) < 0.2 for length in range(5, 11)), tuple("abcdef"))
    run = prepare(data, tmp_path / "run", family={"hidden_size": 4}, training={"epochs": 1}).run
    learnt, _, tested = run.parts(data)
    often, after = np.full((2, 88), 0.5), np.full((2, 2, 88), 0.5)  # Krichevsky and Trofimov's half
    for one in learnt:
        for frame, key in np.ndindex(one.roll.shape):
            before, now = int(frame > 0 and one.roll[frame - 1, key]), int(one.roll[frame, key])
            often[now, key] += 1
            after[before, now, key] += 1
    alone, last, frames = 0.0, 0.0, 0
    for one in tested:
        frames += len(one.roll)
        for frame, key in np.ndindex(one.roll.shape):
            before, now = int(frame > 0 and one.roll[frame - 1, key]), int(one.roll[frame, key])
            alone -= math.log(often[now, key] / often[:, key].sum())
            last -= math.log(after[before, now, key] / after[before, :, key].sum())
    found = music_likelihood(run, data)
    assert found.symbols == frames
    assert found.baselines["key frequencies"]["nats"] == pytest.approx(alone / frames)
    assert found.baselines["each key's last frame"]["nats"] == pytest.approx(last / frames)
    assert found.model["nats"] == pytest.approx(np.average(found.parts, weights=found.sizes))
    assert found.model["bits"] == pytest.approx(found.model["nats"] / math.log(2))
    assert found.table().title == f"test part: {frames} frames"
    assert found.table().caption == "lower is better"
