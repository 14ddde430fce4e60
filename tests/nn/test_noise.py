"""The noise of training: its distribution, where it is kept, and when it is drawn."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime._errors import ConfigurationError, ShapeError
from throughtime._state import detach, leaves
from throughtime.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent

NOISY = {
    "variational": {"variational_dropout": (0.3, 0.5)},
    "zoneout": {"zoneout": 0.4},
    "weight_drop": {"weight_drop": 0.5},
    "dropout": {"dropout": 0.5, "num_layers": 2},
}


@pytest.mark.parametrize("options", NOISY.values(), ids=NOISY)
@pytest.mark.parametrize("layer", [RNN, GRU, LSTM])
def test_a_seed_fixes_it_whatever_the_threads(layer, options):
    model = layer(64, 64, **options)
    x = torch.randn(5, 32, 64)

    def run(threads):
        torch.set_num_threads(threads)
        torch.manual_seed(3)
        return model(x)[0]

    try:
        one, two = run(1), run(2)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(one == 0, two == 0)
    torch.testing.assert_close(one, two)
    assert not torch.allclose(one, model(x)[0])


@pytest.mark.parametrize("options", NOISY.values(), ids=NOISY)
def test_evaluation_is_free_of_it(options):
    model = GRU(3, 5, **options).eval()
    x = torch.randn(7, 2, 3)
    output, state = model(x)
    assert torch.equal(output, model(x)[0])
    assert isinstance(state, torch.Tensor)


def test_a_mask_lasts_a_sequence_and_is_part_of_its_state():
    cell = GRUCell(50, 40, variational_dropout=(0.3, 0.5))
    _, first = cell(torch.randn(8, 50))
    _, second = cell(torch.randn(8, 50), first)
    assert torch.equal(first["input_mask"], second["input_mask"])
    assert torch.equal(first["recurrent_mask"], second["recurrent_mask"])
    _, other = cell(torch.randn(8, 50), second["state"])
    assert not torch.equal(other["input_mask"], first["input_mask"])
    for mask, rate in ((first["input_mask"], 0.3), (first["recurrent_mask"], 0.5)):
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
        assert (mask == 0).double().mean().item() == pytest.approx(rate, abs=0.1)
        assert not torch.equal(mask[0], mask[1])


def test_masks_of_one_kind_only():
    _, state = GRUCell(5, 4, variational_dropout=(0.0, 0.5))(torch.randn(3, 5))
    assert state["input_mask"] is None
    _, state = GRU(5, 4, num_layers=2, variational_dropout=(0.5, 0.0))(torch.randn(6, 3, 5))
    assert state["recurrent_mask"] is None
    assert [mask.shape[1] for mask in state["input_mask"]] == [5, 4]


@pytest.mark.parametrize(
    "layer", [GRU(3, 5, 2, variational_dropout=0.5), Recurrent(LSTMCell(3, 5, variational_dropout=0.5))]
)
def test_streaming_goes_on_under_the_same_masks(layer):
    x = torch.randn(8, 4, 3)
    _, carry = layer(x[:2])
    whole, _ = layer(x[2:], carry)
    first, between = layer(x[2:5], carry)
    second, _ = layer(x[5:], detach(between))
    assert torch.equal(torch.cat([first, second]), whole)


def test_a_reset_draws_a_new_mask_for_its_sequence_alone():
    layer = GRU(30, 20, variational_dropout=0.5)
    _, before = layer(torch.randn(2, 3, 30))
    resets = torch.zeros(4, 3, dtype=torch.bool)
    resets[2, 1] = True
    _, after = layer(torch.randn(4, 3, 30), before, resets=resets)
    same = [torch.equal(a, b) for a, b in zip(before["input_mask"][0], after["input_mask"][0], strict=True)]
    assert same == [True, False, True]


def test_a_state_of_training_serves_in_evaluation():
    layer = LSTM(3, 5, variational_dropout=0.5)
    x = torch.randn(4, 2, 3)
    _, state = layer(x)
    layer.eval()
    assert torch.equal(layer(x, state)[0], layer(x, state["state"])[0])


def test_variational_dropout_is_the_product_with_the_mask():
    cell = GRUCell(3, 4, variational_dropout=0.5)
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    output, state = cell(x, h)
    plain = GRUCell(3, 4).eval()
    plain.load_state_dict(cell.state_dict())
    plain.weight_ih.data, plain.weight_hh.data = cell.weight_ih.data, cell.weight_hh.data
    for row in range(2):
        plain.weight_ih.data = cell.weight_ih.data * state["input_mask"][row]
        plain.weight_hh.data = cell.weight_hh.data * state["recurrent_mask"][row]
        torch.testing.assert_close(plain(x[row : row + 1], h[row : row + 1])[0], output[row : row + 1])


def test_zoneout_keeps_elements_and_is_its_expectation_in_evaluation():
    cell = LSTMCell(3, 400, zoneout=(0.2, 0.6))
    plain = LSTMCell(3, 400)
    plain.load_state_dict(cell.state_dict())
    x, h, memory = torch.randn(10, 3), torch.randn(10, 400), torch.randn(10, 400)
    _, (new_h, new_memory) = plain(x, (h, memory))
    _, (zoned_h, zoned_memory) = cell(x, (h, memory))
    for zoned, old, new, rate in ((zoned_h, h, new_h, 0.2), (zoned_memory, memory, new_memory, 0.6)):
        kept = zoned == old
        assert torch.equal(zoned, torch.where(kept, old, new))
        assert kept.double().mean().item() == pytest.approx(rate, abs=0.05)
    output, (mean_h, mean_memory) = cell.eval()(x, (h, memory))
    torch.testing.assert_close(mean_h, 0.2 * h + 0.8 * new_h)
    torch.testing.assert_close(mean_memory, 0.6 * memory + 0.4 * new_memory)
    assert torch.equal(output, mean_h)


def test_weight_drop_is_one_mask_a_call():
    cell = GRUCell(3, 30, weight_drop=0.5)
    layer = Recurrent(cell)
    torch.manual_seed(1)
    output, _ = layer(torch.ones(2, 1, 3))
    torch.manual_seed(1)
    step = cell.prepare()
    dropped = step.parameters["weight_hh"]
    assert (dropped == 0).double().mean().item() == pytest.approx(0.5, abs=0.05)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * cell.weight_hh[kept])
    h, state = cell(torch.ones(1, 3), None, step)
    again, _ = cell(torch.ones(1, 3), state, step)
    assert torch.equal(torch.stack([h, again]), output)


def test_weight_drop_is_the_same_on_both_backends():
    outputs = []
    for backend in ("torch", "reference"):
        torch.manual_seed(1)
        layer = LSTM(3, 5, num_layers=2, bidirectional=True, weight_drop=0.5, backend=backend)
        outputs.append(layer(torch.ones(4, 2, 3))[0])
    torch.testing.assert_close(*outputs)


def test_masks_lie_in_the_tree_of_the_state():
    _, state = GRU(3, 5, 2, variational_dropout=0.5)(torch.randn(4, 2, 3))
    assert {path for path, _ in leaves(state)} == {
        "state",
        "input_mask.0",
        "input_mask.1",
        "recurrent_mask.0",
        "recurrent_mask.1",
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"zoneout": 1.0}, r"zoneout=1.0: expected a probability in \[0, 1\)"),
        ({"variational_dropout": (0.1, 0.2, 0.3)}, r"a pair \(input, recurrent\)"),
        ({"weight_drop": True}, "weight_drop=True"),
        ({"recurrent_init": "identity"}, "recurrent_init='identity': expected 'orthogonal'"),
        ({"chrono_init": 2}, "chrono_init=2: expected the longest lag of the task in steps, at least 3"),
        ({"chrono_init": 10, "bias": False}, "chrono_init=10 but bias=False"),
        ({"zone_out": 0.1}, "unknown option 'zone_out'"),
        ({"backend": "cuda"}, "backend='cuda' is unknown"),
        ({"hidden_size": 0}, "hidden_size=0"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ConfigurationError, match=words):
        GRU(**{"input_size": 3, "hidden_size": 5, **options})
    if "backend" not in options:
        with pytest.raises(ConfigurationError, match=words):
            GRUCell(**{"input_size": 3, "hidden_size": 5, **options})


def test_options_of_one_layer_are_refused_in_contradiction():
    with pytest.raises(ConfigurationError, match=r"forget_bias=1\.0 but bias=False"):
        LSTM(3, 5, bias=False, forget_bias=1.0)
    with pytest.raises(ConfigurationError, match=r"chrono_init=9 but forget_bias=1\.0"):
        LSTM(3, 5, chrono_init=9, forget_bias=1.0)
    with pytest.raises(ConfigurationError, match="chrono_init=9 but rnn_tanh has no gate that keeps"):
        RNN(3, 5, chrono_init=9)
    with pytest.raises(ConfigurationError, match="nonlinearity='sigmoid'"):
        RNN(3, 5, nonlinearity="sigmoid")
    with pytest.raises(ConfigurationError, match="proj_size=5"):
        LSTMCell(3, 5, proj_size=5)


def test_masks_stay_with_their_sequences_in_a_packed_batch():
    layer = GRU(3, 5, variational_dropout=0.5)
    x, lengths = torch.randn(6, 4, 3), torch.tensor([2, 6, 3, 5])
    _, carry = layer(torch.randn(2, 4, 3))
    wanted, wanted_state = layer(x, carry, lengths=lengths)
    packed, state = layer(pack_padded_sequence(x, lengths, enforce_sorted=False), carry)
    torch.testing.assert_close(pad_packed_sequence(packed)[0], wanted)
    torch.testing.assert_close(state["state"], wanted_state["state"])
    for mask in ("input_mask", "recurrent_mask"):
        assert torch.equal(state[mask][0], carry[mask][0])


def test_masks_of_one_sequence_without_batch():
    layer = GRU(1, 5, 2, variational_dropout=0.5)
    x = torch.randn(8, 1)
    _, carry = layer(x[:2])
    whole, _ = layer(x[2:], carry)
    first, carry = layer(x[2:4], carry)
    assert torch.equal(torch.cat([first, layer(x[4:], carry)[0]]), whole)


def test_masks_of_another_layer_are_refused():
    _, state = GRU(4, 5, variational_dropout=0.5)(torch.randn(6, 2, 4))
    with pytest.raises(ShapeError, match="a dropout mask of 4 features, expected 3: it is another layer's state"):
        GRU(3, 5, variational_dropout=0.5)(torch.randn(6, 2, 3), state)
    with pytest.raises(ShapeError, match="expected none"):
        GRU(4, 5, variational_dropout=(0.0, 0.5))(torch.randn(6, 2, 4), state)
