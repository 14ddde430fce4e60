"""A sequence fed in pieces is the sequence fed whole, and a reset in mid-sequence begins another one."""

import torch

import throughtime as tt

torch.manual_seed(0)
layer = tt.GRU(3, 8, num_layers=2)
x = torch.randn(40, 5, 3)  # [time, batch, feature]
whole, last = layer(x)

# Streams: the state of one piece is where the next one begins.
state, pieces = None, []
for piece in x.split(7):
    output, state = layer(piece, state)
    pieces.append(output)
torch.testing.assert_close(torch.cat(pieces), whole)
torch.testing.assert_close(state, last)

# Resets: step 15 of stream 2 opens a new document. Nothing that came before is seen there, and no gradient crosses.
resets = torch.zeros(40, 5, dtype=torch.bool)
resets[15, 2] = True
x.requires_grad_()
output, _ = layer(x, resets=resets)
fresh, _ = layer(x[15:, 2:3])
torch.testing.assert_close(output[15:, 2:3], fresh)
torch.testing.assert_close(output[:, 0], whole[:, 0])

(gradient,) = torch.autograd.grad(output[-1, 2].sum(), x)
assert (gradient[:15, 2] == 0).all()
assert (gradient[15:, 2] != 0).any()
print("6 pieces equal the whole; after a reset, neither values nor gradients come from before it")
