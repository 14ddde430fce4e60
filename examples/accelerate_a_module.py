"""torch.nn's recurrent layers inside a module that exists already, replaced: same weights, same results."""

import copy

import torch
from torch import Tensor, nn

import throughtime as tt


class Verbose(nn.GRU):
    """A subclass may behave as it likes, so it is left alone."""


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.encoder = nn.LSTM(16, 24, num_layers=2, batch_first=True, bidirectional=True)
        self.second = Verbose(48, 12, batch_first=True)
        self.output = nn.Linear(12, 5)

    def forward(self, words: Tensor) -> Tensor:
        encoded, _ = self.encoder(self.embedding(words))
        return self.output(self.second(encoded)[0])


torch.manual_seed(0)
model = Tagger().eval()
words = torch.randint(50, (4, 11))  # [batch, time], as this module likes it
before, weights = model(words), copy.deepcopy(model.state_dict())
parameters = list(model.parameters())

report = tt.accelerate(model)

torch.testing.assert_close(model(words), before)
assert isinstance(model.encoder, tt.LSTM)
assert [name for name, _ in report.replaced] == ["encoder"]
assert [name for name, _ in report.left] == ["second"]
assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))  # optimisers go on
assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
print(str(report).replace("\n", "; "))
