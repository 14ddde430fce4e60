"""Whole models: probabilities, samples, streaming."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Normal

from throughtime import ConfigurationError, ShapeError, UnsupportedError
from throughtime._state import leaves
from throughtime.models import (
    HEADS,
    Decoding,
    RecurrentFamily,
    SequenceModel,
    SymbolModelConfiguration,
    ValueModelConfiguration,
    negative_log_likelihood,
)
from throughtime.models._width import input_width
from throughtime.nn import GRU, LSTM, GRUCell, Lags, Recurrent, Sequential

CELLS = ("rnn", "gru", "lstm")


def symbol_model(cell: str = "gru", vocabulary: int = 3, **settings: object) -> SequenceModel:
    torch.manual_seed(0)
    family = RecurrentFamily(name=cell, hidden_size=8, **settings)
    return SymbolModelConfiguration(vocabulary=vocabulary, embedding_size=4, family=family).build().eval()


def value_model(cell: str = "gru", head: str = "student_t", known: int = 1) -> SequenceModel:
    torch.manual_seed(0)
    family = RecurrentFamily(name=cell, hidden_size=8)
    return ValueModelConfiguration(observed=2, known=known, lags=(1, 3), head=head, family=family).build().eval()


@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_of_all_sequences_sum_to_one(cell: str) -> None:
    model = symbol_model(cell).double()
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).T
    total = model.log_prob(every).sum(0).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-6)


def test_options_of_the_recurrence_reach_its_layers() -> None:
    model = symbol_model("lstm", recurrent_init="orthogonal", forget_bias=3.0, layer_norm=True)
    (layer,) = (part for part in model.modules() if isinstance(part, LSTM))
    block = layer.weight_hh_l0[:8]
    assert torch.allclose(block @ block.T, torch.eye(8), atol=1e-6)
    assert torch.equal((layer.bias_ih_l0 + layer.bias_hh_l0)[8:16], torch.full((8,), 3.0))
    assert "gain_ih_l0" in layer.state_dict()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "gru", "forget_bias": 1.0}, r"forget_bias = 1.0: it has no forget gate"),
        ({"name": "mingru", "chrono_init": 9}, r"chrono_init = 9: its gates are none that are begun so"),
        ({"name": "lstm", "chrono_init": 9, "forget_bias": 1.0}, r"give one"),
        ({"name": "mingru", "layer_norm": True}, r"are for a product with h: it has none"),
        ({"name": "minlstm", "recurrent_init": "orthogonal"}, r"are for a product with h: it has none"),
    ],
)
def test_options_that_a_recurrence_has_not(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RecurrentFamily(**settings)


@pytest.mark.parametrize("make", [symbol_model, value_model])
def test_features_are_what_the_head_reads(make) -> None:
    model = make("lstm")
    x = torch.randint(3, (9, 2)) if make is symbol_model else torch.randn(9, 2, 3)
    options = {"lengths": torch.tensor([9, 4]), "resets": torch.rand(9, 2) < 0.3}
    start = model.advance(x)
    features, state = model.features(x, start, **options)
    distribution, wanted = model(x, start, **options)
    through_head = model.head(features) if make is symbol_model else model.head(features, x[..., :2])
    target = torch.zeros(9, 2).long() if make is symbol_model else torch.zeros(9, 2, 2)
    assert torch.equal(through_head.log_prob(target), distribution.log_prob(target))
    for part, other in zip(leaves(state), leaves(wanted), strict=True):
        assert torch.equal(part[1], other[1])
    h = next(part for _, part in leaves(state) if part.shape == (1, 2, 8))
    assert torch.equal(features[[8, 3], [0, 1]], h[0])


def test_samples_match_their_own_probabilities() -> None:
    model = symbol_model()
    for parameter in model.parameters():  # far from uniform, so that the order of things matters
        parameter.data.mul_(3)
    every = torch.tensor(list(itertools.product(range(3), repeat=3))).T
    expected = model.log_prob(every).sum(0).exp() * 20_000
    torch.manual_seed(1)
    drawn = model.sample(3, batch_size=20_000)
    counts = torch.stack([(drawn == column[:, None]).all(0).sum() for column in every.T])
    chi_squared = ((counts - expected).square() / expected).sum()
    assert chi_squared < 54.05  # 99.9 % of a chi-squared variable with 26 degrees of freedom


@pytest.mark.parametrize("model", [symbol_model(cell) for cell in CELLS] + [value_model(cell) for cell in CELLS])
def test_streaming_equals_whole(model: SequenceModel) -> None:
    torch.manual_seed(2)
    symbols = isinstance(model.embedding, nn.Sequential)
    inputs = torch.randint(3, (9, 2)) if symbols else torch.randn(9, 2, 3)
    targets = torch.randint(3, (9, 2)) if symbols else torch.randn(9, 2, 2)
    whole = model(inputs)[0].log_prob(targets)
    state, parts = None, []
    for start, stop in ((0, 1), (1, 5), (5, 9)):
        distribution, state = model(inputs[start:stop], state)
        parts.append(distribution.log_prob(targets[start:stop]))
    torch.testing.assert_close(torch.cat(parts), whole)


def test_a_ragged_batch_equals_each_sequence_alone() -> None:
    model = value_model()
    torch.manual_seed(3)
    inputs, targets = torch.randn(6, 2, 3), torch.randn(6, 2, 2)
    together = model(inputs, lengths=torch.tensor([6, 4]))[0].log_prob(targets)
    alone = model(inputs[:4, 1:])[0].log_prob(targets[:4, 1:])
    torch.testing.assert_close(together[:4, 1:], alone)


def test_values_are_predicted_as_changes_from_the_last_one() -> None:
    model = value_model(head="normal", known=0)
    inputs = torch.randn(5, 2, 2)
    shifted = model(inputs + 100)[0].mean - model(inputs)[0].mean
    torch.testing.assert_close(shifted, torch.full_like(shifted, 100.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("layer", [GRU(4, 8, num_layers=2), LSTM(4, 8)])
def test_a_repeated_state_is_that_of_repeated_sequences(layer: nn.Module) -> None:
    model = SequenceModel(nn.Identity(), layer, HEADS["normal"](8, 4))
    x = torch.randn(3, 2, 4)
    _, state = model(x)
    _, wanted = model(x.repeat_interleave(5, 1))
    repeated = model.repeat_state(state, 5)
    torch.testing.assert_close(repeated, wanted)


@pytest.mark.parametrize(("name", "size"), [("bernoulli", 3), ("normal", 3), ("student_t", 3), ("categorical", 3)])
def test_heads_train_towards_the_data(name: str, size: int) -> None:
    torch.manual_seed(0)
    head, features = HEADS[name](2, size), torch.ones(4, 5, 2)
    target = torch.randint(3, (4, 5)) if name == "categorical" else (torch.rand(4, 5, size) < 0.3).float()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = negative_log_likelihood(head(features), target)
        assert loss.shape == (4, 5)
        losses.append(loss.mean().item())
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_decoding() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().expand(5000, 4)
    distribution = Categorical(logits=logits)
    assert set(Decoding(top_k=2).draw(distribution).tolist()) == {0, 1}
    assert set(Decoding(top_p=0.75).draw(distribution).tolist()) == {0, 1}
    assert set(Decoding(top_p=0.4).draw(distribution).tolist()) == {0}
    assert set(Decoding(temperature=0.0).draw(distribution).tolist()) == {0}
    cold = (Decoding(temperature=0.5).draw(distribution) == 0).double().mean().item()
    assert cold == pytest.approx(0.25 / (0.25 + 0.09 + 0.0225 + 0.0025), abs=0.03)
    for wrong in ({"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"temperature": float("nan")}):
        with pytest.raises(ConfigurationError):
            Decoding(**wrong)
    with pytest.raises(UnsupportedError, match="for symbols"):
        Decoding(temperature=0.5).draw(Normal(torch.zeros(1), torch.ones(1)))


def test_refusals() -> None:
    with pytest.raises(ShapeError, match=r"expected \[time, batch, feature\]"):
        value_model()(torch.zeros(5, 3))
    with pytest.raises(ShapeError, match=r"expected \[time, batch\] indices"):
        symbol_model()(torch.zeros(5, dtype=torch.long))
    with pytest.raises(UnsupportedError, match="no location"):
        HEADS["categorical"](2, 3)(torch.zeros(1, 1, 2), torch.zeros(1, 1, 3))
    with pytest.raises(ConfigurationError, match="must agree"):
        SequenceModel(nn.Identity(), GRU(4, 8), HEADS["normal"](8, 4), residual=2)


def test_forecasts_are_samples_after_a_warm_up() -> None:
    model = value_model()
    observed, known = torch.randn(6, 3, 2), torch.randn(10, 3, 1)
    torch.manual_seed(4)
    paths = model.forecast(observed, 4, known, samples=5)
    assert paths.shape == (5, 4, 3, 2)
    inputs = torch.cat([observed, known[1:7]], -1).repeat_interleave(5, 1)
    _, state = model(inputs[:-1])
    torch.manual_seed(4)
    wanted = model.sample(4, inputs[-1], state, known=known[7:].repeat_interleave(5, 1))
    torch.testing.assert_close(paths[2, :, 1], wanted[:, 1 * 5 + 2])
    with pytest.raises(ShapeError, match=r"time \+ horizon"):
        model.forecast(observed, 5, known)


def test_scores_are_surprise() -> None:
    x = torch.randint(3, (5, 2))
    assert torch.equal(symbol_model().score(x), -symbol_model().log_prob(x))


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (GRU(4, 4, bidirectional=True), "GRU is bidirectional: it sees the future"),
        (nn.LSTM(4, 4, bidirectional=True), "use bidirectional=False"),
        (nn.GRU(4, 8, batch_first=True), "would take time for batch and mix the sequences"),
        (Sequential(nn.Linear(4, 4), Sequential(nn.GRU(4, 8, batch_first=True))), "use batch_first=False"),
    ],
)
def test_a_backbone_that_sees_the_future_or_mixes_sequences_is_refused(backbone: nn.Module, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SequenceModel(nn.Identity(), backbone, HEADS["normal"](8, 4))


def test_a_backbone_that_says_it_does_not_stream_is_refused() -> None:
    backbone = nn.Linear(4, 8)
    backbone.streams = False  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="streams = False"):
        SequenceModel(nn.Identity(), backbone, HEADS["normal"](8, 4))


@pytest.mark.parametrize("cell", CELLS)
def test_log_prob_reads_what_is_known_of_each_step(cell: str) -> None:
    model = value_model(cell, "normal")
    x, known = torch.randn(6, 3, 2), torch.randn(6, 3, 1)
    wanted, state, before = [], None, torch.zeros(3, 2)
    for element, row in zip(x, known, strict=True):  # x_t from x_{t−1} and known_t, one step after the other
        distribution, state = model(torch.cat([before, row], -1)[None], state)
        wanted.append(distribution.log_prob(element)[0])
        before = element
    torch.testing.assert_close(model.log_prob(x, known), torch.stack(wanted))
    torch.testing.assert_close(model.score(x, known), -torch.stack(wanted))
    lengths = torch.tensor([6, 2, 4])
    valid = torch.arange(6)[:, None] < lengths
    torch.testing.assert_close(model.score(x, known, lengths=lengths), -torch.stack(wanted) * valid)


def test_the_first_step_reads_what_is_known_of_it() -> None:
    model = value_model()
    x, known = torch.randn(4, 2, 2), torch.randn(4, 2, 1)
    other = known.clone()
    other[0] += 1
    assert not torch.equal(model.log_prob(x, known)[0], model.log_prob(x, other)[0])
    torch.manual_seed(5)
    drawn = model.sample(3, batch_size=2, known=known[:3])
    torch.manual_seed(5)
    first = torch.cat([torch.zeros(2, 2), known[0]], -1)
    assert torch.equal(drawn, model.sample(3, first, known=known[1:3]))


def test_elements_and_known_columns_that_do_not_fit_are_refused() -> None:
    model, x, known = value_model(), torch.randn(6, 3, 2), torch.randn(6, 3, 1)
    with pytest.raises(ShapeError, match=r"x is \[6, 3, 3\], expected \[time, batch, 2\]"):
        model.log_prob(torch.cat([x, known], -1))
    with pytest.raises(ShapeError, match=r"known has 0 columns.*built to read 1: give known \[time, batch, 1\]"):
        model.log_prob(x)
    with pytest.raises(ShapeError, match="known has 2 columns"):
        model.score(x, known.expand(6, 3, 2))
    with pytest.raises(ShapeError, match="built to read 0: leave known out"):
        value_model(known=0).log_prob(x, known)
    with pytest.raises(ShapeError, match=r"expected \[6, 3, feature\]"):
        model.log_prob(x, known[1:])
    with pytest.raises(ShapeError, match="none beside symbols"):
        symbol_model().log_prob(torch.zeros(6, 3, dtype=torch.long), known)
    with pytest.raises(ShapeError, match=r"expected indices \[time, batch\]"):
        symbol_model().log_prob(x)
    with pytest.raises(ShapeError, match="built to read 1"):
        model.sample(3, batch_size=3)
    with pytest.raises(ShapeError, match=r"known is \[1, 3, 1\], expected \[2, 3, feature\]"):
        model.sample(3, torch.zeros(3, 3), known=known[:1])


@pytest.mark.parametrize(
    ("modules", "width"),
    [
        ((nn.Identity(), Sequential(Lags(2, (0, 1, 5)), Sequential(GRU(7, 8), nn.Dropout()))), 3),
        ((nn.Sequential(nn.Linear(5, 4), nn.Tanh()), GRU(4, 8)), 5),
        ((nn.Identity(), Recurrent(GRUCell(3, 8))), 3),
        ((nn.Identity(), nn.LSTM(4, 8)), 4),
        ((nn.Embedding(5, 4), GRU(4, 8)), None),
        ((nn.Identity(),), None),
    ],
)
def test_the_width_of_inputs_is_what_the_first_layers_tell(modules: tuple[nn.Module, ...], width: int | None) -> None:
    assert input_width(*modules) == width


@pytest.mark.parametrize("layer", [nn.RNN(2, 8), nn.GRU(2, 8, num_layers=2), nn.LSTM(2, 8)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_torchs_layers_serve_as_backbones(layer: nn.RNNBase, wrapped: bool) -> None:
    model = SequenceModel(nn.Identity(), Sequential(layer) if wrapped else layer, HEADS["normal"](8, 2))
    x = torch.randn(5, 3, 2)
    assert torch.equal(model(x)[0].mean, model(x, model.initial_state(3))[0].mean)
    wanted = model(x.repeat_interleave(4, 1))[1]
    torch.testing.assert_close(model.repeat_state(model(x)[1], 4), wanted)
    assert model.forecast(x, 3, samples=4).shape == (4, 3, 3, 2)
    assert model.forecast(x[:1], 3, samples=4).shape == (4, 3, 3, 2)
    assert model.sample(4, batch_size=2).shape == (4, 2, 2)
    for extra in ({"lengths": torch.tensor([5, 2, 1])}, {"resets": torch.zeros(5, 3, dtype=torch.bool)}):
        with pytest.raises(UnsupportedError, match=r"takes no .*: throughtime's layers do"):
            model(x, **extra)
    with pytest.raises(UnsupportedError, match="takes no lengths"):
        model.log_prob(x, lengths=torch.tensor([5, 2, 1]))


def test_a_backbone_without_a_first_state_is_named() -> None:
    with pytest.raises(UnsupportedError, match="Linear has no initial_state"):
        SequenceModel(nn.Identity(), nn.Linear(2, 8), HEADS["normal"](8, 2)).initial_state(1)
