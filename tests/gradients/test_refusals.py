"""What is given wrongly is told in words, and batches without a step are no reason to fail."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from cases import B, H, I, T, batch_of, squared_error
from torch import Tensor, nn

import throughtime as tt
from throughtime import Batch, ConfigurationError, ShapeError, UnsupportedError, backward
from throughtime.gradients import strategy_named

NAMES = ("full", "truncated:3", "truncated:3,6", "checkpointed", "checkpointed:1MB", "artbp:3,6", "rtrl", "snap1")


class TurnedRound(nn.Module):
    """A batch_first layer within a module, which may or may not turn its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(I, H, batch_first=True).double()

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        output, state = self.layer(x.transpose(0, 1), state)
        return output.transpose(0, 1), state


WRONG = {
    "given(strategy=tt.Full)": r"ConfigurationError: the strategy is Full, a class: Full\(…\)",
    "given(strategy=None)": "ConfigurationError: the strategy is None; expected one such as",
    "given(strategy='fulll')": "ConfigurationError: strategy 'fulll' is not known",
    "given(strategy='artbp:3')": "ConfigurationError: strategy 'artbp:3': expected one of artbp:CHUNK,LENGTH$",
    "given(batch=(x, y))": "ConfigurationError: the batch is a tuple: expected Batch",
    "given(loss='mse')": "ConfigurationError: the loss is 'mse': expected a function",
    "given(carry=given())": r"ConfigurationError: the carry is a Segment: pass on its \.carry",
    "given(model=torch.nn.Linear(2, 4))": "UnsupportedError: Linear takes .* expected a model that keeps",
    "tt.Truncated('3')": "ConfigurationError: .*: k1 is a whole number of steps",
    "tt.Checkpointed(2.5)": "ConfigurationError: .*: segment is a whole number of steps",
    "tt.RandomTruncation(3, True)": "ConfigurationError: .*: expected_length is a whole number of steps",
    "tt.Checkpointed(memory=1.5)": "ConfigurationError: memory=1.5: expected bytes, or an amount in B, KB",
    "tt.compare_gradients(model, batch, loss, tt.Full())": "ConfigurationError: .* expected a list of them",
    "tt.Batch(x, y, lengths=torch.tensor([51]))": "ShapeError: a length of 51 for 50 steps: expected 0 to 50",
    "tt.Batch(x, y, lengths=torch.tensor([-1]))": "ShapeError: a length of -1 for 50 steps: expected 0 to 50",
    "tt.Batch(x, y, lengths=[50])": "ShapeError: lengths are a list, expected a tensor",
}
PROGRAM = """
import sys, torch, throughtime as tt
x, y = torch.zeros(50, 1, 2), torch.zeros(50, 1, 4)
model, batch, loss = tt.GRU(2, 4), tt.Batch(x, y), lambda output, target: (output - target).square().sum(-1)
def given(**changed):
    return tt.backward(**{"model": model, "batch": batch, "loss": loss, **changed})
for expression in sys.argv[1:]:
    try:
        eval(expression)
        print("nothing was refused")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def refusals() -> dict[str, str]:
    """What each wrong call is told, where no annotation is checked: outside of pytest."""
    told = subprocess.run([sys.executable, "-c", PROGRAM, *WRONG], capture_output=True, text=True, check=True).stdout
    return dict(zip(WRONG, told.splitlines(), strict=True))


@pytest.mark.parametrize("call", WRONG)
def test_one_line_says_what_is_wrong(refusals: dict[str, str], call: str) -> None:
    assert re.match(WRONG[call], refusals[call])


def test_layers_within_a_module_are_found() -> None:
    with pytest.raises(UnsupportedError, match="TurnedRound cannot take it so"):
        backward(TurnedRound(), batch_of("plain"), squared_error, "truncated:3")


def test_a_module_that_turns_by_itself_says_so() -> None:
    model = TurnedRound()
    model.streams = True  # type: ignore[assignment]
    assert float(backward(model, batch_of("plain"), squared_error, "truncated:3").count) == T * B


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_a_step_has_no_segment(name: str) -> None:
    model = tt.GRU(I, H)
    empty = Batch(torch.zeros(0, B, I), torch.zeros(0, B, H))
    assert list(strategy_named(name).segments(model, empty, squared_error)) == []
    with pytest.raises(ShapeError, match="a batch without a step has no gradient"):
        backward(model, empty, squared_error, name)


def test_the_budget_that_would_do_does_so_with_a_carry_too() -> None:
    model, batch = tt.LSTM(I, H).double(), batch_of("plain", 40)
    with pytest.raises(ConfigurationError) as caught:
        backward(model, batch, squared_error, tt.Checkpointed(memory=1))
    enough = tt.Checkpointed(memory=str(caught.value).split("memory='")[-1].split("'")[0])
    done = backward(model, batch, squared_error, enough)
    assert float(backward(model, batch, squared_error, enough, done.carry).count) == 40 * B


def test_models_no_gradient_reaches() -> None:
    symbols = torch.zeros(4, 2, dtype=torch.long)
    batch = Batch(symbols, symbols)
    with pytest.raises(UnsupportedError, match=r"^Markov has nothing a gradient changes: it is fitted, by model\.fit"):
        backward(tt.models.Markov(3, order=2), batch, tt.models.negative_log_likelihood)
    with pytest.raises(UnsupportedError, match=r"^Seq2Seq takes \(target.*expected a model that keeps output, state"):
        backward(tt.models.Seq2Seq(3, 3), batch, tt.models.negative_log_likelihood)


def test_advice_to_accelerate_is_given_where_it_helps() -> None:
    batch = Batch(torch.randn(T, B, 8), torch.randn(T, B, 8))
    transformer = tt.nn.Transformer(8, 8, num_layers=1, num_heads=2, context=4)
    for layer, fix in ((nn.LSTM(8, 8), r"accelerate\(model\)"), (transformer, r"Truncated\(\) or Full\(\)$")):
        with pytest.raises(UnsupportedError, match=f"has no derivative forward.*use {fix}"):
            backward(layer, batch, squared_error, "rtrl")
