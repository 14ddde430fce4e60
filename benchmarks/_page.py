"""The page that the benchmarks write their tables into, each between marks of its own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "speed.md"


def write_section(name: str, content: str, page: Path = PAGE) -> None:
    """Put `content` between `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        SystemExit: if the page has no such marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    found = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if not found.search(text):
        raise SystemExit(f"{page} has no section {begin} … {end}")
    page.write_text(found.sub(lambda _: f"{begin}\n\n{content.strip()}\n\n{end}", text), encoding="utf-8")
    print(f"written: {page}, {name}")


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table of markdown: the first column to the left, numbers to the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def in_time(seconds: float | None) -> str:
    """A time with three digits and its unit."""
    if seconds is None:
        return "–"
    unit, scale = next((u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 0.0)) if seconds >= s)
    value = seconds / (scale or 1e-9)
    return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
