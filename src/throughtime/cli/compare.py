"""`throughtime compare`: which model is worth its cost on this data."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from .._errors import ConfigurationError, UnsupportedError
from .._files import replacing
from ..artifacts.store import write_json
from ..data import MusicData, SeriesData
from ..evaluation import Comparison
from ..evaluation import compare as compared
from . import _options as options
from ._comparing import ComparingProgress
from ._console import out, plain, print_json, say
from ._options import chosen
from ._reading import noted, read
from ._resuming import asked, keep, resumable
from .train import refuse_strangers

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
    folder, asking = asked(context, file, resume, out_folder)
    with resumable("compare", folder):
        _show(_compared(folder, asking, options.device(device)), folder, json)


def _compared(folder: Path, context: typer.Context, device: torch.device) -> Comparison:
    """Read, train and measure, by the options of this call or of the one that began the comparison."""
    given, of = context.params, partial(options.of, context)
    refuse_strangers(given["file"], **of("steps", "horizon", "lookback", "period"))
    columns = of("time", "time_format", "target", "past", "future", "id_", "fill", "calendar", "unit", "encoding")
    data = noted(read(given["file"], **columns))
    if isinstance(data, MusicData):
        raise UnsupportedError(
            f"{given['file']} is music, on which nothing is compared: train each model and evaluate it"
        )
    usual = _FOR_SERIES if isinstance(data, SeriesData) else _FOR_SYMBOLS
    with ComparingProgress(lambda: keep(folder, context)) as bar:
        return compared(
            data,
            folder,
            options.columns([given["models"] or usual]),
            task=chosen(
                split=options.parts(given["split"]), **of("horizon", "lookback", "period", "batch_size", "steps")
            ),
            shared=chosen(num_layers=given["layers"], **of("hidden_size", "dropout")),
            training=chosen(
                time_budget=options.seconds(given["time_budget"]),
                **of("strategy", "epochs", "patience", "precision", "seed"),
            ),
            optimizer=chosen(name=given["optimizer"], **of("learning_rate")),
            device=device,
            observer=bar,
            **of("seeds", "metric", "quality", "samples"),
        )


def _show(found: Comparison, folder: Path, json: bool) -> None:
    if not found.ranked:
        failed = found.candidates[0]
        raise ConfigurationError(f"no model could be compared; {failed.model}: {failed.error}")
    write_json(folder / "comparison.json", plain(found.to_dict()))
    with replacing(folder / "comparison.png") as temporary:
        found.plot().savefig(temporary, format="png")
    if json:
        print_json(found.to_dict())
    else:
        out.print(found.table())
        say(f"saved to {folder}: comparison.png, comparison.json, and a run of each training")
