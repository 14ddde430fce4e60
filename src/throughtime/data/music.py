"""Piano rolls as music that anyone can play, and back: frames of 88 keys, and MIDI files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import ConfigurationError, DataError, ShapeError
from .._files import replacing
from .files.source import checked

KEYS = 88
LOWEST_KEY = 21
"""The MIDI number of a piano's lowest key, the A of 27.5 Hz."""

_TICKS = 480  # a beat
_MOST_FRAMES = 10_000_000  # a month of eighth notes at 100 beats a minute, 0.9 GB
_PERCUSSION = 9  # channel 10, counted from 0
_SUFFIXES = (".mid", ".midi")


def write_midi(
    path: str | Path,
    piano_roll: np.ndarray,
    *,
    tempo: float | int = 100,
    frames_per_beat: int = 2,
    velocity: int = 80,
    program: int = 0,
) -> None:
    """Write which keys are down in each frame as a MIDI file of one track; a key held over frames is one note.

    Args:
        path: the file, .mid or .midi.
        piano_roll: [time, 88], a column a key from the lowest A up; whatever is not 0 is down.
        tempo: beats a minute.
        frames_per_beat: frames a beat; a frame of the chorales of Boulanger-Lewandowski et al. is half a beat.
        velocity: how hard keys are struck, 1 to 127.
        program: the instrument, 0 to 127 as General MIDI numbers them from 0: 0 is a piano, 19 a church organ.

    Raises:
        ShapeError: where the roll is not [time, 88].
        DataError: where it has no frame, or something in it is not a number.
        ConfigurationError: for a setting out of range, another suffix, or where mido is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "chord.mid"
        >>> roll = np.zeros((4, 88), bool)
        >>> roll[:, [39, 43, 46]] = True  # C, E and G, held for two beats
        >>> write_midi(file, roll)
        >>> read_midi(file).shape
        (4, 88)

    References:
        MIDI Association, "Standard MIDI files 1.0" (1996), https://midi.org/standard-midi-files-specification;
        Boulanger-Lewandowski, Bengio & Vincent, "Modeling temporal dependencies in high-dimensional sequences",
        ICML 2012, https://arxiv.org/abs/1206.6392 (piano rolls of 88 keys).
    """
    path = Path(path)
    _check_settings(path, tempo, frames_per_beat, velocity, program)
    down = as_keys(piano_roll)
    mido = _mido()
    song = mido.MidiFile(type=0, ticks_per_beat=_TICKS)
    track = song.add_track()
    track.append(mido.MetaMessage("set_tempo", tempo=round(mido.bpm2tempo(tempo))))
    track.append(mido.Message("program_change", program=program))
    told = 0
    for tick, key, struck in _changes(down, frames_per_beat):
        kind, force = ("note_on", velocity) if struck else ("note_off", 0)
        track.append(mido.Message(kind, note=LOWEST_KEY + key, velocity=force, time=tick - told))
        told = tick
    # The end stands where the last frame ends, so that silence at the end is kept.
    track.append(mido.MetaMessage("end_of_track", time=_tick(len(down), frames_per_beat) - told))
    # Through memory, so that a full disk is told of as such.
    encoded = BytesIO()
    song.save(file=encoded)
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def read_midi(path: str | Path, *, frames_per_beat: int = 2) -> np.ndarray:
    """Which keys sound in each frame of a MIDI file, all its tracks together, uint8 [time, 88].

    A note begins and ends with the frames nearest to where it does, and lasts one frame at least. Percussion (channel
    10) and keys that a piano lacks are left out; pedals are not heard.

    Args:
        path: the file.
        frames_per_beat: frames a beat.

    Raises:
        DataError: where the file is missing, no MIDI, timed in seconds instead of beats, without a note, or of more
            than ten million frames.
        ConfigurationError: for a setting out of range, or where mido is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "scale.mid"
        >>> write_midi(file, np.eye(3, 88))
        >>> read_midi(file).argmax(1).tolist()
        [0, 1, 2]
    """
    check_frames(frames_per_beat)
    mido = _mido()
    path = checked(path)
    try:
        song = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} is no MIDI file that can be read ({str(error) or type(error).__name__})") from None
    if not 0 < song.ticks_per_beat < 1 << 15:
        raise DataError(f"{path} counts its time in seconds instead of beats: save it with ticks a beat")
    notes, end = _notes(mido.merge_tracks(song.tracks))
    if not notes:
        raise DataError(f"{path} holds no note of a piano's {KEYS} keys: at least one is expected")
    frame = song.ticks_per_beat / frames_per_beat
    frames = max(1, round(end / frame))
    if frames > _MOST_FRAMES:
        raise DataError(
            f"{path} lasts {frames:,} frames at {frames_per_beat} a beat, expected {_MOST_FRAMES:,} at most: it may be "
            "damaged, else read fewer frames a beat"
        )
    roll = np.zeros((frames, KEYS), np.uint8)
    for key, start, stop in notes:
        first = min(round(start / frame), len(roll) - 1)
        roll[first : max(first + 1, round(stop / frame)), key] = 1
    return roll


def _notes(messages: Any) -> tuple[list[tuple[int, int, int]], int]:
    """Each note as (key, first tick, tick of its end), and the last tick of all."""
    notes: list[tuple[int, int, int]] = []
    began: dict[tuple[int, int], int] = {}
    tick = 0
    for message in messages:
        tick += message.time
        if message.type not in ("note_on", "note_off") or message.channel == _PERCUSSION:
            continue
        key, voice = message.note - LOWEST_KEY, (message.channel, message.note)
        if voice in began:
            notes.append((key, began.pop(voice), tick))
        if message.type == "note_on" and message.velocity and 0 <= key < KEYS:
            began[voice] = tick
    return [*notes, *((note - LOWEST_KEY, start, tick) for (_, note), start in began.items())], tick


def _changes(down: np.ndarray, frames_per_beat: int) -> list[tuple[int, int, bool]]:
    """(tick, key, whether it is struck) in the order of time; at each tick keys are let go before others are struck."""
    silent = np.zeros((1, KEYS), np.int8)
    steps = np.diff(np.concatenate([silent, down.astype(np.int8), silent]), axis=0)
    frames, keys = np.nonzero(steps)
    struck = steps[frames, keys] > 0
    return [
        (_tick(int(frames[at]), frames_per_beat), int(keys[at]), bool(struck[at]))
        for at in np.lexsort((keys, struck, frames))
    ]


def _tick(frame: int, frames_per_beat: int) -> int:
    return round(frame * _TICKS / frames_per_beat)


def as_keys(piano_roll: np.ndarray, name: str = "the piano roll") -> np.ndarray:
    """Which keys are down, bool [time, 88], of a roll that is called by `name` in errors; what is not 0 is down.

    Raises:
        ShapeError: where it is not [time, 88].
        DataError: where it has no frame, or something in it is not a number.
    """
    roll = np.asarray(piano_roll)
    if roll.ndim != 2 or roll.shape[1] != KEYS:
        raise ShapeError(
            f"{name} is {list(roll.shape)}, expected [time, {KEYS}]: a row a frame, a column a key; of a batch "
            "[time, batch, 88] write one sequence, roll[:, 0]"
        )
    if len(roll) == 0:
        raise DataError(f"{name} has no frame: at least one is expected")
    if roll.dtype.kind not in "biuf" or not np.isfinite(roll).all():
        raise DataError(f"{name} is of {roll.dtype} with values that are no numbers: 0 is up, all else is down")
    return roll if roll.dtype == bool else roll != 0


def _check_settings(path: Path, tempo: float | int, frames_per_beat: int, velocity: int, program: int) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigurationError(f"{path}: {path.suffix or 'no suffix'} is none of MIDI's; write .mid")
    if not 4 <= tempo <= 1000:  # a beat has 24 bits of microseconds
        raise ConfigurationError(f"tempo={tempo}: expected 4 to 1000 beats a minute")
    check_frames(frames_per_beat)
    if not 1 <= velocity <= 127:
        raise ConfigurationError(f"velocity={velocity}: expected 1 to 127")
    if not 0 <= program <= 127:
        raise ConfigurationError(f"program={program}: expected an instrument of General MIDI, 0 to 127")


def check_frames(frames_per_beat: object) -> None:
    """Raises ConfigurationError where it is no whole number of 1 to 480."""
    if not isinstance(frames_per_beat, int) or not 1 <= frames_per_beat <= _TICKS:
        raise ConfigurationError(f"frames_per_beat={frames_per_beat}: expected 1 to {_TICKS}, a whole number")


def _mido() -> Any:
    try:
        import mido
    except ImportError:
        raise ConfigurationError("MIDI needs mido: pip install 'throughtime[music]'") from None
    return mido
