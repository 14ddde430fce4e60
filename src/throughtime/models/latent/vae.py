"""The variational autoencoder of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..._errors import ConfigurationError, ShapeError
from ..heads import HEADS, BernoulliHead, NormalHead
from . import bounds
from ._parts import check_binary, check_sizes, perceptron, refuse_log_prob, standard_normal


class VAE(nn.Module):
    """Vectors x drawn by first drawing a latent z: p(x) = ∫ p(x|z) p(z) dz, with p(z) = Normal(0, 1).

    The encoder gives q(z|x), normal with independent elements, which stands in for p(z|x); the decoder gives p(x|z),
    independent elements of the head's kind. Both are multilayer perceptrons, trained together by minimising
    `model.elbo(x).loss()`. It reads vectors whole and has no state, so it does not stream.

    Args:
        size: values of x.
        latent_size: values of z.
        hidden_sizes: of the encoder's hidden layers; the decoder has them in reverse.
        head: "bernoulli" for values 0 and 1, "normal" or "student_t" for real ones, their scales learned.

    Raises:
        ConfigurationError: for a size below 1, or another head.

    Example:
        >>> model = VAE(6, latent_size=2, hidden_sizes=(8,))
        >>> x = torch.bernoulli(torch.full((5, 6), 0.5))
        >>> bound = model.elbo(x)
        >>> bound.reconstruction.shape, bound.kl.shape, model.sample(3).shape
        (torch.Size([5]), torch.Size([5]), torch.Size([3, 6]))

    References:
        Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014, https://arxiv.org/abs/1312.6114.
        Rezende, Mohamed & Wierstra, "Stochastic backpropagation and approximate inference in deep generative models",
        ICML 2014, https://arxiv.org/abs/1401.4082.
    """

    streams = False

    def __init__(
        self,
        size: int,
        latent_size: int,
        hidden_sizes: Sequence[int] = (256,),
        head: str = "bernoulli",
    ) -> None:
        super().__init__()
        check_sizes("VAE", size=size, latent_size=latent_size, hidden_sizes=min(hidden_sizes, default=1))
        names = [name for name, kind in HEADS.items() if not kind.discrete]
        if head not in names:
            raise ConfigurationError(f"VAE(head={head!r}): expected one of {', '.join(names)}")
        self.size = size
        self.latent_size = latent_size
        widths = (size, *hidden_sizes)
        self.encoder = perceptron(widths)
        self.posterior = NormalHead(widths[-1], latent_size)
        self.decoder = perceptron((latent_size, *reversed(widths[1:])))
        self.head = HEADS[head](widths[1] if hidden_sizes else latent_size, size)

    @property
    def prior(self) -> Distribution:
        """p(z)."""
        return standard_normal(self.latent_size, self.head.linear.weight)

    def encode(self, x: Tensor) -> Distribution:
        """q(z|x), of batch shape [batch], for x [batch, size]."""
        return self.posterior(self.encoder(self._checked(x)))

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z), of batch shape […], for z […, latent_size]."""
        if z.shape[-1:] != (self.latent_size,):
            raise ShapeError(f"VAE got z {list(z.shape)}, expected […, {self.latent_size}]")
        return self.head(self.decoder(z))

    def forward(self, x: Tensor) -> bounds.EvidenceLowerBound:
        """`elbo(x)`."""
        return self.elbo(x)

    def elbo(self, x: Tensor, samples: int = 1) -> bounds.EvidenceLowerBound:
        """The evidence lower bound of log p(x) for x [batch, size]: its two terms, each [batch] in nats.

        Args:
            x: the vectors.
            samples: how many z the reconstruction term is averaged over, for each vector.

        Raises:
            ShapeError: for another shape.
            DataError: for values other than 0 and 1 under a Bernoulli head.
        """
        return bounds.evidence_lower_bound(self.encode(x), self.prior, self._likelihood(x), samples)

    def importance_weighted_bound(self, x: Tensor, samples: int) -> Tensor:
        """A lower bound of log p(x) in nats, [batch], that grows towards it with `samples`; errors as of `elbo`.

        See `bounds.importance_weighted_bound`.
        """
        return bounds.importance_weighted_bound(self.encode(x), self.prior, self._likelihood(x), samples)

    @torch.no_grad()
    def sample(self, batch_size: int = 1) -> Tensor:
        """Draw z from the prior, then x [batch_size, size] from p(x|z)."""
        return self.decode(self.prior.sample((batch_size,))).sample()

    def log_prob(self, x: Tensor) -> NoReturn:
        """Refused: there are bounds of log p(x) only.

        Raises:
            UnsupportedError: always; it names the bounds.
        """
        refuse_log_prob("VAE")

    def _likelihood(self, x: Tensor) -> bounds.LogLikelihood:
        x = self._checked(x)
        return lambda z: self.decode(z).log_prob(x)

    def _checked(self, x: Tensor) -> Tensor:
        if x.dim() != 2 or x.shape[1] != self.size:
            raise ShapeError(f"VAE got x {list(x.shape)}, expected [batch, {self.size}]")
        if isinstance(self.head, BernoulliHead):
            check_binary("VAE", x)
        return x.to(self.head.linear.weight.dtype)
