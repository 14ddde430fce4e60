"""How an explanation is laid out: a table for the terminal, a page in markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from .explain import Explanation, Line

_WIDTH = 52
"""Of the equations, so that the table has 80 columns up to sizes of four digits."""


def table_of(explanation: Explanation) -> Table:
    """A row a line, its meaning below it, and how far it is off beside its scale."""
    table = Table(title=explanation.title, caption=explanation.verdict)
    table.add_column("equation", overflow="fold")
    table.add_column("size", overflow="fold")
    table.add_column("off by", justify="right", no_wrap=True)
    table.add_row(Text("given", style="bold"))
    for symbol, shape, meaning in explanation.symbols:
        table.add_row(_cell(symbol, meaning), Text(shape))
    for heading, lines in (("forward", explanation.forward), ("backward", explanation.backward)):
        table.add_section()
        table.add_row(Text(heading, style="bold"))
        for line, meaning in _said_once(lines):
            off = Text(f"{line.relative:.0e}" if line.relative else "0", style="" if line.agrees else "bold red")
            table.add_row(_cell(folded(line.equation.formula), meaning), Text(line.shape), off)
    table.add_section()
    for sign, meaning in explanation.reading:
        table.add_row(_cell(sign, meaning))
    return table


def page_of(explanation: Explanation, latex: bool) -> str:
    """The same in markdown."""
    parts = [f"# {explanation.title}", f"{explanation.verdict[0].upper()}{explanation.verdict[1:]}.", "## Given"]
    parts.append("\n".join(f"- `{symbol}` {shape}: {meaning}" for symbol, shape, meaning in explanation.symbols))
    for heading, lines in (("Forward", explanation.forward), ("Backward", explanation.backward)):
        parts += [f"## {heading}", "\n".join(_item(line, meaning, latex) for line, meaning in _said_once(lines))]
    parts += ["## Signs", "\n".join(f"- `{sign}`: {meaning}" for sign, meaning in explanation.reading)]
    return "\n\n".join(parts) + "\n"


def folded(formula: str) -> str:
    """A formula that goes on below its right side where it is too wide, at a plus.

    Example:
        >>> print(folded("δh_t = " + " + ".join(["W_hfᵀ δaᶠ_{t+1}"] * 4)))
        δh_t = W_hfᵀ δaᶠ_{t+1} + W_hfᵀ δaᶠ_{t+1}
               + W_hfᵀ δaᶠ_{t+1} + W_hfᵀ δaᶠ_{t+1}
    """
    first, *rest = formula.split(" + ")
    indent = " " * (formula.index("=") + 2)
    lines = [first]
    for term in rest:
        if len(lines[-1]) + len(term) + 3 <= _WIDTH:
            lines[-1] += f" + {term}"
        else:
            lines.append(f"{indent}+ {term}")
    return "\n".join(lines)


def _said_once(lines: Sequence[Line]) -> Iterator[tuple[Line, str]]:
    """Lines and what they mean, left out where the line above means the same."""
    above = ""
    for line in lines:
        yield line, "" if line.meaning == above else line.meaning
        above = line.meaning


def _cell(formula: str, meaning: str) -> Group:
    below = (Padding(Text(meaning, style="dim"), (0, 0, 0, 2)),) if meaning else ()
    return Group(Text(formula), *below)


def _item(line: Line, meaning: str, latex: bool) -> str:
    equation = f"${line.latex}$" if latex else f"`{line.equation.formula}`"
    fault = "" if line.agrees else f" **It disagrees: off by {line.relative:.1g} of its scale.**"
    return f"- {equation} {line.shape}{': ' if meaning else ''}{meaning}{fault}"
