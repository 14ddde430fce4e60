"""Piano rolls written as MIDI are read back by mido as the notes they are, and by us as the same roll."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from throughtime import ConfigurationError, DataError, ShapeError
from throughtime.data import read_midi, write_midi

mido = pytest.importorskip("mido")
C, E, G = 39, 43, 46  # middle C is MIDI's 60, the 40th key of a piano


def roll_of(*frames: tuple[int, ...]) -> np.ndarray:
    roll = np.zeros((len(frames), 88), np.uint8)
    for frame, keys in enumerate(frames):
        roll[frame, list(keys)] = 1
    return roll


def notes_of(file: Path) -> list[tuple[int, float, float]]:
    """(MIDI number, beat it is struck at, beats it is held), from mido's messages alone."""
    song = mido.MidiFile(file)
    began, notes, tick = {}, [], 0
    for message in mido.merge_tracks(song.tracks):
        tick += message.time
        beat = tick / song.ticks_per_beat
        if message.type == "note_on" and message.velocity:
            assert message.note not in began, "struck while it is down"
            began[message.note] = beat
        elif message.type in ("note_off", "note_on"):
            notes.append((message.note, began[message.note], beat - began.pop(message.note)))
    assert not began
    return sorted(notes, key=lambda note: (note[1], note[0]))


def test_held_keys_are_one_note(tmp_path: Path):
    write_midi(tmp_path / "a.mid", roll_of((C, E), (C,), (C, E), ()))
    assert notes_of(tmp_path / "a.mid") == [(60, 0.0, 1.5), (64, 0.0, 0.5), (64, 1.0, 0.5)]


def test_a_key_may_end_and_another_begin_at_once(tmp_path: Path):
    write_midi(tmp_path / "a.mid", roll_of((C,), (E,), (G,)), frames_per_beat=4)
    assert notes_of(tmp_path / "a.mid") == [(60, 0.0, 0.25), (64, 0.25, 0.25), (67, 0.5, 0.25)]


@pytest.mark.parametrize(("tempo", "frames_per_beat", "seconds"), [(120.0, 2, 1.0), (60.0, 2, 2.0), (90.0, 1, 8 / 3)])
def test_tempo_and_frames_make_the_length(tmp_path: Path, tempo: float, frames_per_beat: int, seconds: float):
    write_midi(tmp_path / "a.mid", roll_of((C,), (C,), (), ()), tempo=tempo, frames_per_beat=frames_per_beat)
    assert mido.MidiFile(tmp_path / "a.mid").length == pytest.approx(seconds, rel=1e-5)


def test_velocity_and_instrument(tmp_path: Path):
    write_midi(tmp_path / "a.mid", roll_of((C,)), velocity=33, program=19)
    messages = [message for message in mido.MidiFile(tmp_path / "a.mid").tracks[0] if not message.is_meta]
    assert [message.type for message in messages] == ["program_change", "note_on", "note_off"]
    assert (messages[0].program, messages[1].velocity) == (19, 33)


def test_every_key_has_its_number(tmp_path: Path):
    write_midi(tmp_path / "a.mid", np.eye(88))
    assert [note for note, _, _ in notes_of(tmp_path / "a.mid")] == list(range(21, 109))


@settings(max_examples=30)
@given(
    roll=hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(88)), elements=st.integers(0, 1)),
    frames_per_beat=st.sampled_from([1, 2, 3, 4, 7, 480]),
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, roll: np.ndarray, frames_per_beat: int):
    roll[0, C] = 1  # a file without a note is refused
    file = tmp_path_factory.mktemp("midi") / "a.mid"
    write_midi(file, roll, frames_per_beat=frames_per_beat)
    np.testing.assert_array_equal(read_midi(file, frames_per_beat=frames_per_beat), roll)


def song_of(*tracks: list, **settings: int):
    song = mido.MidiFile(**settings)
    song.tracks.extend(mido.MidiTrack(track) for track in tracks)
    return song


def test_tracks_sound_together_and_percussion_does_not(tmp_path: Path):
    def held(note: int, channel: int, time: int) -> list:
        return [
            mido.Message("note_on", note=note, channel=channel, velocity=64),
            mido.Message("note_on", note=note, channel=channel, velocity=0, time=time),  # as some programs let go
        ]

    song_of(held(60, 0, 480), held(64, 1, 960), held(36, 9, 960), held(5, 2, 960)).save(tmp_path / "a.mid")
    np.testing.assert_array_equal(read_midi(tmp_path / "a.mid", frames_per_beat=1), roll_of((C, E), (E,)))


def test_a_note_shorter_than_a_frame_is_not_lost(tmp_path: Path):
    track = [mido.Message("note_on", note=60, time=480), mido.Message("note_off", note=60, time=10)]
    song_of(track).save(tmp_path / "a.mid")
    assert read_midi(tmp_path / "a.mid", frames_per_beat=1)[:, C].tolist() == [1]


def test_a_note_that_is_never_let_go_sounds_to_the_end(tmp_path: Path):
    track = [mido.Message("note_on", note=60), mido.MetaMessage("end_of_track", time=960)]
    song_of(track).save(tmp_path / "a.mid")
    assert read_midi(tmp_path / "a.mid", frames_per_beat=1)[:, C].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("roll", "error", "words"),
    [
        (np.zeros((4, 1, 88)), ShapeError, r"\[4, 1, 88\], expected \[time, 88\].*roll\[:, 0\]"),
        (np.zeros((4, 60)), ShapeError, r"\[4, 60\], expected \[time, 88\]"),
        (np.zeros((0, 88)), DataError, r"no frame"),
        (np.full((2, 88), np.nan), DataError, r"no numbers"),
        (np.full((2, 88), "x"), DataError, r"no numbers"),
    ],
)
def test_no_piano_roll(tmp_path: Path, roll: np.ndarray, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        write_midi(tmp_path / "a.mid", roll)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tempo": 0.0}, r"tempo=0.0: expected 4 to 1000"),
        ({"tempo": float("nan")}, r"tempo=nan: expected 4 to 1000"),
        ({"frames_per_beat": 0}, r"frames_per_beat=0: expected 1 to 480"),
        ({"velocity": 128}, r"velocity=128: expected 1 to 127"),
        ({"program": -1}, r"program=-1: expected an instrument"),
    ],
)
def test_settings_out_of_range(tmp_path: Path, wrong: dict, words: str):
    with pytest.raises(ConfigurationError, match=words):
        write_midi(tmp_path / "a.mid", roll_of((C,)), **wrong)
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"\.wav is none of MIDI's; write \.mid"):
        write_midi(tmp_path / "a.wav", roll_of((C,)))


@pytest.mark.parametrize("content", [b"not music at all", b"MThd\0\0\0\6\0\0\0\1\1\340MTrk\0\0\0\377\0", b"MThd"])
def test_what_is_no_midi_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mid is no MIDI file that can be read"):
        read_midi(tmp_path / "a.mid")


def test_a_file_without_a_note_is_refused(tmp_path: Path):
    write_midi(tmp_path / "a.mid", roll_of((), ()))
    with pytest.raises(DataError, match=r"holds no note"):
        read_midi(tmp_path / "a.mid")


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"a\.mid"):
        read_midi(tmp_path / "a.mid")


def test_time_in_seconds_is_refused(tmp_path: Path):
    song_of([mido.Message("note_on", note=60)]).save(tmp_path / "a.mid")
    content = bytearray((tmp_path / "a.mid").read_bytes())
    content[12:14] = (0xE7, 0x28)  # 25 frames a second, 40 ticks a frame
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(DataError, match=r"in seconds instead of beats"):
        read_midi(tmp_path / "a.mid")


def test_a_small_file_that_lasts_for_ever_is_refused(tmp_path: Path):
    track = b"\0\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\0\0\xff\x2f\0"  # a note of 2^28 beats
    header = b"MThd\0\0\0\6\0\0\0\1\0\1MTrk\0\0\0"
    (tmp_path / "a.mid").write_bytes(header + bytes([len(track)]) + track)
    with pytest.raises(DataError, match=r"a\.mid lasts 536,870,910 frames at 2 a beat, expected 10,000,000 at most"):
        read_midi(tmp_path / "a.mid")


def test_without_mido_it_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "mido", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'throughtime\[music\]'"):
        write_midi(tmp_path / "a.mid", roll_of((C,)))
