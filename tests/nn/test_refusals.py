"""Mistakes that are silent elsewhere, refused in words."""

from __future__ import annotations

import copy
import gc
import io

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from throughtime._errors import ConfigurationError, ShapeError, UnsupportedError
from throughtime.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent
from throughtime.nn._checks import check_lengths, check_resets
from throughtime.nn._layout import Layout

X = torch.zeros(7, 4, 3)


def refused(words, call, *arguments, error=ShapeError, **keywords):
    with pytest.raises(error, match=words) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", [RNN, GRU, LSTM])
@pytest.mark.parametrize("take", [lambda o, s: s[-1], lambda o, s: o[-1], lambda o, s: s.squeeze(0)])
def test_a_last_state_is_no_sequence(layer, take):
    output, state = GRU(3, 3)(X)
    refused("last state or last output of another layer", layer(3, 5), take(output, state))


@pytest.mark.parametrize(
    "first", [GRU(3, 3, batch_first=True), GRU(3, 3, backend="reference"), Recurrent(GRUCell(3, 3))]
)
def test_a_last_state_is_known_whatever_the_layer(first):
    output, state = first(X)
    last = output[:, -1] if getattr(first, "batch_first", False) else output[-1]
    refused("last state", GRU(3, 5), last)
    refused("last state", GRU(3, 5), state if state.dim() == 2 else state[-1])


def test_an_lstms_memory_is_no_sequence_either():
    _, (h, memory) = LSTM(3, 3)(X)
    refused("last state", GRU(3, 5), memory[-1])
    refused("last state", LSTM(3, 5), h[0])


@pytest.mark.parametrize(("time", "batch"), [(7, 1), (7, 4), (7, 7), (1, 1), (1, 4)])
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_one_sequence_of_an_output_is_accepted(time, batch, backend):
    output, _ = GRU(3, 3, backend=backend)(torch.zeros(time, batch, 3))
    assert GRU(3, 5)(output[:, 0])[0].shape == (time, 5)
    output, _ = GRU(3, 3, batch_first=True)(torch.zeros(batch, time, 3))
    assert GRU(3, 5)(output[0])[0].shape == (time, 5)


@pytest.mark.parametrize("layer", [GRU(3, 3), GRU(3, 3, backend="reference")])
def test_layers_as_first_axis_of_a_state_are_accepted(layer):
    _, state = layer(torch.zeros(7, 1, 3))
    assert GRU(3, 5)(state[:, 0])[0].shape == (1, 5)


@pytest.mark.parametrize("layer", [GRU(3, 3), LSTM(3, 3), Recurrent(GRUCell(3, 3))])
def test_what_a_layer_returns_is_written_and_copied_as_any_tensor(layer):
    with torch.no_grad():
        output, state = layer(X)
    file = io.BytesIO()
    torch.save({"output": output, "state": state}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    torch.testing.assert_close(loaded, {"output": output, "state": state})
    torch.testing.assert_close(copy.deepcopy(state), state)
    assert not vars(output)


def test_a_last_state_is_known_when_nothing_else_is_left():
    last = GRU(3, 3)(X)[1][-1]
    gc.collect()
    refused("last state", GRU(3, 5), last)


def test_unbatched_layers_follow_each_other():
    output, _ = GRU(3, 3)(torch.zeros(7, 3))
    assert GRU(3, 5)(output)[0].shape == (7, 5)
    assert GRU(3, 5)(torch.zeros(4, 3))[0].shape == (4, 5)


def test_recurrent_and_cells_want_their_axes():
    refused(r"x \[4, 3\], expected \[time, batch, feature\]: unsqueeze\(1\)", Recurrent(GRUCell(3, 5)), X[0])
    refused(r"x \[7, 4, 3\], expected \[batch, 3\]; to run it over time", GRUCell(3, 5), X)
    refused(r"x \[3\], expected \[batch, 3\]; for one sequence", GRUCell(3, 5), X[0, 0])
    refused(r"x \[4, 2\], expected \[batch, 3\]", GRUCell(3, 5), X[0, :, :2])


def test_inputs():
    refused(r"an input \[1, 7, 4, 3\], expected \[time, batch, feature\]", GRU(3, 5), X[None])
    refused("an input a list", Layout.of, "GRU", [1], False)
    refused("with 3 features, expected input_size=2", GRU(2, 5), X)
    refused("input of torch.float64 but its weights", GRU(3, 5), X.double(), error=ConfigurationError)


def test_time_and_batch_swapped():
    swapped = "time and batch were swapped"
    refused(swapped, GRU(3, 5), X, torch.zeros(1, 7, 5))
    refused(swapped, LSTM(3, 5), X, (torch.zeros(1, 7, 5), torch.zeros(1, 7, 5)))
    refused(swapped, GRU(3, 5), X, lengths=torch.ones(7, dtype=torch.long))
    refused(swapped, GRU(3, 5), X, resets=torch.zeros(4, 7, dtype=torch.bool))
    refused(swapped, GRU(3, 5, batch_first=True), X, torch.zeros(1, 4, 5))
    refused(swapped, Recurrent(GRUCell(3, 5)), X, torch.zeros(7, 5))


def test_the_state_of_another_layer():
    refused("a tuple of 2, expected one tensor h", GRU(3, 5), X, (torch.zeros(1, 4, 5),) * 2)
    refused(r"a pair \(h, C\)", LSTM(3, 5), X, torch.zeros(1, 4, 5))
    refused("hidden size is 6 instead of 5", GRU(3, 5), X, torch.zeros(1, 4, 6))
    refused("layers or directions, 2 instead of 1", GRU(3, 5), X, torch.zeros(2, 4, 5))
    refused("a batch of 3, the input of 4", GRU(3, 5), X, torch.zeros(1, 3, 5))
    refused(r"axes must be \[layers × directions, batch, hidden\]", GRU(3, 5), X, torch.zeros(4, 5))
    refused("for an input without batch", GRU(3, 5), X[:, 0], torch.zeros(1, 1, 5))
    refused("C as a list", LSTM(3, 5), X, (torch.zeros(1, 4, 5), [0]))
    refused("state of torch.float64", GRU(3, 5), X, torch.zeros(1, 4, 5).double(), error=ConfigurationError)
    refused(r"state \[4, 6\], expected \[4, 5\]", GRUCell(3, 5), X[0], torch.zeros(4, 6))
    refused(r"expected \(\[4, 5\], \[4, 5\]\)", LSTMCell(3, 5), X[0], torch.zeros(4, 5))
    refused("batch must be its first axis", Recurrent(GRUCell(3, 5)), X, torch.zeros(1, 4, 5))


@pytest.mark.parametrize("layer", [GRU(3, 5), Recurrent(GRUCell(3, 5))])
def test_lengths_and_resets(layer):
    refused("a length of 8, expected 0 to 7", layer, X, lengths=torch.tensor([1, 2, 8, 3]))
    refused("a length of -1", layer, X, lengths=torch.tensor([1, 2, -1, 3]))
    refused("lengths of torch.float32, expected integers", layer, X, lengths=torch.ones(4))
    refused(r"lengths \[2\], expected \[4\]", layer, X, lengths=torch.tensor([1, 2]))
    refused("lengths on meta", layer, X, lengths=torch.ones(4, dtype=torch.long, device="meta"))
    refused("resets of torch.int64, expected torch.bool", layer, X, resets=torch.zeros(7, 4, dtype=torch.long))
    refused("resets on meta", layer, X, resets=torch.zeros(7, 4, dtype=torch.bool, device="meta"))


def test_lists_are_no_tensors():
    refused(r"lengths as a list: torch.tensor\(lengths\)", check_lengths, "GRU", [7], 7, 1, X.device)
    refused("resets as a list", check_resets, "GRU", [True], 1, 1, X.device)


def test_combinations_without_meaning():
    refused("of one sequence: slice it", GRU(3, 5), X[:, 0], lengths=torch.tensor([3]))
    packed = pack_sequence([torch.zeros(3, 3), torch.zeros(2, 3)])
    refused("beside a PackedSequence", GRU(3, 5), packed, lengths=torch.tensor([3, 2]), error=UnsupportedError)
    resets = torch.zeros(7, 4, dtype=torch.bool)
    refused("torch has no resets=", GRU(3, 5, backend="torch"), X, resets=resets, error=UnsupportedError)
    refused("torch has no zoneout", GRU(3, 5, zoneout=0.1, backend="torch"), X, error=UnsupportedError)
    refused("the kernels have no zoneout", GRU(3, 5, zoneout=0.1, backend="native"), X, error=UnsupportedError)


def test_resets_of_one_sequence_and_of_batch_first():
    layer = GRU(3, 5)
    x, resets = torch.randn(7, 2, 3), torch.zeros(7, 2, dtype=torch.bool)
    resets[3, 0] = True
    whole, _ = layer(x, resets=resets)
    torch.testing.assert_close(layer(x[:, 0], resets=resets[:, 0])[0], whole[:, 0])
    other = GRU(3, 5, batch_first=True)
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(x.transpose(0, 1), resets=resets.T)[0].transpose(0, 1), whole)
