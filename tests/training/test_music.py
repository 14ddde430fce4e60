"""From pieces of music to a run: what is learnt, kept, scored and played on, and what is refused."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from throughtime import (
    ArtifactError,
    ConfigurationError,
    DataError,
    ShapeError,
    UnsupportedError,
    load,
    prepare,
    resume,
)
from throughtime.artifacts import MusicRun, measured, store
from throughtime.data import MusicData, read_music, write_midi
from throughtime.evaluation import music_likelihood
from throughtime.models import BernoulliHead, Decoding
from throughtime.training import first_batch

SMALL = {"family": {"hidden_size": 6}, "training": {"epochs": 1}}
COUNTED = {"train": 1, "validation": 0, "test": 1}
TINY = {"rnn": {}, "gru": {}, "lstm": {}, "mingru": {}, "minlstm": {}, "tcn": {"num_layers": 2}, "mlp": {"order": 2},
        "transformer": {"num_layers": 1, "num_heads": 2, "hidden_size": 8}}  # fmt: skip


def waltzes(count: int = 10, bars: int = 4) -> MusicData:
    """A bass and two chords after it, over and over, in three keys."""
    rolls = np.zeros((count, 3 * bars, 88), bool)
    for shift, roll in zip(itertools.cycle(range(3)), rolls, strict=False):
        roll[::3, 20 + shift] = True
        roll[1::3, [40 + shift, 44 + shift]] = roll[2::3, [40 + shift, 44 + shift]] = True
    return MusicData(tuple(rolls), tuple(f"{index}.mid" for index in range(count)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> MusicRun:
    folder = tmp_path_factory.mktemp("music") / "run"
    fast = {"training": {"epochs": 8}, "optimizer": {"learning_rate": 2e-2, "warmup": 5}}
    prepare(waltzes(), folder, family={"hidden_size": 32, "dropout": 0.0}, **fast).fit()
    found = load(folder)
    assert isinstance(found, MusicRun)
    return found


def test_a_waltz_is_learnt(run: MusicRun):
    found = music_likelihood(run, waltzes(), whole=True)
    assert found.model["nats"] < found.baselines["each key's last frame"]["nats"] / 2
    assert found.symbols == 120
    assert found.sizes == (12,) * 10
    assert found.part == "rolls"


def test_a_run_is_the_same_after_loading(run: MusicRun):
    again = load(run.folder)
    np.testing.assert_array_equal(again.score(waltzes().pieces[3]), run.score(waltzes().pieces[3]))
    assert again.frames_per_beat == 2
    np.testing.assert_array_equal(again.transitions, run.transitions)
    assert again.transitions.sum() == 6 * 12 * 88


def test_the_score_is_the_density_of_the_model(run: MusicRun):
    roll = waltzes().pieces[2]
    x = torch.as_tensor(roll[:, None], dtype=torch.float32)
    with torch.inference_mode():
        wanted = -run.model.log_prob(x)[:, 0].numpy()
    np.testing.assert_allclose(run.score(roll), wanted, rtol=1e-5)
    assert len(wanted) == len(roll)


def test_before_training_each_key_is_as_likely_as_in_the_training_part(tmp_path: Path):
    run = prepare(waltzes(), tmp_path / "run", **SMALL).run
    head = run.model.head
    assert isinstance(head, BernoulliHead)
    learnt = np.concatenate([one.roll for one in run.parts(waltzes())[0]])
    wanted = (learnt.sum(0) + 0.5) / (len(learnt) + 1)
    np.testing.assert_allclose(head.linear.bias.detach().sigmoid(), wanted, rtol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_every_network_plays(name: str, tmp_path: Path):
    training = prepare(waltzes(5, 2), tmp_path / "run", family={"name": name, "hidden_size": 6} | TINY[name],
                       training={"epochs": 1})  # fmt: skip
    training.fit()
    run = load(tmp_path / "run")
    assert run.generate(5).roll.shape == (5, 88)
    batch = first_batch(run, waltzes(5, 2), steps=4)
    assert batch.inputs.shape == (4, 3, 88)


@pytest.mark.parametrize("name", ["ar:2", "markov:2", "segrnn"])
def test_what_is_no_network_of_vectors_is_refused(name: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=rf"{name.split(':')[0]} is no model of binary vectors"):
        prepare(waltzes(), tmp_path / "run", family=name)


def test_music_goes_on_from_what_is_given(run: MusicRun):
    piece = waltzes().pieces[0]
    greedy = Decoding(temperature=0.0)
    for given in (5, 6):  # both end in the same chord
        np.testing.assert_array_equal(run.generate(6, piece[:given], decoding=greedy).roll, piece[: given + 6])
    drawn = [run.generate(20, piece[:3], seed=seed).drawn for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()
    assert drawn[0].dtype == bool
    hot = run.generate(30, piece, decoding=Decoding(temperature=50.0)).drawn
    assert 0.4 < hot.mean() < 0.6
    played = run.generate(20, piece[:3])
    assert (played.given, len(played.roll)) == (3, 23)
    assert played.plot().axes[0].lines[0].get_xdata() == [1.5, 1.5]
    with pytest.raises(UnsupportedError, match="top-k and top-p are for symbols"):
        run.generate(3, decoding=Decoding(top_k=3))
    with pytest.raises(ConfigurationError, match="at least one frame"):
        run.generate(0)


@pytest.mark.parametrize(
    ("roll", "error", "words"),
    [
        (np.zeros((4, 60)), ShapeError, r"is \[4, 60\], expected \[time, 88\]"),
        (np.zeros((4, 1, 88)), ShapeError, r"is \[4, 1, 88\], expected"),
        (np.zeros((0, 88)), DataError, "no frame"),
        (np.full((2, 88), np.nan), DataError, "no numbers"),
    ],
)
def test_what_is_no_roll_is_neither_scored_nor_gone_on_from(
    run: MusicRun, roll: np.ndarray, error: type[Exception], words: str
):
    for call in (run.score, lambda given: run.generate(3, given)):
        with pytest.raises(error, match=words):
            call(roll)


def test_a_roll_of_loudness_is_one_of_keys(run: MusicRun):
    piece = waltzes().pieces[0]
    np.testing.assert_array_equal(run.score(piece.astype(np.uint8) * 80), run.score(piece))
    np.testing.assert_array_equal(run.generate(9, piece.astype(np.uint8) * 80).roll, run.generate(9, piece).roll)


@pytest.mark.parametrize("frames", [math.inf, math.nan, 0, -2, 481, 2.7, "2", None])
def test_frames_of_a_damaged_run_are_refused(run: MusicRun, tmp_path: Path, frames: object):
    refused(
        run, tmp_path / "run", r"data\.json is damaged.*frames_per_beat=.*expected 1 to 480", frames_per_beat=frames
    )


@pytest.mark.parametrize("count", [10**30, -1, 0.5, "many"])
def test_counts_of_a_damaged_run_are_refused(run: MusicRun, tmp_path: Path, count: object):
    counts = np.zeros((2, 2, 88)).astype(int).tolist()
    counts[1][0][7] = count
    refused(
        run, tmp_path / "run", r"data\.json is damaged.*counts are .*whole numbers, none below 0", transitions=counts
    )


def refused(run: MusicRun, folder: Path, words: str, **damage: object) -> None:
    """A copy of the run whose data.json is damaged so cannot be loaded."""
    shutil.copytree(run.folder, folder)
    (folder / "data.json").write_text(json.dumps(run.data | damage))
    with pytest.raises(ArtifactError, match=words):
        load(folder)


def test_from_silence_it_plays_what_begins_a_piece(run: MusicRun):
    with torch.inference_mode():
        first, _ = run.model(torch.zeros(1, 1, 88))
    likely = first.base_dist.probs[0, 0]
    assert likely[20:23].sum() > 0.9 > 0.1 > likely[40:47].sum()


def test_steps_are_frames_and_are_called_by_their_beats(run: MusicRun):
    data = waltzes(3)
    surprise = run.surprise(data)
    frame = surprise.frame()
    assert frame["series"].unique(maintain_order=True).to_list() == ["0.mid", "1.mid", "2.mid"]
    assert frame["step"].to_list()[:3] == [1, 2, 3]
    assert frame["time"].to_list()[:3] == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(frame["surprise"].to_numpy()[12:24], run.score(data.pieces[1]))
    rows = list(run.features(data))[1]
    assert rows["time"].to_list()[:2] == [-0.5, 0.0]
    assert len(rows) == 13
    with torch.inference_mode():
        opened = torch.as_tensor(np.concatenate([np.zeros((1, 88)), data.pieces[1]])[:, None], dtype=torch.float32)
        wanted, _ = run.model.features(opened)
    np.testing.assert_allclose(rows["h_3"], wanted[:, 0, 3], atol=1e-6)


def test_other_frames_are_refused(run: MusicRun):
    finer = MusicData(waltzes().pieces, waltzes().names, frames_per_beat=4)
    for call in (
        lambda: run.surprise(finer),
        lambda: list(run.features(finer)),
        lambda: run.parts(finer),
        lambda: first_batch(run, finer),
        lambda: music_likelihood(run, finer, whole=True),
    ):
        with pytest.raises(DataError, match=r"the data has 4 frames a beat, the run 2: read it by run\.read"):
            call()


def test_what_is_usual_is_measured_on_the_validation_part(run: MusicRun):
    chosen = run.parts(waltzes())[1]
    found = measured(run, waltzes())
    assert found.part == "validation"
    assert found.surprise.keys() == {one.name for one in chosen}
    np.testing.assert_allclose(found.surprise[chosen[0].name], run.score(chosen[0].roll), rtol=1e-5)


def test_a_single_piece_is_split_in_time(tmp_path: Path):
    data = waltzes(1, bars=20)
    training = prepare(data, tmp_path / "run", **SMALL)
    (learnt,), (validating,) = training.training.source.batches(0), training.validation.batches(0)
    assert (len(learnt.inputs), len(validating.inputs)) == (36, 48)
    assert validating.weights[:, 0].tolist() == [0.0] * 36 + [1.0] * 12
    training.fit()
    found = music_likelihood(training.run, data)
    assert (found.symbols, found.sizes) == (12, (12,))
    assert found.model["nats"] == pytest.approx(training.run.score(data.pieces[0])[48:].mean())


def test_long_pieces_are_learnt_in_stretches(tmp_path: Path):
    assert prepare(waltzes(3, 85), tmp_path / "a", **SMALL).settings.strategy == "full"
    long = prepare(waltzes(3, 86), tmp_path / "b", **SMALL)
    assert long.settings.strategy == "truncated:256"
    assert len(first_batch(long.run, waltzes(3, 86)).inputs) == 256
    assert len(first_batch(long.run, waltzes(3, 86), steps=258).inputs) == 258
    assert long.fit() == "epochs"
    assert long.position.step == 2 * 32


def test_a_stopped_training_goes_on(tmp_path: Path):
    pytest.importorskip("mido")
    (tmp_path / "music").mkdir()
    for name, piece in zip(waltzes(5).names, waltzes(5).pieces, strict=True):
        write_midi(tmp_path / "music" / name, piece, frames_per_beat=4)
    data = read_music(tmp_path / "music", frames_per_beat=4)
    same = {"family": SMALL["family"], "optimizer": {"schedule": "constant"}}
    prepare(data, tmp_path / "whole", training={"epochs": 2}, **same).fit()
    prepare(data, tmp_path / "pieces", training={"epochs": 1}, **same).fit()
    further = resume(load(tmp_path / "pieces", weights=False), epochs=2)
    assert further.run.frames_per_beat == 4
    assert further.position.epoch == 1
    assert further.fit() == "epochs"
    wanted, found = (store.read_tensors(tmp_path / name / store.CHECKPOINT)[0] for name in ("whole", "pieces"))
    assert wanted.keys() == found.keys()
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []


def test_refusals(run: MusicRun, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"keys = 60: Input should be 88"):
        prepare(waltzes(), tmp_path / "run", model={"keys": 60}, **SMALL)
    everything = {"split": {"train": 1, "validation": 0, "test": 0}}
    nothing_left = prepare(waltzes(), tmp_path / "run", task=everything, **SMALL).run
    with pytest.raises(DataError, match=r"train 100%, validation 0%, test 0%, has no test part: name a FILE"):
        music_likelihood(nothing_left, waltzes())
    with pytest.raises(DataError, match=r"4 pieces leave the validation part empty"):
        prepare(waltzes(4), tmp_path / "run", task={"split": {"train": 0.8, "validation": 0.1, "test": 0.1}}, **SMALL)
    with pytest.raises(DataError, match=r"1 frames leave the train part empty .*, test 1 frames\)"):
        prepare(MusicData((np.ones((1, 88), bool),), ("a",)), tmp_path / "run", task={"split": COUNTED}, **SMALL)
    with pytest.raises(DataError, match=r"has 12 frames, 13 are asked for"):
        first_batch(run, waltzes(), steps=13)
    assert not (tmp_path / "run").exists()
