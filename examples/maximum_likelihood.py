"""Maximum likelihood of a normal: the product of densities, the sum of their logarithms, and what it has to do with KL.

    p(x | μ, σ) = exp(−(x − μ)² / 2σ²) / (σ √(2π))
    likelihood  L(μ, σ) = ∏_n p(x_n | μ, σ),    log L(μ, σ) = Σ_n log p(x_n | μ, σ)
    maximum     μ̂ = (1/N) Σ_n x_n,    σ̂² = (1/N) Σ_n (x_n − μ̂)²    (N, not N − 1)

    (1/N) log L(μ, σ) = −entropy(data) − KL(data ‖ model)

The first term is the data's own, the model cannot change it: raising the likelihood is lowering KL(data ‖ model).
"""

import math

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

x = np.random.default_rng(0).normal(loc=2.0, scale=1.5, size=1000)


def density(x, mean, scale):
    return np.exp(-((x - mean) ** 2) / (2 * scale**2)) / (scale * math.sqrt(2 * math.pi))


def log_density(x, mean, scale):
    return -((x - mean) ** 2) / (2 * scale**2) - math.log(scale) - 0.5 * math.log(2 * math.pi)


# 1. Three observations, several μ, σ = 1: each density is highest at its own x; their product must please them all.
few = np.array([1.0, 2.0, 4.5])
means = np.arange(0.0, 5.01, 0.25)
densities = np.array([density(few, mean, 1.0) for mean in means])  # [μ, observation]
assert [float(means[best]) for best in densities.argmax(0)] == [1.0, 2.0, 4.5]
product, sum_of_logs = densities.prod(1), np.array([log_density(few, mean, 1.0).sum() for mean in means])
np.testing.assert_allclose(np.log(product), sum_of_logs, rtol=1e-12)  # log ∏ = Σ log, with the same maximum:
assert product.argmax() == sum_of_logs.argmax() == 10
assert means[10] == few.mean() == 2.5

# 2. With many observations the product is below the smallest float, and the logarithms are what is left to compare.
assert density(x, 2.0, 1.5).prod() == 0.0
assert math.isfinite(log_density(x, 2.0, 1.5).sum())

# 3. The maximum. Setting the derivatives to zero,
#        ∂/∂μ log L = Σ (x_n − μ) / σ²,    ∂/∂σ log L = Σ (x_n − μ)² / σ³ − N / σ,
#    gives the mean and the mean square deviation. Gradient ascent by autograd, which knows no formula, finds the same.
mean_hat, scale_hat = x.mean(), math.sqrt(((x - x.mean()) ** 2).mean())
mean, log_scale = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
optimizer = torch.optim.LBFGS([mean, log_scale], max_iter=200, tolerance_change=0, line_search_fn="strong_wolfe")


def mean_surprise() -> torch.Tensor:
    optimizer.zero_grad()
    loss = -Normal(mean, log_scale.exp()).log_prob(torch.from_numpy(x)).mean()
    loss.backward()
    return loss


optimizer.step(mean_surprise)
assert abs(mean.item() - mean_hat) < 1e-6
assert abs(log_scale.exp().item() - scale_hat) < 1e-6

# 4. KL. A normal's log density is quadratic in x, so its average depends on the data's mean and variance alone, and the
#    normal with these two may stand for the data. KL by its definition, ∫ p log(p/q), as a sum over a fine grid:
grid, step = np.linspace(mean_hat - 15 * scale_hat, mean_hat + 15 * scale_hat, 20001, retstep=True)
log_p = log_density(grid, mean_hat, scale_hat)
entropy = -(np.exp(log_p) * log_p).sum() * step
divergences = []
for model in ((0.0, 1.0), (1.0, 3.0), (2.5, 1.5), (mean_hat, scale_hat)):
    divergence = (np.exp(log_p) * (log_p - log_density(grid, *model))).sum() * step
    assert abs(log_density(x, *model).mean() - (-entropy - divergence)) < 1e-9
    data_normal, model_normal = (Normal(*torch.tensor(pair).double()) for pair in ((mean_hat, scale_hat), model))
    assert abs(divergence - kl_divergence(data_normal, model_normal).item()) < 1e-9
    divergences.append(divergence)
assert min(divergences[:-1]) > 0  # KL ≥ 0, …
assert abs(divergences[-1]) < 1e-12  # … and 0 at the maximum of the likelihood, where model and data agree
print(f"maximum of the likelihood: μ = {mean_hat:.4f}, σ = {scale_hat:.4f}; KL(data‖model) there: 0, elsewhere above")
