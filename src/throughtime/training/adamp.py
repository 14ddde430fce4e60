"""Adam that leaves the length of a weight alone where the loss depends on its direction only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from .._errors import ConfigurationError, UnsupportedError


class AdamP(torch.optim.Optimizer):
    """Adam with decoupled weight decay, the radial part of the step taken out where a weight is scale-invariant.

    A layer before a normalisation computes the same whatever the length of its weight, so the gradient is orthogonal to
    the weight. The steps of a momentum optimiser are not: they lengthen it, and every later step turns it by less. With
    Adam's direction p (both moments corrected for their bias), λ the weight decay and ŵ = w / ‖w‖,

        w is scale-invariant     if max |cos(w, ∇ℓ)| < δ / √dim(w)
        q = p − (ŵ · p) ŵ        where it is, else p
        w ← w − η q − η λ' w     λ' = decay_ratio λ where it is, else λ

    The cosines are those of the rows of a tensor (its channels, everything but the first axis), and the largest counts;
    where they do not tell, that of the tensor as a whole. Vectors (biases, gains) take Adam's step.

    Args:
        params: parameters, or groups of them with settings of their own.
        lr: learning rate η.
        betas: decay of both moments.
        eps: is added to the root of the second.
        weight_decay: λ, decoupled as in AdamW.
        delta: δ.
        decay_ratio: by what λ is multiplied where the weight is scale-invariant.

    Raises:
        ConfigurationError: for a setting out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
        >>> optimizer = AdamP([weight], lr=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (weight / weight.norm())[0, 1].backward()
        ...     optimizer.step()
        >>> [round(value, 3) for value in weight[0].tolist()]
        [4.061, 3.082]

    References:
        Heo, Chun, Oh, Han, Yun, Kim, Uh & Ha, "AdamP: slowing down the slowdown for momentum optimizers on
        scale-invariant weights", ICLR 2021, https://arxiv.org/abs/2006.08217.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        delta: float = 0.1,
        decay_ratio: float = 0.1,
    ) -> None:
        settings = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "delta": delta, "decay_ratio": decay_ratio}
        for name, value in settings.items():
            if not value >= 0:
                raise ConfigurationError(f"AdamP({name}={value}): expected a number of at least 0")
        if not all(0 <= beta < 1 for beta in betas):
            raise ConfigurationError(f"AdamP(betas={betas}): expected two numbers from 0 to below 1")
        super().__init__(params, {**settings, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along `.grad`; a closure that computes it anew is called first, and its loss returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if gradient.is_sparse or gradient.is_complex():
            kind = "sparse" if gradient.is_sparse else "complex"
            raise UnsupportedError(f"AdamP was given a {kind} gradient: expected dense real ones; use torch's Adam")
        state = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (square / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        direction = (mean / (1 - first ** state["step"])).div_(root)
        rate, decay = group["lr"], group["weight_decay"]
        rows = _invariant_rows(parameter, gradient, group["delta"])
        if rows is not None:
            direction, decay = _tangential(direction, parameter, rows), decay * group["decay_ratio"]
        parameter.mul_(1 - rate * decay).add_(direction, alpha=-rate)


def _invariant_rows(weight: Tensor, gradient: Tensor, delta: float) -> int | None:
    """As how many vectors a weight is scale-invariant: one a channel, or 1 as a whole; `None` where it is not."""
    if weight.dim() < 2 or not weight.numel():
        return None
    for rows in (len(weight), 1):
        cosines = cosine_similarity(weight.reshape(rows, -1), gradient.reshape(rows, -1), dim=1)
        if cosines.abs().max() < delta / math.sqrt(weight.numel() // rows):
            return rows
    return None


def _tangential(direction: Tensor, weight: Tensor, rows: int) -> Tensor:
    """Each row of `direction` without its part along that of the weight."""
    unit, flat = normalize(weight.reshape(rows, -1), dim=1), direction.reshape(rows, -1)
    return (flat - (unit * flat).sum(1, keepdim=True) * unit).view_as(direction)
