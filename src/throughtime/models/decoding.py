"""How the next element is drawn from its distribution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

from .._errors import ConfigurationError, UnsupportedError


@dataclass(frozen=True)
class Decoding:
    """Temperature, then top-k, then top-p, then a draw. The defaults draw from the model's own distribution.

    Args:
        temperature: divides the logits; below 1 sharpens, 0 takes the likeliest symbol, of binary values what is
            likelier of each.
        top_k: keep only the k likeliest symbols.
        top_p: keep the fewest symbols whose probabilities reach p (nucleus sampling).

    Raises:
        ConfigurationError: for a setting out of range.
        UnsupportedError: when a setting other than the default meets a distribution of values, or top-k or top-p one
            that is not categorical.

    Example:
        >>> likely = Categorical(logits=torch.tensor([[0.0, 3.0, 1.0]]))
        >>> Decoding(temperature=0.0).draw(likely)
        tensor([1])

    References:
        Holtzman et al., "The curious case of neural text degeneration", ICLR 2020 (top-p).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ConfigurationError(f"temperature {self.temperature} is below 0; 1 leaves the model as it is")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigurationError(f"top-k {self.top_k}: at least 1 symbol must be kept")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigurationError(f"top-p {self.top_p} is not a probability in (0, 1]")

    def draw(self, distribution: Distribution) -> Tensor:
        """One sample, of the distribution's batch and event shape."""
        if self == Decoding():
            return distribution.sample()
        inner = getattr(distribution, "base_dist", None)
        if isinstance(inner, Bernoulli) and self.top_k is None and self.top_p is None:
            if self.temperature == 0:
                return (inner.logits > 0).to(inner.logits)
            return Bernoulli(logits=inner.logits / self.temperature).sample()
        if not isinstance(distribution, Categorical):
            raise UnsupportedError(
                "top-k and top-p are for symbols, temperature for keys of music too; values are drawn as they are"
            )
        logits = distribution.logits
        if self.temperature == 0:
            return logits.argmax(-1)
        return Categorical(logits=self._nucleus(self._likeliest(logits / self.temperature))).sample()

    def _likeliest(self, logits: Tensor) -> Tensor:
        if self.top_k is None or self.top_k >= logits.shape[-1]:
            return logits
        least = logits.topk(self.top_k, dim=-1).values[..., -1:]
        return logits.masked_fill(logits < least, -torch.inf)

    def _nucleus(self, logits: Tensor) -> Tensor:
        if self.top_p is None:
            return logits
        ordered, order = logits.sort(dim=-1, descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= self.top_p)
        return logits.masked_fill(dropped, -torch.inf)
