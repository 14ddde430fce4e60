"""Files as bytes: which one was read, in which encoding, and what is refused before it is looked into."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..._errors import ArtifactError, DataError

BLOCK = 1 << 22

_ELSEWHERE = {
    ".mat": "a MATLAB file; write its series as CSV",
    ".ts": "a file of the UCR/UEA archive, labelled sequences: for throughtime train and predict, or read_labelled",
    ".xlsx": "a spreadsheet; save it as CSV",
    ".xls": "a spreadsheet; save it as CSV",
    ".npy": "a NumPy array; write it as CSV, or give the library a frame",
    ".npz": "NumPy arrays; write them as CSV, or give the library a frame",
    ".zip": "an archive; unpack it first",
    ".tar": "an archive; unpack it first",
    ".mp3": "compressed sound; convert it to WAV or FLAC",
    ".pkl": "a pickle, which runs code when it is read; write CSV or Parquet",
    ".pt": "a torch file; a trained model is a folder here",
    ".json": "JSON; write its series as CSV",
}


@dataclass(frozen=True)
class Source:
    """The file or folder that was read: its whole path, its size in bytes, and the SHA-256 of its bytes."""

    path: str
    size: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Source:
        """The inverse of `to_dict`."""
        return cls(**record)

    @classmethod
    def of(cls, path: Path, files: list[Path] | None = None) -> Source:
        """Read every byte of `path`, or of its `files` one after the other."""
        digest, size = hashlib.sha256(), 0
        for file in files or files_of(path):
            with file.open("rb") as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
                    size += len(block)
        return cls(str(path.resolve()), size, digest.hexdigest())

    def verified(self) -> Path:
        """The path, if its bytes are still the same.

        Raises:
            ArtifactError: where they have changed, or are gone.
        """
        path = Path(self.path)
        if not path.exists():
            raise ArtifactError(f"the data {self.path} is gone: put it back, or name the file to read")
        if Source.of(path) != self:
            raise ArtifactError(f"the data {self.path} has changed since it was read: name a file, or start anew")
        return path


def checked(path: str | Path, *, labelled: bool = False) -> Path:
    """The path, if there is something there that could be read; `labelled`, as sequences with a label each too.

    Raises:
        DataError: where there is nothing, an empty file, a format read elsewhere, or no permission.
    """
    path = Path(path)
    if not path.exists():
        near = _neighbour(path)
        raise DataError(f"{path}: no such file or folder" + (f"; did you mean {near}?" if near else ""))
    if path.is_dir():
        return path
    if path.suffix.lower() in _ELSEWHERE and not (labelled and path.suffix.lower() == ".ts"):
        raise DataError(f"{path} is {_ELSEWHERE[path.suffix.lower()]}")
    try:
        with path.open("rb") as stream:
            first = stream.read(1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if not first:
        raise DataError(f"{path} is empty: 0 bytes")
    return path


def files_of(path: Path) -> list[Path]:
    """The file itself, or every file of a folder in the order of their paths, hidden ones left aside.

    Raises:
        DataError: for a folder without a file.
    """
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise DataError(f"{path} is a folder without a file in it")
    return files


def _neighbour(path: Path) -> Path | None:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1)
    return path.with_name(near[0]) if near else None


def blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    """The bytes of a file, unpacked where its name ends in .gz."""
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            while block := stream.read(size):
                yield block
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}): fetch it again") from error


def head(path: Path, size: int = 1 << 16) -> bytes:
    """The first bytes of a file, unpacked."""
    return next(blocks(path, size), b"")
