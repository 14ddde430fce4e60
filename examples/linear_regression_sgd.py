"""Stochastic gradient descent for linear regression: the squared error, its norm, and why they are not the same thing.

    residual r = X w − y of a mini-batch
    squared error ½ ‖r‖²:    gradient Xᵀ r           shrinks as the solution comes near
    norm          ‖r‖:       gradient Xᵀ r / ‖r‖     r / ‖r‖ has length one, however near; there is none at r = 0

For one batch both point the same way and have the same minimum; what differs is the length of the step. Over many
batches Σ_b ‖r_b‖² is the least-squares problem whatever the batches, while Σ_b ‖r_b‖ is another problem: with batches
of one it is Σ_n |r_n|, whose solution is a median where that of the squares is a mean.
"""

import math

import numpy as np
import torch

random = np.random.default_rng(0)


def squared_error_gradient(x, y, weights):
    return x.T @ (x @ weights - y)


def norm_gradient(x, y, weights):
    residual = x @ weights - y
    length = np.linalg.norm(residual)
    return x.T @ residual / length if length > 0 else np.zeros_like(weights)  # at the tip of the cone 0 will do


def descend(gradient, x, y, rate, steps, batch_size):
    weights = np.zeros(x.shape[1])
    for step in range(steps):
        chosen = random.integers(len(x), size=batch_size)
        weights = weights - rate(step) * gradient(x[chosen], y[chosen], weights)
    return weights


# 1. Both gradients against autograd.
x, truth = random.normal(size=(500, 3)), np.array([1.0, -2.0, 0.5])
y = x @ truth  # no noise: the residual can become zero
weights = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
residual = torch.from_numpy(x) @ weights - torch.from_numpy(y)
at = weights.detach().numpy()
for loss, by_hand in ((0.5 * residual.square().sum(), squared_error_gradient), (residual.norm(), norm_gradient)):
    (gradient,) = torch.autograd.grad(loss, weights, retain_graph=True)
    np.testing.assert_allclose(by_hand(x, y, at), gradient.numpy(), rtol=1e-12)

# 2. Near the solution. At w = truth + ε u the residual is ε X u: the first gradient is ε XᵀX u, and the second
#    XᵀX u / ‖X u‖, with no ε in it. It keeps its length, and a step of fixed rate must jump over the solution.
direction = np.array([0.6, 0.0, 0.8])
for gradient, power in ((squared_error_gradient, 1), (norm_gradient, 0)):
    far, near = (np.linalg.norm(gradient(x, y, truth + epsilon * direction)) for epsilon in (1.0, 1e-6))
    assert math.isclose(near / far, 1e-6**power, rel_tol=1e-6)

# 3. So with a fixed rate the squared error arrives, and the norm dances around at a distance of about its steps. It
#    needs a rate that falls to zero, yet not so fast that the steps cannot reach far enough.
distance = {
    name: np.linalg.norm(descend(gradient, x, y, rate, steps=3000, batch_size=8) - truth)
    for name, gradient, rate in (
        ("squared error", squared_error_gradient, lambda step: 0.02),
        ("norm", norm_gradient, lambda step: 0.02),
        ("norm, falling rate", norm_gradient, lambda step: 0.5 / (1 + step)),
    )
}
assert distance["squared error"] < 1e-12
assert 1e-3 < distance["norm"] < 0.1
assert distance["norm, falling rate"] < 1e-3

# 4. With noise that is not symmetric the two seek different lines. Exponential noise has mean 1 and median ln 2 ≈ 0.69;
#    with batches of one, the weight of the constant feature becomes the one or the other.
x = np.column_stack([random.normal(size=4000), np.ones(4000)])
y = 3 * x[:, 0] + random.exponential(size=4000)
mean_line = descend(squared_error_gradient, x, y, lambda step: 1 / (10 + step), steps=20000, batch_size=1)
median_line = descend(norm_gradient, x, y, lambda step: 2 / (10 + step), steps=20000, batch_size=1)
np.testing.assert_allclose(mean_line, np.linalg.lstsq(x, y)[0], atol=0.03)
residual = y - 3 * x[:, 0]
np.testing.assert_allclose(median_line, [3, np.median(residual)], atol=0.05)
norm, falling = distance["norm"], distance["norm, falling rate"]
print(f"distance to the solution: 0 by the squared error, {norm:.0e} by the norm; with a falling rate {falling:.0e}")
