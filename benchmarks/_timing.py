"""Many cases, many peers, in turn; the median and quartiles of each."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from _case import Case
from _peers import Unsupported
from _worker import PeerError, Worker, disagreement

_DISAGREE = 1e-3  # relative; float32 sums differ by less, other mathematics by more
_DISAGREE_BFLOAT16 = 0.1
_LONG = 10.0  # seconds, after which a slow peer is not asked again
_WARM = 0.1  # seconds; calls as long as that need no other before them to be as fast as they are


@dataclass
class Timing:
    """What one peer took for one case: seconds a call, one a repeat.

    Args:
        backend: which implementation it says it took; None where it has no choice.
        disagreement: how far its numbers are from those of the first peer, relative to their size.
    """

    peer: str
    case: Case
    seconds: list[float]
    backend: str | None
    disagreement: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def gflops(self) -> float:
        return self.case.operations / self.median / 1e9

    def as_json(self) -> dict[str, Any]:
        quartiles = statistics.quantiles(self.seconds, n=4, method="inclusive") if len(self.seconds) > 1 else []
        return {
            "peer": self.peer,
            **asdict(self.case),
            "backend": self.backend,
            "seconds": self.seconds,
            "median": self.median,
            "quartiles": quartiles[::2],
            "gflops": self.gflops,
            "disagreement": self.disagreement,
        }


@contextmanager
def workers(peers: list[str], threads: int) -> Iterator[tuple[dict[str, Worker], dict[str, str]]]:
    """A worker for each peer that is here, and their versions; those that are not are named, in a line each."""
    with ExitStack() as stack:
        here, versions = {}, {}
        for peer in peers:
            worker = stack.enter_context(Worker(peer, threads))
            try:
                versions[peer] = worker.version()
                here[peer] = worker
            except PeerError as error:
                print(f"left out: {error}")
        yield here, versions


def time_in_turn(here: dict[str, Worker], cases: list[Case], repeats: int, seconds: float = 0.05) -> list[Timing]:
    """Each peer's times for each case: one repeat of all, then the next, beginning elsewhere every time."""
    found = []
    for worker in here.values():
        worker.forget()
    for case in cases:
        found += _prepared(here, case)
    for repeat in range(repeats):
        turn = repeat % max(1, len(found))
        for timing in found[turn:] + found[:turn]:
            if sum(timing.seconds) > _LONG:
                continue
            warm_up = not timing.seconds or timing.seconds[-1] < _WARM
            timing.seconds.append(here[timing.peer].measure(timing.case, seconds, warm_up))
    return found


def _prepared(here: dict[str, Worker], case: Case) -> list[Timing]:
    """The case made ready wherever it can be, and everybody's numbers compared."""
    found, reference = [], None
    for peer, worker in here.items():
        try:
            answer = worker.prepare(case)
        except Unsupported:
            continue
        except PeerError as error:
            print(f"left out of {case}: {error}")
            continue
        reference = reference or answer["digest"]
        far = disagreement(answer["digest"], reference)
        if not far < (_DISAGREE_BFLOAT16 if case.precision == "bfloat16" else _DISAGREE):
            print(f"{peer} computes something else than {found[0].peer}: {far:.1g} apart, relative, in {case}")
        found.append(Timing(peer, case, [], answer["backend"], far))
    return found
