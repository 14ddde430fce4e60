"""`throughtime describe`: look before you train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._files import making, replacing
from ..data import kind_of
from . import _options as options
from ._console import out, print_json, remark, say
from ._reading import read, read_to_describe


def describe(
    file: options.File,
    task: options.Task = None,
    label: options.Label = None,
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
    frames_per_beat: options.FramesPerBeat = None,
    out_folder: options.PictureFolder = Path(),
    json: options.Json = False,
) -> None:
    """Tell what a file holds: rows, gaps, range, trend, seasonality and period, or the symbols of a text.

    Of sequences with a label each, as in a .ts file: the classes, how often they come, and what each looks like.
    Of music, MIDI files: pieces, frames, keys, and how many of them sound at once.

    Gaps and missing values are told of, and show in the picture; only training needs them filled.

    Examples:

      throughtime describe co2.csv --fill linear --out pictures

      throughtime describe book.txt --unit byte

      throughtime describe GunPoint_TRAIN.ts

      throughtime describe digits --task classify

      throughtime describe chorales/
    """
    of_series: dict[str, Any] = {"time_format": time_format, "target": target, "past": past, "future": future,
                                 "calendar": calendar, "unit": unit, "encoding": encoding,
                                 "frames_per_beat": frames_per_beat}  # fmt: skip
    if task or label or kind_of(file) == "labelled":
        data = read_to_describe(file, task, label=label, id_=id_, time=time, fill=fill, **of_series)
    else:
        if file.is_dir() and any("_" in one.stem for one in file.glob("*.wav")):
            remark("where their names begin with labels, as LABEL_anything.wav: --task classify describes those")
        data = read(file, time=time, id_=id_, fill=fill, unmended=True, **of_series)
    description = data.describe()
    picture = out_folder / f"{file.stem}-description.png"
    with making(out_folder), replacing(picture) as temporary:
        description.plot().savefig(temporary, format="png")
    if json:
        print_json(description.to_dict() | {"picture": str(picture)})
    else:
        out.print(description.table())
        say(f"picture: {picture}")
