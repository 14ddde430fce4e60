"""Gradients that travel forward in time: RTRL, SnAp-1 and UORO against Full, and against what they are to leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases import KINDS, B, H, I, T, batch_of, gradients, squared_error, takes
from torch import Tensor, nn

from throughtime import RTRL, UORO, Batch, Checkpointed, Full, SnAp1, Truncated, UnsupportedError, backward
from throughtime._state import leaves
from throughtime.gradients import summed_loss
from throughtime.models import SequenceModel, negative_log_likelihood
from throughtime.models.heads import CategoricalHead
from throughtime.nn import GRU, GRUCell, LSTMCell, Recurrent, RNNCell, Sequential
from throughtime.training import checkpoint


class Elementwise(nn.Module):
    """h_t = f ⊙ h_{t−1} + (1 − f) ⊙ z, f = σ(W_f x + w ⊙ h_{t−1}): no unit depends on another one."""

    elementwise = True

    def __init__(self) -> None:
        super().__init__()
        self.forget, self.new, self.own = nn.Linear(I, H), nn.Linear(I, H), nn.Parameter(torch.randn(H))

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        forget = torch.sigmoid(self.forget(x) + self.own * h)
        h = forget * h + (1 - forget) * torch.tanh(self.new(x))
        return h, h

    def initial_state(self, batch_size: int) -> Tensor:
        return self.own.new_zeros(batch_size, H)


class Coupled(Elementwise):
    """The same, without saying so."""

    elementwise = False


@pytest.mark.parametrize("kind", KINDS)
def test_rtrl_equals_full(model: nn.Module, kind: str) -> None:
    if not takes(model, kind):
        return
    batch = batch_of(kind)
    whole = backward(model, batch, squared_error, Full())
    wanted = gradients(model)
    stops = [segment.stop for segment in RTRL().segments(model, batch, squared_error)]
    assert stops == list(range(1, T + 1))
    found = gradients(model)
    done = backward(model, batch, squared_error, RTRL())
    assert float(done.loss_sum) == pytest.approx(float(whole.loss_sum), rel=1e-12)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", [RTRL(), SnAp1()])
@pytest.mark.parametrize("cell", [Elementwise, Coupled])
def test_element_wise_recurrences_are_exact_either_way(kind: str, strategy: SnAp1 | RTRL, cell: type) -> None:
    torch.manual_seed(0)
    model, batch = Recurrent(cell()).double(), batch_of(kind)
    backward(model, batch, squared_error, Full())
    wanted = gradients(model)
    done = backward(model, batch, squared_error, strategy)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-10, atol=1e-13)
    compact = sum(part.numel() for _, part in leaves(strategy.unpacked(done.carry)[1]))
    whole = sum(p.numel() for p in model.parameters()) * B * H
    assert compact == whole if isinstance(strategy, RTRL) and cell is Coupled else compact < whole


def test_element_wise_cells_behind_a_layer_are_exact_too() -> None:
    torch.manual_seed(0)
    model, batch = Sequential(nn.Linear(I, I), Recurrent(Elementwise())).double(), batch_of("plain")
    backward(model, batch, squared_error, Full())
    wanted = gradients(model)
    backward(model, batch, squared_error, RTRL())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-10, atol=1e-13)


def test_a_sequence_that_has_ended_goes_on_in_the_next_batch() -> None:
    """What is kept of it stands still meanwhile: the compact account is as the dense one, whose model does that."""
    found = []
    for cell in (Elementwise, Coupled):
        torch.manual_seed(0)
        model, batch = Recurrent(cell()).double(), batch_of("plain")
        first = Batch(batch.inputs[:4], batch.targets[:4], lengths=torch.tensor([4, 2, 1]))
        carry = backward(model, first, squared_error, RTRL()).carry
        backward(model, batch.segment(4, T), squared_error, RTRL(), carry)
        found.append(gradients(model))
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-10, atol=1e-13)


def test_two_element_wise_layers_are_exact_too() -> None:
    torch.manual_seed(0)
    model, batch = Sequential(Recurrent(Elementwise()), nn.Linear(H, I), Recurrent(Elementwise())), batch_of("plain", 4)
    backward(model.double(), batch, squared_error, Full())
    wanted = gradients(model)
    backward(model, batch, squared_error, RTRL())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-10, atol=1e-13)


def test_dropout_is_drawn_again_or_refused() -> None:
    model, batch = Sequential(nn.Dropout(0.5), Recurrent(GRUCell(I, H))).double(), batch_of("plain")
    torch.manual_seed(3)
    backward(model, batch, squared_error, RTRL())
    found = gradients(model)
    torch.manual_seed(3)
    backward(model, batch, squared_error, Checkpointed(1))  # which draws step by step as well
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-13)
    with pytest.raises(UnsupportedError, match="draws random numbers"):
        backward(model, batch, squared_error, SnAp1())


def snap_by_hand(model: Recurrent, batch: Batch) -> dict[str, Tensor]:
    """J as a dense array, in which after each step everything is struck out that one step alone leaves zero."""
    parameters = list(model.parameters())
    count = sum(p.numel() for p in parameters)
    state = model.initial_state(B)
    parts = [part for _, part in leaves(state)]
    influence = torch.zeros(len(parts), B, H, count).double()
    total = torch.zeros(count).double()

    def flat(found: tuple) -> Tensor:
        given = zip(found, parameters, strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in given])

    for step in range(batch.inputs.shape[0]):
        before = [part.detach().requires_grad_() for part in parts]
        given = before[0] if len(before) == 1 else tuple(before)
        piece = batch.segment(step, step + 1)
        loss_sum, _, after = summed_loss(model, piece, squared_error, given)
        found = torch.autograd.grad(loss_sum, [*before, *parameters], retain_graph=True, allow_unused=True)
        total += flat(found[len(before) :])
        for index, gradient in enumerate(found[: len(before)]):
            if gradient is not None:
                total += torch.einsum("bh,bhp->p", gradient, influence[index])
        following = torch.zeros_like(influence)
        for index, (_, part) in enumerate(leaves(after)):
            for row in range(B):
                for unit in range(H):
                    pulled = torch.autograd.grad(
                        part[row, unit], [*before, *parameters], retain_graph=True, allow_unused=True
                    )
                    direct = flat(pulled[len(before) :])
                    through = sum(
                        torch.einsum("h,hp->p", gradient[row], influence[other, row])
                        for other, gradient in enumerate(pulled[: len(before)])
                        if gradient is not None
                    )
                    following[index, row, unit] = direct + through
        # What one step leaves zero: a parameter acts on the unit of its own row.
        rows = torch.cat(
            [torch.arange(p.shape[0]).view(-1, *[1] * (p.dim() - 1)).expand_as(p).flatten() for p in parameters]
        )
        influence = following * (rows % H == torch.arange(H)[:, None]).double()
        parts = [part.detach() for _, part in leaves(after)]
    model.zero_grad()
    return dict(zip(dict(model.named_parameters()), total.split([p.numel() for p in parameters]), strict=True))


@pytest.mark.parametrize("cell", [RNNCell, GRUCell, LSTMCell, nn.LSTMCell])
@pytest.mark.parametrize("kind", ["plain", "weights"])
def test_snap1_is_rtrl_with_the_rest_struck_out(cell: type, kind: str) -> None:
    torch.manual_seed(0)
    model, batch = Recurrent(cell(I, H)).double(), batch_of(kind)
    wanted = snap_by_hand(model, batch)
    backward(model, batch, squared_error, SnAp1())
    found = gradients(model)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient.flatten(), wanted[name], rtol=1e-10, atol=1e-13)
    backward(model, batch, squared_error, Full())
    assert not torch.allclose(gradients(model)["cell.weight_hh"], found["cell.weight_hh"], rtol=1e-3)


def test_snap1_leaves_parameters_before_the_layer_their_own_step() -> None:
    torch.manual_seed(0)
    model = SequenceModel(nn.Embedding(5, I), GRU(I, H), CategoricalHead(H, 5)).double()
    batch = Batch(torch.randint(5, (T, B)), torch.randint(5, (T, B)))
    backward(model, batch, negative_log_likelihood, Truncated(1))
    own = gradients(model)
    backward(model, batch, negative_log_likelihood, SnAp1())
    found = gradients(model)
    torch.testing.assert_close(found["embedding.weight"], own["embedding.weight"], rtol=1e-10, atol=1e-13)
    assert not torch.allclose(found["backbone.weight_hh_l0"], own["backbone.weight_hh_l0"], rtol=1e-3)
    backward(model, batch, negative_log_likelihood, RTRL())
    exact = gradients(model)
    backward(model, batch, negative_log_likelihood, Full())
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(exact[name], gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", ["plain", "ragged", "resets"])
def test_uoro_is_full_on_average(kind: str) -> None:
    torch.manual_seed(0)
    model, batch = Recurrent(RNNCell(I, H)).double(), batch_of(kind, 5)
    backward(model, batch, squared_error, Full())
    wanted = torch.cat([gradient.flatten() for gradient in gradients(model).values()])
    draws = []
    for _ in range(600 if kind == "plain" else 150):
        backward(model, batch, squared_error, UORO())
        draws.append(torch.cat([gradient.flatten() for gradient in gradients(model).values()]))
    draws = torch.stack(draws)
    error = (draws.mean(0) - wanted).abs() / (draws.std(0) / len(draws) ** 0.5 + 1e-12)
    assert error.max() < 4.5
    backward(model, batch, squared_error, Truncated(1))
    own = torch.cat([gradient.flatten() for gradient in gradients(model).values()])
    assert ((own - wanted).abs() / (draws.std(0) / len(draws) ** 0.5 + 1e-12)).max() > (10 if kind == "plain" else 5)


@pytest.mark.parametrize("strategy", [RTRL(), SnAp1(), UORO()])
def test_a_stream_goes_on_where_a_checkpoint_left_it(strategy: RTRL | SnAp1 | UORO, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, batch = Recurrent(GRUCell(I, H)).double(), batch_of("plain")
    torch.manual_seed(1)
    backward(model, batch, squared_error, strategy)
    wanted = gradients(model)
    torch.manual_seed(1)
    carry = backward(model, batch.segment(0, 3), squared_error, strategy).carry
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpoint.save(tmp_path / "kept.safetensors", model, optimizer, carry, checkpoint.Position(step=3), {})
    kept, *_ = checkpoint.restore(tmp_path / "kept.safetensors", model, optimizer)
    backward(model, batch.segment(3, T), squared_error, strategy, kept)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("strategy", [RTRL(), SnAp1(), UORO()])
def test_memory_does_not_grow_and_parameters_may_change_at_every_step(strategy: RTRL | SnAp1 | UORO) -> None:
    torch.manual_seed(0)
    model = Recurrent(GRUCell(I, H)).double()
    optimizer, sizes = torch.optim.SGD(model.parameters(), lr=0.01), set()
    for segment in strategy.segments(model, batch_of("plain", 20), squared_error):
        optimizer.step()
        optimizer.zero_grad()
        sizes.add(sum(part.numel() for _, part in leaves(segment.carry)))
        assert not any(part.requires_grad for _, part in leaves(segment.carry))
    assert len(sizes) == 1


def test_refusals() -> None:
    batch = batch_of("plain")
    with pytest.raises(UnsupportedError, match=r"numbers of state.*SnAp1\(\) or UORO\(\)"):
        backward(GRU(I, H).double(), batch, squared_error, RTRL(limit="1KB"))
    with pytest.raises(UnsupportedError, match="one recurrent layer"):
        backward(GRU(I, H, num_layers=2).double(), batch, squared_error, SnAp1())
    with pytest.raises(UnsupportedError, match="changes its form"):
        backward(GRU(I, H, variational_dropout=0.5).double(), batch, squared_error, UORO())
    with pytest.raises(UnsupportedError, match=r"use Full\(\)"):
        backward(GRU(I, H, bidirectional=True).double(), batch, squared_error, RTRL())

    single = Batch(torch.randn(T, B, I), torch.randn(T, B, H))
    with pytest.raises(UnsupportedError, match=r"no derivative forward.*accelerate\(model\)"):
        backward(nn.LSTM(I, H), single, squared_error, RTRL())

    class Learnt(Elementwise):
        def initial_state(self, batch_size: int) -> Tensor:
            return self.own.expand(batch_size, H)

    for strategy in (RTRL(), SnAp1(), UORO()):
        with pytest.raises(UnsupportedError, match="is learnt"):
            backward(Recurrent(Learnt()).double(), batch, squared_error, strategy)
