"""Everything that decides a run, as it stands in `config.json`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from ..data import Split
from ..models import ModelConfiguration

FORMAT = 2
"""Raised when a folder written now could not be read by the version before; those of lower formats are read too."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SeriesTask(_Strict):
    """Forecasting: `lookback` rows are read before `horizon` rows are predicted; a season has `period` rows.

    Each series is split by its own rows, so that the parts of several series may overlap in time. `transform` says
    which columns a model reads as logarithms: "auto" takes those whose swings grow with their level, and none where
    missing values are filled with zeros.
    """

    kind: Literal["series"] = "series"
    horizon: PositiveInt
    lookback: PositiveInt
    period: PositiveInt = 1
    batch_size: PositiveInt = 32
    windows: PositiveInt = 2048
    transform: Literal["auto", "none", "log"] = "auto"
    split: Split = Split()


class SymbolTask(_Strict):
    """Predicting the next symbol: `batch_size` parallel streams, each read `steps` symbols at a time."""

    kind: Literal["symbols"] = "symbols"
    batch_size: PositiveInt = 16
    steps: PositiveInt = 64
    split: Split = Split(0.8, 0.1, 0.1)


class LabelTask(_Strict):
    """Labelling whole sequences, each with one of several classes or with a number.

    `class_weights` "balanced": a case counts n / (classes · n_class), so that every class counts alike. Cases are
    shuffled by the seed of training and parted class by class.
    """

    kind: Literal["labels"] = "labels"
    task: Literal["classify", "regress"] = "classify"
    batch_size: PositiveInt = 16
    class_weights: Literal["balanced"] | None = None
    split: Split = Split()

    @model_validator(mode="after")
    def _has_classes(self) -> LabelTask:
        if self.task == "regress" and self.class_weights is not None:
            raise ValueError("class_weights are for classes: a regression has none")
        return self


class MusicTask(_Strict):
    """Predicting which keys are down in the next frame: `batch_size` whole pieces side by side.

    Pieces are shuffled by the seed of training and parted whole; of fewer than three each is split in time.
    """

    kind: Literal["music"] = "music"
    batch_size: PositiveInt = 8
    split: Split = Split(0.6, 0.2, 0.2)


OptimizerName: TypeAlias = Literal[
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "rprop", "adam", "adamw", "radam", "nadam", "adamp", "lbfgs"
]
"""Every optimiser there is."""


class OptimizerSettings(_Strict):
    """How parameters follow their gradients.

    `momentum` is that of momentum, nesterov, sgd and rmsprop: by default 0.9 for the two that are named after it, and
    none for the others. `weight_decay` is decoupled from the gradient in adamw, adamp, nadam and radam, added to it in
    the others; rprop, which reads signs alone, and lbfgs have none. lbfgs searches along its direction from a first
    step of `learning_rate` (1 suits it) and never clips: the search would be misled, and takes its place.
    """

    name: OptimizerName = "adamw"
    learning_rate: PositiveFloat = 2e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: NonNegativeFloat = 0.01
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup: NonNegativeInt = 50
    clip: PositiveFloat | None = 1.0

    @model_validator(mode="after")
    def _moves(self) -> OptimizerSettings:
        if self.name in ("momentum", "nesterov") and self.momentum == 0:
            raise ValueError(f"momentum = 0 leaves {self.name} nothing to go by: name sgd instead")
        return self


class TrainingSettings(_Strict):
    """How long, by which gradient of which loss, and from which random numbers.

    The loss is −log p, "nll", or of models of values "crps", which weighs errors by their size (see `models.LOSSES`).
    """

    optimizer: OptimizerSettings = OptimizerSettings()
    strategy: str = "full"
    loss: Literal["nll", "crps"] = "nll"
    epochs: PositiveInt = 20
    patience: PositiveInt | None = None
    time_budget: PositiveFloat | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class RunConfiguration(_Strict):
    """The whole of `config.json`."""

    format: int = FORMAT
    throughtime: str
    model: ModelConfiguration
    task: Annotated[SeriesTask | SymbolTask | LabelTask | MusicTask, Field(discriminator="kind")]
    training: TrainingSettings

    @model_validator(mode="after")
    def _agrees(self) -> RunConfiguration:
        wanted = {"series": "values"}.get(self.task.kind, self.task.kind)
        if self.model.kind != wanted:
            raise ValueError(f"a task of {self.task.kind} needs a model of {wanted}, not of {self.model.kind}")
        return self


def explained(error: ValidationError) -> str:
    """The first thing that a validation found wrong, in one line.

    Example:
        >>> try:
        ...     SymbolTask(steps=0)
        ... except ValidationError as error:
        ...     print(explained(error))
        steps = 0: Input should be greater than 0
    """
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    given = f" = {first['input']!r}" if isinstance(first["input"], (str, int, float)) else ""
    if first["type"] == "extra_forbidden":
        return f"{place}{given}: there is no such setting"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}{given}: {message}" if place else message
