"""A multilayer perceptron, forward and backward by hand, for three activations; and what its hidden layer is for.

    A = X W₁ + b₁,    H = σ(A),    O = H W₂ + b₂,    ξ = ½ ‖O − Y‖²        X [batch, input], one example a row

    dO  = O − Y
    dW₂ = Hᵀ dO,    db₂ = Σ_rows dO,    dH = dO W₂ᵀ
    dA  = dH ⊙ σ′(A)
    dW₁ = Xᵀ dA,    db₁ = Σ_rows dA,    dX = dA W₁ᵀ

A product forward is a product with the transpose backward. A bias is added to every row, so its gradient sums the rows.

    σ          sigmoid 1 / (1 + e^−a)      tanh a          ReLU max(a, 0)
    σ′         σ (1 − σ) ≤ ¼               1 − tanh² ≤ 1   1 where a > 0, else 0
"""

from functools import partial

import numpy as np
import torch

ACTIVATIONS = {  # name: (σ(a), σ′(a) in terms of a and of h = σ(a))
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), lambda a, h: h * (1 - h)),
    "tanh": (np.tanh, lambda a, h: 1 - h**2),
    "relu": (lambda a: np.maximum(a, 0), lambda a, h: (a > 0).astype(float)),
}


def loss_and_gradients(x, y, w1, b1, w2, b2, activation, derivative):
    a = x @ w1 + b1
    h = activation(a)
    output = h @ w2 + b2
    grad_output = output - y
    grad_a = grad_output @ w2.T * derivative(a, h)
    gradients = (x.T @ grad_a, grad_a.sum(0), h.T @ grad_output, grad_output.sum(0))
    return 0.5 * (grad_output**2).sum(), gradients, grad_a @ w1.T


def numerical_gradient(evaluate, parameter, step=1e-6):
    """(ξ(θ + ε) − ξ(θ − ε)) / 2ε, one number of the parameter after the other; ξ is what `evaluate` returns first."""
    gradient = np.zeros_like(parameter)
    for index in np.ndindex(parameter.shape):
        kept = parameter[index]
        parameter[index] = kept + step
        above = evaluate()[0]
        parameter[index] = kept - step
        gradient[index] = (above - evaluate()[0]) / (2 * step)
        parameter[index] = kept
    return gradient


def first_parameters(random, inputs, hidden, outputs):
    shapes = ((inputs, hidden), (hidden,), (hidden, outputs), (outputs,))
    return [random.normal(size=shape) for shape in shapes]


# 1. By hand, by autograd and by differences.
random = np.random.default_rng(0)
x, y, parameters = random.normal(size=(7, 3)), random.normal(size=(7, 2)), first_parameters(random, 3, 5, 2)
for name, (activation, derivative) in ACTIVATIONS.items():
    evaluate = partial(loss_and_gradients, x, y, *parameters, activation, derivative)
    _, gradients, grad_x = evaluate()
    leaves = [torch.tensor(value, requires_grad=True) for value in (x, *parameters)]
    hidden = getattr(torch, name)(leaves[0] @ leaves[1] + leaves[2])
    (0.5 * (hidden @ leaves[3] + leaves[4] - torch.from_numpy(y)).square().sum()).backward()
    for value, by_hand, leaf in zip((x, *parameters), (grad_x, *gradients), leaves, strict=True):
        np.testing.assert_allclose(by_hand, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(by_hand, numerical_gradient(evaluate, value), rtol=1e-6, atol=1e-6)

# 2. XOR: no linear function comes nearer than ½ everywhere, a loss of ½ · 4 · ¼. With a hidden layer it is learnt.
x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
with_ones = np.column_stack([x, np.ones(4)])
best_linear = with_ones @ np.linalg.lstsq(with_ones, y)[0]
np.testing.assert_allclose(best_linear, 0.5)
parameters = first_parameters(np.random.default_rng(0), 2, 8, 1)
for _ in range(3000):
    loss, gradients, _ = loss_and_gradients(x, y, *parameters, *ACTIVATIONS["tanh"])
    parameters = [value - 0.1 * gradient for value, gradient in zip(parameters, gradients, strict=True)]
assert loss < 1e-6
print(f"gradients by hand, autograd and differences agree; loss on XOR: {loss:.0e}, of the best linear function: 0.5")
