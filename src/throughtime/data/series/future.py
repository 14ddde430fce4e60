"""Columns known in advance, found for exactly the times that are forecast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..._errors import DataError
from .choosing import choose
from .layout import SeriesLayout
from .rows import stretches
from .tables import table_of


def read_future(source: Any, layout: SeriesLayout, name: str, times: np.ndarray) -> np.ndarray:
    """The future columns of one series at `times`, [time, future].

    Raises:
        DataError: naming the first time that is not covered.
    """
    columns = layout.columns
    table = table_of(source)
    choice = choose(
        table,
        next(table.chunks()),
        time=columns.time or "none",
        targets=columns.future,
        past=(),
        future=(),
        id=columns.id,
        time_format=layout.time_format,
    )
    read = stretches(table, choice, columns.future, "zero", None)
    own = [one for one in read if one.name == name]
    if not own:
        raise DataError(f"{table.name} has no row for series {name!r}: {len(times)} steps to come are needed")
    found = own[0]
    if columns.time is None:
        found = replace(found, times=found.times + times[0])
    order = np.argsort(found.times, kind="stable")
    places = np.searchsorted(found.times[order], times)
    there = places < len(order)
    there[there] = found.times[order][places[there]] == times[there]
    if there.all():
        values = found.values[order][places]
        there = ~np.isnan(values).any(axis=1)
        if there.all():
            return values
    missing = times[int(np.argmin(there))]
    raise DataError(
        f"{table.name} does not cover the horizon: {', '.join(map(repr, columns.future))} at {missing} "
        f"({int((~there).sum())} of {len(times)} times) are not there"
    )
