"""`throughtime train`: from a file to a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .._errors import ConfigurationError
from ..artifacts import load
from ..data import kind_of
from ..training import Fitting, Training, prepare, resume
from . import _options as options
from ._console import complain, print_json, working
from ._options import chosen
from ._reading import noted, read
from ._training import TrainingProgress, closing

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""

_OF_LAYERS = ("hidden_size", "dropout", "recurrent_init", "chrono_init", "forget_bias", "layer_norm")
_MAY_CHANGE = ("resume", "epochs", "time_budget", "strategy", "device", "json")


def train(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Data to learn.", show_default=False)] = None,
    resume_: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a run.")] = None,
    out_folder: options.Out = None,
    model: options.Model = None,
    hidden_size: options.HiddenSize = None,
    layers: options.Layers = None,
    dropout: options.Dropout = None,
    recurrent_init: options.RecurrentInit = None,
    chrono_init: options.ChronoInit = None,
    forget_bias: options.ForgetBias = None,
    layer_norm: options.LayerNorm = None,
    head: options.HeadName = None,
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
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Train a model on FILE; its kind, its columns and every setting are found if not given.

    Examples:

      throughtime train co2.csv --fill linear

      throughtime train ETTh1.csv --target OT --horizon 96 --model lstm

      throughtime train book.txt --time-budget 10m --out runs/book

      throughtime train --resume runs/book
    """
    if resume_ is not None:
        training = _resumed(context, resume_, file, device, time_budget, epochs=epochs, strategy=strategy)
    elif file is None:
        raise ConfigurationError("name a FILE to train on, or a run to go on with: --resume RUN")
    else:
        refuse_strangers(file, steps, horizon=horizon, lookback=lookback, period=period, head=head)
        data = noted(read(file, time=time, time_format=time_format, target=target, past=past, future=future, id_=id_,
                          fill=fill, calendar=calendar, unit=unit, encoding=encoding))  # fmt: skip
        training = prepare(data, options.new_folder(out_folder, file, model),
            task=chosen(split=options.parts(split), horizon=horizon, lookback=lookback, period=period,
                        batch_size=batch_size, steps=steps),
            family=options.family(model, num_layers=layers, **options.of(context, *_OF_LAYERS)),
            training=chosen(strategy=strategy, epochs=epochs, patience=patience, precision=precision, seed=seed,
                            time_budget=options.seconds(time_budget)),
            optimizer=chosen(name=optimizer, learning_rate=learning_rate, schedule=schedule, clip=clip),
            model=chosen(head=head))  # fmt: skip
    _run(training, device, json)


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
