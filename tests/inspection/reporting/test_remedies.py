"""Remedies: proposed where they are due, with evidence from a copy, and of use when they are followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from throughtime import Batch
from throughtime.inspection import gradient_flow
from throughtime.inspection.reporting.remedies import Remedy, remedies
from throughtime.models.losses import mean_squared_error
from throughtime.nn import GRU, LSTM, RNN

STEPS, LAG = 80, 60


class Reader(nn.Module):
    """A recurrence of torch's, and what reads it."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn, self.read = rnn, nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.rnn(x)[0])


def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.randn(STEPS, 8, 2, generator=generator), torch.randn(STEPS, 8, 1, generator=generator))


def proposed(model: nn.Module, lag: int = LAG, **settings: object) -> tuple[str, tuple[Remedy, ...]]:
    flow = gradient_flow(model, batch(), mean_squared_error, lag)
    return flow.verdict.word, remedies(model, batch(), mean_squared_error, flow, **settings)


def fresh(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return Reader(make())


def exploding() -> nn.Module:
    model = fresh(lambda: RNN(2, 24, nonlinearity="relu", recurrent_init="orthogonal"))
    model.rnn.weight_hh_l0.data *= 2.5
    return model


FOLLOWED = {
    "--recurrent-init orthogonal": lambda: RNN(2, 24, recurrent_init="orthogonal"),
    "--model lstm --chrono-init 60": lambda: LSTM(2, 24, chrono_init=60),
}


@pytest.mark.parametrize("make", [lambda: RNN(2, 24), lambda: nn.RNN(2, 24)])
def test_followed_they_change_the_verdict(make: Callable[[], nn.Module]) -> None:
    word, found = proposed(fresh(make))
    assert word == "vanishing"
    helpful = [remedy for remedy in found if remedy.verdict is not None and remedy.verdict.word == "healthy"]
    assert [remedy.option for remedy in helpful][:1] == ["--model lstm --chrono-init 60"]
    for remedy in helpful:
        assert proposed(fresh(FOLLOWED[remedy.option]))[0] == "healthy"


@pytest.mark.parametrize(("layer", "gate"), [(LSTM, "forget"), (GRU, "update"), (nn.GRU, "update")])
def test_gates_that_keep_for_the_lag_of_the_task(layer: type[nn.Module], gate: str) -> None:
    word, found = proposed(fresh(lambda: layer(2, 24)))
    assert (word, found[0].option) == ("vanishing", "--chrono-init 60")
    assert found[0].evidence.startswith(f"the {gate} gate's bias is")
    ours = LSTM if layer is LSTM else GRU
    assert proposed(fresh(lambda: ours(2, 24, chrono_init=60)))[0] == "healthy"


def test_what_helped_in_a_copy_comes_before_what_did_not() -> None:
    _, found = proposed(fresh(lambda: LSTM(2, 24)))
    words = [remedy.verdict.word for remedy in found if remedy.verdict is not None]
    assert words == sorted(words, key=["healthy", "inconclusive", "vanishing", "exploding"].index)


def test_clipping_is_told_by_the_norms_of_training() -> None:
    word, found = proposed(exploding(), norms=[*map(float, range(1, 101)), float("nan")])
    assert word == "exploding"
    (clipping,) = [remedy for remedy in found if remedy.title.startswith("clipping")]
    assert clipping.option == "--clip 90.1"
    assert "of 100 logged gradient norms the 90th percentile is 90.1 and the largest 100" in clipping.evidence


def test_a_cut_that_takes_away_what_would_arrive() -> None:
    torch.manual_seed(0)
    model = RNN(2, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        model.weight_hh_l0.copy_(0.95 * torch.eye(2))
        model.weight_ih_l0.abs_()
    seen = Batch(torch.rand(STEPS, 2, 2), torch.zeros(STEPS, 2, 2))
    flow = gradient_flow(model, seen, lambda output, target: output.sum(-1), 40, anchors=[STEPS - 1])
    (longer,) = remedies(model, seen, lambda output, target: output.sum(-1), flow, truncation=10)
    share = (0.95**10 - 0.95**STEPS) / (1 - 0.95**STEPS)
    assert f"{share:.0%} of the gradient comes from 10 steps back" in longer.evidence
    assert longer.option == f"--strategy truncated:10,{flow.reach + 1}"
    assert remedies(model, seen, lambda output, target: output.sum(-1), flow, truncation=79) == ()


def test_a_healthy_flow_needs_none() -> None:
    word, found = proposed(fresh(lambda: GRU(2, 24)), lag=3)
    assert (word, found) == ("healthy", ())


def test_saturation_speaks_for_layer_normalisation() -> None:
    model = fresh(lambda: RNN(2, 24))
    model.rnn.weight_hh_l0.data *= 30
    _, found = proposed(model)
    (remedy,) = [remedy for remedy in found if remedy.title == "layer normalisation"]
    assert "of all |h| are above 0.9" in remedy.evidence
    calm = proposed(fresh(lambda: RNN(2, 24)))[1]
    assert "layer normalisation" not in [remedy.title for remedy in calm]


def test_the_model_and_torch_s_random_numbers_are_left_alone() -> None:
    model = fresh(lambda: RNN(2, 24))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(7)
    proposed(model)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_model_that_does_not_take_another_layer_is_told_in_words() -> None:
    class Choosy(Reader):
        def forward(self, x: Tensor) -> Tensor:
            out, h = self.rnn(x)
            assert isinstance(h, Tensor)
            return self.read(out)

    torch.manual_seed(3)
    _, found = proposed(Choosy(nn.RNN(2, 24)))
    (gating,) = [remedy for remedy in found if remedy.title.startswith("gating")]
    assert gating.verdict is None
    assert "each step keeps" in gating.evidence
    assert gating.to_dict()["verdict"] is None
