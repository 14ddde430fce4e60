"""Music that a model wrote, after what it was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .._files import replacing
from ..data import piano_roll, write_midi


@dataclass(frozen=True, eq=False)
class Continuation:
    """A piece whose first frames were given and whose others were drawn.

    Args:
        roll: which keys are down, bool [time, 88].
        given: how many of the frames were given.
        frames_per_beat: frames a beat.

    Example:
        >>> Continuation(np.ones((6, 88), bool), given=4, frames_per_beat=2).drawn.shape
        (2, 88)
    """

    roll: np.ndarray
    given: int
    frames_per_beat: int

    @property
    def drawn(self) -> np.ndarray:
        """The frames that the model wrote, bool [time, 88]."""
        return self.roll[self.given :]

    def plot(self) -> Figure:
        """Keys over beats, and a line where what was given ends."""
        return piano_roll(self.roll, self.frames_per_beat, self.given)

    def write(self, path: Path) -> None:
        """Write the whole as MIDI or as a PNG, by the file's suffix; tempo and loudness are the same all through.

        Raises:
            ConfigurationError: for any other suffix, or where mido is not installed.
        """
        if path.suffix.lower() != ".png":
            write_midi(path, self.roll, frames_per_beat=self.frames_per_beat)
            return
        with replacing(path) as temporary:
            self.plot().savefig(temporary, format="png")
