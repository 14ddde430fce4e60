"""Peers in processes of their own, timed in turn.

Libraries that share a process share its cores too: each keeps a pool of threads that spin for a while after a call, and
takes them from whoever is timed next. Here each peer has a process; all of them sleep but the one that is timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from _case import Case
from _peers import Unsupported, prepare, version

_WARMING = 0.15  # seconds, after which a team of threads that slept is on cores of its own again
_PAUSE = 0.02  # seconds; threads that spin after a call have given up by then


class PeerError(Exception):
    """A peer that could not do what it was asked for; the message is its own."""


class Worker:
    """A peer in its own process; a context manager that ends it."""

    def __init__(self, peer: str, threads: int) -> None:
        self.peer = peer
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "2"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, peer, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def prepare(self, case: Case, check: bool = True) -> dict[str, Any]:
        """Make a case ready beside others: `{"backend": …, "digest": …}`, the latter of a first run, if it may `check`.

        Raises:
            Unsupported: where this peer has no such case.
        """
        answer = self._ask("prepare", case=asdict(case), check=check)
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        return answer

    def forget(self) -> None:
        """Free all cases that are ready."""
        self._ask("forget")

    def measure(self, case: Case, seconds: float, warm_up: bool = True) -> float:
        """Mean seconds a call, over about `seconds` of calls, and at least one, after some to `warm_up`."""
        time.sleep(_PAUSE)
        return self._ask("measure", case=asdict(case), seconds=seconds, warm_up=warm_up)["seconds"]

    def results(self, case: Case) -> dict[str, np.ndarray]:
        """All numbers; for small cases."""
        found = self._ask("results", case=asdict(case))["results"]
        return {name: np.asarray(value, np.float32) for name, value in found.items()}

    def errors(self, case: Case, reference: Case) -> dict[str, float]:
        """Array by array the largest difference of two cases, over the largest number of `reference`."""
        return self._ask("errors", case=asdict(case), reference=asdict(reference))["errors"]

    def version(self) -> str:
        return self._ask("version")["version"]

    def _ask(self, do: str, **what: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"{self.peer} ended by itself, with code {self._process.wait(10)}, when asked to {do}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.peer}: {answer['error']}")
        return answer


def digest(results: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Of each array its size and a projection: enough to see that two peers computed the same thing."""
    return {name: [float(np.linalg.norm(value)), _projection(value)] for name, value in results.items()}


def _projection(value: np.ndarray) -> float:
    flat = value.ravel().astype(np.float64)
    return float(flat @ np.cos(np.arange(flat.size)))


def disagreement(one: dict[str, list[float]], other: dict[str, list[float]]) -> float:
    """The largest difference of two digests, relative to the size of the array."""
    shared = one.keys() & other.keys()
    return max(
        abs(a - b) / max(one[name][0], 1e-30) for name in shared for a, b in zip(one[name], other[name], strict=True)
    )


def _time(run: Any, seconds: float, warm_up: bool) -> float:
    if warm_up:
        _calls_within(run, _WARMING)
    started = time.perf_counter()
    calls = _calls_within(run, seconds)
    return (time.perf_counter() - started) / calls


def _calls_within(run: Any, seconds: float) -> int:
    started, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - started < seconds:
        run()
        calls += 1
    return calls


def _serve(peer: str, threads: int) -> None:
    # JAX sizes its pool by the cores that it may use, and by nothing else.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    # Whatever a library prints goes to the terminal; answers have the pipe for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready: dict[Case, Any] = {}
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), peer, threads, ready)
        except Unsupported as error:
            answer = {"unsupported": str(error)}
        except Exception as error:  # told to the one who asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(request: dict[str, Any], peer: str, threads: int, ready: dict[Case, Any]) -> dict[str, Any]:
    asked: Any = Case(**request["case"]) if "case" in request else None
    match request["do"]:
        case "version":
            return {"version": version(peer)}
        case "forget":
            ready.clear()
            return {}
        case "prepare":
            prepared = ready[asked] = prepare(peer, asked, threads)
            found = digest(prepared.results()) if request["check"] else None
            return {"digest": found, "backend": getattr(prepared, "backend", None)}
        case "measure":
            return {"seconds": _time(ready[asked].run, request["seconds"], request["warm_up"])}
        case "errors":
            found, reference = ready[asked].results(), ready[Case(**request["reference"])].results()
            scales = {name: np.abs(value).max() for name, value in reference.items()}
            return {"errors": {n: float(np.abs(found[n] - reference[n]).max() / scales[n]) for n in reference}}
        case _:
            return {"results": {name: value.tolist() for name, value in ready[asked].results().items()}}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _serve(sys.argv[1], int(sys.argv[2]))
