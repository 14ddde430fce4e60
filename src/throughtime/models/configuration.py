"""What a model is made of, as it is written to `config.json`, and how it is built from that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from .direct import DirectForecaster, Normalisation
from .families import AnyFamily, RecurrentFamily, Strict
from .markov import Markov
from .sequence import SequenceModel


class SymbolModelConfiguration(Strict):
    """A model of symbols: text by character or byte, sound by µ-law level."""

    kind: Literal["symbols"] = "symbols"
    vocabulary: PositiveInt
    embedding_size: PositiveInt = 64
    family: AnyFamily = RecurrentFamily()

    def build(self) -> SequenceModel | Markov:
        """The model, freshly initialised."""
        return self.family.of_symbols(self.vocabulary, self.embedding_size)


class DirectDecoding(Strict):
    """All steps of a horizon at once, from a window of the past that is normalised by itself."""

    lookback: Annotated[int, Field(ge=2)]
    horizon: PositiveInt
    normalisation: Normalisation = "last"


class ValueModelConfiguration(Strict):
    """A model of values: `observed` columns are predicted, `known` ones (future covariates, calendar) only read.

    A network sees the last values through their changes over the given `lags` and predicts the next change, so that
    a level never seen in training is no reason to fail. Steps further ahead follow one from the other, each drawn value
    fed back; with `direct`, all come at once.
    """

    kind: Literal["values"] = "values"
    observed: PositiveInt
    known: NonNegativeInt = 0
    lags: tuple[PositiveInt, ...] = (1,)
    head: Literal["normal", "laplace", "student_t"] = "student_t"
    direct: DirectDecoding | None = None
    family: AnyFamily = RecurrentFamily()

    def build(self) -> SequenceModel | DirectForecaster:
        """The model, freshly initialised."""
        if self.direct is None:
            return self.family.of_values(self.observed, self.known, self.lags, self.head)
        return DirectForecaster(
            *self.family.of_horizon(self.observed, self.known, self.direct.lookback, self.direct.horizon, self.head),
            observed=self.observed,
            known=self.known,
            **self.direct.model_dump(),
        )


class LabelModelConfiguration(Strict):
    """A model of the label of a whole sequence of `features` a step: one of `size` classes, or a value.

    Its verdict after each step is on the sequence so far. What the head reads is `pooling`: the last step's vector, the
    mean of those so far, or their mean weighted by attention.
    """

    kind: Literal["labels"] = "labels"
    features: PositiveInt
    size: PositiveInt
    pooling: Literal["last", "mean", "attention"] = "attention"
    head: Literal["categorical", "normal", "student_t"] = "categorical"
    family: AnyFamily = RecurrentFamily()

    @model_validator(mode="after")
    def _agrees(self) -> LabelModelConfiguration:
        if self.size > 1 and self.head != "categorical":
            raise ValueError(f"head = {self.head!r}: classes have a categorical one")
        if self.size == 1 and self.head == "categorical":
            raise ValueError("head = 'categorical': one value has a normal or student_t one")
        return self

    def build(self) -> SequenceModel:
        """The model, freshly initialised."""
        return self.family.of_labels(self.features, self.size, self.pooling, self.head)


class MusicModelConfiguration(Strict):
    """A model of polyphonic music: which of `keys` are down in each frame, independently given all frames before it."""

    kind: Literal["music"] = "music"
    keys: Literal[88] = 88
    family: AnyFamily = RecurrentFamily()

    def build(self) -> SequenceModel:
        """The model, freshly initialised."""
        return self.family.of_binary(self.keys)


ModelConfiguration = Annotated[
    SymbolModelConfiguration | ValueModelConfiguration | LabelModelConfiguration | MusicModelConfiguration,
    Field(discriminator="kind"),
]
