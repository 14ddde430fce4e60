"""Our layers on CUDA: torch's own, by cuDNN, where it has a rule, and the equations elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from throughtime._errors import ShapeError, UnsupportedError
from throughtime._state import leaves, map_state
from throughtime.nn import GRU, LSTM, RNN
from throughtime.nn.stepper import LayerStepper

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

LAYERS = {
    "rnn_tanh": (RNN, nn.RNN, {}),
    "rnn_relu": (RNN, nn.RNN, {"nonlinearity": "relu"}),
    "gru": (GRU, nn.GRU, {}),
    "lstm": (LSTM, nn.LSTM, {}),
    "lstm_projected": (LSTM, nn.LSTM, {"proj_size": 3}),
}
BY_TORCH = "the kernels run on the CPU, not on cuda"


@pytest.fixture(autouse=True)
def exact():
    """No products in TF32, which has the range of float32 and a third of its digits."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def make(name, **options):
    """Ours and torch's, with the same weights."""
    ours, torchs, own = LAYERS[name]
    torch.manual_seed(0)
    peer = torchs(4, 7, num_layers=2, device="cuda", **own, **options)
    layer = ours(4, 7, num_layers=2, device="cuda", **own, **options)
    layer.load_state_dict(peer.state_dict())
    return layer, peer


def random_state(layer, batch):
    return map_state(torch.randn_like, layer.initial_state(batch))


def everything(results, x, layer):
    """Results, and the gradients of x and of every weight."""
    tensors = [part for _, part in leaves(results)]
    torch.manual_seed(1)
    total = sum((part * torch.randn(part.shape).to(part)).sum() for part in tensors)
    return [*tensors, *torch.autograd.grad(total, [x, *layer.parameters()])]


def assert_close(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_whole_batches_equal_torchs(name, batch_first, bidirectional):
    layer, peer = make(name, batch_first=batch_first, bidirectional=bidirectional)
    x = torch.randn(5, 5, 4, device="cuda", requires_grad=True)
    state = random_state(layer, 5)
    assert layer.choice(x).backend == "torch"
    assert_close(everything(layer(x, state), x, layer), everything(peer(x, state), x, peer))


@pytest.mark.parametrize("name", LAYERS)
def test_the_choice_and_its_reason(name):
    layer, _ = make(name)
    x = torch.randn(5, 2, 4, device="cuda")
    for lengths in (False, True):
        choice = layer.choice(x, lengths=lengths)
        assert (choice.backend, choice.reason) == ("torch", BY_TORCH)
    choice = layer.choice(x, resets=True)
    assert (choice.backend, choice.reason) == ("reference", f"{BY_TORCH}; torch has no resets=")
    with torch.autocast("cuda", torch.bfloat16):
        assert layer.choice(x).reason == BY_TORCH
    layer.backend = "native"
    with pytest.raises(UnsupportedError, match=BY_TORCH):
        layer(x)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_lengths_equal_torchs_packed_sequences(name, bidirectional):
    layer, peer = make(name, bidirectional=bidirectional)
    x = torch.randn(6, 3, 4, device="cuda", requires_grad=True)
    lengths = torch.tensor([4, 6, 1])
    packed, state = peer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    wanted = everything((pad_packed_sequence(packed)[0], state), x, peer)
    assert_close(everything(layer(x, lengths=lengths.cuda()), x, layer), wanted)
    with pytest.raises(ShapeError, match="lengths on cpu, input on cuda:0"):
        layer(x, lengths=lengths)


@pytest.mark.parametrize("options", [{}, {"zoneout": 0.3}, {"variational_dropout": 0.3}, {"layer_norm": True}], ids=str)
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("name", ["rnn_tanh", "gru", "lstm"])
def test_the_numbers_of_the_cpu(name, resets, options):
    torch.manual_seed(0)
    layer = LAYERS[name][0](4, 7, backend="reference", **options)
    x = torch.randn(6, 3, 4)
    marks = {"resets": torch.rand(6, 3) < 0.4} if resets else {}

    def run(x):
        torch.manual_seed(2)  # the same noise: it is drawn on the CPU
        x = x.detach().requires_grad_()
        return everything(layer(x, **marks)[0], x, layer)

    wanted = run(x)
    layer.cuda()
    layer.backend = "auto"
    marks = {mark: value.cuda() for mark, value in marks.items()}
    assert (layer.choice(x.cuda(), resets=resets).backend == "torch") == (not resets and not options)
    found = run(x.cuda())
    assert all(part.is_cuda for part in found)
    assert_close([part.cpu() for part in found], wanted)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_steps_equal_the_whole(name, batch_first):
    layer, _ = make(name, batch_first=batch_first)
    stepper, x = layer.stepper(2), torch.randn(5, 2, 4, device="cuda")
    assert isinstance(stepper, LayerStepper)
    found = torch.cat([torch.stack([stepper.step(row) for row in x[:3]]), stepper.run(x[3:])])
    wanted = layer(x.transpose(0, 1))[0].transpose(0, 1) if batch_first else layer(x)[0]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
