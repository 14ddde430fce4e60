"""Options that several commands take, each described once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from .._errors import ConfigurationError, UnsupportedError
from ..artifacts import LabelRun, Run, SeriesRun, configuration, store
from ..data import Split
from ..gradients import FORMS
from ..models import family as validated_family
from ..models import family_settings
from ..training.settings import read_settings

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds(text: str | None) -> float | None:
    """A time such as `90`, `60s`, `10m` or `1.5h`, in seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", text)
    if not found or not float(found[1]):
        wanted = "a time above 0" if found else "a number with s, m or h"
        raise ConfigurationError(f"time {text!r}: expected {wanted}, such as 60s")
    return float(found[1]) * _SECONDS[found[2]]


def columns(given: list[str] | None) -> list[str]:
    """Names given in several options or one list with commas."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def parts(text: str | None) -> Split | None:
    """Training, validation and test in the order of time: fractions, as `0.8,0.1,0.1`, or numbers of rows."""
    if text is None:
        return None
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError:
        wanted = "three parts with commas: fractions such as 0.8,0.1,0.1, or numbers of rows"
        raise ConfigurationError(f"split {text!r}: expected {wanted}") from None
    return Split(train, validation, test)


def following(run: Run) -> str:
    """The command that uses a run of its kind, as it is written."""
    command = {"series": "forecast", "labels": "predict"}.get(run.configuration.task.kind, "generate")
    return f"throughtime {command} {run.folder}"


def of_another_kind(run: Run) -> UnsupportedError:
    """What is said of a run that a command has no use for."""
    return UnsupportedError(f"{run.folder} is a model of {run.configuration.task.kind}: use {following(run)}")


def mend(run: Run, fill: str | None) -> None:
    """Let a run read files with gaps and missing values, mended as `fill` says; None leaves it to those of training.

    Raises:
        ConfigurationError: for runs that read neither series nor labelled sequences, and for zeros without a logarithm.
    """
    if fill is None:
        return
    if not isinstance(run, (SeriesRun, LabelRun)):
        raise ConfigurationError(f"--fill is for series and labelled sequences; {run.folder} is of another kind")
    if fill == "zero" and run.scaler.logs:
        raise ConfigurationError(f"--fill zero: {run.folder} reads logarithms, and zero has none; linear or forward")
    layout: Any = run.layout
    run.layout = replace(layout, fill=fill)


def given(context: typer.Context, *names: str) -> list[str]:
    """Those of the named options that stand on the command line, as they are written there."""
    return [
        f"--{name.replace('_', '-')}"
        for name in names
        if getattr(context.get_parameter_source(name), "name", "DEFAULT") == "COMMANDLINE"
    ]


def chosen(**options: Any) -> dict[str, Any]:
    """Those options that were given a value."""
    return {name: value for name, value in options.items() if value is not None}


def refuse(file: Path, kind: str, only: str, **options: Any) -> None:
    """Refuse options that were given a value but are for files of another kind.

    Raises:
        ConfigurationError: naming the first of them.
    """
    for name in chosen(**options):
        if kind not in only:
            raise ConfigurationError(f"--{name.replace('_', '-')} is for {only}; {file} is read as {kind}")


def refuse_for_labels(file: Path, others: dict[str, Any]) -> None:
    """Refuse options of series, text and sound for a file of labelled sequences.

    Raises:
        ConfigurationError: naming the first of them.
    """
    given = [name for name, value in others.items() if value not in (None, [], (), "auto", "character", "mu-law")]
    if given:
        name = given[0].replace("_", "-")
        raise ConfigurationError(f"--{name} is not for labelled sequences, as {file} is read: leave it out")


def refuse_without_task(of_labels: dict[str, Any]) -> None:
    """Refuse options of labelled sequences where no --task says that the file holds such.

    Raises:
        ConfigurationError: naming the first of them.
    """
    for name in chosen(**of_labels):
        tasks = "--task classify" + ("" if name == "class_weights" else " or --task regress")
        raise ConfigurationError(f"--{name.replace('_', '-')} is for whole sequences with labels: say {tasks} too")


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to standard output instead of tables.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, …")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of every random draw.", show_default=True)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run.", show_default=False)]
File = Annotated[
    Path, typer.Argument(help="CSV, Parquet, .ts, text, WAV, FLAC or MIDI, or a folder of these.", show_default=False)
]
PictureFolder = Annotated[Path, typer.Option("--out", help="Folder for the picture.")]
OptionalFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="Data to use; the file it was trained on by default.", show_default=False),
]
Samples = Annotated[int, typer.Option(min=2, help="How many futures to sample.")]
Horizon = Annotated[int | None, typer.Option(min=1, help="Steps to forecast; a season, or as trained for.")]
Time = Annotated[str | None, typer.Option(help="The time column; found by itself if not named.")]
TimeFormat = Annotated[str | None, typer.Option(help="How times are written, such as %d/%m/%Y, where it is unclear.")]
Target = Annotated[list[str] | None, typer.Option(help="Column(s) to forecast; all numeric ones by default.")]
Past = Annotated[list[str] | None, typer.Option(help="Column(s) observed together with the targets.")]
Future = Annotated[list[str] | None, typer.Option(help="Column(s) known in advance.")]
Id = Annotated[str | None, typer.Option("--id", help="The column that tells many series in one file apart.")]
Task = Annotated[
    Literal["classify", "regress"] | None,
    typer.Option(help="Read whole sequences, each with a class or a number: a .ts file, a table, a folder of WAV."),
]
Label = Annotated[str | None, typer.Option(help="The column of labels (--task); label, class, target or y are found.")]
Fill = Annotated[Literal["forward", "linear", "zero"] | None, typer.Option(help="Mend gaps and missing values.")]
Calendar = Annotated[str, typer.Option(help="Calendar features: auto, none, or a list such as hour,weekday.")]
Unit = Annotated[Literal["character", "byte"], typer.Option(help="What a symbol of a text is.")]
Encoding = Annotated[Literal["mu-law", "real"], typer.Option(help="Sound as 256 levels or as real values.")]
FramesPerBeat = Annotated[
    int | None, typer.Option(min=1, max=480, help="Frames a beat of music; 2, eighth notes; 4 are sixteenths.")
]


def _configure(context: typer.Context, file: Path | None) -> Path | None:
    """What a settings file says of reading and of the seed is the default of these options."""
    if file is not None:
        found = read_settings(file)
        reading = {"id_" if name == "id" else name: value for name, value in found.reading.items()}
        seed = found.preparation.get("training", {}).get("seed")
        context.default_map = {**(context.default_map or {}), **reading, **chosen(seed=seed)}
    return file


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        callback=_configure,
        is_eager=True,
        help="Settings in a file, such as the best.json of tune; options given beside it win.",
    ),
]
Pooling = Annotated[
    Literal["last", "mean", "attention"] | None,
    typer.Option(
        help="With --task: what of a sequence the verdict is read from; by default the mean for tcn, else attention."
    ),
]
ClassWeights = Annotated[
    Literal["balanced"] | None, typer.Option(help="With --task classify: every class counts alike, however rare.")
]

Out = Annotated[Path | None, typer.Option("--out", help="Folder of the run; the next free runs/NAME by default.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="rnn, gru, lstm, mingru, minlstm, tcn, transformer, mlp:ORDER, for series ar:ORDER and segrnn:SEGMENT, "
        "for symbols markov:ORDER; by default gru for series, tcn for labels, lstm for the rest.",
    ),
]
HiddenSize = Annotated[
    int | None, typer.Option(min=1, help="Units of a layer; 64, text 128 or 256, music 200, labels 32 or 64.")
]
Layers = Annotated[
    int | None,
    typer.Option(min=1, help="Layers, or blocks; 1, for long texts 2; of a tcn 5, 3 for labels of one column."),
]
Dropout = Annotated[float | None, typer.Option(help="Share of features dropped between layers while training.")]
RecurrentInit = Annotated[
    Literal["orthogonal"] | None,
    typer.Option(help="First recurrent weights of rnn, gru and lstm: gradients neither shrink nor grow by them."),
]
ChronoInit = Annotated[
    int | None,
    typer.Option(min=3, help="The longest lag, in steps: units of gru and lstm begin with memories up to it."),
]
ForgetBias = Annotated[float | None, typer.Option(help="First bias of an lstm's forget gate; 1 remembers longer.")]
LayerNorm = Annotated[
    bool | None, typer.Option("--layer-norm", help="Normalise the products of rnn, gru and lstm (slower).")
]
Decoding = Annotated[
    Literal["autoregressive", "direct"] | None,
    typer.Option(help="Whether steps ahead follow one from the other, or all come at once, as segrnn's always do."),
]
WindowNormalisation = Annotated[
    Literal["none", "last", "instance"] | None,
    typer.Option(help="What a direct forecast takes from each window: nothing, its last value, or mean and deviation."),
]
LossName = Annotated[
    Literal["nll", "crps"] | None,
    typer.Option(
        "--loss", help="−log p; or crps, which weighs errors by their size; crps where all steps come at once."
    ),
]
Transform = Annotated[
    Literal["auto", "none", "log"] | None,
    typer.Option(help="Whether columns are read as logarithms; auto: those whose swings grow with their level."),
]
HeadName = Annotated[
    Literal["student_t", "normal", "laplace"] | None,
    typer.Option("--head", help="Distribution of values; student_t by default, laplace where all steps come at once."),
]
StrategyName = Annotated[str | None, typer.Option("--strategy", help=f"How gradients travel: {FORMS}.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the training part; 30, others 20, text by size.")]
TimeBudget = Annotated[str | None, typer.Option(help="Time of training at most, such as 60s or 10m; none by default.")]
Patience = Annotated[int | None, typer.Option(min=1, help="Validations without a better one; 8 for series.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Sequences side by side; 32, text and labels 16, music 8.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Symbols of each stream in a batch (text and sound).")]
OptimizerName = Annotated[
    configuration.OptimizerName | None,
    typer.Option("--optimizer", help="How parameters follow their gradients; adamw by default."),
]
LearningRate = Annotated[
    float | None,
    typer.Option(help="Largest step size; 0.002, labels 0.005, text 0.006, music 0.004; a transformer half."),
]
Schedule = Annotated[
    Literal["cosine", "linear", "constant"] | None, typer.Option(help="How the step size falls; cosine by default.")
]
Clip = Annotated[float | None, typer.Option(help="Largest norm of the gradient; 1 by default.")]
Precision = Annotated[Literal["float32", "bfloat16"] | None, typer.Option(help="bfloat16 is torch's autocast.")]
SplitParts = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Train, validation and test: fractions as 0.7,0.1,0.2, or rows; 0.8,0,0.2 of under 300 labelled cases.",
        show_default=False,
    ),
]
Period = Annotated[int | None, typer.Option(min=1, help="Rows of a season; found by itself if not given.")]
Lookback = Annotated[int | None, typer.Option(min=1, help="Rows read before a forecast.")]


def of(context: typer.Context, *names: str) -> dict[str, Any]:
    """The values of these options of a command; `None` where none of several was given."""
    given = {name: context.params.get(name) for name in names}
    return {name: None if value in ([], ()) else value for name, value in given.items()}


def family(name: str | None, **settings: Any) -> dict[str, Any]:
    """The settings of a family named as in `--model`, with those options that were given a value."""
    return {**(family_settings(name) if name else {}), **chosen(**settings)}


def over(config: str | Path | None, **groups: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The groups of settings in a file, and over them those that were given; of the family those that it has."""
    begun = {} if config is None else read_settings(config).preparation
    merged = {name: {**begun.get(name, {}), **own} for name, own in groups.items()}
    if named := groups["family"].get("name"):
        known = {*type(validated_family({"name": named})).model_fields, *groups["family"]}
        merged["family"] = {key: value for key, value in merged["family"].items() if key in known}
    return merged


def new_folder(named: Path | None, file: Path, model: str | None) -> Path:
    """The folder for a new run: the one named, which must be new or empty, or the next free one under runs/."""
    if named is not None:
        if named.exists() and (not named.is_dir() or any(named.iterdir())):
            run = (named / store.CONFIGURATION).exists()
            remedy = f", or go on with: throughtime train --resume {named}" if run else ""
            raise ConfigurationError(f"--out {named} exists already: name a new folder{remedy}")
        return named
    base = Path("runs") / "-".join(part for part in (file.stem, model and model.replace(":", "")) if part)
    folder, number = base, 2
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder


def device(name: str) -> torch.device:
    """The device of that name, if it is there."""
    try:
        found = torch.device(name)
    except RuntimeError:
        raise ConfigurationError(f"device {name!r} is not known: expected cpu, cuda, cuda:1 or the like") from None
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return found
