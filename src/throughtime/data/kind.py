"""What a file is: series, text, sound, music, or sequences with a label each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .._errors import DataError
from .files.encoding import UndecodableError, decoded, refuse_binary
from .files.source import checked, files_of, head
from .series.delimited import cells_of, is_number, separator_of
from .series.timestamps import looks_like_time

Kind = Literal["series", "text", "sound", "music", "labelled"]

SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys((".csv", ".tsv", ".parquet", ".pq"), "series"),
    ".ts": "labelled",
    **dict.fromkeys((".wav", ".flac", ".ogg", ".aiff", ".aif", ".au"), "sound"),
    **dict.fromkeys((".mid", ".midi"), "music"),
}
_MAGIC: dict[bytes, Kind] = {
    **dict.fromkeys((b"RIFF", b"fLaC", b"OggS", b"FORM"), "sound"),
    b"MThd": "music",
    b"PAR1": "series",
}


def kind_of(path: str | Path) -> Kind:
    """The kind of a file, from its suffix, else from its first bytes; of a folder, from the files in it.

    Text whose first lines are columns of numbers or times is series; only files that end in .ts are labelled.

    Raises:
        DataError: where it is none of these, empty, or cannot be read; or where a folder mixes kinds.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "measured.txt"
        >>> _ = file.write_text("1.5 , 2.5\\n1.7 , 2.4\\n")
        >>> kind_of(file)
        'series'
    """
    path = checked(path, labelled=True)
    if not path.is_dir():
        return _kind_of_file(path)
    files = files_of(path)
    found: dict[Kind, Path] = {SUFFIXES.get(file.suffix.lower(), "text"): file for file in files}
    for kind in ("series", "labelled"):
        if kind in found:
            what = "series" if kind == "series" else "labelled sequences"
            raise DataError(f"{path} is a folder with {found[kind].name} in it: {what} are read one file at a time")
    (kind, first), *others = sorted(found.items(), key=lambda one: one[0])
    if others:
        raise DataError(f"{path} mixes {kind} ({first.name}) and other files ({others[0][1].name}): part them")
    return kind


def _kind_of_file(path: Path) -> Kind:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    if suffixes and suffixes[-1] in SUFFIXES:
        return SUFFIXES[suffixes[-1]]
    start = head(path)
    if start[:4] in _MAGIC:
        return _MAGIC[start[:4]]
    refuse_binary(path)
    return "series" if _is_table(path) else "text"


def _is_table(path: Path) -> bool:
    for encoding in ("utf-8", "cp949"):
        try:
            lines = next(decoded(path, encoding, 1 << 16), "").splitlines()[:40]
            break
        except UndecodableError:
            continue
    else:
        return False
    body = [line for line in lines[1:-1] if line.strip()] or lines[:1]
    separator = separator_of(body) if body else ","
    rows = [cells_of(line, separator) for line in body]
    cells = [cell for row in rows for cell in row]
    numbers = sum(is_number(cell) or looks_like_time(cell) for cell in cells)
    return bool(cells) and len({len(row) for row in rows}) == 1 and 2 * numbers > len(cells)
