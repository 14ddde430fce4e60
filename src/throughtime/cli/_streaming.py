"""`throughtime score RUN -`: each line of standard input answered with a line on standard output, at once."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from io import BufferedReader, StringIO
from math import isfinite
from typing import Any, cast

import numpy as np

from ..artifacts import Answer, Detector, SeriesRun, Stream
from ..artifacts.run import Run
from ._console import remark

_BYTES_AT_ONCE = 1 << 16


def answer_lines(run: Run, detector: Detector | None, columns: tuple[str, ...], as_json: bool) -> None:
    """Score standard input line by line until it ends, or nobody reads what is written any more."""
    stream = Stream(run, detector, columns, remark)
    write = _writer(run, as_json)
    try:
        for answers in stream.answers(_chunks()):
            sys.stdout.write(write(answers))
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer would fail again when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _chunks() -> Iterator[bytes]:
    """What has come, as soon as anything has."""
    source = cast(BufferedReader, sys.stdin.buffer)
    while chunk := source.read1(_BYTES_AT_ONCE):
        yield chunk


def _writer(run: Run, as_json: bool) -> Callable[[list[Answer]], str]:
    """Answers to text: lines of CSV below a header, or an object of JSON a line."""
    many = isinstance(run, SeriesRun) and run.layout.columns.id is not None
    place = "time" if isinstance(run, SeriesRun) else "line"
    names = [*(["series"] if many else []), place, "surprise", "probability", "alarm"]
    names += [] if isinstance(run, SeriesRun) else ["text"]

    def facts(answer: Answer) -> list[Any]:
        where = [*([answer.series] if many else []), _label(answer) if place == "time" else answer.line]
        last = [] if place == "time" else [answer.label]
        return [*where, _number(answer.surprise), _number(answer.probability), answer.alarm, *last]

    if as_json:
        return lambda answers: "".join(
            json.dumps(dict(zip(names, facts(answer), strict=True)), ensure_ascii=False) + "\n" for answer in answers
        )
    told = False

    def write(answers: list[Answer]) -> str:
        nonlocal told
        text = StringIO()
        table = csv.writer(text, lineterminator="\n")
        if not told:
            table.writerow(names)
        told = True
        for answer in answers:
            table.writerow("" if fact is None else str(fact).lower() if isinstance(fact, bool) else fact
                           for fact in facts(answer))  # fmt: skip
        return text.getvalue()

    return write


def _label(answer: Answer) -> Any:
    label = answer.label
    return str(label) if isinstance(label, np.datetime64) else int(label)


def _number(value: float) -> float | None:
    return float(f"{value:.7g}") if isfinite(value) else None
