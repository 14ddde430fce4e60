"""The models, batches and losses that every strategy is tried on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from throughtime import Batch
from throughtime.nn import GRU, LSTM, RNN, GRUCell, Recurrent

T, B, I, H = 7, 3, 2, 4  # noqa: E741


class DictCell(nn.Module):
    """A user's cell whose state is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(I + H, H)

    def forward(self, x: Tensor, state: dict) -> tuple[Tensor, dict]:
        h = torch.tanh(self.linear(torch.cat([x, state["h"]], -1)))
        return h, {"h": h, "steps": state["steps"] + 1}

    def initial_state(self, batch_size: int) -> dict:
        like = self.linear.weight
        return {"h": like.new_zeros(batch_size, H), "steps": torch.zeros(batch_size, dtype=torch.long)}


MODELS = {
    "RNN": lambda: RNN(I, H, num_layers=2),
    "GRU": lambda: GRU(I, H),
    "LSTM": lambda: LSTM(I, H),
    "torch.nn.LSTM": lambda: nn.LSTM(I, H),
    "dict state": lambda: Recurrent(DictCell()),
    "GRUCell": lambda: Recurrent(GRUCell(I, H)),
    "LSTMCell of torch": lambda: Recurrent(nn.LSTMCell(I, H)),
}
KINDS = ["plain", "ragged", "resets", "weights", "last"]


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().sum(-1)


def batch_of(kind: str, steps: int = T) -> Batch:
    torch.manual_seed(1)
    inputs, targets = torch.randn(steps, B, I).double(), torch.randn(steps, B, H).double()
    match kind:
        case "ragged":
            return Batch(inputs, targets, lengths=torch.tensor([steps, 3, 1]))
        case "resets":
            return Batch(inputs, targets, resets=torch.rand(steps, B) < 0.3)
        case "weights":
            return Batch(inputs, targets, weights=(torch.rand(steps, B) < 0.5).double())
        case "last":
            weights = torch.zeros(steps, B).double()
            weights[-1] = 1
            return Batch(inputs, targets, weights=weights)
    return Batch(inputs, targets)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """Those of all parameters, which are zeroed."""
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    return found


def takes(model: nn.Module, kind: str) -> bool:
    """Whether a model has the lengths or resets of a kind of batch."""
    return not (isinstance(model, nn.LSTM) and not isinstance(model, LSTM) and kind in ("ragged", "resets"))
