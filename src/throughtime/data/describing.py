"""What descriptions of every kind share: plain numbers, a table, a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from matplotlib.figure import Figure
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


@runtime_checkable
class Description(Protocol):
    """What was read."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ...

    def table(self) -> Any:
        """For `rich.print`."""
        ...

    def plot(self) -> Figure:
        """A picture; `savefig` writes it."""
        ...


def sheet(facts: dict[str, str], table: Table | None, notes: Sequence[str] = ()) -> Group:
    """Facts by name, a table below them, and notes below that."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, fact in facts.items():
        grid.add_row(name, Text(fact))
    parts: list[Any] = [grid] if table is None else [grid, Padding(table, (1, 0, 0, 0))]
    parts += [Text(f"note: {note}", style="yellow") for note in notes]
    return Group(*parts)


def columns(*names: str) -> Table:
    """An empty table, its first column of words and the rest of numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    return table


def number(value: float) -> str:
    """Four significant digits, thousands kept whole."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def plain(path: str) -> str:
    """The last part of a path."""
    return path.rsplit("/", 1)[-1]
