"""Direct forecasts: what they read, what they are equal to, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from throughtime import Batch, ConfigurationError, Full, ShapeError, Truncated, UnsupportedError, backward
from throughtime.models import (
    BernoulliHead,
    DirectForecaster,
    LaplaceHead,
    NormalHead,
    ValueModelConfiguration,
    family,
    loss_named,
    negative_log_likelihood,
)
from throughtime.models.direct import SegmentNetwork, SummaryNetwork

LOOKBACK, HORIZON, BATCH = 7, 4, 3
NAMES = ("segrnn", "gru", "tcn", "transformer", "mlp")


def built(name: str, observed: int = 2, known: int = 0, normalisation: str = "last", **more) -> DirectForecaster:
    torch.manual_seed(0)
    settings = {"name": name, "hidden_size": 8, "dropout": 0.0} | ({"segment": 3} if name == "segrnn" else {}) | more
    direct = {"lookback": LOOKBACK, "horizon": HORIZON, "normalisation": normalisation}
    model = ValueModelConfiguration.model_validate(
        {"observed": observed, "known": known, "head": "laplace", "direct": direct, "family": family(settings)}
    ).build()
    assert isinstance(model, DirectForecaster)
    return model.double().eval()


def windows(features: int = 2) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(LOOKBACK + HORIZON - 1, BATCH, features, dtype=torch.float64)


def parts(distribution) -> tuple[Tensor, Tensor]:
    return distribution.base_dist.loc, distribution.base_dist.scale


@pytest.mark.parametrize("name", NAMES)
def test_nothing_after_the_lookback_is_read_but_what_is_known(name: str) -> None:
    model, inputs = built(name, known=1), windows(3).requires_grad_()
    distribution, state = model(inputs)
    assert distribution.batch_shape == (HORIZON, BATCH)
    assert distribution.event_shape == (2,)
    assert state is None
    sum(part.sum() for part in parts(distribution)).backward()
    assert inputs.grad is not None
    assert inputs.grad[LOOKBACK:, :, :2].abs().max() == 0
    assert (inputs.grad[LOOKBACK - 1 :, :, 2] != 0).all()
    assert (inputs.grad[LOOKBACK - 1, :, :2] != 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_window_is_forecast_by_itself(name: str) -> None:
    model, inputs = built(name), windows()
    whole, alone = model(inputs)[0], model(inputs[:, 1:2])[0]
    for found, wanted in zip(parts(alone), parts(whole), strict=True):
        torch.testing.assert_close(found[:, 0], wanted[:, 1])


@pytest.mark.parametrize(("normalisation", "spread"), [("last", 1.0), ("instance", 3.0)])
def test_a_window_that_is_moved_moves_its_forecast(normalisation: str, spread: float) -> None:
    model, inputs = built("segrnn", normalisation=normalisation), 5 * windows()
    (location, scale), (moved, stretched) = (parts(model(x)[0]) for x in (inputs, spread * inputs + 40))
    torch.testing.assert_close(moved, spread * location + 40, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(stretched, spread * scale, rtol=1e-6, atol=1e-6)


def test_without_normalisation_a_level_is_a_level() -> None:
    model, inputs = built("gru", normalisation="none"), windows()
    assert (parts(model(inputs + 40)[0])[0] - parts(model(inputs)[0])[0]).abs().max() < 5


def test_segments_by_hand() -> None:
    torch.manual_seed(2)
    network = SegmentNetwork(2, 1, lookback=LOOKBACK, horizon=HORIZON, segment=3, hidden_size=6).double()
    values, known = windows()[:LOOKBACK], windows(1)
    cell = nn.GRUCell(6, 6).double()
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in network.recurrence.state_dict().items()})
    padded = torch.cat([known[-HORIZON:], known.new_zeros(2, BATCH, 1)])
    assert network.known is not None
    for channel in range(2):
        h = torch.zeros(BATCH, 6, dtype=torch.float64)
        for start in (1, 4):  # the first of seven steps is left over
            h = cell(network.embedding(values[start : start + 3, :, channel].T).relu(), h)
        for place, start in enumerate((0, 3)):
            query = torch.cat([network.places[place], network.channels[channel]])
            query = query + network.known(padded[start : start + 3, :, 0].T)
            torch.testing.assert_close(network(values, known)[place, :, channel], cell(query, h))


def test_a_segments_steps_stand_in_their_order() -> None:
    network = SegmentNetwork(2, 0, lookback=LOOKBACK, horizon=HORIZON, segment=3, hidden_size=6)
    model = DirectForecaster(
        network, LaplaceHead(6, 3), lookback=LOOKBACK, horizon=HORIZON, observed=2, normalisation="none"
    )
    with torch.no_grad():
        model.head.linear.weight.zero_()
        model.head.linear.bias[:3] = torch.tensor([1.0, 2.0, 3.0])
    location, _ = parts(model(windows().float())[0])
    assert location[:, 0].tolist() == [[1, 1], [2, 2], [3, 3], [1, 1]]


@pytest.mark.parametrize("name", NAMES)
def test_a_shorter_history_begins_with_its_first_value(name: str) -> None:
    model, history = built(name), windows()[:3]
    filled = torch.cat([history[:1].expand(LOOKBACK - 3, -1, -1), history])
    for found, wanted in zip(
        parts(model.distribution(history, HORIZON)), parts(model.distribution(filled, HORIZON)), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_a_shorter_horizon_is_the_beginning_of_the_whole() -> None:
    model, history, known = built("gru", known=1), windows()[:LOOKBACK], windows(1)
    known = torch.cat([known, known[:1]])
    whole = parts(model.distribution(history, HORIZON, known))[0]
    part = parts(model.distribution(history, 2, known[: LOOKBACK + 2]))[0]
    torch.testing.assert_close(part[:2], whole[:2])
    assert model.forecast(history, 2, known[: LOOKBACK + 2], samples=5).shape == (5, 2, BATCH, 2)


def test_samples_are_drawn_from_the_distribution() -> None:
    model, history = built("gru"), windows()[:LOOKBACK]
    torch.manual_seed(3)
    drawn = model.forecast(history, HORIZON, samples=20_000)
    location, scale = parts(model.distribution(history, HORIZON))
    torch.testing.assert_close(drawn.median(0).values, location, atol=0.05, rtol=0)
    torch.testing.assert_close((drawn - location).abs().mean(0), scale, rtol=0.05, atol=0)


@pytest.mark.parametrize("name", ["segrnn", "gru"])
def test_the_next_step_after_each_step_streamed_or_not(name: str) -> None:
    model, inputs = built(name), windows().repeat(2, 1, 1)[:, :1]
    found, _ = model.next_step(inputs)
    assert found.batch_shape == (len(inputs), 1)
    for step in range(len(inputs)):
        wanted = parts(model.distribution(inputs[: step + 1], HORIZON))
        for mine, theirs in zip(parts(found), wanted, strict=True):
            torch.testing.assert_close(mine[step], theirs[0])
    state, pieces = None, []
    for piece in (inputs[:1], inputs[1:6], inputs[6:]):
        distribution, state = model.next_step(piece, state)
        pieces.append(distribution.base_dist.loc)
    torch.testing.assert_close(torch.cat(pieces), found.base_dist.loc)


def test_only_the_horizon_loses() -> None:
    model, inputs = built("segrnn"), windows()
    targets = torch.cat([inputs[1:], inputs[:1]])
    distribution, _ = model(inputs)
    for name in ("nll", "crps"):
        loss = loss_named(name)(distribution, targets)
        assert loss.shape == (len(inputs), BATCH)
        assert loss[: LOOKBACK - 1].abs().max() == 0
        assert (loss[LOOKBACK - 1 :] != 0).all()
    torch.testing.assert_close(
        negative_log_likelihood(distribution, targets)[LOOKBACK - 1 :], -distribution.log_prob(targets[LOOKBACK - 1 :])
    )


def test_it_is_trained_by_whole_gradients_alone() -> None:
    model, inputs = built("gru"), windows()
    weights = torch.zeros(len(inputs), BATCH, dtype=torch.float64)
    weights[LOOKBACK - 1 :] = 1
    batch = Batch(inputs, inputs, weights=weights)
    done = backward(model, batch, negative_log_likelihood, Full())
    assert done.count == HORIZON * BATCH
    with pytest.raises(UnsupportedError, match=r"Truncated feeds a sequence in pieces, and DirectForecaster cannot"):
        backward(model, batch, negative_log_likelihood, Truncated(3))


def test_what_is_refused() -> None:
    model, inputs = built("gru"), windows()
    with pytest.raises(ShapeError, match=r"inputs are \[9, 3, 2\]: a direct .* lookback 7 and horizon 4, 10 steps"):
        model(inputs[:-1])
    with pytest.raises(ShapeError, match=r"with lengths"):
        model(inputs, lengths=torch.tensor([3, 2, 1]))
    with pytest.raises(ShapeError, match=r"a horizon of 5: .* a horizon of 4 at most, as the model was built for"):
        model.forecast(inputs, 5)
    with pytest.raises(ShapeError, match=r"known \[3, 3, 0\] for a horizon of 4"):
        model.forecast(inputs, 4, inputs[:3, :, :0])
    with pytest.raises(ConfigurationError, match=r"BernoulliHead has no location: a forecast of values needs one"):
        DirectForecaster(model.network, BernoulliHead(8, 2), lookback=7, horizon=4, observed=2)
    with pytest.raises(ConfigurationError, match=r"segment=8 is longer than the lookback of 7"):
        built("segrnn", segment=8)
    with pytest.raises(ConfigurationError, match=r"hidden_size=7: half of it tells the place"):
        built("segrnn", hidden_size=7)
    with pytest.raises(ConfigurationError, match=r"ar foretells one step after the other"):
        family({"name": "ar"}).of_horizon(1, 0, 7, 4, "normal")
    with pytest.raises(ConfigurationError, match=r"segrnn forecasts whole horizons: use gru"):
        family({"name": "segrnn"}).of_values(1, 0, (1,), "normal")


def test_a_summary_of_ones_own_layers() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, None]:
            return x.cumsum(0) / torch.arange(1, len(x) + 1)[:, None, None], None

    network = SummaryNetwork(Mean(), 0, HORIZON, 2)
    model = DirectForecaster(network, NormalHead(2, 2), lookback=LOOKBACK, horizon=HORIZON, observed=2)
    assert model(windows().float())[0].batch_shape == (HORIZON, BATCH)
