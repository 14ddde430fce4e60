"""Recordings with the label in the name of the file, or of the folder it is in."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from pathlib import Path

import numpy as np

from ..._errors import DataError
from ..files.source import Source, files_of
from ..kind import SUFFIXES
from ..symbols.sound import read_sound
from .cases import Cases
from .frames import Frames
from .layout import LabelledColumns


def has_recordings(path: Path) -> bool:
    """Whether a path is a recording, or a folder with one in it."""
    return any(_is_sound(file) for file in files_of(path))


def read_recordings(path: Path, frames: Frames | None) -> Cases:
    """Read a folder of WAV, FLAC or what else soundfile reads, each file a case; or one file.

    Labels are the names of folders (`dog/3.wav`), or stand before the first underscore of a name (`dog_3.wav`).
    Recordings at several sample rates are brought to the lowest of them.

    Args:
        path: the folder or file.
        frames: those of a model, to whose sample rate higher ones are brought; None takes the settings of `Frames`.

    Raises:
        DataError: for a file that is no sound, has fewer than two samples, or a lower sample rate than expected.
        ConfigurationError: where soundfile is not installed.
    """
    files = [file for file in files_of(path) if _is_sound(file)]
    others = [file for file in files_of(path) if not _is_sound(file)]
    read = [read_sound(file, encoding="real") for file in files]
    rates = [sound.sample_rate for sound in read]
    settings = frames or Frames(min(rates))
    sequences = []
    for file, sound in zip(files, read, strict=True):
        if sound.sample_rate < settings.sample_rate:
            raise DataError(
                f"{file} has {sound.sample_rate} samples a second, where {settings.sample_rate} or more are expected: "
                "what is missing above half of its rate cannot be brought back"
            )
        shared = gcd(sound.sample_rate, settings.sample_rate)
        up, down = settings.sample_rate // shared, sound.sample_rate // shared
        samples = np.asarray(sound.samples)
        sequences.append(settings.of(samples if up == down else _resampled(samples, up, down)))
    labels, told = _labels(path, files)
    return Cases(
        file=str(path),
        shape="sound",
        features=tuple(f"band_{index + 1}" for index in range(settings.bands)),
        columns=LabelledColumns(label=told),
        sequences=sequences,
        names=[str(file.relative_to(path)) if path.is_dir() else file.name for file in files],
        labels=labels,
        places=[str(file) for file in files],
        remedy="name it LABEL_anything.wav, or put it in a folder of the label's name",
        frames=settings,
        source=Source.of(path),
        notes=_notes(rates, settings, others),
    )


def _is_sound(file: Path) -> bool:
    return SUFFIXES.get(file.suffix.lower()) == "sound"


def _labels(path: Path, files: Sequence[Path]) -> tuple[list[str | None], str]:
    """Those of folders where every file is in one, else those of names; and which of the two."""
    if path.is_dir() and all(file.parent != path for file in files):
        return [file.relative_to(path).parts[0] for file in files], "folder"
    if path.is_dir() and any(file.parent != path for file in files):
        inside, beside = (next(file for file in files if (file.parent != path) == deeper) for deeper in (True, False))
        raise DataError(
            f"{path} has recordings in folders ({inside.relative_to(path)}) and beside them ({beside.name}): put all "
            "of them in folders of the labels' names, or none"
        )
    found = [file.stem.partition("_") for file in files]
    return [label if underscore and label else None for label, underscore, _ in found], "name"


def _notes(rates: Sequence[int], settings: Frames, others: Sequence[Path]) -> list[str]:
    notes = []
    higher = [rate for rate in rates if rate != settings.sample_rate]
    if higher:
        which = "1 recording" if len(higher) == 1 else f"{len(higher)} recordings"
        notes.append(f"{which} of up to {max(higher):,} samples a second resampled to {settings.sample_rate:,}")
    if others:
        which = "1 file that is no sound was" if len(others) == 1 else f"{len(others)} files that are no sound were"
        notes.append(f"{which} left aside, first {others[0].name}")
    return notes


def _resampled(samples: np.ndarray, up: int, down: int) -> np.ndarray:
    from scipy.signal import resample_poly  # takes a second, which not everyone should wait

    return resample_poly(samples, up, down)
