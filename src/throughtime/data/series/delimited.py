"""CSV in blocks: frames of strings, each cell as it stands in the file, each line with the right number of cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ..._errors import DataError
from ..files.encoding import decoded, encoding_of, refuse_binary
from .timestamps import looks_like_time

_BLOCK = 1 << 22
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written; `columns` are named by position where it has no header."""

    encoding: str
    separator: str
    header: bool
    columns: tuple[str, ...]
    unnamed: tuple[str, ...] = ()


def dialect_of(path: Path) -> Dialect:
    """Find encoding, separator and header of a CSV file.

    Raises:
        DataError: where the file is binary, in another encoding, has only a header, or a name twice.
    """
    refuse_binary(path)
    encoding = encoding_of([path])
    first = next(decoded(path, encoding, 1 << 16), "")
    lines = first.lstrip("\r\n").splitlines()
    if not lines or not lines[0].strip():
        raise DataError(f"{path} has no line with anything in it")
    separator = separator_of(lines[:50])
    cells = cells_of(lines[0], separator)
    header = any(cell and not (is_number(cell) or looks_like_time(cell)) for cell in cells)
    if not header:
        return Dialect(encoding, separator, False, tuple(f"column_{index + 1}" for index in range(len(cells))))
    if len(lines) == 1:
        raise DataError(f"{path} has a header and no row: {', '.join(cells[:5])}")
    names = tuple(cell.strip() or f"column_{index + 1}" for index, cell in enumerate(cells))
    for name in names:
        if names.count(name) > 1:
            places = [str(index + 1) for index, other in enumerate(names) if other == name]
            raise DataError(f"{path}: {name!r} is the name of columns {', '.join(places)}: rename all but one")
    unnamed = tuple(name for name, cell in zip(names, cells, strict=True) if not cell.strip())
    return Dialect(encoding, separator, True, names, unnamed)


def frames(path: Path, dialect: Dialect) -> Iterator[pl.DataFrame]:
    """The rows of a CSV file as frames of strings; a blank cell is null.

    Raises:
        DataError: naming the line that has too many or too few cells.
    """
    line = 1
    for index, block in enumerate(_whole_lines(decoded(path, dialect.encoding, _BLOCK))):
        rows = _check_cells(path, dialect, block, line)
        frame = pl.read_csv(
            block,
            has_header=False,
            separator=dialect.separator,
            infer_schema=False,
            new_columns=list(dialect.columns),
        )
        if len(frame) != rows:
            raise DataError(f"{path}: the quotes do not match up between lines {line} and {line + rows - 1}")
        line += rows
        frame = frame[1:] if index == 0 and dialect.header else frame
        if len(frame):
            yield frame


def is_number(cell: str) -> bool:
    """Whether a cell is a number, or one of the marks of a missing one."""
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in ("na", "n/a", "null", "none")
    return True


def separator_of(lines: list[str]) -> str:
    """The one that cuts the lines into the most cells, the same number in each."""

    def score(separator: str) -> tuple[int, int]:
        counts = [len(cells_of(line, separator)) for line in lines]
        return (counts.count(counts[0]) if counts[0] > 1 else 0, counts[0])

    return max(_SEPARATORS, key=score)


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of one line, without their quotes."""
    cells, start, quoted = [], 0, False
    for index, symbol in enumerate(line + separator):
        if symbol == '"':
            quoted = not quoted
        if symbol == separator and not quoted:
            cells.append(line[start:index].strip())
            start = index + 1
    return [cell[1:-1].replace('""', '"') if cell[:1] == cell[-1:] == '"' else cell for cell in cells]


def _whole_lines(texts: Iterator[str]) -> Iterator[bytes]:
    """Blocks that end where a line does; a line break between quotes is not one. Blank lines at the end go."""
    rest, blank = b"", b""
    for text in texts:
        block = rest + text.encode()
        last = block.rfind(b"\n")
        while last >= 0 and block.count(b'"', 0, last) % 2:
            last = block.rfind(b"\n", 0, last)
        complete, rest = block[: last + 1], block[last + 1 :]
        ended = complete.rstrip(b"\r\n")
        if ended:
            yield blank + ended + b"\n"
            blank = complete[len(ended) :].replace(b"\r", b"")[1:]
        else:
            blank += complete
    if rest.strip():
        yield blank + rest.rstrip(b"\r\n") + b"\n"


def _check_cells(path: Path, dialect: Dialect, block: bytes, line: int) -> int:
    """The number of lines in a block, each of them with as many cells as there are columns."""
    values = np.frombuffer(block, np.uint8)
    ends, separators = values == ord("\n"), values == ord(dialect.separator)
    if b'"' in block:
        outside = np.cumsum(values == ord('"'), dtype=np.int32) % 2 == 0
        ends, separators = ends & outside, separators & outside
    places = np.flatnonzero(ends)
    cells = np.diff(np.searchsorted(np.flatnonzero(separators), places), prepend=0) + 1
    wrong = np.flatnonzero(cells != len(dialect.columns))
    if wrong.size:
        given, number = int(cells[wrong[0]]), line + int(wrong[0])
        before = int(places[wrong[0] - 1]) + 1 if wrong[0] else 0
        if not block[before : places[wrong[0]]].strip():
            raise DataError(f"{path}, line {number} is blank: delete it")
        more = f"; {wrong.size} lines like it in this part of the file" if wrong.size > 1 else ""
        raise DataError(
            f"{path}, line {number} has {given} cells where the first line has {len(dialect.columns)}, "
            f"separated by {dialect.separator!r}{more}"
        )
    return len(places)
