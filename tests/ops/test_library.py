"""Finding the shared object, and saying in one line what is wrong with it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import throughtime
from throughtime._errors import ConfigurationError
from throughtime.ops import Call, _library, choose
from throughtime.ops._library import SETS, VERSION, Library, Missing, library

HEADER = Path(__file__).parents[2] / "native" / "include"
COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


@pytest.fixture
def afresh(monkeypatch):
    """Look for the library again, in another environment."""

    def look(**environment):
        for name in ("THROUGHTIME_LIBRARY", "THROUGHTIME_SET"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(f"THROUGHTIME_{name}", str(value))
        return library.__wrapped__()

    return look


def build(folder, code, name="other.so"):
    """A shared object out of a few lines of C."""
    if COMPILER is None:
        pytest.skip("there is no compiler here")
    source, target = folder / "other.cpp", folder / name
    source.write_text(code, encoding="utf-8")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-I", str(HEADER), str(source), "-o", str(target)], check=True)
    return target


def test_where_there_is_a_compiler_there_are_kernels():
    """Everything else about them is skipped where they are missing; this is not."""
    found = library()
    if COMPILER is None and isinstance(found, Missing):
        pytest.skip(found.reason)
    assert isinstance(found, Library), found
    assert found.sets[0] == "baseline"
    assert found.chosen in found.sets
    assert choose(Call("gru")).backend == "native"


STRUCTS = {
    "layer": _library.Layer,
    "sizes": _library.Sizes,
    "forward_call": _library.ForwardCall,
    "backward_call": _library.BackwardCall,
    "product": _library.Product,
}


def fields(struct):
    """Every field with where it is in the C struct: those of a call's layer are in a struct of their own there."""
    for base in reversed(struct.__mro__):
        for name, _ in vars(base).get("_fields_", ()):
            nested = base is _library.Layer and struct is not base
            yield name, f"layer.{name}" if nested else name


@pytest.mark.parametrize("name", STRUCTS)
def test_structs_are_laid_out_as_in_the_header(name, tmp_path):
    struct = STRUCTS[name]
    lines = [f"(int64_t)offsetof(throughtime_{name}, {place})" for _, place in fields(struct)]
    code = f'#include <stddef.h>\n#include <throughtime.h>\nextern "C" int64_t layout[] = {{{", ".join(lines)}'
    code += f", (int64_t)sizeof(throughtime_{name}), THROUGHTIME_VERSION}};"
    built = ctypes.CDLL(str(build(tmp_path, code)))
    offsets = [getattr(struct, field).offset for field, _ in fields(struct)]
    wanted = [*offsets, ctypes.sizeof(struct), VERSION]
    assert list((ctypes.c_int64 * len(wanted)).in_dll(built, "layout")) == wanted


def test_names_count_as_in_the_header(tmp_path):
    names = [f"THROUGHTIME_{name.upper()}" for part in (_library.KINDS, _library.PRECISIONS, SETS) for name in part]
    code = f'#include <throughtime.h>\nextern "C" int64_t names[] = {{{", ".join(names)}}};'
    numbers = [number for part in (_library.KINDS, _library.PRECISIONS, SETS) for number in part.values()]
    built = ctypes.CDLL(str(build(tmp_path, code)))
    assert list((ctypes.c_int64 * len(numbers)).in_dll(built, "names")) == numbers


def test_no_library(afresh, tmp_path, monkeypatch):
    assert afresh(LIBRARY=tmp_path / "none.so") == Missing(f"THROUGHTIME_LIBRARY={tmp_path}/none.so is no file")
    monkeypatch.setattr(throughtime, "__path__", [str(tmp_path)])
    assert afresh() == Missing("throughtime was installed without the native kernels, which takes a C++ compiler")


def test_broken_libraries_are_explained_in_one_line(afresh, tmp_path):
    (tmp_path / "text.so").write_text("no library\n" * 1000, encoding="utf-8")
    found = afresh(LIBRARY=tmp_path / "text.so")
    assert isinstance(found, Missing)
    assert "invalid ELF header" in found.reason
    found = afresh(LIBRARY=build(tmp_path, "int x;"))
    assert "undefined symbol: throughtime_" in found.reason
    found = afresh(LIBRARY=build(tmp_path, "extern int nowhere(); int x = nowhere();", "needy.so"))
    assert "undefined symbol" in found.reason
    assert all(found.reason.count(word) == 1 for word in ("cannot be used (", "; install throughtime again"))
    assert "\n" not in found.reason


STUBS = ["measure", "measure_product", "pack", "forward", "backward", "trace", "message"]
STUBS += ["product_forward", "product_backward"]


def stub(folder, version, sets):
    stubs = "".join(f"int throughtime_{name}() {{ return 0; }}\n" for name in STUBS)
    stubs += f"int throughtime_version() {{ return {version}; }}\n"
    stubs += f"int throughtime_set_here(int set) {{ return {sets} >> set & 1 ? set : 0; }}\n"
    return build(folder, f'extern "C" {{ {stubs} }}', f"stub{version}{sets}.so")


def test_an_older_library_is_explained(afresh, tmp_path):
    path = stub(tmp_path, VERSION - 1, 0b110)
    expected = f"{path} is of version {VERSION - 1}, this package of {VERSION}; install throughtime again"
    assert afresh(LIBRARY=path) == Missing(expected)
    assert isinstance(afresh(LIBRARY=stub(tmp_path, VERSION, 0b110)), Library)
    assert "built for another processor" in afresh(LIBRARY=stub(tmp_path, VERSION, 0)).reason


def test_sets_of_instructions(afresh, tmp_path):
    path = stub(tmp_path, VERSION, 0b110)
    found = afresh(LIBRARY=path)
    assert (found.sets, found.chosen) == (("baseline", "avx2"), "avx2")
    assert afresh(LIBRARY=path, SET="baseline").chosen == "baseline"
    with pytest.raises(
        ConfigurationError, match="THROUGHTIME_SET=avx512: this machine, or this build, has baseline, av"
    ):
        afresh(LIBRARY=path, SET="avx512")
    with pytest.raises(
        ConfigurationError, match="THROUGHTIME_SET=mmx is unknown: expected one of baseline, avx2, avx5"
    ):
        afresh(LIBRARY=path, SET="mmx")


@pytest.mark.usefixtures("kernels")
def test_the_environment_chooses_the_set():
    code = "from throughtime.ops import _library; print(_library.library().chosen, _library.sets())"
    paths = {"PYTHONPATH": str(Path(throughtime.__file__).parents[1]), "THROUGHTIME_SET": "baseline"}
    environment = {**os.environ, "THROUGHTIME_LIBRARY": str(library().path), **paths}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "baseline ('baseline',)\n"
