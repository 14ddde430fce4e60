"""Backpropagation through time written out for a simple recurrent network, and compared with autograd's.

    h_t = tanh(a_t),  a_t = W_x x_t + W_h h_{t−1} + b,    ξ = Σ_t ½ ‖h_t − y_t‖²

    δ_T = h_T − y_T,    δ_{t−1} = (h_{t−1} − y_{t−1}) + W_hᵀ (δ_t ⊙ (1 − h_t²))
    ∂ξ/∂W_x = Σ_t (δ_t ⊙ (1 − h_t²)) x_tᵀ,    ∂ξ/∂W_h = Σ_t (δ_t ⊙ (1 − h_t²)) h_{t−1}ᵀ

Every step uses the same weights, so their gradient is a sum over all steps. The product of the W_hᵀ is what shrinks
or grows with distance.
"""

import torch

import throughtime as tt

torch.manual_seed(0)
TIME, INPUT, HIDDEN = 25, 3, 6
layer = tt.RNN(INPUT, HIDDEN, backend="reference", dtype=torch.float64)
x = torch.randn(TIME, 1, INPUT, dtype=torch.float64, requires_grad=True)
y = torch.randn(TIME, 1, HIDDEN, dtype=torch.float64)

# Forward, by hand.
w_x, w_h = layer.weight_ih_l0.detach(), layer.weight_hh_l0.detach()
bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()  # torch keeps two biases; both have the same gradient
h = [torch.zeros(HIDDEN, dtype=torch.float64)]  # h[t] is h_t, h[0] the state before the first step
for t in range(1, TIME + 1):
    h.append(torch.tanh(w_x @ x[t - 1, 0].detach() + w_h @ h[t - 1] + bias))

# Backward, by hand.
grad_x, grad_w_x, grad_w_h, grad_b = torch.zeros(TIME, INPUT).double(), 0 * w_x, 0 * w_h, 0 * bias
delta = torch.zeros(HIDDEN, dtype=torch.float64)  # what later steps send back: none after the last
for t in range(TIME, 0, -1):
    delta = delta + (h[t] - y[t - 1, 0])  # δ_t: from later steps, and from this step's own loss
    local = delta * (1 - h[t] ** 2)
    grad_w_x += torch.outer(local, x[t - 1, 0].detach())
    grad_w_h += torch.outer(local, h[t - 1])
    grad_b += local
    grad_x[t - 1] = w_x.T @ local
    delta = w_h.T @ local  # on to t − 1

# The same by autograd.
done = tt.backward(layer, tt.Batch(x, y), lambda output, target: 0.5 * (output - target).square().sum(-1))
by_hand = {"weight_ih_l0": grad_w_x, "weight_hh_l0": grad_w_h, "bias_ih_l0": grad_b, "bias_hh_l0": grad_b}
difference = max(
    *(float((layer.get_parameter(name).grad - value).abs().max()) for name, value in by_hand.items()),
    float((x.grad[:, 0] - grad_x).abs().max()),
)
assert difference < 1e-12
print(f"loss {float(done.loss_sum):.4f}; the gradients differ by {difference:.1e} at most")
