from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from throughtime.nn import GRU, LSTM, RNN, accelerate


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.GRU(3, 3)
        self.blocks = nn.ModuleList([nn.LSTM(3, 4, 2, dropout=0.5, proj_size=3), nn.RNN(3, 3, nonlinearity="relu")])
        self.again = self.shared
        self.pair = nn.Sequential(nn.Linear(3, 3))

    def forward(self, x):
        for layer in (self.shared, *self.blocks, self.again):
            x = layer(x)[0]
        return self.pair(x)


def test_the_same_model_over_the_same_parameters():
    model = Model().eval()
    model.blocks[1].weight_hh_l0.requires_grad_(False)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    model.double()
    before, keys = model(x), list(model.state_dict())
    parameters = dict(model.named_parameters())
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    report = accelerate(model)
    assert report.module is model
    assert [name for name, _ in report.replaced] == ["shared", "blocks.0", "blocks.1", "again"]
    assert report.left == ()
    assert [type(layer) for layer in (model.shared, *model.blocks)] == [GRU, LSTM, RNN]
    assert model.shared is model.again
    assert list(model.state_dict()) == keys
    assert all(value is parameters[name] for name, value in model.named_parameters())
    assert not model.blocks[1].weight_hh_l0.requires_grad
    assert not model.blocks[0].training
    assert model.blocks[0].dropout == 0.5
    torch.testing.assert_close(model(x), before)
    model(x).sum().backward()
    optimiser.step()
    assert not torch.allclose(model(x), before)


def test_training_goes_on_to_the_same_numbers():
    results = []
    for hasten in (False, True):
        torch.manual_seed(0)
        model = Model().double()
        optimiser = torch.optim.Adam(model.parameters())
        if hasten:
            accelerate(model)
        for _ in range(3):
            optimiser.zero_grad()
            model(torch.randn(5, 2, 3, dtype=torch.float64)).square().sum().backward()
            optimiser.step()
        results.append(list(model.parameters()))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_the_module_itself():
    layer = nn.GRU(3, 4, batch_first=True, bidirectional=True, bias=False)
    report = accelerate(layer)
    assert isinstance(report.module, GRU)
    wanted = "replaced (the module itself): GRU(3, 4, bias=False, batch_first=True, bidirectional=True)"
    assert str(report).startswith(wanted)
    assert report.module.weight_hh_l0_reverse is layer.weight_hh_l0_reverse


def hooked(register):
    layer = nn.GRU(3, 4)
    getattr(layer, register)(lambda *arguments, **keywords: None)
    return layer


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "register_load_state_dict_pre_hook",
    "register_load_state_dict_post_hook",
]


@pytest.mark.parametrize("register", HOOKS)
def test_layers_with_hooks_are_left(register):
    model = nn.Sequential(hooked(register))
    layer = model[0]
    report = accelerate(model)
    assert model[0] is layer
    assert report.left[0][0] == "0"
    assert "it has hooks" in report.left[0][1]


def test_others_that_are_left_and_why():
    class Mine(nn.LSTM):
        pass

    rewritten, pruned, extended = nn.GRU(3, 4), nn.GRU(3, 4), nn.GRU(3, 4)
    rewritten.forward = lambda x: x
    weight = pruned.weight_hh_l0
    del pruned.weight_hh_l0
    pruned.weight_hh_l0 = weight.data
    extended.register_buffer("mask", torch.ones(1))
    model = nn.Sequential(
        Mine(3, 4), weight_norm(nn.LSTM(3, 4), "weight_hh_l0"), rewritten, pruned, extended, GRU(3, 4)
    )
    report = accelerate(model)
    assert report.replaced == ()
    reasons = [reason for _, reason in report.left]
    words = [
        "Mine is a subclass",
        "parametrizations",
        "forward was replaced",
        "weight_hh_l0 is no parameter",
        "buffers",
    ]
    assert len(reasons) == len(words)
    for reason, word in zip(reasons, words, strict=True):
        assert word in reason
    assert str(report).startswith("left 0: ")


def test_a_module_without_layers():
    assert str(accelerate(nn.Linear(2, 2))) == "no recurrent layer of torch.nn was found"


def test_what_the_kernels_do_not_serve_is_said():
    report = accelerate(
        nn.ModuleDict({"a": nn.LSTM(3, 4, proj_size=2), "b": nn.GRU(3, 4).double(), "c": nn.GRUCell(3, 4)})
    )
    described = dict(report.replaced)
    assert described["a"].startswith("LSTM(3, 4, proj_size=2), on torch: ")
    assert described["b"].startswith("GRU(3, 4), on torch: ")
    assert report.left == (("c", "a cell takes one step at a time; layer.stepper() is the fast way to do so"),)
