"""Writing files so that a reader sees the old one or the new one, never half of either."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "numbers.txt") as temporary:
        ...     _ = temporary.write_text("1 2 3")
        >>> [file.name for file in folder.iterdir()]
        ['numbers.txt']
    """
    path = Path(path)
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        # Nobody knows the temporary file by name.
        if error.errno is None or (temporary is not None and error.filename not in (None, str(temporary))):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Make `folder` and its parents; when the block fails, whatever it made or put there is gone again.

    Example:
        >>> base = Path(tempfile.mkdtemp())
        >>> with making(base / "runs" / "first"):
        ...     raise OSError("no space left on device")
        Traceback (most recent call last):
        OSError: no space left on device
        >>> list(base.iterdir())
        []
    """
    folder = Path(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    before = set(folder.iterdir()) if folder.is_dir() else set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for file in set(folder.iterdir()) - before:
                file.unlink()
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def remove_leftovers(folder: Path) -> None:
    """Take away the temporary files of writers that were killed in `folder`, and nothing else.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in (".a.json.k3xq_w1z.json", ".hidden", "a.json"):
        ...     (folder / name).touch()
        >>> remove_leftovers(folder)
        >>> sorted(file.name for file in folder.iterdir())
        ['.hidden', 'a.json']
    """
    for file in Path(folder).glob(".*"):
        if re.fullmatch(r"\..+(\.\w+)\.\w{8}\1", file.name):
            file.unlink(missing_ok=True)
