"""AR(τ): the next values as a linear function of the last τ ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import ConfigurationError, DataError, ShapeError
from ..nn import Lags
from .heads import SMALLEST_SCALE, NormalHead
from .sequence import SequenceModel


class Autoregression(SequenceModel):
    """x_t = c + A_1 x_{t−1} + … + A_τ x_{t−τ} + B k_t + noise, the noise normal and independent: AR(τ), or VAR(τ).

    `fit` takes the parameters that minimise the squared error, which are those of maximum likelihood, given the first τ
    values. It is a `SequenceModel`, and may be trained by gradients as well. Its state is the last τ − 1 values, to
    which the input adds one; before there are as many, the first value stands in for those that are missing.

    Args:
        observed: how many values a step has; more than one make it a vector autoregression.
        order: τ.
        known: how many values k_t of each step are known in advance.

    Raises:
        ConfigurationError: for sizes below 1.

    Example:
        >>> halving = 0.5 ** torch.arange(6.0).double().reshape(6, 1)
        >>> model = Autoregression(1, order=1).double().fit([(halving[:-1], halving[1:])])
        >>> constant, coefficients = model.coefficients()
        >>> coefficients.round(decimals=6).tolist()
        [[[0.5]]]

    References:
        Hamilton, "Time series analysis", Princeton University Press 1994, sections 5.2 and 11.1.
    """

    def __init__(self, observed: int, order: int, known: int = 0) -> None:
        if min(observed, order) < 1 or known < 0:
            raise ConfigurationError(
                f"Autoregression({observed}, order={order}, known={known}): expected sizes above 0"
            )
        super().__init__(nn.Identity(), Lags(observed, range(order)), NormalHead(observed * order + known, observed))
        self.observed, self.order, self.known = observed, order, known

    @torch.no_grad()
    def fit(self, pairs: Iterable[tuple[Any, Any]]) -> Autoregression:
        """Least squares over one or many sequences.

        The rows are reduced block by block to a triangle (QR), so that they need not fit into memory, and no squares of
        them are formed. Where the rows do not tell some coefficients apart, those of the smallest norm are taken.

        Args:
            pairs: (inputs, targets) of each sequence, [time, observed + known] and [time, observed]: row t of the
                inputs is x_{t−1}, then k_t, and row t of the targets x_t. Rows with less than τ values before them are
                read, but not predicted.

        Raises:
            DataError: where there are fewer rows than coefficients, or a value is missing or infinite.
            ShapeError: where the two of a pair are not such.
        """
        width = self.observed * self.order + self.known + 1
        triangle = torch.zeros(0, width + self.observed, dtype=torch.float64)
        rows = 0
        for block in (block for pair in pairs for block in self._rows(*pair)):
            if not block.isfinite().all():
                value = block[~block.isfinite()][0].item()
                raise DataError(f"Autoregression got the value {value}: fill or leave out what is missing")
            rows += len(block)
            triangle = torch.linalg.qr(torch.cat([triangle, block]), mode="r").R
        if rows < width:
            raise DataError(f"{rows} rows for the {width} coefficients of ar:{self.order}: lower the order")
        design, wanted = triangle[:width, :width], triangle[:width, width:]
        solution = torch.linalg.lstsq(design, wanted, driver="gelsd").solution
        residual = (triangle[:, width:] - triangle[:, :width] @ solution).square().sum(0) / rows
        self._set(solution, residual.sqrt())
        return self

    @property
    def parameter_count(self) -> int:
        """The coefficients and a standard deviation for each value, which `fit` does not let depend on the past."""
        return self.observed * (self.observed * self.order + self.known + 2)

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """c [observed], and A [τ, observed, observed]: A[k, i, j] is how the j-th value of x_{t−1−k} acts on the i-th.

        Those of what is known in advance are the last columns of `head.linear.weight`.
        """
        linear = self.head.linear
        weight = linear.weight[: self.observed, : self.observed * self.order]
        return linear.bias[: self.observed], weight.unflatten(1, (self.order, self.observed)).movedim(1, 0)

    def scale(self) -> Tensor:
        """The standard deviation of the noise, [observed], as `fit` found it; at least 2 · 10⁻⁴."""
        return nn.functional.softplus(self.head.linear.bias[self.observed :]) + SMALLEST_SCALE

    def _rows(self, inputs: Any, targets: Any, block: int = 65536) -> Iterable[Tensor]:
        """[row, lags, known, 1, targets] of one sequence."""
        wanted = (len(targets), self.observed + self.known), (len(targets), self.observed)
        if (tuple(inputs.shape), tuple(targets.shape)) != wanted:
            raise ShapeError(
                f"Autoregression got inputs {list(inputs.shape)} and targets {list(targets.shape)}, expected "
                f"[time, {wanted[0][1]}] and [time, {wanted[1][1]}], a row of each a step"
            )
        for start in range(self.order - 1, len(targets), block):
            stop = min(start + block, len(targets))
            seen = _numbers(inputs[start - self.order + 1 : stop])
            lagged = [seen[self.order - 1 - lag : len(seen) - lag, : self.observed] for lag in range(self.order)]
            known = seen[self.order - 1 :, self.observed :]
            following = _numbers(targets[start:stop])
            yield torch.cat([*lagged, known, torch.ones(len(following), 1, dtype=torch.float64), following], 1)

    def _set(self, solution: Tensor, scale: Tensor) -> None:
        linear, observed = self.head.linear, self.observed
        above = (scale - SMALLEST_SCALE).clamp(min=SMALLEST_SCALE)
        linear.weight[:observed].copy_(solution[:-1].T)
        linear.bias[:observed].copy_(solution[-1])
        linear.weight[observed:].zero_()
        linear.bias[observed:].copy_(above + (-torch.expm1(-above)).log())  # what softplus turns into `above`


def _numbers(piece: Any) -> Tensor:
    """In float64; of an array a copy, as a memory map may be read-only."""
    return piece.to("cpu", torch.float64) if isinstance(piece, Tensor) else torch.tensor(piece, dtype=torch.float64)
