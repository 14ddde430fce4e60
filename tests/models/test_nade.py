"""NADE and RNADE: against enumeration, integration, loops by the definition, and their own steps."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from throughtime import Batch, ConfigurationError, DataError, ShapeError
from throughtime.gradients import Checkpointed, Full, backward
from throughtime.models import NADE, RNADE, Density, Streaming, negative_log_likelihood
from throughtime.nn.contract import batch_axes

ORDERS = {"own": None, "reversed": (4, 3, 2, 1, 0), "mixed": (3, 0, 4, 1, 2)}


def spread(model):
    """The model in float64, its parameters far from zero and all different."""
    torch.manual_seed(3)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape).double() * (0.5 if isinstance(model, RNADE) else 1)
    return model.double()


def model_of(kind: str, order=None, size: int = 5):
    if kind == "real":
        return spread(RNADE(size, 4, 2, order))
    return spread(NADE(size, 4, order, 2 if kind == "binary" else 3))


def vectors(kind: str, batch: int = 6, size: int = 5) -> Tensor:
    torch.manual_seed(4)
    if kind == "real":
        return torch.randn(batch, size).double()
    return torch.randint(2 if kind == "binary" else 3, (batch, size))


def in_steps(model, x: Tensor) -> tuple[Tensor, Tensor]:
    """The inputs and targets [time, batch] of a walk through x."""
    elements = x[:, model.order].T
    return torch.cat([torch.zeros_like(elements[:1]), elements[:-1]]), elements


def plane() -> Tensor:
    """log p of a model of two values, on a grid."""
    line = torch.arange(-40, 40, 0.1).double()
    model = model_of("real", (1, 0), size=2)
    with torch.no_grad():
        return torch.cat([model.log_prob(torch.cartesian_prod(piece, line)) for piece in line.split(100)])


def by_definition(model, x: Tensor) -> Tensor:
    """log p(x) of each element, one at a time, each conditional from its sum over all that came before."""
    rows = []
    for vector in x:
        values = []
        for position, d in enumerate(model.order.tolist()):
            a = model.bias
            for earlier in model.order.tolist()[:position]:
                weight, element = model.weight[earlier], vector[earlier]
                a = a + (weight[element] if weight.dim() == 2 else weight * element)
            if isinstance(model, RNADE):
                hidden = torch.clamp(model.activation_scale[position] * a, min=0)
                values.append(mixture(model.output_weight[d] @ hidden + model.output_bias[d], vector[d]))
                continue
            raw = model.output_weight[d] @ (1 / (1 + torch.exp(-a))) + model.output_bias[d]
            if model.symbols == 2:
                one = 1 / (1 + torch.exp(-raw[0]))
                values.append(torch.log(one if vector[d] == 1 else 1 - one))
            else:
                values.append(torch.log(torch.exp(raw[vector[d]]) / torch.exp(raw).sum()))
        rows.append(torch.stack(values))
    return torch.stack(rows, 1)


def mixture(raw: Tensor, value: Tensor) -> Tensor:
    count = len(raw) // 3
    shares = torch.exp(raw[:count]) / torch.exp(raw[:count]).sum()
    density = value.new_zeros(())
    for k in range(count):
        scale = torch.log1p(torch.exp(raw[2 * count + k])) + 1e-4
        score = (value - raw[count + k]) / scale
        density = density + shares[k] * torch.exp(-score * score / 2) / (scale * math.sqrt(2 * math.pi))
    return torch.log(density)


@pytest.mark.parametrize(("symbols", "size"), [(2, 8), (3, 5)])
def test_probabilities_of_all_vectors_sum_to_one(symbols: int, size: int) -> None:
    torch.manual_seed(0)
    model = spread(NADE(size, 7, torch.randperm(size), symbols))
    every = torch.tensor(list(itertools.product(range(symbols), repeat=size)))
    assert model.log_prob(every).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_a_density_integrates_to_one() -> None:
    assert plane().exp().sum().item() * 0.1**2 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", ["binary", "symbols", "real"])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("piece_numbers", [2**24, 100])
def test_against_the_definition(kind: str, order, piece_numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = model_of(kind, order), vectors(kind)
    monkeypatch.setattr(model, "piece_numbers", piece_numbers)
    if kind == "real":
        x.requires_grad_()
    leaves = [*model.parameters(), *([x] if kind == "real" else [])]
    cotangent = torch.randn(6).double()
    wanted = by_definition(model, x).sum(0)
    got = model.log_prob(x)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad(values @ cotangent, leaves) for values in (got, wanted))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "symbols", "real"])
def test_gradients_against_finite_differences(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = model_of(kind, (2, 0, 1), size=3), vectors(kind, 2, 3)
    monkeypatch.setattr(type(model), "forward", lambda self, x: self.log_prob(x))
    names, values = zip(*model.named_parameters(), strict=True)

    def log_prob(*values: Tensor) -> Tensor:
        return functional_call(model, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(log_prob, values)


def test_pieces_keep_less_for_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = NADE(64, 16), torch.randint(2, (8, 64))

    def kept() -> int:
        total = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model.log_prob(x)
        return total

    whole = kept()
    assert whole > 64 * 8 * 16
    monkeypatch.setattr(model, "piece_numbers", 8 * 8 * 17)
    assert kept() < whole / 8


@pytest.mark.parametrize("kind", ["binary", "symbols", "real"])
@pytest.mark.parametrize("pieces", [[1] * 5, [2, 0, 3], [5]])
def test_streaming_equals_whole(kind: str, pieces: list[int]) -> None:
    model, x = model_of(kind, ORDERS["mixed"]), vectors(kind)
    inputs, targets = in_steps(model, x)
    values, state = [], model.initial_state(6)
    for before, element in zip(inputs.split(pieces), targets.split(pieces), strict=True):
        distribution, state = model(before, state)
        values.append(distribution.log_prob(element if kind != "binary" else element.double()))
    streamed = torch.cat(values)
    torch.testing.assert_close(streamed, by_definition(model, x), rtol=1e-12, atol=1e-12)
    whole = model.log_prob(x)
    torch.testing.assert_close(streamed.sum(0), whole, rtol=1e-12, atol=1e-12)
    assert state["position"].tolist() == [5] * 6
    gradients = (torch.autograd.grad(values.sum(), list(model.parameters())) for values in (streamed, whole))
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "symbols", "real"])
@pytest.mark.parametrize("pieces", [[9], [4, 5], [1] * 9])
def test_lengths_and_resets_equal_each_vector_alone(kind: str, pieces: list[int]) -> None:
    model, x = model_of(kind, ORDERS["mixed"]), vectors(kind)
    inputs, targets = in_steps(model, x)
    # Column 0: two whole vectors but for one step; 1: two steps, then another vector; 2: one step; 3: none.
    lengths, resets = torch.tensor([9, 6, 1, 0]), torch.zeros(9, 4, dtype=torch.bool)
    resets[5, 0] = resets[2, 1] = resets[0, 2] = True
    parts = [[(0, 5), (1, 4)], [(2, 2), (3, 4)], [(4, 1)], []]
    before, wanted = torch.full((9, 4), 7, dtype=inputs.dtype), torch.zeros(9, 4).double()
    elements = torch.zeros(9, 4, dtype=inputs.dtype)
    alone = by_definition(model, x)
    for column, part in enumerate(parts):
        start = 0
        for row, steps in part:
            before[start : start + steps, column] = inputs[:steps, row]
            before[start, column] = 7  # nothing is before a vector's first element, and this is not read
            elements[start : start + steps, column] = targets[:steps, row]
            wanted[start : start + steps, column] = alone[:steps, row]
            start += steps
    got, state, start = [], model.initial_state(4), 0
    for size in pieces:
        piece = slice(start, start + size)
        left = (lengths - start).clamp(0, size)
        distribution, state = model(before[piece], state, lengths=left, resets=resets[piece])
        got.append(distribution.log_prob(elements[piece] if kind != "binary" else elements[piece].double()))
        start += size
    valid = torch.arange(9)[:, None] < lengths
    torch.testing.assert_close(torch.cat(got) * valid, wanted, rtol=1e-12, atol=1e-12)
    assert state["position"].tolist() == [4, 4, 1, 0]
    for column, (row, steps) in enumerate([(1, 4), (3, 4), (4, 1)]):
        _, last = model(inputs[:steps, row : row + 1])
        torch.testing.assert_close(state["preactivation"][column], last["preactivation"][0], rtol=1e-12, atol=1e-12)
    assert not state["preactivation"][3].any()


def test_it_keeps_the_contract_of_layers() -> None:
    model = NADE(5, 3)
    assert model.streams
    assert isinstance(model, Streaming)
    assert isinstance(model, Density)
    assert batch_axes(model) == {"preactivation": 0, "position": 0}
    _, state = model(torch.ones(2, 4))
    distribution, same = model(torch.ones(0, 4), state)
    assert distribution.batch_shape == (0, 4)
    assert same is state


@pytest.mark.parametrize("strategy", [Full(), Checkpointed(segment=2)], ids=lambda strategy: type(strategy).__name__)
def test_a_strategy_sees_a_model_as_any_other(strategy) -> None:
    model, x = model_of("real", ORDERS["mixed"]), vectors("real")
    wanted = torch.autograd.grad(-model.log_prob(x).sum(), list(model.parameters()))
    backward(model, Batch(*in_steps(model, x)), negative_log_likelihood, strategy)
    torch.testing.assert_close(tuple(p.grad for p in model.parameters()), wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("kind", "bound"), [("binary", 44.26), ("symbols", 61.65)])
def test_samples_match_their_own_probabilities(kind: str, bound: float) -> None:
    size = 4 if kind == "binary" else 3
    model = model_of(kind, (2, 0, 1) if size == 3 else (2, 0, 3, 1), size)
    symbols = range(model.symbols)
    every = torch.tensor(list(itertools.product(symbols, repeat=size)))
    expected = model.log_prob(every).exp() * 20_000
    torch.manual_seed(1)
    drawn = model.sample(20_000)
    counts = torch.stack([(drawn == row).all(1).sum() for row in every])
    assert counts.sum() == 20_000
    often = expected > 5
    rest = torch.stack([counts[~often].sum(), expected[~often].sum()])
    chi_squared = ((counts - expected).square() / expected)[often].sum() + (rest[0] - rest[1]).square() / (rest[1] + 1)
    assert chi_squared < bound  # p < 1e-4, with at most 15 and 26 degrees of freedom


def test_samples_of_real_values_match_their_density() -> None:
    model = model_of("real", (1, 0), size=2)
    torch.manual_seed(1)
    drawn = model.sample(20_000)
    surprise, grid = -model.log_prob(drawn), plane()
    entropy = -(grid * grid.exp()).sum() * 0.1**2
    assert abs(surprise.mean() - entropy) < 4 * surprise.std() / 20_000**0.5


def trained(model, x: Tensor, steps: int, rate: float = 0.02) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -model.log_prob(x).mean()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_it_learns_bars() -> None:
    """All 30 pictures of 4 × 4 that are made of full rows alone or of full columns alone: log 30 nats."""
    torch.manual_seed(0)
    rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))[:, :, None].expand(16, 4, 4)
    pictures = torch.cat([rows, rows.transpose(1, 2)]).reshape(32, 16).unique(dim=0)
    assert len(pictures) == 30
    learned = trained(NADE(16, 32), pictures, 400)
    assert math.log(30) < learned < math.log(30) + 0.5  # independent pixels need 16 log 2 = 11.1


def test_a_mixture_learns_what_one_normal_cannot() -> None:
    torch.manual_seed(0)
    side = torch.randint(2, (500, 1)) * 4.0 - 2
    x = torch.cat([side, -side], 1) + 0.3 * torch.randn(500, 2)
    normal = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov())
    entropy = math.log(2) + 2 * (0.5 * math.log(2 * math.pi * math.e) + math.log(0.3))
    learned = trained(RNADE(2, 16, 2), x, 200)
    assert learned < entropy + 0.15 < -normal.log_prob(x).mean() - 0.5


def test_it_learns_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    torch.manual_seed(0)
    x = (torch.tensor(datasets.load_digits().data) > 8).float()[torch.randperm(1797)]
    model = NADE(64, 32)
    trained(model, x[:1400], 40, rate=0.05)
    share = (x[:1400].sum(0) + 1) / 1402
    independent = -torch.distributions.Bernoulli(share).log_prob(x[1400:]).sum(1).mean()
    assert -model.log_prob(x[1400:]).mean() < independent - 3


def test_the_order_is_saved_with_the_weights() -> None:
    one, two = NADE(5, 3, ORDERS["mixed"]), NADE(5, 3)
    two.load_state_dict(one.state_dict())
    x = vectors("binary")
    assert torch.equal(one.log_prob(x), two.log_prob(x))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.long, torch.float64])
def test_binary_values_of_any_type(dtype: torch.dtype) -> None:
    model, x = NADE(5, 3), vectors("binary")
    assert torch.equal(model.log_prob(x.to(dtype)), model.log_prob(x.float()))


def test_refusals() -> None:
    model = NADE(5, 3)
    for order in ((0, 1, 2, 3, 3), (0, 1), (1, 2, 3, 4, 5)):
        with pytest.raises(ConfigurationError, match="each of 0 … 4 once"):
            NADE(5, 3, order)
    with pytest.raises(ConfigurationError, match="at least 1 of each"):
        NADE(0, 3)
    with pytest.raises(ConfigurationError, match="at least 2"):
        NADE(5, 3, symbols=1)
    with pytest.raises(ConfigurationError, match="at least 1 normal"):
        RNADE(5, 3, 0)
    with pytest.raises(ShapeError, match=r"x \[2, 4\], expected \[batch, 5\]"):
        model.log_prob(torch.zeros(2, 4))
    for wrong in (0.5, -1.0, 2.0, float("nan")):
        with pytest.raises(DataError, match="expected 0 … 1; binarise"):
            model.log_prob(torch.full((2, 5), wrong))
    with pytest.raises(DataError, match="the element 3: expected 0 … 2"):
        NADE(5, 3, symbols=3).log_prob(torch.full((2, 5), 3))
    with pytest.raises(DataError, match="expected real values"):
        RNADE(5, 3).log_prob(torch.zeros(2, 5, dtype=torch.long))
    with pytest.raises(DataError, match="the element inf"):
        RNADE(5, 3).log_prob(torch.full((2, 5), torch.inf))
    with pytest.raises(ShapeError, match=r"inputs \[4, 2, 1\], expected \[time, batch\]"):
        model(torch.zeros(4, 2, 1))
    with pytest.raises(ShapeError, match="element 6 of vectors of 5"):
        model(torch.zeros(6, 2))
    with pytest.raises(ShapeError, match="element 6 of vectors of 5"):
        model(torch.zeros(1, 2), model(torch.zeros(5, 2))[1])
    with pytest.raises(ShapeError, match=r"a pre-activation \[3, 3\], expected \[2, 3\]"):
        model(torch.zeros(1, 2), model.initial_state(3))
    with pytest.raises(ShapeError, match="a Tensor of another model"):
        model(torch.zeros(1, 2), torch.zeros(1, 2, 3))
    with pytest.raises(ShapeError, match="a length of 5, expected 0 to 4"):
        model(torch.zeros(4, 2), lengths=torch.tensor([5, 1]))
    with pytest.raises(ShapeError, match=r"resets \[2, 4\]"):
        model(torch.zeros(4, 2), resets=torch.zeros(2, 4, dtype=torch.bool))
