"""Every model of the house, listed once; the battery runs over this list."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from throughtime.models import (
    NADE,
    RNADE,
    VAE,
    Autoencoder,
    BernoulliHead,
    Chain,
    Density,
    FullyIndependent,
    JointTable,
    Markov,
    NaiveBayes,
    RecurrentSeq2Seq,
    Seq2Seq,
    SequenceModel,
    SequenceVAE,
    Streaming,
    SymbolModelConfiguration,
    ValueModelConfiguration,
    family,
)
from throughtime.nn import LSTM

SIDES = 3
FAMILIES: dict[str, dict[str, Any]] = {
    "rnn": {"hidden_size": 4},
    "gru": {"hidden_size": 4, "num_layers": 2},
    "lstm": {"hidden_size": 4},
    "mingru": {"hidden_size": 4},
    "minlstm": {"hidden_size": 4, "num_layers": 2},
    "tcn": {"hidden_size": 4, "num_layers": 2, "kernel_size": 2},
    "transformer": {"hidden_size": 4, "num_heads": 2, "context": 3},
    "mlp": {"hidden_size": 4, "order": 3, "activation": "tanh"},
    "ar": {"order": 3},
    "markov": {"order": 2},
}


@dataclass(frozen=True)
class Case:
    """A model, how it is made, and what x it is of; x is [time, batch, …] of sequences, [batch, n] of vectors.

    Args:
        name: what the tests are called by.
        build: of `size`, values a step or elements of a vector, a fresh model.
        declares: what it is.
        learns: whether it has parameters, that is gradients.
        settings: of its family, where it has one.
    """

    name: str
    build: Callable[[int], nn.Module]
    declares: tuple[type, ...] = (Streaming, Density)
    learns: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    continuous: ClassVar[bool] = False
    size: ClassVar[int] = 2

    def model(self, size: int | None = None, seed: int = 0) -> Any:
        """In float64 and evaluation mode; its parameters far from alike, so that the order of things matters."""
        torch.manual_seed(seed)
        model = self.build(size or self.size).double().eval()
        for parameter in model.parameters():
            parameter.data.mul_(2).add_(torch.randn_like(parameter), alpha=0.1)
        return model

    def inputs(self, steps: int, batch: int) -> Tensor:
        """What the model is fed with."""
        raise NotImplementedError

    def targets(self, steps: int, batch: int) -> Tensor:
        """What it may foretell."""
        return self.inputs(steps, batch)

    def space(self, length: int) -> Tensor:
        """Every x of that length."""
        raise NotImplementedError

    def log_prob(self, model: Any, x: Tensor, **settings: Any) -> Tensor:
        """Of whole x, [batch]."""
        return model.log_prob(x, **settings).sum(0)

    def draw(self, model: Any, length: int, count: int) -> Tensor:
        """So many x."""
        return model.sample(length, batch_size=count)

    def row(self, x: Tensor) -> Tensor:
        """Each x as one row, [batch, numbers]."""
        return x.movedim(1, 0).flatten(1)


def every(length: int, sides: int = SIDES) -> Tensor:
    return torch.tensor(list(itertools.product(range(sides), repeat=length)))


class Symbols(Case):
    def inputs(self, steps: int, batch: int) -> Tensor:
        return torch.randint(SIDES, (steps, batch))

    def space(self, length: int) -> Tensor:
        return every(length).T


class Bits(Case):
    """Two binary values a step."""

    def inputs(self, steps: int, batch: int) -> Tensor:
        return torch.randint(2, (steps, batch, 2)).double()

    def space(self, length: int) -> Tensor:
        return every(2 * length, 2).double().unflatten(1, (length, 2)).movedim(0, 1)


class Values(Case):
    """`size` values a step, beside one that is known in advance."""

    continuous = True

    def inputs(self, steps: int, batch: int) -> Tensor:
        return torch.randn(steps, batch, self.size + 1).double()

    def targets(self, steps: int, batch: int) -> Tensor:
        return torch.randn(steps, batch, self.size).double()

    def log_prob(self, model: Any, x: Tensor, **settings: Any) -> Tensor:
        return model.log_prob(x, self.known(*x.shape[:2]), **settings).sum(0)

    def draw(self, model: Any, length: int, count: int) -> Tensor:
        return model.sample(length, batch_size=count, known=self.known(length, count))

    def line(self, model: Any, values: Tensor, past: int) -> Tensor:
        """log p of one value, many of them, after so many others; the model is of size past + 1 or 1."""
        x = torch.full((past + 1, len(values), 1), 0.3).double()
        x[past, :, 0] = values
        return model.log_prob(x, self.known(past + 1, len(values)))[past]

    def walk(self, model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the model is fed with to foretell x step by step, and x as the steps have it."""
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        return torch.cat([before, self.known(*x.shape[:2])], -1), x[..., 0]

    def known(self, steps: int, batch: int) -> Tensor:
        return torch.arange(steps).double()[:, None, None].expand(-1, batch, 1) / 3 - 1


class Vectors(Case):
    """Vectors of binary variables, or of symbols."""

    size = 12

    def inputs(self, steps: int, batch: int) -> Tensor:
        return torch.randint(self.sides, (steps, batch))

    def targets(self, steps: int, batch: int) -> Tensor:
        drawn = self.inputs(steps, batch)
        return drawn.double() if self.sides == 2 else drawn

    def space(self, length: int) -> Tensor:
        return every(length, self.sides)

    def log_prob(self, model: Any, x: Tensor, **settings: Any) -> Tensor:
        return model.log_prob(x, **settings)

    def draw(self, model: Any, length: int, count: int) -> Tensor:
        return model.sample(count)

    def row(self, x: Tensor) -> Tensor:
        return x

    @property
    def sides(self) -> int:
        return SIDES if "symbols" in self.name else 2


class Reals(Vectors):
    continuous = True

    def inputs(self, steps: int, batch: int) -> Tensor:
        return torch.randn(steps, batch).double()

    def targets(self, steps: int, batch: int) -> Tensor:
        return self.inputs(steps, batch)

    def line(self, model: Any, values: Tensor, past: int) -> Tensor:
        """The density of the whole vector, over that of the others as they are met step by step."""
        x = torch.full((len(values), past + 1), 0.3).double()
        x[:, model.order[past]] = values
        others = torch.full((past, 1), 0.3).double()
        return model.log_prob(x) - model(others)[0].log_prob(others).sum()

    def walk(self, model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        elements = x[:, model.order].T
        return torch.cat([torch.zeros_like(elements[:1]), elements[:-1]]), elements


class Pairs(Symbols):
    """A target given a source."""

    def log_prob(self, model: Any, x: Tensor, **settings: Any) -> Tensor:
        return model.log_prob(x, self.source(x.shape[1]), **settings).sum(0)

    def draw(self, model: Any, length: int, count: int) -> Tensor:
        return model.sample(self.source(count), length)[0]

    def source(self, batch: int) -> Tensor:
        return torch.tensor([[1], [3], [0]]).expand(-1, batch)


def of_symbols(name: str) -> Symbols:
    settings = {"name": name, **FAMILIES[name]}

    def build(size: int) -> nn.Module:
        model = SymbolModelConfiguration(vocabulary=SIDES, embedding_size=3, family=family(settings)).build()
        return model.fit([torch.randint(SIDES, (60,))]) if isinstance(model, Markov) else model

    return Symbols(f"{name} of symbols", build, learns=name != "markov", settings=settings)


def of_values(name: str) -> Values:
    settings = {"name": name, **FAMILIES[name]}
    kind = family(settings)

    def build(size: int) -> nn.Module:
        return ValueModelConfiguration(observed=size, known=1, lags=(1, 3), head=kind.head, family=kind).build()

    return Values(f"{name} of values", build, settings=settings)


def fitted(model: Any) -> nn.Module:
    noise = torch.randint(2, (300, model.variables)) * (torch.rand(300, model.variables) < 0.4)
    return model.fit(noise.cumsum(1) % 2, smoothing=1.0)


CASES: list[Case] = [
    *(of_symbols(name) for name in FAMILIES if name != "ar"),
    *(of_values(name) for name in FAMILIES if name != "markov"),
    Bits("lstm of bits", lambda _: SequenceModel(nn.Identity(), LSTM(2, 4), BernoulliHead(4, 2))),
    *(
        Vectors(kind.__name__, lambda n, kind=kind: fitted(kind(n)), (Density,), learns=False)
        for kind in (JointTable, FullyIndependent, Chain)
    ),
    Vectors("NaiveBayes", lambda n: fitted(NaiveBayes(n, 2)), (Density,), learns=False),
    Vectors("NADE", lambda n: NADE(n, 4, torch.randperm(n))),
    Vectors("NADE of symbols", lambda n: NADE(n, 4, torch.randperm(n), SIDES)),
    Reals("RNADE", lambda n: RNADE(n, 4, 2, torch.randperm(n))),
    Pairs("Seq2Seq", lambda _: Seq2Seq(4, SIDES, hidden_size=4, num_heads=2, context=2), (Density,)),
    Pairs("RecurrentSeq2Seq", lambda _: RecurrentSeq2Seq(4, SIDES, hidden_size=4), (Density,)),
    Vectors("VAE", lambda n: VAE(n, 2, (3,)), ()),
    Symbols("SequenceVAE", lambda _: SequenceVAE(SIDES, 2, 4, head="categorical"), ()),
    Vectors("Autoencoder", lambda n: Autoencoder(n, 2, (3,)), ()),
]


def chosen(suited: Callable[[Case], bool]) -> Any:
    """A fixture: each of the cases that suit."""
    cases = [case for case in CASES if suited(case)]

    @pytest.fixture(params=cases, ids=[case.name for case in cases])
    def fixture(request: pytest.FixtureRequest) -> Case:
        return request.param

    return fixture


@pytest.fixture
def cases() -> list[Case]:
    return CASES


case = chosen(lambda case: True)
streaming = chosen(lambda case: Streaming in case.declares)
discrete = chosen(lambda case: Density in case.declares and not case.continuous)
continuous = chosen(lambda case: Density in case.declares and case.continuous)
trained = chosen(lambda case: Density in case.declares and case.learns)
in_time = chosen(lambda case: Streaming in case.declares and case.learns)
sequential = chosen(lambda case: Streaming in case.declares and not isinstance(case, Vectors))
differentiable_forward = chosen(
    lambda case: Streaming in case.declares and case.learns and case.settings.get("name") not in ("tcn", "transformer")
)
named = chosen(lambda case: bool(case.settings))
