"""Our layers against torch.nn's: outputs, last state and every gradient, for every combination."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from throughtime import nn as ours

CELLS = {
    "rnn_tanh": ("RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "lstm_projected": ("LSTM", {"proj_size": 2}),
}
# cell, layers, bidirectional, batch_first, packed, bias, backend
COMBINATIONS = [
    combination
    for combination in product(CELLS, (1, 2), *[(False, True)] * 4, ("torch", "reference", "native"))
    if (combination[0], combination[-1]) != ("lstm_projected", "native")
]


def pair(cell, **settings):
    name, options = CELLS[cell]
    torch.manual_seed(1)
    theirs = getattr(nn, name)(**settings, **options)

    def make(backend):
        torch.manual_seed(1)
        return getattr(ours, name)(**settings, **options, backend=backend)

    return theirs, make


def run(layer, x, state, lengths, gradients):
    leaves = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for part in state)]
    sequence = leaves[0]
    if lengths is not None:
        sequence = pack_padded_sequence(sequence, lengths, batch_first=layer.batch_first, enforce_sorted=False)
    hx = tuple(leaves[1:]) if len(state) > 1 else leaves[1]
    output, after = layer(sequence, hx)
    results = [output if lengths is None else output.data, *(after if isinstance(after, tuple) else (after,))]
    return [*results, *gradients(results, [*leaves, *layer.parameters()])]


def draw_state(cell, count, batch, hidden, dtype=torch.float64):
    sizes = {"lstm": (hidden, hidden), "lstm_projected": (2, hidden)}.get(cell, (hidden,))
    return [torch.randn(count, batch, size, dtype=dtype) for size in sizes]


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional", "batch_first", "packed", "bias", "backend"), COMBINATIONS, indirect=["backend"]
)
def test_every_combination(cell, layers, bidirectional, batch_first, packed, bias, backend, gradients, close):
    dtype = torch.float32 if backend == "native" else torch.float64
    settings = {
        "input_size": 3,
        "hidden_size": 5,
        "num_layers": layers,
        "bidirectional": bidirectional,
        "batch_first": batch_first,
        "bias": bias,
        "dtype": dtype,
    }
    theirs, make = pair(cell, **settings)
    mine = make(backend)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    x = torch.randn((4, 7, 3) if batch_first else (7, 4, 3), dtype=dtype)
    state = draw_state(cell, layers * (1 + bidirectional), 4, 5, dtype)
    lengths = torch.tensor([3, 7, 1, 7]) if packed else None
    found, wanted = run(mine, x, state, lengths, gradients), run(theirs, x, state, lengths, gradients)
    close(found, wanted, factor=10 if backend == "native" else 1)


SIZES = [(1, 1, 1, 1), (3, 15, 17, 1), (15, 3, 1, 17), (17, 1, 63, 15), (2, 3, 300, 63), (63, 17, 15, 3)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_odd_sizes_in_float32(cell, size, gradients, close):
    """The reference in float32 is as near to the float64 result as torch's own float32 is, by the design's rule."""
    time, batch, inputs, hidden = size
    theirs, make = pair(cell, input_size=inputs, hidden_size=hidden)
    exact = getattr(nn, CELLS[cell][0])(inputs, hidden, dtype=torch.float64)
    exact.load_state_dict(theirs.state_dict())
    x = torch.randn(time, batch, inputs)
    state = draw_state(cell, 1, batch, hidden, torch.float32)
    oracle = run(exact, x.double(), [part.double() for part in state], None, gradients)
    wanted = run(theirs, x, state, None, gradients)
    found = run(make("reference"), x, state, None, gradients)
    for ours_, torchs, truth in zip(found, wanted, oracle, strict=True):
        scale = 4 * torch.finfo(torch.float32).eps * max(1.0, truth.abs().max())
        # Sums over time and batch associate differently in both, by one rounding a term at worst.
        allowed = 2 * (torchs - truth).abs().max() + scale * max(1.0, (time * batch) ** 0.5)
        assert (ours_ - truth).abs().max() <= allowed
    close(run(make("torch"), x, state, None, gradients), wanted)


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("cell", CELLS)
def test_unbatched(cell, backend, gradients, close):
    theirs, make = pair(cell, input_size=3, hidden_size=5, num_layers=2, dtype=torch.float64)
    x = torch.randn(6, 3, dtype=torch.float64)
    state = [part.squeeze(1) for part in draw_state(cell, 2, 1, 5)]
    close(run(make(backend), x, state, None, gradients), run(theirs, x, state, None, gradients))


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout_between_layers_draws_as_torch_does(cell, backend):
    theirs, make = pair(cell, input_size=3, hidden_size=5, num_layers=3, dropout=0.4, dtype=torch.float64)
    mine = make(backend)
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    results = []
    for layer in (theirs, mine):
        torch.manual_seed(3)
        results.append(layer(x)[0])
    torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(mine(x)[0], results[0])
    mine.eval()
    theirs.eval()
    torch.testing.assert_close(mine(x)[0], theirs(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch says it once
@pytest.mark.parametrize("cell", CELLS)
def test_state_dict_goes_both_ways(cell):
    theirs, make = pair(cell, input_size=3, hidden_size=5, num_layers=2, bidirectional=True)
    mine = make("auto")
    x = torch.randn(7, 4, 3)
    mine.load_state_dict({name: value + 0.1 for name, value in theirs.state_dict().items()})
    theirs.load_state_dict(mine.state_dict())
    torch.testing.assert_close(mine(x)[0], theirs(x)[0])
    assert [[w.shape for w in ws] for ws in mine.all_weights] == [[w.shape for w in ws] for ws in theirs.all_weights]
    mine.flatten_parameters()


def test_packed_output_keeps_the_order_of_its_input():
    packed = pack_padded_sequence(torch.randn(7, 4, 3), torch.tensor([3, 7, 1, 7]), enforce_sorted=False)
    output, _ = ours.GRU(3, 5)(packed)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    assert torch.equal(output.sorted_indices, packed.sorted_indices)
    assert torch.equal(output.unsorted_indices, packed.unsorted_indices)
