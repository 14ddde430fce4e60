"""Files of the UCR/UEA archive: a header of tags, then a case a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..._errors import ConfigurationError, DataError
from ..files.encoding import decoded, encoding_of, refuse_binary
from ..files.source import Source
from ..series.grid import Grid, Stretch
from .cases import Cases, in_order
from .layout import LabelledColumns

_SWITCHES = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
_WORDS = ("problemname", "dimensions", "dimension", "serieslength", "data")


@dataclass
class _Header:
    """What the tags of a header say.

    Args:
        file: for messages.
        switches: by tag, whether it is true.
        counts: "dimensions" and "serieslength", where they are given.
        classes: those listed; None where none are.
        notes: tags that are not known.
    """

    file: Path
    switches: dict[str, bool] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether the last part of each line is a label."""
        return self.switches.get("classlabel", False) or self.switches.get("targetlabel", False)

    def take(self, line: str, number: int) -> None:
        """Read a tag and what follows it."""
        name, *words = line[1:].split()
        tag, where = name.lower(), f"{self.file}, line {number}"
        if tag in _SWITCHES:
            if not words or words[0].lower() not in ("true", "false"):
                raise DataError(f"{where}: @{name} {' '.join(words)}".rstrip() + ": expected true or false")
            self.switches[tag] = words[0].lower() == "true"
            if tag == "classlabel" and self.switches[tag]:
                self.classes = tuple(words[1:]) or None
        elif tag in ("dimensions", "dimension", "serieslength"):
            if len(words) != 1 or not words[0].isdigit() or int(words[0]) < 1:
                raise DataError(f"{where}: @{name} {' '.join(words)}".rstrip() + ": expected a whole number from 1 on")
            self.counts["dimensions" if tag.startswith("dim") else tag] = int(words[0])
        elif tag not in _WORDS:
            self.notes.append(f"the tag @{name} is not known and was left aside")
        if tag == "timestamps" and self.switches[tag]:
            raise DataError(
                f"{where}: values with timestamps are not read from this format; write the cases as CSV, a row a step, "
                "with a column for the case, one for the time and one for the label (id=, time=, label=)"
            )
        if tag == "univariate" and self.switches[tag]:
            self.counts.setdefault("dimensions", 1)

    def task(self, wanted: str | None) -> str:
        """The task, as asked for or as the label is; neither may contradict the other."""
        classes, numbers = (self.switches.get(tag, False) for tag in ("classlabel", "targetlabel"))
        found = "regress" if numbers else "classify"
        if wanted is not None and wanted != found and classes != numbers:
            tag = "@targetLabel: each case has a number" if numbers else "@classLabel: each case has a class"
            raise ConfigurationError(f"{self.file} has {tag}, so that the task is {found}, and not {wanted}")
        return wanted or found


def read_archive(path: Path, task: str | None, fill: str | None) -> tuple[Cases, str]:
    """Read a .ts file, and tell which task it is for.

    Args:
        path: the file; it may be packed (.ts.gz).
        task: "classify", "regress", or None for what the header says.
        fill: None refuses missing values, written as `?` or NaN; otherwise they become NaN.

    Raises:
        DataError: naming the line: timestamps, a line cut short, cases of several widths, a cell that is no number.
        ConfigurationError: where the header speaks of the other task.

    Bagnall et al., The UEA multivariate time series classification archive (2018), describes the format.
    """
    refuse_binary(path)
    header, cases = _Header(path), []
    lines = _lines(path)
    for number, line in lines:
        if not line.startswith("@"):
            raise DataError(f"{path}, line {number}: {_short(line)} stands before @data: the header has tags alone")
        header.take(line, number)
        if line.split()[0].lower() == "@data":
            break
    else:
        raise DataError(f"{path} has no line @data: a header of tags is expected, and a case a line after @data")
    task = header.task(task)
    numbers, labels = [], []
    for number, line in lines:
        values, label = _case(header, number, line)
        header.counts.setdefault("dimensions", values.shape[1])
        _check(header, number, values, fill, cases[0] if cases else values)
        cases.append(values)
        numbers.append(number)
        labels.append(label)
    if not cases:
        raise DataError(f"{path} has no case after @data")
    many = header.counts["dimensions"]
    features = ("value",) if many == 1 else tuple(f"dimension_{index + 1}" for index in range(many))
    grid = Grid(str(path), "line", features, fill)
    names = [str(index + 1) for index in range(len(cases))]
    read = [
        Stretch(name, np.arange(len(case)), case, [number] * len(case))
        for name, number, case in zip(names, numbers, cases, strict=True)
    ]
    return Cases(
        file=str(path),
        shape="ts",
        features=features,
        columns=LabelledColumns(),
        sequences=in_order(grid, read),
        names=names,
        labels=labels,
        places=[f"{path}, line {number}" for number in numbers],
        remedy="a label after the last ':' of each line is expected, and @classLabel true in the header"
        " (@targetLabel true for numbers)",
        classes=header.classes,
        source=Source.of(path),
        notes=[*header.notes, *grid.notes()],
    ), task


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their numbers."""
    rest, number = "", 0
    for text in decoded(path, encoding_of([path])):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            number += 1
            if line.strip() and not line.startswith("#"):
                yield number, line.strip()
    if rest.strip() and not rest.startswith("#"):
        yield number + 1, rest.strip()


def _case(header: _Header, number: int, line: str) -> tuple[np.ndarray, str | None]:
    """The steps of one line, [time, feature], and its label."""
    where = f"{header.file}, line {number}"
    parts = line.split(":")
    label = parts.pop().strip() if header.labelled else None
    wanted = header.counts.get("dimensions", len(parts))
    if not parts or len(parts) != wanted:
        and_label = " and a label" if header.labelled else ""
        given = f"{len(parts) + header.labelled} parts between ':'" if len(parts) + header.labelled > 1 else "no ':'"
        raise DataError(
            f"{where} has {given}, where {max(wanted, 1)} dimension{'s' * (wanted > 1)}{and_label} are expected: "
            "mend the line or the header"
        )
    dimensions = [_numbers(where, index, part) for index, part in enumerate(parts)]
    lengths = [len(dimension) for dimension in dimensions]
    if len(set(lengths)) > 1:
        other = next(index for index, length in enumerate(lengths) if length != lengths[0])
        raise DataError(
            f"{where}: dimension 1 has {lengths[0]} steps and dimension {other + 1} has {lengths[other]}: one length "
            "is expected within a case"
        )
    return np.stack(dimensions, axis=1), label or None


def _numbers(where: str, index: int, part: str) -> np.ndarray:
    if not part.strip():
        raise DataError(f"{where}: dimension {index + 1} has no step: leave the case out")
    cells = part.split(",")
    try:
        values = np.fromiter((np.nan if cell.strip() == "?" else float(cell) for cell in cells), np.float64, len(cells))
    except ValueError:
        step, cell = next((step, cell) for step, cell in enumerate(cells) if not _reads(cell))
        raise DataError(f"{where}, dimension {index + 1}, step {step + 1}: {_short(cell)} is not a number") from None
    if np.isinf(values).any():
        step = int(np.isinf(values).argmax())
        raise DataError(f"{where}, dimension {index + 1}, step {step + 1}: {cells[step].strip()} is not finite")
    return values


def _reads(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip() == "?"
    return True


def _check(header: _Header, number: int, values: np.ndarray, fill: str | None, first: np.ndarray) -> None:
    """Refuse a case without what the header promises, or with missing values that nothing mends."""
    where = f"{header.file}, line {number}"
    wanted = header.counts.get("serieslength", len(first))
    if header.switches.get("equallength", False) and len(values) != wanted:
        raise DataError(
            f"{where} has {len(values)} steps, where @equalLength promises {wanted}: mend the line, or the header"
        )
    if fill is None and np.isnan(values).any():
        step, dimension = (int(place[0]) for place in np.nonzero(np.isnan(values)))
        count = int(np.isnan(values).sum())
        more = f"; {count} such values in the line" if count > 1 else ""
        raise DataError(
            f"{where}, dimension {dimension + 1}, step {step + 1} holds no value{more}: fill='linear' mends it "
            "(--fill forward, linear or zero)"
        )


def _short(text: str, most: int = 40) -> str:
    return repr(text if len(text) <= most else text[:most] + "…")
