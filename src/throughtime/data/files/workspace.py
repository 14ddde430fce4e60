"""Arrays too large for memory, written to a file without a name that vanishes with the last one who reads it."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..._errors import DataError

IN_MEMORY = 1 << 26
"""Files up to this many bytes are held in memory; larger ones are read in blocks and kept on disk."""


@contextlib.contextmanager
def enough_room(workspace: Path) -> Iterator[None]:
    """Say in words that a disk is full, or that a folder cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOENT):
            raise DataError(
                f"the workspace {workspace} cannot take the data ({(error.strerror or '').lower()}): "
                "name another folder as workspace"
            ) from error
        raise


class Growing:
    """Rows appended to an array whose length is not known beforehand, in memory or on disk.

    Args:
        dtype: of the array.
        features: the length of each row; None for an array of one axis.
        workspace: the folder whose disk holds the rows; None holds them in memory.

    Example:
        >>> growing = Growing(np.dtype(np.float64), features=2, workspace=Path(tempfile.gettempdir()))
        >>> growing.append(np.zeros((3, 2)))
        >>> growing.array().shape
        (3, 2)
    """

    def __init__(self, dtype: np.dtype, features: int | None, workspace: Path | None) -> None:
        self.dtype, self.features, self.workspace, self.rows = dtype, features, workspace, 0
        self._parts: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        if workspace is not None:
            with enough_room(workspace):
                self._file = tempfile.TemporaryFile(dir=workspace)  # noqa: SIM115 (`array` and `__del__` close it)

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        rows = np.ascontiguousarray(rows, self.dtype)
        self.rows += len(rows)
        if self._file is None or self.workspace is None:
            self._parts.append(rows)
        else:
            with enough_room(self.workspace):
                self._file.write(rows.data if rows.size else b"")

    def array(self) -> Any:
        """All rows, to be called once: an array, or a memory map whose file goes when the map does."""
        shape = (self.rows,) if self.features is None else (self.rows, self.features)
        if self._file is None or self.workspace is None or 0 in shape:
            return np.concatenate(self._parts) if self._parts else np.empty(shape, self.dtype)
        with enough_room(self.workspace):
            self._file.flush()
        # Copy-on-write: a slice of it is writable, as torch wants it, and the file stays as it was.
        mapped = np.memmap(self._file, self.dtype, "c", shape=shape)
        return mapped

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()


def folder_for(size: int, workspace: str | Path | None) -> Path | None:
    """Where arrays of a file of `size` bytes go: None (memory) for small ones, else the folder given or /tmp."""
    if size <= IN_MEMORY:
        return None
    return Path(workspace) if workspace is not None else Path(tempfile.gettempdir())
