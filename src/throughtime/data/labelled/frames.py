"""Sound as frames: how loud it is in each band of pitch, a hundred times a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..._errors import ConfigurationError

_SILENCE = 1e-10


@dataclass(frozen=True)
class Frames:
    """Settings of a log-mel spectrogram; bands are triangles at equal distances in mel, from 0 Hz to half the rate.

    Davis & Mermelstein, Comparison of parametric representations for monosyllabic word recognition (1980), by whose
    filters; the mel scale is O'Shaughnessy's, Speech communication (1987).

    Args:
        sample_rate: in Hz.
        window: of each frame (Hann), in seconds.
        hop: from one frame to the next, in seconds.
        bands: features a frame.

    Raises:
        ConfigurationError: where a window or hop is shorter than two samples, or there is no band.

    Example:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
        >>> frames = Frames(8000).of(tone)
        >>> frames.shape, frames.dtype.name, int(frames[50].argmax())
        ((98, 40), 'float32', 18)
    """

    sample_rate: int
    window: float = 0.025
    hop: float = 0.010
    bands: int = 40

    def __post_init__(self) -> None:
        if min(self.window, self.hop) * self.sample_rate < 2 or self.bands < 1:
            raise ConfigurationError(
                f"frames of {self.window} s every {self.hop} s in {self.bands} bands at {self.sample_rate} Hz: "
                "expected a window and a hop of two samples or more, and a band or more"
            )

    def of(self, samples: np.ndarray) -> np.ndarray:
        """The natural logarithm of the power in each band, float32 [frame, band], of samples [time] in [−1, 1].

        Frames lie wholly within the samples; silence follows samples that are shorter than a window.
        """
        width = round(self.window * self.sample_rate)
        edges = _hertz(np.linspace(0, _mel(self.sample_rate / 2), self.bands + 2))
        # The narrowest band, the lowest, spans two bins at least.
        size = 1 << int(np.ceil(np.log2(max(width, self.sample_rate / (edges[1] - edges[0])))))
        window = np.hanning(width + 1)[:-1]  # a period of it, as for any spectrum
        whole = np.pad(np.asarray(samples, np.float64), (0, max(0, width - len(samples))))
        cut = sliding_window_view(whole, width)[:: round(self.hop * self.sample_rate)]
        power = np.abs(np.fft.rfft(cut * (window / window.sum()), size)) ** 2
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        bins = np.fft.rfftfreq(size, 1 / self.sample_rate)[:, None]
        filters = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(min=0)
        return np.log(np.maximum(power @ filters, _SILENCE)).astype(np.float32)


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
