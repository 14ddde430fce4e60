"""One run of a benchmark of peers: an idle machine, workers, the record as JSON, and the page to write into."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _common import idle_or_leave, machine, place, processor, write_json
from _page import PAGE, write_section
from _peak import measured_peak
from _timing import Timing, workers
from _worker import Worker


@dataclass
class Run:
    """What is the same for all that one run times.

    Args:
        here: a worker for each peer that is installed.
        peak: what the machine computes at most, in GFLOP/s; None where that could not be measured.
        page: the page to write into, if any.
        record: what goes into the JSON beside machine, versions and timings.
    """

    name: str
    here: dict[str, Worker]
    versions: dict[str, str]
    threads: int
    repeats: int
    quick: bool
    peak: float | None
    page: Path | None
    timings: list[Timing] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def described(self) -> str:
        """The line above every table: where, with what, and how often."""
        peak = "" if self.peak is None else f", at most {self.peak:.0f} GFLOP/s on registers alone"
        return (
            f"{place(self.threads)}{peak}. {', '.join(self.versions.values())}. "
            f"Medians of {self.repeats}, taken in turn."
        )

    def share(self, timing: Timing) -> float | None:
        """Of the machine's peak."""
        return None if self.peak is None else timing.gflops / self.peak

    def write(self, content: str, section: str | None = None) -> None:
        """Into the page, unless this run writes to none."""
        if self.page is not None:
            write_section(section or self.name, f"{self.described}\n\n{content}", self.page)

    def picture(self, name: str) -> Path | None:
        """Where a picture of the page goes."""
        return None if self.page is None else self.page.parent / "pictures" / f"{name}.png"


@contextmanager
def run_of(name: str, peers: list[str], settings: argparse.Namespace) -> Iterator[Run]:
    """Begin on an idle machine, with a worker for each peer; end with the record written."""
    before = idle_or_leave(settings.force or settings.quick)
    peak = measured_peak(settings.threads)
    repeats = min(settings.repeats, 2) if settings.quick else settings.repeats
    page = settings.page or (None if settings.quick else PAGE)
    started = time.monotonic()
    with workers(peers, settings.threads) as (here, versions):
        run = Run(name, here, versions, settings.threads, repeats, settings.quick, peak, page)
        print(f"{machine()}\n{run.described}", flush=True)
        yield run
    seconds = time.monotonic() - started
    record = {
        "machine": {"processor": processor(), "busy": before, "peak_gflops": peak, "threads": run.threads},
        "versions": versions,
        "repeats": repeats,
        "seconds": seconds,
        **run.record,
        "timings": [timing.as_json() | {"share_of_peak": run.share(timing)} for timing in run.timings],
    }
    write_json(settings.out, name, record)
    print(f"{seconds:.0f} s in all")
