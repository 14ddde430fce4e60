"""Every cell and layer of the house, listed once; the batteries run over these lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from throughtime import nn as ours
from throughtime.ops._library import why_missing

INPUT, HIDDEN = 3, 5


@dataclass(frozen=True)
class Kind:
    """A recurrence with options: how its cell and its layer are made."""

    name: str
    cell: type[nn.Module]
    layer: type[nn.Module]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def native(self) -> bool:
        """Whether the kernels have all of its options."""
        return self.options.keys() <= {"nonlinearity", "recurrent_init"}

    def make_cell(self, **settings: Any) -> Any:
        return self.cell(INPUT, HIDDEN, dtype=torch.float64, **self.options, **settings)

    def make_layer(self, *, backend: str = "auto", **settings: Any) -> Any:
        """In float64, but in float32 for the kernels, which have nothing else."""
        dtype = torch.float32 if backend == "native" else torch.float64
        return self.layer(INPUT, HIDDEN, dtype=dtype, backend=backend, **self.options, **settings)


KINDS = [
    Kind("rnn_tanh", ours.RNNCell, ours.RNN),
    Kind("rnn_relu", ours.RNNCell, ours.RNN, {"nonlinearity": "relu"}),
    Kind("rnn_norm", ours.RNNCell, ours.RNN, {"layer_norm": True}),
    Kind("rnn_zoneout", ours.RNNCell, ours.RNN, {"zoneout": 0.3}),
    Kind("gru", ours.GRUCell, ours.GRU),
    Kind("gru_before", ours.GRUCell, ours.GRU, {"reset_after": False}),
    Kind("gru_norm", ours.GRUCell, ours.GRU, {"layer_norm": True}),
    Kind("gru_before_norm", ours.GRUCell, ours.GRU, {"reset_after": False, "layer_norm": True}),
    Kind("gru_zoneout", ours.GRUCell, ours.GRU, {"zoneout": 0.3}),
    Kind("gru_noise", ours.GRUCell, ours.GRU, {"variational_dropout": 0.3, "weight_drop": 0.2}),
    Kind("lstm", ours.LSTMCell, ours.LSTM),
    Kind("lstm_projected", ours.LSTMCell, ours.LSTM, {"proj_size": 2}),
    Kind("lstm_peephole", ours.LSTMCell, ours.LSTM, {"peephole": True, "forget_bias": 1.0}),
    Kind("lstm_norm", ours.LSTMCell, ours.LSTM, {"layer_norm": True, "peephole": True}),
    Kind("lstm_zoneout", ours.LSTMCell, ours.LSTM, {"zoneout": (0.1, 0.5), "proj_size": 2}),
    Kind("lstm_orthogonal", ours.LSTMCell, ours.LSTM, {"recurrent_init": "orthogonal"}),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the options that the kernels do not have, rather than skip them one by one."""

    def lacking(item: pytest.Item) -> bool:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        return given.get("backend") == "native" and isinstance(given.get("kind"), Kind) and not given["kind"].native

    items[:] = [item for item in items if not lacking(item)]


def needs_kernels() -> None:
    """Skip where there are no kernels; `tests/ops/test_library.py` fails where there could be."""
    reason = why_missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(params=["auto", "reference", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every backend that a `kind` has, where a test asks for one too."""
    if request.param == "native":
        needs_kernels()
    return request.param


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def tensors() -> Callable[[Any], list[Tensor]]:
    """The tensors of a nested state in order."""

    def flat(state: Any) -> list[Tensor]:
        if isinstance(state, Tensor):
            return [state]
        parts = state.values() if isinstance(state, dict) else state or ()
        return [tensor for part in parts for tensor in flat(part)]

    return flat


@pytest.fixture
def close() -> Callable[..., None]:
    """Compare lists of tensors, 1e-12 relative to the greatest element in float64 and 1e-6 in float32."""

    def compare(found: list[Tensor], wanted: list[Tensor], factor: float = 1.0) -> None:
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert a.shape == b.shape
            if b.numel():
                tolerance = factor * (1e-12 if b.dtype == torch.float64 else 1e-6)
                assert (a - b).abs().max() <= tolerance * max(1.0, b.abs().max())

    return compare


@pytest.fixture
def gradients() -> Callable[..., list[Tensor]]:
    """The gradients of a fixed random combination of `results`; a non-zero cotangent on each."""

    def compute(results: list[Tensor], variables: list[Tensor]) -> list[Tensor]:
        generator = torch.Generator().manual_seed(7)
        total = sum(
            (r * torch.randn(r.shape, generator=generator, dtype=torch.float64).to(r.dtype)).sum() for r in results
        )
        found = torch.autograd.grad(total, variables, allow_unused=True)
        return [torch.zeros_like(v) if g is None else g for g, v in zip(found, variables, strict=True)]

    return compute
