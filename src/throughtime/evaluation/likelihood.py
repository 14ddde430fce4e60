"""How well a model of symbols foretells its test part, beside a unigram model and a compressor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table

from .. import _plotting
from .._errors import DataError
from ..artifacts import SymbolRun
from ..data import SoundData, Split, TextData
from ..models import device_of
from .baselines import compressor, unigram

_STREAMS = 32
_CONTEXT = 512
_STEPS_AT_ONCE = 256


@dataclass(frozen=True)
class Likelihood:
    """Surprise of the test part, or of a file.

    Args:
        unit: what a symbol is: character, byte or sample; of music a frame.
        symbols: how many were foretold.
        model: nats and bits a symbol, and the perplexity; of music without that, as it is beyond all measure.
        parts: the model's nats a symbol in each of several stretches of the test part, in order.
        sizes: how many symbols each of these has.
        baselines: the same as of the model, for a unigram model and a compressor, or for keys by themselves.
        part: what was scored.
    """

    unit: str
    symbols: int
    model: dict[str, float]
    parts: tuple[float, ...]
    sizes: tuple[int, ...]
    baselines: dict[str, dict[str, float]]
    part: str = "test part"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return asdict(self)

    def table(self) -> Table:
        """Nats, bits and, where there is one, perplexity side by side."""
        compressed = any(name.startswith("compressor") for name in self.baselines)
        caption = "lower is better" + ("; the compressor has read what comes before" if compressed else "")
        table = Table(title=f"{self.part}: {self.symbols:,} {self.unit}s", caption=caption)
        table.add_column("")
        for key in self.model:
            table.add_column(key if key == "perplexity" else f"{key} per {self.unit}", justify="right")
        for name, values in {"model": self.model, **self.baselines}.items():
            table.add_row(name, *(f"{values[key]:.4f}" for key in self.model))
        return table

    def plot(self) -> Figure:
        """Bits a symbol, as bars from zero."""
        named = {"model": self.model, **self.baselines}
        with _plotting.style():
            figure = _plotting.figure(6, 0.6 + 0.5 * len(named))
            axes = figure.add_subplot()
            bits = [values["bits"] for values in named.values()]
            colours = [_plotting.PALETTE["blue"], *[_plotting.PALETTE["grey"]] * len(self.baselines)]
            bars = axes.barh(list(named), bits, color=colours)
            axes.bar_label(bars, fmt=" %.3f")
            axes.set_xlim(0, 1.15 * max(bits))
            axes.grid(visible=False)
            axes.set_xlabel(f"bits per {self.unit} (lower is better)")
            axes.invert_yaxis()
        return figure


def likelihood(
    run: SymbolRun, data: TextData | SoundData, *, progress: Callable[[float], None] = lambda share: None
) -> Likelihood:
    """Score the test part of `data`, by the run's own split.

    The part is read as parallel streams, each warmed up on the symbols before it, which are not counted.

    Raises:
        DataError: if the run has no test part.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from throughtime import prepare, read_text
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "vowels.txt").write_text("aeiou " * 200)
        >>> small = {"family": {"hidden_size": 8}, "training": {"epochs": 1}, "task": {"steps": 16}}
        >>> training = prepare(read_text(folder / "vowels.txt"), folder / "run", **small)
        >>> _ = training.fit()
        >>> likelihood(training.run, training.run.read()).symbols
        120
    """
    train_end, start, end = tested_part(data, run.task.split)
    sums, sizes = _nats(run, data.tokens, start, end, progress)
    nats = float(sums.sum() / sizes.sum())
    unit = run.vocabulary.unit if run.vocabulary is not None else "sample"
    size = run.model.size
    training, test = data.tokens[:train_end], data.tokens[start:end]
    encoded = [_bytes(run, np.asarray(part)) for part in (data.tokens[:start][-(1 << 22) :], test)]
    squeezed = compressor(*encoded, characters=len(test))
    baselines = {
        "unigram": figures(unigram(training, test, size)),
        f"compressor ({squeezed.name})": figures(squeezed.bits_per_character * math.log(2)),
    }
    parts = tuple((sums / sizes).tolist())
    return Likelihood(unit, end - start, figures(nats), parts, tuple(sizes.tolist()), baselines)


def tested_part(data: TextData | SoundData, split: Split) -> tuple[int, int, int]:
    """The end of training, and where the test part begins and ends.

    Raises:
        DataError: where there is none.
    """
    train_end, start, end = split.bounds(len(data.tokens))
    if start == end:
        raise DataError(f"the split, {split.words('symbols')}, has no test part: there is nothing to compare")
    return train_end, start, end


def figures(nats: float) -> dict[str, float]:
    """So many nats as bits and as a perplexity too; beyond what a number holds that is infinite.

    Example:
        >>> figures(0.0)
        {'nats': 0.0, 'bits': 0.0, 'perplexity': 1.0}
    """
    return in_bits(nats) | {"perplexity": math.exp(nats) if nats < 700 else math.inf}


def in_bits(nats: float) -> dict[str, float]:
    """So many nats, and as bits."""
    return {"nats": nats, "bits": nats / math.log(2)}


def _bytes(run: SymbolRun, tokens: np.ndarray) -> bytes:
    if run.vocabulary is None or run.vocabulary.unit == "byte":
        return tokens.astype(np.uint8).tobytes()
    return run.vocabulary.decode(tokens).encode()


def _nats(
    run: SymbolRun, tokens: np.ndarray, start: int, end: int, progress: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Surprise of tokens[start:end], summed in streams that each see up to 512 symbols before, and their sizes."""
    streams = max(1, min(_STREAMS, (end - start) // _STEPS_AT_ONCE))
    edges = np.linspace(start, end, streams + 1).astype(int)
    context = min(_CONTEXT, start - 1)
    longest = int(np.diff(edges).max())
    device = device_of(run.model)
    sums, state = np.zeros(streams), None
    run.model.eval()
    with torch.inference_mode():
        for step in range(-context, longest, _STEPS_AT_ONCE):
            stop = min(step + _STEPS_AT_ONCE, longest)
            places = edges[:-1] + np.arange(step, stop)[:, None]
            inputs, targets = (
                torch.as_tensor(np.asarray(tokens[np.clip(where, 0, end - 1)]).astype(np.int64), device=device)
                for where in (places - 1, places)
            )
            distribution, state = run.model(inputs, state)
            counted = torch.as_tensor((places >= edges[:-1]) & (places < edges[1:]), device=device)
            sums -= torch.where(counted, distribution.log_prob(targets).double(), 0).sum(0).cpu().numpy()
            progress((stop + context) / (longest + context))
    return sums, np.diff(edges)
