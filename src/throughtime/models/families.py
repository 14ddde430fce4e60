"""The families of models by name: what summarises the past, with its settings, as written to `config.json`."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, NoReturn, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter, model_validator
from torch import nn

from .._errors import ConfigurationError
from ..nn import (
    GRU,
    LSTM,
    RNN,
    CausalConv,
    Lags,
    MinGRU,
    MinLSTM,
    RunningAttention,
    RunningMean,
    Sequential,
    Transformer,
)
from .activations import Activation, activation
from .autoregression import Autoregression
from .direct import SegmentNetwork, SummaryNetwork
from .heads import HEADS, Head
from .known import KnownScale
from .markov import Markov
from .sequence import SequenceModel

Layers = Annotated[int, Field(ge=1, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Strict(BaseModel):
    """Settings that cannot be changed, nor misspelt."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Family(Strict):
    """What every family tells.

    Attributes:
        number: the setting that the number in `name:number` means.
        head: the distribution of values that it has by default.
        direct: whether it forecasts whole horizons and nothing else.
    """

    number: ClassVar[str]
    head: ClassVar[str] = "student_t"
    direct: ClassVar[bool] = False

    @abstractmethod
    def of_symbols(self, vocabulary: int, embedding_size: int) -> SequenceModel | Markov:
        """A model of symbols, not yet trained."""

    @abstractmethod
    def of_values(self, observed: int, known: int, lags: tuple[int, ...], head: str) -> SequenceModel:
        """A model of values, not yet trained."""

    def of_horizon(self, observed: int, known: int, lookback: int, horizon: int, head: str) -> tuple[nn.Module, Head]:
        """The network and the head of a `DirectForecaster`."""
        name = self.model_dump()["name"]
        raise ConfigurationError(f"{name} foretells one step after the other, not a horizon at once: use a network")

    def of_labels(self, features: int, size: int, pooling: str, head: str) -> SequenceModel:
        """A model of a label given the sequence so far, after each of its steps; not yet trained."""
        name = self.model_dump()["name"]
        raise ConfigurationError(f"{name} foretells next steps and labels no whole sequence: use a network such as gru")

    def of_binary(self, size: int) -> SequenceModel:
        """A model of vectors of 0 and 1, such as the keys of a piano; not yet trained."""
        name = self.model_dump()["name"]
        raise ConfigurationError(f"{name} is no model of binary vectors, as music is read: use a network such as lstm")

    @property
    def words(self) -> str:
        """What it is, for a table."""
        return ", ".join(
            f"{key.replace('_', ' ')} {value}"
            for key, value in self.model_dump().items()
            if key != "name" and value is not None and value is not False
        )


class NetworkFamily(Family):
    """Those that are trained by gradients: layers between an embedding and a head, with dropout within and after."""

    number: ClassVar[str] = "hidden_size"

    hidden_size: PositiveInt = 64
    dropout: Share = 0.0

    @abstractmethod
    def layers(self, input_size: int) -> nn.Module:
        """From `input_size` features to `hidden_size`."""

    def of_symbols(self, vocabulary: int, embedding_size: int) -> SequenceModel:
        """Embedded symbols, the layers, and a categorical head."""
        return SequenceModel(
            nn.Sequential(nn.Embedding(vocabulary, embedding_size), nn.Dropout(self.dropout)),
            self._backbone(embedding_size),
            HEADS["categorical"](self.hidden_size, vocabulary),
        )

    def of_values(self, observed: int, known: int, lags: tuple[int, ...], head: str) -> SequenceModel:
        """The last values as changes over `lags`, the layers, and the next change: a level never seen is no trouble."""
        changes = Lags(observed, lags, relative=True)
        backbone = self._backbone(observed * len(lags) + known)
        head_ = HEADS[head](self.hidden_size, observed)
        embedding = KnownScale(observed, known) if known else nn.Identity()
        return SequenceModel(embedding, Sequential(changes, backbone), head_, residual=observed)

    def of_horizon(self, observed: int, known: int, lookback: int, horizon: int, head: str) -> tuple[nn.Module, Head]:
        """The layers over what is known of each step, and their last vector turned into every step of the horizon."""
        backbone = self._backbone(observed + known)
        return SummaryNetwork(backbone, known, horizon, self.hidden_size), HEADS[head](self.hidden_size, observed)

    def of_labels(self, features: int, size: int, pooling: str, head: str) -> SequenceModel:
        """The layers, one vector of what they have given so far, and the head."""
        pooled = {"last": (), "mean": (RunningMean,), "attention": (RunningAttention,)}[pooling]
        layers = (self._backbone(features), *(kind(self.hidden_size) for kind in pooled))
        return SequenceModel(nn.Identity(), Sequential(*layers), HEADS[head](self.hidden_size, size))

    def of_binary(self, size: int) -> SequenceModel:
        """The layers over the vectors as they are, and a Bernoulli head."""
        return SequenceModel(nn.Identity(), self._backbone(size), HEADS["bernoulli"](self.hidden_size, size))

    def _backbone(self, input_size: int) -> Sequential:
        return Sequential(self.layers(input_size), nn.Dropout(self.dropout))


class RecurrentFamily(NetworkFamily):
    """Recurrent layers; dropout between them too.

    `recurrent_init` and `layer_norm` are options of rnn, gru and lstm, `chrono_init` of gru and lstm, `forget_bias` is
    lstm's.
    """

    name: Literal["rnn", "gru", "lstm", "mingru", "minlstm"] = "gru"
    num_layers: Layers = 1
    recurrent_init: Literal["orthogonal"] | None = None
    chrono_init: Annotated[int, Field(ge=3)] | None = None
    forget_bias: float | None = None
    layer_norm: bool = False

    @model_validator(mode="after")
    def _has_them(self) -> RecurrentFamily:
        if self.forget_bias is not None and self.name != "lstm":
            raise ValueError(f"forget_bias = {self.forget_bias}: it has no forget gate, lstm has one")
        if self.chrono_init is not None and self.name not in ("gru", "lstm"):
            raise ValueError(
                f"chrono_init = {self.chrono_init}: its gates are none that are begun so, those of gru and lstm are"
            )
        if self.chrono_init is not None and self.forget_bias is not None:
            raise ValueError("chrono_init and forget_bias both say how the forget gate begins: give one")
        if (self.recurrent_init or self.layer_norm) and self.name.startswith("min"):
            raise ValueError(
                "recurrent_init and layer_norm are for a product with h: it has none, rnn, gru and lstm have"
            )
        return self

    def layers(self, input_size: int) -> nn.Module:
        """The stack."""
        kind = {"rnn": RNN, "gru": GRU, "lstm": LSTM, "mingru": MinGRU, "minlstm": MinLSTM}[self.name]
        options: dict[str, Any] = {"dropout": self.dropout if self.num_layers > 1 else 0.0}
        if not self.name.startswith("min"):
            options |= {"recurrent_init": self.recurrent_init, "layer_norm": self.layer_norm}
        if self.name in ("gru", "lstm"):
            options |= {"chrono_init": self.chrono_init}
        if self.name == "lstm":
            options |= {"forget_bias": self.forget_bias}
        return kind(input_size, self.hidden_size, num_layers=self.num_layers, **options)


class ConvolutionFamily(NetworkFamily):
    """Dilated causal convolutions, by normalised weights or with outputs normalised over a batch."""

    name: Literal["tcn"] = "tcn"
    num_layers: Layers = 5
    kernel_size: PositiveInt = 3
    norm: Literal["weight", "batch"] = "weight"

    def layers(self, input_size: int) -> nn.Module:
        """The residual blocks."""
        sizes = (input_size, self.hidden_size, self.num_layers, self.kernel_size)
        return CausalConv(*sizes, dropout=self.dropout, norm=self.norm)


class TransformerFamily(NetworkFamily):
    """A decoder that attends to the last `context` steps."""

    number: ClassVar[str] = "context"

    name: Literal["transformer"] = "transformer"
    num_layers: Layers = 2
    num_heads: PositiveInt = 4
    context: PositiveInt = 256
    positions: Literal["rotary", "sinusoidal", "none"] = "rotary"

    def layers(self, input_size: int) -> nn.Module:
        """The blocks of attention."""
        return Transformer(
            input_size,
            self.hidden_size,
            self.num_layers,
            self.num_heads,
            self.context,
            dropout=self.dropout,
            positions=self.positions,
        )


class WindowFamily(NetworkFamily):
    """A multilayer perceptron over the last `order` steps."""

    number: ClassVar[str] = "order"

    name: Literal["mlp"] = "mlp"
    order: PositiveInt = 8
    num_layers: Layers = 1
    activation: Activation = "relu"

    def layers(self, input_size: int) -> nn.Module:
        """The window and the hidden layers."""
        widths = [input_size * self.order, *[self.hidden_size] * self.num_layers]
        hidden: list[nn.Module] = []
        for before, after in pairwise(widths):
            hidden += [nn.Linear(before, after), activation(self.activation)]
        return Sequential(Lags(input_size, range(self.order)), *hidden)


class SegmentFamily(Family):
    """A GRU over segments of each column by itself; it forecasts whole horizons.

    By default a segment is a fifteenth of the lookback.
    """

    number: ClassVar[str] = "segment"
    direct: ClassVar[bool] = True

    name: Literal["segrnn"] = "segrnn"
    hidden_size: PositiveInt = 128
    segment: PositiveInt | None = None
    dropout: Share = 0.5

    def of_symbols(self, vocabulary: int, embedding_size: int) -> NoReturn:
        """There is none."""
        raise ConfigurationError("segrnn forecasts values, and these are symbols: use markov, mlp or a network")

    def of_values(self, observed: int, known: int, lags: tuple[int, ...], head: str) -> NoReturn:
        """There is none that goes step by step."""
        raise ConfigurationError("segrnn forecasts whole horizons: use gru for what goes step by step")

    def of_horizon(self, observed: int, known: int, lookback: int, horizon: int, head: str) -> tuple[nn.Module, Head]:
        """The network over segments, and a head that gives a segment at once."""
        segment = max(1, lookback // 15) if self.segment is None else self.segment
        network = SegmentNetwork(observed, known, lookback, horizon, segment, self.hidden_size, self.dropout)
        return network, HEADS[head](self.hidden_size, segment)


class AutoregressiveFamily(Family):
    """A linear function of the last `order` values, by least squares."""

    number: ClassVar[str] = "order"
    head: ClassVar[str] = "normal"

    name: Literal["ar"] = "ar"
    order: PositiveInt = 1

    def of_symbols(self, vocabulary: int, embedding_size: int) -> NoReturn:
        """There is none."""
        raise ConfigurationError("ar is a model of values, and these are symbols: use markov, mlp or a network")

    def of_values(self, observed: int, known: int, lags: tuple[int, ...], head: str) -> SequenceModel:
        """The values themselves, whatever changes a network would see."""
        if head != "normal":
            raise ConfigurationError(f"head {head!r}: ar has normal residuals, as least squares means: head='normal'")
        return Autoregression(observed, self.order, known)


class MarkovFamily(Family):
    """Counts of `order` + 1 symbols in a row, smoothed."""

    number: ClassVar[str] = "order"

    name: Literal["markov"] = "markov"
    order: Annotated[int, Field(ge=0, le=62)] = 3

    def of_symbols(self, vocabulary: int, embedding_size: int) -> Markov:
        """The tables, empty."""
        return Markov(vocabulary, self.order)

    def of_values(self, observed: int, known: int, lags: tuple[int, ...], head: str) -> NoReturn:
        """There is none."""
        raise ConfigurationError("markov counts symbols, and these are values: use ar, mlp or a network")


AnyFamily = Annotated[
    RecurrentFamily
    | ConvolutionFamily
    | TransformerFamily
    | WindowFamily
    | SegmentFamily
    | AutoregressiveFamily
    | MarkovFamily,
    Field(discriminator="name"),
]
_KINDS: dict[str, type[Family]] = {
    name: kind for kind in get_args(get_args(AnyFamily)[0]) for name in get_args(kind.model_fields["name"].annotation)
}
FAMILIES = tuple(_KINDS)
"""All names."""


def family(settings: dict[str, Any]) -> AnyFamily:
    """The family that settings describe, `name` among them.

    Example:
        >>> family({"name": "tcn", "hidden_size": 32}).num_layers
        5
    """
    return TypeAdapter(AnyFamily).validate_python(settings)


def family_settings(text: str) -> dict[str, Any]:
    """The settings that a name means, alone or with the family's own number.

    Raises:
        ConfigurationError: for a name that is not known, or a number that is none.

    Example:
        >>> family_settings("markov:3"), family_settings("lstm")
        ({'name': 'markov', 'order': 3}, {'name': 'lstm'})
    """
    name, colon, number = text.partition(":")
    if name not in _KINDS:
        raise ConfigurationError(f"model {text!r} is not known; known: {', '.join(FAMILIES)}")
    if not colon:
        return {"name": name}
    meaning = _KINDS[name].number
    if not number.isdecimal():
        raise ConfigurationError(f"model {text!r}: the number is its {meaning.replace('_', ' ')}, as in {name}:8")
    return {"name": name, meaning: int(number)}
