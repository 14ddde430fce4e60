"""`throughtime evaluate`: how good a model is on data it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .._errors import ConfigurationError
from .._files import making, replacing
from ..artifacts import LabelRun, MusicRun, SeriesRun, SymbolRun, load
from ..artifacts.store import write_json
from ..evaluation import backtest, labelling, likelihood, music_likelihood
from . import _options as options
from ._console import out, plain, print_json, progress, say, working


def evaluate(
    run: options.RunFolder,
    file: options.OptionalFile = None,
    horizon: options.Horizon = None,
    stride: Annotated[int | None, typer.Option(min=1, help="Rows between two forecasts.")] = None,
    samples: options.Samples = 100,
    out_folder: Annotated[Path | None, typer.Option("--out", help="Folder for evaluation.json and a picture.")] = None,
    seed: options.Seed = 0,
    fill: options.Fill = None,
    device: options.Device = "cpu",
    json: options.Json = False,
) -> None:
    """Score a run on the test part of its data, beside baselines.

    Series: MAE, MSE, RMSE, MASE, sMAPE, CRPS and interval coverage beside naive, seasonal naive and drift.
    Text: nats and bits a symbol beside a unigram model and a compressor.
    Of a FILE of these too the test part alone is scored: the baselines learn from what comes before it.
    Labelled sequences: accuracy, F1, log loss and calibration beside the majority class, or errors beside the mean;
    a FILE that is not the one trained on is used as a whole.
    Music: nats and bits a frame beside keys that know nothing of each other; another FILE is used as a whole.

    Examples:

      throughtime evaluate runs/co2

      throughtime evaluate runs/load --stride 1 --json
    """
    trained = load(run, device=options.device(device))
    options.mend(trained, fill)
    with working("reading"):
        data: Any = trained.read(file, labels_needed=True) if isinstance(trained, LabelRun) else trained.read(file)
    with progress("evaluating") as told:
        if isinstance(trained, SeriesRun):
            found = backtest(trained, data, horizon=horizon, stride=stride, samples=samples, seed=seed, progress=told)
        elif horizon is not None or stride is not None:
            kind = trained.configuration.task.kind
            raise ConfigurationError(f"--horizon and --stride are for series; {run} is a model of {kind}")
        elif isinstance(trained, LabelRun):
            found = labelling(trained, data, whole=not trained.trained_on(data), progress=told)
        elif isinstance(trained, MusicRun):
            found = music_likelihood(trained, data, whole=not trained.trained_on(data), progress=told)
        else:
            assert isinstance(trained, SymbolRun)
            found = likelihood(trained, data, progress=told)
    if out_folder is not None:
        with making(out_folder), replacing(out_folder / "evaluation.png") as temporary:
            write_json(out_folder / "evaluation.json", plain(found.to_dict()))
            found.plot().savefig(temporary, format="png")
    if json:
        print_json(found.to_dict())
        return
    out.print(found.table())
    if out_folder is not None:
        say(f"saved {out_folder / 'evaluation.json'} and evaluation.png")
