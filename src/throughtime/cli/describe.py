"""`throughtime describe`: look before you train."""

from __future__ import annotations

from pathlib import Path

from .._files import making, replacing
from . import _options as options
from ._console import out, print_json, say
from ._reading import read


def describe(
    file: options.File,
    time: options.Time = None,
    time_format: options.TimeFormat = None,
    target: options.Target = None,
    past: options.Past = None,
    future: options.Future = None,
    id_: options.Id = None,
    fill: options.Fill = None,
    calendar: options.Calendar = "auto",
    unit: options.Unit = "character",
    encoding: options.Encoding = "mu-law",
    out_folder: options.PictureFolder = Path(),
    json: options.Json = False,
) -> None:
    """Tell what a file holds: rows, gaps, range, trend, seasonality and period, or the symbols of a text.

    Gaps and missing values are told of, and show in the picture; only training needs them filled.

    Examples:

      throughtime describe co2.csv --fill linear --out pictures

      throughtime describe book.txt --unit byte
    """
    data = read(
        file, time=time, time_format=time_format, target=target, past=past, future=future, id_=id_, fill=fill,
        calendar=calendar, unit=unit, encoding=encoding, unmended=True,
    )  # fmt: skip
    description = data.describe()
    picture = out_folder / f"{file.stem}-description.png"
    with making(out_folder), replacing(picture) as temporary:
        description.plot().savefig(temporary, format="png")
    if json:
        print_json(description.to_dict() | {"picture": str(picture)})
    else:
        out.print(description.table())
        say(f"picture: {picture}")
