"""The variational autoencoder of sequences."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..._errors import ConfigurationError, ShapeError
from ..._types import Lengths
from ...nn import GRU, LSTM, RNN
from ...nn._checks import check_lengths
from ..decoding import Decoding
from ..heads import HEADS, BernoulliHead, NormalHead
from . import bounds
from ._parts import check_binary, check_sizes, refuse_log_prob, standard_normal

_CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
_AS_IT_IS = Decoding()


class SequenceVAE(nn.Module):
    """Sequences drawn by first drawing one latent z for all of their steps: p(x) = ∫ p(z) ∏ p(x_t | x_<t, z) dz.

    A recurrent encoder reads the whole sequence and gives q(z|x) from its last state; a recurrent decoder reads
    x_{t−1} and z at every step and gives the distribution of x_t. As the encoder sees the end before the decoder
    begins, it does not stream.

    Args:
        size: values a step, or symbols in the vocabulary with the categorical head.
        latent_size: values of z.
        hidden_size: features of the encoder's and of the decoder's state.
        head: "categorical" for symbols x [time, batch]; "normal", "student_t" or "bernoulli" for x [time, batch, size].
        cell: "gru", "lstm" or "rnn", of both.
        num_layers: layers of each.
        embedding_size: features of an embedded symbol; `None` is `hidden_size`.

    Raises:
        ConfigurationError: for a size below 1, or an unknown head or cell.

    Example:
        >>> model = SequenceVAE(5, latent_size=2, hidden_size=8, head="categorical")
        >>> bound = model.elbo(torch.randint(5, (7, 3)), lengths=torch.tensor([7, 2, 4]))
        >>> bound.value.shape, model.sample(9, batch_size=4).shape
        (torch.Size([3]), torch.Size([9, 4]))

    References:
        Bowman et al., "Generating sentences from a continuous space", CoNLL 2016, https://arxiv.org/abs/1511.06349.
    """

    streams = False

    def __init__(
        self,
        size: int,
        latent_size: int,
        hidden_size: int,
        *,
        head: str = "normal",
        cell: str = "gru",
        num_layers: int = 1,
        embedding_size: int | None = None,
    ) -> None:
        super().__init__()
        if head not in HEADS or cell not in _CELLS:
            raise ConfigurationError(
                f"SequenceVAE(head={head!r}, cell={cell!r}): expected a head of {', '.join(HEADS)}, "
                f"a cell of {', '.join(_CELLS)}"
            )
        symbols = HEADS[head].discrete
        width = hidden_size if embedding_size is None else embedding_size
        sizes = {"size": size, "latent_size": latent_size, "hidden_size": hidden_size, "num_layers": num_layers}
        check_sizes("SequenceVAE", **sizes, embedding_size=width)
        width = width if symbols else size
        self.latent_size = latent_size
        self.embedding = nn.Embedding(size, width) if symbols else nn.Identity()
        self.encoder = _CELLS[cell](width, hidden_size, num_layers=num_layers)
        self.posterior = NormalHead(hidden_size, latent_size)
        self.decoder = _CELLS[cell](width + latent_size, hidden_size, num_layers=num_layers)
        self.head = HEADS[head](hidden_size, size)

    @property
    def prior(self) -> Distribution:
        """p(z)."""
        return standard_normal(self.latent_size, self.head.linear.weight)

    def encode(self, x: Tensor, *, lengths: Lengths | None = None) -> Distribution:
        """q(z|x), of batch shape [batch], for x [time, batch] or [time, batch, size]."""
        return self._encode(self._checked(x, lengths), lengths)

    def decode(self, z: Tensor, x: Tensor) -> Distribution:
        """p(x_t | x_<t, z) of each step, of batch shape [time, batch], for z [batch, latent_size].

        Args:
            z: one latent for each sequence.
            x: the sequences, of which step t reads x_{t−1}.
        """
        x = self._checked(x, None)
        if tuple(z.shape) != (x.shape[1], self.latent_size):
            raise ShapeError(f"SequenceVAE got z {list(z.shape)}, expected [{x.shape[1]}, {self.latent_size}] for x")
        return self._decode(z, x)

    def forward(self, x: Tensor, *, lengths: Lengths | None = None) -> bounds.EvidenceLowerBound:
        """`elbo(x)`."""
        return self.elbo(x, lengths=lengths)

    def elbo(self, x: Tensor, samples: int = 1, *, lengths: Lengths | None = None) -> bounds.EvidenceLowerBound:
        """The evidence lower bound of log p(x) of whole sequences: its two terms, each [batch] in nats.

        Args:
            x: [time, batch] symbols, or [time, batch, size]; what stands past the lengths is not read.
            samples: how many z the reconstruction term is averaged over, for each sequence.
            lengths: integers [batch]: how many steps of each sequence are real.

        Raises:
            ShapeError: for another shape.
            DataError: for values other than 0 and 1 under a Bernoulli head.
        """
        x = self._checked(x, lengths)
        likelihood = self._likelihood(x, lengths)
        return bounds.evidence_lower_bound(self._encode(x, lengths), self.prior, likelihood, samples)

    def importance_weighted_bound(self, x: Tensor, samples: int, *, lengths: Lengths | None = None) -> Tensor:
        """A lower bound of log p(x) in nats, [batch], that grows towards it with `samples`; the rest as of `elbo`.

        See `bounds.importance_weighted_bound`.
        """
        x = self._checked(x, lengths)
        likelihood = self._likelihood(x, lengths)
        return bounds.importance_weighted_bound(self._encode(x, lengths), self.prior, likelihood, samples)

    @torch.no_grad()
    def sample(
        self, steps: int, batch_size: int = 1, *, z: Tensor | None = None, decoding: Decoding = _AS_IT_IS
    ) -> Tensor:
        """Draw z from the prior, then x_1 … x_steps one after the other, each fed back for the next.

        Args:
            steps: how many elements to draw.
            batch_size: how many sequences, where z is not given.
            z: [batch, latent_size], to decode instead of draws from the prior.
            decoding: how each element is drawn.

        Returns:
            [steps, batch] symbols or [steps, batch, size]
        """
        z = self.prior.sample((batch_size,)) if z is None else z
        before, state, drawn = z.new_zeros(1, len(z), self.encoder.input_size), None, []
        for _ in range(steps):
            features, state = self.decoder(torch.cat([before, z[None]], -1), state)
            drawn.append(decoding.draw(self.head(features)))
            before = self.embedding(drawn[-1])
        return torch.cat(drawn)

    def log_prob(self, x: Tensor) -> NoReturn:
        """Refused: there are bounds of log p(x) only.

        Raises:
            UnsupportedError: always; it names the bounds.
        """
        refuse_log_prob("SequenceVAE")

    def _encode(self, x: Tensor, lengths: Tensor | None) -> Distribution:
        _, state = self.encoder(self.embedding(x), lengths=lengths)
        return self.posterior((state[0] if isinstance(state, tuple) else state)[-1])

    def _decode(self, z: Tensor, x: Tensor) -> Distribution:
        embedded = self.embedding(x)
        before = torch.cat([torch.zeros_like(embedded[:1]), embedded[:-1]])
        features, _ = self.decoder(torch.cat([before, z.expand(len(x), *z.shape)], -1))
        return self.head(features)

    def _likelihood(self, x: Tensor, lengths: Tensor | None) -> bounds.LogLikelihood:
        """log p(x|z) [sample, batch]; the samples stand side by side in one batch."""

        def of(z: Tensor) -> Tensor:
            repeated = x.repeat(1, len(z), *[1] * (x.dim() - 2))
            values = self._decode(z.flatten(0, 1), repeated).log_prob(repeated).unflatten(1, z.shape[:2])
            if lengths is not None:
                values = values.masked_fill(torch.arange(len(x), device=x.device)[:, None, None] >= lengths, 0)
            return values.sum(0)

        return of

    def _checked(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The sequences, zero past their lengths."""
        size, symbols = self.head.size, self.head.discrete
        wanted = f"[time, batch] symbols 0 … {size - 1}" if symbols else f"[time, batch, {size}] values"
        fits = x.dim() == (2 if symbols else 3) and (not x.is_floating_point() if symbols else x.shape[2] == size)
        if not fits or len(x) == 0:
            raise ShapeError(f"SequenceVAE got x {list(x.shape)} of {x.dtype}, expected {wanted}, of a step or more")
        if lengths is not None:
            check_lengths("SequenceVAE", lengths, x.shape[0], x.shape[1], x.device)
            past = torch.arange(len(x), device=x.device)[:, None] >= lengths
            x = x.masked_fill(past if symbols else past[..., None], 0)
        if isinstance(self.head, BernoulliHead):
            check_binary("SequenceVAE", x)
        return x if symbols else x.to(self.head.linear.weight.dtype)
