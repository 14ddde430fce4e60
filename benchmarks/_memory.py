"""Anonymous resident memory of another process, at its highest."""

from __future__ import annotations

import threading
from pathlib import Path


class PeakMemory:
    """A context manager that watches a process; `kib` is the highest RssAnon seen so far, in KiB.

    Args:
        pid: the process.
        every: seconds between looks.
    """

    def __init__(self, pid: int, every: float = 0.02) -> None:
        self._status, self._every = Path(f"/proc/{pid}/status"), every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.kib = 0

    def __enter__(self) -> PeakMemory:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            self._look()

    def _look(self) -> None:
        try:
            lines = self._status.read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            return
        self.kib = max([self.kib, *(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))])
