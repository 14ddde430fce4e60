"""Pieces of music: which files are read, how they are parted and begun, and what is told of them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from throughtime import ConfigurationError, DataError, ShapeError
from throughtime.data import (
    Excerpt,
    MusicData,
    Sequences,
    Split,
    kind_of,
    piano_roll,
    read_music,
    transitions,
    write_midi,
)
from throughtime.data.pieces.description import key_name

pytest.importorskip("mido")


def scale(frames: int, lowest: int = 39) -> np.ndarray:
    """One key after the other, each held for two frames."""
    return np.repeat(np.eye(88, dtype=bool)[lowest : lowest + -(-frames // 2)], 2, axis=0)[:frames]


def pieces(*lengths: int) -> MusicData:
    return MusicData(tuple(map(scale, lengths)), tuple(f"{index}.mid" for index in range(len(lengths))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "music" / "more").mkdir(parents=True)
    for name, frames in (("b.mid", 6), ("a.MIDI", 4), ("more/c.mid", 8)):
        write_midi(tmp_path / "music" / name, scale(frames))
    (tmp_path / "music" / ".hidden").write_text("is left aside")
    return tmp_path / "music"


def test_every_file_of_a_folder_is_a_piece(folder: Path):
    data = read_music(folder)
    assert data.names == ("a.MIDI", "b.mid", "more/c.mid")
    assert [len(piece) for piece in data.pieces] == [4, 6, 8]
    np.testing.assert_array_equal(data.pieces[2], scale(8))
    assert data.pieces[0].dtype == bool
    assert data.source is not None
    assert data.source.verified() == folder.resolve()


def test_one_file_and_finer_frames(folder: Path):
    data = read_music(folder / "b.mid", frames_per_beat=4)
    assert (data.names, data.frames_per_beat, data.frames) == (("b.mid",), 4, 12)
    np.testing.assert_array_equal(data.pieces[0], np.repeat(scale(6), 2, axis=0))


def test_music_is_known_by_its_suffix_and_its_first_bytes(folder: Path):
    assert kind_of(folder) == kind_of(folder / "a.MIDI") == "music"
    (folder / "b.mid").rename(folder / "b")
    assert kind_of(folder / "b") == "music"


def test_a_folder_of_music_and_text_is_refused(folder: Path):
    (folder / "readme.txt").write_text("words")
    with pytest.raises(DataError, match=r"mixes music \(.*c\.mid\) and other files \(readme\.txt\)"):
        kind_of(folder)


def test_a_file_that_is_no_midi_is_named(folder: Path):
    (folder / "more" / "d.mid").write_bytes(b"no music")
    with pytest.raises(DataError, match=r"d\.mid is no MIDI file"):
        read_music(folder)


def test_pieces_are_parted_whole_and_by_the_seed():
    data = pieces(*range(4, 14))
    parts = data.parted(Split(0.6, 0.2, 0.2), seed=0)
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(one.name for part in parts for one in part) == sorted(data.names)
    assert all(one.begin == 0 and len(one.roll) == int(one.name[:-4]) + 4 for part in parts for one in part)
    names = [[one.name for one in data.parted(Split(0.6, 0.2, 0.2), seed)[0]] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("count", [1, 2])
def test_few_pieces_are_parted_in_time(count: int):
    parts = pieces(*[20] * count).parted(Split(0.5, 0.25, 0.25), seed=0)
    assert [[(one.begin, len(one.roll)) for one in part] for part in parts] == [
        [(0, 10)] * count,
        [(10, 15)] * count,
        [(15, 20)] * count,
    ]
    assert pieces(20).parted(Split(1, 0, 0), seed=0)[1:] == ([], [])


def test_the_first_frame_follows_silence():
    pair = Excerpt("", scale(3)).pair
    assert not pair.inputs[0].any()
    np.testing.assert_array_equal(pair.targets, scale(3))
    np.testing.assert_array_equal(pair.inputs[1:], scale(3)[:2])


def test_frames_before_the_beginning_are_read_and_do_not_count():
    excerpts = [Excerpt("", scale(6), 4), Excerpt("", scale(3), 0)]
    source = Sequences([one.pair for one in excerpts], 2, begins=[one.begin for one in excerpts])
    batch = next(source.batches(0))
    assert batch.inputs.shape == (6, 2, 88)
    assert batch.inputs.dtype == batch.targets.dtype
    assert batch.inputs.is_floating_point()
    assert batch.weights.T.tolist() == [[0, 0, 0, 0, 1, 1], [1] * 6]
    assert batch.lengths.tolist() == [6, 3]


def test_beginnings_are_shuffled_with_their_sequences():
    excerpts = [Excerpt("", scale(length), length - 1) for length in range(2, 9)]
    source = Sequences([one.pair for one in excerpts], 3, seed=5, begins=[one.begin for one in excerpts])
    for batch in source.batches(1):
        lengths = [len(batch.inputs)] * batch.inputs.shape[1] if batch.lengths is None else batch.lengths.tolist()
        assert [int(column.argmax()) + 1 for column in batch.weights.T] == lengths


def test_transitions_are_counted_as_by_hand():
    drawn = np.random.default_rng(0).random((9, 88)) < 0.3
    counts = transitions([Excerpt("", drawn, 4), Excerpt("", drawn[:2])])
    wanted = np.zeros((2, 2, 88), int)
    for roll, begin in ((drawn, 4), (drawn[:2], 0)):
        for frame in range(begin, len(roll)):
            for key in range(88):
                wanted[int(frame > 0 and roll[frame - 1, key]), int(roll[frame, key]), key] += 1
    np.testing.assert_array_equal(counts, wanted)


def test_a_description_in_figures():
    chord = np.zeros((4, 88), bool)
    chord[:3, [39, 43]] = True
    found = MusicData((chord, scale(6)), ("chord", "scale"), 2).describe()
    assert (found.pieces, found.frames, found.shortest, found.median, found.longest) == (2, 10, 4, 5, 6)
    assert (found.lowest, found.highest, found.most, found.silent) == ("C4", "E4", 2, 0.1)
    assert found.notes == (6 + 6) / 10
    assert found.held == (4 + 3) / (6 + 5)
    assert found.to_dict()["kind"] == "music"
    assert not {"first", "shares"} & found.to_dict().keys()
    assert [len(axes.patches) for axes in found.plot().axes] == [2, 88]


def test_what_read_midi_returns_is_a_piece():
    strange = MusicData((scale(6).astype(np.uint8) * 80, scale(4) * 0.5), ("a", "b"))
    assert [piece.dtype for piece in strange.pieces] == [bool, bool]
    np.testing.assert_array_equal(strange.pieces[0], scale(6))
    assert strange.describe().held == MusicData((scale(6), scale(4)), ("a", "b")).describe().held


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (((), ()), DataError, r"0 pieces have 0 names.*at least one piece"),
        (((scale(4), scale(6)), ("a", "a")), DataError, r"2 pieces have 2 names, 1 of them different"),
        (((scale(4),), ("a", "b")), DataError, r"1 pieces have 2 names"),
        (((scale(4), scale(4)[:, :60]), ("a", "b")), ShapeError, r"piece 'b' is \[4, 60\], expected \[time, 88\]"),
        (((scale(4)[:0],), ("a",)), DataError, r"piece 'a' has no frame"),
        (((scale(4) * np.nan,), ("a",)), DataError, r"piece 'a' is of float64 with values that are no numbers"),
        (((scale(4),), ("a",), 0), ConfigurationError, r"frames_per_beat=0: expected 1 to 480"),
    ],
)
def test_no_music(settings: tuple, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        MusicData(*settings)


def test_silence_is_described():
    found = MusicData((np.zeros((4, 88), bool),), ("a",)).describe()
    assert (found.lowest, found.highest, found.most, found.silent) == (None, None, 0, 1.0)
    Console(file=(shown := StringIO())).print(found.table())
    assert "none" in shown.getvalue()
    assert found.plot().axes[0].get_ylim() == (0, 88)


def test_a_piano_roll_has_a_bar_a_note_and_a_line_where_the_given_ends():
    axes = piano_roll(scale(6), 2, given=4).axes[0]
    assert [(bar.get_x(), bar.get_width(), bar.get_y() + bar.get_height() / 2) for bar in axes.patches] == [
        (beat, 1.0, pytest.approx(39 + beat)) for beat in (0, 1, 2)
    ]
    assert axes.lines[0].get_xdata() == [2, 2]
    assert not piano_roll(np.zeros((3, 88), bool), 2).axes[0].patches


def test_keys_have_their_names():
    assert [key_name(key) for key in (0, 1, 3, 39, 87)] == ["A0", "A♯0", "C1", "C4", "C8"]
