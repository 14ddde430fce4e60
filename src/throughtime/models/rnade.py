"""RNADE: vectors of real values, with their exact densities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal
from torch.nn.functional import softplus

from .._errors import ConfigurationError, DataError
from ._running import RunningSum
from .heads import SMALLEST_SCALE, checks


class RNADE(RunningSum):
    """The real-valued neural autoregressive density estimator: each conditional is a mixture of normals.

        h_d = max(0, ρ_d (a_d + c)),   a_{d+1} = a_d + W_d x_d,   a_1 = 0
        p(x_d | x_<d) = Σ_k softmax(V^α_d h_d + b^α_d)_k · Normal(x_d; V^μ_d h_d + b^μ_d, softplus(V^σ_d h_d + b^σ_d))

    The scales ρ_d, one a position and learned, start at 1/√d, since the sum a_d grows with d. Standard deviations are
    softplus + 10⁻⁴, where the paper has exp: a component cannot collapse onto one value of the data.
    Standardise the data first.

    Args:
        size: elements of a vector.
        hidden_size: hidden units, rectified as the paper found best.
        components: normals in each mixture.
        order: in which order elements are predicted, a permutation of 0 … size − 1; `None` is their own.

    Its state is NADE's.

    Raises:
        ConfigurationError: for a size below 1, no component, or an order that is no permutation.

    Example:
        >>> model = RNADE(3, 8, components=2)
        >>> model.log_prob(torch.randn(5, 3)).shape, model.sample(4).shape
        (torch.Size([5]), torch.Size([4, 3]))

    References:
        Uria, Murray & Larochelle, "RNADE: the real-valued neural autoregressive density-estimator", NIPS 2013,
        https://arxiv.org/abs/1306.0186.
    """

    def __init__(
        self, size: int, hidden_size: int, components: int = 10, order: Sequence[int] | Tensor | None = None
    ) -> None:
        if components < 1:
            raise ConfigurationError(f"RNADE(components={components}): expected at least 1 normal in each mixture")
        super().__init__(size, hidden_size, order, (), 3 * components)
        self.components = components
        self.activation_scale = nn.Parameter(torch.empty(size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights; the components' means start apart, over the range of standardised data."""
        super().reset_parameters()
        self.activation_scale.copy_(torch.arange(1, self.size + 1).rsqrt())
        if self.components > 1:
            self.output_bias.chunk(3, -1)[1].copy_(torch.linspace(-1, 1, self.components))

    def _read(self, x: Tensor) -> Tensor:
        if not x.is_floating_point():
            raise DataError(f"RNADE got elements of {x.dtype}, expected real values: of symbols NADE has probabilities")
        if not torch.compiler.is_compiling() and not x.isfinite().all():
            raise DataError(f"RNADE got the element {x[~x.isfinite()][0].item()}: fill or leave out what is missing")
        return x.to(self.weight.dtype)

    def _contribution(self, index: Tensor, x: Tensor) -> Tensor:
        return self.weight[index] * x[..., None]

    def _hidden(self, summed: Tensor, positions: Tensor) -> Tensor:
        return (self.activation_scale[positions][..., None] * summed).relu()

    def _distribution(self, outputs: Tensor) -> Distribution:
        logits, mean, scale = outputs.chunk(3, -1)
        checked = checks(outputs)
        shares = Categorical(logits=logits, validate_args=checked)
        normals = Normal(mean, softplus(scale) + SMALLEST_SCALE)
        return MixtureSameFamily(shares, normals, validate_args=checked)

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.size}, {self.hidden_size}, components={self.components}"
