"""What must hold of every model, by what it declares: that it streams, that it is a density, that it is saved."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Distribution, StudentT

from throughtime import Batch, ThroughtimeError, UnsupportedError, backward, models
from throughtime._state import leaves, map_state
from throughtime.artifacts import load
from throughtime.data import read_series, read_text
from throughtime.gradients import strategy_named
from throughtime.models import (
    FAMILIES,
    NADE,
    RNADE,
    VAE,
    Autoencoder,
    Autoregression,
    Density,
    DirectForecaster,
    Head,
    KnownScale,
    SequenceVAE,
    Streaming,
    count_parameters,
    negative_log_likelihood,
)
from throughtime.nn.contract import batch_axes, streams
from throughtime.training import prepare

STEPS, BATCH, DRAWS, UNLIKELY = 7, 4, 20_000, 1e-4
WHOLE = ("truncated:7", "truncated:7,9", "checkpointed", "checkpointed:3", "checkpointed:1MB", "artbp:7,7")
"""Strategies that cut nothing within 7 steps."""

REFUSED = {
    "rtrl": ("tcn", "transformer"),
    "snap1": ("gru", "minlstm", "tcn", "transformer", "mlp", "ar"),  # gru and minlstm have two layers here
    "uoro": ("transformer",),
}
"""Which families each of the strategies that go forward in time refuses."""


def numbers(distribution: Distribution) -> list[Tensor]:
    """All parameters of a distribution, and of those that it is made of."""
    own = [value for name, value in vars(distribution).items() if name in distribution.arg_constraints]
    parts = [part for part in vars(distribution).values() if isinstance(part, Distribution)]
    return own + [number for part in parts for number in numbers(part)]


def assert_close(found: list[Tensor], wanted: list[Tensor]) -> None:
    assert len(found) == len(wanted) > 0
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if b.numel():
            a, b = a.detach().double(), b.detach().double()
            assert (a - b).abs().max() <= 1e-12 * max(1.0, float(b.abs().max()))


def tensors(state: Any) -> list[Tensor]:
    return [part for _, part in leaves(state)]


def column(state: Any, axes: Any, index: int) -> Any:
    """The state of one sequence of a batch."""
    return map_state(lambda part, axis: part.narrow(axis, index, 1), state, axes)


def marked(case: Any) -> tuple[Any, Tensor, Tensor, Tensor, Any]:
    """A model amid its sequences: the inputs that follow, how many are real, where one begins anew, the state."""
    model = case.model()
    torch.manual_seed(1)
    _, state = model(case.inputs(3, BATCH))
    lengths, resets = torch.tensor([STEPS, 4, 0, 6]), torch.zeros(STEPS, BATCH, dtype=torch.bool)
    resets[3, 0] = resets[0, 1] = resets[2, 1] = resets[5, 3] = True
    return model, case.inputs(STEPS, BATCH), lengths, resets, state


def test_every_model_is_in_the_list(cases) -> None:
    listed = {type(case.model()) for case in cases}
    public = {thing for thing in vars(models).values() if isinstance(thing, type) and issubclass(thing, nn.Module)}
    apart = {DirectForecaster, KnownScale}  # neither streams nor has a density of sequences; tested by themselves
    assert listed == {kind for kind in public - apart if not issubclass(kind, Head) and not inspect.isabstract(kind)}
    assert {case.settings["name"] for case in cases if case.settings} == {*FAMILIES} - {"segrnn"}


def test_a_model_is_what_it_declares(case) -> None:
    model = case.model()
    assert tuple(kind for kind in (Streaming, Density) if isinstance(model, kind)) == case.declares
    assert streams(model) == isinstance(model, Streaming)


def test_parameters_are_counted_as_the_model_tells(case) -> None:
    model = case.model()
    assert any(True for _ in model.parameters()) == case.learns
    held = sum(parameter.numel() for parameter in model.parameters())
    told = isinstance(model, Autoregression) or not case.learns
    assert count_parameters(model) == (model.parameter_count if told else held) > 0


@pytest.mark.parametrize("pieces", [[1] * STEPS, [3, 0, 4]], ids=str)
def test_pieces_equal_the_whole(streaming, pieces) -> None:
    model, inputs, lengths, resets, state = marked(streaming)
    for extras in ({}, {"lengths": lengths}, {"resets": resets}, {"lengths": lengths, "resets": resets}):
        whole, last = model(inputs, state, **extras)
        found, after, start = [], state, 0
        for size in pieces:
            given = {}
            if "lengths" in extras:
                given["lengths"] = (lengths - start).clamp(0, size)
            if "resets" in extras:
                given["resets"] = resets[start : start + size]
            distribution, after = model(inputs[start : start + size], after, **given)
            found.append(numbers(distribution))
            start += size
        assert_close([torch.cat(parts) for parts in zip(*found, strict=True)], numbers(whole))
        assert_close(tensors(after), tensors(last))


def test_each_sequence_is_as_it_is_alone_step_by_step(streaming) -> None:
    model, inputs, lengths, resets, state = marked(streaming)
    axes = batch_axes(model)
    whole, last = model(inputs, state, lengths=lengths, resets=resets)
    for index, length in enumerate(lengths.tolist()):
        own, found = column(state, axes, index), []
        for step in range(length):
            before = None if resets[step, index] else own
            distribution, own = model(inputs[step : step + 1, index : index + 1], before)
            found.append(numbers(distribution))
        assert_close(tensors(column(last, axes, index)), tensors(own))
        if found:
            wanted = [torch.cat(parts)[:, 0] for parts in zip(*found, strict=True)]
            assert_close([number[:length, index] for number in numbers(whole)], wanted)


def test_no_step_leaves_the_state(streaming) -> None:
    model, inputs, _, _, state = marked(streaming)
    distribution, after = model(inputs[:0], state)
    assert distribution.batch_shape == (0, BATCH)
    assert_close(tensors(after), tensors(state))
    assert model(inputs[:0])[0].batch_shape == (0, BATCH)
    assert model(inputs[:, :0])[0].batch_shape == (STEPS, 0)


def test_a_first_state_is_no_state(streaming) -> None:
    model, inputs, *_ = marked(streaming)
    (found, after), (wanted, last) = model(inputs, model.initial_state(BATCH)), model(inputs)
    assert_close(numbers(found) + tensors(after), numbers(wanted) + tensors(last))
    assert all(part.device.type == "meta" for part in tensors(model.to("meta").initial_state(BATCH)))


def test_what_stands_past_a_length_does_not_count(sequential) -> None:
    model, lengths = sequential.model(), torch.tensor([5, 2, 0])
    torch.manual_seed(2)
    x = sequential.draw(model, 5, 3)
    found = sequential.log_prob(model, x, lengths=lengths)
    wanted = [sequential.log_prob(model, x[:length, index : index + 1]) for index, length in enumerate((5, 2))]
    assert_close([found], [torch.cat([*wanted, torch.zeros(1).double()])])


def length_of(case: Any, most: int) -> int:
    """How long its x may be for there to be at most so many."""
    return max(length for length in range(1, 9) if len(case.row(case.space(length))) <= most)


def test_probabilities_of_all_sum_to_one(discrete) -> None:
    length = length_of(discrete, 256)
    log_prob = discrete.log_prob(discrete.model(length), discrete.space(length))
    assert log_prob.dtype == torch.float64
    assert len(log_prob.unique()) > length
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_samples_match_their_own_probabilities(discrete) -> None:
    length = length_of(discrete, 32)
    model, x = discrete.model(length), discrete.space(length)
    expected = discrete.log_prob(model, x).exp().detach() * DRAWS
    torch.manual_seed(3)
    drawn = discrete.row(discrete.draw(model, length, DRAWS))
    counts = (drawn[:, None] == discrete.row(x)).all(-1).sum(0).double()
    assert counts.sum() == DRAWS
    ranks = expected.argsort(descending=True)
    last = int((expected >= 5).sum())  # it and what is rarer count as one
    assert last > 8
    found, wanted = (np.append(part[ranks[: last - 1]], part[ranks[last - 1 :]].sum()) for part in (counts, expected))
    assert stats.chisquare(found, wanted).pvalue > UNLIKELY


U = torch.linspace(-14, 14, 8001).double()
"""Values are sinh u: the tails of Student's t reach far."""


def along(case: Any, model: Any, past: int) -> Tensor:
    """The density of u."""
    return (case.line(model, U.sinh(), past).detach() + U.cosh().log()).exp()


def on_a_line(case: Any, length: int) -> Any:
    """A model of sequences of one value a step, or of vectors of that length."""
    return case.model(length if isinstance(case.model(), RNADE) else 1)


@pytest.mark.parametrize("past", [0, 2])
def test_densities_integrate_to_one(continuous, past: int) -> None:
    model = on_a_line(continuous, past + 1)
    assert torch.trapezoid(along(continuous, model, past), U).item() == pytest.approx(1, abs=1e-8)


def test_first_values_follow_their_density(continuous) -> None:
    model = continuous.model(1)
    torch.manual_seed(3)
    drawn = continuous.draw(model, 1, DRAWS).flatten()
    assert drawn.dtype == torch.float64
    assert len(drawn) == DRAWS
    share = torch.cumulative_trapezoid(along(continuous, model, 0), U)
    found = stats.kstest(drawn.numpy(), lambda x: np.interp(np.arcsinh(x), U[1:], share))
    assert found.pvalue > UNLIKELY


def below(distribution: Distribution, x: Tensor) -> Tensor:
    """How probable values below x are, [time, batch]."""
    base = getattr(distribution, "base_dist", distribution)
    if not isinstance(base, StudentT):
        return base.cdf(x.view(base.batch_shape)).view(x.shape)
    parts = (part[..., 0].detach() for part in (base.df, base.loc, base.scale))
    return torch.as_tensor(stats.t.cdf(x, *parts))


def test_later_values_follow_what_came_before(continuous) -> None:
    model = on_a_line(continuous, 4)
    torch.manual_seed(3)
    inputs, x = continuous.walk(model, continuous.draw(model, 4, DRAWS // 4))
    for step in below(model(inputs)[0], x).detach():
        assert stats.kstest(step.numpy(), "uniform").pvalue > UNLIKELY


def test_gradients_against_finite_differences(trained) -> None:
    model = trained.model(4 if isinstance(trained.model(), NADE | RNADE) else None)
    names, parameters = zip(*model.named_parameters(), strict=True)
    torch.manual_seed(4)
    x = trained.draw(model, 4, 3)

    class LogProb(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return trained.log_prob(self.model, x)

    def run(x: Tensor, *values: Tensor) -> Tensor:
        named = {f"model.{name}": value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(LogProb(), named, (x,))

    assert torch.autograd.gradcheck(run, (x.requires_grad_(trained.continuous), *parameters), fast_mode=True)
    gradients = torch.autograd.grad(run(x, *parameters).sum(), parameters)
    assert all(bool(gradient.any()) for gradient in gradients)


def said(case: Any, model: Any) -> list[Tensor]:
    """What a model tells by the same random numbers."""
    torch.manual_seed(5)
    if isinstance(model, Autoencoder):
        return [model(torch.randn(3, model.size).double())]
    x = case.draw(model, 4, 3)
    if isinstance(model, Density):
        return [x, case.log_prob(model, x)]
    bound = model(x)
    return [x, bound.reconstruction, bound.kl]


def test_saved_and_loaded(case, tmp_path: Path) -> None:
    model, other = case.model(), case.model(seed=1)
    assert not torch.equal(said(case, other)[-1], said(case, model)[-1])
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert all(map(torch.equal, said(case, other), said(case, model)))


def test_a_run_gives_the_model_back(named, tmp_path: Path) -> None:
    torch.manual_seed(6)
    small = {"family": named.settings, "training": {"epochs": 1}}
    if named.continuous:
        frame = pl.DataFrame({"y": torch.randn(60).cumsum(0).tolist()})
        training = prepare(read_series(frame), tmp_path / "run", task={"horizon": 2, "windows": 8}, **small)
        inputs, x = torch.randn(5, 2, 1), torch.randn(5, 2, 1)
    else:
        (tmp_path / "text.txt").write_text("abacabadabacaba" * 20)
        training = prepare(read_text(tmp_path / "text.txt"), tmp_path / "run", task={"steps": 8}, **small)
        inputs = x = torch.randint(4, (5, 2))
    training.fit()
    model, loaded = training.model, load(tmp_path / "run").model.eval()
    assert type(loaded) is type(model)
    (distribution, state), (other, last) = model(inputs), loaded(inputs)
    found, wanted = numbers(other) + tensors(last), numbers(distribution) + tensors(state)
    assert all(map(torch.equal, found, wanted))
    assert torch.equal(loaded.log_prob(x), model.log_prob(x))


def learning(case: Any) -> tuple[Any, Batch]:
    """A model, and a batch in which sequences end and begin."""
    model, inputs, lengths, resets, _ = marked(case)
    return model, Batch(inputs, case.targets(STEPS, BATCH), lengths, resets)


def gradient(model: Any, batch: Batch, strategy: str) -> list[Tensor]:
    model.zero_grad()
    backward(model, batch, negative_log_likelihood, strategy)
    return [torch.zeros_like(part) if part.grad is None else part.grad.clone() for part in model.parameters()]


def test_strategies_that_cut_nothing_agree(in_time) -> None:
    given = learning(in_time)
    wanted = gradient(*given, "full")
    assert all(bool(part.any()) for part in wanted)
    for strategy in WHOLE:
        assert_close(gradient(*given, strategy), wanted)


def test_the_exact_gradient_forward_in_time_agrees(differentiable_forward) -> None:
    given = learning(differentiable_forward)
    assert_close(gradient(*given, "rtrl"), gradient(*given, "full"))


def test_snap1_is_exact_where_units_are_alone_and_lags_are_read(cases) -> None:
    (case,) = [case for case in cases if case.name == "mingru of values"]
    given = learning(case)
    assert_close(gradient(*given, "snap1"), gradient(*given, "full"))


@pytest.mark.parametrize(("strategy", "name"), [(key, name) for key, names in REFUSED.items() for name in names])
def test_what_has_no_gradient_forward_in_time_says_what_else(cases, strategy: str, name: str) -> None:
    for case in cases:
        if case.settings.get("name") == name:
            with pytest.raises(UnsupportedError, match=r": use \w+\(") as refusal:
                gradient(*learning(case), strategy)
            assert "\n" not in str(refusal.value)


def test_what_has_no_gradient_or_no_state_is_refused_in_words(case) -> None:
    model, inputs = case.model(), case.inputs(STEPS, BATCH)
    batch = Batch(inputs, inputs)
    if not isinstance(model, Streaming):
        with pytest.raises(UnsupportedError, match=r"cannot take it so .*: use Full\(\)") as refusal:
            strategy_named("truncated:3").check(model)
    elif not case.learns:
        with pytest.raises(ThroughtimeError, match=r"not depend on any parameter|nothing a gradient") as refusal:
            backward(model, batch, negative_log_likelihood)
    else:
        strategy_named("truncated:3").check(model)
        return
    assert "\n" not in str(refusal.value)


def test_what_is_no_density_says_why() -> None:
    x = torch.zeros(2, 4)
    with pytest.raises(UnsupportedError, match=r"has no exact log_prob: .* elbo\(x\).value and .* are lower bounds"):
        VAE(4, 2).log_prob(x)
    with pytest.raises(UnsupportedError, match=r"has no exact log_prob: .* elbo\(x\).value and .* are lower bounds"):
        SequenceVAE(4, 2, 3).log_prob(x[None])
    with pytest.raises(UnsupportedError, match=r"defines no distribution of x, .* use VAE .* or NADE"):
        Autoencoder(4, 2).log_prob(x)
    with pytest.raises(UnsupportedError, match=r"nothing says how its codes are distributed, .* use VAE"):
        Autoencoder(4, 2).sample()
