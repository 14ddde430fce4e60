from __future__ import annotations

import pytest

from throughtime.ops import KINDS, kernels
from throughtime.ops._library import library, why_missing


@pytest.fixture
def environment(monkeypatch):
    """Let the kernels be looked for again under other variables, and once more when the test is over."""

    def change(**variables):
        for name in ("SET", "LIBRARY"):
            monkeypatch.delenv(f"THROUGHTIME_{name}", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"THROUGHTIME_{name}", str(value))
        library.cache_clear()

    yield change
    library.cache_clear()


def test_it_says_which_path_every_cell_takes_and_why(throughtime) -> None:
    found = throughtime("doctor", "--json").json
    rows = {(row["cell"], row["call"]): row for row in found["backends"]}
    assert {cell for cell, _ in rows} == set(KINDS)
    assert all(row["reason"] for row in rows.values())
    for cell in KINDS:
        zoneout = rows[cell, "options such as zoneout"]
        assert zoneout["backend"] == "reference"
        assert zoneout["reason"] == "the kernels have no zoneout; torch has no zoneout"
        double = rows[cell, "in float64"]
        assert (double["backend"], double["reason"]) == (
            "torch",
            "the kernels compute in float32, not in torch.float64",
        )
        if why_missing() is None:
            assert rows[cell, "resets in mid-sequence"]["backend"] == "native"


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_it_names_the_library_and_the_instructions(throughtime, environment) -> None:
    path = library().path
    environment(LIBRARY=path, SET="baseline")
    found = throughtime("doctor", "--json").json["kernels"]
    assert found == kernels()
    assert found["native kernels"] == f"{path}, version 1"
    assert found["instructions"].startswith("baseline (THROUGHTIME_SET chooses another: ")
    assert f"native kernels: {path}, version 1\n" in throughtime("doctor").out


def test_it_explains_in_one_line_what_is_missing(throughtime, environment, tmp_path) -> None:
    environment(LIBRARY=tmp_path / "nowhere.so")
    reason = f"THROUGHTIME_LIBRARY={tmp_path}/nowhere.so is no file"
    found = throughtime("doctor")
    assert (found.code, found.err) == (0, "")
    assert f"native kernels: none: {reason}\n" in found.out
    rows = throughtime("doctor", "--json").json["backends"]
    assert {row["reason"] for row in rows if row["call"] == "whole batches"} == {reason}
    resets = next(row for row in rows if row["call"] == "resets in mid-sequence")
    assert (resets["backend"], resets["reason"]) == ("reference", f"{reason}; torch has no resets=")


def test_unknown_instructions_end_in_one_line(throughtime, environment) -> None:
    environment(SET="mmx")
    found = throughtime("doctor")
    assert found.code != 0
    assert found.out == ""
    assert len(found.err.splitlines()) == 1
    assert "THROUGHTIME_SET=mmx is unknown: expected one of baseline, avx2, avx512, avx512_bf16" in found.err
