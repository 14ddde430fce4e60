"""Truncated backpropagation, and every other strategy, for users of Lightning (an extra: `pip install lightning`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from .._errors import ConfigurationError
from .._types import Batch, Loss, State
from ..gradients import Strategy


class StrategyModule(LightningModule):
    """A model under Lightning's Trainer, its gradients by a strategy of ours, the optimiser stepped at every segment.

    Lightning took truncated backpropagation out of its own loop in 2.0; under manual optimisation it is back.

    Args:
        model: keeps `output, state = model(x, state)`.
        loss: `loss(output, target) → [time, batch]`.
        strategy: how gradients travel.
        optimizer: makes the optimiser of the parameters, such as `torch.optim.Adam`.
        clip: largest norm of the gradient; `None` leaves it.
        stateful: whether each batch goes on where the last one stopped, from the second of an epoch on.

    Batches are `Batch`es; a DataLoader that makes them has `batch_size=None`.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from throughtime import GRU, Batch, Truncated
        >>> squared_error = lambda output, target: (output - target).square().sum(-1)
        >>> module = StrategyModule(GRU(2, 3), squared_error, Truncated(5, 10), torch.optim.Adam, stateful=True)
        >>> stream = [Batch(torch.randn(20, 4, 2), torch.randn(20, 4, 3)) for _ in range(2)]
        >>> loader = torch.utils.data.DataLoader(stream, batch_size=None)
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> trainer = Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet)
        >>> trainer.fit(module, loader)
        >>> trainer.global_step
        8
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        strategy: Strategy,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        *,
        clip: float | None = None,
        stateful: bool = False,
    ) -> None:
        super().__init__()
        strategy.check(model)
        self.model, self.loss, self.strategy = model, loss, strategy
        self.automatic_optimization = False
        self._optimizer, self._clip, self._stateful = optimizer, clip, stateful
        self.carry: State = None

    def forward(self, x: Tensor, state: State = None) -> tuple[Any, State]:
        """The model's own."""
        return self.model(x, state)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The one that was asked for."""
        return self._optimizer(self.model.parameters())

    def on_fit_start(self) -> None:
        """Refuse what would go wrong in silence.

        Raises:
            ConfigurationError: under float16 with a scaler of losses, or with several processes.
        """
        if self.trainer.precision == "16-mixed":
            raise ConfigurationError("strategies take their gradients unscaled: precision='bf16-mixed' or '32-true'")
        if self.trainer.world_size > 1:
            raise ConfigurationError("strategies call backward themselves: one process is expected, not several")

    def on_train_epoch_start(self) -> None:
        """Every epoch begins afresh."""
        self.carry = None

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """A step of the optimiser at every segment; the mean loss of each is logged as `train_loss`."""
        optimizer: Any = self.optimizers()
        for segment in self.strategy.segments(self.model, batch, self.loss, self.carry):
            count = segment.count.clamp(min=1)
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad /= count
            if self._clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)
            optimizer.step()
            optimizer.zero_grad()
            self.log("train_loss", segment.loss_sum / count, batch_size=batch.inputs.shape[1])
            self.carry = segment.carry if self._stateful else None

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """A batch with its tensors on `device`."""
        return batch.to(device)
