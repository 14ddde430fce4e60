"""What a model is made of, as it is written to `config.json`, and how it is built from that."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from torch import nn

from ..nn import GRU, LSTM, RNN, Lags, Sequential
from .heads import HEADS
from .sequence import SequenceModel

_CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecurrentConfiguration(_Strict):
    """The recurrent layers in the middle; dropout acts between them and before the head."""

    cell: Literal["rnn", "gru", "lstm"] = "gru"
    hidden_size: PositiveInt = 64
    num_layers: Annotated[int, Field(ge=1, le=100)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, input_size: int) -> nn.Module:
        """The layers, from `input_size` features to `hidden_size`."""
        between = self.dropout if self.num_layers > 1 else 0.0
        layers = _CELLS[self.cell](input_size, self.hidden_size, num_layers=self.num_layers, dropout=between)
        return Sequential(layers, nn.Dropout(self.dropout))


class SymbolModelConfiguration(_Strict):
    """A model of symbols: text by character or byte, sound by µ-law level."""

    kind: Literal["symbols"] = "symbols"
    vocabulary: PositiveInt
    embedding_size: PositiveInt = 64
    recurrent: RecurrentConfiguration = RecurrentConfiguration()

    def build(self) -> SequenceModel:
        """The model, freshly initialised."""
        return SequenceModel(
            nn.Sequential(nn.Embedding(self.vocabulary, self.embedding_size), nn.Dropout(self.recurrent.dropout)),
            self.recurrent.build(self.embedding_size),
            HEADS["categorical"](self.recurrent.hidden_size, self.vocabulary),
        )


class ValueModelConfiguration(_Strict):
    """A model of values: `observed` columns are predicted, `known` ones (future covariates, calendar) only read.

    The network sees the last values through their changes over the given `lags` and predicts the next change, so that
    a level never seen in training is no reason to fail.
    """

    kind: Literal["values"] = "values"
    observed: PositiveInt
    known: NonNegativeInt = 0
    lags: tuple[PositiveInt, ...] = (1,)
    head: Literal["normal", "student_t"] = "student_t"
    recurrent: RecurrentConfiguration = RecurrentConfiguration()

    def build(self) -> SequenceModel:
        """The model, freshly initialised."""
        lags = Lags(self.observed, self.lags, relative=True)
        recurrent = self.recurrent.build(self.observed * len(self.lags) + self.known)
        head = HEADS[self.head](self.recurrent.hidden_size, self.observed)
        return SequenceModel(nn.Identity(), Sequential(lags, recurrent), head, residual=self.observed)


ModelConfiguration = Annotated[SymbolModelConfiguration | ValueModelConfiguration, Field(discriminator="kind")]
