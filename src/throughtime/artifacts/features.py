"""The state of a model as a representation: a vector for each step of a sequence, or for the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
import torch
from torch import Tensor

from .._types import State
from ..models import SequenceModel
from .walking import walk

Per: TypeAlias = Literal["step", "sequence"]
"""What a row stands for."""

Bounds: TypeAlias = Callable[[slice], tuple[np.ndarray, np.ndarray]]

_STEPS_AT_ONCE = 2048


@dataclass(frozen=True)
class Track:
    """What a model reads from beginning to end, in parts: one sequence, or many of them one after the other.

    Args:
        name: its own.
        steps: how many there are.
        unit: what a step is called by: "time" or "symbol".
        inputs: what the model reads at the steps of a part, [time, 1, …].
        labels: what these steps are called, [time].
        bounds: whether a sequence begins at them, and whether it is read at them for the last time, bool [time] each.
        filled: whether what is read at a step was filled in, bool [steps]; `None` where nothing was.
    """

    name: str
    steps: int
    unit: str
    inputs: Callable[[slice], Tensor]
    labels: Callable[[slice], np.ndarray]
    bounds: Bounds
    filled: np.ndarray | None = None


def windows(length: int, steps: int) -> Bounds:
    """Sequences of `length` steps out of `steps`.

    Example:
        >>> begins, ends = windows(3, 5)(slice(2, 5))
        >>> begins.tolist(), ends.tolist()
        ([False, True, False], [True, False, True])
    """

    def bounds(part: slice) -> tuple[np.ndarray, np.ndarray]:
        places = np.arange(part.start, part.stop)
        return places % length == 0, ((places + 1) % length == 0) | (places + 1 == steps)

    return bounds


def lines(tokens: np.ndarray, line_break: int) -> Bounds:
    """Lines of a text, each read up to its line break; of an empty line that is read.

    Example:
        >>> begins, ends = lines(np.array([5, 6, 0, 0, 7]), 0)(slice(0, 5))
        >>> begins.tolist(), ends.tolist()
        ([True, False, False, True, True], [False, True, False, True, True])
    """

    def breaks(part: slice, shift: int) -> np.ndarray:
        places = np.arange(part.start, part.stop) + shift
        inside = np.clip(places, 0, len(tokens) - 1)
        return (places != inside) | (tokens[inside] == line_break)

    def bounds(part: slice) -> tuple[np.ndarray, np.ndarray]:
        begins = breaks(part, -1)
        return begins, np.where(breaks(part, 0), begins, breaks(part, 1))

    return bounds


def rows_of(
    model: SequenceModel, tracks: Sequence[Track], per: Per, progress: Callable[[float], None]
) -> Iterator[pl.DataFrame]:
    """The rows of all tracks, a part at a time."""
    model.eval()
    rows = _step_rows if per == "step" else _sequence_rows
    done, steps = 0, sum(track.steps for track in tracks)
    for track in tracks:
        for part, frame in rows(model, track):
            yield frame
            progress((done + part.stop) / steps)
        done += track.steps


def _step_rows(model: SequenceModel, track: Track) -> Iterator[tuple[slice, pl.DataFrame]]:
    def call(part: slice, state: State) -> tuple[Tensor, State]:
        return model.features(track.inputs(part), state)

    for part, features in walk(call, track.steps, _STEPS_AT_ONCE):
        frame = _frame(track, {"step": np.arange(part.start, part.stop), track.unit: track.labels(part)}, features)
        if track.filled is not None:
            frame = frame.with_columns(pl.when(pl.Series(~track.filled[part])).then(pl.col("^h_.*$")))
        yield part, frame


def _sequence_rows(model: SequenceModel, track: Track) -> Iterator[tuple[slice, pl.DataFrame]]:
    def call(part: slice, state: State) -> tuple[Tensor, State]:
        inputs, (begins, _) = track.inputs(part), track.bounds(part)
        return model.features(inputs, state, resets=torch.as_tensor(begins[:, None]).to(inputs.device))

    count, firsts = 0, np.zeros(0, np.int64)
    for part, features in walk(call, track.steps, _STEPS_AT_ONCE):
        begins, ends = map(np.flatnonzero, track.bounds(part))
        firsts = np.concatenate([firsts, part.start + begins])
        columns = {
            "sequence": count + np.arange(len(ends)),
            "first": firsts[: len(ends)],
            "last": part.start + ends,
            track.unit: track.labels(part)[ends],
        }
        yield part, _frame(track, columns, features[ends])
        count, firsts = count + len(ends), firsts[len(ends) :]


def _frame(track: Track, columns: dict[str, np.ndarray], features: Tensor) -> pl.DataFrame:
    values = features[:, 0].float().cpu().numpy()
    names = pl.Series([track.name] * len(values), dtype=pl.String)
    return pl.DataFrame({"series": names, **columns, **{f"h_{unit}": column for unit, column in enumerate(values.T)}})
