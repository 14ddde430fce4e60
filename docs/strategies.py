"""The table of docs/gradients.md, from what the strategies declare; `python docs/strategies.py` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from throughtime import RTRL, UORO, Checkpointed, Full, RandomTruncation, SnAp1, Truncated

PAGE = Path(__file__).with_name("gradients.md")
STRATEGIES = {
    "Full()": Full,
    "Truncated(k1, k2)": Truncated,
    "Checkpointed()": Checkpointed,
    "RandomTruncation(chunk, expected_length)": RandomTruncation,
    "RTRL()": RTRL,
    "SnAp1()": SnAp1,
    "UORO()": UORO,
}
SECTION = re.compile(r"<!-- strategies -->\n.*?<!-- end of strategies -->", re.DOTALL)


def section() -> str:
    """A row a strategy."""
    lines = ["| | exact? | unbiased? | memory | forwards | when |", "|---|---|---|---|---|---|"]
    for name, kind in STRATEGIES.items():
        exact, unbiased = ("yes" if found else "no" for found in (kind.exact, kind.unbiased))
        lines.append(f"| `{name}` | {exact} | {unbiased} | {kind.memory_order} | {kind.time_order} | {kind.when} |")
    return "\n".join(["<!-- strategies -->", "", *lines, "", "<!-- end of strategies -->"])


if __name__ == "__main__":
    PAGE.write_text(SECTION.sub(lambda _: section(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
