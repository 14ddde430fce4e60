"""What every command shares: where it writes, how it shows progress, and how faults come out."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text

from ..data import visible

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""

# What is printed holds names from files: brackets and colons in them are text, never markup.
out = Console(markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)


def say(message: str) -> None:
    """One line on standard output, not broken at the edge, so that a path in it can be copied."""
    out.print(message, soft_wrap=True, highlight=False)


def working(what: str) -> Status:
    """A spinner on standard error while something of unknown length is done."""
    return err.status(Text(what))


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error that is told the share done; it is gone when the work is."""
    columns = (TextColumn("[bold]{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def cell(value: Any) -> str:
    """A value in a table: figures short, midnight left out, white space to be seen."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, (datetime, np.datetime64)):
        return str(value).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")
    return visible(value) if isinstance(value, str) else str(value)


def print_json(content: Mapping[str, Any]) -> None:
    """One object on standard output, as `plain` has it."""
    sys.stdout.write(json.dumps(plain(content), ensure_ascii=False, indent=2) + "\n")


def plain(value: Any) -> Any:
    """What JSON can hold: what is no number in JSON becomes null, and times are written as in ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def remark(*notes: str) -> None:
    """Each a line on standard error that is no fault."""
    for note in notes:
        err.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)


@contextmanager
def remarks() -> Iterator[None]:
    """Warnings come out as one line each on standard error."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: remark(str(message))
        yield


def complain(message: str) -> None:
    """One line on standard error."""
    err.print(
        Text("error: ", style="bold red") + Text(" ".join(message.split()), style="not bold default"), soft_wrap=True
    )
