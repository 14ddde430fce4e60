"""Counting the n-grams of sequences longer than memory, and what Kneser-Ney smoothing makes of the counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .._errors import DataError, ShapeError

_BLOCK = 1 << 20


class Tally:
    """How often each code was added: sorted distinct codes and their counts, merged when as many again have come."""

    def __init__(self) -> None:
        self._codes = self._counts = np.zeros(0, np.int64)
        self._later: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting = 0

    def add(self, codes: np.ndarray) -> None:
        """Count each of `codes` once more."""
        distinct, counts = np.unique(codes, return_counts=True)
        self._later.append((distinct, counts))
        self._waiting += len(distinct)
        if self._waiting > len(self._codes):
            self._merge()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct codes in order, and their counts."""
        self._merge()
        return self._codes, self._counts

    def _merge(self) -> None:
        codes, counts = map(np.concatenate, zip((self._codes, self._counts), *self._later, strict=True))
        order = np.argsort(codes, kind="stable")
        codes, counts = codes[order], counts[order]
        firsts = np.flatnonzero(np.diff(codes, prepend=-1))
        self._codes, self._counts = codes[firsts], np.add.reduceat(counts, firsts) if len(firsts) else counts
        self._later, self._waiting = [], 0


def count_ngrams(
    pieces: Iterable[Any], vocabulary: int, order: int, separate: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For 1 … order + 1 symbols, the codes of the n-grams in order, and the counts that Kneser-Ney smoothing reads.

    An n-gram's code is its symbols as the digits of a number in base `vocabulary`, the oldest first. The longest are
    counted as often as they come; a shorter one counts the different symbols that were seen before it, the beginning of
    a sequence among them.

    Args:
        pieces: integer arrays [time], the parts of one sequence.
        separate: whether each piece is a sequence of its own instead.

    Raises:
        DataError: where a piece holds other than symbols from 0 to `vocabulary` − 1, or all are empty.
        ShapeError: where a piece is not one-dimensional.
    """
    whole, openings = Tally(), [Tally() for _ in range(order)]
    tail, age = np.zeros(order, np.int64), 0
    for symbols, begins in _blocks(pieces, vocabulary, separate):
        timeline = np.concatenate([tail, symbols])
        steps = np.arange(len(symbols))
        ages = np.minimum(steps - np.maximum.accumulate(np.where(begins, steps, -age)), order)
        codes = symbols
        for length, opening in enumerate(openings):
            opening.add(codes[ages == length])
            past = order - 1 - length
            codes = codes + timeline[past : past + len(symbols)] * vocabulary ** (length + 1)
        whole.add(codes[ages == order])
        tail, age = timeline[len(symbols) :], int(ages[-1]) + 1
    levels = [whole.result()]
    for opening in reversed(openings):
        longer = levels[0][0]
        shorter = longer % vocabulary ** (order + 1 - len(levels))
        levels.insert(0, np.unique(np.concatenate([shorter, opening.result()[0]]), return_counts=True))
    if not len(levels[0][0]):
        raise DataError("fit got no symbols: the pieces are empty, or the iterable was used up before")
    return levels


def discounts(counts: np.ndarray, modified: bool) -> tuple[float, float, float]:
    """What is taken from a count of 1, of 2, and of 3 or more, by how many counts are 1, 2, 3 and 4.

    Example:
        >>> discounts(np.repeat([1, 2, 3, 4], [40, 20, 15, 10]), modified=False)  # 40 / (40 + 2 · 20)
        (0.5, 0.5, 0.5)
    """
    n1, n2, n3, n4 = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    share = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    if not modified:
        return share, share, share
    if not (n1 and n2 and n3):
        return 0.5, 1.0, 1.5
    estimated = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
    return estimated if min(estimated) > 0 else (0.5, 1.0, 1.5)


def _blocks(pieces: Iterable[Any], vocabulary: int, separate: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The symbols in blocks of about a million, however long the pieces are, and where sequences begin, bool."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    size = 0
    for index, piece in enumerate(pieces):
        piece = np.asanyarray(piece)
        if piece.ndim != 1:
            raise ShapeError(f"piece {index} is {list(piece.shape)}, expected [time]: of one array make fit([array])")
        for start in range(0, len(piece), _BLOCK):
            part = _symbols(piece[start : start + _BLOCK], vocabulary, f"piece {index}")
            begins = np.zeros(len(part), bool)
            begins[0] = separate and start == 0
            parts.append((part, begins))
            size += len(part)
            if size >= _BLOCK:
                yield _joined(parts)
                parts, size = [], 0
    if parts:
        yield _joined(parts)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    symbols, begins = zip(*parts, strict=True)
    return np.concatenate(symbols), np.concatenate(begins)


def _symbols(part: np.ndarray, vocabulary: int, name: str) -> np.ndarray:
    if part.dtype.kind not in "iu":
        raise DataError(f"{name} is of {part.dtype}, expected integers from 0 to {vocabulary - 1}")
    low, high = int(part.min()), int(part.max())
    if low < 0 or high >= vocabulary:
        wrong = low if low < 0 else high
        raise DataError(f"{name} holds the symbol {wrong}, expected 0 to {vocabulary - 1}, the vocabulary")
    return part.astype(np.int64)
