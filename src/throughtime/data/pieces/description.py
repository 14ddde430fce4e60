"""What pieces of music hold: how long they are, between which keys, and how many of these sound at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import _plotting
from ..describing import number, plain, sheet
from ..music import KEYS, LOWEST_KEY

_NOTES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
_BEATS = 64


@dataclass(frozen=True)
class MusicDescription:
    """What was read of music.

    Args:
        name: of the file or folder.
        pieces, frames, frames_per_beat: how many.
        shortest, median, longest: of the pieces, in frames.
        lowest, highest: keys that sound, by name: C4 is the middle C; None where none does.
        notes: keys down in a frame, on the average.
        most: in one frame.
        silent: the share of frames without one.
        held: how likely a key that is down in a frame is down in the next one.
        first, shares: what `plot` draws: a piece by its name and roll, and how often each key is down.
    """

    name: str
    pieces: int
    frames: int
    frames_per_beat: int
    shortest: int
    median: float
    longest: int
    lowest: str | None
    highest: str | None
    notes: float
    most: int
    silent: float
    held: float
    first: tuple[str, np.ndarray] = field(repr=False, compare=False)
    shares: np.ndarray = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": "music"} | {key: value for key, value in asdict(self).items() if key not in ("first", "shares")}

    def table(self) -> Any:
        """For `rich.print`."""
        same = self.shortest == self.longest
        each = f"{self.longest:,}" if same else f"{self.shortest:,} to {self.longest:,}, median {number(self.median)}"
        return sheet(
            {
                "file": self.name,
                "pieces": f"{self.pieces:,}",
                "frames": f"{self.frames:,}, {self.frames_per_beat} a beat; {each} a piece",
                "keys": "none" if self.lowest is None else f"{self.lowest} to {self.highest}",
                "notes": f"{self.notes:.2f} a frame, {self.most} at most; {self.silent:.1%} of the frames are silent",
                "held": f"{self.held:.1%} of the keys that are down stay down for the next frame",
            },
            None,
        )

    def plot(self) -> Figure:
        """The beginning of a piece as a piano roll, and how often each key is down."""
        name, roll = self.first
        beats = min(_BEATS, len(roll) / self.frames_per_beat)
        with _plotting.style():
            figure = _plotting.figure(10, 3.6)
            left, right = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
            _draw(left, roll, self.frames_per_beat)
            left.set_xlim(0, beats)
            left.set_title(f"{name}, its first {beats:g} beats", loc="left")
            right.barh(np.arange(KEYS), 100 * self.shares, height=1.0, color=_plotting.PALETTE["sky"])
            right.grid(visible=False, axis="y")
            right.set_title("all pieces", loc="left")
            right.set_xlabel("down, % of the frames")
            left.set_ylim(*_range(np.flatnonzero(self.shares)))
        return figure


def describe_music(
    name: str, pieces: Sequence[np.ndarray], names: Sequence[str], frames_per_beat: int
) -> MusicDescription:
    """Describe pieces, each bool [time, 88]."""
    lengths = [len(piece) for piece in pieces]
    down = np.concatenate([piece.sum(1) for piece in pieces])
    often = np.sum([piece.sum(0) for piece in pieces], axis=0)
    keys = np.flatnonzero(often)
    held = sum(int((piece[:-1] & piece[1:]).sum()) for piece in pieces)
    could = sum(int(piece[:-1].sum()) for piece in pieces)
    return MusicDescription(
        name=plain(name),
        pieces=len(pieces),
        frames=len(down),
        frames_per_beat=frames_per_beat,
        shortest=min(lengths),
        median=float(np.median(lengths)),
        longest=max(lengths),
        lowest=key_name(int(keys[0])) if len(keys) else None,
        highest=key_name(int(keys[-1])) if len(keys) else None,
        notes=float(down.mean()),
        most=int(down.max()),
        silent=float((down == 0).mean()),
        held=held / max(could, 1),
        first=(names[0], pieces[0]),
        shares=often / len(down),
    )


def piano_roll(roll: np.ndarray, frames_per_beat: int, given: int = 0) -> Figure:
    """A picture of a piano roll: keys over beats; a line stands where the `given` first frames end.

    Example:
        >>> piano_roll(np.eye(4, 88, dtype=bool), 2).axes[0].get_xlabel()
        'beat'
    """
    beats, keys = len(roll) / frames_per_beat, np.flatnonzero(roll.any(0))
    with _plotting.style():
        figure = _plotting.figure(min(16.0, 3 + beats / 8), 3.6)
        axes = figure.add_subplot()
        _draw(axes, roll, frames_per_beat)
        axes.set_xlim(0, beats)
        axes.set_ylim(*_range(keys))
        if given:
            axes.axvline(given / frames_per_beat, color=_plotting.PALETTE["vermillion"], label="what was given ends")
            figure.legend(loc="outside lower left")
    return figure


def key_name(key: int) -> str:
    """A key of 88 by its note and octave.

    Example:
        >>> key_name(0), key_name(39)
        ('A0', 'C4')
    """
    octave, note = divmod(LOWEST_KEY + key, len(_NOTES))
    return f"{_NOTES[note]}{octave - 1}"


def _range(keys: np.ndarray) -> tuple[int, int]:
    """From below the lowest key that sounds to above the highest."""
    return (int(keys[0]) - 2, int(keys[-1]) + 2) if len(keys) else (0, KEYS)


def _draw(axes: Axes, roll: np.ndarray, frames_per_beat: int) -> None:
    """A bar for each key as long as it is held."""
    silent = np.zeros((1, KEYS), np.int8)
    steps = np.diff(np.concatenate([silent, roll.astype(np.int8), silent]), axis=0)
    keys, begins = np.nonzero(steps.T > 0)
    _, ends = np.nonzero(steps.T < 0)
    widths = (ends - begins) / frames_per_beat
    axes.barh(keys, widths, left=begins / frames_per_beat, height=0.9, color=_plotting.PALETTE["blue"], linewidth=0)
    octaves = range(3, KEYS, len(_NOTES))
    axes.set_yticks(octaves, [key_name(key) for key in octaves])
    axes.set_xlabel("beat")
