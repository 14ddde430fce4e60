"""Variational autoencoders: against the one whose likelihood has a closed form, loops, torch and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal, kl_divergence
from torch.func import functional_call

from throughtime import ConfigurationError, DataError, ShapeError, UnsupportedError
from throughtime.models import (
    VAE,
    Autoencoder,
    Decoding,
    EvidenceLowerBound,
    SequenceVAE,
    evidence_lower_bound,
    importance_weighted_bound,
)

NOISE = 0.4
LOADINGS = torch.tensor([[1.0, 0.5], [0.5, -1.0], [1.0, 0.0], [0.0, 1.0]]).double()  # orthogonal columns
CENTRE = torch.tensor([0.3, -0.2, 0.0, 1.0]).double()


def before_softplus(scale: Tensor) -> Tensor:
    return torch.log(torch.expm1(scale - 1e-4))


def principal_components(optimal: bool) -> VAE:
    """x = LOADINGS z + CENTRE + NOISE ε, for which p(x) and p(z|x) are normal (Tipping & Bishop, 1999)."""
    torch.manual_seed(0)
    model = VAE(4, 2, hidden_sizes=(), head="normal").double()
    with torch.no_grad():
        model.head.linear.weight.copy_(torch.cat([LOADINGS, torch.zeros(4, 2)]))
        model.head.linear.bias.copy_(torch.cat([CENTRE, before_softplus(torch.full((4,), NOISE, dtype=torch.float64))]))
        if optimal:
            precision = LOADINGS.T @ LOADINGS / NOISE**2 + torch.eye(2)
            to_mean = torch.linalg.inv(precision) @ LOADINGS.T / NOISE**2
            scale = precision.diagonal().rsqrt()
            model.posterior.linear.weight.copy_(torch.cat([to_mean, torch.zeros(2, 4)]))
            model.posterior.linear.bias.copy_(torch.cat([-to_mean @ CENTRE, before_softplus(scale)]))
    return model


def marginal(x: Tensor) -> Tensor:
    return MultivariateNormal(CENTRE, LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(4).double()).log_prob(x)


def examples(batch: int = 3) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(batch, 4).double()


def test_bounds_are_tight_where_the_encoder_is_the_posterior() -> None:
    model, x = principal_components(optimal=True), examples()
    for samples in (1, 5):  # every weight p(x|z) p(z) / q(z|x) is p(x)
        torch.testing.assert_close(model.importance_weighted_bound(x, samples), marginal(x), rtol=1e-10, atol=1e-10)
    values = torch.stack([model.elbo(x).value for _ in range(2000)])
    error = values.std(0) / len(values) ** 0.5
    assert ((values.mean(0) - marginal(x)).abs() < 4.5 * error).all()
    torch.testing.assert_close(model.elbo(x, 100_000).value, marginal(x), rtol=0, atol=0.03)


def test_the_reconstruction_term_against_its_closed_form() -> None:
    model, x = principal_components(optimal=False), examples()
    q = model.encode(x).base_dist
    residual = (x - CENTRE - q.mean @ LOADINGS.T).square().sum(1) + (q.variance @ LOADINGS.T.square()).sum(1)
    wanted = -2 * math.log(2 * math.pi * NOISE**2) - residual / (2 * NOISE**2)
    torch.manual_seed(2)
    got = torch.stack([model.elbo(x, 100).reconstruction for _ in range(200)])
    assert ((got.mean(0) - wanted).abs() < 4.5 * got.std(0) / 200**0.5).all()


def test_the_bounds_rise_towards_the_likelihood_with_more_samples() -> None:
    model, x = principal_components(optimal=False), examples()
    torch.manual_seed(2)
    repeats, means = x.repeat(2000, 1), []
    for samples in (1, 4, 16, 256):
        means.append(model.importance_weighted_bound(repeats, samples).unflatten(0, (2000, 3)).mean(0))
    gaps = marginal(x) - torch.stack(means)
    assert (gaps > 0).all()
    assert (gaps[1:] < gaps[:-1]).all()
    assert (gaps[-1] < gaps[0] / 4).all()
    lower = model.elbo(repeats).value.unflatten(0, (2000, 3))
    assert ((lower.mean(0) - means[0]).abs() < 0.1 * gaps[0]).all()


def test_the_kl_term_against_torch_and_the_formula() -> None:
    torch.manual_seed(0)
    model, x = VAE(4, 3, (5,), head="normal").double(), examples()
    q = model.encode(x).base_dist
    got = model.elbo(x).kl
    torch.testing.assert_close(got, kl_divergence(q, Normal(torch.zeros(3).double(), 1.0)).sum(-1))
    formula = sum((q.mean[:, i] ** 2 + q.variance[:, i] - 1 - q.variance[:, i].log()) / 2 for i in range(3))
    torch.testing.assert_close(got, formula)


@pytest.mark.parametrize("bound", ["elbo", "importance"])
@pytest.mark.parametrize("kind", ["bernoulli", "normal", "sequence"])
def test_gradients_against_finite_differences(bound: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = SequenceVAE(2, 2, 3) if kind == "sequence" else VAE(4, 2, (3,), kind)
    x = torch.randn(3, 2, 2).double() if kind == "sequence" else (examples(2) > 0).double()
    more = {"lengths": torch.tensor([3, 1])} if kind == "sequence" else {}
    names, values = zip(*model.double().named_parameters(), strict=True)

    def value(self, x: Tensor) -> Tensor:
        torch.manual_seed(5)
        if bound == "elbo":
            return self.elbo(x, 2, **more).loss(0.7)
        return self.importance_weighted_bound(x, 3, **more)

    monkeypatch.setattr(type(model), "forward", value)
    assert torch.autograd.gradcheck(
        lambda *values: functional_call(model, dict(zip(names, values, strict=True)), (x,)), values, fast_mode=True
    )


def test_a_vae_against_a_loop() -> None:
    torch.manual_seed(0)
    model, x = VAE(4, 2, (5, 3)).double(), (examples() > 0).double()
    torch.manual_seed(6)
    got = model.elbo(x, 2)
    torch.manual_seed(6)
    noise = torch.normal(torch.zeros(2, 3, 2).double(), 1.0)
    q = model.encode(x).base_dist
    one, two = model.decoder[0], model.decoder[2]
    for row in range(3):
        total = 0.0
        for draw in range(2):
            z = q.mean[row] + q.stddev[row] * noise[draw, row]
            hidden = torch.clamp(two.weight @ torch.clamp(one.weight @ z + one.bias, min=0) + two.bias, min=0)
            p = 1 / (1 + torch.exp(-(model.head.linear.weight @ hidden + model.head.linear.bias)))
            total = total + (x[row] * torch.log(p) + (1 - x[row]) * torch.log(1 - p)).sum() / 2
        torch.testing.assert_close(got.reconstruction[row], total)


def test_a_vae_learns() -> None:
    torch.manual_seed(0)
    x = torch.eye(2).repeat_interleave(4, 1).repeat(100, 1)  # two pictures of 8 pixels
    model = VAE(8, 1, (16,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        loss = model(x).loss()
        assert loss.shape == (200,)
        loss.mean().backward()
        optimizer.step()
    assert model.importance_weighted_bound(x, 100).mean() > -1.2  # log 2 = 0.69; independent pixels 8 log 2 = 5.5
    drawn = model.sample(500)
    assert ((drawn == x[0]).all(1) | (drawn == x[1]).all(1)).float().mean() > 0.8


def test_samples_follow_the_model() -> None:
    torch.manual_seed(2)
    drawn = principal_components(optimal=True).sample(20_000)
    torch.testing.assert_close(drawn.mean(0), CENTRE, rtol=0, atol=0.05)
    wanted = LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(4).double()
    torch.testing.assert_close(drawn.T.cov(), wanted, rtol=0, atol=0.08)


def sequence_vae(head: str, cell: str = "gru", num_layers: int = 1) -> SequenceVAE:
    torch.manual_seed(0)
    size = 5 if head == "categorical" else 2
    return SequenceVAE(size, 3, 4, head=head, cell=cell, num_layers=num_layers).double()


def sequences(head: str) -> Tensor:
    torch.manual_seed(1)
    if head == "categorical":
        return torch.randint(5, (6, 3))
    x = torch.randn(6, 3, 2).double()
    return (x > 0).double() if head == "bernoulli" else x


HEAD_NAMES = ["categorical", "bernoulli", "normal", "student_t"]


@pytest.mark.parametrize("head", HEAD_NAMES)
@pytest.mark.parametrize(("cell", "num_layers"), [("rnn", 1), ("gru", 2), ("lstm", 1), ("lstm", 2)])
def test_padding_does_not_matter(head: str, cell: str, num_layers: int) -> None:
    model, x = sequence_vae(head, cell, num_layers), sequences(head)
    lengths = torch.tensor([6, 2, 4])
    other = x.clone()
    for column, length in enumerate(lengths.tolist()):
        other[length:, column] = 4 if head == "categorical" else torch.nan
    results = []
    for given in (x, other):
        torch.manual_seed(3)
        bound = model.elbo(given, 2, lengths=lengths)
        weighted = model.importance_weighted_bound(given, 3, lengths=lengths)
        gradients = torch.autograd.grad((bound.value + weighted).sum(), list(model.parameters()))
        results.append((bound.reconstruction, bound.kl, weighted, *gradients))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    for column, length in enumerate(lengths.tolist()):
        alone = model.encode(x[:length, column : column + 1])
        torch.testing.assert_close(model.encode(other, lengths=lengths).mean[column], alone.mean[0])


@pytest.mark.parametrize("head", HEAD_NAMES)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_sequence_vae_against_a_loop(head: str, cell: str) -> None:
    model, x, lengths = sequence_vae(head, cell), sequences(head), torch.tensor([6, 2, 4])
    torch.manual_seed(4)
    got = model.elbo(x, 2, lengths=lengths)
    torch.manual_seed(4)
    noise = torch.normal(torch.zeros(2, 3, 3).double(), 1.0)
    for column, length in enumerate(lengths.tolist()):
        embedded = model.embedding(x[:length, column : column + 1])
        state = None
        for step in embedded:
            _, state = model.encoder(step[None], state)
        last = (state[0] if cell == "lstm" else state)[0, 0]
        mean, raw = (model.posterior.linear.weight @ last + model.posterior.linear.bias).chunk(2)
        scale = torch.log1p(torch.exp(raw)) + 1e-4
        torch.testing.assert_close(got.kl[column], ((mean**2 + scale**2 - 1) / 2 - scale.log()).sum())
        total = 0.0
        for draw in range(2):
            z, before, state = (mean + scale * noise[draw, column])[None, None], torch.zeros_like(embedded[:1]), None
            for step in range(length):
                features, state = model.decoder(torch.cat([before, z], -1), state)
                raw = (model.head.linear.weight @ features[0, 0] + model.head.linear.bias).unflatten(
                    0, (-1, model.head.size)
                )
                total = total + model.head.distribution(*raw).log_prob(x[step, column]) / 2
                before = embedded[step : step + 1]
        torch.testing.assert_close(got.reconstruction[column], total)
    distribution = model.decode(torch.zeros(3, 3).double(), x)
    assert distribution.batch_shape == (6, 3)


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_samples_of_sequences_go_step_by_step_through_the_decoder(head: str) -> None:
    seen = []

    class Recorded(Decoding):
        def draw(self, distribution: Distribution) -> Tensor:
            element = distribution.sample()
            seen.append(distribution.log_prob(element))
            return element

    model, z = sequence_vae(head), torch.randn(3, 3).double()
    drawn = model.sample(6, z=z, decoding=Recorded())
    assert drawn.shape == sequences(head).shape
    torch.testing.assert_close(torch.cat(seen), model.decode(z, drawn).log_prob(drawn))
    assert model.sample(2, batch_size=5).shape[:2] == (2, 5)


def test_sampled_sequences_match_the_decoders_probabilities() -> None:
    model = sequence_vae("categorical")
    for parameter in model.parameters():
        parameter.data *= 3
    z = torch.randn(1, 3).double().expand(20_000, 3)
    drawn = model.sample(2, z=z)
    every = torch.cartesian_prod(torch.arange(5), torch.arange(5)).T
    expected = model.decode(z[:25], every).log_prob(every).sum(0).exp() * 20_000
    counts = torch.stack([(drawn == pair[:, None]).all(0).sum() for pair in every.T])
    assert ((counts - expected).square() / expected).sum() < 58.61  # 24 degrees of freedom, p < 1e-4
    greedy = model.sample(4, z=z[:2], decoding=Decoding(temperature=0.0))
    assert torch.equal(greedy, model.decode(z[:2], greedy).logits.argmax(-1))


def test_a_sequence_of_no_steps_has_only_its_latent() -> None:
    model, x = sequence_vae("normal"), sequences("normal")
    bound = model(x, lengths=torch.tensor([0, 3, 6]))
    assert bound.reconstruction[0] == 0
    assert bound.kl[0] > 0


def test_a_sequence_vae_learns() -> None:
    torch.manual_seed(0)
    x = torch.tensor([[0, 1, 2, 0, 1, 2], [3, 3, 3, 3, 3, 3]]).T.repeat(1, 20)
    model = SequenceVAE(4, 2, 16, head="categorical")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(100):
        optimizer.zero_grad()
        model.elbo(x).loss(kl_weight=min(1.0, step / 50)).mean().backward()
        optimizer.step()
    assert model.importance_weighted_bound(x, 50).mean() > -1.0  # log 2 = 0.69


def test_an_autoencoder_reconstructs() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 2) @ torch.randn(2, 6)
    model = Autoencoder(6, 2, ())
    torch.testing.assert_close(model.loss(x), ((model.decode(model.encode(x)) - x) ** 2).sum(1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        loss = model.loss(x)
        assert loss.shape == (64,)
        loss.mean().backward()
        optimizer.step()
    assert loss.mean() < 1e-2


def test_what_is_no_likelihood_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"elbo\(x\).value and importance_weighted_bound"):
        VAE(4, 2).log_prob(torch.zeros(1, 4))
    with pytest.raises(UnsupportedError, match=r"SequenceVAE has no exact log_prob.*lower bounds"):
        SequenceVAE(4, 2, 3).log_prob(torch.zeros(2, 1, 4))
    with pytest.raises(UnsupportedError, match="a reconstruction error is no probability; use VAE"):
        Autoencoder(4, 2).log_prob(torch.zeros(1, 4))
    with pytest.raises(UnsupportedError, match="none to draw"):
        Autoencoder(4, 2).sample(3)
    assert not any(kind.streams for kind in (VAE, SequenceVAE, Autoencoder))


def test_refusals() -> None:
    with pytest.raises(ConfigurationError, match=r"VAE\(latent_size=0\): expected at least 1"):
        VAE(4, 0)
    with pytest.raises(ConfigurationError, match=r"Autoencoder\(hidden_sizes=0\)"):
        Autoencoder(4, 2, (3, 0))
    with pytest.raises(ConfigurationError, match="head='categorical'"):
        VAE(4, 2, head="categorical")
    with pytest.raises(ConfigurationError, match="cell='tcn'"):
        SequenceVAE(4, 2, 3, cell="tcn")
    with pytest.raises(ConfigurationError, match=r"SequenceVAE\(num_layers=0\)"):
        SequenceVAE(4, 2, 3, num_layers=0)
    model = VAE(4, 2)
    with pytest.raises(ShapeError, match=r"x \[1, 5\], expected \[batch, 4\]"):
        model.elbo(torch.zeros(1, 5))
    with pytest.raises(ShapeError, match=r"z \[1, 3\]"):
        model.decode(torch.zeros(1, 3))
    with pytest.raises(DataError, match=r"the value 0\.25, but a Bernoulli head.*binarise x"):
        model.elbo(torch.full((1, 4), 0.25))
    with pytest.raises(ConfigurationError, match="samples=0"):
        model.elbo(torch.zeros(1, 4), 0)
    with pytest.raises(ConfigurationError, match="samples=0"):
        model.importance_weighted_bound(torch.zeros(1, 4), 0)
    with pytest.raises(ShapeError, match=r"x \[1, 5\], expected \[batch, 4\]"):
        Autoencoder(4, 2)(torch.zeros(1, 5))
    recurrent = SequenceVAE(4, 2, 3, head="categorical")
    for wrong in (torch.zeros(5, 2), torch.zeros(5, 2, 4, dtype=torch.long), torch.zeros(0, 2, dtype=torch.long)):
        with pytest.raises(ShapeError, match=r"expected \[time, batch\] symbols 0 … 3, of a step or more"):
            recurrent.elbo(wrong)
    with pytest.raises(ShapeError, match=r"expected \[time, batch, 4\] values"):
        SequenceVAE(4, 2, 3).elbo(torch.zeros(5, 2, 3))
    with pytest.raises(ShapeError, match="a length of 6, expected 0 to 5"):
        recurrent.elbo(torch.zeros(5, 2, dtype=torch.long), lengths=torch.tensor([6, 1]))
    with pytest.raises(ShapeError, match=r"z \[3, 2\], expected \[2, 2\]"):
        recurrent.decode(torch.zeros(3, 2), torch.zeros(5, 2, dtype=torch.long))
    with pytest.raises(DataError, match=r"the value 0\.5"):
        SequenceVAE(4, 2, 3, head="bernoulli").elbo(torch.full((5, 2, 4), 0.5))


def test_bounds_serve_any_model() -> None:
    """x = z + ε at x = 0.7: p(x) = Normal(0, √2), bounded from a posterior that is too wide."""
    prior, q = Normal(torch.zeros(1), 1.0), Normal(torch.zeros(1), 1.5)
    torch.manual_seed(0)

    def likelihood(z: Tensor) -> Tensor:
        return Normal(z, 1.0).log_prob(torch.tensor(0.7))

    exact = Normal(torch.zeros(1), 2**0.5).log_prob(torch.tensor(0.7)).item()
    bound = evidence_lower_bound(q, prior, likelihood, 100_000)
    assert isinstance(bound, EvidenceLowerBound)
    wanted = -0.5 * math.log(2 * math.pi) - (0.7**2 + 1.5**2) / 2 - ((1.5**2 - 1) / 2 - math.log(1.5))
    assert bound.value.item() == pytest.approx(wanted, abs=0.03)
    assert bound.value < exact
    assert importance_weighted_bound(q, prior, likelihood, 100_000).item() == pytest.approx(exact, abs=0.01)
