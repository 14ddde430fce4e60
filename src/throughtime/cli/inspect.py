"""`throughtime inspect`: whether the gradient arrives, and what might help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._errors import ConfigurationError
from .._files import replacing
from ..web import render
from . import _options as options
from ._console import out, print_json, say
from ._inspecting import Anchors, Lag, Steps, inspected, shown


def inspect(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    lag: Lag = None,
    steps: Steps = None,
    anchors: Anchors = 32,
    page: Annotated[
        Path | None, typer.Option("--out", help="The page to write; inspection.html in RUN by default.")
    ] = None,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Tell whether the gradient of a trained run arrives, vanishes or explodes on its way back through time.

    First the verdict, then what is left of the gradient by lag, five numbers and one remedy with the evidence for it;
    all that was seen goes into one HTML file that needs nothing else.

    Examples:

      throughtime inspect runs/book

      throughtime inspect runs/co2 --lag 52 --out co2.html
    """
    path = run / "inspection.html" if page is None else page
    if not path.parent.is_dir():
        raise ConfigurationError(f"--out {path}: there is no folder {path.parent}")
    found = inspected(run, file, lag, steps, anchors, device)
    with replacing(path) as temporary:
        temporary.write_text(render(found.document), encoding="utf-8")
    if json:
        print_json(found.to_dict() | {"page": str(path)})
        return
    out.print(shown(found, lag is None))
    say(f"\nsaved to {path}: open it in a browser")
