"""How many weights a recurrent layer has, against PyTorch's count; and the second layer that got only the last state.

    RNN  H (I + H + 1)        GRU  3 H (I + H + 1)        LSTM  4 H (I + H + 1)        I inputs, H units, one bias

Each unit of each gate reads I inputs, H states and a constant. torch keeps two biases, so there it is I + H + 2. A
layer above reads h of the one below, of both directions if there are two: its I is H · directions. T is nowhere in it:
the same weights serve every step.

What goes from layer to layer is h of every step, [time, batch, H]. Where only the last was kept, [batch, H], the next
layer has no sequence to read. torch takes two axes for one sequence without a batch, and makes of the sequences of a
batch the steps of one: no error, and a wrong model. throughtime refuses, as far as it can know.
"""

from itertools import product

import torch

import throughtime as tt
from throughtime.models import CategoricalHead

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def count(kind, inputs, units, layers=1, directions=1, biases=2):
    sizes = [inputs] + [units * directions] * (layers - 1)
    return sum(directions * GATES[kind] * units * (size + units + biases) for size in sizes)


def refusal(call):
    try:
        call()
    except tt.ShapeError as error:
        return str(error)
    raise AssertionError("taken")


# 1. The formula, for both libraries.
configurations = list(product(GATES, (1, 7), (1, 16), (1, 3), (1, 2), (False, True)))
for kind, inputs, units, layers, directions, bias in configurations:
    for nn in (torch.nn, tt.nn):
        options = {"num_layers": layers, "bidirectional": directions == 2, "bias": bias}
        made = sum(weight.numel() for weight in getattr(nn, kind)(inputs, units, **options).parameters())
        assert made == count(kind, inputs, units, layers, directions, biases=2 * bias)

# 2. Where only the biases' sum matters, one does what two do; and any number of steps is read with the same weights.
layer = tt.LSTM(3, 16, dtype=torch.float64)
weights = sum(weight.numel() for weight in layer.parameters())
assert (weights, weights - layer.bias_hh_l0.numel()) == (count("LSTM", 3, 16), count("LSTM", 3, 16, biases=1))
x = torch.randn(500, 8, 3, dtype=torch.float64)  # [time, batch, feature]
two_biases, _ = layer(x)
with torch.no_grad():  # not so in the GRU, where the gate reset multiplies the second bias of new
    layer.bias_ih_l0 += layer.bias_hh_l0
    layer.bias_hh_l0.zero_()
torch.testing.assert_close(layer(x)[0], two_biases)

# 3. In torch, eight last states are silently eight steps: what the last sequence gets depends on the first.
below, above = torch.nn.LSTM(3, 16), torch.nn.LSTM(16, 16)
x = torch.randn(20, 8, 3)
every_step, _ = below(x)
assert above(every_step)[0].shape == (20, 8, 16)
last, other = every_step[-1], every_step[-1].clone()
other[0] += 1
assert above(last)[0].shape == (8, 16)
assert not torch.equal(above(last)[0][7], above(other)[0][7])

# 4. Here it is an error that says what to do.
messages = [
    refusal(lambda: tt.LSTM(16, 16)(tt.LSTM(3, 16)(x)[0][-1])),  # known to be a last output
    refusal(lambda: tt.Recurrent(torch.nn.LSTMCell(16, 16))(last)),  # two axes are never a batch of sequences
    refusal(lambda: tt.SequenceModel(torch.nn.Identity(), tt.LSTM(16, 16), CategoricalHead(16, 2))(last)),
]
assert all("[8, 16]" in message and "unsqueeze" in message for message in messages)
print(f"{len(configurations)} configurations counted; the stacked layer said: {messages[0].split(': ')[-1]}")
