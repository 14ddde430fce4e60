"""What a text or a recording holds: its symbols or levels, how often each comes, and how much they could tell."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ... import _plotting
from ..describing import columns, plain, sheet

_MARKS = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "⏎"}
_BARS = 40
_COLUMNS = 1600


@dataclass(frozen=True)
class TextDescription:
    """What was read of text.

    Args:
        name: of the file or folder.
        unit, encoding: as "character", "utf-8".
        symbols, size: how many in all, and bytes.
        frequencies: how often each symbol comes, commonest first.
        entropy: of a symbol drawn by these frequencies, in bits: what a model that reads no past can reach.
    """

    name: str
    unit: str
    encoding: str
    symbols: int
    size: int
    frequencies: tuple[tuple[str, int], ...]
    entropy: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return record | {
            "kind": "text",
            "vocabulary": len(self.frequencies),
            "frequencies": [list(entry) for entry in self.frequencies],
        }

    def table(self) -> Any:
        """For `rich.print`."""
        facts = {
            "file": self.name,
            f"{self.unit}s": f"{self.symbols:,} ({self.size:,} bytes, {self.encoding})",
            "vocabulary": f"{sum(count > 0 for _, count in self.frequencies):,} symbols seen",
            "entropy": f"{self.entropy:.3f} bits a symbol, by frequency alone",
        }
        table = columns("symbol", "times", "share")
        for symbol, count in self.frequencies[:12]:
            table.add_row(visible(symbol), f"{count:,}", f"{count / self.symbols:.2%}")
        rest = sum(count > 0 for _, count in self.frequencies[12:])
        if rest:
            count = sum(count for _, count in self.frequencies[12:])
            table.add_row(f"{rest} more", f"{count:,}", f"{count / self.symbols:.2%}")
        return sheet(facts, table)

    def plot(self) -> Figure:
        """How often each of the commonest symbols comes."""
        top = [entry for entry in self.frequencies[:_BARS] if entry[1]]
        with _plotting.style():
            figure = _plotting.figure(9, 3.2)
            axes = figure.add_subplot()
            shares = [100 * count / self.symbols for _, count in top]
            axes.bar(range(len(top)), shares, width=0.8, color=_plotting.PALETTE["blue"])
            axes.set_xticks(range(len(top)), [visible(symbol).replace("$", r"\$") for symbol, _ in top])
            axes.grid(visible=False, axis="x")
            axes.set_ylim(bottom=0)
            axes.set_ylabel("share, %")
            rest = sum(count > 0 for _, count in self.frequencies[_BARS:])
            more = f", and {rest} symbols more" if rest else ""
            axes.set_title(f"{self.name}: the {len(top)} commonest {self.unit}s{more}", loc="left")
        return figure


def describe_text(
    name: str, unit: str, encoding: str, size: int, symbols: tuple[str, ...], counts: np.ndarray
) -> TextDescription:
    """Describe a text by how often each of its symbols comes."""
    order = np.argsort(-counts, kind="stable")
    shares = counts[counts > 0] / counts.sum()
    return TextDescription(
        name=plain(name),
        unit=unit,
        encoding=encoding,
        symbols=int(counts.sum()),
        size=size,
        frequencies=tuple((symbols[index], int(counts[index])) for index in order),
        entropy=abs(float(-(shares * np.log2(shares)).sum())),
    )


def visible(symbol: str) -> str:
    """A symbol as something that can be seen."""
    if len(symbol) == 1 and (symbol in _MARKS or unicodedata.category(symbol)[0] in "CZ"):
        return _MARKS.get(symbol, f"U+{ord(symbol):04X}")
    return symbol


@dataclass(frozen=True)
class SoundDescription:
    """What was read of sound.

    Args:
        name: of the file or folder.
        encoding: "mu-law" or "real".
        samples, sample_rate, seconds: how long.
        files, channels: how many files, and how many channels were mixed down at most.
        peak, loudness: the greatest and the root mean square value, of 1 at most.
        clipped: the share of samples at the very limit.
        low, high, values: what `plot` draws: the envelope, and a histogram of values.
    """

    name: str
    encoding: str
    samples: int
    sample_rate: int
    seconds: float
    files: int
    channels: int
    peak: float
    loudness: float
    clipped: float
    low: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    high: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    values: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        drawn = ("low", "high", "values")
        return {"kind": "sound"} | {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in drawn
        }

    def table(self) -> Any:
        """For `rich.print`."""
        mixed = f", {self.channels} channels mixed down" if self.channels > 1 else ""
        return sheet(
            {
                "file": self.name + (f" ({self.files} files)" if self.files > 1 else ""),
                "samples": f"{self.samples:,} at {self.sample_rate:,} a second: {self.seconds:,.2f} s{mixed}",
                "encoding": "µ-law, 256 levels" if self.encoding == "mu-law" else "real values",
                "peak": f"{self.peak:.3f} of 1; {self.clipped:.2%} of the samples at the limit",
                "loudness": f"{self.loudness:.4f} (root mean square)",
            },
            None,
        )

    def plot(self) -> Figure:
        """The wave, and how often each value comes."""
        with _plotting.style():
            figure = _plotting.figure(10, 2.8)
            wave, values = figure.subplots(1, 2, width_ratios=[4, 1])
            times = np.linspace(0, self.seconds, len(self.low))
            wave.fill_between(times, self.low, self.high, color=_plotting.PALETTE["blue"], linewidth=0.4)
            wave.set_ylim(-1.02, 1.02)
            wave.set_xlabel("seconds")
            wave.set_title(self.name, loc="left")
            edges = np.linspace(-1, 1, len(self.values) + 1)
            values.stairs(100 * self.values / self.samples, edges, fill=True, color=_plotting.PALETTE["sky"])
            values.set_ylim(bottom=0)
            values.set_title("values", loc="left")
            values.set_ylabel("share, %")
        return figure


def describe_sound(
    name: str, encoding: str, samples: Any, sample_rate: int, channels: tuple[int, ...], decode: Any
) -> SoundDescription:
    """Describe sound; `decode` makes values in [−1, 1] of what is stored. Read in chunks."""
    each = max(1, -(-len(samples) // _COLUMNS))
    low, high, squares, peak, clipped = [], [], 0.0, 0.0, 0
    values = np.zeros(64, np.int64)
    for begin in range(0, len(samples), each * 512):
        chunk = np.asarray(decode(np.asarray(samples[begin : begin + each * 512])), np.float64)
        places = np.arange(0, len(chunk), each)
        low.append(np.minimum.reduceat(chunk, places))
        high.append(np.maximum.reduceat(chunk, places))
        squares += float(np.square(chunk).sum())
        peak = max(peak, float(np.abs(chunk).max()))
        clipped += int((np.abs(chunk) >= 0.9999).sum())
        values += np.histogram(np.clip(chunk, -1, 1), 64, (-1, 1))[0]
    return SoundDescription(
        name=plain(name),
        encoding=encoding,
        samples=len(samples),
        sample_rate=sample_rate,
        seconds=len(samples) / sample_rate,
        files=len(channels),
        channels=max(channels),
        peak=min(round(peak, 9), 1.0),
        loudness=float(np.sqrt(squares / len(samples))),
        clipped=clipped / len(samples),
        low=np.concatenate(low),
        high=np.concatenate(high),
        values=values,
    )
