"""Parameters, multiply-adds, memory and receptive fields, against torch's own counts and against counting by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
import torch
from matplotlib.patches import Rectangle
from rich.console import Console
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import FlopCounterMode

from throughtime import Batch, ConfigurationError, ShapeError
from throughtime.gradients._meter import metered
from throughtime.inspection.counting._formulas import blocks, by_name
from throughtime.inspection.counting.summary import LayerSummary, Summary, summary
from throughtime.models import SequenceModel
from throughtime.models.heads import CategoricalHead
from throughtime.nn import (
    GRU,
    LSTM,
    RNN,
    CausalConv,
    Cell,
    GRUCell,
    Lags,
    Linear,
    LSTMCell,
    MinGRU,
    MinLSTM,
    MultiHeadAttention,
    Recurrent,
    RNNCell,
    Transformer,
    TransformerEncoder,
)

Made = Callable[[], nn.Module]

BY_FORMULA: list[Made] = [
    *(
        lambda kind=kind, layers=layers, both=both, bias=bias: kind(3, 5, layers, bias=bias, bidirectional=both)
        for kind in (nn.RNN, nn.GRU, nn.LSTM, RNN, GRU, LSTM)
        for layers in (1, 3)
        for both in (False, True)
        for bias in (True, False)
    ),
    *(
        lambda kind=kind, layers=layers, both=both: kind(3, 5, layers, bidirectional=both, proj_size=2)
        for kind in (nn.LSTM, LSTM)
        for layers in (1, 2)
        for both in (False, True)
    ),
    lambda: RNN(3, 5, layer_norm=True),
    lambda: GRU(3, 5, num_layers=2, layer_norm=True, bidirectional=True),
    lambda: GRU(3, 5, reset_after=False, weight_drop=0.2),
    lambda: LSTM(3, 5, peephole=True),
    lambda: LSTM(3, 5, num_layers=2, layer_norm=True, peephole=True, proj_size=2),
    lambda: LSTM(3, 5, layer_norm=True, bias=False),
    lambda: RNN(1, 1, layer_norm=True),
    lambda: LSTM(1, 2, layer_norm=True, proj_size=1),
    *(lambda kind=kind: kind(3, 5) for kind in (RNNCell, GRUCell, LSTMCell, nn.RNNCell, nn.GRUCell, nn.LSTMCell)),
    lambda: LSTMCell(3, 5, proj_size=2, peephole=True),
    lambda: MinGRU(3, 5, num_layers=2),
    lambda: MinLSTM(3, 5, num_layers=2, bias=False),
    lambda: Recurrent(GRUCell(3, 5)),
    lambda: CausalConv(3, 5, num_layers=3),
    lambda: CausalConv(5, 5, kernel_size=2, bias=False),
    lambda: CausalConv(3, 5, norm="batch"),
    lambda: CausalConv(3, 5, norm="batch", bias=False),
    lambda: nn.Conv1d(4, 6, 3),
    lambda: nn.Conv1d(4, 6, 3, groups=2, bias=False),
    lambda: nn.Conv2d(4, 8, (3, 5), groups=4),
    lambda: nn.Conv3d(2, 3, 2),
    lambda: nn.ConvTranspose2d(4, 6, 3, groups=2),
    lambda: nn.Linear(3, 4),
    lambda: Linear(3, 4, bias=False),
    lambda: nn.Embedding(7, 3),
    lambda: nn.MultiheadAttention(8, 2),
    lambda: nn.MultiheadAttention(8, 2, bias=False, kdim=3, vdim=5),
    lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True),
    lambda: MultiHeadAttention(8, 2, source_size=3),
]


def parameters_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def flops(model: nn.Module, *given: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(*given)
    return counter.get_total_flops()


def only(found: Summary) -> LayerSummary:
    (layer,) = found.layers
    return layer


def layer_of(found: Summary, name: str) -> LayerSummary:
    return next(layer for layer in found.layers if layer.name == name)


class TestParameters:
    @pytest.mark.parametrize("make", BY_FORMULA)
    def test_the_formula_gives_torchs_count(self, make: Made) -> None:
        module = make()
        found = blocks(module)
        assert found != by_name(module.named_parameters()), "no formula fitted"
        assert sum(block.count for block in found) == parameters_of(module)
        for block in found:
            assert sum(block.parts.values()) == block.count
            left, right = block.formula.replace("torch keeps two: ", "").rsplit(" = ", 1)
            assert int(right.split()[0].rstrip(",;").replace(",", "")) == block.count
            assert str(block.count) == str(_worked_out(left.rsplit(";", 1)[-1]))

    def test_both_counts_in_words(self) -> None:
        layer = only(summary(nn.LSTM(32, 64), torch.zeros(40, 8, 32)))
        assert layer.lines[:2] == (
            "4 gates × 64 × (32 + 64 + 1) = 24,832 with one bias; torch keeps two: 4 × 64 × (32 + 64 + 2) = 25,088",
            "one matrix, used 40 times: its gradient is a sum of 40 terms",
        )
        assert (layer.parameters, layer.one_bias) == (25_088, 24_832)

    def test_gates_hold_what_is_theirs(self) -> None:
        layer = LSTM(3, 5, peephole=True, layer_norm=True, proj_size=2)
        (block,) = only(summary(layer, torch.zeros(4, 1, 3))).blocks
        plain = 5 * (3 + 2 + 2) + 2 * 5
        peeping = dict.fromkeys(("input", "forget", "output"), plain + 5)
        assert block.parts == {**peeping, "cell": plain, "memory norm": 10, "projection": 10}

    def test_tied_weights_count_once(self) -> None:
        embedding, linear = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
        linear.weight = embedding.weight
        model = nn.Sequential(embedding, linear)
        found = summary(model, torch.zeros(4, 2, dtype=torch.long))
        assert found.parameters == 21 == parameters_of(model)
        assert layer_of(found, "1").shared == (("weight", "0.weight"),)
        assert "weight is 0.weight, one and the same: counted there" in found.text

    def test_a_module_used_twice_counts_once_but_works_twice(self) -> None:
        same = nn.Linear(4, 4)
        found = summary(nn.Sequential(same, nn.Tanh(), same), torch.zeros(3, 4))
        layer = layer_of(found, "0")
        assert (found.parameters, layer.calls, found.multiply_adds) == (20, 2, 2 * 3 * 16)
        assert "called 2 times: its gradient is a sum of 2 terms" in layer.lines

    def test_all_are_counted_run_or_not(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.ones(4, 4))
                self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 9)

            def forward(self, x: Tensor) -> Tensor:
                return self.used(x) @ self.scale

        model = Own()
        model.used.bias.requires_grad_(False)
        found = summary(model, torch.zeros(3, 4))
        assert (found.parameters, found.trainable) == (parameters_of(model), parameters_of(model) - 4)
        assert [layer.name for layer in found.layers] == ["Own", "used", "idle"]
        assert layer_of(found, "Own").multiply_adds == 3 * 16 == layer_of(found, "used").multiply_adds
        assert layer_of(found, "idle").lines[-1] == "not run on this batch"

    def test_a_subclass_that_adds_parameters_is_counted_by_name(self) -> None:
        layer = nn.Linear(3, 4)
        layer.extra = nn.Parameter(torch.zeros(5))
        assert only(summary(layer, torch.zeros(2, 3))).lines[0] == "weight 4 × 3 + bias 4 + extra 5 = 21"

    def test_weight_norm(self) -> None:
        layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
        found = only(summary(layer, torch.zeros(2, 3)))
        assert (found.kind, found.parameters, found.multiply_adds) == ("Linear", parameters_of(layer), 24)


def _worked_out(formula: str) -> int:
    """The left side of a formula as a number: what stands in words is no number."""
    kept = "".join(letter for letter in formula.replace("×", "*") if letter in "0123456789+*/() ")
    return int(eval(kept.replace("2 * ()", ""))) if kept.strip() else 0


class TestMultiplyAdds:
    @pytest.mark.parametrize(
        ("make", "shape"),
        [
            (lambda: nn.RNN(3, 5, 2), (7, 2, 3)),
            (lambda: nn.GRU(3, 5, 2, bidirectional=True), (7, 2, 3)),
            (lambda: nn.GRU(3, 5, batch_first=True), (2, 7, 3)),
            (lambda: nn.LSTM(3, 5, 2, proj_size=2), (7, 2, 3)),
            (lambda: nn.LSTM(3, 5), (7, 3)),
            (lambda: RNN(3, 5, backend="reference"), (7, 2, 3)),
            (lambda: GRU(3, 5, backend="torch", bidirectional=True), (7, 2, 3)),
            (lambda: GRU(3, 5, reset_after=False), (7, 2, 3)),
            (lambda: LSTM(3, 5, 2, backend="reference", proj_size=2, bidirectional=True), (7, 2, 3)),
            (lambda: LSTM(3, 5, peephole=True, layer_norm=True), (7, 2, 3)),
            (lambda: nn.GRUCell(3, 5), (2, 3)),
            (lambda: LSTMCell(3, 5), (2, 3)),
            (lambda: Recurrent(nn.LSTMCell(3, 5)), (7, 2, 3)),
            (lambda: MinGRU(3, 5, 2), (7, 2, 3)),
            (lambda: CausalConv(3, 5, num_layers=2), (7, 2, 3)),
            (lambda: nn.Linear(3, 5), (7, 2, 3)),
            (lambda: nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2), (2, 4, 9)),
            (lambda: nn.Conv2d(4, 6, 3, stride=2), (2, 4, 9, 8)),
            (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5)),
            (lambda: Transformer(3, 8, num_heads=2, context=16), (7, 2, 3)),
            (lambda: Transformer(3, 8, num_heads=2, context=4), (11, 2, 3)),
            (lambda: TransformerEncoder(3, 8, num_heads=2), (7, 2, 3)),
            (lambda: MultiHeadAttention(8, 2), (7, 2, 8)),
            (lambda: nn.TransformerEncoderLayer(8, 2, 16), (7, 2, 8)),
            (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 7, 8)),
        ],
    )
    def test_torch_counts_twice_as_many_flops(self, make: Made, shape: tuple[int, ...]) -> None:
        model, x = make().double(), torch.randn(shape, dtype=torch.float64)
        found = summary(model, x)
        assert found.uncounted == ()
        assert 2 * found.multiply_adds == flops(model, x) > 0

    def test_of_layers_that_torch_would_pass_over_in_evaluation(self) -> None:
        model, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(2, 7, 8)
        frozen = summary(model.requires_grad_(False), x)
        assert frozen.multiply_adds == summary(model.requires_grad_(True).train(), x).multiply_adds
        assert layer_of(frozen, "self_attn").calls == 1

    def test_attention_called_twice_counts_twice(self) -> None:
        class Twice(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attention = MultiHeadAttention(8, 2)

            def forward(self, x: Tensor) -> Tensor:
                first, _ = self.attention(x, weights=True)
                return self.attention(first)[0] + self.attention(x, weights=True)[0]

        model, x = Twice().double(), torch.randn(7, 2, 8, dtype=torch.float64)
        assert 2 * summary(model, x).multiply_adds == flops(model, x)

    def test_what_torch_cannot_count_is_said_to_be_uncounted(self) -> None:
        class Stubborn(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                if torch._C._len_torch_dispatch_stack():
                    raise RuntimeError("not under a dispatch mode")
                return x @ x.mT

        found = summary(nn.Sequential(nn.Linear(3, 3), Stubborn()), torch.zeros(4, 3))
        assert (found.uncounted, found.multiply_adds) == (("1",), 36)
        assert found.layers[1].lines[0].startswith("multiply-adds: not counted")
        assert "not counted of 1" in str(found.table().caption)

    def test_what_torch_takes_for_nothing_is_not_called_nothing(self) -> None:
        class Form(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return torch.nn.functional.bilinear(x, x, torch.ones(2, 3, 3))

        assert summary(nn.Sequential(Form()), torch.zeros(4, 3)).uncounted == ("0",)
        assert summary(nn.Bilinear(3, 5, 2), (torch.zeros(4, 3), torch.zeros(4, 5))).multiply_adds == 4 * 2 * 3 * 6

    @pytest.mark.parametrize("extras", [{}, {"kdim": 3, "vdim": 5}, {"add_bias_kv": True}, {"add_zero_attn": True}])
    def test_attention_of_torch_to_another_sequence(self, extras: dict) -> None:
        layer = nn.MultiheadAttention(8, 2, **extras)
        given = (torch.randn(7, 3, 8), torch.randn(5, 3, layer.kdim), torch.randn(5, 3, layer.vdim))
        assert 2 * summary(layer, given).multiply_adds == flops(layer, *given)

    def test_of_native_kernels_as_of_the_equations(self) -> None:
        x = torch.randn(7, 2, 3)
        assert summary(GRU(3, 5), x).multiply_adds == 7 * 2 * 3 * 5 * (3 + 5)

    def test_they_grow_with_time_and_of_attention_with_its_square(self) -> None:
        short, long = (torch.zeros(steps, 2, 8) for steps in (10, 20))
        assert summary(GRU(8, 5), long).per_sequence == 2 * summary(GRU(8, 5), short).per_sequence
        assert summary(GRU(8, 5), long).per_step == summary(GRU(8, 5), short).per_step == 3 * 5 * 13
        layer = MultiHeadAttention(8, 2)
        products = [summary(layer, x).per_sequence - 4 * 64 * len(x) for x in (short, long)]
        assert products == [2 * 8 * 100, 2 * 8 * 400]
        assert "quadratic in the steps" in summary(layer, long).text
        assert "linear in its steps" in summary(Transformer(8, 8, context=4, num_heads=2), long).text

    def test_a_cell_of_ones_own_is_counted_by_torch(self) -> None:
        class Own(Cell):
            def __init__(self) -> None:
                super().__init__()
                self.w = nn.Parameter(torch.randn(5, 3))
                self.u = nn.Linear(5, 5)

            def initial_state(self, batch_size: int) -> Tensor:
                return torch.zeros(batch_size, 5)

            def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
                h = torch.tanh(x @ self.w.T + self.u(state))
                return h, h

        found = summary(Recurrent(Own()), torch.zeros(7, 2, 3))
        assert found.multiply_adds == 7 * 2 * 5 * (3 + 5)
        cell, linear = layer_of(found, "cell itself"), layer_of(found, "cell.u")
        assert (cell.parameters, cell.calls, cell.state, linear.calls) == (15, 7, 5, 7)
        assert "called 7 times: its gradient is a sum of 7 terms" in linear.lines

    def test_packed_sequences(self) -> None:
        packed = pack_padded_sequence(torch.randn(7, 2, 3), torch.tensor([7, 4]))

        class Packing(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.GRU(3, 5)

            def forward(self, x: Tensor) -> Tensor:
                return self.layer(packed)[1]

        found = summary(Packing(), torch.zeros(7, 2, 3))
        assert found.multiply_adds == 11 * 3 * 5 * 8
        assert (found.steps, found.sequences) == (7, 2)


class TestMemory:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: LSTM(3, 5, num_layers=2),
            lambda: GRU(3, 5, backend="reference"),
            lambda: nn.GRU(3, 5),
            lambda: MinGRU(3, 5),
            lambda: CausalConv(3, 5),
            lambda: Transformer(3, 8, num_heads=2, context=4),
        ],
    )
    def test_all_that_autograd_saves_is_credited(self, make: Made) -> None:
        model, x = make(), torch.randn(9, 2, 3)
        with metered([*model.parameters(), x]) as meter:
            output = model(x)
        assert summary(model, x).saved_bytes == meter.now > 0
        del output

    def test_each_storage_once_and_to_whom_it_belongs(self) -> None:
        model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Sigmoid())
        found = summary(model, torch.randn(7, 3))
        assert [layer.saved_bytes for layer in found.layers] == [0, 7 * 5 * 4, 0, 7 * 4 * 4]

    def test_native_buffers_hold_the_gates(self) -> None:
        x = torch.randn(64, 8, 16)
        saved = summary(LSTM(16, 32, backend="auto"), x).saved_bytes
        assert saved >= 64 * 8 * 32 * 4 * 5, "h, and the gates, at least"

    def test_a_batch_of_arrays_is_not_counted(self) -> None:
        inputs = torch.randn(9, 2, 3)
        model = LSTM(3, 5)
        arrays = Batch(inputs.numpy(), inputs.numpy())
        assert summary(model, arrays).saved_bytes == summary(model, inputs).saved_bytes

    def test_dropout_saves_its_mask_in_training_alone(self) -> None:
        model, x = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5)), torch.randn(7, 3)
        assert layer_of(summary(model, x), "1").saved_bytes > 0
        found = summary(model.eval(), x)
        assert layer_of(found, "1").saved_bytes == 0
        assert not found.training

    def test_frozen_models_save_nothing(self) -> None:
        model = nn.Sequential(nn.Linear(3, 5), nn.Tanh()).requires_grad_(False)
        assert summary(model, torch.randn(7, 3)).saved_bytes == 0

    def test_nothing_is_changed(self) -> None:
        first_layer, last = nn.Conv1d(3, 4, 3), nn.Linear(28, 2)
        model = nn.Sequential(first_layer, nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Flatten(), last)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]
        first_layer.weight.grad = torch.ones_like(first_layer.weight)
        torch.manual_seed(3)
        first = torch.rand(1)
        torch.manual_seed(3)
        summary(model, torch.randn(2, 3, 9, generator=torch.Generator()))
        assert torch.equal(torch.rand(1), first)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert torch.equal(first_layer.weight.grad, torch.ones_like(first_layer.weight))
        assert last.weight.grad is None
        assert [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()] == hooks
        layer = Transformer(3, 8, num_heads=2)
        summary(layer, torch.zeros(4, 1, 3))
        assert "attend" not in vars(layer.layers[0].attention)


class TestConvolutions:
    def test_sizes_and_fields_through_a_stack(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 4, 7, stride=2, padding=3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(4, 4, (3, 5), dilation=2),
        )
        found = summary(model, torch.zeros(2, 3, 64, 64))
        assert [layer.receptive_field for layer in found.layers] == [(7, 7), None, None, (11, 11), (27, 43)]
        assert "output: ⌊(64 − 7 + 2 × 3)/2⌋ + 1 = 32 on each side" in layer_of(found, "0").lines
        assert "receptive field: height 11 + (5 − 1) × 4 = 27" in layer_of(found, "4").lines
        assert "output: width F = 2 × (5 − 1) + 1 = 9, ⌊(16 − 9 + 2 × 0)/1⌋ + 1 = 8" in layer_of(found, "4").lines
        assert layer_of(found, "4").output == (2, 4, 12, 8)

    @pytest.mark.parametrize("same", [2, 3])
    def test_the_field_is_what_a_gradient_reaches(self, same: int) -> None:
        model = nn.Sequential(
            nn.Conv1d(1, 2, 3, stride=2), nn.Conv1d(2, 2, same, dilation=3), nn.AvgPool1d(2), nn.Conv1d(2, 1, 4)
        ).double()
        x = torch.randn(1, 1, 90, dtype=torch.float64, requires_grad=True)
        model(x)[0, 0, 3].backward()
        assert x.grad is not None
        reached = x.grad[0, 0].nonzero()
        span = int(reached.max() - reached.min()) + 1
        assert summary(model, x.detach()).layers[-1].receptive_field == (span,)

    def test_of_functions_between_modules(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b, self.c = nn.Conv1d(2, 2, 3), nn.Conv1d(2, 2, 3), nn.Conv1d(2, 2, 3)

            def forward(self, x: Tensor) -> Tensor:
                x = self.b(torch.relu(self.a(x.permute(1, 2, 0))))
                return self.c(nn.functional.max_pool1d(x, 2))

        found = summary(Own(), torch.zeros(20, 1, 2))
        fields = {layer.name: layer.receptive_field for layer in found.layers}
        assert (fields["a"], fields["b"], fields["c"]) == ((3,), (5,), None)
        assert any("not followed" in line for line in layer_of(found, "c").lines)

    def test_of_a_causal_network(self) -> None:
        layer = CausalConv(3, 5, num_layers=2)
        found = only(summary(layer, torch.zeros(20, 1, 3)))
        assert found.receptive_field == (13,)
        assert "receptive field: 1 + 2·1 + 2·1 + 2·2 + 2·2 = 13 steps" in found.lines

    def test_same_padding_and_rounding_up(self) -> None:
        found = only(summary(nn.Conv1d(2, 2, 5, padding="same"), torch.zeros(1, 2, 12)))
        assert "output: ⌊(12 − 5 + 2 × 2)/1⌋ + 1 = 12" in found.lines
        pooled = only(summary(nn.MaxPool1d(2, ceil_mode=True), torch.zeros(1, 2, 7)))
        assert "output: ⌈(7 − 2 + 2 × 0)/2⌉ + 1 = 4" in pooled.lines


class TestState:
    @pytest.mark.parametrize(
        ("layer", "numbers"),
        [
            (nn.GRU(3, 5, num_layers=2), 10),
            (LSTM(3, 5, proj_size=2, backend="reference"), 7),
            (MinLSTM(3, 5), 5),
            (CausalConv(3, 5, num_layers=1), 2 * 3 + 2 * 5),
            (Transformer(3, 8, num_layers=2, num_heads=2, context=4), 2 * 2 * 4 * 8 + 1),
            (Lags(3, (1, 2)), 7),
            (nn.GRU(3, 5, bidirectional=True), None),
            (TransformerEncoder(3, 8, num_heads=2), None),
        ],
    )
    def test_what_a_stream_carries(self, layer: nn.Module, numbers: int | None) -> None:
        assert summary(layer, torch.randn(4, 2, 3)).state == numbers

    def test_bytes(self) -> None:
        assert summary(LSTM(3, 5).double(), torch.zeros(4, 2, 3, dtype=torch.float64)).state_bytes == 80


class TestRecord:
    def model(self) -> tuple[nn.Module, Batch]:
        symbols = torch.zeros(12, 3, dtype=torch.long)
        model = SequenceModel(nn.Embedding(7, 4), LSTM(4, 6, num_layers=2), CategoricalHead(6, 7))
        return model, Batch(symbols, symbols, lengths=torch.tensor([12, 5, 1]))

    def test_a_whole_model(self) -> None:
        found = summary(*self.model())
        assert (found.steps, found.sequences, found.parameters) == (12, 3, parameters_of(self.model()[0]))
        assert layer_of(found, "backbone").input == (12, 3, 4)
        assert layer_of(found, "backbone").output == (12, 3, 6)
        assert found.state == 2 * 2 * 6
        assert found.per_step == 4 * 6 * 10 + 4 * 6 * 12 + 6 * 7

    def test_json(self) -> None:
        found = summary(*self.model())
        told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert told["parameters"] == sum(layer["parameters"] for layer in told["layers"])
        assert told["layers"][1]["blocks"][0]["parts"]["forget"] == 6 * (4 + 6 + 2)

    def test_the_table_fits(self) -> None:
        for model, batch in [self.model(), (Transformer(300, 304, context=400), torch.zeros(90, 8, 300))]:
            console = Console(width=80, record=True, file=io.StringIO())
            console.print(summary(model, batch).table())
            text = console.export_text()
            assert max(map(len, text.splitlines())) <= 80
            assert "…" not in text
            assert f"{parameters_of(model):,}" in text

    def test_bars_start_at_zero_and_end_at_the_count(self) -> None:
        found = summary(*self.model())
        (axes,) = found.plot().axes
        assert axes.get_xlim()[0] == 0
        bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
        ends = {round(bar.get_y(), 2): bar.get_x() + bar.get_width() for bar in bars}
        assert sum(ends.values()) == found.parameters
        assert [label.get_text() for label in axes.get_yticklabels()][1] == "backbone, layer 1"

    def test_modules_without_parameters(self) -> None:
        found = summary(nn.Tanh(), torch.zeros(3, 2))
        assert (found.parameters, found.multiply_adds, found.state, found.sequences) == (0, 0, None, 3)
        assert found.plot().axes


class TestRefusals:
    def test_an_empty_batch(self) -> None:
        with pytest.raises(ShapeError, match=r"the batch is \[0, 2, 3\]: expected at least one step"):
            summary(nn.GRU(3, 5), torch.zeros(0, 2, 3))

    def test_lazy_parameters(self) -> None:
        with pytest.raises(ConfigurationError, match=r"LazyLinear has lazy parameters"):
            summary(nn.LazyLinear(3), torch.zeros(2, 3))

    def test_a_failing_forward_leaves_no_hooks(self) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 4))
        with pytest.raises(RuntimeError):
            summary(model, torch.zeros(2, 3))
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def _block(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


class Skipping(nn.Module):
    """Two paths of other kernels, added, and a convolution after them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(1, 1, size, padding=size // 2) for size in (7, 1, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.relu(self.a(x) + self.b(x)))


def test_receptive_fields_through_containers_and_joins() -> None:
    conv = lambda: nn.Conv2d(1, 1, 3, padding=1)  # noqa: E731
    nested = summary(_block(_block(conv(), nn.ReLU()), _block(conv(), nn.ReLU()), conv()), torch.zeros(1, 1, 16, 16))
    told = [line for layer in nested.layers for line in layer.lines if line.startswith("receptive field")]
    assert [size for line, size in zip(told, (3, 5, 7), strict=True) if str(size) not in line] == []
    joined = summary(Skipping(), torch.zeros(1, 1, 16, 16))
    told = [line for layer in joined.layers for line in layer.lines if line.startswith("receptive field")]
    assert "9" in told[-1]


def test_receptive_fields_are_not_guessed() -> None:
    class Pooling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(nn.functional.max_pool2d(self.a(x), 3, 1, 1))

    told = [line for layer in summary(Pooling(), torch.zeros(1, 1, 16, 16)).layers for line in layer.lines]
    assert any("not followed" in line for line in told)
