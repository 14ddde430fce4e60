"""An LSTM by hand: forward, and every gradient back through time, in numpy; equal to `tt.LSTM` and to `torch.nn.LSTM`.

    i, f, o = σ(W [h_{t−1}, x_t] + b),    g = tanh(W [h_{t−1}, x_t] + b)        each with its own rows of W and b
    C_t = f ⊙ C_{t−1} + i ⊙ g,    h_t = o ⊙ tanh(C_t)

Two things go from step to step, so two errors come back, δh = ∂ξ/∂h_t and δC = ∂ξ/∂C_t:

    δC += δh ⊙ o ⊙ (1 − tanh² C_t)                     what C_t owes through h_t
    δo = δh ⊙ tanh C_t,  δi = δC ⊙ g,  δg = δC ⊙ i,  δf = δC ⊙ C_{t−1}
    δa = δgate ⊙ (gate's derivative)                   σ′ = σ (1 − σ), tanh′ = 1 − tanh²
    ∂ξ/∂W_x += δaᵀ x_t,  ∂ξ/∂W_h += δaᵀ h_{t−1},  ∂ξ/∂b += δa        the sum over t: each step used the same weights
    δh for t − 1 = δa W_h,    δC for t − 1 = δC ⊙ f

Through C the error is multiplied by f alone, with no matrix and no σ′: where f is near 1 it does not vanish.
"""

import numpy as np
import torch

import throughtime as tt

TIME, BATCH, INPUT, HIDDEN = 12, 3, 4, 5


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def forward(x, h, c, w_x, w_h, b):
    outputs, kept = [], []
    for x_t in x:
        i, f, g, o = np.split(x_t @ w_x.T + h @ w_h.T + b, 4, axis=1)  # torch's order: input, forget, cell, output
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_before, h_before = c, h
        c = f * c_before + i * g
        h = o * np.tanh(c)
        outputs.append(h)
        kept.append((x_t, h_before, c_before, c, i, f, g, o))
    return np.stack(outputs), h, c, kept


def backward(grad_outputs, grad_h, grad_c, kept, w_x, w_h):
    """`grad_outputs` are of every h_t as an output, `grad_h` and `grad_c` of the last state."""
    grad_x, grad_w_x, grad_w_h, grad_b = [], np.zeros_like(w_x), np.zeros_like(w_h), np.zeros(len(w_x))
    for grad_output, (x_t, h_before, c_before, c, i, f, g, o) in zip(grad_outputs[::-1], kept[::-1], strict=True):
        grad_h = grad_h + grad_output  # from the later steps, and from this step's own output
        grad_c = grad_c + grad_h * o * (1 - np.tanh(c) ** 2)
        grad_i, grad_f, grad_g, grad_o = grad_c * g, grad_c * c_before, grad_c * i, grad_h * np.tanh(c)
        before_gates = grad_i * i * (1 - i), grad_f * f * (1 - f), grad_g * (1 - g**2), grad_o * o * (1 - o)
        grad_a = np.concatenate(before_gates, axis=1)
        grad_w_x += grad_a.T @ x_t
        grad_w_h += grad_a.T @ h_before
        grad_b += grad_a.sum(0)
        grad_x.append(grad_a @ w_x)
        grad_h, grad_c = grad_a @ w_h, grad_c * f  # on to t − 1
    return np.stack(grad_x[::-1]), grad_h[None], grad_c[None], grad_w_x, grad_w_h, grad_b, grad_b


torch.manual_seed(0)
ours = tt.LSTM(INPUT, HIDDEN, dtype=torch.float64)
theirs = torch.nn.LSTM(INPUT, HIDDEN, dtype=torch.float64)
theirs.load_state_dict(ours.state_dict())
w_x, w_h, b_x, b_h = (parameter.detach().numpy() for parameter in ours.parameters())  # torch keeps two biases
random = np.random.default_rng(0)
x, h_0, c_0 = random.normal(size=(TIME, BATCH, INPUT)), *random.normal(size=(2, 1, BATCH, HIDDEN))
weight = random.normal(size=(TIME, BATCH, HIDDEN)), *random.normal(size=(2, 1, BATCH, HIDDEN))  # ξ = Σ weight · result

outputs, h, c, kept = forward(x, h_0[0], c_0[0], w_x, w_h, b_x + b_h)
by_hand = backward(weight[0], weight[1][0], weight[2][0], kept, w_x, w_h)
for layer in (ours, theirs):
    leaves = [torch.tensor(value, requires_grad=True) for value in (x, h_0, c_0)]
    output, (last_h, last_c) = layer(leaves[0], (leaves[1], leaves[2]))
    torch.autograd.backward((output, last_h, last_c), tuple(map(torch.from_numpy, weight)))
    for mine, other in zip((outputs, h[None], c[None]), (output, last_h, last_c), strict=True):
        np.testing.assert_allclose(mine, other.detach().numpy(), rtol=1e-12, atol=1e-12)
    for mine, leaf in zip(by_hand, (*leaves, *layer.parameters()), strict=True):
        np.testing.assert_allclose(mine, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)
assert sum(weights.numel() for weights in ours.parameters()) == 4 * HIDDEN * (INPUT + HIDDEN + 2)  # and never × TIME
print(f"outputs, last states and {len(by_hand)} gradients by hand equal those of tt.LSTM and torch.nn.LSTM")
