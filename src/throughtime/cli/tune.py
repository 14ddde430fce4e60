"""`throughtime tune`: the settings that learn this data best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from .._errors import ConfigurationError
from ..evaluation import TUNABLES, USUAL, Tuning
from ..evaluation import tune as tuned
from ..training.settings import READING
from . import _options as options
from ._console import out, print_json, say
from ._resuming import asked, keep, resumable
from ._tuning import TuningProgress
from .train import data_of, settings_of

_MAY_CHANGE = ("trials", "time_budget")

Tuned = Annotated[
    list[str] | None,
    typer.Option(
        "--tune",
        metavar="NAME,NAME",
        help=f"What is tuned; by default {', '.join(USUAL)}, as far as the model has them. "
        f"There are {', '.join(TUNABLES)}.",
    ),
]
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        metavar="NAME=RANGE",
        help="Where a setting is drawn from: hidden-size=16..256, or model=gru,lstm,tcn; it is tuned then.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(min=1, help="Trainings in the whole study; 50, or as many as the time allows where that is given."),
]
BudgetOfAll = Annotated[str | None, typer.Option(help="Time after which to stop, such as 10m or 8h.")]
BudgetOfOne = Annotated[str | None, typer.Option(help="Time of each training at most, such as 60s.")]
Pruning = Annotated[
    bool, typer.Option("--prune/--no-prune", help="End trainings early that lag behind the median of the others.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="A database that many machines share, such as postgresql://user@host/name; a file in the folder by "
        "default.",
    ),
]
StudyName = Annotated[
    str | None, typer.Option("--study", help="Name of the study in the database; that of FILE by default.")
]
Resumed = Annotated[
    Path | None, typer.Option("--resume", metavar="FOLDER", help="Go on with a study, or help another process.")
]
FolderOfAll = Annotated[
    Path | None, typer.Option("--out", help="Folder of the study; the next free runs/NAME-tune by default.")
]


def tune(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Data to learn.", show_default=False)] = None,
    resume: Resumed = None,
    tuned_: Tuned = None,
    ranges: Ranges = None,
    trials: Trials = None,
    time_budget: BudgetOfAll = None,
    trial_budget: BudgetOfOne = None,
    prune: Pruning = True,
    storage: Storage = None,
    study: StudyName = None,
    out_folder: FolderOfAll = None,
    config: options.Config = None,
    model: options.Model = None,
    hidden_size: options.HiddenSize = None,
    layers: options.Layers = None,
    dropout: options.Dropout = None,
    head: options.HeadName = None,
    decoding: options.Decoding = None,
    normalisation: options.WindowNormalisation = None,
    loss: options.LossName = None,
    strategy: options.StrategyName = None,
    epochs: options.Epochs = None,
    patience: options.Patience = None,
    batch_size: options.BatchSize = None,
    steps: options.Steps = None,
    optimizer: options.OptimizerName = None,
    learning_rate: options.LearningRate = None,
    schedule: options.Schedule = None,
    clip: options.Clip = None,
    precision: options.Precision = None,
    horizon: options.Horizon = None,
    lookback: options.Lookback = None,
    period: options.Period = None,
    transform: options.Transform = None,
    split: options.SplitParts = None,
    task: options.Task = None,
    label: options.Label = None,
    pooling: options.Pooling = None,
    class_weights: options.ClassWeights = None,
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
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Find the settings by which a model learns FILE best: the lowest loss on the validation part.

    The first trial is by the defaults. Settings that are given as options are fixed. The best ones are written to
    best.json in the folder, which `throughtime train FILE --config` takes.

    Examples:

      throughtime tune co2.csv --fill linear --time-budget 10m

      throughtime tune book.txt --tune learning-rate,strategy --range k1=8..128 --model lstm --trials 30

      throughtime tune load.csv --storage postgresql://me@host/studies --study load

      throughtime tune --resume runs/co2-tune --trials 100
    """
    folder, asking = asked(context, file, resume, out_folder, _MAY_CHANGE)
    with resumable("tune", folder):
        _show(_found(folder, asking, options.device(device)), asking.params["file"], json)


def _found(folder: Path, context: typer.Context, device: torch.device) -> Tuning:
    """Read and tune, by the options of this call or of the one that began the study."""
    given = context.params
    file, pace = given["file"], options.seconds(given["trial_budget"])
    data, settings = data_of(context, file), settings_of(context, file, pace)
    with TuningProgress(lambda: keep(folder, context)) as bar:
        return tuned(
            data,
            folder,
            tuned=options.columns(given["tuned_"]) or None,
            ranges=_ranges(given["ranges"]),
            trials=given["trials"],
            time_budget=options.seconds(given["time_budget"]),
            pruning=given["prune"],
            storage=given["storage"],
            study=given["study"] or file.stem,
            reading=_reading(context),
            device=device,
            observer=bar,
            **settings,
        )


def _reading(context: typer.Context) -> dict[str, Any]:
    """The options by which the file was read, but for the usual ones."""
    usual = {one.name: one.default for one in context.command.params}
    given = options.of(context, *("id_" if name == "id" else name for name in READING))
    return {name.rstrip("_"): value for name, value in given.items() if value not in (None, usual[name])}


def _ranges(given: list[str] | None) -> dict[str, str]:
    found = {}
    for text in given or ():
        name, equals, range_ = text.partition("=")
        if not equals or not name or not range_:
            raise ConfigurationError(
                f"range {text!r}: expected NAME=LOW..HIGH or NAME=A,B, such as hidden-size=16..256"
            )
        found[name.strip()] = range_.strip()
    return found


def _show(found: Tuning, file: Path, json: bool) -> None:
    if json:
        print_json(found.to_dict())
        return
    out.print(found.table())
    best = found.best
    if found.usual is not None and found.usual is not best:
        assert best.loss is not None
        assert found.usual.loss is not None
        gained = found.usual.loss - best.loss
        say(f"trial {best.number} is ahead of the defaults by {gained:.4f} {found.unit} on the validation part")
    pictures = "history.png, importance.png" if found.importance else "history.png"
    say(f"saved to {found.folder}: best.json, tuning.json, {pictures}")
    run = "" if found.run is None else f", or throughtime evaluate {found.run}"
    say(f"next: throughtime train {file} --config {found.folder / 'best.json'}{run}")
