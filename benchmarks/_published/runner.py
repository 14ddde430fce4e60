"""One training in a process of its own: its figures, or why there are none, beside its time and its memory.

As a script it is that process; imported, it finds the protocols and starts it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from _memory import PeakMemory

from _published.protocol import Protocol

FOLDER = Path(__file__).parent
_FOREVER = 1e9  # seconds


@dataclass(frozen=True, eq=False)
class Training:
    """One model of a protocol, from one seed.

    Args:
        file: the module that has the protocol.
    """

    file: Path
    protocol: Protocol
    model: str
    seed: int

    @property
    def name(self) -> str:
        """As its file of results is called."""
        return "-".join([self.protocol.name, *self.model.split(), str(self.seed)]).replace("/", "_")

    def __str__(self) -> str:
        return f"{self.protocol.name}, {self.model}, seed {self.seed}"


def protocols(folder: Path = FOLDER) -> dict[str, tuple[Path, Protocol]]:
    """Every protocol of the modules in a folder, by name; a module that cannot be imported is told of and left out."""
    found: dict[str, tuple[Path, Protocol]] = {}
    for file in sorted(folder.glob("[!_]*.py")):
        try:
            of_module = protocols_of(file)
        except Exception as error:
            print(f"left out: {file.name} cannot be imported ({in_words(error)})")
            continue
        found |= {protocol.name: (file, protocol) for protocol in of_module}
    return found


def protocols_of(file: Path) -> tuple[Protocol, ...]:
    """`PROTOCOLS` or `PROTOCOL` of a module, which may import its neighbours of `_published` relatively."""
    name = f"_published.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their module up while it is executed
    try:
        spec.loader.exec_module(module)
    finally:
        if before is not None:
            sys.modules[name] = before
    one = getattr(module, "PROTOCOL", None)
    return getattr(module, "PROTOCOLS", () if one is None else (one,))


def carried_out(training: Training, threads: int, limit: float | None = None) -> dict[str, Any]:
    """The figures of a training with its seconds and its memory at the highest in KiB; or its `failure`, in words.

    Args:
        limit: seconds after which it is stopped, and `unfinished`.
    """
    with tempfile.TemporaryDirectory() as place:
        answer, log = Path(place) / "answer.json", Path(place) / "log.txt"
        named = [str(training.file), training.protocol.name, training.model, str(training.seed)]
        command = [sys.executable, __file__, *named, str(answer)]
        with log.open("w") as output:
            # A session of its own: Ctrl-C reaches whoever waits for it, and ends all that it started.
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                start_new_session=True,
            )
        try:
            with PeakMemory(process.pid) as peak:
                # Without a limit it would block, and Ctrl-C, taken by a thread of a library, not wake it.
                process.wait(_FOREVER if limit is None else limit)
        except subprocess.TimeoutExpired:
            return {"unfinished": limit, "peak_kib": peak.kib}
        finally:
            _end(process)
        if process.returncode or not answer.exists():
            return {"failure": _last_words(log.read_text(errors="replace"), process.returncode)}
        done = json.loads(answer.read_text())
    wrong = _not_as_stated(done["metrics"], training.protocol.metrics)
    return {"failure": wrong} if wrong else {**done, "peak_kib": peak.kib}


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_words(log: str, code: int) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with code {code} and no word"


def _not_as_stated(metrics: dict[str, Any], stated: tuple[str, ...]) -> str | None:
    missing = [name for name in stated if name not in metrics]
    if missing:
        return f"it gave {', '.join(metrics) or 'no figure'}, without {', '.join(missing)}"
    broken = [f"{name} is {metrics[name]}" for name in stated if not math.isfinite(metrics[name])]
    return ", ".join(broken) or None


def in_words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _main(file: str, name: str, model: str, seed: str, answer: str) -> None:
    (protocol,) = (protocol for protocol in protocols_of(Path(file)) if protocol.name == name)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        metrics = protocol.run(model, int(seed), Path(folder))
        seconds = time.perf_counter() - started
    Path(answer).write_text(json.dumps({"metrics": metrics, "seconds": seconds}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
