"""Work of many trainings in a folder that keeps the options it was begun with, to go on by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import typer

from .._errors import ArtifactError, ConfigurationError
from .._files import making
from ..artifacts.store import read_json, write_json
from . import _options as options
from ._console import INTERRUPTED, complain

ARGUMENTS = "arguments.json"
_OWN = ("resume", "out_folder", "device", "json")


def asked(
    context: typer.Context,
    file: Path | None,
    resume: Path | None,
    out_folder: Path | None,
    may_change: tuple[str, ...] = (),
) -> tuple[Path, typer.Context]:
    """The folder, and the options: those given now, or those of work that goes on.

    Args:
        context: of the command.
        file, resume, out_folder: as they were given.
        may_change: options that may be given with --resume, and then win.

    Raises:
        ConfigurationError: where neither a file nor such work is named, or an option that cannot be given with it.
        ArtifactError: where the folder holds no such work, or its options are damaged.
    """
    command = context.info_name
    if resume is not None:
        others = (name for name in context.params if name not in ("resume", "device", "json", *may_change))
        if fixed := options.given(context, *others):
            raise ConfigurationError(f"--resume takes its settings from {resume}: {fixed[0]} cannot be given with it")
        kept = _kept(context, resume)
        kept.params |= {name: context.params[name] for name in may_change if context.params[name] is not None}
        return resume, kept
    if file is None:
        raise ConfigurationError(f"name a FILE to {command} on, or a folder to go on with: --resume FOLDER")
    if out_folder is not None and (out_folder / ARGUMENTS).exists():
        raise ConfigurationError(
            f"--out {out_folder} is in use already: name a new folder, or go on with: "
            f"throughtime {command} --resume {out_folder}"
        )
    return options.new_folder(out_folder, file, command), context


def keep(folder: Path, context: typer.Context) -> None:
    """Write down what was asked for, once."""
    if not (folder / ARGUMENTS).exists():
        with making(folder):
            write_json(folder / ARGUMENTS, _plain(context.params))


@contextmanager
def resumable(command: str, folder: Path) -> Iterator[None]:
    """Ctrl-C ends work that has begun with a word on how it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        if not (folder / ARGUMENTS).exists():
            raise
        complain(f"interrupted; go on with: throughtime {command} --resume {folder}")
        raise typer.Exit(INTERRUPTED) from None


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that make the work what it is; where none of several is given, `None`."""
    return {
        name: None if value in ([], ()) else str(value.resolve()) if isinstance(value, Path) else value
        for name, value in given.items()
        if name not in _OWN
    }


def _kept(context: typer.Context, folder: Path) -> typer.Context:
    """The options of work that goes on, checked as those that are typed."""
    if not (folder / ARGUMENTS).exists():
        raise ArtifactError(f"{folder} is nothing that {context.info_name} left: it has no {ARGUMENTS}")
    arguments = read_json(folder / ARGUMENTS)
    known = {one.name: one for one in context.command.params if one.name in context.params}
    switches = {name: one.opts[0] for name, one in known.items()}
    off = {name: one.secondary_opts[0] for name, one in known.items() if one.secondary_opts}
    if odd := sorted(arguments.keys() ^ (switches.keys() - {*_OWN})):
        raise ArtifactError(f"{folder / ARGUMENTS} is damaged, or of another version: {odd[0]}")
    file = arguments.pop("file")
    typed = [
        {True: switches[name], False: off.get(name)}[one] if isinstance(one, bool) else f"{switches[name]}={one}"
        for name, value in arguments.items()
        for one in (value if isinstance(value, list) else [value])
        if one is not None and (one is not False or name in off)
    ]
    return cast("typer.Context", context.command.make_context(context.info_name, [str(file), *typed]))
