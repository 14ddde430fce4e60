"""A cell of one's own: its state is a dict, `Recurrent` runs it, and it is trained in pieces by `Truncated`.

The cell keeps a slow average of what it sees, a_t = d ⊙ a_{t−1} + (1 − d) ⊙ x_t, and counts its steps. Fed with noise
and asked for averages that forget at two known rates, it must find these rates.
"""

import torch
from torch import Tensor, nn

import throughtime as tt


class LeakyAverage(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.raw_decay = nn.Parameter(torch.zeros(size))

    @property
    def decay(self) -> Tensor:
        return torch.sigmoid(self.raw_decay)

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        return {"average": torch.zeros(batch_size, len(self.raw_decay)), "steps": torch.zeros(batch_size)}

    def forward(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        average = self.decay * state["average"] + (1 - self.decay) * x
        return average, {"average": average, "steps": state["steps"] + 1}


torch.manual_seed(0)
truth = torch.tensor([0.6, 0.9])
x = torch.randn(400, 8, 2)  # [time, batch, feature]
average, targets = torch.zeros(8, 2), []
for row in x:
    average = truth * average + (1 - truth) * row
    targets.append(average)

layer = tt.Recurrent(LeakyAverage(2))
optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
batch = tt.Batch(x, torch.stack(targets))
counts = []


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().sum(-1)  # [time, batch]


for _ in range(10):
    for segment in tt.Truncated(20).segments(layer, batch, squared_error):
        optimizer.step()  # .grad holds the gradient of this segment's summed loss
        optimizer.zero_grad()
        if segment.stop == len(x):
            counts.append(segment.carry["steps"])

assert segment.loss_sum / segment.count < 1e-3  # the averages, not just their rates
found = layer.cell.decay.detach()
torch.testing.assert_close(found, truth, atol=0.01, rtol=0)
assert all((count == 400).all() for count in counts)  # the state travelled through all segments
print(f"rates of forgetting found: {found[0]:.3f} and {found[1]:.3f}; sought: {truth[0]:.3f} and {truth[1]:.3f}")
