"""Scaled dot-product and multi-head attention by hand, forward and backward in numpy, equal to torch's.

    S = Q Kᵀ / √d_k,    A = softmax of S's rows,    O = A V            Q [queries, d_k], K [keys, d_k], V [keys, d_v]

The root keeps the scores' variance at 1 (q · k sums d_k products), so that the softmax is not saturated at the start.
With a causal mask query t sees keys 1 … t: the sum includes the position itself. Backward, from dO:

    dV = Aᵀ dO,    dA = dO Vᵀ
    dS = A ⊙ (dA − Σ_row A ⊙ dA)        the derivative of softmax: raising one score takes from all others of its row
    dQ = dS K / √d_k,    dK = dSᵀ Q / √d_k

Multi-head: Q, K, V are three projections of x; h heads attend, each to its own d/h features; they are put side by side
and projected once more by W_O.
"""

import numpy as np
import torch


def attend(q, k, v, allowed):
    """q, k, v [head, position, feature], allowed [query, key] → the heads' outputs, and their weights A."""
    scores = np.where(allowed, q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2]), -np.inf)  # e^−∞ = 0: no weight
    exponentials = np.exp(scores - scores.max(2, keepdims=True))  # softmax is the same after a shift
    weights = exponentials / exponentials.sum(2, keepdims=True)
    return weights @ v, weights


def attend_backward(grad_output, q, k, v, weights):
    grad_weights = grad_output @ v.swapaxes(1, 2)
    grad_scores = weights * (grad_weights - (weights * grad_weights).sum(2, keepdims=True)) / np.sqrt(q.shape[2])
    return grad_scores @ k, grad_scores.swapaxes(1, 2) @ q, weights.swapaxes(1, 2) @ grad_output


def split(x, heads):  # [position, heads · feature] → [head, position, feature]
    return x.reshape(len(x), heads, -1).swapaxes(0, 1)


def join(x):  # and back
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


# 1. One call of attention, causal and not, against torch's.
random = np.random.default_rng(0)
TIME, WIDTH, HEADS = 7, 12, 3
causal, everything = np.tril(np.ones((TIME, TIME), dtype=bool)), np.ones((TIME, TIME), dtype=bool)
q, k, v, grad = random.normal(size=(4, HEADS, TIME, 4))
for allowed, is_causal in ((causal, True), (everything, False)):
    leaves = [torch.tensor(value, requires_grad=True) for value in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=is_causal)
    expected.backward(torch.from_numpy(grad))
    output, weights = attend(q, k, v, allowed)
    np.testing.assert_allclose(output, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    for by_hand, leaf in zip(attend_backward(grad, q, k, v, weights), leaves, strict=True):
        np.testing.assert_allclose(by_hand, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)
order = random.permutation(TIME)  # attention has no order: keys and values may come in any, hence added positions
np.testing.assert_allclose(attend(q, k[:, order], v[:, order], everything)[0], output, rtol=1e-12)
products = (random.normal(size=(20000, 64)) * random.normal(size=(20000, 64))).sum(1)
assert abs(products.var() / 64 - 1) < 0.05  # the variance of q · k is d_k

# 2. Multi-head self-attention, causal, with every gradient, against torch.nn.MultiheadAttention.
torch.manual_seed(0)
layer = torch.nn.MultiheadAttention(WIDTH, HEADS, dtype=torch.float64)
w_in, b_in = layer.in_proj_weight.detach().numpy(), random.normal(size=3 * WIDTH)  # W_Q, W_K, W_V, one below the other
w_out, b_out = layer.out_proj.weight.detach().numpy(), random.normal(size=WIDTH)
layer.in_proj_bias.data, layer.out_proj.bias.data = torch.from_numpy(b_in), torch.from_numpy(b_out)
x, grad = random.normal(size=(2, TIME, WIDTH))
q, k, v = (split(part, HEADS) for part in np.split(x @ w_in.T + b_in, 3, axis=1))
heads, weights = attend(q, k, v, causal)
output = join(heads) @ w_out.T + b_out
grad_parts = attend_backward(split(grad @ w_out, HEADS), q, k, v, weights)
grad_projected = np.concatenate([join(part) for part in grad_parts], axis=1)
by_hand = grad_projected @ w_in, grad_projected.T @ x, grad_projected.sum(0), grad.T @ join(heads), grad.sum(0)

leaf = torch.tensor(x, requires_grad=True)
expected, _ = layer(leaf, leaf, leaf, attn_mask=torch.from_numpy(~causal), need_weights=False)  # True: hidden
expected.backward(torch.from_numpy(grad))
np.testing.assert_allclose(output, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
for mine, other in zip(by_hand, (leaf, *layer.parameters()), strict=True):
    np.testing.assert_allclose(mine, other.grad.numpy(), rtol=1e-12, atol=1e-12)
print(f"{HEADS} heads over {TIME} positions: output and all {len(by_hand)} gradients by hand equal torch's")
