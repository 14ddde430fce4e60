"""Gradients through time in a loop of one's own: what `Full` learns, and what `Truncated` cannot.

The first step shows a sign, the last one asks for it; noise lies between. Full backpropagation carries the error at the
last step back to the first. Cut after five steps, it never arrives: the network cannot learn to remember.
"""

import torch
from torch import Tensor, nn

import throughtime as tt

TIME, BATCH = 15, 64


class Recall(nn.Module):
    """Any module that keeps `output, state = f(x, state)` will do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = tt.GRU(2, 16)
        self.readout = nn.Linear(16, 1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, state = self.layer(x, state)
        return self.readout(output)[..., 0], state


def make_batch() -> tt.Batch:
    sign = torch.randint(2, (BATCH,)).float()
    x = torch.zeros(TIME, BATCH, 2)
    x[0, :, 0] = 2 * sign - 1
    x[..., 1] = torch.randn(TIME, BATCH)
    weights = torch.zeros(TIME, BATCH)
    weights[-1] = 1  # only the last step's loss counts
    return tt.Batch(x, sign.expand(TIME, BATCH), weights=weights)


def loss(logits: Tensor, target: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")  # [time, batch]


def train(strategy: tt.Full | tt.Truncated, steps: int = 150) -> float:
    torch.manual_seed(0)
    model = Recall()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        done = tt.backward(model, make_batch(), loss, strategy)
        for parameter in model.parameters():
            parameter.grad /= done.count  # strategies add up and never divide: the mean is the loop's to take
        optimizer.step()
        losses.append(float(done.loss_sum / done.count))
    return sum(losses[-20:]) / 20


full, truncated = train(tt.Full()), train(tt.Truncated(5))
assert full < 0.1
assert truncated > 0.6  # a coin: ln 2 = 0.693
print(f"loss after training: {full:.3f} by Full(), {truncated:.3f} by Truncated(5); guessing costs 0.693")
