"""Counting ones with two weights: gradients by hand, the cliff in their loss, and two ways down from it.

    s_k = s_{k−1} w_rec + x_k w_x,  s_0 = 0,  y = s_n        ξ = mean (y − number of ones)²        solved by w = (1, 1)

    δ_n = ∂ξ/∂s_n = 2 (y − number) / sequences,    δ_{k−1} = w_rec δ_k
    ∂ξ/∂w_rec = Σ_k δ_k s_{k−1},    ∂ξ/∂w_x = Σ_k δ_k x_k

So δ_0 = w_recⁿ δ_n: of twenty steps, 0.8²⁰ = 0.01 is left and 1.5²⁰ = 3325. A rate small enough above the cliff is far
too small below it. Rprop reads signs alone; clipping bounds the length of a gradient.
"""

import numpy as np
import torch

import throughtime as tt

LENGTH, SEQUENCES, START, STEPS = 20, 100, (-1.5, 2.0), 2000
random = np.random.default_rng(0)
x = random.integers(0, 2, size=(LENGTH, SEQUENCES)).astype(float)  # [time, batch]


def loss_and_gradient(w, x=x):
    w_rec, w_x = w
    s = [np.zeros(x.shape[1])]  # s[k] is s_k
    for x_k in x:
        s.append(s[-1] * w_rec + x_k * w_x)
    error = s[-1] - x.sum(0)
    delta, gradient = 2 * error / x.shape[1], np.zeros(2)
    for k in range(len(x), 0, -1):
        gradient += delta @ s[k - 1], delta @ x[k - 1]
        delta = w_rec * delta
    return (error**2).mean(), gradient


def descend(optimizer, clip=np.inf, **settings):
    """All points on the way of an optimiser, with g · min(1, clip / ‖g‖) for g; it stops where numbers overflow."""
    w = torch.tensor(START, dtype=torch.float64)
    optimizer, path = optimizer([w], **settings), [np.array(START)]
    while len(path) <= STEPS and np.isfinite(gradient := loss_and_gradient(path[-1])[1]).all():
        w.grad = torch.from_numpy(gradient / max(1, np.linalg.norm(gradient) / clip))
        optimizer.step()
        path.append(w.numpy().copy())
    return np.array(path)


class Counter(torch.nn.Module):  # the same step, for autograd
    def __init__(self, w):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def initial_state(self, batch_size):
        return self.w.new_zeros(batch_size, 1)

    def forward(self, x, s):
        s = s * self.w[0] + x * self.w[1]
        return s, s


last = torch.zeros(LENGTH, SEQUENCES, dtype=torch.float64)
last[-1] = 1 / SEQUENCES  # the loss is of the last step alone
batch = tt.Batch(torch.from_numpy(x)[..., None], torch.from_numpy(x).sum(0).expand(LENGTH, -1), weights=last)
for point in (START, (0.5, -1.0), (1.0, 1.0), (1.2, 0.7)):
    by_hand, model = loss_and_gradient(point)[1], tt.Recurrent(Counter(point))
    tt.backward(model, batch, lambda y, number: (y[..., 0] - number).square())
    np.testing.assert_allclose(by_hand, model.cell.w.grad, rtol=1e-10, atol=1e-10)
    around = [[loss_and_gradient(np.add(point, sign * way))[0] for sign in (1, -1)] for way in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(by_hand, [(above - below) / 2e-6 for above, below in around], rtol=1e-6, atol=1e-6)

rates, kept, plain = [10.0**-power for power in range(1, 12)], (0, 0.95), torch.optim.SGD
with np.errstate(all="ignore"):  # numbers overflow here, which is the point
    ends = [descend(plain, lr=rate, momentum=momentum)[-1] for rate in rates for momentum in kept]
    overflown = sum(not np.isfinite(loss_and_gradient(end)[1]).all() for end in ends)
assert not any(np.abs(end - 1).max() < 0.1 for end in ends)  # in 2000 steps
clipped, signs = descend(plain, clip=100, lr=1e-4, momentum=0.95), descend(torch.optim.Rprop, lr=0.01)
assert max(np.abs(path[-1] - 1).max() for path in (clipped, signs)) < 1e-3
results = f"clipped: {clipped[-1].round(4)}, Rprop: {signs[-1].round(4)}"
print(f"of {len(ends)} plain descents {overflown} overflow, none arrives; {results}")
