"""Scoring what comes line by line: the state kept between lines, so that memory and time a line stay the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._errors import DataError, UnsupportedError
from .._types import State
from ..data import Arriving, LineReader, Rows, Steps
from .detector import Detector
from .run import Run
from .series import SeriesRun
from .symbols import SymbolRun
from .walking import walk

Tell = Callable[[str], None]
_NONE = np.empty(0)


@dataclass(frozen=True)
class Answer:
    """What is said of a line.

    Args:
        line: its number, from 1.
        series: the name of its series, "" where there is only one.
        label: its time, or the text of the line.
        surprise: in nats; of a line of text the mean of its symbols. NaN where there is none.
        probability: how often a usual step is as far from what was expected; of a line of text that of its rarest
            symbol. NaN where there is none.
        alarm: whether that is rarer than the false alarms allowed.
    """

    line: int
    series: str
    label: Any
    surprise: float
    probability: float
    alarm: bool


class Stream:
    """Scores lines as they come, by the state that those before them left.

    The figures are those that the run gives for a file of the same rows, with a few differences that a file read from
    its end would need: gaps and missing values are always filled with the last value (or with zero where the run does
    so), rows have to come in the order of time, one whose value has no logarithm is left out where the model reads it,
    and a series that was not met in training is answered from its `lookback`-th row on, when its scale is known.

    Args:
        run: a trained run of series or text.
        detector: that judges; `None` gives surprise alone.
        columns: those of the training file, for lines that begin without a header.
        tell: is told, in words, of each line that is left out or filled in.

    Raises:
        UnsupportedError: for a run of sound or music, or of files with a series a row: those do not come line by line.
    """

    def __init__(
        self, run: Run, detector: Detector | None, columns: Sequence[str] = (), tell: Tell = lambda message: None
    ) -> None:
        run.model.eval()
        if isinstance(run, SeriesRun) and run.layout.shape in ("wide", "long"):
            self._reader = _SeriesLines(run, detector, columns, tell)
        elif isinstance(run, SymbolRun) and run.vocabulary is not None:
            self._reader = _TextLines(run, detector, tell)
        else:
            raise UnsupportedError(
                f"{run.folder} is no run of series or text that come line by line (sound, music, labels, or a series a "
                "row): name a file"
            )

    def answers(self, chunks: Iterator[bytes]) -> Iterator[list[Answer]]:
        """For each chunk of bytes, as they come, what is said of the lines that end in it.

        Raises:
            DataError: where the first line is no header and no row, or no line at all could be scored.
        """
        rest, answered, lines = b"", 0, 0
        for chunk in _and_end(chunks):
            *whole, rest = (rest + chunk).split(b"\n") if chunk else (rest, b"")
            if not chunk and not whole[0]:
                whole = []
            found = self._reader.feed([line + b"\n" for line in whole] if chunk else whole)
            found += [] if chunk else self._reader.finish()
            answered, lines = answered + len(found), lines + len(whole)
            if found:
                yield found
        if not answered:
            raise DataError(f"standard input held no line that could be scored: {lines} lines came")


def _and_end(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from (chunk for chunk in chunks if chunk)
    yield b""


class _Judge:
    """Surprise to answers, with what the window needs carried on."""

    def __init__(self, detector: Detector | None, name: str) -> None:
        self.detector, self.name = detector, name
        self.before = _NONE

    def __call__(self, surprise: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(probability, alarm) of each step."""
        if self.detector is None:
            return np.full(len(surprise), np.nan), np.zeros(len(surprise), bool)
        verdict = self.detector.judge(self.name, surprise, self.before, units=units)
        self.before = self.detector.carried(surprise, self.before, units=units)
        return verdict.probability, verdict.alarm


class _SeriesLines:
    """Rows of series, each series with a state of its own."""

    def __init__(self, run: SeriesRun, detector: Detector | None, columns: Sequence[str], tell: Tell) -> None:
        self.run, self.detector, self.tell = run, detector, tell
        self.lines = LineReader(run.layout, columns, tell)
        self.series: dict[str, _OneSeries] = {}

    def feed(self, lines: Sequence[bytes]) -> list[Answer]:
        rows = self.lines.read([line.rstrip(b"\r\n") for line in lines])
        return [] if rows is None else sorted(self._scored(self._legible(rows)), key=lambda answer: answer.line)

    def _legible(self, rows: Rows) -> Rows:
        """The rows whose values have a logarithm, wherever the model reads one."""
        columns = (*self.run.layout.columns.targets, *self.run.layout.columns.past)
        kept = np.ones(len(rows.values), bool)
        for column in self.run.scaler.logs:
            for row in np.flatnonzero(kept & (rows.values[:, column] <= 0)):
                kept[row] = False
                self.tell(f"standard input, line {rows.numbers[row]} is left out: column {columns[column]!r} holds "
                          f"{rows.values[row, column]:g}, and the model reads its logarithm")  # fmt: skip
        return rows.take(np.flatnonzero(kept))

    def _scored(self, rows: Rows) -> Iterator[Answer]:
        places: dict[str, list[int]] = {}
        for place, name in enumerate(rows.names):
            places.setdefault(name, []).append(place)
        for name, own in places.items():
            if name not in self.series:
                self.series[name] = _OneSeries(self.run, self.detector, name, self.tell)
            yield from self.series[name].feed(rows, np.array(own))

    def finish(self) -> list[Answer]:
        return [answer for one in self.series.values() for answer in one.finish()]


class _OneSeries:
    """One series: its state, and its window."""

    def __init__(self, run: SeriesRun, detector: Detector | None, name: str, tell: Tell) -> None:
        self.run, self.detector, self.name = run, detector, name
        self.arriving = Arriving(run.layout, name, tell)
        self.scaler = run.scaler if name in run.scaler else None
        self.held: list[Steps] = []
        self.state: State = None
        self.judge: _Judge | None = None
        self.last: np.ndarray | None = None
        if self.scaler is None:
            tell(f"series {name!r} was not met in training: its first {run.task.lookback} rows give its scale, "
                 "and are answered when they are there")  # fmt: skip

    def feed(self, rows: Rows, own: np.ndarray) -> list[Answer]:
        self.held += self.arriving.steps(rows, own)
        if self.scaler is None and sum(len(steps.values) for steps in self.held) < self.run.task.lookback:
            return []
        return self._flushed()

    def finish(self) -> list[Answer]:
        return self._flushed() if self.held else []

    def _flushed(self) -> list[Answer]:
        if self.scaler is None:
            observed = np.concatenate([steps.values for steps in self.held])[: self.run.task.lookback]
            self.scaler = self.run.scaler.extend(self.name, observed)
        held, self.held = self.held, []
        return [answer for steps in held for answer in self._answers(steps)]

    def _answers(self, steps: Steps) -> Iterator[Answer]:
        assert self.scaler is not None
        if steps.anew or self.judge is None:
            self.state, self.last = None, None
            self.judge = _Judge(self.detector, self.name)
        units = self.run.units(self.name, self.scaler, steps.values)
        surprise = self._surprise(steps) + units
        probability, alarm = self.judge(surprise, units)
        for step in np.flatnonzero(steps.lines):
            label = steps.times[step]
            yield Answer(int(steps.lines[step]), self.name, label, float(surprise[step]), float(probability[step]),
                         bool(alarm[step]))  # fmt: skip

    def _surprise(self, steps: Steps) -> np.ndarray:
        """Of each step, on the model's scale; NaN for the very first of all, and where a target was filled in."""
        assert self.scaler is not None
        values = self.scaler.transform(self.name, steps.values)
        skipped = int(self.last is None)
        before = values[:-1] if self.last is None else np.concatenate([self.last[None], values[:-1]])
        inputs, following = np.concatenate([before, steps.known[skipped:]], axis=1), values[skipped:]
        self.last = values[-1]

        def read(part: slice, _: State) -> tuple[np.ndarray, State]:
            found, self.state = self.run.surprise_of(inputs[part], following[part], self.state)
            return found, self.state

        parts = [found for _, found in walk(read, len(following), self.run.steps_at_once)]
        surprise = np.concatenate([np.full(skipped, np.nan), *parts])
        surprise[steps.filled] = np.nan
        return surprise


class _TextLines:
    """Lines of a text, each symbol scored as the next of one long sequence."""

    def __init__(self, run: SymbolRun, detector: Detector | None, tell: Tell) -> None:
        assert run.vocabulary is not None
        self.run, self.vocabulary, self.tell = run, run.vocabulary, tell
        self.judge = _Judge(detector, "")
        self.state: State = None
        self.last: np.ndarray = np.empty(0, self.vocabulary.dtype)
        self.line = 0
        self.breaks = self.vocabulary.unit == "byte" or "\n" in self.vocabulary.symbols

    def feed(self, lines: Sequence[bytes]) -> list[Answer]:
        read: list[tuple[int, str, np.ndarray]] = []
        for line in lines:
            self.line += 1
            try:
                text, tokens = self._tokens(line)
            except (DataError, UnicodeDecodeError) as error:
                self.tell(f"standard input, line {self.line} is left out: {error}")
                continue
            read.append((self.line, text, tokens))
        return self._answers(read) if read else []

    def finish(self) -> list[Answer]:
        return []

    def _tokens(self, line: bytes) -> tuple[str, np.ndarray]:
        if self.vocabulary.unit == "byte":
            return line.decode(errors="replace").rstrip("\r\n"), np.frombuffer(line, np.uint8)
        text = line.decode()
        return text.rstrip("\r\n"), self.vocabulary.encode(text if self.breaks else text.rstrip("\r\n"))

    def _answers(self, read: list[tuple[int, str, np.ndarray]]) -> list[Answer]:
        surprise = self._surprise(np.concatenate([tokens for _, _, tokens in read]))
        probability, alarm = self.judge(surprise, np.zeros(len(surprise)))
        answers, begin = [], 0
        for line, text, tokens in read:
            own = slice(begin, begin + len(tokens))
            begin = own.stop
            known, rare = surprise[own][np.isfinite(surprise[own])], probability[own][np.isfinite(probability[own])]
            mean = float(known.mean()) if len(known) else np.nan
            rarest = float(rare.min()) if len(rare) else np.nan
            answers.append(Answer(line, "", text, mean, rarest, bool(alarm[own].any())))
        return answers

    def _surprise(self, tokens: np.ndarray) -> np.ndarray:
        """Of each symbol, NaN for the very first of all."""
        skipped = int(not len(self.last) and len(tokens) > 0)
        before, following = np.concatenate([self.last, tokens])[:-1], tokens[skipped:]
        self.last = tokens[-1:] if len(tokens) else self.last

        def read(part: slice, _: State) -> tuple[np.ndarray, State]:
            found, self.state = self.run.surprise_of(before[part], following[part], self.state)
            return found, self.state

        parts = [found for _, found in walk(read, len(following), self.run.steps_at_once)]
        return np.concatenate([np.full(skipped, np.nan), *parts])
