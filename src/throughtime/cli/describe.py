"""`throughtime describe`: look before you train."""

from __future__ import annotations

from .._files import making, replacing
from . import _options as options
from ._console import out, print_json, say
from ._reading import read


def describe(
    file: options.File,
    time: options.Time = None,
    target: options.Target = None,
    past: options.Past = None,
    future: options.Future = None,
    id_: options.Id = None,
    fill: options.Fill = None,
    calendar: options.Calendar = "auto",
    unit: options.Unit = "character",
    encoding: options.Encoding = "mu-law",
    out_folder: options.PictureFolder = None,
    json: options.Json = False,
) -> None:
    """Tell what a file holds: rows, gaps, range, trend, seasonality and period, or the symbols of a text.

    Examples:

      throughtime describe co2.csv --fill linear --out pictures

      throughtime describe book.txt --unit byte
    """
    data = read(
        file, time=time, target=target, past=past, future=future, id_=id_, fill=fill, calendar=calendar,
        unit=unit, encoding=encoding,
    )  # fmt: skip
    description = data.describe()
    picture = None
    if out_folder is not None:
        picture = out_folder / f"{file.stem}-description.png"
        with making(out_folder), replacing(picture) as temporary:
            description.plot().savefig(temporary, format="png")
    if json:
        print_json(description.to_dict() | {"picture": None if picture is None else str(picture)})
    else:
        out.print(description.table())
        if picture is not None:
            say(f"picture: {picture}")
