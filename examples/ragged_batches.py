"""Sequences of different lengths in one batch: nothing to sort, nothing to pack, nothing leaks from the padding."""

import torch
from torch.nn.utils.rnn import pad_sequence

import throughtime as tt

torch.manual_seed(0)
sequences = [torch.randn(steps, 3) for steps in (4, 9, 1, 6)]
lengths = torch.tensor([len(sequence) for sequence in sequences])
padded = pad_sequence(sequences, padding_value=float("nan"))  # [time, batch, feature]; no padding is ever read

layer = tt.LSTM(3, 8, num_layers=2, bidirectional=True)
output, (h, memory) = layer(padded, lengths=lengths)

for index, sequence in enumerate(sequences):  # each alone gives the same: outputs, and its own last state
    alone, (h_alone, memory_alone) = layer(sequence.unsqueeze(1))
    torch.testing.assert_close(output[: len(sequence), index], alone[:, 0])
    torch.testing.assert_close(h[:, index], h_alone[:, 0])
    torch.testing.assert_close(memory[:, index], memory_alone[:, 0])
    assert (output[len(sequence) :, index] == 0).all()

# A loss is asked for every step; those past a length count nothing.
batch = tt.Batch(padded, torch.zeros(9, 4, 16), lengths=lengths)
done = tt.backward(layer, batch, lambda output, target: (output - target).square().sum(-1))
assert done.count == lengths.sum()
assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
print(f"{len(sequences)} sequences, {int(done.count)} real steps of {padded[..., 0].numel()}: as if each were alone")
