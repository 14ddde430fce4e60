"""One step of one sequence, as audio and control need it: median and 99.9th percentile, from Python and from C.

All are single-threaded, so that nobody's threads are in anybody's way, and share one process, in turn.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _case import GATES, NAMES, Case
from _common import idle_or_leave, options, processor, write_json
from _page import PAGE, ROOT, in_time, table, write_section
from _steppers import STEPPERS, NotHere, Step

import throughtime as tt
from throughtime.ops import _library

SHAPES = [(1, 32), (32, 32), (1, 128), (128, 128)]
FROM_C = "throughtime, from C"
_WARM, _STEPS = 200, 3000  # a repeat


def main() -> None:
    settings = options(__doc__).parse_args()
    repeats = 2 if settings.quick else settings.repeats
    kinds, shapes = (["gru"], SHAPES[:1]) if settings.quick else (list(GATES), SHAPES)
    before = idle_or_leave(settings.force or settings.quick)
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = []
    with from_c() as program:
        for kind in kinds:
            for shape in shapes:
                found.append(measured(Case(kind, 1, 1, *shape, training=False), repeats, program))
                tell(found[-1])
    versions = versions_here()
    machine = {"processor": processor(), "busy": before}
    write_json(settings.out, "streaming", {"machine": machine, "versions": versions, "steps": found})
    page = settings.page or (None if settings.quick else PAGE)
    if page is not None:
        names = [name for name in (FROM_C, *STEPPERS) if any(name in row for row in found)]
        rows = [[row["case"], *(in_words(row.get(name)) for name in names)] for row in found]
        described = f"{processor()}. {', '.join(versions)}. Median and 99.9th percentile of {repeats * _STEPS} steps."
        write_section("streaming", f"{described}\n\n{table(['', *names], rows)}", page)


def measured(case: Case, repeats: int, program: Path | None) -> dict[str, Any]:
    """Median and 99.9th percentile of every way that is here, in seconds."""
    ways: dict[str, tuple[Step, list[Any]]] = {}
    samples = list(np.random.default_rng(5).standard_normal((64, 1, case.input), np.float32))
    for name, (make, tensors) in STEPPERS.items():
        try:
            ways[name] = make(case), [torch.from_numpy(x) for x in samples] if tensors else samples
        except NotHere as reason:
            print(f"{name} left out: {reason}")
    row: dict[str, Any] = {"case": f"{NAMES[case.kind]} I{case.input} H{case.hidden}"}
    with torch.inference_mode():
        compare(ways)
        taken: dict[str, list[int]] = {name: [] for name in ways}
        for repeat in range(repeats):
            names = list(ways)
            for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
                taken[name] += times(*ways[name])
    for name, nanoseconds in taken.items():
        row[name] = [float(value) * 1e-9 for value in np.percentile(nanoseconds, [50, 99.9], method="higher")]
    if program is not None:
        arguments = [case.kind, str(case.input), str(case.hidden), str(repeats * _STEPS)]
        done = subprocess.run([str(program), *arguments], check=True, capture_output=True, text=True)
        row[FROM_C] = [int(word) * 1e-9 for word in done.stdout.split()]
    return row


def compare(ways: dict[str, tuple[Step, list[Any]]]) -> None:
    """All must say the same, step after step, before anybody is timed."""
    reference: list[np.ndarray] = []
    for name, (step, samples) in ways.items():
        outputs = [np.asarray(step(x)).ravel().copy() for x in samples[:8]]
        reference = reference or outputs
        if not np.allclose(outputs, reference, atol=1e-5):
            print(f"{name} computes something else than {next(iter(ways))}")


def times(step: Step, samples: list[Any]) -> list[int]:
    """Nanoseconds of each step, reading the clock included."""
    clock, taken = time.perf_counter_ns, []
    for index in range(-_WARM, _STEPS):
        x = samples[index & 63]
        started = clock()
        step(x)
        ended = clock()
        if index >= 0:
            taken.append(ended - started)
    return taken


@contextmanager
def from_c() -> Iterator[Path | None]:
    """The same through the C interface, compiled against the shared object in use, where there are both."""
    compiler, library = shutil.which("gcc") or shutil.which("cc"), _library.library()
    if compiler is None or isinstance(library, _library.Missing):
        print(f"from C left out: {'no C compiler' if compiler is None else library.reason}")  # type: ignore[union-attr]
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        program, path = Path(folder) / "streaming", library.path.resolve()
        source = Path(__file__).with_name("streaming.c")
        include = ["-std=c11", "-O2", "-I", str(ROOT / "native" / "include")]
        link = [str(path), f"-Wl,-rpath,{path.parent}", "-fopenmp", "-lm", "-lpthread"]
        subprocess.run([compiler, *include, str(source), *link, "-o", str(program)], check=True)
        yield program


def versions_here() -> list[str]:
    found = [f"throughtime {tt.__version__}", f"torch {torch.__version__}"]
    try:
        from _peers.onnx_runtime import version
    except ImportError:
        return found
    return [*found, version()]


def tell(row: dict[str, Any]) -> None:
    print(row["case"])
    for name, figures in row.items():
        if name != "case":
            print(f"  {name:22} {in_words(figures)}", flush=True)


def in_words(figures: list[float] | None) -> str:
    return "–" if figures is None else " · ".join(map(in_time, figures))


if __name__ == "__main__":
    main()
