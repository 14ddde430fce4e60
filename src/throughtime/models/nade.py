"""NADE: vectors of binary values or symbols, with their exact probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

from .._errors import ConfigurationError, DataError
from ._running import RunningSum
from .heads import checks


class NADE(RunningSum):
    """Neural autoregressive distribution estimation of vectors of binary values.

        p(x_d = 1 | x_<d) = σ(V_d h_d + b_d),   h_d = σ(a_d + c),   a_{d+1} = a_d + W_d x_d,   a_1 = 0

    The running pre-activation a makes log p(x) cost O(size · hidden_size). It is also all that is remembered of the
    elements seen: NADE is a state and a step, and `distribution, state = model(inputs, state)` goes through its vectors
    element by element, as a recurrent model through time. Its state is
    `{"preactivation": [batch, hidden_size], "position": int [batch]}`.

    Args:
        size: elements of a vector.
        hidden_size: hidden units.
        order: in which order elements are predicted, a permutation of 0 … size − 1; `None` is their own.
        symbols: how many values an element takes, 0 … symbols − 1; beyond 2, W_d has a column a symbol and the
            conditionals are a softmax.

    Raises:
        ConfigurationError: for a size below 1, fewer than 2 symbols, or an order that is no permutation.

    Example:
        >>> model = NADE(3, 8, order=(2, 0, 1))
        >>> x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
        >>> x.shape, round(model.log_prob(x).exp().sum().item(), 5)
        (torch.Size([8, 3]), 1.0)
        >>> model.sample(4).shape
        torch.Size([4, 3])

    References:
        Larochelle & Murray, "The neural autoregressive distribution estimator", AISTATS 2011.
        Uria, Côté, Gregor, Murray & Larochelle, "Neural autoregressive distribution estimation", JMLR 17, 2016,
        https://arxiv.org/abs/1605.02226.
    """

    def __init__(
        self, size: int, hidden_size: int, order: Sequence[int] | Tensor | None = None, symbols: int = 2
    ) -> None:
        if symbols < 2:
            raise ConfigurationError(f"NADE(symbols={symbols}): expected at least 2, the values an element takes")
        binary = symbols == 2
        super().__init__(size, hidden_size, order, () if binary else (symbols,), 1 if binary else symbols)
        self.symbols = symbols
        self.reset_parameters()

    def _read(self, x: Tensor) -> Tensor:
        fits = (x >= 0) & (x < self.symbols)
        if x.is_floating_point():
            fits &= x == x.round()
        if not torch.compiler.is_compiling() and not fits.all():
            binary = "; binarise it, as by x > 0.5" if self.symbols == 2 else ""
            raise DataError(f"NADE got the element {x[~fits][0].item():g}: expected 0 … {self.symbols - 1}{binary}")
        return x.to(self.weight.dtype if self.symbols == 2 else torch.long)

    def _contribution(self, index: Tensor, x: Tensor) -> Tensor:
        return self.weight[index] * x[..., None] if self.symbols == 2 else self.weight[index, x]

    def _hidden(self, summed: Tensor, positions: Tensor) -> Tensor:
        return summed.sigmoid()

    def _distribution(self, outputs: Tensor) -> Distribution:
        if self.symbols == 2:
            return Bernoulli(logits=outputs[..., 0])
        return Categorical(logits=outputs, validate_args=checks(outputs))

    def extra_repr(self) -> str:
        """What the module's representation shows."""
        return f"{self.size}, {self.hidden_size}" + (f", symbols={self.symbols}" if self.symbols > 2 else "")
