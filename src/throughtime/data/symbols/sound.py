"""Sound as tokens or as real values: mixed down, one file or a folder of them."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..._errors import ConfigurationError, DataError, UnsupportedError
from ..._files import replacing
from ..files.source import Source, checked, files_of
from ..files.workspace import Growing, folder_for
from ..series.frequency import Frequency
from ..series.layout import Columns, SeriesLayout
from ..series.series import Series, SeriesData
from .description import SoundDescription, describe_sound

LEVELS = 256
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class SoundData:
    """A recording that was read.

    Args:
        samples: [time], µ-law levels (uint8) or values in [−1, 1] (float32); an array or a memory map.
        sample_rate: samples a second.
        encoding: "mu-law" or "real".
        source: the file or folder.
        channels: how many channels were mixed down, for each file.
    """

    samples: np.ndarray
    sample_rate: int
    encoding: str
    source: Source
    channels: tuple[int, ...]

    @property
    def tokens(self) -> np.ndarray:
        """The µ-law levels, [time].

        Raises:
            UnsupportedError: where the sound was read as real values.
        """
        if self.encoding != "mu-law":
            raise UnsupportedError("sound read as real values has no tokens: read it with encoding='mu-law'")
        return self.samples

    def series(self) -> SeriesData:
        """The recording as one series of its amplitude, float64 [time, 1], for models of values; rows are counted."""
        values = self.samples if self.encoding == "real" else mu_law_decode(self.samples)
        rows = len(values)
        one = Series("", np.arange(rows), np.asarray(values, np.float64)[:, None], np.zeros((rows, 0)))
        columns = Columns(time=None, id=None, targets=("amplitude",))
        layout = SeriesLayout(columns, Frequency("count", 1), None, (), "sound", None, self.sample_rate)
        return SeriesData((one,), layout, self.source)

    def describe(self) -> SoundDescription:
        """What was read, in figures and a picture."""
        decode = mu_law_decode if self.encoding == "mu-law" else np.asarray
        return describe_sound(self.source.path, self.encoding, self.samples, self.sample_rate, self.channels, decode)


def mu_law_encode(values: np.ndarray) -> np.ndarray:
    """Values in [−1, 1] as 256 levels, finer near zero, uint8 (ITU-T G.711, µ = 255, as WaveNet uses it).

    Example:
        >>> mu_law_encode(np.array([-1.0, 0.0, 1.0])).tolist()
        [0, 128, 255]
    """
    values = np.clip(values, -1, 1)
    companded = np.sign(values) * np.log1p((LEVELS - 1) * np.abs(values)) / np.log(LEVELS)
    return np.floor((companded + 1) / 2 * (LEVELS - 1) + 0.5).astype(np.uint8)


def mu_law_decode(levels: np.ndarray) -> np.ndarray:
    """The values in [−1, 1] that 256 levels stand for, float64.

    Example:
        >>> mu_law_decode(np.array([0, 255])).round(12).tolist()
        [-1.0, 1.0]
    """
    companded = 2 * np.asarray(levels, np.float64) / (LEVELS - 1) - 1
    return np.sign(companded) * np.expm1(np.abs(companded) * np.log(LEVELS)) / (LEVELS - 1)


def read_sound(
    path: str | Path,
    *,
    encoding: str = "mu-law",
    sample_rate: int | None = None,
    workspace: str | Path | None = None,
) -> SoundData:
    """Read WAV, FLAC, or what else soundfile reads; all files of a folder one after the other.

    Args:
        path: the file or folder.
        encoding: "mu-law" (256 levels) or "real".
        sample_rate: the rate that is expected; None takes the file's.
        workspace: a folder for recordings above 64 MiB, which are kept on disk.

    Raises:
        DataError: where a file is no sound, is empty, or has another sample rate than expected.
        ConfigurationError: where soundfile is not installed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "tone.wav"
        >>> write_sound(file, mu_law_encode(np.sin(np.arange(800))), sample_rate=8000)
        >>> read_sound(file).tokens.shape
        (800,)
    """
    if encoding not in ("mu-law", "real"):
        raise ConfigurationError(f"encoding={encoding!r}: expected 'mu-law' or 'real'")
    soundfile = _soundfile()
    path = checked(path)
    files = files_of(path)
    dtype = np.dtype(np.uint8 if encoding == "mu-law" else np.float32)
    samples = Growing(dtype, None, folder_for(sum(file.stat().st_size for file in files), workspace))
    channels = []
    for file in files:
        checked(file)
        try:
            with soundfile.SoundFile(file) as sound:
                sample_rate = sound.samplerate if sample_rate is None else sample_rate
                if sound.samplerate != sample_rate:
                    raise DataError(
                        f"{file} has {sound.samplerate} samples a second where {sample_rate} are expected: convert it"
                    )
                channels.append(sound.channels)
                for block in sound.blocks(_BLOCK, dtype="float32", always_2d=True):
                    mixed = block.mean(axis=1)
                    if not np.isfinite(mixed).all():
                        raise DataError(f"{file} holds samples that are not finite")
                    samples.append(mu_law_encode(mixed) if encoding == "mu-law" else mixed)
        except soundfile.LibsndfileError as error:
            raise DataError(f"{file} is no sound that can be read ({error.error_string.rstrip('.')})") from None
    if samples.rows < 2:
        raise DataError(f"{path} holds {samples.rows} samples: at least two are expected")
    assert sample_rate is not None
    return SoundData(samples.array(), sample_rate, encoding, Source.of(path), tuple(channels))


def write_sound(path: str | Path, levels: np.ndarray, sample_rate: int) -> None:
    """Write µ-law levels as sound of 16 bits, in the format that the suffix of `path` names."""
    soundfile = _soundfile()
    path = Path(path)
    format = path.suffix[1:].upper()
    if not soundfile.check_format(format, "PCM_16"):
        raise ConfigurationError(f"{path}: sound of 16 bits is written as .wav or .flac")
    # Through memory, so that a full disk is told of as such.
    encoded = BytesIO()
    soundfile.write(encoded, mu_law_decode(levels), sample_rate, format=format, subtype="PCM_16")
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError):
        raise ConfigurationError("sound needs soundfile: pip install 'throughtime[sound]'") from None
    return soundfile
