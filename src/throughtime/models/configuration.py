"""What a model is made of, as it is written to `config.json`, and how it is built from that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

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


class ValueModelConfiguration(Strict):
    """A model of values: `observed` columns are predicted, `known` ones (future covariates, calendar) only read.

    A network sees the last values through their changes over the given `lags` and predicts the next change, so that
    a level never seen in training is no reason to fail.
    """

    kind: Literal["values"] = "values"
    observed: PositiveInt
    known: NonNegativeInt = 0
    lags: tuple[PositiveInt, ...] = (1,)
    head: Literal["normal", "student_t"] = "student_t"
    family: AnyFamily = RecurrentFamily()

    def build(self) -> SequenceModel:
        """The model, freshly initialised."""
        return self.family.of_values(self.observed, self.known, self.lags, self.head)


ModelConfiguration = Annotated[SymbolModelConfiguration | ValueModelConfiguration, Field(discriminator="kind")]
