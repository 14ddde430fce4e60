"""The autoencoder, which is no generative model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from torch import Tensor, nn

from ..._errors import ShapeError, UnsupportedError
from ...nn import Linear
from ._parts import check_sizes, perceptron


class Autoencoder(nn.Module):
    """Vectors through a narrow code and back: x̂ = decode(encode(x)), trained to bring x̂ near x.

    It compresses, and it is no generative model: nothing says how codes are distributed, so it can draw none, and a
    reconstruction error is no probability. `log_prob` and `sample` refuse; a `VAE` has what is missing here.

    Args:
        size: values of x.
        latent_size: values of the code.
        hidden_sizes: of the encoder's hidden layers; the decoder has them in reverse.

    Raises:
        ConfigurationError: for a size below 1.

    Example:
        >>> import torch
        >>> model = Autoencoder(6, latent_size=2, hidden_sizes=(8,))
        >>> x = torch.randn(5, 6)
        >>> model.encode(x).shape, model(x).shape, model.loss(x).shape
        (torch.Size([5, 2]), torch.Size([5, 6]), torch.Size([5]))

    References:
        Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006,
        https://doi.org/10.1126/science.1127647.
    """

    streams = False

    def __init__(self, size: int, latent_size: int, hidden_sizes: Sequence[int] = (256,)) -> None:
        super().__init__()
        check_sizes("Autoencoder", size=size, latent_size=latent_size, hidden_sizes=min(hidden_sizes, default=1))
        self.size = size
        widths = (size, *hidden_sizes)
        self.encoder = nn.Sequential(perceptron(widths), Linear(widths[-1], latent_size))
        back = (latent_size, *reversed(widths[1:]))
        self.decoder = nn.Sequential(perceptron(back), Linear(back[-1], size))

    def encode(self, x: Tensor) -> Tensor:
        """The codes [batch, latent_size] of x [batch, size]."""
        if x.dim() != 2 or x.shape[1] != self.size:
            raise ShapeError(f"Autoencoder got x {list(x.shape)}, expected [batch, {self.size}]")
        return self.encoder(x)

    def decode(self, code: Tensor) -> Tensor:
        """The vectors [batch, size] that codes [batch, latent_size] stand for."""
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x, [batch, size]."""
        return self.decode(self.encode(x))

    def loss(self, x: Tensor) -> Tensor:
        """The squared error of the reconstruction, summed over the values of each vector, [batch]."""
        return (self(x) - x).square().sum(-1)

    def log_prob(self, x: Tensor) -> NoReturn:
        """Refused.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "Autoencoder has no log_prob: it maps x to a code and back and defines no distribution of x, and a "
            "reconstruction error is no probability; use VAE for bounds of log p(x), or NADE for log p(x) itself"
        )

    def sample(self, *args: Any, **settings: Any) -> NoReturn:
        """Refused.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "Autoencoder has no samples: nothing says how its codes are distributed, so there is none to draw and "
            "decode; use VAE, whose codes follow a standard normal"
        )
