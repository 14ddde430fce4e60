"""The command line: every command in a file of its own, every fault in one line."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any

import typer

from .._errors import ThroughtimeError
from .._version import __version__
from ._console import complain, out, remarks
from .compare import compare
from .demo import demo
from .describe import describe
from .doctor import doctor
from .evaluate import evaluate
from .explore import explore
from .features import features
from .forecast import forecast
from .generate import generate
from .gradients import gradients
from .info import info
from .inspect import inspect
from .predict import predict
from .score import score
from .train import train
from .tune import tune

app = typer.Typer(
    name="throughtime",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recurrent networks from a file to forecasts, text and scores, trained by backpropagation through time.",
)
_COMMANDS = (
    describe,
    train,
    forecast,
    generate,
    score,
    predict,
    features,
    evaluate,
    compare,
    tune,
    gradients,
    inspect,
    explore,
    info,
    doctor,
    demo,
)
for command in _COMMANDS:
    app.command()(command)


def _version(wanted: bool | None) -> None:
    if wanted:
        out.print(f"throughtime {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = None,
) -> None:
    """Options of the program itself."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and leave with its exit code: 0 done, 2 bad input, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code is returned. Faults of the input are one line on standard error."""
    try:
        with remarks():
            return app(args=arguments, standalone_mode=False) or 0
    except ThroughtimeError as error:
        complain(str(error))
    except (OSError, MemoryError, RuntimeError) as error:
        if (reason := _reason(error)) is None:
            raise
        complain(reason)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # what the command line's parser refuses has one
            raise
        # Without a command the help has been shown, and nothing is left to say.
        if message := error.format_message().replace("Value error, ", "").rstrip("."):  # type: ignore[attr-defined]
            complain(f"{message}; see --help")
    return 2


def _reason(error: OSError | MemoryError | RuntimeError) -> str | None:
    """What a fault of the machine is called; None where it is a fault of this program."""
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    if isinstance(error, RuntimeError):
        asked = re.search(r"can't allocate memory: you tried|out of memory|Storage size", str(error))
        return None if asked is None else "not enough memory for sizes so large: choose smaller ones"
    named = f"{error.filename}: " if error.filename else ""
    return named + (error.strerror or str(error)).lower()
