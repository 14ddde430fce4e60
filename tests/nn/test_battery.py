"""What must hold of every cell and layer, with every option."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from throughtime._state import map_state
from throughtime.nn import GRU, LSTM, GRUCell, LSTMCell, Recurrent

TIME, BATCH = 9, 4


def sequences(time=TIME, batch=BATCH, like=None):
    dtype = torch.float64 if like is None else next(like.parameters()).dtype
    return torch.randn(time, batch, 3, dtype=dtype)


def column(state, index):
    """The state of one sequence of a layer's batch."""
    return map_state(lambda part: part[:, index : index + 1], state)


def random_state(layer, batch=BATCH):
    return map_state(lambda part: torch.randn_like(part), layer.initial_state(batch))


def test_cell_loop_equals_layers_bit_for_bit(kind, tensors):
    cell, layer = kind.make_cell().eval(), kind.make_layer(backend="reference").eval()
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, state, outputs = sequences(), cell.initial_state(BATCH), []
    for step in x:
        output, state = cell(step, state)
        outputs.append(output)
    whole, last = layer(x)
    again, again_last = Recurrent(cell)(x)
    assert torch.equal(torch.stack(outputs), whole)
    assert torch.equal(again, whole)
    for a, b, c in zip(tensors(state), tensors(last), tensors(again_last), strict=True):
        assert torch.equal(a, b[0])
        assert torch.equal(a, c)


def test_streaming_equals_whole(kind, backend, tensors, close):
    layer = kind.make_layer(num_layers=2, backend=backend).eval()
    x, state = sequences(like=layer), random_state(layer)
    whole, last = layer(x, state)
    pieces = []
    for piece in x.split(4):
        output, state = layer(piece, state)
        pieces.append(output)
    if backend == "reference":
        assert torch.equal(torch.cat(pieces), whole)
        assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(last), strict=True))
    close([torch.cat(pieces), *tensors(state)], [whole, *tensors(last)])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_ragged_equals_each_sequence_alone(kind, bidirectional, backend, tensors, close, gradients):
    layer = kind.make_layer(num_layers=2, bidirectional=bidirectional, backend=backend).eval()
    lengths = torch.tensor([5, 0, 9, 1])
    x, state = sequences(like=layer).requires_grad_(), map_state(torch.Tensor.requires_grad_, random_state(layer))
    output, last = layer(x, state, lengths=lengths)
    variables = [x, *tensors(state), *layer.parameters()]
    alone, lasts = [], []
    for index, length in enumerate(lengths.tolist()):
        short, short_last = layer(x[:length, index : index + 1], column(state, index))
        alone.append(torch.cat([short, short.new_zeros(TIME - length, *short.shape[1:])]))
        lasts.append(short_last)
    joined = [torch.cat(alone, 1), *tensors(map_state(lambda *parts: torch.cat(parts, 1), *lasts))]
    found = [output, *tensors(last)]
    close(found, joined)
    close(gradients(found, variables), gradients(joined, variables), factor=10)


def alone_between_resets(layer, x, state, resets, index, length):
    """One sequence cut at its resets, each part run by itself: the outputs, and the last state."""
    starts = [0, *(t for t in range(length) if resets[t, index] and t > 0)]
    directions = 2 if layer.bidirectional else 1
    fresh = layer.initial_state(1)
    outputs, states = [], []
    for start, stop in zip(starts, [*starts[1:], length], strict=True):
        first, final = start == 0 and not (length and resets[0, index]), stop == length
        own = column(state, index)
        before = map_state(
            lambda part, zero, first=first, final=final: torch.cat(
                [(part if first else zero)[:1], (part if final else zero)[1:]]
            ),
            own,
            fresh,
        )
        output, after = layer(x[start:stop, index : index + 1], before)
        outputs.append(output)
        states.append(after)
    last = states[-1]
    if directions == 2:
        last = map_state(lambda end, beginning: torch.cat([end[:1], beginning[1:]]), states[-1], states[0])
    padding = outputs[0].new_zeros(len(x) - length, *outputs[0].shape[1:])
    return torch.cat([*outputs, padding]), last


@pytest.mark.parametrize("bidirectional", [False, True])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_resets_and_lengths_equal_separate_sequences(bidirectional, backend, data):
    time, batch = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch)))
    bits = data.draw(st.lists(st.booleans(), min_size=time * batch, max_size=time * batch))
    resets = torch.tensor(bits).reshape(time, batch)
    dtype, tolerance = (torch.float32, 1e-6) if backend == "native" else (torch.float64, 1e-12)
    layer = LSTM(3, 5, bidirectional=bidirectional, dtype=dtype, backend=backend)
    x, state = sequences(time, batch, like=layer), random_state(layer, batch)
    output, last = layer(x, state, lengths=lengths, resets=resets)
    for index, length in enumerate(lengths.tolist()):
        wanted, wanted_last = alone_between_resets(layer, x, state, resets, index, length)
        torch.testing.assert_close(output[:, index : index + 1], wanted, rtol=tolerance, atol=tolerance)
        for part, wanted_part in zip(last, wanted_last, strict=True):
            torch.testing.assert_close(part[:, index : index + 1], wanted_part, rtol=tolerance, atol=tolerance)


def test_resets_equal_separate_sequences(kind, backend, tensors, close):
    layer = kind.make_layer(num_layers=2, backend=backend).eval()
    x, state = sequences(like=layer), random_state(layer)
    resets = torch.zeros(TIME, BATCH, dtype=torch.bool)
    resets[4] = True
    output, last = layer(x, state, resets=resets)
    first, _ = layer(x[:4], state)
    second, second_last = layer(x[4:])
    close([output, *tensors(last)], [torch.cat([first, second]), *tensors(second_last)])


def test_no_steps_return_the_initial_state(kind, backend, tensors):
    layer = kind.make_layer(num_layers=2, bidirectional=True, backend=backend).eval()
    state = random_state(layer)
    output, last = layer(sequences(0, like=layer), state)
    assert output.shape == (0, BATCH, 2 * (layer.proj_size or 5))
    assert all(torch.equal(a, b) for a, b in zip(tensors(last), tensors(state), strict=True))
    ragged, last = layer(sequences(like=layer), state, lengths=torch.zeros(BATCH, dtype=torch.long))
    assert not ragged.any()
    assert all(torch.equal(a, b) for a, b in zip(tensors(last), tensors(state), strict=True))
    output, last = layer(sequences(TIME, 0, like=layer))
    assert output.shape == (TIME, 0, 2 * (layer.proj_size or 5))


def test_padding_of_nan_reaches_nothing(kind, backend, gradients):
    layer = kind.make_layer(num_layers=2, bidirectional=True, backend=backend).eval()
    lengths = torch.tensor([5, 0, 9, 1])
    clean = sequences(like=layer)
    dirty = clean.masked_fill((torch.arange(TIME)[:, None] >= lengths)[..., None], float("nan"))
    found, wanted = (layer(x, lengths=lengths)[0] for x in (dirty, clean))
    assert torch.equal(found, wanted)
    weights = list(layer.parameters())
    assert all(map(torch.equal, gradients([found], weights), gradients([wanted], weights)))


def test_twice_differentiable(kind):
    cell = kind.make_cell().eval()
    state = map_state(lambda part: torch.randn_like(part, requires_grad=True), cell.initial_state(2))
    x = sequences(2, 2).requires_grad_()
    names, weights = zip(*cell.named_parameters(), strict=True)
    parts = state if isinstance(state, tuple) else (state,)

    def run(x, *rest):
        own = tuple(rest[: len(parts)]) if len(parts) > 1 else rest[0]
        given_ = dict(zip((f"cell.{name}" for name in names), rest[len(parts) :], strict=True))
        return torch.func.functional_call(Recurrent(cell), given_, (x, own))[0]

    variables = (x, *parts, *weights)
    assert torch.autograd.gradcheck(run, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, variables, fast_mode=True)


def test_copies_and_representations(kind):
    for module in (kind.make_cell(), kind.make_layer(num_layers=2)):
        twin = copy.deepcopy(module.eval())
        x = sequences()[0] if module is not None and not hasattr(module, "num_layers") else sequences()
        assert torch.equal(module(x)[0], twin(x)[0])
        assert type(module).__name__ in repr(module)


def test_reset_parameters_repeats_the_first_values(kind):
    for make in (kind.make_cell, kind.make_layer):
        torch.manual_seed(4)
        module = make()
        first = {name: value.clone() for name, value in module.state_dict().items()}
        torch.manual_seed(4)
        module.reset_parameters()
        assert set(first) == set(module.state_dict())
        for name, value in module.state_dict().items():
            if "peephole" not in name:  # drawn after the rest at first, with the rest later
                assert torch.equal(value, first[name]), name


def test_orthogonal_blocks_and_forget_bias():
    for module, name in ((LSTM, "_l1_reverse"), (LSTMCell, "")):
        more = {"num_layers": 2, "bidirectional": True} if name else {}
        made = module(3, 5, recurrent_init="orthogonal", forget_bias=2.0, **more)
        for block in getattr(made, f"weight_hh{name}").chunk(4):
            torch.testing.assert_close(block @ block.T, torch.eye(5))
        total = getattr(made, f"bias_ih{name}") + getattr(made, f"bias_hh{name}")
        assert torch.equal(total[5:10], torch.full((5,), 2.0))
    made = LSTM(3, 5, proj_size=2, recurrent_init="orthogonal")
    for block in made.weight_hh_l0.chunk(4):
        torch.testing.assert_close(block.T @ block, torch.eye(2))


def test_memories_of_all_lengths_up_to_the_longest_lag():
    torch.manual_seed(3)
    layer, cell = LSTM(3, 400, chrono_init=100), GRUCell(3, 400, chrono_init=100)
    total = layer.bias_ih_l0 + layer.bias_hh_l0
    spans = total[400:800].exp()
    assert spans.min() >= 1
    assert spans.max() <= 99
    assert spans.mean().item() == pytest.approx(50, abs=5)
    assert torch.equal(total[:400], -total[400:800])
    kept = (cell.bias_ih + cell.bias_hh)[400:800].exp()
    assert kept.mean().item() == pytest.approx(50, abs=5)


def test_first_values_are_torchs():
    torch.manual_seed(2)
    theirs = nn.GRUCell(3, 5)
    torch.manual_seed(2)
    mine = GRUCell(3, 5)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, mine.parameters(), theirs.parameters()))


def test_normalised_cells_ignore_the_scale_of_their_input():
    layer = GRU(3, 5, layer_norm=True, dtype=torch.float64)
    x = 100 * sequences()
    torch.testing.assert_close(layer(x)[0], layer(1000 * x)[0], rtol=1e-4, atol=1e-4)
    assert {name for name, _ in layer.named_parameters() if "gain" in name} == {"gain_ih_l0", "gain_hh_l0"}


def test_moving_and_casting_keep_a_layer_whole():
    layer = LSTM(3, 5, layer_norm=True, peephole=True).double()
    assert layer(sequences())[0].dtype == torch.float64
    assert layer.initial_state(2)[0].dtype == torch.float64
    grads = torch.func.grad(lambda weights: torch.func.functional_call(layer, weights, (sequences(),))[0].sum())(
        dict(layer.named_parameters())
    )
    assert all(grads[name].shape == weight.shape for name, weight in layer.named_parameters())


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch itself, at its first jvp
def test_transforms_of_the_reference_give_the_right_values():
    layer = GRU(3, 5, backend="reference", dtype=torch.float64)
    x = sequences(3, 4)
    each = torch.func.vmap(lambda one: layer(one.unsqueeze(1))[0].squeeze(1), in_dims=1, out_dims=1)(x)
    torch.testing.assert_close(each, layer(x)[0])
    jacobian = torch.func.jacrev(lambda one: layer(one)[0])(x)
    tangent = torch.randn_like(x)
    _, derivative = torch.func.jvp(lambda one: layer(one)[0], (x,), (tangent,))
    torch.testing.assert_close(derivative, torch.einsum("tbhsij,sij->tbh", jacobian, tangent))
