"""`throughtime info`: what an artifact is."""

from __future__ import annotations

from rich.table import Table

from ..artifacts import LabelRun, load
from . import _options as options
from ._console import out, print_json


def info(run: options.RunFolder, json: options.Json = False) -> None:
    """Tell what a run is: its model, its task, its data and how its training went.

    Examples:

      throughtime info runs/co2

      throughtime info runs/co2 --json
    """
    trained = load(run, weights=False)
    content = trained.summary()
    if json:
        print_json(content)
        return
    if isinstance(trained, LabelRun):
        content["description"] = trained.words
    table = Table(title=str(run), show_header=False)
    for section, values in content.items():
        if values is not None:
            table.add_row(section, _line(values))
    out.print(table)


def _line(values: object) -> str:
    """Plain lines: nothing that is not set, and of a list of records their names."""
    if isinstance(values, list):
        return ", ".join(str(item.get("name", item) if isinstance(item, dict) else item) for item in values)
    if not isinstance(values, dict):
        return str(values)
    return "\n".join(
        f"{name.replace('_', ' ')}: {_line(value).replace(chr(10), ', ')}"
        for name, value in values.items()
        if value not in (None, [])
    )
