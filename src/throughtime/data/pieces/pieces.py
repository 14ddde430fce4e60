"""Pieces of music, each a sequence of frames of 88 keys: one file or a folder of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..._errors import DataError
from ..batches.pair import Pair, shifted
from ..files.source import Source, checked, files_of
from ..music import KEYS, as_keys, check_frames, read_midi
from ..split import Split
from .description import MusicDescription, describe_music

FRAMES_PER_BEAT = 2
"""Eighth notes, where a beat is a quarter."""
_FEWEST_WHOLE = 3


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Frames of a piece, of which those from `begin` on count and those before them are only read.

    Args:
        name: of the piece.
        roll: which keys are down, [time, 88]; what is not 0 is down, and kept as bool.
        begin: the first frame that counts.

    Raises:
        ShapeError: where the roll is not [time, 88].
        DataError: where it has no frame, or something in it is not a number.
    """

    name: str
    roll: np.ndarray
    begin: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "roll", as_keys(self.roll))

    @property
    def opened(self) -> np.ndarray:
        """The frames after one of silence, bool [time + 1, 88], so that the first one can be foretold too.

        Example:
            >>> Excerpt("", np.ones((2, 88), bool)).opened[:, 0]
            array([False,  True,  True])
        """
        return np.concatenate([np.zeros((1, KEYS), bool), self.roll])

    @property
    def pair(self) -> Pair:
        """Each frame from the one before it."""
        return shifted(self.opened)


@dataclass(frozen=True, eq=False)
class MusicData:
    """Pieces that were read.

    Args:
        pieces: which keys are down in each frame, one [time, 88] a piece; what is not 0 is down, and kept as bool.
        names: of the pieces, each another: their files.
        frames_per_beat: frames a beat, 1 to 480.
        source: the file or folder; None for rolls in memory.

    Raises:
        ShapeError: where a piece is not [time, 88].
        DataError: without pieces, of a piece without frames or with values that are no numbers, or where each has not a
            name of its own.
        ConfigurationError: for `frames_per_beat` out of range.

    Example:
        >>> data = MusicData((np.ones((8, 88), bool), np.ones((6, 88), bool)), ("a.mid", "b.mid"))
        >>> len(data), data.frames
        (2, 14)
    """

    pieces: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    frames_per_beat: int = FRAMES_PER_BEAT
    source: Source | None = None

    def __post_init__(self) -> None:
        if not len(self.pieces) == len(set(self.names)) == len(self.names) > 0:
            raise DataError(
                f"{len(self.pieces)} pieces have {len(self.names)} names, {len(set(self.names))} of them different: "
                "expected at least one piece, and for each a name of its own"
            )
        check_frames(self.frames_per_beat)
        rolls = (as_keys(piece, f"piece {name!r}") for name, piece in zip(self.names, self.pieces, strict=True))
        object.__setattr__(self, "pieces", tuple(rolls))

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def frames(self) -> int:
        """How many all pieces have together."""
        return sum(map(len, self.pieces))

    @property
    def called(self) -> str:
        """The path it was read from, or "rolls"."""
        return "rolls" if self.source is None else self.source.path

    def parted(self, split: Split, seed: int) -> tuple[list[Excerpt], list[Excerpt], list[Excerpt]]:
        """What trains, chooses and tests a model: whole pieces, shuffled; of fewer than three pieces stretches in time.

        Raises:
            DataError: where a part that was asked for comes out empty.

        Example:
            >>> data = MusicData((np.ones((10, 88), bool),), ("a.mid",))
            >>> [[(one.begin, len(one.roll)) for one in part] for part in data.parted(Split(0.6, 0.2, 0.2), seed=0)]
            [[(0, 6)], [(6, 8)], [(8, 10)]]
        """
        parts: tuple[list[Excerpt], list[Excerpt], list[Excerpt]] = [], [], []
        if len(self) >= _FEWEST_WHOLE:
            order, ends = np.random.default_rng(seed).permutation(len(self)), split.bounds(len(self), "pieces")
            for part, first, last in zip(parts, (0, *ends), ends, strict=False):
                part += [Excerpt(self.names[index], self.pieces[index]) for index in order[first:last]]
            return parts
        for name, piece in zip(self.names, self.pieces, strict=True):
            ends = split.bounds(len(piece), "frames")
            for part, first, last in zip(parts, (0, *ends), ends, strict=False):
                part += [Excerpt(name, piece[:last], first)] if last > first else []
        return parts

    def describe(self) -> MusicDescription:
        """What was read, in figures and a picture."""
        return describe_music(self.called, self.pieces, self.names, self.frames_per_beat)


def read_music(path: str | Path, *, frames_per_beat: int = FRAMES_PER_BEAT) -> MusicData:
    """Read a MIDI file, or every file of a folder, as frames of 88 keys; a file is a piece.

    All tracks of a file sound together; see `read_midi` for what falls into a frame.

    Args:
        path: the file or folder.
        frames_per_beat: frames a beat: 2 are eighth notes where a beat is a quarter, 4 sixteenths.

    Raises:
        DataError: naming the file that is missing, no MIDI, timed in seconds or without a note.
        ConfigurationError: for a setting out of range, or where mido is not installed.

    Example:
        >>> import tempfile
        >>> from throughtime.data import write_midi
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_midi(folder / "scale.mid", np.eye(8, 88))
        >>> read_music(folder).names
        ('scale.mid',)
    """
    path = checked(path)
    files = files_of(path)
    names = [str(file.relative_to(path)) if path.is_dir() else file.name for file in files]
    pieces = [read_midi(file, frames_per_beat=frames_per_beat) for file in files]
    return MusicData(tuple(pieces), tuple(names), frames_per_beat, Source.of(path))


def smoothed(counts: np.ndarray) -> np.ndarray:
    """How likely a key is up or down by counts [..., now, key], to each of which a half is added.

    References:
        Krichevsky and Trofimov, "The performance of universal encoding", IEEE Transactions on Information Theory 1981.

    Example:
        >>> smoothed(np.array([[3], [0]])).tolist()
        [[0.875], [0.125]]
    """
    return (counts + 0.5) / (counts.sum(-2, keepdims=True) + 1)


def transitions(excerpts: Iterable[Excerpt]) -> np.ndarray:
    """How often each key was up or down (1) in a frame, by what it was in the one before, [before, now, key].

    Example:
        >>> counts = transitions([Excerpt("", np.ones((3, 88), bool))])
        >>> counts[:, :, 0].tolist()  # struck once, held twice
        [[0, 1], [0, 2]]
    """
    counts = np.zeros((2, 2, KEYS), np.int64)
    for one in excerpts:
        opened = one.opened[one.begin :]
        for before in (0, 1):
            for now in (0, 1):
                counts[before, now] += ((opened[:-1] == before) & (opened[1:] == now)).sum(0)
    return counts
