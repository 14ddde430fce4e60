"""What comes of the kernels with any compiler or none, and what is in the wheel."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPILER = shutil.which("c++")
BUILT = re.compile(r"throughtime: native kernels for (.*); threads by (OpenMP|std::thread)\n")

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed")


def run(*command: object, **environment: str) -> str:
    """The command's output, standard error included; a failure is one of the test."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, errors="replace")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def configure(folder: Path, compiler: object) -> str:
    return run("cmake", "-S", ROOT, "-B", folder, CXX=str(compiler))


def pretending(folder: Path, script: str) -> Path:
    """A compiler that is the real one after a few lines of shell."""
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\n{script}\nexec {COMPILER} "$@"\n')
    path.chmod(0o755)
    return path


def test_without_a_compiler_the_package_is_plain_python(tmp_path: Path) -> None:
    output = configure(tmp_path / "build", tmp_path / "no-such-compiler")
    assert "no C++ compiler found; installing plain Python without the native kernels" in output
    run("cmake", "--build", tmp_path / "build")
    run("cmake", "--install", tmp_path / "build", "--prefix", tmp_path / "installed")
    assert not list(tmp_path.glob("installed/**/*.so"))


@needs_compiler
def test_a_compiler_that_cannot_build_them_is_named(tmp_path: Path) -> None:
    compiler = pretending(tmp_path, 'set -- "-Dconstexpr=an old standard" "$@"')
    output = configure(tmp_path / "build", compiler)
    assert f"{compiler} lacks C++17 or vector extensions; installing plain Python" in " ".join(output.split())
    assert not BUILT.search(output)


@needs_compiler
def test_a_compiler_that_appears_later_is_used(tmp_path: Path) -> None:
    configure(tmp_path / "build", tmp_path / "no-such-compiler")
    assert BUILT.search(configure(tmp_path / "build", COMPILER))


@needs_compiler
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other machines have the baseline alone")
def test_sets_that_the_compiler_does_not_know_are_left_out(tmp_path: Path) -> None:
    refuse = 'for word; do case "$word" in -mavx512bf16) echo "error: unknown option $word" >&2; exit 1; esac; done'
    output = configure(tmp_path / "build", pretending(tmp_path, refuse))
    assert "leaving out the kernels for avx512_bf16" in output
    built = BUILT.search(output)
    assert built
    assert built[1].split(", ")[0] == "baseline"
    assert "avx512_bf16" not in built[1]


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(find_spec("scikit_build_core") is None, reason="scikit-build-core is not installed")
def test_the_wheel_needs_nothing_but_the_c_library(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    run(*pip, ROOT)
    (wheel,) = tmp_path.glob("throughtime-*-py3-none-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract("throughtime/_native/libthroughtime.so", tmp_path)
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "--dynamic", library)))
    assert needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
    exported = [line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()]
    assert exported
    assert all(name.startswith("throughtime_") for name in exported)
    missing = [line.split()[-1] for line in run("nm", "-D", "--undefined-only", library).splitlines() if " U " in line]
    unversioned = [name for name in missing if "@" not in name]  # the C library's symbols carry its version
    assert all(name.startswith(("GOMP_", "omp_")) for name in unversioned)
