"""`throughtime demo`: from two files to a forecast and a page of text."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from . import _options as options
from ._console import out, say
from .describe import describe
from .evaluate import evaluate
from .forecast import forecast
from .generate import generate
from .train import train


def demo(
    context: typer.Context,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for all it makes.")] = Path("demo"),
    budget: Annotated[str, typer.Option(help="Training time of each of the two models, at most.")] = "50s",
    seed: options.Seed = 0,
) -> None:
    """Train on the two data sets in the package: the weekly CO2 record of Mauna Loa, and 200 KB of Shakespeare.

    Each step is a command of this program and is printed as one, to be tried again with other settings.

    Examples:

      throughtime demo --out demo
    """
    options.seconds(budget)
    series, text = out_folder / "co2", out_folder / "shakespeare"
    for run in (series, text):
        if (run / "config.json").exists():
            shutil.rmtree(run)
    with as_file(files("throughtime.demo_data")) as folder:
        co2, shakespeare = folder / "co2.csv", folder / "shakespeare.txt"
        _step(describe, co2, fill="linear", out_folder=out_folder)
        _step(train, context, co2, fill="linear", time_budget=budget, seed=seed, out_folder=series)
        _step(evaluate, series, out_folder=series)
        _step(forecast, series, hold_out=True, out_path=series)
        _step(train, context, shakespeare, time_budget=budget, seed=seed, out_folder=text)
        _step(evaluate, text, out_folder=text)
        _step(generate, text, prompt="MENENIUS:", length=600, temperature=0.8, out_file=text / "generated.txt")
    say(f"\npictures: {out_folder}/co2-description.png, {series}/forecast.png, {series}/evaluation.png")


def _step(command: Callable[..., None], *arguments: Any, **settings: Any) -> None:
    """Print a command as it would be typed, and run it."""
    named = {"out_folder": "out", "out_path": "out", "out_file": "out"}
    words = [str(argument) for argument in arguments if isinstance(argument, Path)]
    for name, value in settings.items():
        words += [f"--{named.get(name, name).replace('_', '-')}", *([] if value is True else [str(value)])]
    out.print(Text(f"\n$ throughtime {command.__name__} {shlex.join(words)}", style="bold cyan"), soft_wrap=True)
    command(*arguments, **settings)
