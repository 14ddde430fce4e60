"""Each series, or the logarithm of it, brought to mean 0 and standard deviation 1, and back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._errors import DataError, ShapeError

_CHUNK = 1 << 18


@dataclass(frozen=True, eq=False)
class Standardised:
    """A sequence standardised where it is sliced, so that a memory map stays one."""

    values: Any
    mean: np.ndarray
    deviation: np.ndarray
    logs: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """[time, feature]."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """Two: time and feature."""
        return self.values.ndim

    @property
    def dtype(self) -> np.dtype:
        """float64."""
        return np.dtype(np.float64)

    def __getitem__(self, index: slice) -> np.ndarray:
        return (_logged(self.values[index], self.logs) - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class Scaler:
    """The mean and standard deviation of each feature of each series, of its training part alone.

    Args:
        means, deviations: by name of the series, [feature]. A constant feature has deviation 1.
        constants: by name, the features that were constant.
        logs: the features of which the logarithm is taken before.

    Example:
        >>> scaler = Scaler.fit({"a": np.array([[1.0], [3.0]])})
        >>> scaler.transform("a", np.array([[5.0]]))
        array([[3.]])
        >>> scaler.inverse("a", np.array([[3.0]]))
        array([[5.]])
    """

    means: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]
    constants: Mapping[str, tuple[int, ...]]
    logs: tuple[int, ...] = ()

    @classmethod
    def fit(cls, training: Mapping[str, Any], logs: tuple[int, ...] = ()) -> Scaler:
        """Fitted on the training part of each series, [time, feature] by name; read in chunks."""
        fitted = {name: _moments(name, values, logs) for name, values in training.items()}
        return cls(
            {name: mean for name, (mean, _, _) in fitted.items()},
            {name: deviation for name, (_, deviation, _) in fitted.items()},
            {name: constant for name, (_, _, constant) in fitted.items()},
            logs,
        )

    def extend(self, name: str, history: Any) -> Scaler:
        """The same scaler with one more series, fitted on its history [time, feature]."""
        added = Scaler.fit({name: history}, self.logs)
        return Scaler(
            {**self.means, **added.means},
            {**self.deviations, **added.deviations},
            {**self.constants, **added.constants},
            self.logs,
        )

    def transform(self, name: str, values: Any) -> np.ndarray:
        """`values` [..., feature] of series `name`, standardised."""
        self._check(name, values)
        return (_logged(np.asarray(values, np.float64), self.logs) - self.means[name]) / self.deviations[name]

    def view(self, name: str, values: Any) -> Standardised:
        """The same for a sequence too long to hold: standardised where it is sliced."""
        self._check(name, values)
        return Standardised(values, self.means[name], self.deviations[name], self.logs)

    def inverse(self, name: str, values: Any) -> np.ndarray:
        """What `transform` was given, from what it gave, [..., feature]."""
        self._check(name, values)
        restored = np.asarray(values, np.float64) * self.deviations[name] + self.means[name]
        restored[..., self.logs] = np.exp(restored[..., self.logs])
        return restored

    def spread(self, name: str, values: Any) -> np.ndarray:
        """What one unit of `transform` is worth near `values` [..., feature], in theirs: the slope of `inverse`.

        Its logarithm is what the data's own units add to a surprise.
        """
        self._check(name, values)
        spread = np.broadcast_to(self.deviations[name], values.shape).copy()
        spread[..., self.logs] *= values[..., self.logs]
        return spread

    def __contains__(self, name: str) -> bool:
        return name in self.means

    def _check(self, name: str, values: Any = None) -> None:
        if name not in self.means:
            near = difflib.get_close_matches(name, self.means, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(
                f"no scale is known for series {name!r}; {hint}extend(name, history) fits one on its own history"
            )
        features = len(self.means[name])
        if values is not None and values.shape[-1] != features:
            raise ShapeError(f"values are {list(values.shape)}: series {name!r} was fitted on {features} features")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, exact."""
        return {
            name: {
                "mean": self.means[name].tolist(),
                "deviation": self.deviations[name].tolist(),
                "constant": list(self.constants[name]),
                "log": list(self.logs),
            }
            for name in self.means
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Scaler:
        """The inverse of `to_dict`."""
        return cls(
            {name: np.array(entry["mean"], np.float64) for name, entry in record.items()},
            {name: np.array(entry["deviation"], np.float64) for name, entry in record.items()},
            {name: tuple(entry["constant"]) for name, entry in record.items()},
            next((tuple(entry.get("log", ())) for entry in record.values()), ()),
        )


def _logged(values: np.ndarray, logs: tuple[int, ...]) -> np.ndarray:
    """The values [..., feature], some features as logarithms."""
    if not logs:
        return values
    given = values[..., logs]
    if not (given > 0).all():
        raise DataError(
            f"the value {given[~(given > 0)][0]:g} has no logarithm, which the model reads: train with --transform none"
        )
    values = np.array(values, np.float64)
    values[..., logs] = np.log(given)
    return values


def _chunks(values: Any, logs: tuple[int, ...]) -> Iterator[np.ndarray]:
    for begin in range(0, len(values), _CHUNK):
        yield _logged(np.asarray(values[begin : begin + _CHUNK], np.float64), logs)


def _moments(name: str, values: Any, logs: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    if len(values) == 0:
        raise DataError(f"series {name!r} has no row to fit a scale on")
    if values.ndim != 2:
        raise ShapeError(f"series {name!r} is {list(values.shape)}: expected [time, feature]")
    mean = sum((chunk.sum(axis=0) for chunk in _chunks(values, logs)), np.zeros(values.shape[1])) / len(values)
    squares = sum((np.square(chunk - mean).sum(axis=0) for chunk in _chunks(values, logs)), np.zeros(values.shape[1]))
    deviation = np.sqrt(squares / len(values))
    constant = deviation <= 1e-12 * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation), tuple(int(feature) for feature in np.flatnonzero(constant))
