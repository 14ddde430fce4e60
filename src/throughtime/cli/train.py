"""`throughtime train`: from a file to a trained model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .._errors import ConfigurationError
from ..artifacts import load
from ..data import Labelled, MusicData, SeriesData, SoundData, TextData, kind_of
from ..training import Fitting, Training, prepare, resume
from . import _options as options
from ._console import INTERRUPTED, complain, print_json, working
from ._options import chosen
from ._reading import noted, read, read_labels
from ._training import TrainingProgress, closing

_OF_LAYERS = ("hidden_size", "dropout", "recurrent_init", "chrono_init", "forget_bias", "layer_norm")
_OF_SERIES = ("horizon", "lookback", "period", "transform", "head", "decoding", "normalisation", "loss")
_OF_COLUMNS = (
    "time", "time_format", "target", "past", "future", "id_", "fill", "calendar", "unit", "encoding",
    "frames_per_beat",
)  # fmt: skip
_OF_OTHERS = (
    "horizon", "lookback", "period", "transform", "decoding", "normalisation", "loss", "steps", "time_format",
    "target", "past", "future", "calendar", "unit", "encoding", "frames_per_beat",
)  # fmt: skip
_MAY_CHANGE = ("resume", "epochs", "time_budget", "strategy", "device", "json")


def train(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Data to learn.", show_default=False)] = None,
    resume_: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a run.")] = None,
    out_folder: options.Out = None,
    config: options.Config = None,
    model: options.Model = None,
    hidden_size: options.HiddenSize = None,
    layers: options.Layers = None,
    dropout: options.Dropout = None,
    recurrent_init: options.RecurrentInit = None,
    chrono_init: options.ChronoInit = None,
    forget_bias: options.ForgetBias = None,
    layer_norm: options.LayerNorm = None,
    head: options.HeadName = None,
    decoding: options.Decoding = None,
    normalisation: options.WindowNormalisation = None,
    loss: options.LossName = None,
    strategy: options.StrategyName = None,
    epochs: options.Epochs = None,
    time_budget: options.TimeBudget = None,
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
    """Train a model on FILE; its kind, its columns and every setting are found if not given.

    Examples:

      throughtime train co2.csv --fill linear

      throughtime train ETTh1.csv --target OT --horizon 96 --model lstm

      throughtime train book.txt --time-budget 10m --out runs/book

      throughtime train co2.csv --config runs/co2-tune/best.json

      throughtime train gestures.csv --task classify --label gesture --id recording

      throughtime train chorales/ --frames-per-beat 4

      throughtime train --resume runs/book
    """
    if resume_ is not None:
        training = _resumed(context, resume_, file, device, time_budget, epochs=epochs, strategy=strategy)
    elif file is None:
        raise ConfigurationError("name a FILE to train on, or a run to go on with: --resume RUN")
    else:
        training = _prepared(context, file)
    _run(training, device, json)


def _prepared(context: typer.Context, file: Path) -> Training | Fitting:
    """A fresh training on a file, by the options of the command."""
    data = data_of(context, file)
    folder = options.new_folder(context.params["out_folder"], file, context.params["model"])
    return prepare(data, folder, **settings_of(context, file, options.seconds(context.params["time_budget"])))


def data_of(context: typer.Context, file: Path) -> SeriesData | TextData | SoundData | MusicData | Labelled:
    """What a command is to learn; options that are not for data of its kind are refused."""
    given = partial(options.of, context)
    if _labelled(context, file):
        options.refuse_for_labels(file, given(*_OF_OTHERS))
        return noted(read_labels(file, **given("task", "label", "id_", "time", "fill")))
    refuse_strangers(file, **given("steps", *_OF_SERIES))
    options.refuse_without_task(given("label", "pooling", "class_weights"))
    return noted(read(file, **given(*_OF_COLUMNS)))


def settings_of(context: typer.Context, file: Path, pace: float | None) -> dict[str, dict[str, Any]]:
    """The settings of a training by the options of a command, in the groups of `prepare`; `pace` is its time budget."""
    given = partial(options.of, context)
    if _labelled(context, file):
        task, model = given("batch_size", "class_weights"), given("pooling", "head")
    else:
        task = given("horizon", "lookback", "period", "transform", "batch_size", "steps")
        model = given("head", "decoding", "normalisation")
    return options.over(
        context.params["config"],
        task=chosen(split=options.parts(context.params["split"]), **task),
        family=options.family(context.params["model"], num_layers=context.params["layers"], **given(*_OF_LAYERS)),
        training=chosen(time_budget=pace, **given("strategy", "loss", "epochs", "patience", "precision", "seed")),
        optimizer=chosen(name=context.params["optimizer"], **given("learning_rate", "schedule", "clip")),
        model=chosen(**model),
    )


def _labelled(context: typer.Context, file: Path) -> bool:
    return context.params["task"] is not None or kind_of(file) == "labelled"


def refuse_strangers(file: Path, steps: int | None, **of_series: Any) -> None:
    """Refuse settings of a task that is not the file's."""
    kind = kind_of(file)
    options.refuse(file, kind, "series", **of_series)
    options.refuse(file, kind, "text or sound", steps=steps)


def _resumed(
    context: typer.Context, run: Path, file: Path | None, device: str, time_budget: str | None, **changes: Any
) -> Training | Fitting:
    others = [name for name in context.params if name.rstrip("_") not in _MAY_CHANGE]
    fixed = options.given(context, *others)
    if file is not None or fixed:
        named = "FILE" if file is not None else fixed[0]
        raise ConfigurationError(
            f"--resume takes its settings from {run}: {named} cannot be given with it; only --epochs, "
            "--time-budget and --strategy"
        )
    with working(f"reading {run}"):
        return resume(
            load(run, weights=False, device=options.device(device)),
            **chosen(**changes, time_budget=options.seconds(time_budget)),
        )


def _run(training: Training | Fitting, device: str, json: bool) -> None:
    training.to(options.device(device))
    with TrainingProgress(training, announced=not json) as bar:
        training.observers = [bar]
        try:
            reason = training.fit()
        except KeyboardInterrupt:
            complain(f"interrupted; go on with: throughtime train --resume {training.run.folder}")
            raise typer.Exit(INTERRUPTED) from None
    if json:
        print_json(closing(training, reason))
    else:
        bar.farewell(reason)
    if reason == "interrupted":
        raise typer.Exit(INTERRUPTED)
