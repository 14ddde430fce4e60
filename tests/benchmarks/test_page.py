"""What the benchmarks write into the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from _page import PAGE, in_time, table, write_section


def test_only_what_is_between_the_marks_changes(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- a -->\nold\n<!-- end of a -->\nbelow\n<!-- b -->\n<!-- end of b -->\n")
    write_section("a", "new \\1\n", page)
    write_section("a", "newer \\1\n", page)
    assert page.read_text() == (
        "above\n<!-- a -->\n\nnewer \\1\n\n<!-- end of a -->\nbelow\n<!-- b -->\n<!-- end of b -->\n"
    )


def test_a_page_without_the_section_is_left_alone(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="has no section <!-- a -->"):
        write_section("a", "new", page)
    assert page.read_text() == "nothing"


@pytest.mark.parametrize("section", ["recurrence", "ragged", "bfloat16", "streaming", "sizes", "training", "products"])
def test_the_page_has_every_section(section: str, tmp_path: Path):
    page = tmp_path / "speed.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_section(section, "new", page)
    assert f"<!-- {section} -->\n\nnew\n\n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (2.0, "2.00 s"),
        (0.0123456, "12.3 ms"),
        (0.123456, "123 ms"),
        (1.5e-6, "1.50 µs"),
        (4e-8, "40.0 ns"),
        (None, "–"),
    ],
)
def test_times_have_three_digits(seconds: float, told: str):
    assert in_time(seconds) == told


def test_what_was_not_timed_is_a_dash():
    assert in_time(None) == "–"


def test_a_table():
    assert table(["", "a"], [["x", "1"]]) == "|  | a |\n| --- | --: |\n| x | 1 |"
