"""A convolution forward and backward by hand: its backward is two more convolutions. And what its numbers count.

    out[o, i, j] = b[o] + Σ_c Σ_u Σ_v k[o, c, u, v] · x[c, S i + u, S j + v]        x with P zeros around it

    output size     ⌊(W − F + 2P) / S⌋ + 1        for width W, kernel F, padding P, stride S; the same for the height
    parameters      F · F · C_in · C_out + C_out

Backward, with g = ∂ξ/∂out, and S − 1 zeros put between its elements where there is a stride:

    ∂ξ/∂x = g, padded by F − 1, convolved with k turned by 180° and its channels exchanged
    ∂ξ/∂k = x convolved with g as its kernel, each pair of channels by itself
    ∂ξ/∂b = Σ over places of g

(As everywhere in deep learning the kernel is not turned over in the forward: this is a cross-correlation.)
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def convolve(x, kernel, stride=1, padding=0):
    """x [C_in, height, width], kernel [C_out, C_in, F, F′] → [C_out, …], one place of the output after the other."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    outputs, _, high, wide = kernel.shape
    out = np.zeros((outputs, (x.shape[1] - high) // stride + 1, (x.shape[2] - wide) // stride + 1))
    for i, j in np.ndindex(out.shape[1:]):
        seen = x[:, i * stride : i * stride + high, j * stride : j * stride + wide]
        out[:, i, j] = (kernel * seen).sum((1, 2, 3))
    return out


def backward(grad_output, x, kernel, stride, padding):
    size = kernel.shape[-1]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    grad = np.zeros((len(kernel), x.shape[1] - size + 1, x.shape[2] - size + 1))  # as if every place had been visited
    grad[:, ::stride, ::stride] = grad_output
    grad_x = convolve(grad, kernel[:, :, ::-1, ::-1].swapaxes(0, 1), padding=size - 1)
    grad_kernel = np.stack([convolve(channel[None], grad[:, None]) for channel in x], axis=1)
    inside = slice(padding, -padding or None)
    return grad_x[:, inside, inside], grad_kernel, grad_output.sum((1, 2))


# 1. Forward and every gradient equal torch's, with and without stride and padding.
random = np.random.default_rng(0)
image, kernel, bias = random.normal(size=(3, 9, 8)), random.normal(size=(4, 3, 3, 3)), random.normal(size=4)
for stride, padding in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 2)):
    leaves = [torch.tensor(value, requires_grad=True) for value in (image, kernel, bias)]
    expected = functional.conv2d(*leaves, stride=stride, padding=padding)
    out = convolve(image, kernel, stride, padding) + bias[:, None, None]
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    grad_output = random.normal(size=out.shape)
    expected.backward(torch.from_numpy(grad_output))
    for by_hand, leaf in zip(backward(grad_output, image, kernel, stride, padding), leaves, strict=True):
        np.testing.assert_allclose(by_hand, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)

# 2. The size of the output, and the number of parameters, which depends on no size of an image.
for width, size, padding, stride in ((32, 5, 2, 1), (32, 3, 0, 2), (7, 3, 1, 3), (227, 11, 0, 4)):
    layer = nn.Conv2d(3, 8, size, stride, padding)
    assert layer(torch.zeros(3, width, width)).shape[-1] == (width - size + 2 * padding) // stride + 1
    assert sum(parameter.numel() for parameter in layer.parameters()) == size * size * 3 * 8 + 8

# 3. Two 3×3 see what one 5×5 sees, with 18 C² weights against 25 C², and room for a nonlinearity between. What the
#    middle of the output sees is where its gradient is not zero.
torch.manual_seed(0)
channels = 6
two = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)))
one = nn.Conv2d(channels, channels, 5, padding=2, bias=False)
weights = []
for network in (two, one):
    x = torch.randn(channels, 11, 11, requires_grad=True)
    network(x)[:, 5, 5].sum().backward()
    rows, columns = x.grad.abs().sum(0).nonzero().T.tolist()
    assert (min(rows), max(rows), min(columns), max(columns)) == (3, 7, 3, 7)  # 5 × 5 around the middle
    weights.append(sum(parameter.numel() for parameter in network.parameters()))
assert weights == [18 * channels**2, 25 * channels**2]
print(f"both see 5 × 5 pixels: two 3 × 3 with {weights[0]} weights, one 5 × 5 with {weights[1]}")
