"""`throughtime explore`: the page of `inspect`, in a browser."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from time import sleep
from typing import Annotated

import typer

from ..web import render, serving
from . import _options as options
from ._console import say
from ._inspecting import Anchors, Lag, Steps, inspected


def explore(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    lag: Lag = None,
    steps: Steps = None,
    anchors: Anchors = 32,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
    device: options.Device = "cpu",
) -> None:
    """Look at what flows back through time in a browser: click a loss, shift-click a step, drag the wall.

    The page is served on 127.0.0.1, for this machine alone, until Ctrl-C.

    Examples:

      throughtime explore runs/book

      throughtime explore runs/book --port 8000 --no-browser
    """
    found = inspected(run, file, lag, steps, anchors, device)
    with serving(render(found.document), port) as address:
        say(f"{found.sentence}\n{address} until Ctrl-C")
        if browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            while True:  # awake now and then, so that Ctrl-C is seen, whichever thread it reaches
                sleep(0.2)
