"""`throughtime compare`: which model is worth its cost on this data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .._errors import ArtifactError, ConfigurationError
from .._files import making, replacing
from ..artifacts.store import read_json, write_json
from ..data import SeriesData
from ..evaluation import Comparison
from ..evaluation import compare as compared
from . import _options as options
from ._comparing import ComparingProgress
from ._console import INTERRUPTED, complain, out, print_json, say
from ._options import chosen
from ._reading import noted, read
from .train import refuse_strangers

_ARGUMENTS = "arguments.json"
_OWN = ("resume", "out_folder", "device", "json")
_FOR_SERIES, _FOR_SYMBOLS = "ar:24,rnn,gru,lstm,mingru,tcn,transformer", "markov:4,rnn,gru,lstm,mingru,tcn,transformer"


ModelNames = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help=f"Which; by default {_FOR_SERIES} for series, {_FOR_SYMBOLS} for text and sound; mlp:ORDER and minlstm "
        "are there too.",
    ),
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each model, from --seed on.", show_default=True)]
BudgetOfAll = Annotated[
    str | None, typer.Option(help="Time of training of each model, all its seeds together, such as 60s or 10m.")
]
MetricName = Annotated[
    str | None,
    typer.Option(help="What ranks them: crps, mae, log_likelihood; for text bits_per_character, nats_per_character."),
]
Quality = Annotated[
    float | None,
    typer.Option(help="Tell the time to this validation loss in nats; by default the best all reached."),
]
FolderOfAll = Annotated[
    Path | None, typer.Option("--out", help="Folder of the comparison; the next free runs/NAME-compare by default.")
]


def compare(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Data to learn.", show_default=False)] = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="FOLDER", help="Go on with a comparison.")] = None,
    models: ModelNames = None,
    seeds: Seeds = 3,
    time_budget: BudgetOfAll = None,
    metric: MetricName = None,
    quality: Quality = None,
    out_folder: FolderOfAll = None,
    hidden_size: options.HiddenSize = None,
    layers: options.Layers = None,
    dropout: options.Dropout = None,
    strategy: options.StrategyName = None,
    epochs: options.Epochs = None,
    patience: options.Patience = None,
    batch_size: options.BatchSize = None,
    steps: options.Steps = None,
    optimizer: options.OptimizerName = None,
    learning_rate: options.LearningRate = None,
    precision: options.Precision = None,
    horizon: options.Horizon = None,
    lookback: options.Lookback = None,
    period: options.Period = None,
    split: options.SplitParts = None,
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
    samples: options.Samples = 100,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Train models on FILE with several seeds, and tell what each is worth and what it costs.

    All see the same data, splits and task. Differences are told with intervals, and a tie is called a tie.

    Examples:

      throughtime compare co2.csv --fill linear --time-budget 60s

      throughtime compare book.txt --models markov:4,gru,lstm,transformer --seeds 2 --time-budget 10m

      throughtime compare --resume runs/book-compare
    """
    folder, arguments = _asked(context, file, resume, out_folder)
    try:
        found = _compared(folder, device, **arguments)
    except KeyboardInterrupt:
        if not (folder / _ARGUMENTS).exists():
            raise
        complain(f"interrupted; go on with: throughtime compare --resume {folder}")
        raise typer.Exit(INTERRUPTED) from None
    _show(found, folder, json)


def _asked(
    context: typer.Context, file: Path | None, resume: Path | None, out_folder: Path | None
) -> tuple[Path, dict[str, Any]]:
    """The folder, and the options: those given now, or those of a comparison that goes on."""
    if resume is not None:
        fixed = options.given(context, *(name for name in context.params if name not in ("resume", "device", "json")))
        if fixed:
            raise ConfigurationError(f"--resume takes its settings from {resume}: {fixed[0]} cannot be given with it")
        return resume, _kept(context, resume)
    if file is None:
        raise ConfigurationError("name a FILE to compare models on, or a comparison to go on with: --resume FOLDER")
    return _new_folder(out_folder, file), _plain(context.params) | {"file": str(file.resolve())}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that make a comparison what it is; where none of several is given, `None`."""
    return {name: None if value in ([], ()) else value for name, value in options.items() if name not in _OWN}


def _kept(context: typer.Context, folder: Path) -> dict[str, Any]:
    """The options of a comparison that goes on, checked as those that are typed."""
    if not (folder / _ARGUMENTS).exists():
        raise ArtifactError(f"{folder} is no comparison: it has no {_ARGUMENTS}")
    arguments = read_json(folder / _ARGUMENTS)
    switches = {one.name: one.opts[0] for one in context.command.params if one.name in context.params}
    if odd := sorted(arguments.keys() ^ (switches.keys() - {*_OWN})):
        raise ArtifactError(f"{folder / _ARGUMENTS} is damaged, or of another version: {odd[0]}")
    file = arguments.pop("file")
    typed = [
        f"{switches[name]}={one}"
        for name, value in arguments.items()
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    return _plain(context.command.make_context("compare", [str(file), *typed]).params)


def _compared(folder: Path, device: str, *, file: str | Path, **given: Any) -> Comparison:
    """Read, train and measure; `given` are the options as they stand in `arguments.json`."""
    arguments = {"file": str(file), **given}
    refuse_strangers(Path(file), **{name: given[name] for name in ("steps", "horizon", "lookback", "period")})
    reading = ("time", "time_format", "target", "past", "future", "id_", "fill", "calendar", "unit", "encoding")
    data = noted(read(Path(file), **{name: given[name] for name in reading}))
    usual = _FOR_SERIES if isinstance(data, SeriesData) else _FOR_SYMBOLS

    def begun() -> None:
        if not (folder / _ARGUMENTS).exists():
            with making(folder):
                write_json(folder / _ARGUMENTS, arguments)

    def of(*names: str) -> dict[str, Any]:
        return chosen(**{name: given[name] for name in names})

    with ComparingProgress(begun) as bar:
        return compared(
            data,
            folder,
            options.columns([given["models"] or usual]),
            task=of("horizon", "lookback", "period", "batch_size", "steps")
            | chosen(split=options.parts(given["split"])),
            shared=of("hidden_size", "dropout") | chosen(num_layers=given["layers"]),
            training=of("strategy", "epochs", "patience", "precision", "seed")
            | chosen(time_budget=options.seconds(given["time_budget"])),
            optimizer=of("learning_rate") | chosen(name=given["optimizer"]),
            device=options.device(device),
            observer=bar,
            **{name: given[name] for name in ("seeds", "metric", "quality", "samples")},
        )


def _new_folder(named: Path | None, file: Path) -> Path:
    if named is not None and (named / _ARGUMENTS).exists():
        raise ConfigurationError(
            f"--out {named} holds a comparison already: name a new folder, or go on with: "
            f"throughtime compare --resume {named}"
        )
    return options.new_folder(named, file, "compare")


def _show(found: Comparison, folder: Path, json: bool) -> None:
    if not found.ranked:
        failed = found.candidates[0]
        raise ConfigurationError(f"no model could be compared; {failed.model}: {failed.error}")
    write_json(folder / "comparison.json", found.to_dict())
    with replacing(folder / "comparison.png") as temporary:
        found.plot().savefig(temporary, format="png")
    if json:
        print_json(found.to_dict())
    else:
        out.print(found.table())
        say(f"saved to {folder}: comparison.png, comparison.json, and a run of each training")
